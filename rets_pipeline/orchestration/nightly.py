"""When the nightly jobs run.

What belongs here: the schedules of the reconcile, of retention and of Dagster's event log. What
does not: the cadence of syncs (``schedules``), and the jobs.

No tick is left out while another run of the feed is active: the pool keeps them in line, and once
a night nothing piles up.
"""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from rets_pipeline.orchestration import naming, partitions
from rets_pipeline.orchestration.jobs import sync_config
from rets_pipeline.settings import FeedConfig

#: beside the full quarters of an hour, when syncs begin
_RECONCILE_MINUTE, _RETENTION_MINUTE = 8, 38
_EVENT_LOG = "52 4 * * *"


def nightly_schedules(feed: FeedConfig, *, running: bool) -> list[dg.ScheduleDefinition]:
    """The schedules of a feed's reconcile and retention.

    Args:
        feed: the feed; its setting says at which hour.
        running: whether they run without anybody having switched them on.
    """
    return [_reconcile(feed, _status(running)), _retention(feed, _status(running))]


def event_log_schedule(*, running: bool) -> dg.ScheduleDefinition:
    """The schedule of the job that prunes Dagster's event log.

    Args:
        running: whether it runs without anybody having switched it on.
    """
    return dg.ScheduleDefinition(
        name=naming.schedule_of(naming.EVENT_LOG_JOB),
        job_name=naming.EVENT_LOG_JOB,
        cron_schedule=_EVENT_LOG,
        execution_timezone="UTC",
        default_status=_status(running),
        description="Prunes Dagster's event log every night.",
    )


def _status(running: bool) -> dg.DefaultScheduleStatus:
    return dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED


def _reconcile(feed: FeedConfig, status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    job = naming.reconcile_job(feed.name)

    @dg.schedule(
        name=naming.schedule_of(job),
        job_name=job,
        cron_schedule=f"{_RECONCILE_MINUTE} {feed.reconcile.hour} * * *",
        execution_timezone="UTC",
        default_status=status,
        description=f"A sync with audits every night at {feed.reconcile.hour}:"
        f"{_RECONCILE_MINUTE:02} UTC.",
    )
    def reconcile_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        moment = context.scheduled_execution_time or datetime.now(UTC)
        return dg.RunRequest(
            run_key=None,  # a failed run's key would never be asked for again
            run_config=sync_config(feed.name),
            tags=partitions.range_tags(partitions.latest(feed, moment)),
        )

    return reconcile_schedule


def _retention(feed: FeedConfig, status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    job = naming.retention_job(feed.name)
    return dg.ScheduleDefinition(
        name=naming.schedule_of(job),
        job_name=job,
        cron_schedule=f"{_RETENTION_MINUTE} {feed.reconcile.hour} * * *",
        execution_timezone="UTC",
        default_status=status,
        description="Removes what nobody needs any more every night at "
        f"{feed.reconcile.hour}:{_RETENTION_MINUTE} UTC.",
    )
