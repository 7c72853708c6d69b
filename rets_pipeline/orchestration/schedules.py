"""When syncs run.

What belongs here: the cadence of a feed and the skip while a run is active. What does not: the
guarantee that runs do not overlap, which is the feed's lock.
"""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from rets_pipeline.orchestration import naming, partitions
from rets_pipeline.orchestration.jobs import sync_config
from rets_pipeline.settings import FeedConfig

_ACTIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def feed_schedules(feed: FeedConfig, *, running: bool) -> list[dg.ScheduleDefinition]:
    """The schedule of the feed's sync.

    Args:
        running: whether it runs without anybody having switched it on.
    """
    status = dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED

    @dg.schedule(
        name=naming.sync_schedule(feed.name),
        job_name=naming.sync_job(feed.name),
        cron_schedule=cron(feed.cadence_minutes),
        execution_timezone="UTC",
        default_status=status,
        description=f"A sync every {feed.cadence_minutes} minutes, left out while a run of the "
        "feed is active.",
    )
    def sync_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        active = active_run(context.instance, feed.name)
        if active is not None:
            return dg.SkipReason(f"run {active} of feed {feed.name} is active")
        moment = context.scheduled_execution_time or datetime.now(UTC)
        return dg.RunRequest(
            run_key=None,  # a failed run's key would never be asked for again
            run_config=sync_config(feed.name),
            tags=partitions.range_tags(partitions.latest(feed, moment)),
        )

    return [sync_schedule]


def cron(minutes: int) -> str:
    """The cron line of a cadence that divides an hour, or is whole hours that divide a day."""
    if minutes < 60:
        return f"*/{minutes} * * * *"
    return f"0 */{minutes // 60} * * *" if minutes < 1440 else "0 0 * * *"


def active_run(instance: dg.DagsterInstance, feed: str) -> str | None:
    """A run that talks to the feed's server or waits to, by its first eight characters.

    Runs that the UI starts from assets carry no tag of ours; their asset keys tell.
    """
    talking = {naming.asset_key(feed, name) for name in naming.SYNC_ASSETS}
    for run in instance.get_runs(dg.RunsFilter(statuses=_ACTIVE)):
        tagged = run.tags.get(naming.FEED_TAG) == feed and run.job_name != naming.images_job(feed)
        if tagged or talking & set(run.asset_selection or ()):
            return run.run_id[:8]
    return None
