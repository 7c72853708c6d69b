"""Dagster's jobs in this process.

What belongs here: starting a feed's job, and telling in one line what went wrong. What does not:
the jobs.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from rich.console import Console

from rets_pipeline.commands.faults import FAILED, INTERRUPTED, LOCKED, UNUSABLE, RunFailed
from rets_pipeline.commands.instance import PROCESS_TAG, open_instance, this_process
from rets_pipeline.commands.progress import TerminalProgress
from rets_pipeline.orchestration import build_defs, event_log, naming, partitions
from rets_pipeline.orchestration.active_runs import active_run
from rets_pipeline.orchestration.failures import CAUSE
from rets_pipeline.orchestration.jobs import members_config, replay_config, sync_config
from rets_pipeline.orchestration.people import people
from rets_pipeline.settings import FeedConfig, Settings, SettingsError
from rets_pipeline.sync.accounts import credentials
from rets_pipeline.sync.days import DayRange
from rets_pipeline.warehouse import runs
from rets_pipeline.warehouse.engine import Warehouse

#: for the queue and the start of a run's process
_SECONDS_FOR_OTHERS = 30

_STATUS = {
    "LockHeld": LOCKED,
    "CredentialsRefused": UNUSABLE,
    "ConfigurationFault": UNUSABLE,
    "RetryLater": UNUSABLE,
    "NotRets": UNUSABLE,
    "ArchiveError": UNUSABLE,
    "WarehouseError": UNUSABLE,
    "SettingsError": UNUSABLE,
}


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that succeeded.

    Attributes:
        actions: what it did, as the run ledger says.
        warnings: asset checks that did not pass, in one line each.
    """

    run_id: str
    actions: list[dict[str, Any]]
    warnings: list[str]


def sync(
    settings: Settings, feed: FeedConfig, console: Console, *, allow_deletions: int = 0
) -> Finished:
    """Run the feed's sync for all listings."""
    now = partitions.latest(feed, datetime.now(UTC))
    config = sync_config(feed.name, allow_deletions=allow_deletions)
    return _run(settings, feed, naming.sync_job(feed.name), console, config, now)


def reconcile(
    settings: Settings, feed: FeedConfig, console: Console, *, allow_deletions: int = 0
) -> Finished:
    """Run the feed's reconcile: a sync with audits."""
    now = partitions.latest(feed, datetime.now(UTC))
    config = sync_config(feed.name, allow_deletions=allow_deletions)
    return _run(settings, feed, naming.reconcile_job(feed.name), console, config, now)


def retention(settings: Settings, feed: FeedConfig, console: Console) -> Finished:
    """Run the feed's retention."""
    return _run(settings, feed, naming.retention_job(feed.name), console, {}, None)


def prune_event_log(settings: Settings) -> int:
    """Prune Dagster's event log.

    Returns:
        The number of rows removed.
    """
    with open_instance(settings) as instance:
        before = datetime.now(UTC) - timedelta(days=settings.event_log_days)
        return event_log.prune(instance, before).rows


def members(
    settings: Settings, feed: FeedConfig, console: Console, *, allow_deletions: int = 0
) -> Finished:
    """Run the feed's job for members and offices.

    Raises:
        SettingsError: its source has no searches for them.
    """
    if not people(feed):
        raise SettingsError(
            f"feed {feed.name!r}: source {feed.source!r} has no searches for members and offices"
        )
    config = members_config(feed, allow_deletions=allow_deletions)
    return _run(settings, feed, naming.members_job(feed.name), console, config, None)


def images(settings: Settings, feed: FeedConfig, console: Console) -> Finished:
    """Run the feed's image job."""
    return _run(settings, feed, naming.images_job(feed.name), console, {}, None)


def addresses(settings: Settings, feed: FeedConfig, console: Console) -> Finished:
    """Run the feed's address job."""
    return _run(settings, feed, naming.addresses_job(feed.name), console, {}, None)


def backfill(
    settings: Settings, feed: FeedConfig, console: Console, days: DayRange, *, replay: bool
) -> Finished:
    """Fetch and load, or replay, chosen days that the feed has.

    A replay is done in runs of the usual length, to its end; runs that wait for one of them to end
    go first.
    """
    if not replay:
        return _run(settings, feed, naming.backfill_job(feed.name), console, {}, days)
    job = naming.replay_job(feed.name)
    done = _run(settings, feed, job, console, replay_config(feed.name), days)
    while any(action.get("replays_left") for action in done.actions[-1:]):
        _let_others_go_first(settings, feed)
        part = _run(settings, feed, job, console, replay_config(feed.name, go_on=True), days)
        done = Finished(part.run_id, done.actions + part.actions, done.warnings + part.warnings)
    return done


def _let_others_go_first(settings: Settings, feed: FeedConfig) -> None:
    """Leave the feed alone until a run that is in line has had time to take its lock."""
    with open_instance(settings) as instance:
        for _ in range(_SECONDS_FOR_OTHERS):
            if active_run(instance, feed.name) is None:
                return
            time.sleep(1)


def _run(
    settings: Settings,
    feed: FeedConfig,
    job: str,
    console: Console,
    config: dict[str, Any],
    days: DayRange | None,
) -> Finished:
    credentials(feed)
    warehouse = Warehouse.open(settings.database_url)
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    try:
        with open_instance(settings) as instance, TerminalProgress(console) as progress:
            alone = settings.model_copy(update={"feeds": {feed.name: feed}, "broken": {}})
            defs = build_defs(alone, resource_overrides={naming.PROGRESS: progress})
            result = defs.resolve_job_def(job).execute_in_process(
                run_config={**config, **quiet},
                instance=instance,
                tags={
                    PROCESS_TAG: this_process(),
                    **(partitions.range_tags(days) if days else {}),
                },
                raise_on_error=False,
            )
        if not result.success:
            raise _failure(result, job)
        with warehouse.reading() as connection:
            actions = runs.actions(connection, run_id=result.run_id, feed=feed.name)
        return Finished(result.run_id, actions, _warnings(result))
    finally:
        warehouse.close()


def _failure(result: dg.ExecuteInProcessResult, job: str) -> RunFailed:
    """The first step's failure: the others follow from it, or will be seen next time."""
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            told = data.user_failure_data
            if told is not None and told.description:
                cause = told.metadata.get(CAUSE)
                status = _STATUS.get(str(cause.value) if cause else "", FAILED)
                return RunFailed(told.description, status)
            error = data.error
            if error is not None and error.cls_name == dg.DagsterExecutionInterruptedError.__name__:
                return RunFailed("interrupted; the next run goes on from here", INTERRUPTED)
            while error is not None and error.cause is not None:
                error = error.cause
            message = error.message.strip().splitlines()[0] if error else "unknown"
            return RunFailed(f"{event.step_key}: {message} (run {result.run_id})", FAILED)
    return RunFailed(f"{job} failed (run {result.run_id}); the Dagster UI shows its log", FAILED)


def _warnings(result: dg.ExecuteInProcessResult) -> list[str]:
    found = []
    for evaluation in result.get_asset_check_evaluations():
        if not evaluation.passed:
            numbers = ", ".join(
                f"{name} {value.value}" for name, value in evaluation.metadata.items()
            )
            detail = evaluation.description or numbers
            found.append(f"check {evaluation.check_name} did not pass: {detail}")
    return found
