"""What may be forgotten: old pulls, old master lists, old tombstones.

What belongs here: the rules as queries, and forgetting the rows. What does not: ages (settings),
and the pulls' objects in the archive (``sync.retention``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import sqlalchemy as sa

from rets_pipeline.warehouse import ledgers, pulls
from rets_pipeline.warehouse.pulls import Pull
from rets_pipeline.warehouse.resources import Resource

#: what is neither on its way nor waits to be loaded
_DONE = ("applied", "failed", "abandoned")
#: states of the ledger in which it names the pull that a record came from
_AS_PULLED = ("loaded", "stale")


def master_lists(
    connection: sa.Connection,
    feed: str,
    resource: Resource,
    *,
    thin_before: datetime,
    forget_before: datetime,
) -> list[Pull]:
    """Master lists that nobody needs: all but the newest, those of the last day, and one a day.

    Args:
        connection: of the holder of the feed's lock, so that none is on its way.
        feed: its name.
        resource: that they are of.
        thin_before: those requested earlier go, unless they are the last complete one of their
            UTC day.
        forget_before: of those requested earlier, none.
    """
    newest = pulls.newest_master_list(connection, feed, resource)
    found: list[Pull] = []
    days: set[date] = set()
    for item in reversed(pulls.of_kind(connection, feed, resource.master_list_kind)):
        day, complete = item.requested_at.date(), item.state == "complete"
        kept = item.requested_at >= thin_before or (newest and item.pull_id == newest.pull_id)
        if not kept and (not complete or item.requested_at < forget_before or day in days):
            found.append(item)
        elif complete:
            days.add(day)
    return found


def unneeded(
    connection: sa.Connection,
    feed: str,
    resource: Resource,
    *,
    requested_before: datetime,
    gone_before: datetime,
    limit: int,
) -> list[Pull]:
    """Pulls that nothing live came from, as far as the ledger knows, the oldest first.

    Args:
        connection: of the holder of the feed's lock.
        feed: its name.
        resource: that they are of.
        requested_before: those requested earlier.
        gone_before: also later ones, when all that was last seen in them is gone since earlier.
        limit: the most to return.
    """
    pull, held, tomb = ledgers.pull, resource.ledger, resource.tombstones
    # NOT IN and IN read the ledger once; SQLite would run a NOT EXISTS for each pull.
    needed = sa.select(held.c.pull_id).where(resource.rows_in(held, feed))
    gone = (
        sa.select(tomb.c.last_pull_id)
        .where(resource.rows_in(tomb, feed), tomb.c.last_pull_id.is_not(None))
        .group_by(tomb.c.last_pull_id)
        .having(sa.func.max(tomb.c.gone_at) < gone_before)
    )
    return pulls.of_kind(
        connection,
        feed,
        resource.kind,
        pull.c.state.in_(_DONE),
        pull.c.pull_id.not_in(needed),
        sa.or_(pull.c.requested_at < requested_before, pull.c.pull_id.in_(gone)),
        limit=limit,
    )


def uncertain(
    connection: sa.Connection, feed: str, resource: Resource, limit: int
) -> set[str] | None:
    """Live keys whose last download failed, so that the ledger names another pull than theirs.

    Args:
        connection: any.
        feed: its name.
        resource: that they are of.
        limit: when there are more, the answer is None.
    """
    held, live = resource.ledger, resource.table
    query = (
        sa.select(resource.key_in(held))
        .join(
            live,
            sa.and_(resource.rows_in(live, feed), resource.key_in(live) == resource.key_in(held)),
        )
        .where(resource.rows_in(held, feed), held.c.state.not_in(_AS_PULLED))
        .limit(limit + 1)
    )
    found = set(connection.execute(query).scalars())
    return None if len(found) > limit else found


def forget(connection: sa.Connection, feed: str, forgotten: Sequence[Pull]) -> None:
    """Forget pulls whose objects are gone, and what the quarantine has of them without a key.

    Args:
        connection: in a transaction, of the holder of the feed's lock.
        feed: its name.
        forgotten: a few hundred at most.
    """
    ids = [item.pull_id for item in forgotten]
    pull, entry = ledgers.pull, ledgers.quarantine
    connection.execute(
        sa.delete(entry).where(
            entry.c.feed == feed, entry.c.resource_record_key.is_(None), entry.c.pull_id.in_(ids)
        )
    )
    connection.execute(sa.delete(pull).where(pull.c.feed == feed, pull.c.pull_id.in_(ids)))


def forget_tombstones(
    connection: sa.Connection, feed: str, resource: Resource, gone_before: datetime
) -> int:
    """Remove tombstones of keys that are gone since earlier than that.

    One stays as long as a pull is kept that may hold its record: a replay of that pull would
    bring it back.

    Returns:
        The number of tombstones removed.
    """
    pull, tomb = ledgers.pull, resource.tombstones
    oldest = connection.execute(
        sa.select(sa.func.min(pull.c.pull_id)).where(
            pull.c.feed == feed, pull.c.kind == resource.kind
        )
    ).scalar_one()
    last_seen = sa.func.coalesce(tomb.c.last_pull_id, tomb.c.master_pull_id)
    return connection.execute(
        sa.delete(tomb).where(
            resource.rows_in(tomb, feed),
            tomb.c.gone_at < gone_before,
            sa.true() if oldest is None else last_seen < oldest,
        )
    ).rowcount
