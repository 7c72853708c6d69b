"""What the server sends that nobody knew of: elements without a rule, values without a lookup.

What belongs here: noticing them, and remembering since when. What does not: what becomes of them;
nothing is lost, since ``source_fields`` keeps what no rule names.

A bounded sample is looked at: the listings that changed last, which a run has just brought.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rets_pipeline.sources.base import SourceElement
from rets_pipeline.sync import lookups, notes
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.sync.quality import Verdict
from rets_pipeline.warehouse import preview
from rets_pipeline.warehouse.resources import LISTINGS

#: listings looked at by one run
SAMPLE = 200
#: how long something counts as new: until somebody has looked at the UI
NEW_FOR = timedelta(days=1)
_SEEN = "schema_seen"
_CASES = 20

#: kind and name, such as ``element`` and ``Building/Turret``
_Found = tuple[str, str]


def drift(mirror: Mirror, *, now: datetime | None = None) -> Verdict:
    """Elements and values that were seen for the first time lately.

    Values that the server adds to its own lookups are told too. Those that it has when it is first
    asked are what the rest is compared with.

    Args:
        now: the time, for tests.
    """
    now = now or datetime.now(UTC)
    on_server = lookups.kept(mirror)
    listed = {
        ("value listed", f"{lookup}: {value}")
        for lookup, values in on_server.items()
        for value in values
    }
    unknown = set(_unknown(mirror, on_server))
    seen: dict[str, dict[str, str | None]] = notes.read(mirror, _SEEN)
    first = "value listed" not in seen and bool(listed)
    unseen = [(kind, name) for kind, name in listed | unknown if name not in seen.get(kind, {})]
    for kind, name in unseen:
        known_before = first and kind == "value listed"
        seen.setdefault(kind, {})[name] = None if known_before else now.isoformat()
    if unseen:
        notes.write(mirror, _SEEN, seen)
    fresh = [
        {"what": kind, "name": name, "first seen": since}
        for kind, names in seen.items()
        for name, since in names.items()
        if since is not None and now - datetime.fromisoformat(since) < NEW_FOR
    ]
    return Verdict(
        not fresh,
        f"{len(fresh):,} elements or values are new: " + ", ".join(
            f"{case['what']} {case['name']}" for case in fresh[:3]
        )
        if fresh
        else "no element or value is new",
        {
            "new": len(fresh),
            "elements_without_rule": len(seen.get("element", {})),
            "values_not_listed": len(seen.get("value", {})),
            "values_listed": len(listed),
        },
        fresh[:_CASES],
    )  # fmt: skip


def _unknown(mirror: Mirror, on_server: Mapping[str, Iterable[str]]) -> Iterator[_Found]:
    elements = mirror.source.elements()
    known = frozenset(element.path.partition("/")[2].casefold() for element in elements)
    columns = _columns_with_lookups(elements, on_server)
    with mirror.warehouse.reading() as connection:
        rows = preview.columns_of_newest(
            connection, mirror.feed.name, ["source_fields", *columns], SAMPLE
        )
    for row in rows:
        for path in _paths(row.source_fields):
            if path.casefold() not in known:
                yield "element", path
    for column, (lookup, values) in columns.items():
        for value in {value for row in rows for value in getattr(row, column) or ()}:
            if value.casefold() not in values:
                yield "value", f"{lookup}: {value}"


def _columns_with_lookups(
    elements: Iterable[SourceElement], on_server: Mapping[str, Iterable[str]]
) -> dict[str, tuple[str, frozenset[str]]]:
    """The columns of a listing that hold values of a lookup, with that and its values."""
    return {
        column: (element.lookup, frozenset(text.casefold() for text in on_server[element.lookup]))
        for element in elements
        if element.lookup is not None and element.lookup in on_server
        for table, column in element.columns
        if table == LISTINGS.table.name and column != "source_fields"
    }


def _paths(value: Any, path: str = "") -> Iterator[str]:
    """The paths of all texts in what no column took."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _paths(inner, path if name == "#text" else f"{path}/{name}".lstrip("/"))
    elif isinstance(value, list):
        for inner in value:
            yield from _paths(inner, path)
    elif path and value is not None:
        yield path
