"""Many rows at once, the fast way of each database.

What belongs here: inserting and upserting lists of rows. What does not: which rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

#: parameters of one statement that every SQLite takes
_SQLITE_PARAMETERS = 30_000


def insert(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows: COPY on Postgres, ``executemany`` on SQLite.

    Args:
        connection: in a transaction.
        rows: values by column name; a column that a row lacks becomes NULL.

    Raises:
        KeyError: a row has a column that the table lacks; it would be lost.
    """
    if not rows:
        return
    given = set[str]().union(*rows)
    names = [column.name for column in table.columns if column.name in given]
    if len(names) != len(given):
        raise KeyError(f"{table.name} has no column {', '.join(sorted(given - set(names)))}")
    copy(connection, table, names, ([row.get(name) for name in names] for row in rows))


def copy(
    connection: sa.Connection,
    table: sa.Table,
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> None:
    """Insert rows given as sequences in the order of ``names``; any number of them, as a stream."""
    if connection.dialect.name == "postgresql":
        _copy_postgres(connection, table, names, rows)
    else:
        _insert_sqlite(connection, table, names, rows)


def upsert(
    connection: sa.Connection,
    table: sa.Table,
    rows: Sequence[dict[str, Any]],
    *,
    unless_newer: str | None = None,
) -> None:
    """Insert rows, or update those whose primary key exists.

    Args:
        connection: in a transaction.
        rows: values by column name, all with the same names; each primary key once.
        unless_newer: a column; an existing row with a greater value in it is left alone.
    """
    if not rows:
        return
    keys = [column.name for column in table.primary_key.columns]
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    updates = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    where = None
    if unless_newer is not None:
        where = table.c[unless_newer] <= statement.excluded[unless_newer]
    connection.execute(
        statement.on_conflict_do_update(index_elements=keys, set_=updates, where=where), list(rows)
    )


def _copy_postgres(
    connection: sa.Connection, table: sa.Table, names: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    documents = [
        position for position, name in enumerate(names) if isinstance(table.c[name].type, sa.JSON)
    ]
    quoted = ", ".join(connection.dialect.identifier_preparer.quote(name) for name in names)
    target = connection.dialect.identifier_preparer.format_table(table)
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    statement = f"COPY {target} ({quoted}) FROM STDIN"
    with (
        _sqlalchemys_errors(connection, driver, statement),
        driver.cursor() as cursor,
        cursor.copy(statement) as sink,
    ):
        for row in rows:
            values = list(row)
            for position in documents:
                if values[position] is not None:
                    values[position] = json.dumps(values[position], ensure_ascii=False)
            sink.write_row(values)


@contextmanager
def _sqlalchemys_errors(
    connection: sa.Connection, driver: psycopg.Connection[Any], statement: str
) -> Iterator[None]:
    """What SQLAlchemy does for its own statements: COPY goes past it."""
    try:
        yield
    except psycopg.Error as error:
        if driver.closed:
            connection.invalidate(error)
        raise sa.exc.DBAPIError.instance(
            statement,
            None,
            error,
            psycopg.Error,
            hide_parameters=True,
            connection_invalidated=driver.closed,
            dialect=connection.dialect,
        ) from error


def _insert_sqlite(
    connection: sa.Connection, table: sa.Table, names: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    statement = sa.insert(table)
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(dict(zip(names, row, strict=True)))
        if len(batch) * len(names) >= _SQLITE_PARAMETERS:
            connection.execute(statement, batch)
            batch = []
    if batch:
        connection.execute(statement, batch)
