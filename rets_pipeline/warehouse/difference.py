"""A master list compared with the ledger of convergence.

What belongs here: the comparison, done by the database so that memory stays flat at a million
keys. What does not: what is done about the differences.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from rets_pipeline.warehouse import bulk
from rets_pipeline.warehouse.resources import LISTINGS, Resource
from rets_pipeline.warehouse.types import UtcTimestamp

if TYPE_CHECKING:  # slow to import
    import pyarrow as pa

Kind = Literal["new", "changed", "retry", "gone"]

#: a cursor on the server, so that a million rows do not arrive at once
_STREAMED = {"yield_per": 5_000}

_TEMPORARY = sa.MetaData()


def _entries(name: str) -> sa.Table:
    return sa.Table(
        name,
        _TEMPORARY,
        sa.Column("record_key", sa.Text, nullable=False),
        sa.Column("master_timestamp", UtcTimestamp),
        prefixes=["TEMPORARY"],
    )


#: the master list in the session's own table: each key once
master_list = _entries("master_list_entry")
_latest = _entries("master_list_latest")
_COLUMNS = ("record_key", "master_timestamp")


@dataclass(frozen=True, slots=True)
class Difference:
    """One key that the server and the warehouse hold differently.

    Attributes:
        kind: ``new``; ``changed``; ``retry`` (asked for before, in vain); ``gone``.
        master_timestamp: in the master list; for gone keys the one that is held.
    """

    key: str
    kind: Kind
    master_timestamp: datetime | None


@contextmanager
def loaded(connection: sa.Connection, batches: Iterable[pa.RecordBatch]) -> Iterator[int]:
    """Hold a master list in a temporary table while the block runs.

    A key that occurs twice counts once, with the later timestamp.

    Args:
        connection: in a transaction.
        batches: keys and timestamps, in the first two columns.

    Yields:
        The number of different keys.
    """
    _TEMPORARY.drop_all(connection)
    _TEMPORARY.create_all(connection)
    try:
        hashes = array("q")
        bulk.copy_batches(connection, master_list, _COLUMNS, _watched(batches, hashes))
        keys = _keep_latest(connection) if _may_repeat(hashes) else len(hashes)
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text(f"ANALYZE {master_list.name}"))
        else:  # which looks each key up, where Postgres hashes all
            key = sa.Index("master_list_key", master_list.c.record_key)
            key.create(connection)
            master_list.indexes.discard(key)
        yield keys
    except BaseException:
        if not connection.invalidated and connection.get_transaction() is not None:
            _drop_quietly(connection)
        raise
    # Not quietly: Postgres would answer the COMMIT after a failed statement with a rollback.
    _TEMPORARY.drop_all(connection)


def _watched(batches: Iterable[pa.RecordBatch], hashes: array[int]) -> Iterator[pa.RecordBatch]:
    """The batches as they pass, with 8 bytes of each key remembered."""
    for batch in batches:
        hashes.extend(map(hash, batch.column(0).to_pylist()))
        yield batch


def _may_repeat(hashes: array[int]) -> bool:
    """Whether a key may occur twice; that no hash does proves that none does."""
    import numpy as np  # slow to import

    every = np.frombuffer(hashes, np.int64)
    every.sort()
    return bool((every[1:] == every[:-1]).any())


def _keep_latest(connection: sa.Connection) -> int:
    """Keep the latest entry of each key; returns the number of keys."""
    latest = sa.select(
        master_list.c.record_key, sa.func.max(master_list.c.master_timestamp)
    ).group_by(master_list.c.record_key)
    connection.execute(sa.insert(_latest).from_select(_COLUMNS, latest))
    connection.execute(sa.delete(master_list))
    connection.execute(sa.insert(master_list).from_select(_COLUMNS, sa.select(_latest)))
    return connection.execute(sa.select(sa.func.count()).select_from(master_list)).scalar_one()


def to_fetch(
    connection: sa.Connection, feed: str, now: datetime, resource: Resource = LISTINGS
) -> Iterator[Difference]:
    """Keys whose details are wanted, the latest timestamps first.

    A key is unchanged when its master timestamp **equals** either stored one, the list's or the
    record's: details may be newer than the list they were found by. Any inequality is a change,
    backwards too (DDF: differs, not "is newer").

    Args:
        connection: inside :func:`loaded`.
        now: attempts that are due by then are repeated.
        resource: whose master list is loaded.
    """
    entry, held = master_list, _held(feed, resource)
    equal, due = _equal_and_due(held, now)
    kind = sa.case((held.c.record_key.is_(None), "new"), (sa.not_(equal), "changed"), else_="retry")
    query = (
        sa.select(entry.c.record_key, kind.label("kind"), entry.c.master_timestamp)
        .select_from(entry.outerjoin(held, held.c.record_key == entry.c.record_key))
        .where(sa.or_(held.c.record_key.is_(None), sa.not_(equal), due))
        .order_by(sa.nulls_first(entry.c.master_timestamp.desc()), entry.c.record_key)
    )
    yield from _read(connection, query)


def differences(
    connection: sa.Connection, feed: str, now: datetime, resource: Resource = LISTINGS
) -> Iterator[Difference]:
    """:func:`to_fetch`, and then :func:`gone`; in one pass over both sides where that is faster."""
    if connection.dialect.name != "postgresql":
        yield from to_fetch(connection, feed, now, resource)
        yield from gone(connection, feed, resource)
        return
    entry, held = master_list, _held(feed, resource)
    equal, due = _equal_and_due(held, now)
    key = sa.func.coalesce(entry.c.record_key, held.c.record_key)
    is_gone = entry.c.record_key.is_(None)
    moment = sa.case((is_gone, held.c.master_timestamp), else_=entry.c.master_timestamp)
    kind = sa.case(
        (is_gone, "gone"), (held.c.record_key.is_(None), "new"), (sa.not_(equal), "changed"),
        else_="retry",
    )  # fmt: skip
    query = (
        sa.select(key.label("record_key"), kind.label("kind"), moment.label("master_timestamp"))
        .select_from(entry.outerjoin(held, held.c.record_key == entry.c.record_key, full=True))
        .where(sa.or_(is_gone, held.c.record_key.is_(None), sa.not_(equal), due))
        .order_by(is_gone, sa.nulls_first(moment.desc()), key)
    )
    yield from _read(connection, query)


def _held(feed: str, resource: Resource) -> sa.Subquery:
    """The ledger of a feed's resource."""
    held = resource.ledger
    columns = (held.c.master_timestamp, held.c.payload_timestamp, held.c.state, held.c.next_attempt)
    return (
        sa.select(resource.key_in(held).label("record_key"), *columns)
        .where(resource.rows_in(held, feed))
        .subquery("held")
    )


def _equal_and_due(
    held: sa.Subquery, now: datetime
) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """Whether the timestamps say "unchanged", and whether an attempt is to be repeated."""
    moment = master_list.c.master_timestamp
    equal = sa.or_(
        moment.is_not_distinct_from(held.c.master_timestamp), moment == held.c.payload_timestamp
    )
    due = sa.and_(held.c.state != "loaded", held.c.next_attempt <= now)
    return sa.func.coalesce(equal, False), due


def _read(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[Difference]:
    for row in connection.execute(query, execution_options=_STREAMED):
        yield Difference(row.record_key, row.kind, row.master_timestamp)


def gone_keys(feed: str, resource: Resource = LISTINGS) -> sa.Select[str]:
    """The query for keys that the ledger has and the master list lacks (inside :func:`loaded`)."""
    held_key = resource.key_in(resource.ledger)
    return sa.select(held_key).where(
        resource.rows_in(resource.ledger, feed),
        ~sa.exists().where(master_list.c.record_key == held_key),
    )


def gone(
    connection: sa.Connection, feed: str, resource: Resource = LISTINGS
) -> Iterator[Difference]:
    """Keys that the ledger has and the master list lacks (inside :func:`loaded`)."""
    held = resource.ledger
    held_key = resource.key_in(held)
    query = sa.select(
        held_key.label("record_key"), sa.literal("gone").label("kind"), held.c.master_timestamp
    ).where(resource.rows_in(held, feed), held_key.in_(gone_keys(feed, resource)))
    yield from _read(connection, query)


@dataclass(frozen=True, slots=True)
class Parity:
    """The keys of the server and of the warehouse, one by one.

    Attributes:
        on_server: keys in the master list.
        live: records in the warehouse.
        missing: on the server and not live, without the two numbers below.
        not_returned: on the server, asked for in vain.
        quarantined: on the server, received, and not understood.
        surplus: live and not on the server.
    """

    on_server: int
    live: int
    missing: int
    not_returned: int
    quarantined: int
    surplus: int


def parity(connection: sa.Connection, feed: str, resource: Resource = LISTINGS) -> Parity:
    """Compare the keys (inside :func:`loaded`)."""
    entry, held, live = master_list, resource.ledger, resource.table
    held_key, live_key = resource.key_in(held), resource.key_in(live)
    joined = entry.outerjoin(
        live, sa.and_(resource.rows_in(live, feed), live_key == entry.c.record_key)
    ).outerjoin(held, sa.and_(resource.rows_in(held, feed), held_key == entry.c.record_key))
    state = sa.case(
        (live_key.is_not(None), "live"),
        (held.c.state.is_(None), "missing"),
        (held.c.state == "loaded", "missing"),
        else_=held.c.state,
    )
    counts: dict[str, int] = {
        row.state: row.keys_in_it
        for row in connection.execute(
            sa.select(state.label("state"), sa.func.count().label("keys_in_it"))
            .select_from(joined)
            .group_by(state)
        )
    }
    surplus = connection.execute(
        sa.select(sa.func.count()).where(
            resource.rows_in(live, feed),
            ~sa.exists().where(entry.c.record_key == live_key),
        )
    ).scalar_one()
    return Parity(
        on_server=sum(counts.values()),
        live=counts.get("live", 0) + surplus,
        missing=counts.get("missing", 0),
        not_returned=counts.get("not_returned", 0),
        quarantined=counts.get("quarantined", 0),
        surplus=surplus,
    )


def _drop_quietly(connection: sa.Connection) -> None:
    """After a failed statement Postgres refuses this too; the rollback drops the tables then."""
    try:
        _TEMPORARY.drop_all(connection)
    except sa.exc.DBAPIError:
        return
