"""One record under the lens: what the server says beside what the warehouse holds.

What belongs here: asking for one record, reading it as a load would, and comparing value by value.
What does not: SQL (``warehouse.record``), printing (``commands``), and any repair.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa

from rets_pipeline.sources.base import UnparsedListing, UnparsedRecord
from rets_pipeline.sync import lookups, pull
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.sync.pages import Page
from rets_pipeline.sync.pull import read_manifest, read_page
from rets_pipeline.sync.reading import Parsed, Unparsed, read_record
from rets_pipeline.warehouse import record as records
from rets_pipeline.warehouse import tables
from rets_pipeline.warehouse.comparison import canonical
from rets_pipeline.warehouse.record import Record
from rets_pipeline.warehouse.resources import LISTINGS, Resource

#: what a load adds to rows, and no payload says
_OURS = frozenset({"feed", "pull_id", "observed_in"})


@dataclass(frozen=True, slots=True)
class Observed:
    """What the server says, now or when it was asked last.

    Attributes:
        pull_id: of the archived pull; None: the server was asked just now.
        requested_at: when it was asked.
        result: the record as rows, or why it cannot become rows; None: it was not returned.
    """

    pull_id: str | None
    requested_at: datetime
    result: Parsed | Unparsed | None

    @property
    def rows(self) -> Mapping[str, list[dict[str, Any]]]:
        """Rows by table; none of a record that is absent or was not understood."""
        return getattr(self.result, "rows", None) or {}

    @property
    def problem(self) -> str | None:
        """Why the record could not become rows."""
        if isinstance(self.result, UnparsedListing | UnparsedRecord):
            return self.result.problem.reason
        return None


@dataclass(frozen=True, slots=True)
class FieldSeen:
    """One column of one row, as text on both sides.

    Attributes:
        state: ``equal``, ``differs``, or ``masked``: it differs, and no comparison of the sync
            minds, since the source changes it without a change of the record.
    """

    column: str
    server: str | None
    warehouse: str | None
    state: Literal["equal", "differs", "masked"]


@dataclass(frozen=True, slots=True)
class RowSeen:
    """One row of one table.

    Attributes:
        key: its primary key without the feed.
        state: on which side it is; ``later``: of an agent or office, and another search or a later
            pull said what stands there, so it is not compared.
        fields: those that say anything on either side.
    """

    table: str
    key: str
    state: Literal["both", "server only", "warehouse only", "later"]
    fields: list[FieldSeen]

    @property
    def differences(self) -> int:
        """How many columns differ; a row on one side only counts as one."""
        if self.state == "later":
            return 0
        if self.state != "both":
            return 1
        return sum(item.state == "differs" for item in self.fields)


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything of one key.

    Attributes:
        verdict: one of :data:`VERDICTS`.
        rows: the comparison; empty when one side has no rows.
        observed: None: no archived pull holds the record (only without the server).
    """

    feed: str
    resource: Resource
    key: str
    observed: Observed | None
    record: Record
    verdict: str = ""
    rows: list[RowSeen] = field(default_factory=list)

    @property
    def differences(self) -> int:
        """How many values and rows differ."""
        return sum(row.differences for row in self.rows)


#: what may be said of a key, and what it means
VERDICTS = {
    "equal": "The warehouse holds what the server says.",
    "differs": "The warehouse holds something else than the server says.",
    "not fetched": "The server has it and the warehouse does not; the next sync fetches it.",
    "quarantined": "It could not be understood; the quarantine tells why.",
    "not returned": "The warehouse holds it, and the server does not return it now.",
    "never returned": "The master list named it, the server did not return it; it is tried again.",
    "gone": "It is gone: a complete master list lacked it, and a tombstone remains.",
    "returned again": "It was gone, and the server returns it again; the next sync fetches it.",
    "not archived": "The warehouse holds it, and no pull with it is in the archive.",
    "nowhere": "Nobody knows it: neither the server nor the warehouse.",
}


def look(mirror: Mirror, resource: Resource, key: str, *, offline: bool = False) -> Seen:
    """Set the server's record beside the warehouse's.

    Args:
        resource: that the record belongs to.
        key: the server's own.
        offline: take the newest archived pull that returned the record instead of asking.

    Raises:
        ValueError: it cannot be a key.
        LockHeld: another run on the feed did not end in time.
        RetsError: the server refused.
        BrokenPull: the archived pull cannot be read.
    """
    mirror.source_of(resource).detail_search([key])  # refuses what cannot be a key
    lookups.teach(mirror)
    observed = None if offline else ask(mirror, resource, key)
    with mirror.warehouse.reading() as connection:
        found = records.read(connection, mirror.feed.name, resource, key)
        if offline:
            observed = archived(mirror, connection, resource, key)
    rows = list(compare(resource, observed, found)) if observed and observed.rows else []
    seen = Seen(mirror.feed.name, resource, key, observed, found, rows=rows)
    return Seen(mirror.feed.name, resource, key, observed, found, _verdict(seen), rows)


def ask(mirror: Mirror, resource: Resource, key: str) -> Observed:
    """Ask the server for one record, under the feed's lock. Nothing is kept."""
    moment = datetime.now(UTC)
    pages = [page.data for page in pull.answers(mirror, resource, [key])]
    return Observed(None, moment, _read(mirror, resource, key, pages))


def archived(
    mirror: Mirror, connection: sa.Connection, resource: Resource, key: str
) -> Observed | None:
    """The record as the newest archived pull has it that returned it.

    Raises:
        BrokenPull: a pull that may hold it cannot be read.
    """
    for row in records.pulls_with(connection, mirror.feed.name, resource):
        manifest = read_manifest(mirror.archive, mirror.feed.name, row["archive_prefix"], resource)
        if manifest is None or key not in manifest.keys:
            continue
        pages = (read_page(mirror.archive, manifest.pull, page) for page in manifest.pages)
        result = _read(mirror, resource, key, pages)
        if result is not None:
            return Observed(row["pull_id"], row["requested_at"], result)
    return None


def compare(resource: Resource, observed: Observed, found: Record) -> Iterator[RowSeen]:
    """The rows of both sides, table by table, the record's own first."""
    shared = {name: item for item in tables.SHARED_TABLES for name in (item.name, *item.dependents)}
    later = _told_later(resource, found)
    for name in {**found.rows, **observed.rows}:
        table = tables.named(name)
        said = _by_key(table, observed.rows.get(name, ()))
        held = _by_key(table, found.rows.get(name, ()))
        for key in dict.fromkeys([*said, *held]):
            if key not in said and name in shared and resource is LISTINGS:
                continue  # phones that another listing told of
            of_another = resource is LISTINGS and _owner(name, key) in later
            yield _row(table, key, said.get(key), held.get(key), later=of_another)


def _row(
    table: sa.Table,
    key: tuple[Any, ...],
    said: Mapping[str, Any] | None,
    held: Mapping[str, Any] | None,
    *,
    later: bool,
) -> RowSeen:
    state: Literal["both", "server only", "warehouse only", "later"] = "both"
    if held is None or said is None:
        state = "server only" if held is None else "warehouse only"
    if later and held is not None:
        state = "later"
    masked = tables.UNCOMPARED_COLUMNS.get(table.name, frozenset())
    fields = []
    for column in table.columns:
        if column.name in _OURS:
            continue
        text = canonical(column.type)
        server = text(said.get(column.name)) if said else None
        warehouse = text(held.get(column.name)) if held else None
        if server is None and warehouse is None:
            continue
        same: Literal["equal", "masked", "differs"] = "differs"
        if server == warehouse:
            same = "equal"
        elif column.name in masked or (
            tables.compared(table.name, column.name, server)
            == tables.compared(table.name, column.name, warehouse)
        ):
            same = "masked"
        fields.append(FieldSeen(column.name, server, warehouse, same))
    return RowSeen(table.name, " ".join(map(str, key)), state, fields)


def _by_key(
    table: sa.Table, rows: Sequence[Mapping[str, Any]]
) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    names = [column.name for column in table.primary_key.columns if column.name != "feed"]
    return {tuple(row[name] for name in names): row for row in rows}


def _told_later(resource: Resource, found: Record) -> set[tuple[str, str]]:
    """Agents and offices whose rows come from a search of their own, or from a later pull."""
    if resource is not LISTINGS or found.ledger is None:
        return set()
    return {
        (shared.resource_name, row[shared.key])
        for shared in tables.SHARED_TABLES
        for row in found.rows.get(shared.name, ())
        if row["observed_in"] != LISTINGS.name or (row["pull_id"] or "") != found.ledger["pull_id"]
    }


def _owner(table: str, key: tuple[Any, ...]) -> tuple[str, str]:
    """The resource and key of an agent's or office's row, or of one of its dependents."""
    for shared in tables.SHARED_TABLES:
        if table == shared.name:
            return shared.resource_name, key[0]
    return (key[0], key[1]) if len(key) > 1 else ("", "")


def _read(mirror: Mirror, resource: Resource, key: str, pages: Any) -> Parsed | Unparsed | None:
    """The last record of that key in some pages, as a load reads it."""
    source, result = mirror.source_of(resource), None
    for data in pages:
        page = Page(data, source.detail_record)
        for raw in page.records:
            head = source.head(raw)
            if head.key == key:
                result = read_record(source, page, raw, head)
    return result


def _verdict(seen: Seen) -> str:
    record, observed = seen.record, seen.observed
    if observed is not None and observed.problem:
        return "quarantined"
    if record.is_live:
        if observed is None:
            return "not archived"
        if observed.result is None:
            return "not returned"
        return "differs" if seen.differences else "equal"
    return _verdict_without_rows(record, observed)


def _verdict_without_rows(record: Record, observed: Observed | None) -> str:
    returned = observed if observed is not None and observed.result is not None else None
    if record.tombstone is not None:
        gone_at: datetime = record.tombstone["gone_at"]
        return "returned again" if returned and returned.requested_at > gone_at else "gone"
    if record.ledger is not None and record.ledger["state"] == "quarantined":
        return "quarantined"
    if returned:
        return "not fetched"
    return "never returned" if record.is_known else "nowhere"
