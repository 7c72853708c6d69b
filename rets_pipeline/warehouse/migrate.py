"""Bringing the database's schema to the present revision, and comparing it with the tables.

What belongs here: when and under which lock revisions run. What does not: the revisions
(``migrations``) and the tables (``tables``, ``ledgers``).

Alembic is imported only when there is something to do: this runs at every start.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from rets_pipeline.warehouse import ledgers, tables
from rets_pipeline.warehouse.types import UtcTimestamp, metadata

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from alembic.config import Config

#: not Alembic's default: Dagster's own storage may live in the same database and uses that one
VERSION_TABLE = "rets_pipeline_version"

_FOLDER = Path(__file__).parent / "migrations"
_VERSION = sa.table(VERSION_TABLE, sa.column("version_num", sa.Text))
#: any number nobody else uses: the name of the lock in Postgres
_LOCK = 0x7265_7473_5F64_6462
_SQLITE_PATIENCE_MS = 120_000
_MODULES_WITH_TABLES = (ledgers, tables)  # importing them fills the metadata


class UnknownRevision(Exception):
    """The database is at a revision that this version of the software does not know."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"is at revision {revision}, which this version of rets-pipeline does not know (its "
            f"newest is {head()}): use the version that brought it there, or a newer one"
        )


def revisions() -> list[str]:
    """The revisions that this version of the package brings, the oldest first.

    Read from the file names (``0001_first_tables.py``), without importing Alembic.
    """
    return sorted(path.name[:4] for path in (_FOLDER / "versions").glob("[0-9]*_*.py"))


def head() -> str:
    """The newest of them."""
    return revisions()[-1]


def current(engine: sa.Engine) -> str | None:
    """The revision that the database is at; None when it has no tables of ours yet."""
    with engine.connect() as connection:
        return _current(connection)


def upgrade(engine: sa.Engine) -> None:
    """Bring the database to :func:`head`. Quick when it is there already.

    Processes that start at the same time wait for one another. The whole upgrade is one
    transaction on both databases: a killed one leaves nothing behind.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database cannot be reached or refuses.
        UnknownRevision: the software is older than the database.
    """
    if _known(current(engine)) == head():
        return
    with _locked(engine) as connection:
        if _known(_current(connection)) != head():
            _run("upgrade", connection, "head")


def downgrade(engine: sa.Engine, revision: str) -> None:
    """Take the database back to ``revision`` (``base``: no tables of ours), under the same lock.

    Raises:
        UnknownRevision: as :func:`upgrade`.
    """
    with _locked(engine) as connection:
        _known(_current(connection))
        _run("downgrade", connection, revision)


def check(engine: sa.Engine) -> list[str]:
    """What differs between the tables and views of this version and the database, one line each.

    Tables and views of others in the same database are not looked at.

    Raises:
        UnknownRevision: as :func:`upgrade`.
    """
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from rets_pipeline.warehouse.migrations import operations  # noqa: F401  compares views

    with engine.connect() as connection:
        found, expected = _known(_current(connection)), head()
        differences = []
        if found != expected:
            differences.append(f"the database is at revision {found}, the software at {expected}")
        options = environment_options(connection)
        context = MigrationContext.configure(
            connection, opts={**options, "target_metadata": metadata}
        )
        for difference in compare_metadata(context, metadata):
            differences.extend(_describe(difference))
        return differences


def environment_options(connection: sa.Connection) -> dict[str, Any]:
    """The arguments of Alembic's ``context.configure``, for ``migrations/env.py``."""
    return {
        "target_metadata": metadata,
        "version_table": VERSION_TABLE,
        "compare_type": True,
        "compare_server_default": True,
        "include_name": _is_ours,
        "render_item": _render_type,
        "render_as_batch": connection.dialect.name == "sqlite",
    }


def config() -> Config:
    """Alembic's configuration, without a file and without an address."""
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return configuration


def _run(command_name: str, connection: sa.Connection, revision: str) -> None:
    from alembic import command

    configuration = config()
    configuration.attributes["connection"] = connection
    getattr(command, command_name)(configuration, revision)


def _current(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.select(_VERSION.c.version_num)).scalar_one_or_none()


def _known(revision: str | None) -> str | None:
    if revision is not None and revision not in revisions():
        raise UnknownRevision(revision)
    return revision


@contextmanager
def _locked(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection in a transaction that nobody else can hold at the same time."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            yield connection
        else:
            with _sqlite_write_lock(connection):
                yield connection


@contextmanager
def _sqlite_write_lock(connection: sa.Connection) -> Iterator[None]:
    """Turn the transaction into one that holds SQLite's write lock from its first statement.

    The driver by itself would begin none before DDL, and a reading transaction could not become a
    writing one once another process has written.
    """
    driver: Any = connection.connection.dbapi_connection
    patience = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    if driver.in_transaction:
        connection.exec_driver_sql("COMMIT")
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {_SQLITE_PATIENCE_MS}")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(patience)}")


def _is_ours(name: str | None, kind: str, parents: Any) -> bool:
    return kind != "table" or name in metadata.tables


def _render_type(kind: str, item: Any, context: AutogenContext) -> str | bool:
    """How a new revision writes the types of ``types``; ``False``: as Alembic would."""
    if kind != "type":
        return False
    if isinstance(item, UtcTimestamp):
        return "types.UtcTimestamp()"
    if isinstance(item, sa.JSON):
        return "types.json_type()"
    if isinstance(item, sa.BigInteger) and item._variant_mapping:
        return "types.row_number_type()"
    return False


def _describe(difference: Any) -> list[str]:
    """One of Alembic's tuples, or a list of them, as lines for people."""
    if isinstance(difference, list):
        return [line for single in difference for line in _describe(single)]
    kind, *parts = difference
    names = [text for text in (_name(part) for part in parts) if text]
    return [f"{kind.replace('_', ' ')}: {' '.join(names)}"]


def _name(part: Any) -> str:
    if isinstance(part, sa.Column):
        return part.name
    if isinstance(part, dict) or part is None:
        return ""
    name = getattr(part, "name", part)
    return str(name)
