"""A PostgreSQL server for the benchmarks: durable, as in production, and of their own.

What belongs here: the server, and COPY without anything around it. What does not: what is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
import sqlalchemy as sa

from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.types import metadata
from rets_pipeline_tests.services.postgres import PostgresServer

#: fsync is on; memory and log as for a small server, so that no checkpoint falls into a measure
_SETTINGS = {"shared_buffers": "256MB", "max_wal_size": "4GB", "autovacuum": "off"}
#: the books of the load itself, which are no part of what is copied
_BOOKS = ("pull", "run_ledger", "history_transactional")
_BLOCK = 128 * 1024


@contextmanager
def warehouse() -> Iterator[Warehouse]:
    """An empty warehouse."""
    server = PostgresServer.start(durable=True, settings=_SETTINGS)
    try:
        with server.database() as url:
            found = Warehouse.open(url)
            yield found
            found.close()
    finally:
        server.stop()


def url_of(found: Warehouse) -> str:
    """Its address, with the password."""
    return found.engine.url.render_as_string(hide_password=False)


def empty(found: Warehouse) -> None:
    """Take every row out."""
    names = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
    with found.writing() as connection:
        connection.execute(sa.text(f"TRUNCATE {names}"))


def clean(found: Warehouse) -> None:
    """Remove what deleted rows left behind, as a server does by itself in quiet moments."""
    with found.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
        connection.execute(sa.text("CHECKPOINT"))


def contents(found: Warehouse) -> dict[str, bytes]:
    """All rows in COPY's own text, by table; not the books of the load."""
    tables = {}
    with psycopg.connect(url_of(found).replace("+psycopg", "")) as connection:
        for table in metadata.sorted_tables:
            with (
                connection.cursor() as cursor,
                cursor.copy(f'COPY "{table.name}" TO STDOUT') as copy,  # type: ignore[arg-type]
            ):
                data = b"".join(bytes(block) for block in copy)
            if data and table.name not in _BOOKS:
                tables[table.name] = data
    return tables


def copy(found: Warehouse, tables: Mapping[str, bytes]) -> None:
    """COPY ready text into the tables, in one transaction: the limit of every load."""
    with psycopg.connect(url_of(found).replace("+psycopg", "")) as connection:
        for name, data in tables.items():
            with (
                connection.cursor() as cursor,
                cursor.copy(f'COPY "{name}" FROM STDIN') as sink,  # type: ignore[arg-type]
            ):
                for at in range(0, len(data), _BLOCK):
                    sink.write(data[at : at + _BLOCK])
