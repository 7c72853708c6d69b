"""Warehouses for tests: made once, emptied after each test.

What belongs here: fixtures, and looking at rows. What does not: listings (``builders``).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.types import metadata
from rets_pipeline_tests.services.postgres import PostgresServer


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with empty tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "warehouse.sqlite"
    Warehouse.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def postgres_with_tables(postgres_server: PostgresServer) -> Iterator[str]:
    """A PostgreSQL database with empty tables."""
    with postgres_server.database() as url:
        Warehouse.open(url).close()
        yield url


@pytest.fixture
def sqlite_warehouse_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A SQLite warehouse, empty."""
    path = tmp_path / "warehouse.sqlite"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_warehouse_url(postgres_with_tables: str) -> Iterator[str]:
    """A PostgreSQL warehouse, empty."""
    yield postgres_with_tables
    with psycopg.connect(postgres_with_tables.replace("+psycopg", "")) as connection:
        # A run that a test left behind must not make the next one wait.
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        # A few rows are deleted in milliseconds; to truncate the tables takes a tenth of a second.
        for table in metadata.sorted_tables:
            connection.execute(f'DELETE FROM "{table.name}"')


@pytest.fixture
def sqlite_warehouse(sqlite_warehouse_url: str) -> Iterator[Warehouse]:
    """A SQLite warehouse, open."""
    warehouse = Warehouse(sqlite_warehouse_url)
    yield warehouse
    warehouse.close()


@pytest.fixture
def postgres_warehouse(postgres_warehouse_url: str) -> Iterator[Warehouse]:
    """A PostgreSQL warehouse, open."""
    warehouse = Warehouse(postgres_warehouse_url)
    yield warehouse
    warehouse.close()


@pytest.fixture(params=["sqlite", "postgres"])
def warehouse_url(request: pytest.FixtureRequest) -> str:
    """The address of an empty warehouse, on both databases."""
    url: str = request.getfixturevalue(f"{request.param}_warehouse_url")
    return url


@pytest.fixture
def warehouse(warehouse_url: str) -> Iterator[Warehouse]:
    """An empty warehouse, on both databases."""
    warehouse = Warehouse(warehouse_url)
    yield warehouse
    warehouse.close()


def rows(warehouse: Warehouse, statement: sa.Select[Any]) -> list[sa.Row[Any]]:
    """The answer of a query."""
    with warehouse.reading() as connection:
        return list(connection.execute(statement))


def everything(
    warehouse: Warehouse, *, without: tuple[str, ...] = ()
) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table; with Postgres its version too, so that a rewrite is seen."""
    found = {}
    with warehouse.reading() as connection:
        for table in metadata.sorted_tables:
            if table.name in without:
                continue
            columns: list[Any] = list(table.columns)
            if connection.dialect.name == "postgresql":
                columns += [sa.literal_column("xmin::text"), sa.literal_column("ctid::text")]
            order = list(table.primary_key.columns)
            found[table.name] = [
                tuple(row) for row in connection.execute(sa.select(*columns).order_by(*order))
            ]
    return found
