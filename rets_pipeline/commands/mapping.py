"""``rets-pipeline mapping``: where everything in a server's records goes, as a table.

What belongs here: saying the rules of a source in words, for people and for docs/mapping-ddf.md.
What does not: the rules (``sources``), and the columns (``warehouse.tables``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from rets_pipeline.sources.ddf import mapping as ddf
from rets_pipeline.sources.ddf import placement
from rets_pipeline.sources.ddf.mapping import Rule
from rets_pipeline.sources.ddf.placement import Placed
from rets_pipeline.sources.ddf.values import LOOKUP_VALUES_WITH_COMMAS
from rets_pipeline.warehouse import tables
from rets_pipeline.warehouse.types import UtcTimestamp

_WEB_API, _OWN = "DDF Web API: ", ("DDF: ", "rets_pipeline: ")
#: of a rule whose text goes to several columns
_PARTS = {"unit": "its unit", "text": "as it came"}
_HEAD = """\
# Where everything in a DDF record goes

DDF's own word on the left, its table and column beside it, then the field's name in RESO's Data
Dictionary 2.0 where RESO has one, and the type with how the text becomes a value.

- Names are compared without regard to case and namespace. What stands in none of these rows,
  because nobody has seen it yet, goes to `source_fields` of the same table, under its own name.
- A text that does not convert leaves NULL: the text goes to `source_fields`, and to the quarantine
  with the reason. The listing lands all the same. An empty element says nothing: NULL.
- "its text in source_fields": the text as it came stays beside the value, because the value cannot
  say all of it. The same happens to any value that had to be rounded or cut.
- `uncompared_fields` holds dates that move without a change; no comparison looks at them.
- Several values in one text become a JSON list. DDF joins them with a comma and a space, which
  some values hold themselves; see the end.

This file is written from the rules. Do not edit it; run

    rets-pipeline mapping ddf --markdown > docs/mapping-ddf.md
"""
_COMMAS = """
## Values with commas inside

The lists of DDF's lookups have 16 values, of 10 lookups, with a comma in them. These are known, and
kept whole:

"""
_COMMAS_END = """
Among the others are names of boards (a record holds a board's number) and a designation of agents
(which has an element of its own); neither is ever joined to others. Whether that is all of them,
the documentation does not say, and it says nothing about French. What a server's
METADATA-LOOKUP_TYPE has can be handed to `DdfSource(lookups=...)`: every value with a comma in it
is then kept whole.
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one documented element or attribute goes.

    Attributes:
        path: from the record's root element.
        table: of the warehouse.
        column: of the table; with the name inside, for a column that holds a list of objects.
        reso: RESO's StandardName; empty where RESO has none.
        type: of the column.
        conversion: how the text becomes a value.
    """

    path: str
    table: str
    column: str
    reso: str
    type: str
    conversion: str


def places() -> list[Place]:
    """Every place that the rules name, in their order."""
    return [_place(placed) for root in ddf.RECORDS for placed in placement.placed(root)]


def lines() -> Iterator[str]:
    """The table for a terminal."""
    rows = [("SOURCE", "COLUMN", "RESO", "TYPE", "CONVERSION")]
    rows += [(p.path, f"{p.table}.{p.column}", p.reso, p.type, p.conversion) for p in places()]
    rows += [
        (f"({source})", f"{table}.{column}", _reso(table, column), _type(table, column), "derived")
        for table, columns in ddf.DERIVED.items()
        for column, source in columns.items()
    ]
    # The sentences in brackets are long and would push everything else off the screen.
    widths = [max(len(row[n]) for row in rows if row[4] != "derived") for n in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join([*cells, row[4]])


def markdown() -> str:
    """The text of docs/mapping-ddf.md."""
    parts = [_HEAD]
    found = places()
    for root in ddf.RECORDS:
        parts.append(f"\n## {root}\n\n| source | column | RESO | value |\n|---|---|---|---|\n")
        for place in found:
            if place.path.split("/")[0] == root:
                value = f"{place.type}: {place.conversion}" if place.type else place.conversion
                column = f"`{place.table}.{place.column}`"
                parts.append(f"| `{place.path}` | {column} | {place.reso} | {value} |\n")
    parts.append("\n## Columns that follow from other values\n\n")
    parts.append("| column | RESO | type | from |\n|---|---|---|---|\n")
    for table, columns in ddf.DERIVED.items():
        for column, source in columns.items():
            reso, kind = _reso(table, column), _type(table, column)
            parts.append(f"| `{table}.{column}` | {reso} | {kind} | {source} |\n")
    parts.append("\n## Conversions\n\n")
    parts += [f"- {name}: {words}\n" for name, words in _conversions().items()]
    parts.append(_COMMAS)
    for lookup, some in LOOKUP_VALUES_WITH_COMMAS.items():
        parts.append(f"- {lookup}: {'; '.join(some)}\n")
    parts.append(_COMMAS_END)
    return "".join(parts)


def _place(placed: Placed) -> Place:
    table, column, rule = placed.table, placed.column, placed.rule
    if rule is None or placed.part == "uncompared":
        words = "as it came" if rule is None else "as it came, not compared"
        return Place(placed.path, table, column, "", "json", words)
    name = column if placed.inside is None else f"{column}[].{placed.inside}"
    kind = _type(table, column) if placed.inside is None else "json"
    words = _PARTS.get(placed.part) or _conversion(rule)
    return Place(placed.path, table, name, _reso(table, column), kind, words)


def _conversion(rule: Rule) -> str:
    if rule.lookup is not None:
        words = f"values of the lookup {rule.lookup}"
    elif rule.repeated:
        words = "each one's text"
    elif rule.convert is None:
        words = "as it came"
    else:
        words = rule.convert.__name__.replace("_", " ")
    return f"{words}; its text in source_fields" if rule.keep_text else words


def _conversions() -> dict[str, str]:
    """What each converter reads, in the first paragraph of its own description."""
    found: dict[str, str] = {}
    groups = [*ddf.RECORDS.values()]
    for group in groups:
        groups += group.groups
        for rule in group.rules:
            if rule.convert is not None and rule.lookup is None:
                words = (rule.convert.__doc__ or "").partition("\n\n")[0]
                found[_conversion(replace(rule, keep_text=False))] = " ".join(words.split())
    return dict(sorted(found.items()))


def _reso(table: str, column: str) -> str:
    """What the column's comment says it is called in RESO's dictionary, or in CREA's."""
    name = (tables.named(table).c[column].comment or "").partition(";")[0]
    if name.startswith(_OWN):
        return ""
    own = name.removeprefix(_WEB_API)
    return name if own == name else f"{own} (DDF Web API)"


def _type(table: str, column: str) -> str:
    kind: sa.types.TypeEngine[Any] = tables.named(table).c[column].type
    if isinstance(kind, sa.Numeric):
        return f"numeric({kind.precision},{kind.scale})"
    names = {
        UtcTimestamp: "timestamptz",
        sa.DateTime: "timestamp",
        sa.Date: "date",
        sa.Boolean: "boolean",
        sa.Integer: "integer",
        sa.JSON: "json",
    }
    return next((name for known, name in names.items() if isinstance(kind, known)), "text")
