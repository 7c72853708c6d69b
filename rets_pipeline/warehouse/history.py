"""What changed, when, from what to what: RESO's HistoryTransactional, for listings.

What belongs here: the entries of loads and deletions. What does not: finding what differs
(``comparison``), and which listings are loaded (``load``) or gone (``deletion``).

An entry says what one pull showed of one listing:

===================  ===========================  =================================================
ChangeType           FieldName                    values
===================  ===========================  =================================================
New Listing          that of the asking price     none → price; once, at the first load
Price Change         ListPrice or LeaseAmount     price → price
Active, Pending, …   StandardStatus               status → status; the type is the new status, or
                                                  Status Change where RESO's lookup lacks it
Field Change         of any other column          value → value
Field Change         Rooms, Media                 their number
Field Change         OpenHouse                    when each begins, local, as a list
Field Change         PropertyMember               the keys of the agents, as a list
Back On Market       that of the asking price     none → price; a tombstone was lifted
Deleted              that of the asking price     price → none; a master list lacks the listing
===================  ===========================  =================================================

Status Change and Field Change are ours, the others values of RESO's ChangeType. The asking price
is ListPrice, or without one LeaseAmount: the first entry, the price changes and Deleted make a
chain. A room or a photo that changed while their number stayed has no entry of its own (a photo
moves PhotosChangeTimestamp): to compare every child row would cost more than to write it.

Values are text in one form on both databases: numbers without trailing zeros; ``true`` and
``false``; ISO 8601, in UTC with a ``Z`` unless the time is local; lists and documents as JSON
with sorted names; nothing as NULL. ModificationTimestamp is the record's own; for Deleted it is
the time when the master list was requested.

**A function of the observed contents.** An entry's key is a hash of feed, listing, pull and
field, so that nothing stands twice. Loading once more what the same pull has loaded writes
nothing, even when a better mapping makes other rows of it: nothing changed at the source. So
after a change of the mapping replay first: the next sync would take what the mapping changed for
changes at the source. Of a record that a pull brought twice, the first one's entries stand.

**When a listing is gone** nothing personal remains. Its entries stay, under its keys and with the
values that a market is measured by: numbers (prices, counts, measures), dates, yes and no, status.
All others are blanked: text, lists and documents, keys of agents and offices, and coordinates,
which are an address in numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import blake2b
from typing import Any, Literal

import sqlalchemy as sa

from rets_pipeline.warehouse import bulk, comparison, tables
from rets_pipeline.warehouse.comparison import Difference, Field, Remembered, Rows
from rets_pipeline.warehouse.pulls import Pull
from rets_pipeline.warehouse.types import UtcTimestamp

NEW, BACK, GONE = "New Listing", "Back On Market", "Deleted"
PRICE_CHANGE, STATUS_CHANGE, FIELD_CHANGE = "Price Change", "Status Change", "Field Change"

#: the values of RESO's ChangeType that are statuses
STATUSES = frozenset(
    {
        "Active", "Active Under Contract", "Canceled", "Closed", "Coming Soon", "Expired", "Hold",
        "Pending", "Withdrawn",
    }
)  # fmt: skip

RESOURCE_NAME = "Property"
_PRICES = ("list_price", "lease_amount")
_STATUS = "standard_status"
#: what a market is measured by, beside the status and the children's numbers and dates
_MEASURES = (sa.Numeric, sa.Integer, sa.Boolean, sa.Date, sa.DateTime, UtcTimestamp)
_COORDINATES = frozenset({"latitude", "longitude"})
_ROWS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Observation:
    """A listing that a load is about to write.

    Attributes:
        rows: by table.
        timestamp: the record's own.
        before: the listing is ``live``, or it is not and has a tombstone (``gone``) or not
            (``unknown``).
    """

    listing_key: str
    rows: Mapping[str, Rows]
    timestamp: datetime | None
    before: Literal["live", "gone", "unknown"]

    @property
    def row(self) -> Mapping[str, Any]:
        """Of ``property``."""
        return next(iter(self.rows.get("property", ())), {})


#: the columns of an entry, but for those that are the same in the whole pull
_COLUMNS = (
    "history_transactional_key", "resource_record_key", "resource_record_id",
    "modification_timestamp", "change_type", "field_name", "previous_value", "new_value",
)  # fmt: skip
_received = sa.Table(
    "history_received",
    sa.MetaData(),
    *(
        sa.Column(name, tables.history_transactional.c[name].type)
        for name in ("feed", "resource_name", "pull_id", *_COLUMNS)
    ),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)
_Entry = tuple[str, str, str | None, datetime | None, str, str | None, str | None, str | None]


@contextmanager
def recorded(
    connection: sa.Connection, pull: Pull, observations: Sequence[Observation]
) -> Iterator[None]:
    """Write the entries of what the block replaces.

    Args:
        connection: in a transaction.
        pull: the pull that showed the listings.
        observations: each key once, and none that this very pull has loaded before.
    """
    live = {item.listing_key: item for item in observations if item.before == "live"}
    remembered = Remembered(connection, pull.feed, list(live)) if live else None
    yield
    entries = list(_appearances(connection, pull, observations))
    if remembered is not None:
        entries.extend(
            _change(pull, live[difference.listing_key], difference)
            for difference in _differences(remembered, live.values())
        )
    _write(connection, pull, entries)


def note_gone(connection: sa.Connection, master: Pull, doomed: sa.Select[Any]) -> None:
    """Note that listings are gone, and blank what must not remain of them. Before their rows go.

    Args:
        connection: in a transaction.
        master: the list that lacks them.
        doomed: the query for their keys; those that are no listings get no entry.
    """
    listing, history = tables.property_, tables.history_transactional
    prices = (listing.c[name] for name in _PRICES)
    found = connection.execute(
        sa.select(listing.c.listing_key, listing.c.listing_id, *prices).where(
            listing.c.feed == master.feed, listing.c.listing_key.in_(doomed)
        ),
        execution_options={"yield_per": _ROWS_AT_ONCE},
    )
    for rows in found.partitions():
        entries: list[_Entry] = []
        for row in rows:
            name, price = _asking_price(row._asdict())
            key = entry_key(master.feed, row.listing_key, master.pull_id, GONE)
            entries.append(
                (key, row.listing_key, row.listing_id, master.requested_at, GONE, name, price, None)
            )
        _write(connection, master, entries)
    connection.execute(
        sa.update(history)
        .where(
            history.c.feed == master.feed,
            history.c.resource_name == RESOURCE_NAME,
            history.c.resource_record_key.in_(doomed),
            history.c.pull_id < master.pull_id,
            history.c.field_name.not_in(remaining()),
        )
        .values(previous_value=None, new_value=None)
    )


def entry_key(feed: str, listing_key: str, pull_id: str, what: str) -> str:
    """The HistoryTransactionalKey.

    Args:
        pull_id: of the pull that showed it; empty for what happens once.
        what: the column, the child table, or the ChangeType of an entry on the whole listing.
    """
    text = "\x00".join((feed, RESOURCE_NAME, listing_key, pull_id, what))
    return blake2b(text.encode(), digest_size=16).hexdigest()


@cache
def remaining() -> tuple[str, ...]:
    """The FieldNames whose values stay when a listing is gone."""
    fields = (*comparison.columns(), *comparison.children())
    return tuple(field.field_name for field in fields if _remains(field))


def _remains(field: Field) -> bool:
    if field.name in _COORDINATES:
        return False
    return field.type is None or field.name == _STATUS or isinstance(field.type, _MEASURES)


def _appearances(
    connection: sa.Connection, pull: Pull, observations: Iterable[Observation]
) -> Iterator[_Entry]:
    absent = [item for item in observations if item.before != "live"]
    buried = [item.listing_key for item in absent if item.before == "gone"]
    # A key with a tombstone may never have been a listing: it was asked for in vain.
    seen = _seen(connection, pull, buried) if buried else set()
    for item in absent:
        kind = BACK if item.listing_key in seen else NEW
        pull_id = pull.pull_id if kind == BACK else ""
        name, price = _asking_price(item.row)
        yield (
            entry_key(pull.feed, item.listing_key, pull_id, kind), item.listing_key,
            item.row.get("listing_id"), item.timestamp, kind, name, None, price,
        )  # fmt: skip


def _differences(
    remembered: Remembered, observations: Iterable[Observation]
) -> Iterator[Difference]:
    yield from remembered.in_columns()
    for item in observations:
        yield from remembered.in_children(item.listing_key, item.rows)


def _change(pull: Pull, item: Observation, found: Difference) -> _Entry:
    return (
        entry_key(pull.feed, item.listing_key, pull.pull_id, found.field.name), item.listing_key,
        item.row.get("listing_id"), item.timestamp, _change_type(found.field, found.new),
        found.field.field_name, found.previous, found.new,
    )  # fmt: skip


def _change_type(field: Field, new: str | None) -> str:
    if field.name in _PRICES:
        return PRICE_CHANGE
    if field.name == _STATUS:
        return new if new in STATUSES else STATUS_CHANGE
    return FIELD_CHANGE


def _asking_price(row: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """FieldName and value; both None when nothing is asked."""
    for name in _PRICES:
        if row.get(name) is not None:
            field = comparison.column(name)
            return field.field_name, field.text(row[name])
    return None, None


def _seen(connection: sa.Connection, pull: Pull, listing_keys: Sequence[str]) -> set[str]:
    """Those of the keys that had been listings before the pull."""
    history = tables.history_transactional
    query = sa.select(history.c.resource_record_key).where(
        history.c.feed == pull.feed,
        history.c.resource_name == RESOURCE_NAME,
        history.c.change_type == NEW,
        history.c.pull_id < pull.pull_id,
        bulk.among(connection, history.c.resource_record_key, listing_keys),
    )
    return set(connection.execute(query).scalars())


def _write(connection: sa.Connection, pull: Pull, entries: Sequence[_Entry]) -> None:
    """Those that stand already stay as they are: somebody may have emptied the other tables."""
    if not entries:
        return
    comparison.prepare(connection, _received)
    names = [column.name for column in _received.columns]
    common = (pull.feed, RESOURCE_NAME, pull.pull_id)
    bulk.copy(connection, _received, names, ((*common, *entry) for entry in entries))
    # COPY knows no conflict.
    connection.exec_driver_sql(
        f"INSERT INTO history_transactional ({', '.join(names)})"  # noqa: S608
        f" SELECT {', '.join(names)} FROM {_received.name} WHERE true ON CONFLICT DO NOTHING"
    )
