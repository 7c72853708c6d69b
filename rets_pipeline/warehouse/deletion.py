"""Listings that are gone.

What belongs here: counting them, removing them and leaving tombstones, in one transaction. What
does not: whether that is allowed (the guard, in ``sync``), and their images (the image run).
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from rets_pipeline.warehouse import difference, history, ledgers, pulls, tables
from rets_pipeline.warehouse.pulls import Pull


@dataclass(frozen=True, slots=True)
class Gone:
    """How many keys a master list lacks.

    Attributes:
        keys: in the ledger and not in the list.
        live: those of them that are listings in the tables.
        all_live: listings in the tables.
    """

    keys: int
    live: int
    all_live: int


def count(connection: sa.Connection, feed: str) -> Gone:
    """Count (inside :func:`difference.loaded`)."""
    listing = tables.property_
    missing = difference.gone_keys(feed).subquery()
    keys = connection.execute(sa.select(sa.func.count()).select_from(missing)).scalar_one()
    live = sa.select(sa.func.count()).select_from(listing).where(listing.c.feed == feed)
    gone_live = live.where(listing.c.listing_key.in_(sa.select(missing.c.listing_key)))
    return Gone(
        keys=keys,
        live=connection.execute(gone_live).scalar_one(),
        all_live=connection.execute(live).scalar_one(),
    )


def remove(connection: sa.Connection, master: Pull) -> int:
    """Remove what the master list lacks (inside :func:`difference.loaded`).

    Only the feed's newest list may delete, and only keys whose last pull was requested before it.

    Args:
        master: the list that is loaded.

    Returns:
        The number of keys removed.

    Raises:
        ValueError: a newer complete list exists.
    """
    feed = master.feed
    newest = pulls.newest_master_list(connection, feed)
    if newest is None or newest.pull_id != master.pull_id:
        raise ValueError(f"feed {feed!r}: {master.pull_id} is not the newest master list")
    held, tomb = ledgers.listing_sync, ledgers.tombstone
    doomed = difference.gone_keys(feed).where(held.c.pull_id < master.pull_id)
    connection.execute(sa.delete(tomb).where(tomb.c.feed == feed, tomb.c.listing_key.in_(doomed)))
    connection.execute(
        sa.insert(tomb).from_select(
            [column.name for column in tomb.columns],
            sa.select(
                held.c.feed,
                held.c.listing_key,
                sa.literal(master.pull_id),
                sa.literal(master.requested_at, tomb.c.gone_at.type),
                held.c.master_timestamp,
                held.c.pull_id,
            ).where(held.c.feed == feed, held.c.listing_key.in_(doomed)),
        )
    )
    history.note_gone(connection, master, doomed)
    for name in (*tables.LISTING_TABLES, ledgers.quarantine.name):
        table = tables.named(name)
        connection.execute(
            sa.delete(table).where(table.c.feed == feed, table.c.listing_key.in_(doomed))
        )
    # Last: the query for the doomed keys reads the ledger.
    removed = connection.execute(
        sa.delete(held).where(held.c.feed == feed, held.c.listing_key.in_(doomed))
    ).rowcount
    _remove_unmentioned(connection, feed)
    return removed


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
