"""A sandbox and a mirror of it, new for each test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from rets_pipeline.sandbox import running
from rets_pipeline.settings import DeletionGuard, FeedConfig, PhotoSettings, Settings
from rets_pipeline_tests.conftest import Backend
from rets_pipeline_tests.end_to_end.harness import FEED, Pipeline, Server
from rets_pipeline_tests.warehouse.databases import (  # noqa: F401
    postgres_warehouse_url,
    postgres_with_tables,
    sqlite_template,
    sqlite_warehouse_url,
)


@pytest.fixture
def databases() -> Mapping[str, str]:
    """With empty tables, which take longer to make than much of what happens to them here."""
    return {"embedded": "sqlite_warehouse_url", "services": "postgres_warehouse_url"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A DDF server with 60 listings of the last 20 days."""
    with running(listings=60, days=10, seed=11, max_photos=3) as sandbox:
        monkeypatch.setenv("BOARD_USERNAME", sandbox.username)
        monkeypatch.setenv("BOARD_PASSWORD", sandbox.password)
        yield Server(sandbox.url, sandbox.login_url)


@pytest.fixture
def settings(server: Server, backend: Backend, tmp_path: Path) -> Settings:
    """A feed of that server, on one of the two backends."""
    feed = FeedConfig(
        name=FEED,
        source="ddf",
        login_url=server.login_url,
        username_variable="BOARD_USERNAME",
        password_variable="BOARD_PASSWORD",
        first_day=(datetime.now(UTC) - timedelta(days=45)).date(),
        lock_wait_seconds=5,
        deletion_guard=DeletionGuard(keys=5, share=0.10),
        photos=PhotoSettings(hosts=("127.0.0.1",), allow_private_addresses=True),
    )
    return Settings(
        feeds={FEED: feed},
        database_url=backend.database_url,
        archive_uri=backend.archive_uri,
        home=tmp_path,
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in memory: its events are not what these tests are about."""
    with dg.DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture
def pipeline(settings: Settings, instance: dg.DagsterInstance) -> Iterator[Pipeline]:
    """The mirror, empty."""
    found = Pipeline(settings, instance)
    yield found
    found.warehouse.close()
