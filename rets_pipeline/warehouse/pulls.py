"""The ledger of pulls.

What belongs here: the statements on the table ``pull``. What does not: the archive, which holds
the pulls themselves; a manifest there is the proof of completeness, the row here its index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa

from rets_pipeline.warehouse import bulk, ledgers
from rets_pipeline.warehouse.resources import LISTINGS, Kind, Resource

_IDS_AT_ONCE = 500
_ID_FORMAT = "%Y%m%dT%H%M%S%fZ"


@dataclass(frozen=True, slots=True)
class Pull:
    """One row of the ledger.

    Attributes:
        pull_id: sorts in the order of the requests of its feed.
        day: of the listings' timestamps (UTC); None for what is no pull of listings.
        archive_prefix: where its pages and its manifest are, without a slash at the end.
        records: rows received; None until complete.
    """

    feed: str
    pull_id: str
    kind: Kind
    state: str
    day: date | None
    archive_prefix: str
    requested_at: datetime
    keys_asked: int | None = None
    records: int | None = None
    bytes: int | None = None
    requests: int | None = None


_COLUMNS = [ledgers.pull.c[name] for name in Pull.__dataclass_fields__]


def moment_of(pull_id: str) -> datetime:
    """The time in an id: that of the request, unless the clock had gone back."""
    return datetime.strptime(pull_id, _ID_FORMAT).replace(tzinfo=UTC)


def begin(
    connection: sa.Connection,
    feed: str,
    kind: Kind,
    *,
    prefix: str,
    day: date | None = None,
    keys_asked: int | None = None,
    now: datetime | None = None,
) -> Pull:
    """Note that a request is about to be made.

    The id is the time of the request, moved on when the clock stood still or went back: order is
    the order of observation, whatever the clock says.

    Args:
        connection: in a transaction, of the holder of the feed's lock.
        prefix: archive key below which a folder of the pull's own is made.
        keys_asked: how many keys will be asked for; None means every key.
        now: the time, for tests.
    """
    now = moment = now or datetime.now(UTC)
    last = connection.execute(
        sa.select(sa.func.max(ledgers.pull.c.pull_id)).where(ledgers.pull.c.feed == feed)
    ).scalar_one()
    if last is not None:
        moment = max(now, moment_of(last) + timedelta(microseconds=1))
    pull_id = moment.strftime(_ID_FORMAT)
    pull = Pull(feed, pull_id, kind, "requested", day, f"{prefix}/{pull_id}", now, keys_asked)
    connection.execute(
        sa.insert(ledgers.pull).values({name: getattr(pull, name) for name in _names()})
    )
    return pull


def complete(
    connection: sa.Connection,
    pull: Pull,
    *,
    records: int,
    size: int,
    requests: int,
    keys_asked: int | None = None,
) -> None:
    """Note that the manifest is written.

    Args:
        keys_asked: how many keys it was asked for in the end; None: as many as were planned.
    """
    asked = pull.keys_asked if keys_asked is None else keys_asked
    _set(
        connection,
        pull,
        state="complete",
        completed_at=datetime.now(UTC),
        records=records,
        bytes=size,
        requests=requests,
        keys_asked=asked,
    )


def applied(connection: sa.Connection, pull: Pull) -> None:
    """Note that its rows are in the tables; in the transaction that puts them there."""
    _set(
        connection, pull,
        state="applied", applied_at=datetime.now(UTC), reason=None, replay_since=None,
    )  # fmt: skip


def failed(connection: sa.Connection, pull: Pull, reason: str) -> None:
    """Note that it cannot be applied."""
    _set(connection, pull, state="failed", reason=reason, replay_since=None)


def abandoned(connection: sa.Connection, pull: Pull) -> None:
    """Note that it was begun by a run that died before the manifest was written."""
    _set(connection, pull, state="abandoned", reason="the run ended before the manifest")


def ask_for_replay(
    connection: sa.Connection, feed: str, pull_ids: Sequence[str], now: datetime
) -> None:
    """Note that complete pulls are to be loaded again, whichever run gets to it."""
    table = ledgers.pull
    for start in range(0, len(pull_ids), _IDS_AT_ONCE):
        some = bulk.among(connection, table.c.pull_id, pull_ids[start : start + _IDS_AT_ONCE])
        connection.execute(
            sa.update(table).where(table.c.feed == feed, some).values(replay_since=now)
        )


def not_to_replay(connection: sa.Connection, pull: Pull) -> None:
    """Note that a pull cannot be loaded again: it is not in the archive any more."""
    _set(connection, pull, replay_since=None)


def to_replay(connection: sa.Connection, feed: str, after: str, limit: int) -> list[Pull]:
    """The first pulls that a replay asked for, with ids after that one."""
    table = ledgers.pull
    asked = (table.c.replay_since.is_not(None), table.c.pull_id > after)
    return of_kind(connection, feed, LISTINGS.kind, *asked, limit=limit)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Pulls of listings that are yet to be loaded.

    Attributes:
        unloaded: by day; of those days the warehouse lacks something.
        again: how many a replay asked for.
    """

    unloaded: Counter[date]
    again: int


def waiting(connection: sa.Connection, feed: str) -> Waiting:
    """What a run has left to the next one."""
    table = ledgers.pull
    unloaded = table.c.state.in_(("requested", "complete"))
    again = table.c.replay_since.is_not(None)
    rows = connection.execute(
        sa.select(
            table.c.day,
            sa.func.count(sa.case((unloaded, 1))).label("unloaded"),
            sa.func.count(sa.case((again, 1))).label("again"),
        )
        .where(table.c.feed == feed, table.c.kind == LISTINGS.kind, sa.or_(unloaded, again))
        .group_by(table.c.day)
    ).all()
    return Waiting(
        Counter({row.day: row.unloaded for row in rows if row.unloaded}),
        sum(row.again for row in rows),
    )


def in_state(
    connection: sa.Connection, feed: str, *states: str, kind: Kind = "listings"
) -> list[Pull]:
    """The pulls in those states, in the order of their requests."""
    table = ledgers.pull
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(table.c.feed == feed, table.c.kind == kind, table.c.state.in_(states))
        .order_by(table.c.pull_id)
    )
    return [Pull(*row) for row in rows]


def of_kind(
    connection: sa.Connection,
    feed: str,
    kind: Kind,
    *which: sa.ColumnElement[bool],
    limit: int | None = None,
) -> list[Pull]:
    """The pulls of a kind for which all of ``which`` holds, in the order of their requests."""
    table = ledgers.pull
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(table.c.feed == feed, table.c.kind == kind, *which)
        .order_by(table.c.pull_id)
        .limit(limit)
    )
    return [Pull(*row) for row in rows]


def newest_master_list(
    connection: sa.Connection, feed: str, resource: Resource = LISTINGS
) -> Pull | None:
    """The resource's newest complete master list, if any was ever seen."""
    table = ledgers.pull
    row = connection.execute(
        sa.select(*_COLUMNS)
        .where(
            table.c.feed == feed,
            table.c.kind == resource.master_list_kind,
            table.c.state == "complete",
        )
        .order_by(table.c.pull_id.desc())
        .limit(1)
    ).one_or_none()
    return Pull(*row) if row else None


def find(connection: sa.Connection, feed: str, pull_id: str) -> Pull | None:
    """The pull of that id."""
    table = ledgers.pull
    row = connection.execute(
        sa.select(*_COLUMNS).where(table.c.feed == feed, table.c.pull_id == pull_id)
    ).one_or_none()
    return Pull(*row) if row else None


def adopt(connection: sa.Connection, pull: Pull) -> None:
    """Put a pull that only the archive knows into the ledger."""
    connection.execute(
        sa.insert(ledgers.pull).values({name: getattr(pull, name) for name in _names()})
    )


def _names() -> list[str]:
    return list(Pull.__dataclass_fields__)


def _set(connection: sa.Connection, pull: Pull, **values: object) -> None:
    table = ledgers.pull
    connection.execute(
        sa.update(table)
        .where(table.c.feed == pull.feed, table.c.pull_id == pull.pull_id)
        .values(**values)
    )
