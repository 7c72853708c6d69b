"""Many rows at once, the fast way of each database.

What belongs here: inserting, updating and upserting lists of rows. What does not: which rows.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:  # slow to import
    import pyarrow as pa

#: parameters of one statement that every SQLite takes
_SQLITE_PARAMETERS = 30_000

#: lists of texts whose JSON is remembered
_REMEMBERED = 5_000


def insert(
    connection: sa.Connection,
    table: sa.Table,
    rows: Sequence[Mapping[str, Any]],
    constants: Mapping[str, Any] | None = None,
) -> None:
    """Insert rows: COPY on Postgres, ``executemany`` on SQLite.

    Args:
        connection: in a transaction.
        rows: values by column name; a column that a row lacks becomes NULL.
        constants: columns with the same value in every row, which no row holds itself.

    Raises:
        KeyError: a row has a column that the table lacks; it would be lost.
    """
    if not rows:
        return
    constants = constants or {}
    names = list(rows[0])
    # Rows from one maker have their columns in one order.
    even = all(list(row) == names for row in rows)
    if not even:
        names = list(dict.fromkeys(name for row in rows for name in row))
    unknown = {*names, *constants} - set(table.columns.keys())
    if unknown:
        raise KeyError(f"{table.name} has no column {', '.join(sorted(unknown))}")
    fixed = [*constants.values()]
    if even:
        values = (fixed + list(row.values()) for row in rows)
    else:
        values = (fixed + [row.get(name) for name in names] for row in rows)
    copy(connection, table, [*constants, *names], values)


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


def copy_batches(
    connection: sa.Connection,
    table: sa.Table,
    names: Sequence[str],
    batches: Iterable[pa.RecordBatch],
) -> None:
    """Insert Arrow batches, the first of whose columns are ``names``; as a stream.

    Moments are in UTC. On Postgres the rest of the transaction is, too.
    """
    width = len(names)
    if connection.dialect.name != "postgresql":
        columns = ((column.to_pylist() for column in batch.columns[:width]) for batch in batches)
        rows = (row for values in columns for row in zip(*values, strict=True))
        copy(connection, table, names, rows)
        return
    import pyarrow.csv as csv  # slow to import

    # Arrow writes moments with a zone many times slower, so the zone is told once.
    connection.execute(sa.text("SET LOCAL TimeZone = 'UTC'"))
    options = csv.WriteOptions(include_header=False)
    with _copying(connection, table, names, "WITH (FORMAT csv)") as sink:
        for batch in batches:
            text = io.BytesIO()
            csv.write_csv(_without_zones(batch.select(range(width))), text, options)
            sink.write(text.getvalue())


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


def update(
    connection: sa.Connection,
    table: sa.Table,
    key: str,
    rows: Sequence[Mapping[str, Any]],
    constants: Mapping[str, Any],
    where: Mapping[str, Any],
) -> None:
    """Update rows, each by its key, in one statement.

    Args:
        connection: in a transaction.
        key: the column that tells the rows apart.
        rows: values by column name, the key among them, all with the same names.
        constants: columns that get the same value in every row.
        where: columns that must have that value, beside the key.
    """
    if not rows:
        return
    names = [name for name in rows[0] if name != key]
    here = sa.and_(sa.true(), *(table.c[name] == value for name, value in where.items()))
    if connection.dialect.name != "postgresql":
        own = {name: sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in names}
        statement = sa.update(table).where(here, table.c[key] == sa.bindparam("the_key"))
        parameters = [
            {"the_key": row[key], **{f"new_{name}": row[name] for name in names}} for row in rows
        ]
        connection.execute(statement.values({**own, **constants}), parameters)
        return
    given = sa.func.unnest(
        *(
            sa.bindparam(None, [row[name] for row in rows], postgresql.ARRAY(table.c[name].type))
            for name in (key, *names)
        )
    ).table_valued(*(sa.column(name, table.c[name].type) for name in (key, *names)))
    given = given.render_derived(name="given")
    connection.execute(
        sa.update(table)
        .where(here, table.c[key] == given.c[key])
        .values({**{name: given.c[name] for name in names}, **constants})
    )


def among(
    connection: sa.Connection, column: sa.ColumnElement[str], keys: Sequence[str]
) -> sa.ColumnElement[bool]:
    """Whether a text column holds one of the keys; on Postgres as one parameter."""
    if connection.dialect.name == "postgresql":
        return column == sa.any_(sa.bindparam(None, list(keys), postgresql.ARRAY(sa.Text)))
    return column.in_(keys)


def _copy_postgres(
    connection: sa.Connection, table: sa.Table, names: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    documents = [
        position for position, name in enumerate(names) if isinstance(table.c[name].type, sa.JSON)
    ]
    with _copying(connection, table, names) as sink:
        write = sink.write_row
        for row in rows:
            values = list(row)
            for position in documents:
                if values[position] is not None:
                    values[position] = _json(values[position])
            write(values)


def _without_zones(batch: pa.RecordBatch) -> pa.RecordBatch:
    import pyarrow as pa

    columns = [
        column.view(pa.timestamp(column.type.unit))
        if pa.types.is_timestamp(column.type)
        else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


@contextmanager
def _copying(
    connection: sa.Connection, table: sa.Table, names: Sequence[str], options: str = ""
) -> Iterator[psycopg.Copy]:
    quoted = ", ".join(connection.dialect.identifier_preparer.quote(name) for name in names)
    target = connection.dialect.identifier_preparer.format_table(table)
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    statement = f"COPY {target} ({quoted}) FROM STDIN {options}".rstrip()
    with (
        _sqlalchemys_errors(connection, driver, statement),
        driver.cursor() as cursor,
        cursor.copy(statement) as sink,
    ):
        yield sink


_encode = json.JSONEncoder(ensure_ascii=False).encode
_encoded: dict[tuple[str, ...], str] = {}


def _json(value: Any) -> str:
    """A document as text; lists of texts, of which most occur again and again, are remembered."""
    if value.__class__ is not list:
        return _encode(value)
    key = tuple(value)
    try:
        text = _encoded.get(key)
    except TypeError:  # a list of what cannot be a key
        return _encode(value)
    if text is None:
        text = _encode(value)
        if set(map(type, key)) <= {str}:  # True is 1, and 1.0: not so in JSON
            if len(_encoded) >= _REMEMBERED:
                _encoded.clear()
            _encoded[key] = text
    return text


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
