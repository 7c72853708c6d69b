"""One run at a time on a feed, whoever starts it.

What belongs here: the lock that a run holds from its first request to its last write. What does
not: Dagster's pools, which only keep runs from queueing up behind this lock.

On Postgres it is a session advisory lock **on the connection that also writes**: when the
connection dies the lock is gone and so is the load. On SQLite it is a lock on a file beside the
database, which the operating system frees when the process dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import psycopg
import sqlalchemy as sa

from rets_pipeline.warehouse.engine import Warehouse, WarehouseError

_POLL_SECONDS = 0.5
#: how soon the server gives up a holder whose machine is gone without a word, and frees the lock:
#: after a silence of 60 s, three unanswered questions. Linux alone would take more than two hours.
_KEEPALIVES = {
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}


class LockHeld(Exception):
    """Another run holds the lock, and waiting for it took too long."""

    def __init__(self, name: str, holder: str) -> None:
        super().__init__(f"{name} is in use by {holder}")
        self.name = name
        self.holder = holder


class LockLost(WarehouseError):
    """The connection that held the lock has died; nothing more may be written."""


def describe_holder(what: str) -> str:
    """This process in words, for whoever finds the lock taken."""
    return f"{what} (process {os.getpid()} on {socket.gethostname()})"


class RunLock:
    """A held lock.

    Attributes:
        connection: the connection to write on while the lock is held.
    """

    def __init__(
        self,
        connection: sa.Connection,
        file: IO[str] | None,
        key: int,
    ) -> None:
        self.connection = connection
        self._file = file
        self._key = key
        self._session: object = None

    @classmethod
    def acquire(
        cls,
        warehouse: Warehouse,
        name: str,
        *,
        holder: str,
        wait_seconds: float,
        on_wait: Callable[[str], None] = lambda holder: None,
    ) -> RunLock:
        """Take the lock, waiting for it if need be.

        Args:
            warehouse: whose feed it is; locks of two warehouses do not meet.
            name: what is locked, such as ``feed sandbox``.
            holder: who asks; told to whoever comes next.
            wait_seconds: how long to wait; 0 means not at all.
            on_wait: called once with the present holder before the waiting starts.

        Raises:
            LockHeld: the time is over.
        """
        connection = warehouse.engine.connect()
        file = None
        try:
            file = _lock_file(warehouse.path, name) if warehouse.path else None
            lock = cls(connection, file, _number(name))
            lock._wait(name, holder, wait_seconds, on_wait)
            lock._bind(name)
        except BaseException:
            if file is not None:
                file.close()
            connection.invalidate()  # never back to the pool with a lock that nobody knows of
            connection.close()
            raise
        return lock

    def release(self) -> None:
        """Give the lock and the connection back. A connection that died is no fault here."""
        if self._file is not None:
            self._file.close()
            self._file = None
        else:
            self._unlock()
            self.connection.invalidate()  # ends the session, and with it what it holds
        self.connection.close()

    def _unlock(self) -> None:
        """Say so, since the server notices a session's end some time later."""
        session: Any = self._session
        if session is None:
            return  # it was never taken
        with contextlib.suppress(psycopg.Error):
            session.rollback()
            session.execute("SELECT pg_advisory_unlock_all()")

    def _bind(self, name: str) -> None:
        """Refuse every transaction on another session than the one that has the lock.

        SQLAlchemy replaces a connection that died when it is used again, and the replacement
        would write without the lock.
        """
        if self._file is not None:
            return
        self._session = self.connection.connection.driver_connection
        with self.connection.begin():
            for setting, value in _KEEPALIVES.items():
                self.connection.execute(sa.select(sa.func.set_config(setting, value, False)))

        def check(connection: sa.Connection) -> None:
            if (
                connection.invalidated
                or connection.connection.driver_connection is not self._session
            ):
                raise LockLost(f"{name}: the connection that held its lock has died")

        sa.event.listen(self.connection, "begin", check)

    def _wait(
        self, name: str, holder: str, wait_seconds: float, on_wait: Callable[[str], None]
    ) -> None:
        deadline = time.monotonic() + wait_seconds
        told = False
        while not self._try(holder):
            present = self._holder()
            if time.monotonic() >= deadline:
                raise LockHeld(name, present)
            if not told:
                on_wait(present)
                told = True
            time.sleep(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic())))

    def _try(self, holder: str) -> bool:
        if self._file is not None:
            return _try_file(self._file, holder)
        with self.connection.begin():
            # 63 bytes is the longest name that Postgres keeps
            self.connection.execute(
                sa.text("SELECT set_config('application_name', :name, false)"),
                {"name": holder.encode()[:63].decode(errors="ignore")},
            )
            taken = self.connection.execute(
                sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": self._key}
            ).scalar_one()
        return bool(taken)

    def _holder(self) -> str:
        if self._file is not None:
            self._file.seek(0)
            return self._file.read() or "a process that did not give its name"
        with self.connection.begin():
            found = self.connection.execute(
                sa.text(
                    "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
                    "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
                    "AND l.database = (SELECT oid FROM pg_database "
                    "WHERE datname = current_database()) "
                    "AND (l.classid::bigint << 32 | l.objid::bigint) = :key"
                ),
                {"key": self._key},
            ).scalar_one_or_none()
        return found or "a process that did not give its name"


def _number(name: str) -> int:
    """A positive 63-bit number for a name, the same in every process."""
    digest = hashlib.blake2b(f"rets_pipeline {name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def _lock_file(database: Path, name: str) -> IO[str]:
    database = database.resolve()  # one lock, by whatever way the file is reached
    path = database.with_name(f"{database.name}.{name.replace(' ', '-')}.lock")
    return path.open("a+", encoding="utf-8")


def _try_file(file: IO[str], holder: str) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    file.seek(0)
    file.truncate()
    file.write(holder)
    file.flush()
    return True
