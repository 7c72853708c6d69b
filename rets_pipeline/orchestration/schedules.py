"""When syncs run.

What belongs here: the cadences of a feed and the skip while a run is active. What does not: the
guarantee that runs do not overlap, which is the feed's lock.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg

from rets_pipeline.orchestration import naming, partitions
from rets_pipeline.orchestration.active_runs import active_run, active_run_of
from rets_pipeline.orchestration.jobs import members_config, sync_config
from rets_pipeline.orchestration.people import people
from rets_pipeline.settings import FeedConfig

_MINUTES_BETWEEN_LOOKS = 5
#: how long members and offices that are due leave the feed to other runs
_PATIENCE = timedelta(hours=1)
#: a look comes as often as the run, so it must not find that it is some seconds too early
_EARLY = timedelta(minutes=1)


def feed_schedules(feed: FeedConfig, *, running: bool) -> list[dg.ScheduleDefinition]:
    """The schedules of the feed's sync, and of its members and offices where it has them.

    Args:
        running: whether it runs without anybody having switched it on.
    """
    status = dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED
    found = [_sync_schedule(feed, status)]
    if people(feed):
        found.append(_members_schedule(feed, status))
    return found


def _sync_schedule(feed: FeedConfig, status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=naming.sync_schedule(feed.name),
        job_name=naming.sync_job(feed.name),
        cron_schedule=cron(feed.cadence_minutes),
        execution_timezone="UTC",
        default_status=status,
        description=f"A sync every {feed.cadence_minutes} minutes, left out while a run of the "
        "feed is active; behind a replay, which is only a part of one, it gets in line.",
    )
    def sync_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        active = active_run(context.instance, feed.name, but={naming.replay_job(feed.name)})
        if active is not None:
            return dg.SkipReason(f"run {active} of feed {feed.name} is active")
        moment = context.scheduled_execution_time or datetime.now(UTC)
        return dg.RunRequest(
            run_key=None,  # a failed run's key would never be asked for again
            run_config=sync_config(feed.name),
            tags=partitions.range_tags(partitions.latest(feed, moment)),
        )

    return sync_schedule


def _members_schedule(feed: FeedConfig, status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    """It looks more often than it runs: a tick that found a sync active is made up for soon.

    Where syncs are active at every look, a run that is overdue gets in line behind them.
    """
    minutes = feed.members_cadence_minutes
    looks = min(minutes, _MINUTES_BETWEEN_LOOKS)
    every = timedelta(minutes=minutes)

    @dg.schedule(
        name=naming.members_schedule(feed.name),
        job_name=naming.members_job(feed.name),
        # Beside the full quarters of an hour, when syncs begin.
        cron_schedule=f"{looks // 2}-59/{looks} * * * *",
        execution_timezone="UTC",
        default_status=status,
        description=f"Members and offices once in {minutes:,} minutes, as soon as no other run "
        "of the feed is active, or an hour later in line behind it.",
    )
    def members_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        instance, job = context.instance, naming.members_job(feed.name)
        moment = context.scheduled_execution_time or datetime.now(UTC)
        failed = _last_failure(instance, job)
        again = timedelta(minutes=feed.cadence_minutes) - _EARLY
        if failed is not None and failed <= moment < failed + again:
            return dg.SkipReason(
                f"the last run failed at {failed:%Y-%m-%d %H:%M} UTC; it is tried again no sooner "
                "than a sync would be"
            )
        last = last_success(instance, job)
        if last is not None and last > moment:
            last = None  # the clock was wrong then
        # A run starts a little after its tick; that must not make the next one wait a look more.
        due = last + every - timedelta(minutes=looks / 2) if last else _first_run(instance, feed)
        if last is not None and due is not None and moment < due:
            return dg.SkipReason(f"members and offices converged at {last:%Y-%m-%d %H:%M} UTC")
        active = active_run(instance, feed.name)
        overdue = due is not None and moment >= due + _PATIENCE
        own = active_run_of(instance, feed.name, job, (people(feed)[0].kind,)) if overdue else None
        if active is not None and (own is not None or not overdue):
            return dg.SkipReason(f"run {own or active} of feed {feed.name} is active")
        return dg.RunRequest(run_key=None, run_config=members_config(feed))

    return members_schedule


def _first_run(instance: dg.DagsterInstance, feed: FeedConfig) -> datetime | None:
    """When the first run of the feed was made."""
    filters = dg.RunsFilter(tags={naming.FEED_TAG: feed.name})
    found = instance.get_run_records(filters, limit=1, ascending=True)
    return found[0].create_timestamp if found else None


def last_success(instance: dg.DagsterInstance, job: str) -> datetime | None:
    """When the job's last run that succeeded was started."""
    filters = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS])
    for record in instance.get_run_records(filters, limit=1):
        started = record.start_time
        return datetime.fromtimestamp(started, UTC) if started else record.create_timestamp
    return None


def _last_failure(instance: dg.DagsterInstance, job: str) -> datetime | None:
    """When the job's last run ended, if it failed."""
    for record in instance.get_run_records(dg.RunsFilter(job_name=job), limit=1):
        if record.dagster_run.status is dg.DagsterRunStatus.FAILURE:
            return record.update_timestamp
    return None


def cron(minutes: int) -> str:
    """The cron line of a cadence that divides an hour, or is whole hours that divide a day."""
    if minutes < 60:
        return f"*/{minutes} * * * *"
    return f"0 */{minutes // 60} * * *" if minutes < 1440 else "0 0 * * *"
