"""Sensors that start bounded work beside the syncs when there is some.

What belongs here: when a run is asked for, and how often again. What does not: how work is counted
(``warehouse.backlog``), and alerts (``alerts``). A sensor asks the warehouse in SQL, and never a
server.

A run handles a bounded batch, so it is asked for again while something waits. One that failed, or
that left as much as it found, is asked for later and later.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from rets_pipeline.orchestration import active_runs, naming
from rets_pipeline.orchestration.images import with_images
from rets_pipeline.settings import FeedConfig, Settings
from rets_pipeline.sync import addresses
from rets_pipeline.warehouse import backlog
from rets_pipeline.warehouse.backlog import Backlog
from rets_pipeline.warehouse.engine import Warehouse, WarehouseError

_SECONDS_BETWEEN_LOOKS = 60
_FIRST_WAIT = timedelta(minutes=2)
_LONGEST_WAIT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of bounded work.

    Attributes:
        assets: the names of those that do it on a feed; the job has nothing else in it.
        job: the job's name, by the feed's.
        backlog: what waits of it on a feed.
        things: what is counted.
    """

    assets: Callable[[FeedConfig], list[str]]
    job: Callable[[str], str]
    backlog: Callable[[FeedConfig], Backlog]
    things: str


_IMAGES = Work(
    assets=lambda feed: [naming.images(resource) for resource in with_images(feed)],
    job=naming.images_job,
    backlog=lambda feed: backlog.images(feed.name, feed.photos.sizes, with_images(feed)),
    things="images",
)

_ADDRESSES = Work(
    assets=lambda feed: [naming.ADDRESSES],
    job=naming.addresses_job,
    backlog=addresses.waiting,
    things="addresses",
)

#: every kind of work that is started by its backlog
WORK = (_IMAGES, _ADDRESSES)


def feed_sensors(feed: FeedConfig, settings: Settings) -> list[dg.SensorDefinition]:
    """A sensor for each kind of bounded work of the feed."""
    return [_backlog_sensor(feed, settings, work) for work in WORK]


@dataclass(frozen=True, slots=True)
class Memory:
    """What a sensor remembers from one look to the next, as JSON in its cursor.

    Attributes:
        signal: when it last counted.
        count: what it found then.
        asked_at: when it last asked for a run, in ISO form; None: never.
        in_vain: how often in a row a run changed nothing.
    """

    signal: str | None = None
    count: int = 0
    asked_at: str | None = None
    in_vain: int = 0

    @classmethod
    def of(cls, cursor: str | None) -> Memory:
        """From a cursor; an unreadable one, of another version, is as good as none."""
        try:
            return cls(**json.loads(cursor)) if cursor else cls()
        except (ValueError, TypeError):
            return cls()

    def cursor(self) -> str:
        """For the next look."""
        return json.dumps(asdict(self))

    def next_at(self, now: datetime) -> datetime | None:
        """Not to ask again before then; None: at once."""
        if self.asked_at is None or not self.in_vain:
            return None
        asked_at = datetime.fromisoformat(self.asked_at)
        if asked_at > now:  # the clock was wrong then
            return None
        return asked_at + min(_LONGEST_WAIT, _FIRST_WAIT * (1 << min(self.in_vain - 1, 16)))


def _backlog_sensor(feed: FeedConfig, settings: Settings, work: Work) -> dg.SensorDefinition:
    running = settings.automation
    job, assets = work.job(feed.name), work.assets(feed)

    @dg.sensor(
        name=f"{job}_sensor",
        job_name=job,
        minimum_interval_seconds=_SECONDS_BETWEEN_LOOKS,
        default_status=dg.DefaultSensorStatus.RUNNING
        if running
        else dg.DefaultSensorStatus.STOPPED,
        description=f"Starts `{job}` while {work.things} wait, one run at a time; later and later "
        "when runs change nothing. It asks the warehouse only.",
    )
    def backlog_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        active = active_runs.active_run_of(context.instance, feed.name, job, assets)
        if active is not None:
            return dg.SkipReason(f"run {active} is active")
        memory, now = Memory.of(context.cursor), datetime.now(UTC)
        waits_until = memory.next_at(now)
        if waits_until is not None and now < waits_until:
            return dg.SkipReason(
                f"runs in a row that changed nothing: {memory.in_vain}; the next one at "
                f"{waits_until:%Y-%m-%d %H:%M} UTC"
            )
        try:
            signal, count = _look(settings.database_url, work.backlog(feed), memory, now)
        except WarehouseError as error:
            return dg.SkipReason(str(error))
        if not count:
            return dg.SensorResult(
                skip_reason=f"no {work.things} wait", cursor=Memory(signal).cursor()
            )
        in_vain = memory.in_vain + 1 if _was_in_vain(context, job, memory, signal, count) else 0
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=None)],
            cursor=Memory(signal, count, now.isoformat(), in_vain).cursor(),
        )

    return backlog_sensor


def _look(database_url: str, work: Backlog, memory: Memory, now: datetime) -> tuple[str, int]:
    """The signal, and what waits: nothing as long as the signal is that of an empty count."""
    warehouse = Warehouse(database_url)
    try:
        with warehouse.explained(), warehouse.reading() as connection:
            signal = work.signal(connection, now)
            if signal == memory.signal and not memory.count:
                return signal, 0
            return signal, work.count(connection, now)
    finally:
        warehouse.close()


def _was_in_vain(
    context: dg.SensorEvaluationContext, job: str, memory: Memory, signal: str, count: int
) -> bool:
    """Whether the run that was asked for failed, or left as much as there was."""
    if memory.asked_at is None or not memory.count:
        return False
    # Beyond the bound a smaller backlog counts the same; the signal moves with failures.
    if signal == memory.signal and memory.count <= count < backlog.BOUND:
        return True
    last = context.instance.get_run_records(dg.RunsFilter(job_name=job), limit=1)
    return bool(last) and last[0].dagster_run.status is not dg.DagsterRunStatus.SUCCESS
