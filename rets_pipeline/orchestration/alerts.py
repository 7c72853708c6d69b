"""Alerts: runs that fail, feeds that are not seen any more or cannot be used, and their ends.

What belongs here: what is told, once for each incident, and the sensor that looks. What does not:
the delivery (``webhook``).

One sensor looks at all feeds. Dagster's own run-failure sensors tell of each failed run, know of no
incident, and forget a failure that could not be delivered; here everything that was not delivered
is told at the next look, because the cursor moves on only with the delivery.

A message holds names, counts and classes of errors: neither what a server says nor what a listing
holds, and no secret.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg

from rets_pipeline.orchestration import naming
from rets_pipeline.orchestration.failures import CAUSE
from rets_pipeline.orchestration.webhook import Alert, deliver
from rets_pipeline.settings import FeedConfig, Settings
from rets_pipeline.sync.delete import GuardTripped
from rets_pipeline.warehouse import pulls
from rets_pipeline.warehouse.engine import Warehouse, WarehouseError

logger = logging.getLogger(__name__)

SENSOR = "alerts_sensor"
_SECONDS_BETWEEN_LOOKS = 60
#: ends of runs are looked at again for so long, since they are written by several processes
_OVERLAP = timedelta(seconds=60)
_MOST_RUNS = 1_000
_FAILED_KNOWN = 500
#: Dagster's, of a run that it tries again by itself
_RETRY_TAG = "dagster/retry_number"
_GUARD = "deletion_guard"
_WAREHOUSE = "warehouse"
_ENTRY = "entry "
_ALL_FEEDS = ""
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


@dataclass(slots=True)
class Memory:
    """What the sensor remembers from one look to the next, as JSON in its cursor.

    Attributes:
        until: runs that ended before are known, in ISO form.
        runs: ids of those that ended shortly before and are known.
        failed: ids of the last runs that failed and are known: one may be reported as failed, and
            do so itself later.
        incidents: what was told and is not over, by its name: the causes told of.
        first_seen: when each feed was looked at first, in ISO form.
    """

    until: str
    runs: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    incidents: dict[str, list[str]] = field(default_factory=dict)
    first_seen: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, cursor: str | None, now: datetime) -> Memory:
        """From a cursor; without a readable one nothing that ended until now is told."""
        try:
            if cursor:
                return cls(**json.loads(cursor))
        except (ValueError, TypeError):
            logger.warning("the cursor of %s cannot be read; it begins anew", SENSOR)
        return cls((now + _OVERLAP).isoformat())

    def cursor(self) -> str:
        """For the next look."""
        return json.dumps(asdict(self))

    def is_news(self, incident: str, cause: str) -> bool:
        """Note an incident; whether it has not been told with that cause."""
        known = self.incidents.setdefault(incident, [])
        if cause in known:
            return False
        known.append(cause)
        return True

    def is_over(self, incident: str) -> bool:
        """Forget an incident; whether it had been told."""
        return self.incidents.pop(incident, None) is not None


def alerts_sensor(settings: Settings) -> dg.SensorDefinition:
    """The sensor of all feeds. Off unless an address is configured."""
    configured = settings.webhook_url is not None

    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=_SECONDS_BETWEEN_LOOKS,
        default_status=dg.DefaultSensorStatus.RUNNING
        if configured
        else dg.DefaultSensorStatus.STOPPED,
        description="Tells a webhook of failed runs, of a deletion guard that tripped, of feeds "
        "whose newest master list is too old or whose entry in feeds.yaml is broken: once for each "
        "incident, and when it is over. Its address stands in RETS_PIPELINE_WEBHOOK_URL.",
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if settings.webhook_url is None:
            return dg.SkipReason("RETS_PIPELINE_WEBHOOK_URL is not set")
        now = datetime.now(UTC)
        memory = Memory.of(context.cursor, now)
        alerts = [
            *_runs_that_ended(context.instance, settings.feeds, memory, now),
            *_feeds_that_cannot_be_used(settings, memory),
            *_feeds_not_seen(settings, memory, now),
        ]
        if alerts:  # a fault of the delivery fails this look, and the cursor stays
            deliver(settings.webhook_url, alerts)
        told = f"told of {len(alerts):,}" if alerts else "nothing to tell"
        return dg.SensorResult(skip_reason=told, cursor=memory.cursor())

    return look


def _runs_that_ended(
    instance: dg.DagsterInstance, feeds: Mapping[str, FeedConfig], memory: Memory, now: datetime
) -> Iterator[Alert]:
    """Failures and their ends, in the order in which the runs ended."""
    since = datetime.fromisoformat(memory.until)
    if since > now + _OVERLAP:  # the clock was wrong once
        since = now
    records = instance.get_run_records(
        dg.RunsFilter(statuses=_ENDED, updated_after=since - _OVERLAP),
        limit=_MOST_RUNS,
        order_by="update_timestamp",
        ascending=True,
    )
    known, watched = {*memory.runs, *memory.failed}, {*feeds, _ALL_FEEDS}
    for record in records:
        run = record.dagster_run
        feed = _feed_of(run)
        if run.run_id in known or _ended_before(record, since - _OVERLAP):
            continue
        if feed is not None and feed in watched:
            yield from _of_run(instance, run, feed, memory)
            if run.status is dg.DagsterRunStatus.FAILURE:
                memory.failed = [*memory.failed, run.run_id][-_FAILED_KNOWN:]
    if records:
        past = [record for record in records if record.update_timestamp <= now + _OVERLAP]
        last = past[-1].update_timestamp if past else since
        memory.until = max(last, since).isoformat()
        memory.runs = [
            record.dagster_run.run_id
            for record in records
            if record.update_timestamp > last - _OVERLAP
        ]


def _ended_before(record: dg.RunRecord, moment: datetime) -> bool:
    """Whether a run is an old one: a tag that it is given counts as a change of it, too."""
    return record.end_time is not None and record.end_time < moment.timestamp()


def _of_run(
    instance: dg.DagsterInstance, run: dg.DagsterRun, feed: str, memory: Memory
) -> Iterator[Alert]:
    incident = f"run {feed} {run.job_name}"
    job = run.job_name if feed == _ALL_FEEDS else f"feed {feed}: {run.job_name}"
    if run.status is dg.DagsterRunStatus.SUCCESS:
        for step in _guards_that_let_pass(instance, run, feed, memory):
            text = f"feed {feed}: {_name_of(step)} is let through by the deletion guard again"
            yield Alert("recovered", feed, text, run.run_id)
        if memory.is_over(incident):
            yield Alert("recovered", feed, f"{job} succeeds again", run.run_id)
        return
    for kind, cause, words in _faults(instance, run):
        if kind == _GUARD:  # the same master list trips it in every job
            news = memory.is_news(f"{_GUARD} {feed}", cause)
        elif _comes_again(run, feed):
            news = memory.is_news(incident, cause)
        else:  # runs that people start differ from each other; Dagster's own retries of them do not
            news = _RETRY_TAG not in run.tags
        if news:
            text = f"{job} failed: {words} (run {run.run_id[:8]})"
            yield Alert(kind, feed, text, run.run_id)


def _guards_that_let_pass(
    instance: dg.DagsterInstance, run: dg.DagsterRun, feed: str, memory: Memory
) -> list[str]:
    """Steps whose guard had tripped and that succeeded in a run, of whatever job; forgotten now."""
    tripped = memory.incidents.get(f"{_GUARD} {feed}", [])
    stats = instance.get_run_step_stats(run.run_id, step_keys=tripped) if tripped else []
    passed = [one.step_key for one in stats if one.status and one.status.value == "SUCCESS"]
    for step in passed:
        tripped.remove(step)
    if not tripped:
        memory.is_over(f"{_GUARD} {feed}")
    return passed


def _faults(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[tuple[str, str, str]]:
    """Kind, cause and words of each step that failed; of the run's end when none did.

    Only the guard's own words are repeated: they hold counts. Those of other errors may hold what
    a server said.
    """
    found = instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE, limit=20
    ).records
    for record in found:
        event = record.event_log_entry.get_dagster_event()
        data = event.step_failure_data
        told, step = data.user_failure_data, _name_of(str(event.step_key))
        named = told.metadata.get(CAUSE) if told else None
        if named is not None and named.value == GuardTripped.__name__:
            words = told.description if told else None
            yield _GUARD, str(event.step_key), f"{step}: {words}"
        else:
            error = data.error.cause or data.error if data.error else None
            cause = str(named.value) if named else (error.cls_name if error else None) or "Failure"
            yield "run_failed", f"{step} {cause}", f"{step}: {cause}; the run's log tells more"
    if not found:
        yield "run_failed", *_before_any_step(instance, run)


def _name_of(step: str) -> str:
    """A step as people know it: by its asset."""
    return step.replace("__", "/")


def _before_any_step(instance: dg.DagsterInstance, run: dg.DagsterRun) -> tuple[str, str]:
    """Cause and words: the warehouse or the archive could not be opened, or nobody knows."""
    found = instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.RESOURCE_INIT_FAILURE, limit=1
    ).records
    for record in found:
        error = record.event_log_entry.get_dagster_event().engine_event_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        cause = (error.cls_name if error else None) or "Failure"
        return f"start {cause}", f"it could not begin: {cause}; the run's log tells more"
    words = "its process ended without a word, or its time was over; the run's log tells more"
    return "no step", words


def _feed_of(run: dg.DagsterRun) -> str | None:
    """The feed of a run; runs that the UI makes from assets carry no tag of ours.

    None: it is none of ours.
    """
    if run.job_name == naming.EVENT_LOG_JOB:
        return _ALL_FEEDS
    tagged = run.tags.get(naming.FEED_TAG)
    chosen = next(iter(run.asset_selection or ()), None)
    return tagged or (chosen.path[0] if chosen else None)


def _comes_again(run: dg.DagsterRun, feed: str) -> bool:
    """Whether schedules and sensors start such runs, so that a success ends the incident."""
    by_hand = (naming.backfill_job(feed), naming.replay_job(feed))
    ours = run.job_name == naming.EVENT_LOG_JOB or run.job_name.startswith(f"{feed}_")
    return ours and run.job_name not in by_hand


def _feeds_that_cannot_be_used(settings: Settings, memory: Memory) -> Iterator[Alert]:
    """Feeds whose entries in feeds.yaml are broken, and those where they are not any more."""
    for name, fault in settings.broken.items():
        if memory.is_news(f"{_ENTRY}{name}", fault):
            yield Alert("settings", name, f"feed {name} is not mirrored: {fault}")
    told = [name.removeprefix(_ENTRY) for name in memory.incidents if name.startswith(_ENTRY)]
    for name in told:
        if name not in settings.broken and memory.is_over(f"{_ENTRY}{name}"):
            yield Alert("recovered", name, f"feed {name}: its entry in feeds.yaml is no longer bad")


def _feeds_not_seen(settings: Settings, memory: Memory, now: datetime) -> Iterator[Alert]:
    """Feeds whose newest master list is too old, and those where it is not any more."""
    try:
        newest = _newest_master_lists(settings)
    except WarehouseError as error:
        # Who reads the alert need not know of the database's address and user.
        logger.warning("%s", error)
        if memory.is_news(_WAREHOUSE, ""):
            yield Alert(
                "warehouse", "", "the warehouse does not answer; the daemon's log tells why"
            )
        return
    if memory.is_over(_WAREHOUSE):
        yield Alert("recovered", "", "the warehouse answers again")
    for name, feed in settings.feeds.items():
        yield from _of_feed(feed, newest[name], memory, now)


def _of_feed(
    feed: FeedConfig, seen_at: datetime | None, memory: Memory, now: datetime
) -> Iterator[Alert]:
    incident = f"stale {feed.name}"
    first = datetime.fromisoformat(memory.first_seen.setdefault(feed.name, now.isoformat()))
    limit = timedelta(minutes=feed.stale_minutes)
    if now - (seen_at or first) <= limit:
        if memory.is_over(incident):
            yield Alert("recovered", feed.name, f"feed {feed.name}: the server was seen again")
    elif memory.is_news(incident, ""):
        last = f"the last one is of {seen_at:%Y-%m-%d %H:%M} UTC" if seen_at else "there is none"
        yield Alert(
            "stale",
            feed.name,
            f"feed {feed.name}: no complete master list for more than "
            f"{feed.stale_minutes:,} minutes; {last}",
        )


def _newest_master_lists(settings: Settings) -> dict[str, datetime | None]:
    warehouse = Warehouse(settings.database_url)
    try:
        with warehouse.explained(), warehouse.reading() as connection:
            found = {name: pulls.newest_master_list(connection, name) for name in settings.feeds}
    finally:
        warehouse.close()
    return {name: pull.requested_at if pull else None for name, pull in found.items()}
