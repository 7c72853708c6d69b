"""Runs that have not ended, and the end of those that never will.

What belongs here: which run keeps a feed busy, how long a run may take, and reporting as failed
the one that took longer. What does not: runs whose process is known to be dead on this machine,
which the command line ends.

Dagster's run monitoring stops a run after its longest time. It is a daemon of its own and can be
switched off, so schedules and sensors look again, a little later: whatever has happened to a run
and to its process, its feed is free again soon after.
"""

from __future__ import annotations

import time
from collections.abc import Collection

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

    The same as run monitoring holds it. Runs that the UI makes from assets carry no tag.
    """
    text = run.tags.get(LONGEST_TAG)
    seconds = float(text) if text else float(instance.run_monitoring_max_runtime_seconds or 0)
    return seconds or None


def active_run(instance: dg.DagsterInstance, feed: str) -> str | None:
    """A run that talks to the feed's server or waits to, by its first eight characters.

    Runs that the UI starts from assets carry no tag of ours; their asset keys tell. A run that is
    over its time is reported as failed here, and is none.
    """
    names = (*naming.SYNC_ASSETS, *naming.PEOPLE_ASSETS, naming.AUDITS, naming.RETENTION)
    beside = {naming.images_job(feed), naming.addresses_job(feed)}
    return _first_active(instance, feed, names, beside)


def active_run_of(
    instance: dg.DagsterInstance, feed: str, job: str, assets: Collection[str]
) -> str | None:
    """A run of that job, or one of its assets that the UI started; likewise."""
    for record in instance.get_run_records(dg.RunsFilter(job_name=job, statuses=ACTIVE)):
        if not _ended_for_its_time(instance, record):
            return record.dagster_run.run_id[:8]
    return _first_active(instance, feed, assets, None)


def _first_active(
    instance: dg.DagsterInstance, feed: str, names: Collection[str], beside: Collection[str] | None
) -> str | None:
    """The first active run of one of those assets.

    Args:
        beside: the feed's jobs that do not count although they carry its tag; None: none counts
            for its tag alone.
    """
    keys = {naming.asset_key(feed, name) for name in names}
    for record in instance.get_run_records(dg.RunsFilter(statuses=ACTIVE)):
        run = record.dagster_run
        of_feed = run.tags.get(naming.FEED_TAG) == feed
        tagged = beside is not None and of_feed and run.job_name not in beside
        chosen = keys & set(run.asset_selection or ())
        if (tagged or chosen) and not _ended_for_its_time(instance, record):
            return run.run_id[:8]
    return None


def _ended_for_its_time(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    """Report a run as failed that should have ended long ago.

    Its process may be alive all the same: the feed's lock keeps the next run from its work then,
    and that run fails and names it.
    """
    run = record.dagster_run
    longest = longest_seconds(run, instance)
    if record.start_time is None or longest is None:
        return False  # it waits in the queue, or has just been launched
    if time.time() <= record.start_time + longest + _SECONDS_OF_GRACE:
        return False
    instance.report_run_failed(
        run, f"This run is over its longest time, {longest / 60:,.0f} minutes, and did not end."
    )
    return True
