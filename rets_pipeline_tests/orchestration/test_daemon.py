"""A deployment at work: an asset backfill through a running daemon while a sync is scheduled.

What belongs here: what only the real web server, daemon, queue and schedule can show. What does
not: what runs in this process can show as well.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.scheduler.instigation import InstigatorTick

from rets_pipeline.commands.instance import open_instance
from rets_pipeline.orchestration import naming, partitions
from rets_pipeline.orchestration.jobs import sync_config
from rets_pipeline.sandbox import running
from rets_pipeline.settings import Settings
from rets_pipeline.warehouse import media
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.locks import RunLock
from rets_pipeline_tests.conftest import Backend
from rets_pipeline_tests.end_to_end.harness import (
    FEED,
    Pipeline,
    Server,
    assert_equal_images,
    assert_equal_listings,
)
from rets_pipeline_tests.orchestration.dagster_processes import Dagster

pytestmark = [pytest.mark.slow, pytest.mark.daemon, pytest.mark.timeout(1_200)]

_PASSWORD = "sandbox-password"
_FINISHED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that takes its time, so that runs take some seconds."""
    with running(listings=60, days=20, seed=5, max_photos=1) as sandbox:
        found = Server(sandbox.url, sandbox.login_url)
        found.behave(latency=0.7)
        yield found


@pytest.fixture
def environ(server: Server, backend: Backend, tmp_path: Path) -> dict[str, str]:
    """One feed that is synced every minute, and one whose variables nobody has set."""
    shared = {
        "source": "ddf",
        "login_url": server.login_url,
        "first_day": (datetime.now(UTC) - timedelta(days=30)).date(),
        "cadence_minutes": 1,
        "lock_wait_seconds": 300,
        "photos": {"hosts": ["127.0.0.1"], "allow_private_addresses": True},
    }
    feeds = {
        name: {
            **shared,
            "username_variable": f"{name.upper()}_USERNAME",
            "password_variable": f"{name.upper()}_PASSWORD",
        }
        for name in (FEED, "unset")
    }
    path = tmp_path / "feeds.yaml"
    path.write_text(yaml.safe_dump({"feeds": feeds}), encoding="utf-8")
    return {
        "RETS_PIPELINE_FEEDS": str(path),
        "RETS_PIPELINE_HOME": str(tmp_path / "home"),
        "RETS_PIPELINE_AUTOMATION": "yes",
        "BOARD_USERNAME": "sandbox",
        "BOARD_PASSWORD": _PASSWORD,
        **backend.environ,
    }


@pytest.fixture
def instance(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """The processes' instance, with the limits that `make dev` sets."""
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copyfile(Path(__file__).parents[2] / "dagster.yaml", home / "dagster.yaml")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "yes")
    with open_instance(Settings.from_env(environ)) as found:
        yield found


def test_a_backfill_and_scheduled_syncs_run_one_after_the_other(
    server: Server, environ: dict[str, str], instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    settings = Settings.from_env(environ)
    feed = settings.feeds[FEED]
    today = datetime.now(UTC).date()
    days = [(today - timedelta(days=back)).isoformat() for back in range(14, 2, -1)]
    keys = [[FEED, naming.RAW], [FEED, naming.LISTINGS]]

    with Dagster(tmp_path / "dagster", environ) as dagster:
        dagster.start_webserver()
        with _nobody_may_work(settings):
            backfill = dagster.backfill_assets(keys, days)
            dagster.start_daemon()
            dagster.wait("the backfill's run", lambda: bool(_running(instance)))
            # The schedule leaves its syncs out meanwhile, so an operator's tries to get between.
            launched = dagster.launch_job(
                naming.sync_job(FEED),
                sync_config(FEED),
                partitions.range_tags(partitions.latest(feed, datetime.now(UTC))),
            )
            dagster.wait(
                "a tick that was left out",
                lambda: any("is active" in told for told in _left_out(instance)),
            )
            assert not _scheduled(instance)
        dagster.wait(
            "the backfill and a sync of the schedule",
            lambda: (
                dagster.backfill_status(backfill) == "COMPLETED_SUCCESS"
                and any(run.status in _FINISHED for run in _scheduled(instance))
            ),
        )
        for name in (FEED, "unset"):
            dagster.stop_schedule(naming.sync_schedule(name))
        dagster.wait("photos, by their sensor", lambda: _photos_are_there(settings))
        dagster.wait("all runs ended", lambda: not _active(instance))

    every = [
        record
        for record in instance.get_run_records()
        if record.dagster_run.tags.get(naming.FEED_TAG) != "unset"
    ]
    assert {record.dagster_run.status for record in every} == {dg.DagsterRunStatus.SUCCESS}
    photos = naming.images_job(FEED)
    assert {
        record.dagster_run.tags["dagster/sensor_name"]
        for record in every
        if record.dagster_run.job_name == photos
    } == {f"{photos}_sensor"}
    # Photos and addresses need no session of the server's, and run beside syncs.
    beside = {photos, naming.addresses_job(FEED)}
    records = [record for record in every if record.dagster_run.job_name not in beside]
    runs = {record.dagster_run.run_id: record for record in records}
    (filled,) = [record for record in records if "dagster/backfill" in record.dagster_run.tags]
    assert runs[launched].create_timestamp.timestamp() < (filled.end_time or 0)
    assert len(runs) >= 3
    assert server.statistics()["logins"] >= 3

    spans = sorted((record.start_time or 0, record.end_time or 0) for record in records)
    assert all(0 < start < end for start, end in spans)
    assert all(later[0] >= earlier[1] for earlier, later in pairwise(spans)), spans
    assert server.statistics()["sessions_open_at_most"] == 1
    assert server.statistics()["sessions_open"] == 0

    pipeline = Pipeline(settings, instance)
    assert_equal_listings(pipeline, server.truth())
    assert_equal_images(pipeline, server.truth_with_images())
    pipeline.warehouse.close()
    for key in keys:
        assert set(days) <= instance.get_materialized_partitions(dg.AssetKey(key))

    _assert_the_other_feed_says_what_is_missing(instance)
    _assert_no_password(tmp_path / "dagster")


@contextmanager
def _nobody_may_work(settings: Settings) -> Iterator[None]:
    """Runs start and wait for the feed's lock."""
    warehouse = Warehouse.open(settings.database_url)
    lock = RunLock.acquire(warehouse, f"feed {FEED}", holder="the test", wait_seconds=0)
    try:
        yield
    finally:
        lock.release()
        warehouse.close()


def _photos_are_there(settings: Settings) -> bool:
    warehouse = Warehouse(settings.database_url)
    with warehouse.reading() as connection:
        found = media.completeness(connection, FEED, ("large",))
    warehouse.close()
    return found.named > 0 and found.stored == found.named


def _left_out(instance: dg.DagsterInstance) -> list[str]:
    """Why the schedule's ticks asked for nothing."""
    return [tick.skip_reason or "" for tick in _ticks(instance, naming.sync_schedule(FEED))]


def _ticks(instance: dg.DagsterInstance, schedule: str) -> Sequence[InstigatorTick]:
    return [
        tick
        for state in instance.all_instigator_state()
        if state.instigator_name == schedule
        for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id)
    ]


def _running(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    return list(instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])))


def _scheduled(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    tags = {"dagster/schedule_name": naming.sync_schedule(FEED)}
    return list(instance.get_runs(dg.RunsFilter(tags=tags)))


def _active(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    return [run for run in instance.get_runs() if run.status not in _FINISHED]


def _assert_the_other_feed_says_what_is_missing(instance: dg.DagsterInstance) -> None:
    """In runs that fail at once, and are not tried again."""
    runs = list(instance.get_runs(dg.RunsFilter(tags={naming.FEED_TAG: "unset"})))
    assert {run.status for run in runs} == {dg.DagsterRunStatus.FAILURE}
    assert {run.tags["dagster/will_retry"] for run in runs} == {"false"}
    for run in runs:
        failed = instance.get_records_for_run(
            run.run_id, of_type=dg.DagsterEventType.RESOURCE_INIT_FAILURE
        ).records
        assert "UNSET_USERNAME is not set" in str(failed)


def _assert_no_password(folder: Path) -> None:
    kept = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in kept)
    for path in kept:
        assert _PASSWORD.encode() not in path.read_bytes(), path
