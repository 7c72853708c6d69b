"""Listings, members and offices that are gone.

What belongs here: counting them, removing them and leaving tombstones, in one transaction. What
does not: whether that is allowed (the guard, in ``sync``), and their images (the image run).
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from rets_pipeline.warehouse import difference, history, ledgers, pulls, tables
from rets_pipeline.warehouse.pulls import Pull
from rets_pipeline.warehouse.resources import LISTINGS, Resource


@dataclass(frozen=True, slots=True)
class Gone:
    """How many keys a master list lacks.

    Attributes:
        keys: in the ledger and not in the list.
        live: those of them that are rows of the resource.
        all_live: rows of the resource.
    """

    keys: int
    live: int
    all_live: int


def count(connection: sa.Connection, feed: str, resource: Resource = LISTINGS) -> Gone:
    """Count (inside :func:`difference.loaded`)."""
    table = resource.table
    missing = difference.gone_keys(feed, resource).subquery()
    keys = connection.execute(sa.select(sa.func.count()).select_from(missing)).scalar_one()
    live = sa.select(sa.func.count()).select_from(table).where(resource.rows_in(table, feed))
    gone_live = live.where(resource.key_in(table).in_(sa.select(missing)))
    return Gone(
        keys=keys,
        live=connection.execute(gone_live).scalar_one(),
        all_live=connection.execute(live).scalar_one(),
    )


def remove(connection: sa.Connection, master: Pull, resource: Resource = LISTINGS) -> int:
    """Remove what the master list lacks (inside :func:`difference.loaded`).

    Only the newest list may delete, and only keys whose last pull was requested before it. A
    tombstone with keys and times remains.

    Args:
        master: the list that is loaded.
        resource: that it is of.

    Returns:
        The number of keys removed.

    Raises:
        ValueError: a newer complete list exists.
    """
    feed = master.feed
    newest = pulls.newest_master_list(connection, feed, resource)
    if newest is None or newest.pull_id != master.pull_id:
        raise ValueError(f"feed {feed!r}: {master.pull_id} is not the newest master list")
    held = resource.ledger
    doomed = difference.gone_keys(feed, resource).where(held.c.pull_id < master.pull_id)
    _leave_tombstones(connection, master, resource, doomed)
    if resource is LISTINGS:
        history.note_gone(connection, master, doomed)
        for table in map(tables.named, tables.LISTING_TABLES):
            _delete(connection, table, feed, resource, doomed)
    else:
        _leave_to_listings(connection, master, resource, doomed)
    _delete(connection, ledgers.quarantine, feed, resource, doomed)
    # Last: the query for the doomed keys reads the ledger.
    removed = _delete(connection, held, feed, resource, doomed)
    _remove_unmentioned(connection, feed)
    return removed


def _leave_tombstones(
    connection: sa.Connection, master: Pull, resource: Resource, doomed: sa.Select[str]
) -> None:
    held, tomb = resource.ledger, resource.tombstones
    _delete(connection, tomb, master.feed, resource, doomed)
    values = {
        "master_pull_id": sa.literal(master.pull_id),
        "gone_at": sa.literal(master.requested_at, tomb.c.gone_at.type),
        "last_master_timestamp": held.c.master_timestamp,
        "last_pull_id": held.c.pull_id,
    }
    names = [column.name for column in tomb.columns]
    connection.execute(
        sa.insert(tomb).from_select(
            names,
            sa.select(*(values[name] if name in values else held.c[name] for name in names)).where(
                resource.rows_in(held, master.feed), resource.key_in(held).in_(doomed)
            ),
        )
    )


def _delete(
    connection: sa.Connection,
    table: sa.Table,
    feed: str,
    resource: Resource,
    doomed: sa.Select[str],
) -> int:
    return connection.execute(
        sa.delete(table).where(resource.rows_in(table, feed), resource.key_in(table).in_(doomed))
    ).rowcount


def _leave_to_listings(
    connection: sa.Connection, master: Pull, resource: Resource, doomed: sa.Select[str]
) -> None:
    """Gone members or offices become what listings tell of them, or nothing.

    A listing that names one is asked for again: its next load writes what it says of the person
    in place of what the person's own search said.
    """
    feed, table, held = master.feed, resource.table, ledgers.listing_sync
    mention = tables.property_member
    naming = sa.select(mention.c.listing_key).where(
        mention.c.feed == feed, resource.key_in(mention).in_(doomed)
    )
    connection.execute(
        sa.update(held)
        .where(held.c.feed == feed, held.c.state == "loaded", held.c.listing_key.in_(naming))
        .values(state="stale", next_attempt=master.requested_at)
    )
    connection.execute(
        sa.update(table)
        .where(resource.rows_in(table, feed), resource.key_in(table).in_(doomed))
        .values(observed_in=LISTINGS.name, pull_id=None)  # any listing's word counts now
    )


def _remove_unmentioned(connection: sa.Connection, feed: str) -> None:
    """Members and offices that only gone listings told of: nothing personal remains."""
    mention = tables.property_member
    for shared in tables.SHARED_TABLES:
        table = tables.named(shared.name)
        # NOT IN reads the mentions once; SQLite would run a NOT EXISTS for each row.
        mentioned = sa.select(mention.c[shared.key]).where(
            mention.c.feed == feed, mention.c[shared.key].is_not(None)
        )
        unmentioned = sa.select(table.c[shared.key]).where(
            table.c.feed == feed,
            table.c.observed_in == "Property",
            table.c[shared.key].not_in(mentioned),
        )
        for dependent in map(tables.named, shared.dependents):
            connection.execute(
                sa.delete(dependent).where(
                    dependent.c.feed == feed,
                    dependent.c.resource_name == shared.resource_name,
                    dependent.c.resource_record_key.in_(unmentioned),
                )
            )
        connection.execute(
            sa.delete(table).where(table.c.feed == feed, table.c[shared.key].in_(unmentioned))
        )
