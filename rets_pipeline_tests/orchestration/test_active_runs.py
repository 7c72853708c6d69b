"""A run that never ends does not silence its feed: whoever looks first reports it as failed."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml
from dagster._core.events import DagsterEvent, DagsterEventType, RunFailureReason
from dagster._core.execution.retries import auto_reexecution_should_retry_run
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from rets_pipeline.orchestration import active_runs, build_defs, naming, partitions
from rets_pipeline.orchestration.active_runs import active_run
from rets_pipeline.orchestration.assets import Scope
from rets_pipeline.orchestration.failures import as_failures
from rets_pipeline.orchestration.jobs import feed_jobs, sync_config
from rets_pipeline.rets import CredentialsRefused, QueryRefused, RetryLater
from rets_pipeline.settings import Settings
from rets_pipeline.warehouse import tables
from rets_pipeline_tests.end_to_end.harness import (
    FEED,
    QUIET,
    Pipeline,
    Server,
    assert_equal_listings,
)
from rets_pipeline_tests.orchestration.conftest import feed
from rets_pipeline_tests.orchestration.test_schedules import start, start_assets, tick

_ROOT = Path(__file__).parents[2]
_MINUTE = 60
Status = dg.DagsterRunStatus


@pytest.fixture(autouse=True)
def accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EAST_USERNAME", "EAST_PASSWORD", "WEST_USERNAME", "WEST_PASSWORD"):
        monkeypatch.setenv(name, "x")


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """The instance that the project's file makes, without a run."""
    shutil.copyfile(_ROOT / "dagster.yaml", tmp_path / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(tmp_path)) as found:
        yield found


@pytest.fixture
def memory() -> Iterator[dg.DagsterInstance]:
    """The same in memory."""
    found = yaml.safe_load((_ROOT / "dagster.yaml").read_text())
    with dg.DagsterInstance.ephemeral(settings=found) as instance:
        yield instance


def began(storage: dg.DagsterInstance, run: dg.DagsterRun, minutes: float) -> dg.DagsterRun:
    """The run said so many minutes ago that it started, and nothing since: its process died."""
    event = DagsterEvent(DagsterEventType.RUN_START.value, run.job_name)
    storage.report_dagster_event(event, run.run_id, timestamp=time.time() - minutes * _MINUTE)
    found = storage.get_run_record_by_id(run.run_id)
    assert found is not None
    assert found.dagster_run.status is Status.STARTED
    return found.dagster_run


def status_of(storage: dg.DagsterInstance, run: dg.DagsterRun) -> Status:
    found = storage.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def monitor(storage: dg.DagsterInstance) -> None:
    """A turn of Dagster's run monitoring."""
    context = cast(
        "Any", SimpleNamespace(instance=storage, create_request_context=lambda: object())
    )
    errors = execute_run_monitoring_iteration(context, logging.getLogger("monitoring"))
    assert [error for error in errors if error] == []


def test_run_monitoring_frees_the_feed(two_feeds: Settings, storage: dg.DagsterInstance) -> None:
    run = start(two_feeds, storage, naming.sync_job("east"), Status.NOT_STARTED)
    began(storage, run, 29)
    monitor(storage)
    told = tick(two_feeds, "east", datetime.now(UTC), storage)
    assert told == f"run {run.run_id[:8]} of feed east is active"

    began(storage, run, 31)
    monitor(storage)
    assert status_of(storage, run) is Status.FAILURE
    request = tick(two_feeds, "east", datetime.now(UTC), storage)
    assert isinstance(request, dg.RunRequest)
    assert request.run_config["ops"]["east__raw_listings"]["config"]["scope"] == Scope.ALL.name


def test_whoever_looks_frees_the_feed(two_feeds: Settings, memory: dg.DagsterInstance) -> None:
    """When run monitoring is switched off, or has its own troubles."""
    run = start(two_feeds, memory, naming.sync_job("east"), Status.NOT_STARTED)
    other = start(two_feeds, memory, naming.sync_job("west"), Status.NOT_STARTED)
    began(memory, other, 34)
    began(memory, run, 34)
    assert active_run(memory, "east") == run.run_id[:8]
    assert status_of(memory, run) is Status.STARTED

    began(memory, run, 36)
    assert active_run(memory, "east") is None
    assert status_of(memory, run) is Status.FAILURE
    assert status_of(memory, other) is Status.STARTED


def test_a_run_of_the_ui_without_a_tag_of_ours_as_well(
    two_feeds: Settings, memory: dg.DagsterInstance
) -> None:
    chosen = [naming.asset_key("east", naming.LISTINGS)]
    run = start_assets(two_feeds, memory, chosen, Status.NOT_STARTED)
    assert active_runs.longest_seconds(run, memory) == 60 * _MINUTE
    began(memory, run, 64)
    assert active_run(memory, "east") == run.run_id[:8]
    began(memory, run, 66)
    assert active_run(memory, "east") is None
    assert status_of(memory, run) is Status.FAILURE


def test_a_run_that_waits_in_the_queue_is_no_stuck_one(
    two_feeds: Settings, memory: dg.DagsterInstance
) -> None:
    run = start(two_feeds, memory, naming.sync_job("east"), Status.QUEUED)
    assert active_run(memory, "east") == run.run_id[:8]
    assert status_of(memory, run) is Status.QUEUED


@pytest.mark.parametrize("status", [Status.NOT_STARTED, Status.STARTING, Status.CANCELING])
def test_a_run_that_never_gets_going_is_ended_by_whoever_looks(
    status: Status,
    two_feeds: Settings,
    memory: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when a newer run waits in the queue for it, and run monitoring does not run."""
    run = start(two_feeds, memory, naming.sync_job("east"), status)
    waiting = start(two_feeds, memory, naming.reconcile_job("east"), Status.QUEUED)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 7 * _MINUTE)
    assert active_run(memory, "east") == run.run_id[:8]
    monkeypatch.setattr(time, "time", lambda: now + 9 * _MINUTE)
    assert active_run(memory, "east") == waiting.run_id[:8]
    assert status_of(memory, run) is Status.FAILURE
    assert status_of(memory, waiting) is Status.QUEUED


def test_a_longest_time_that_is_no_number_is_that_of_the_instance(
    two_feeds: Settings, memory: dg.DagsterInstance
) -> None:
    run = start(two_feeds, memory, naming.sync_job("east"), Status.NOT_STARTED)
    memory.add_run_tags(run.run_id, {active_runs.LONGEST_TAG: "half an hour"})
    began(memory, run, 66)
    assert active_run(memory, "east") is None


@pytest.mark.parametrize(
    ("settings", "minutes"),
    [
        ({}, 30),
        ({"cadence_minutes": 5}, 30),
        ({"cadence_minutes": 60}, 120),
        ({"cadence_minutes": 1440}, 240),
        ({"cadence_minutes": 1440, "max_runtime_minutes": 20}, 20),
        ({"max_runtime_minutes": 600}, 600),
    ],
)
def test_the_longest_time_is_near_the_cadence(settings: dict[str, int], minutes: int) -> None:
    tags = {job.name: job.tags for job in feed_jobs(feed("east", **settings))}
    for job in (naming.reconcile_job, naming.retention_job):
        nightly = tags.pop(job("east"))
        assert nightly[active_runs.LONGEST_TAG] == str(2 * minutes * _MINUTE)
    assert {found[active_runs.LONGEST_TAG] for found in tags.values()} == {str(minutes * _MINUTE)}


def test_run_retries_are_for_crashes(two_feeds: Settings, memory: dg.DagsterInstance) -> None:
    """What an asset reports as its failure would fail again at once; the schedule comes anyway."""
    run = start(two_feeds, memory, naming.sync_job("east"), Status.FAILURE)
    assert auto_reexecution_should_retry_run(memory, run, RunFailureReason.RUN_EXCEPTION)
    assert auto_reexecution_should_retry_run(memory, run, RunFailureReason.UNKNOWN)
    assert not auto_reexecution_should_retry_run(memory, run, RunFailureReason.STEP_FAILURE)


@pytest.mark.parametrize("what", ["database_url", "archive_uri", "password"])
def test_what_cannot_be_opened_is_no_crash(
    what: str,
    two_feeds: Settings,
    memory: dg.DagsterInstance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It fails before any step does, and Dagster would try again at once, and once more."""
    (tmp_path / "file").write_text("no folder")
    if what == "password":
        monkeypatch.delenv("EAST_PASSWORD")
    nowhere = {"database_url": "sqlite:///", "archive_uri": ""}
    working = {"database_url": f"sqlite:///{tmp_path}/w.sqlite", "archive_uri": str(tmp_path)}
    broken = {what: f"{nowhere[what]}{tmp_path}/file/inside"} if what in nowhere else {}
    defs = build_defs(two_feeds.model_copy(update=working | broken))
    job = defs.resolve_job_def(naming.images_job("east"))
    result = job.execute_in_process(instance=memory, raise_on_error=False, run_config=QUIET)
    run = memory.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status is Status.FAILURE
    assert run.tags["dagster/will_retry"] == "false"
    told = "".join(
        str(event.engine_event_data.error)
        for event in result.all_events
        if event.event_type_value == "RESOURCE_INIT_FAILURE"
    )
    assert ("the variable EAST_PASSWORD is not set" in told) is (what == "password")


def test_a_replay_is_not_tried_again(two_feeds: Settings, memory: dg.DagsterInstance) -> None:
    for job, again in ((naming.replay_job, False), (naming.backfill_job, True)):
        run = start(two_feeds, memory, job("east"), Status.FAILURE)
        assert auto_reexecution_should_retry_run(memory, run, RunFailureReason.UNKNOWN) is again


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (CredentialsRefused("refused"), False),
        (QueryRefused("refused"), False),
        (RetryLater("busy"), True),
    ],
)
def test_what_a_retry_cannot_help_says_so(error: Exception, again: bool) -> None:
    with pytest.raises(dg.Failure) as told, as_failures():
        raise error
    assert told.value.allow_retries is again


@pytest.mark.parametrize("backend", ["embedded"], indirect=True)
def test_a_run_of_dagster_knows_its_time(pipeline: Pipeline, server: Server) -> None:
    """It ends well before it is stopped, says how much is left, and the next one goes on."""
    days = partitions.range_tags(partitions.latest(pipeline.feed, datetime.now(UTC)))
    hurried = pipeline.defs.resolve_job_def(naming.sync_job(FEED)).execute_in_process(
        run_config={**sync_config(FEED), **QUIET},
        instance=pipeline.instance,
        tags={**days, active_runs.LONGEST_TAG: "0.001"},
    )
    node = naming.op_name(FEED, naming.RAW)
    told = [item.metadata for item in hurried.asset_materializations_for_node(node)]
    left = {cast("int", item["left_over"].value) for item in told if "left_over" in item}
    held = len(pipeline.rows(sa.select(tables.property_.c.listing_key)))
    assert held > 0
    assert left == {len(server.truth()) - held}
    assert pipeline.sync().success
    assert_equal_listings(pipeline, server.truth())
