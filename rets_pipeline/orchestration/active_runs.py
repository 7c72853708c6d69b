"""Runs that have not ended, and the end of those that never will.

What belongs here: which run keeps a feed busy, how long a run may take, and reporting as failed
the one that took longer. What does not: runs whose process is known to be dead on this machine,
which the command line ends.

Dagster's run monitoring stops a run after its longest time. It is a daemon of its own and can be
switched off, so schedules and sensors look again, a little later: whatever has happened to a run
and to its process, its feed is free again soon after.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection

import dagster as dg

from rets_pipeline.orchestration import naming

#: the tag of Dagster's with the longest time of a run, in seconds
LONGEST_TAG = "dagster/max_runtime"
#: the tag of Dagster's with how often a run that crashed is tried again
RETRIES_TAG = "dagster/max_retries"

#: what run monitoring needs to see a run that is over its time, and to stop it
_SECONDS_OF_GRACE = 300

ACTIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def longest_seconds(run: dg.DagsterRun, instance: dg.DagsterInstance) -> float | None:
    """How long the run may take, by its tag or by ``dagster.yaml``; None: as long as it likes.

    The same as run monitoring holds it, but for a tag that is no number, with which that would let
    a run go on for ever.
    """
    seconds = float(instance.run_monitoring_max_runtime_seconds or 0)
    with contextlib.suppress(KeyError, ValueError):
        seconds = float(run.tags[LONGEST_TAG])
    return seconds or None


def active_run(instance: dg.DagsterInstance, feed: str, *, but: Collection[str] = ()) -> str | None:
    """A run that talks to the feed's server or waits to, by its first eight characters.

    Runs that the UI starts from assets carry no tag of ours; their asset keys tell. A run that is
    over its time is reported as failed here, and is none.

    Args:
        but: jobs of the feed whose runs do not count.
    """
    names = (*naming.SYNC_ASSETS, *naming.PEOPLE_ASSETS, naming.AUDITS, naming.RETENTION)
    beside = {naming.images_job(feed), naming.addresses_job(feed)}
    keys = {naming.asset_key(feed, name) for name in names}

    def is_ours(run: dg.DagsterRun) -> bool:
        ours = run.tags.get(naming.FEED_TAG) == feed or keys & set(run.asset_selection or ())
        return bool(ours) and run.job_name not in beside

    return _active(instance, is_ours, but)


def active_run_of(
    instance: dg.DagsterInstance, feed: str, job: str, assets: Collection[str]
) -> str | None:
    """A run of that job, or one of its assets that the UI started; likewise."""
    keys = {naming.asset_key(feed, asset) for asset in assets}
    return _active(
        instance, lambda run: run.job_name == job or bool(keys & set(run.asset_selection or ()))
    )


def _active(
    instance: dg.DagsterInstance,
    is_ours: Callable[[dg.DagsterRun], bool],
    but: Collection[str] = (),
) -> str | None:
    """The oldest active run of ours, but of those jobs; those that are over their time end here.

    Every one is looked at: the newest may wait in the queue for one that will never end.
    """
    found = None
    for record in instance.get_run_records(dg.RunsFilter(statuses=ACTIVE)):
        run = record.dagster_run
        if is_ours(run) and not _ended_for_its_time(instance, record) and run.job_name not in but:
            found = run.run_id[:8]
    return found


def _ended_for_its_time(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    """Report a run as failed that should have gone on or ended long ago.

    Its process may be alive all the same: the feed's lock keeps the next run from its work then,
    and that run fails and names it.
    """
    if not _is_overdue(instance, record):
        return False
    run_id = record.dagster_run.run_id
    newest = instance.get_run_record_by_id(run_id)  # it may have ended by itself meanwhile
    if newest is not None and _is_overdue(instance, newest):
        run, since = newest.dagster_run, newest.update_timestamp
        if run.status is dg.DagsterRunStatus.STARTED:
            seconds = longest_seconds(run, instance) or 0
            told = f"over its longest time, {seconds / 60:,.0f} minutes, and did not end"
        else:
            told = f"{run.status.value} since {since:%Y-%m-%d %H:%M} UTC; its process is gone"
        instance.report_run_failed(run, f"This run is {told}.")
    return True


def _is_overdue(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    """Whether run monitoring should have ended it: the same limits, and some minutes more.

    What waits in the queue is not: it waits for a run that has limits of its own.
    """
    status, since = record.dagster_run.status, record.update_timestamp.timestamp()
    limit: float | None = None
    if status in (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING):
        limit = instance.run_monitoring_start_timeout_seconds
    elif status is dg.DagsterRunStatus.CANCELING:
        limit = instance.run_monitoring_cancel_timeout_seconds
    elif status is dg.DagsterRunStatus.STARTED and record.start_time is not None:
        limit, since = longest_seconds(record.dagster_run, instance), record.start_time
    return bool(limit) and time.time() > since + (limit or 0) + _SECONDS_OF_GRACE
