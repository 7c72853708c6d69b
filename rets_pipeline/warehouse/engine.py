"""Opening the warehouse.

What belongs here: connections and transactions on Postgres and SQLite. What does not: statements
on particular tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from rets_pipeline.warehouse import migrate

#: how long a writer on SQLite waits for another one
_SQLITE_WAIT_MILLISECONDS = 60_000
_WRITES = "rets_pipeline_writes"
#: a server whose machine is gone answers nothing at all. By themselves a connection would be tried
#: for two minutes, longer than a sensor may take that is to tell of it, and an answer be waited
#: for two hours. An address may say otherwise (libpq's parameters).
_SECONDS_TO_CONNECT = 10
_SIGNS_OF_LIFE = {"keepalives_idle": "60", "keepalives_interval": "10", "keepalives_count": "3"}


class WarehouseError(Exception):
    """The warehouse cannot be used; the message is one line and holds no password."""


class Warehouse:
    """A database that holds the mirror.

    Attributes:
        engine: SQLAlchemy's engine.
        path: the file's path with SQLite, otherwise None.
    """

    def __init__(self, url: str) -> None:
        """Prepare the engine; no connection is made yet.

        Args:
            url: ``postgresql://…`` or ``sqlite:///…``.

        Raises:
            WarehouseError: the address cannot be read.
        """
        self.engine, self.path = _engine(url)

    @classmethod
    def open(cls, url: str) -> Warehouse:
        """Connect, and bring the tables up to date.

        Raises:
            WarehouseError: the database does not answer, refuses, or is newer than the software.
        """
        warehouse = cls(url)
        try:
            with warehouse.explained():
                if warehouse.path is not None:
                    warehouse.path.parent.mkdir(parents=True, exist_ok=True)
                migrate.upgrade(warehouse.engine)
        except WarehouseError:
            warehouse.close()
            raise
        return warehouse

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Tell in one line, naming the warehouse, why it cannot be used.

        Raises:
            WarehouseError: the block met a database that does not answer, refuses, or is newer.
        """
        # Without the query, which may hold a password too.
        where = self.engine.url.set(query={}).render_as_string(hide_password=True)
        try:
            yield
        except OSError as error:
            reason = error.strerror
        except sa.exc.DBAPIError as error:
            reason = str(error.orig).strip().splitlines()[0] if error.orig else "no reason given"
        except migrate.UnknownRevision as error:
            raise WarehouseError(f"the warehouse {where} {error}") from None
        else:
            return
        raise WarehouseError(f"the warehouse {where} cannot be opened: {reason}")

    def close(self) -> None:
        """Close every connection that is not in use."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection whose reads see one state of the database."""
        with self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                # By default each statement would see what was committed before it.
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A connection in a transaction that commits when the block ends well."""
        with self.engine.connect() as connection, transaction(connection):
            yield connection


@contextmanager
def transaction(connection: sa.Connection) -> Iterator[sa.Connection]:
    """A transaction that writes, on a connection that is in none.

    SQLite takes its write lock at once: one that is taken later fails when another writer came
    in between.
    """
    if connection.dialect.name != "sqlite":
        with connection.begin():
            yield connection
        return
    connection.info[_WRITES] = True
    try:
        with connection.begin():
            yield connection
    finally:
        connection.info.pop(_WRITES, None)


def _engine(url: str) -> tuple[sa.Engine, Path | None]:
    """The engine, and the file of SQLite.

    Its errors hold no values of rows: Dagster keeps a failure for ever, and a gone listing must
    leave nothing personal there.
    """
    try:
        parsed = make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise WarehouseError("DATABASE_URL is not an address that SQLAlchemy can read") from None
    if "@" in (parsed.host or ""):
        # Otherwise the half of a password would be taken for a host, and be named in messages.
        raise WarehouseError("DATABASE_URL: an @ in a user name or password is written %40")
    if parsed.drivername.startswith("sqlite"):
        if not parsed.database or parsed.database == ":memory:":
            raise WarehouseError("DATABASE_URL: SQLite needs a file")
        path = Path(parsed.database)
        engine = sa.create_engine(parsed.set(drivername="sqlite"), hide_parameters=True)
        sa.event.listen(engine, "connect", _configure_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine, path
    # A bare postgresql:// means psycopg 2 or 3 by SQLAlchemy's version; the loads need 3.
    defaults = {"connect_timeout": str(_SECONDS_TO_CONNECT), **_SIGNS_OF_LIFE}
    missing = {name: value for name, value in defaults.items() if name not in parsed.query}
    parsed = parsed.set(drivername="postgresql+psycopg").update_query_dict(missing)
    return sa.create_engine(parsed, pool_pre_ping=True, hide_parameters=True), None


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says
    for pragma in (
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        "temp_store = MEMORY",
        f"busy_timeout = {_SQLITE_WAIT_MILLISECONDS}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.info.get(_WRITES) else "BEGIN")
