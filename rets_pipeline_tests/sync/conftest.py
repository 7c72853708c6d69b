"""Warehouses, an archive in a folder, and mirrors of feeds that need no server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rets_pipeline.archive import Archive
from rets_pipeline.sandbox import RunningSandbox, running
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.sync.board import board, open_board, server  # noqa: F401
from rets_pipeline_tests.sync.pieces import feed_of, open_mirror
from rets_pipeline_tests.warehouse.databases import (  # noqa: F401
    postgres_warehouse,
    postgres_warehouse_url,
    postgres_with_tables,
    sqlite_template,
    sqlite_warehouse,
    sqlite_warehouse_url,
    warehouse,
    warehouse_url,
)


@pytest.fixture
def archive_folder(tmp_path: Path) -> Path:
    """Where the archive is."""
    return tmp_path / "archive"


@pytest.fixture
def archive(archive_folder: Path) -> Archive:
    """An empty archive in a folder."""
    return Archive.from_uri(str(archive_folder))


@pytest.fixture
def mirror(warehouse: Warehouse, archive: Archive) -> Iterator[Mirror]:  # noqa: F811
    """A run on a feed whose server nobody needs."""
    with open_mirror(warehouse, archive) as found:
        yield found


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    """A DDF server with twelve listings."""
    with running(listings=12, days=20, seed=5) as found:
        yield found


@pytest.fixture
def run(sandbox: RunningSandbox, warehouse: Warehouse, archive: Archive) -> Iterator[Mirror]:  # noqa: F811
    """A run on the sandbox's feed."""
    with open_mirror(warehouse, archive, feed_of(sandbox), sandbox) as found:
        yield found
