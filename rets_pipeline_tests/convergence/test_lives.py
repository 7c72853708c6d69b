"""Mirrors whose runs are killed at any moment become what the server is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rets_pipeline.sandbox import running
from rets_pipeline_tests.conftest import Backend
from rets_pipeline_tests.convergence.life import Life, live_and_compare
from rets_pipeline_tests.services.postgres import PostgresServer
from rets_pipeline_tests.services.seaweedfs import BUCKET, S3Server

# Early, so that at the end no worker waits for another's lives.
pytestmark = [pytest.mark.slow, pytest.mark.both_backends]

#: pytest's ``record_property``
Record = Callable[[str, object], None]

#: lives by default, and the first one's seed; a nightly run sets more
_LIVES = int(os.environ.get("RETS_PIPELINE_LIVES", "12"))
_STEPS = 8 if _LIVES > 12 else 5
_FIRST = int(os.environ.get("RETS_PIPELINE_FIRST_LIFE", "1"))


@pytest.fixture(scope="module")
def durable_server() -> Iterator[PostgresServer]:
    """A database server that keeps what was committed, as in production."""
    server = PostgresServer.start(durable=True)
    yield server
    server.stop()


@pytest.mark.parametrize("seed", range(_FIRST, _FIRST + _LIVES))
def test_a_life_ends_with_an_exact_copy(
    seed: int, backend: Backend, record_property: Record
) -> None:
    # By day one of those below does that.
    _live(seed, backend, record_property, people=seed > 12 and seed % 12 == 4)


@pytest.mark.parametrize("seed", range(_FIRST, _FIRST + max(1, _LIVES // 4)))
def test_a_database_that_crashes(
    seed: int, durable_server: PostgresServer, tmp_path: Path, record_property: Record
) -> None:
    with durable_server.database() as url:
        database = url.rpartition("/")[2]
        backend = Backend("postgres", url, str(tmp_path / "archive"), {})
        _live(
            seed,
            backend,
            record_property,
            lambda: durable_server.crash(database),
            people=seed % 3 == 0,
        )


@pytest.mark.parametrize("seed", range(_FIRST, _FIRST + max(1, _LIVES // 8)))
def test_an_archive_that_crashes(seed: int, sqlite_url: str, record_property: Record) -> None:
    server = S3Server.start()
    try:
        backend = Backend("s3", sqlite_url, f"s3://{BUCKET}/life", server.environ)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in server.environ.items():
                patch.setenv(name, value)
            _live(seed, backend, record_property, server.crash)
    finally:
        server.stop()


def _live(
    seed: int,
    backend: Backend,
    record: Record,
    crash: Callable[[], None] | None = None,
    *,
    people: bool = False,
) -> None:
    with running(listings=16, days=3, seed=seed, max_photos=2) as sandbox:
        live_and_compare(Life(seed, sandbox, backend, crash, people=people), _STEPS, record)
