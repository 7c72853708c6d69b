"""Fixtures that every test may use: databases and archives, small and real.

What belongs here: where data go in a test. What does not: listings, servers of the MLS and
anything that only one package's tests need.
"""

from __future__ import annotations

import gc
import os
import re
import secrets
import signal
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings

from rets_pipeline_tests.services.postgres import PostgresServer
from rets_pipeline_tests.services.seaweedfs import BUCKET, S3Server

os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"  # read when an instance is made
# No test depends on the machine's speed; all else stays as Hypothesis has it, here or in CI.
settings.register_profile("project", settings(), deadline=None)
settings.load_profile("project")
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell starts what runs in its background so, and every process of a test would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


#: packages whose tests run a mirror through Dagster
_THROUGH_DAGSTER = {"end_to_end", "orchestration"}


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """What is left to the night, and the order of the rest.

    What is slow, or goes through Dagster, and runs on both backends is left to the night on the
    embedded one: by day the demo shows that it works.
    """
    nodes = {item.nodeid for item in items}
    for item in items:
        twin = item.nodeid.replace("embedded", "services")
        heavy = item.get_closest_marker("slow") or _THROUGH_DAGSTER & set(Path(item.path).parts)
        by_day = item.get_closest_marker("both_backends")
        if twin != item.nodeid and twin in nodes and heavy and not by_day:
            item.add_marker("nightly")
    yield
    items[:] = _dealt(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def pytest_collection_finish() -> None:
    """What is loaded by now stays to the end: to search it for cycles again and again is costly."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _dealt(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """The slow ones first, for each worker as many: none must wait for another's at the end.

    Every worker begins with an equal, unbroken part of the list.
    """
    slow = [item for item in items if item.get_closest_marker("slow")]
    slow.sort(key=lambda item: not item.get_closest_marker("daemon"))  # stable
    others = [item for item in items if not item.get_closest_marker("slow")]
    dealt: list[pytest.Item] = []
    for worker in range(workers):
        hand = slow[worker::workers]
        end = len(items) * (worker + 1) // workers
        place = max(0, end - len(dealt) - len(hand))
        dealt += [*hand, *others[:place]]
        del others[:place]
    return [*dealt, *others]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figure of the mirrors that were killed on purpose (``convergence``)."""
    events: Counter[str] = Counter()
    lives: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for life in (value for name, value in report.user_properties if name == "life"):
                lives[outcome] += 1
                events.update(life)
    if lives:
        terminalreporter.write_line(
            f"convergence: {lives.total()} lives, {events['killed']} runs killed, "
            f"{events['crashed']} crashes of what they write to, {events['faults']} faults of the "
            f"server; {lives['passed']} ended as exact copies, {lives['failed']} with differences"
        )


@dataclass(frozen=True)
class Backend:
    """A pair of places that the pipeline writes to.

    Attributes:
        environ: all variables that a process needs to use them.
    """

    name: str
    database_url: str = field(repr=False)
    archive_uri: str
    environ: Mapping[str, str] = field(repr=False)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite database that does not exist yet."""
    return f"sqlite:///{tmp_path / 'warehouse.sqlite'}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL server for the session (for each worker of pytest-xdist)."""
    server = PostgresServer.start()
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A new, empty PostgreSQL database, dropped at the end."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """One S3 server for the session (for each worker of pytest-xdist)."""
    server = S3Server.start()
    yield server
    server.stop()


@pytest.fixture
def s3_archive_uri(
    request: pytest.FixtureRequest, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> str:
    """An empty place on the S3 server; the environment holds what a client needs."""
    for name, value in s3_server.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    test = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:40].strip("-")
    return f"s3://{BUCKET}/{test}-{secrets.token_hex(6)}"


@pytest.fixture
def databases() -> Mapping[str, str]:
    """The fixtures that a backend takes its database from: here without tables."""
    return {"embedded": "sqlite_url", "services": "postgres_url"}


@pytest.fixture(params=["embedded", "services"])
def backend(
    request: pytest.FixtureRequest, tmp_path: Path, databases: Mapping[str, str]
) -> Backend:
    """SQLite with a folder, then PostgreSQL with S3."""
    database_url = request.getfixturevalue(databases[request.param])
    if request.param == "embedded":
        archive_uri = str(tmp_path / "archive")
        variables: Mapping[str, str] = {}
    else:
        archive_uri = request.getfixturevalue("s3_archive_uri")
        variables = request.getfixturevalue("s3_server").environ
    environ = {"DATABASE_URL": database_url, "ARCHIVE_URI": archive_uri, **variables}
    return Backend(request.param, database_url, archive_uri, environ)


@pytest.fixture(scope="session")
def dagster_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``DAGSTER_HOME`` without a run, to be copied: Dagster takes half a second to make one."""
    import dagster as dg  # most tests do without

    folder = tmp_path_factory.mktemp("dagster")
    overrides = {"telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(str(folder), overrides=overrides) as instance:
        # Asking makes the databases.
        assert not instance.get_runs()
        assert not instance.all_instigator_state()
    return folder
