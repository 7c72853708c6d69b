"""A master list compared with the ledger of convergence.

What belongs here: the comparison, done by the database so that memory stays flat at a million
keys. What does not: what is done about the differences.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from rets_pipeline.warehouse import bulk
from rets_pipeline.warehouse.resources import LISTINGS, Resource
from rets_pipeline.warehouse.types import UtcTimestamp

Kind = Literal["new", "changed", "retry", "gone"]

#: a cursor on the server, so that a million rows do not arrive at once
_STREAMED = {"yield_per": 5_000}

_TEMPORARY = sa.MetaData()
_received = sa.Table(
    "master_list_received",
    _TEMPORARY,
    sa.Column("record_key", sa.Text, nullable=False),
    sa.Column("master_timestamp", UtcTimestamp),
    prefixes=["TEMPORARY"],
)
#: the master list in the session's own table: each key once
master_list = sa.Table(
    "master_list_entry",
    _TEMPORARY,
    sa.Column("record_key", sa.Text, primary_key=True),
    sa.Column("master_timestamp", UtcTimestamp),
    prefixes=["TEMPORARY"],
)


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
def loaded(
    connection: sa.Connection, entries: Iterable[tuple[str, datetime | None]]
) -> Iterator[int]:
    """Hold a master list in a temporary table while the block runs.

    A key that occurs twice counts once, with the later timestamp.

    Args:
        connection: in a transaction.
        entries: key and timestamp.

    Yields:
        The number of different keys.
    """
    _TEMPORARY.drop_all(connection)
    _TEMPORARY.create_all(connection)
    try:
        bulk.copy(connection, _received, ("record_key", "master_timestamp"), entries)
        connection.execute(
            sa.insert(master_list).from_select(
                ["record_key", "master_timestamp"],
                sa.select(
                    _received.c.record_key, sa.func.max(_received.c.master_timestamp)
                ).group_by(_received.c.record_key),
            )
        )
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("ANALYZE master_list_entry"))
        yield connection.execute(sa.select(sa.func.count()).select_from(master_list)).scalar_one()
    except BaseException:
        if not connection.invalidated and connection.get_transaction() is not None:
            _drop_quietly(connection)
        raise
    # Not quietly: Postgres would answer the COMMIT after a failed statement with a rollback.
    _TEMPORARY.drop_all(connection)


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
    entry, held = master_list, resource.ledger
    held_key = resource.key_in(held)
    equal = sa.or_(
        entry.c.master_timestamp.is_not_distinct_from(held.c.master_timestamp),
        entry.c.master_timestamp == held.c.payload_timestamp,
    )
    due = sa.and_(held.c.state != "loaded", held.c.next_attempt <= now)
    kind = sa.case(
        (held_key.is_(None), "new"), (sa.not_(sa.func.coalesce(equal, False)), "changed"),
        else_="retry",
    )  # fmt: skip
    query = (
        sa.select(entry.c.record_key, kind.label("kind"), entry.c.master_timestamp)
        .select_from(
            entry.outerjoin(
                held, sa.and_(resource.rows_in(held, feed), held_key == entry.c.record_key)
            )
        )
        .where(sa.or_(held_key.is_(None), sa.not_(sa.func.coalesce(equal, False)), due))
        .order_by(sa.nulls_first(entry.c.master_timestamp.desc()), entry.c.record_key)
    )
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
    query = sa.select(held_key.label("record_key"), held.c.master_timestamp).where(
        resource.rows_in(held, feed), held_key.in_(gone_keys(feed, resource))
    )
    for row in connection.execute(query, execution_options=_STREAMED):
        yield Difference(row.record_key, "gone", row.master_timestamp)


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
