"""What one run on one feed holds.

What belongs here: the feed's lock, its RETS session and its books, taken when first needed and
given back at the end. What does not: the steps of a sync.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, cast
from uuid import uuid4

import sqlalchemy as sa

from rets_pipeline import __version__
from rets_pipeline.archive import Archive
from rets_pipeline.logs import event
from rets_pipeline.rets import Session
from rets_pipeline.settings import FeedConfig
from rets_pipeline.sources.base import ResourceSource, Source
from rets_pipeline.sources.registry import source_for
from rets_pipeline.warehouse import runs
from rets_pipeline.warehouse.engine import Warehouse, transaction
from rets_pipeline.warehouse.locks import RunLock, describe_holder
from rets_pipeline.warehouse.resources import LISTINGS, OTHERS, Resource

logger = logging.getLogger(__name__)

#: shares of a run's time after which it begins nothing more of that kind. The rest is for
#: deletions, checks and the end, and for one transaction or request that takes its time.
TIME_TO_FETCH, TIME_TO_LOAD = 0.5, 0.75
#: likewise of what is loaded once more. With the usual limits it ends before the next sync is due.
TIME_TO_REPLAY = 0.4

#: called with the phase, what is done of it, and how much it is altogether if that is known
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class Credentials:
    """A RETS account."""

    username: str = field(repr=False)
    password: str = field(repr=False)


def _silent(phase: str, done: int, total: int | None) -> None:
    """Progress that nobody watches."""


class Mirror:
    """One run on one feed.

    Args:
        feed: the feed.
        warehouse: opened by the caller, who closes it.
        archive: where raw pulls and images are.
        credentials: of the account.
        job: what runs, for the run ledger and for whoever waits for the lock.
        run_id: Dagster's, or one of our own when absent.
        progress: told of the progress of long phases.
        seconds: after which the run will be stopped, counted from now; None: never.
    """

    def __init__(
        self,
        feed: FeedConfig,
        warehouse: Warehouse,
        archive: Archive,
        credentials: Credentials,
        *,
        job: str,
        run_id: str | None = None,
        progress: Progress = _silent,
        seconds: float | None = None,
    ) -> None:
        self.feed = feed
        self.warehouse = warehouse
        self.archive = archive
        self.source: Source = source_for(feed.source, culture=feed.culture)
        self.progress = progress
        self.run_id = run_id or str(uuid4())
        self.actions: list[dict[str, Any]] = []
        self._longest_seconds = seconds
        self._job = job
        self._credentials = credentials
        self._locks: dict[str, RunLock] = {}
        self._session: Session | None = None
        self._started = self._noted = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(succeeded=error is None)

    def is_late(self, share: float) -> bool:
        """Whether the run has used that share of its time: what is left is for the next run.

        A run that ends by itself has closed its books; one that is stopped loses its last pull.
        """
        if self._longest_seconds is None:
            return False
        return time.monotonic() - self._started >= share * self._longest_seconds

    @property
    def connection(self) -> sa.Connection:
        """The connection to write on; the first use takes the feed's lock.

        Raises:
            LockHeld: another run on the feed did not end in time.
        """
        return self.lock(f"feed {self.feed.name}")

    def lock(self, name: str, *, wait_seconds: float | None = None) -> sa.Connection:
        """Take a lock unless this run has it; the first one notes the run's start.

        Args:
            name: ``feed …`` for whatever talks RETS or writes listings; a name of its own for
                work that may run beside it.
            wait_seconds: how long to wait for it; as the feed says without.

        Returns:
            The connection of that lock, to write on.

        Raises:
            LockHeld: another run did not give it back in time.
        """
        if name not in self._locks:
            lock = RunLock.acquire(
                self.warehouse,
                name,
                holder=describe_holder(f"{self._job} of feed {self.feed.name}"),
                wait_seconds=self.feed.lock_wait_seconds if wait_seconds is None else wait_seconds,
                on_wait=lambda holder: logger.warning(
                    "feed %s: waiting for %s to end", self.feed.name, holder
                ),
            )
            self._locks[name] = lock
            if len(self._locks) == 1:
                self._begin(lock, name)
        return self._locks[name].connection

    def _begin(self, lock: RunLock, lock_name: str) -> None:
        with transaction(lock.connection) as connection:
            runs.begin(
                connection,
                run_id=self.run_id,
                feed=self.feed.name,
                job=self._job,
                software_version=__version__,
                lock_name=lock_name,
            )
        runs.note_killed(self.warehouse, [lock_name])
        self._say("lock", self._seconds())

    def session(self) -> Session:
        """The RETS session; the first use takes the lock, the first request logs in."""
        if self._session is None:
            _ = self.connection  # one session per account: no login without the lock
            silence = self.feed.timeout_seconds
            self._session = Session(
                self.feed.login_url,
                self._credentials.username,
                self._credentials.password,
                user_agent=self.feed.user_agent,
                rets_version=self.feed.rets_version,
                timeout=(min(10.0, silence), silence),
            )
        return self._session

    def source_of(self, resource: Resource) -> ResourceSource:
        """How the server is asked for a resource."""
        return self.source if resource is LISTINGS else self.source.others[resource.name]

    def requests_made(self) -> int:
        """How many requests the session has sent."""
        return self._session.statistics.requests if self._session else 0

    def note(self, action: str, **counts: Any) -> None:
        """Write what was done into the run ledger, at once: a run may be killed.

        A phase lasts from the end of the one before it. It is told in one line of the log, too.
        """
        seconds = self._seconds()
        self._say(action.replace(" ", "_"), seconds, **counts)
        self.actions.append({"action": action, **counts, "seconds": seconds})
        for lock in list(self._locks.values())[:1]:
            with transaction(lock.connection) as connection:
                runs.note(connection, run_id=self.run_id, feed=self.feed.name, actions=self.actions)

    def _seconds(self) -> float:
        """How long the phase took that ends now."""
        now = time.monotonic()
        seconds, self._noted = now - self._noted, now
        return round(seconds, 3)

    def _say(self, phase: str, seconds: float, **fields: Any) -> None:
        event(
            logger,
            phase=phase,
            feed=self.feed.name,
            job=self._job,
            run=self.run_id,
            **fields,
            seconds=seconds,
        )

    def close(self, *, succeeded: bool) -> None:
        """Log out, note the result, give the locks back."""
        session, self._session = self._session, None
        locks, self._locks = list(self._locks.values()), {}
        try:
            if session is not None:
                session.close()
        finally:
            if locks:
                result = "succeeded" if succeeded else "failed"
                self._say("end", round(time.monotonic() - self._started, 3), result=result)
                self._end(result)
            for lock in locks:
                lock.release()

    def _end(self, result: str) -> None:
        """On a connection of its own: an interrupt may have cost the lock's."""
        try:
            with self.warehouse.writing() as connection:
                runs.note(
                    connection,
                    run_id=self.run_id,
                    feed=self.feed.name,
                    actions=self.actions,
                    result=result,
                )
        except sa.exc.DBAPIError as error:
            # The run's own fault tells more than the books that could not be closed.
            logger.warning("feed %s: the run ledger was not closed: %s", self.feed.name, error.orig)


def others_of(source: Source) -> list[Resource]:
    """The resources beside listings that a source has searches for."""
    return [resource for resource in OTHERS if resource.name in source.others]


def action(resource: Resource, step: str) -> str:
    """What the run ledger calls a step: ``pulls`` of listings, ``member pulls``, and so on."""
    return step if resource is LISTINGS else f"{resource.name.lower()} {step}"


def attributes_of(element: Any) -> Mapping[str, str]:
    """A record's attributes; ``lxml``'s own mapping, which its stubs do not call one."""
    return cast("Mapping[str, str]", element.attrib)
