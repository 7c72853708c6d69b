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
from dagster._core.events import DagsterEvent, DagsterEventType, RunFailureReason
from dagster._core.execution.retries import auto_reexecution_should_retry_run
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from rets_pipeline.orchestration import active_runs, naming
from rets_pipeline.orchestration.assets import Scope
from rets_pipeline.orchestration.failures import as_failures
from rets_pipeline.rets import CredentialsRefused, QueryRefused, RetryLater
from rets_pipeline.settings import Settings
from rets_pipeline_tests.orchestration.conftest import feed
from rets_pipeline_tests.orchestration.test_schedules import one, start, start_assets, tick

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


def began(storage: dg.DagsterInstance, run: dg.DagsterRun, minutes: float) -> dg.DagsterRun:
    """The run said so many minutes ago that it started, and nothing since: its process died."""
    event = DagsterEvent(DagsterEventType.RUN_START.value, run.job_name)
    storage.report_dagster_event(event, run.run_id, timestamp=time.time() - minutes * _MINUTE)
    found = storage.get_run_record_by_id(run.run_id)
    assert found is not None
    assert found.dagster_run.status is Status.STARTED
    return found.dagster_run


def look(settings: Settings, storage: dg.DagsterInstance) -> dg.RunRequest | str:
    return tick(settings, "east", datetime.now(UTC), storage)


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
    assert look(two_feeds, storage) == f"run {run.run_id[:8]} of feed east is active"

    began(storage, run, 31)
    monitor(storage)
    assert status_of(storage, run) is Status.FAILURE
    assert isinstance(look(two_feeds, storage), dg.RunRequest)


def test_the_schedule_frees_the_feed_itself(
    two_feeds: Settings, storage: dg.DagsterInstance
) -> None:
    """When run monitoring is switched off, or has its own troubles."""
    run = start(two_feeds, storage, naming.sync_job("east"), Status.NOT_STARTED)
    other = start(two_feeds, storage, naming.sync_job("west"), Status.NOT_STARTED)
    began(storage, other, 34)
    began(storage, run, 34)
    assert look(two_feeds, storage) == f"run {run.run_id[:8]} of feed east is active"
    assert status_of(storage, run) is Status.STARTED

    began(storage, run, 36)
    request = look(two_feeds, storage)
    assert isinstance(request, dg.RunRequest)
    assert request.run_config["ops"]["east__raw_listings"]["config"]["scope"] == Scope.ALL.name
    assert status_of(storage, run) is Status.FAILURE
    assert status_of(storage, other) is Status.STARTED


def test_a_run_of_the_ui_without_a_tag_of_ours_as_well(
    two_feeds: Settings, storage: dg.DagsterInstance
) -> None:
    run = start_assets(
        two_feeds, storage, [naming.asset_key("east", naming.LISTINGS)], Status.NOT_STARTED
    )
    assert active_runs.longest_seconds(run, storage) == 60 * _MINUTE
    began(storage, run, 64)
    assert "is active" in str(look(two_feeds, storage))
    began(storage, run, 66)
    assert isinstance(look(two_feeds, storage), dg.RunRequest)
    assert status_of(storage, run) is Status.FAILURE


def test_a_run_that_waits_in_the_queue_is_no_stuck_one(
    two_feeds: Settings, storage: dg.DagsterInstance
) -> None:
    run = start(two_feeds, storage, naming.sync_job("east"), Status.QUEUED)
    assert "is active" in str(look(two_feeds, storage))
    assert status_of(storage, run) is Status.QUEUED


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
def test_the_longest_time_is_near_the_cadence(
    settings: dict[str, int], minutes: int, tmp_path: Path, storage: dg.DagsterInstance
) -> None:
    found = one(feed("east", **settings), tmp_path)
    for job in (naming.sync_job, naming.members_job, naming.images_job, naming.backfill_job):
        run = start(found, storage, job("east"), Status.QUEUED)
        assert active_runs.longest_seconds(run, storage) == minutes * _MINUTE


def test_a_replay_may_take_its_time(two_feeds: Settings, storage: dg.DagsterInstance) -> None:
    run = start(two_feeds, storage, naming.replay_job("east"), Status.QUEUED)
    assert active_runs.longest_seconds(run, storage) == 6 * 60 * _MINUTE


def test_run_retries_are_for_crashes(two_feeds: Settings, storage: dg.DagsterInstance) -> None:
    """What an asset reports as its failure would fail again at once; the schedule comes anyway."""
    run = start(two_feeds, storage, naming.sync_job("east"), Status.FAILURE)
    assert auto_reexecution_should_retry_run(storage, run, RunFailureReason.RUN_EXCEPTION)
    assert auto_reexecution_should_retry_run(storage, run, RunFailureReason.UNKNOWN)
    assert not auto_reexecution_should_retry_run(storage, run, RunFailureReason.STEP_FAILURE)


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
