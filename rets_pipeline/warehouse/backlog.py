"""Work that waits, asked for cheaply.

What belongs here: for work that runs beside the syncs, whether anything may have changed since the
last look (an index tells), and how much there is to do (counted up to a bound). What does not: the
work itself, and who starts it.

A look happens every minute for every feed. The count walks the feed's rows to find nothing, so it
is made only when the signal has changed since it found nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from rets_pipeline.warehouse import ledgers, media
from rets_pipeline.warehouse.named_images import named_images
from rets_pipeline.warehouse.resources import LISTINGS, Resource

#: a count goes no further: more is as much work for one run as this
BOUND = 10_000
#: failed attempts that are due are counted no further
_RETRIES = 100


@dataclass(frozen=True, slots=True)
class Backlog:
    """Work of one kind on one feed.

    Attributes:
        signal: a text that changes whenever work may have come; from an index.
        count: how many things wait, as far as :data:`BOUND`.
    """

    signal: Callable[[sa.Connection, datetime], str]
    count: Callable[[sa.Connection, datetime], int]


def images(feed: str, sizes: Sequence[str], resources: Sequence[Resource] = (LISTINGS,)) -> Backlog:
    """Images that are missing, changed, due again or gone.

    Args:
        feed: its name.
        sizes: of photos that are mirrored.
        resources: whose images are.
    """

    def signal(connection: sa.Connection, now: datetime) -> str:
        return _signal(connection, feed, sizes, now)

    def count(connection: sa.Connection, now: datetime) -> int:
        return sum(
            media.lacking_or_unnamed(connection, feed, sizes, now, BOUND, resource)
            for resource in resources
        )

    return Backlog(signal, count)


def _signal(connection: sa.Connection, feed: str, sizes: Sequence[str], now: datetime) -> str:
    seen = connection.execute(newest_change(feed)).one()
    people = connection.execute(people_gone(feed)).scalar_one()
    due = connection.execute(due_again(feed, now)).scalar_one()
    return f"{seen.applied_at} {seen.gone_at} {people} {due} {','.join(sizes)}"


def images_signal(
    connection: sa.Connection,
    feed: str,
    sizes: Sequence[str],
    now: datetime,
    resource: Resource = LISTINGS,
) -> str:
    """A text that changes whenever an image run may find something to do.

    As the signal of the backlog, with the number of rows on both sides: an image run trusts it
    instead of comparing every row, so it also tells what somebody removed by hand.
    """
    named, file = named_images(resource).table, ledgers.media_file
    numbers = [
        connection.execute(sa.select(sa.func.count()).select_from(table).where(where)).scalar_one()
        for table, where in ((named, named.c.feed == feed), (file, resource.rows_in(file, feed)))
    ]
    return f"{_signal(connection, feed, sizes, now)} {numbers[0]} {numbers[1]}"


def newest_change(feed: str) -> sa.Select[Any]:
    """When listings were loaded, and when listings went, for the last time."""
    pull, tombstone = ledgers.pull, ledgers.tombstone
    applied = sa.select(sa.func.max(pull.c.applied_at)).where(pull.c.feed == feed)
    gone = sa.select(sa.func.max(tombstone.c.gone_at)).where(tombstone.c.feed == feed)
    return sa.select(
        applied.scalar_subquery().label("applied_at"), gone.scalar_subquery().label("gone_at")
    )


def people_gone(feed: str) -> sa.Select[datetime | None]:
    """When members or offices went for the last time."""
    tombstone = ledgers.resource_tombstone
    return sa.select(sa.func.max(tombstone.c.gone_at)).where(tombstone.c.feed == feed)


def due_again(feed: str, now: datetime) -> sa.Select[int]:
    """How many failed downloads are due, up to a bound."""
    file = ledgers.media_file
    due = (
        sa.select(file.c.feed)
        .where(file.c.feed == feed, file.c.next_attempt <= now)
        .limit(_RETRIES)
        .subquery()
    )
    return sa.select(sa.func.count()).select_from(due)
