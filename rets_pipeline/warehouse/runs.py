"""The ledger of runs, and a feed's state in numbers.

What belongs here: the statements on ``run_ledger``, and the counts that ``status`` shows. What does
not: how they are printed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from rets_pipeline.warehouse import addresses, ledgers, media, pulls, tables
from rets_pipeline.warehouse.engine import Warehouse, transaction
from rets_pipeline.warehouse.locks import LockHeld, RunLock, describe_holder
from rets_pipeline.warehouse.resources import LISTINGS, OTHERS, Resource


def begin(
    connection: sa.Connection,
    *,
    run_id: str,
    feed: str,
    job: str,
    software_version: str,
    lock_name: str,
) -> None:
    """Note a run's start. A run that is continued under its id starts anew.

    Args:
        lock_name: the lock that the run holds.
    """
    table = ledgers.run_ledger
    killed(connection, lock_name)
    connection.execute(sa.delete(table).where(table.c.run_id == run_id, table.c.feed == feed))
    connection.execute(
        sa.insert(table).values(
            run_id=run_id,
            feed=feed,
            job=job,
            software_version=software_version,
            lock_name=lock_name,
            started_at=datetime.now(UTC),
            actions=[],
        )
    )


def killed(connection: sa.Connection, lock_name: str) -> int:
    """Note that runs were killed: those that began with a lock and have no result.

    Otherwise the lock would not be free. When exactly they ended nobody knows.

    Args:
        lock_name: a lock that the caller holds, and with which no run has begun since it does.

    Returns:
        How many.
    """
    table = ledgers.run_ledger
    return connection.execute(
        sa.update(table)
        .where(table.c.lock_name == lock_name, table.c.result.is_(None))
        .values(result="killed")
    ).rowcount


def note_killed(warehouse: Warehouse, held: Collection[str] = ()) -> int:
    """Note runs of all feeds that were killed: those without a result whose lock is free.

    Whoever comes by does it, since a killed run may have been the last one of its kind for long.

    Args:
        held: locks of the caller; whoever takes one notes it himself (:func:`begin`).

    Returns:
        How many.
    """
    table, count = ledgers.run_ledger, 0
    with warehouse.reading() as connection:
        unended = connection.execute(
            sa.select(table.c.lock_name).where(table.c.result.is_(None)).distinct()
        ).scalars()
        names = sorted(name for name in unended if name is not None and name not in held)
    for name in names:
        with contextlib.suppress(LockHeld):
            lock = RunLock.acquire(
                warehouse, name, holder=describe_holder("a look for killed runs"), wait_seconds=0
            )
            try:
                with transaction(lock.connection) as connection:
                    count += killed(connection, name)
            finally:
                lock.release()
    return count


def forget(connection: sa.Connection, feed: str, started_before: datetime) -> int:
    """Forget runs that were started earlier than that, but the last ones of each job.

    ``status`` tells of a last sync that may be long ago, and an image run of what the last ones
    have settled (:func:`last_action`).

    Returns:
        How many.
    """
    table = ledgers.run_ledger
    place = sa.func.row_number().over(partition_by=table.c.job, order_by=table.c.started_at.desc())
    ranked = (
        sa.select(table.c.run_id, table.c.started_at, place.label("place"))
        .where(table.c.feed == feed, table.c.result.is_not(None))
        .subquery()
    )
    old = sa.select(ranked.c.run_id).where(
        ranked.c.started_at < started_before, ranked.c.place > RUNS_KEPT
    )
    return connection.execute(
        sa.delete(table).where(table.c.feed == feed, table.c.run_id.in_(old))
    ).rowcount


def note(
    connection: sa.Connection,
    *,
    run_id: str,
    feed: str,
    actions: Sequence[dict[str, Any]],
    result: str | None = None,
) -> None:
    """Note what the run has done so far, and its end when there is a result."""
    table = ledgers.run_ledger
    values: dict[str, Any] = {"actions": list(actions)}
    if result is not None:
        values |= {"result": result, "ended_at": datetime.now(UTC)}
    connection.execute(
        sa.update(table).where(table.c.run_id == run_id, table.c.feed == feed).values(values)
    )


def actions(connection: sa.Connection, *, run_id: str, feed: str) -> list[dict[str, Any]]:
    """What a run has done, in order; empty when it is unknown."""
    table = ledgers.run_ledger
    found = connection.execute(
        sa.select(table.c.actions).where(table.c.run_id == run_id, table.c.feed == feed)
    ).scalar_one_or_none()
    return list(found or ())


def last_action(
    connection: sa.Connection, *, feed: str, lock_name: str, action: str
) -> dict[str, Any] | None:
    """What the newest of the runs that began with a lock noted last about an action, or None.

    Args:
        lock_name: the lock.
        action: its name; runs that have not come so far are passed over.
    """
    table = ledgers.run_ledger
    newest = connection.execute(
        sa.select(table.c.actions)
        .where(table.c.feed == feed, table.c.lock_name == lock_name)
        .order_by(table.c.started_at.desc())
        .limit(_RUNS_BACK)
    ).scalars()
    for actions_of_run in newest:
        for noted in reversed(actions_of_run):
            if noted["action"] == action:
                return dict(noted)
    return None


#: of each job, however long ago they were
RUNS_KEPT = 100
#: runs in which an action is looked for
_RUNS_BACK = 5

#: jobs that say nothing about the listings
_NO_SYNC = (
    "images", "addresses", "check", "members_and_offices", "show", "fetch", "retention",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PeopleStatus:
    """Members or offices in numbers.

    Attributes:
        server_keys: in the newest master list; None: none was fetched yet.
        live: rows that came from their own search.
        not_returned: keys that were asked for in vain.
        quarantined: records that were not understood.
        images: their photos, or their logos.
    """

    server_keys: int | None
    server_seen_at: datetime | None
    live: int
    not_returned: int
    quarantined: int
    images: media.Completeness


@dataclass(frozen=True, slots=True)
class Status:
    """A feed in numbers.

    Attributes:
        images: the photos of listings.
        image_reasons: why images of all kinds are not held, the commonest first, with their
            number.
        people: members and offices, by the kind of their pulls.
    """

    feed: str
    server_keys: int | None
    server_seen_at: datetime | None
    live_listings: int
    last_sync_at: datetime | None
    last_sync_result: str | None
    images: media.Completeness
    image_reasons: dict[str, int]
    located: addresses.Located
    not_returned: int
    quarantined: int
    quarantine_entries: int
    tombstones: int
    people: dict[str, PeopleStatus]


def status(connection: sa.Connection, feed: str, sizes: Sequence[str]) -> Status:
    """The feed's state now. Ask for killed runs before (:func:`note_killed`).

    Args:
        sizes: of photos that are mirrored.
    """
    master = pulls.newest_master_list(connection, feed)
    ledger = ledgers.run_ledger
    last = connection.execute(
        sa.select(ledger.c.started_at, ledger.c.ended_at, ledger.c.result)
        .where(ledger.c.feed == feed, ledger.c.job.not_in(_NO_SYNC))
        .order_by(ledger.c.started_at.desc())
        .limit(1)
    ).one_or_none()
    states = _states(connection, feed, LISTINGS)
    return Status(
        feed=feed,
        server_keys=master.records if master else None,
        server_seen_at=master.requested_at if master else None,
        live_listings=_count(connection, tables.property_, feed),
        last_sync_at=(last.ended_at or last.started_at) if last else None,
        last_sync_result=(last.result or "running") if last else None,
        images=media.completeness(connection, feed, sizes),
        image_reasons=media.reasons(connection, feed),
        located=addresses.located(connection, feed),
        not_returned=states.get("not_returned", 0),
        quarantined=states.get("quarantined", 0),
        quarantine_entries=_count(connection, ledgers.quarantine, feed),
        tombstones=_count(connection, ledgers.tombstone, feed),
        people={resource.kind: _people(connection, feed, sizes, resource) for resource in OTHERS},
    )


def _people(
    connection: sa.Connection, feed: str, sizes: Sequence[str], resource: Resource
) -> PeopleStatus:
    master = pulls.newest_master_list(connection, feed, resource)
    states = _states(connection, feed, resource)
    live = sa.select(sa.func.count()).select_from(resource.table)
    return PeopleStatus(
        server_keys=master.records if master else None,
        server_seen_at=master.requested_at if master else None,
        live=connection.execute(live.where(resource.rows_in(resource.table, feed))).scalar_one(),
        not_returned=states.get("not_returned", 0),
        quarantined=states.get("quarantined", 0),
        images=media.completeness(connection, feed, sizes, resource),
    )


def _states(connection: sa.Connection, feed: str, resource: Resource) -> dict[str, int]:
    """How many keys of the ledger are in each state."""
    held = resource.ledger
    query = (
        sa.select(held.c.state, sa.func.count().label("keys_in_it"))
        .where(resource.rows_in(held, feed))
        .group_by(held.c.state)
    )
    return {row.state: row.keys_in_it for row in connection.execute(query)}


def _count(connection: sa.Connection, table: sa.Table, feed: str) -> int:
    return connection.execute(
        sa.select(sa.func.count()).select_from(table).where(table.c.feed == feed)
    ).scalar_one()
