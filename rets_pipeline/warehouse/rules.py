"""The rules of every load: which result stands, what is equal, when to try again.

What belongs here: decisions about one record, whatever its resource. What does not: statements.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import sqlalchemy as sa

#: the wait after the first attempt in vain; it doubles with each further one
FIRST_DELAY = timedelta(minutes=15)
LONGEST_DELAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Held:
    """What the ledgers say of a key."""

    pull_id: str | None = None
    content_hash: str | None = None
    state: str | None = None
    attempts: int = 0
    live: bool = False
    gone_by: str | None = None  # the master list that lacked it


class HeadLike(Protocol):
    """What a record says without being read."""

    @property
    def key(self) -> str | None: ...  # noqa: D102
    @property
    def payload_timestamp(self) -> datetime | None: ...  # noqa: D102
    @property
    def content_hash(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class DatabaseProblem:
    """A record that the database refused."""

    field: str
    reason: str
    raw: str


def is_superseded(held: Held, pull_id: str) -> bool:
    """Order is the order of observation, whatever the timestamps say."""
    later = held.pull_id is not None and held.pull_id > pull_id
    return later or (held.gone_by is not None and held.gone_by > pull_id)


def is_equal(held: Held, content_hash: str) -> bool:
    """Whether what stands in the tables says the same already."""
    return held.live and held.state == "loaded" and held.content_hash == content_hash


def settled(
    heads: Sequence[HeadLike], held: Mapping[str, Held], pull_id: str, *, replay: bool
) -> tuple[list[HeadLike], list[HeadLike]]:
    """The records that need not be read: those superseded, and those that say nothing new.

    A key that occurs more than once is left to be read: which of its records counts is not known
    before all are.
    """
    times = Counter(head.key for head in heads)
    superseded, equal = [], []
    for head in heads:
        if head.key is None or times[head.key] > 1:
            continue
        before = held[head.key]
        if is_superseded(before, pull_id):
            superseded.append(head)
        elif not replay and is_equal(before, head.content_hash):
            equal.append(head)
    return superseded, equal


def next_attempt(attempts: int, now: datetime) -> datetime:
    """When to ask again after so many attempts in vain."""
    delay: timedelta = FIRST_DELAY * 2 ** min(attempts - 1, 16)
    return now + min(LONGEST_DELAY, delay)


def is_about_the_row(error: Exception) -> bool:
    """Whether other rows may fare better: not with a full disk, a lost connection, a deadlock."""
    if not isinstance(error, sa.exc.DBAPIError):
        return True  # a value that could not even be sent
    if isinstance(error, (sa.exc.IntegrityError, sa.exc.DataError)):
        return not error.connection_invalidated
    # Postgres, class 54: too long for an index, say.
    return str(getattr(error.orig, "sqlstate", None) or "").startswith("54")


def refusal(error: Exception, record: str = "listing") -> DatabaseProblem:
    """What the database said, in a line.

    Args:
        record: what the refused one is called.
    """
    cause = error.orig if isinstance(error, sa.exc.StatementError) else error
    lines = str(cause).strip().splitlines() or ["unknown"]
    return DatabaseProblem("", f"the database refused the {record}: {lines[0]}", "")
