"""Faults of rows and their cells.

What belongs here: sections 18, 19 and 21 of the catalogue: delimiters, cells, columns, dates. What
does not: which rows a page has (``pages``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from rets_pipeline.sandbox.faults.catalogue import GENERIC_ONLY, Turn, spoils_content
from rets_pipeline.sandbox.generic.columns import BY_NAME, LOOKUPS
from rets_pipeline.sandbox.generic.table import Table

_SEARCH = ("Search",)
_Change = Callable[[list[str]], list[str]]


def _row(table: Table, number: int, change: _Change) -> None:
    """Change one row, numbered from 0."""
    rows = table.rows

    def changed() -> Iterator[list[str]]:
        for index, cells in enumerate(rows):
            yield change(cells) if index == number else cells

    table.rows = changed()


def _each(table: Table, change: _Change) -> None:
    table.rows = map(change, table.rows)


def _cell(table: Table, name: str, write: Callable[[str], str]) -> None:
    """Change a column's texts that are not empty."""
    if name not in table.columns:
        return
    at = table.columns.index(name)

    def change(cells: list[str]) -> list[str]:
        text = cells[at]
        return [*cells[:at], write(text) if text else text, *cells[at + 1 :]]

    _each(table, change)


# --- 18: delimiters and cells ---------------------------------------------------------------------


@spoils_content(Table, 18, _SEARCH, GENERIC_ONLY, value="7C")
def delimiter_hexadecimal(table: Table, turn: Turn) -> None:
    """DELIMITER is another character, named in hexadecimal."""
    table.declared, table.delimiter = turn["value"], chr(int(turn["value"], 16))
    # Where a text holds the character, the server shows something else.
    _each(table, lambda cells: [cell.replace(table.delimiter, "/") for cell in cells])


@spoils_content(Table, 18, _SEARCH, GENERIC_ONLY, value="9")
def delimiter_short(table: Table, turn: Turn) -> None:
    """The tab is declared in an unusual way."""
    table.declared = turn["value"]


@spoils_content(Table, 18, _SEARCH, GENERIC_ONLY)
def delimiter_missing(table: Table, _: Turn) -> None:
    """DELIMITER is missing; it is the tab."""
    table.declared = None


@spoils_content(Table, 18, _SEARCH, GENERIC_ONLY, value="tab")
def delimiter_unreadable(table: Table, turn: Turn) -> None:
    """DELIMITER is nonsense."""
    table.declared = turn["value"]


@spoils_content(Table, 18, _SEARCH, GENERIC_ONLY)
def edge_missing_first(table: Table, _: Turn) -> None:
    """No delimiter stands before the first cell."""
    table.leading = False


@spoils_content(Table, 18, _SEARCH, GENERIC_ONLY)
def edge_missing_last(table: Table, _: Turn) -> None:
    """No delimiter stands behind the last cell."""
    table.trailing = False


@spoils_content(Table, 18, _SEARCH, GENERIC_ONLY)
def edges_missing(table: Table, _: Turn) -> None:
    """No delimiter stands at either edge."""
    table.leading = table.trailing = False


@spoils_content(Table, 18, _SEARCH, GENERIC_ONLY, row=0)
def delimiter_in_data(table: Table, turn: Turn) -> None:
    """A cell holds the delimiter."""
    mark = table.delimiter
    _row(table, turn["row"], lambda cells: [*cells[:-1], f"{cells[-1]}{mark}more"])


@spoils_content(Table, 18, _SEARCH, GENERIC_ONLY, row=0, missing=1)
def cells_too_few(table: Table, turn: Turn) -> None:
    """A row has too few cells."""
    _row(table, turn["row"], lambda cells: cells[: -turn["missing"]])


@spoils_content(Table, 18, _SEARCH, GENERIC_ONLY, row=0, more=1)
def cells_too_many(table: Table, turn: Turn) -> None:
    """A row has too many cells."""
    _row(table, turn["row"], lambda cells: [*cells, *["more"] * turn["more"]])


@spoils_content(Table, 18, _SEARCH, GENERIC_ONLY, row=0)
def cells_empty(table: Table, turn: Turn) -> None:
    """All cells of a row are empty."""
    _row(table, turn["row"], lambda cells: [""] * len(cells))


@spoils_content(Table, 18, _SEARCH, GENERIC_ONLY, row=0)
def line_ends_in_data(table: Table, turn: Turn) -> None:
    """A cell holds line ends."""
    _row(table, turn["row"], lambda cells: [*cells[:-1], f"{cells[-1]}first\nsecond"])


@spoils_content(Table, 18, _SEARCH, GENERIC_ONLY)
def columns_missing(table: Table, _: Turn) -> None:
    """COLUMNS is missing."""
    table.columns = []


# --- 19: columns ----------------------------------------------------------------------------------


@spoils_content(Table, 19, _SEARCH, GENERIC_ONLY, column="City", value="elsewhere")
def column_twice(table: Table, turn: Turn) -> None:
    """A column stands twice, with two contents."""
    table.columns = [*table.columns, turn["column"]]
    _each(table, lambda cells: [*cells, turn["value"]])


@spoils_content(Table, 19, _SEARCH, GENERIC_ONLY, column="X_New")
def column_unknown(table: Table, turn: Turn) -> None:
    """There is a column that no metadata know."""
    table.columns = [*table.columns, turn["column"]]
    _each(table, lambda cells: [*cells, "new"])


@spoils_content(Table, 19, _SEARCH, GENERIC_ONLY, column="City")
def column_missing(table: Table, turn: Turn) -> None:
    """A column is missing though it was asked for."""
    if turn["column"] not in table.columns:
        return
    at = table.columns.index(turn["column"])
    table.columns = [*table.columns[:at], *table.columns[at + 1 :]]
    _each(table, lambda cells: [*cells[:at], *cells[at + 1 :]])


@spoils_content(Table, 19, _SEARCH, GENERIC_ONLY)
def column_nameless(table: Table, _: Turn) -> None:
    """A column has no name."""
    table.columns = [*table.columns[:-1], ""]


@spoils_content(Table, 19, _SEARCH, GENERIC_ONLY)
def columns_reordered(table: Table, _: Turn) -> None:
    """Columns are not in the order of Select."""
    table.columns = table.columns[::-1]
    _each(table, lambda cells: cells[::-1])


@spoils_content(Table, 19, _SEARCH, GENERIC_ONLY)
def columns_upper_case(table: Table, _: Turn) -> None:
    """Names of columns are written in capitals."""
    table.columns = [name.upper() for name in table.columns]


# --- 20 and 21: values ----------------------------------------------------------------------------


def _moments(table: Table, write: Callable[[datetime], str]) -> None:
    for name in table.columns:
        if name in _MOMENTS:
            _cell(table, name, lambda text: write(datetime.fromisoformat(text)))


_MOMENTS = frozenset(column.name for column in BY_NAME.values() if column.type == "DateTime")


@spoils_content(Table, 21, _SEARCH, GENERIC_ONLY)
def times_without_zone(table: Table, _: Turn) -> None:
    """Times have no zone."""
    _moments(table, lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S}")


@spoils_content(Table, 21, _SEARCH, GENERIC_ONLY, hours=-5)
def times_with_offset(table: Table, turn: Turn) -> None:
    """Times have an offset."""
    hours = turn["hours"]
    zone = f"{'-' if hours < 0 else '+'}{abs(hours):02}:00"
    _moments(table, lambda m: f"{m + timedelta(hours=hours):%Y-%m-%dT%H:%M:%S}{zone}")


@spoils_content(Table, 21, _SEARCH, GENERIC_ONLY)
def times_with_fraction(table: Table, _: Turn) -> None:
    """Times have fractions of a second."""
    _moments(table, lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S}.123Z")


@spoils_content(Table, 21, _SEARCH, GENERIC_ONLY, hours=-5)
def times_local(table: Table, turn: Turn) -> None:
    """Times are local, and say nothing of it."""
    hours = timedelta(hours=turn["hours"])
    _moments(table, lambda moment: f"{moment + hours:%Y-%m-%dT%H:%M:%S}")


@spoils_content(Table, 21, _SEARCH, GENERIC_ONLY)
def times_day_first(table: Table, _: Turn) -> None:
    """Times are day, month, year and half days."""
    _moments(table, lambda moment: f"{moment:%d/%m/%Y %I:%M:%S %p}")


@spoils_content(Table, 21, _SEARCH, GENERIC_ONLY, column="ListingContractDate", value="0000-00-00")
def date_impossible(table: Table, turn: Turn) -> None:
    """A date cannot be."""
    _cell(table, turn["column"], lambda _: str(turn["value"]))


@spoils_content(Table, 21, _SEARCH, GENERIC_ONLY, years=40)
def time_in_future(table: Table, turn: Turn) -> None:
    """A modification time lies in the future."""

    def later(text: str) -> str:
        return f"{int(text[:4]) + turn['years']}{text[4:]}"

    _cell(table, "ModificationTimestamp", later)


@spoils_content(Table, 20, _SEARCH, GENERIC_ONLY, true="Y", false="N")
def booleans_as_letters(table: Table, turn: Turn) -> None:
    """Booleans are words or letters."""
    words = {"1": turn["true"], "0": turn["false"]}
    for name in [name for name in table.columns if name.endswith("YN")]:
        _cell(table, name, lambda text: words.get(text, text))


@spoils_content(Table, 20, _SEARCH, GENERIC_ONLY, column="LivingArea", value="1,234 sqft")
def number_unreadable(table: Table, turn: Turn) -> None:
    """A number holds what no number does."""
    _cell(table, turn["column"], lambda _: str(turn["value"]))


@spoils_content(Table, 20, _SEARCH, GENERIC_ONLY, column="Status", value="ZZ")
def lookup_unknown(table: Table, turn: Turn) -> None:
    """A cell holds a code that its lookup does not have."""
    _cell(table, turn["column"], lambda _: str(turn["value"]))


@spoils_content(Table, 20, _SEARCH, GENERIC_ONLY, column="Appliances")
def lookup_values_quoted(table: Table, turn: Turn) -> None:
    """Several values of a lookup stand in quotes."""
    column = BY_NAME[turn["column"].lower()]
    names = [name for pair in LOOKUPS[column.lookup] for name in pair]
    # The longest first: values hold commas themselves.
    known = re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)))
    _cell(table, turn["column"], lambda text: known.sub(r'"\g<0>"', text))


@spoils_content(Table, 20, _SEARCH, GENERIC_ONLY, column="Appliances")
def lookup_values_empty(table: Table, turn: Turn) -> None:
    """Empty values stand among several values of a lookup."""
    _cell(table, turn["column"], lambda text: f",{text},")


# --- 25: namespaces -------------------------------------------------------------------------------


@spoils_content(Table, 25, _SEARCH, GENERIC_ONLY, namespace="urn:Board.Search.Property")
def namespace(table: Table, turn: Turn) -> None:
    """STANDARD-XML stands in a namespace."""
    table.namespace = turn["namespace"]


@spoils_content(Table, 25, _SEARCH, GENERIC_ONLY, prefix="re")
def namespace_with_prefix(table: Table, turn: Turn) -> None:
    """STANDARD-XML stands in a namespace with a prefix."""
    table.namespace, table.prefix = "urn:Board.Search.Property", turn["prefix"]
