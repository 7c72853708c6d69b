"""The schedule of a sync: which days it asks for, when it leaves a sync out, what it asks for."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rets_pipeline.orchestration import build_defs, naming, partitions
from rets_pipeline.orchestration.assets import Scope
from rets_pipeline.orchestration.schedules import cron
from rets_pipeline.settings import FeedConfig, Settings
from rets_pipeline.sync.days import DayRange
from rets_pipeline_tests.orchestration.conftest import feed

_TORONTO = ZoneInfo("America/Toronto")

Status = dg.DagsterRunStatus


@pytest.fixture(autouse=True)
def accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is only made for a feed whose variables are set."""
    for name in ("EAST_USERNAME", "EAST_PASSWORD", "WEST_USERNAME", "WEST_PASSWORD"):
        monkeypatch.setenv(name, "x")


@pytest.fixture
def storage(tmp_path: Path, dagster_template: Path) -> Iterator[dg.DagsterInstance]:
    """An instance without a run."""
    home = shutil.copytree(dagster_template, tmp_path / "dagster")
    with dg.DagsterInstance.local_temp(
        str(home), overrides={"telemetry": {"enabled": False}}
    ) as found:
        yield found


_last_built: list[tuple[Settings, dg.Definitions]] = []


def built(settings: Settings) -> dg.Definitions:
    """The definitions of settings, built once while a test asks for them again and again."""
    if not _last_built or _last_built[0][0] is not settings:
        _last_built[:] = [(settings, build_defs(settings))]
    return _last_built[0][1]


def tick(
    settings: Settings,
    name: str,
    moment: datetime,
    storage: dg.DagsterInstance,
    schedule_of: Callable[[str], str] = naming.sync_schedule,
) -> dg.RunRequest | str:
    """What the schedule asks for, or why it asks for nothing."""
    defs = built(settings)
    schedule = defs.resolve_schedule_def(schedule_of(name))
    with dg.build_schedule_context(
        instance=storage,
        scheduled_execution_time=moment,
        repository_def=defs.get_repository_def(),
    ) as context:
        found = schedule.evaluate_tick(context)
    if found.skip_message:
        assert not found.run_requests
        return found.skip_message
    (request,) = found.run_requests or ()
    return request


def days_of(request: dg.RunRequest | str) -> tuple[str, str]:
    assert isinstance(request, dg.RunRequest), request
    return request.tags[naming.RANGE_START_TAG], request.tags[naming.RANGE_END_TAG]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        pytest.param(
            datetime(2026, 11, 20, 0, 0, tzinfo=UTC), ("2026-11-19", "2026-11-20"), id="midnight"
        ),
        pytest.param(
            datetime(2026, 11, 19, 23, 59, tzinfo=UTC),
            ("2026-11-18", "2026-11-19"),
            id="before-midnight",
        ),
        pytest.param(
            datetime(2026, 6, 1, 0, 15, tzinfo=UTC), ("2026-06-01", "2026-06-01"), id="first-day"
        ),
        pytest.param(
            datetime(2026, 6, 2, 12, 0, tzinfo=UTC), ("2026-06-01", "2026-06-02"), id="second-day"
        ),
        pytest.param(
            datetime(2026, 3, 8, 1, 45, tzinfo=_TORONTO),
            ("2026-03-07", "2026-03-08"),
            id="before-spring",
        ),
        pytest.param(
            datetime(2026, 3, 8, 3, 0, tzinfo=_TORONTO),
            ("2026-03-07", "2026-03-08"),
            id="after-spring",
        ),
        pytest.param(
            datetime(2026, 3, 8, 23, 30, tzinfo=_TORONTO),
            ("2026-03-08", "2026-03-09"),
            id="evening-of-spring",
        ),
        pytest.param(
            datetime(2025, 11, 2, 1, 30, fold=0, tzinfo=_TORONTO),
            ("2025-11-01", "2025-11-02"),
            id="first-half-past-one-of-autumn",
        ),
        pytest.param(
            datetime(2025, 11, 2, 1, 30, fold=1, tzinfo=_TORONTO),
            ("2025-11-01", "2025-11-02"),
            id="second-half-past-one-of-autumn",
        ),
        pytest.param(
            datetime(2025, 11, 2, 19, 0, tzinfo=_TORONTO),
            ("2025-11-02", "2025-11-03"),
            id="evening-of-autumn",
        ),
        pytest.param(
            datetime(2026, 1, 1, 0, 0, tzinfo=UTC), ("2025-12-31", "2026-01-01"), id="new-year"
        ),
    ],
)
def test_a_tick_asks_for_yesterday_and_today_as_far_as_they_exist(
    moment: datetime,
    expected: tuple[str, str],
    tmp_path: Path,
    storage: dg.DagsterInstance,
) -> None:
    first = date(2026, 6, 1) if expected[0] >= "2026-06-01" else date(2025, 1, 1)
    config = feed("east", first_day=first)
    days = days_of(tick(one(config, tmp_path), "east", moment, storage))
    assert days == expected
    existing = partitions.daily(config).get_partition_keys(current_time=moment)
    assert set(days) <= set(existing)
    assert existing[-1] == days[1], "today's partition exists from its first second"


@hypothesis_settings(deadline=None, max_examples=40)
@given(
    st.datetimes(
        min_value=datetime(2020, 1, 1), max_value=datetime(2035, 1, 1), timezones=st.just(UTC)
    ),
    st.dates(min_value=date(2020, 1, 1), max_value=date(2026, 1, 1)),
)
def test_the_range_always_exists(moment: datetime, first_day: date) -> None:
    config = feed("east", first_day=first_day)
    found = partitions.latest(config, moment)
    existing = partitions.daily(config).get_partition_keys(current_time=moment)
    if existing:
        assert [day.isoformat() for day in found] == existing[-2:]
    else:  # a clock that is wrong
        assert found == DayRange(first_day, first_day)


def test_what_is_asked_for_can_be_launched(
    two_feeds: Settings, storage: dg.DagsterInstance
) -> None:
    defs = build_defs(two_feeds)
    for name in ("east", "west"):
        request = tick(two_feeds, name, datetime(2026, 11, 20, 5, 15, tzinfo=UTC), storage)
        assert isinstance(request, dg.RunRequest)
        assert request.run_key is None, "a run key would drop the second sync of a day"
        assert request.partition_key is None
        job = defs.resolve_job_def(naming.sync_job(name))
        plan = dg.validate_run_config(job, request.run_config)
        assert plan["ops"][f"{name}__raw_listings"]["config"]["scope"] == Scope.ALL.value
        run = storage.create_run_for_job(
            job, run_config=request.run_config, tags={**job.tags, **request.tags}
        )
        assert run.tags[naming.FEED_TAG] == name


def test_a_configuration_that_cannot_be_launched_would_be_noticed(two_feeds: Settings) -> None:
    job = build_defs(two_feeds).resolve_job_def(naming.sync_job("east"))
    with pytest.raises(dg.DagsterInvalidConfigError):
        dg.validate_run_config(job, {"ops": {"east__raw_listings": {"config": {"scope": "half"}}}})


_MOMENT = datetime(2026, 11, 20, 5, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "status",
    [
        Status.QUEUED,
        Status.STARTED,
        *(
            pytest.param(status, marks=pytest.mark.nightly)
            for status in (Status.NOT_STARTED, Status.STARTING, Status.CANCELING)
        ),
    ],
)
def test_no_sync_while_a_run_of_the_feed_is_active(
    status: Status, two_feeds: Settings, storage: dg.DagsterInstance
) -> None:
    for job in (naming.sync_job, naming.members_job, naming.backfill_job):
        run = start(two_feeds, storage, job("east"), status)
        answer = tick(two_feeds, "east", _MOMENT, storage)
        assert answer == f"run {run.run_id[:8]} of feed east is active"
        storage.delete_run(run.run_id)


def test_one_sync_gets_in_line_behind_a_replay(
    two_feeds: Settings, storage: dg.DagsterInstance
) -> None:
    """A replay of hours is done in parts; whoever starts the next one, a sync comes between."""
    start(two_feeds, storage, naming.replay_job("east"), Status.STARTED)
    days_of(tick(two_feeds, "east", _MOMENT, storage))
    waiting = start(two_feeds, storage, naming.sync_job("east"), Status.QUEUED)
    answer = tick(two_feeds, "east", _MOMENT, storage)
    assert answer == f"run {waiting.run_id[:8]} of feed east is active"


@pytest.mark.parametrize("status", [Status.SUCCESS, Status.FAILURE, Status.CANCELED])
def test_a_sync_after_a_run_that_ended(
    status: Status, two_feeds: Settings, storage: dg.DagsterInstance
) -> None:
    start(two_feeds, storage, naming.sync_job("east"), status)
    days_of(tick(two_feeds, "east", _MOMENT, storage))


@pytest.mark.parametrize("status", [Status.QUEUED, Status.STARTED])
@pytest.mark.parametrize(
    "names", [("raw_listings", "listings"), ("deleted_listings",), ("raw_members",)]
)
def test_no_sync_while_assets_that_somebody_chose_in_the_ui_run(
    names: tuple[str, ...],
    status: Status,
    two_feeds: Settings,
    storage: dg.DagsterInstance,
) -> None:
    """Such runs, and those of backfills, carry no tag of ours."""
    run = start_assets(
        two_feeds, storage, [naming.asset_key("east", name) for name in names], status
    )
    assert naming.FEED_TAG not in run.tags
    assert tick(two_feeds, "east", _MOMENT, storage) == (
        f"run {run.run_id[:8]} of feed east is active"
    )


def test_images_and_other_feeds_stop_no_sync(
    two_feeds: Settings, storage: dg.DagsterInstance
) -> None:
    start(two_feeds, storage, naming.images_job("east"), Status.STARTED)
    start(two_feeds, storage, naming.sync_job("west"), Status.STARTED)
    start_assets(two_feeds, storage, [naming.asset_key("east", "listing_images")], Status.STARTED)
    start_assets(two_feeds, storage, [naming.asset_key("west", "listings")], Status.QUEUED)
    days_of(tick(two_feeds, "east", _MOMENT, storage))


def test_many_finished_runs_hide_no_active_one(
    two_feeds: Settings, storage: dg.DagsterInstance
) -> None:
    active = start(two_feeds, storage, naming.sync_job("east"), Status.STARTED)
    for _ in range(5):
        start(two_feeds, storage, naming.sync_job("east"), Status.SUCCESS)
        start(two_feeds, storage, naming.sync_job("west"), Status.STARTED)
    assert active.run_id[:8] in str(tick(two_feeds, "east", _MOMENT, storage))


@pytest.mark.parametrize("minutes", [1, 5, 15, 30, 60, 120, 360, 720, 1440])
def test_every_cadence_is_a_line_that_cron_understands(minutes: int) -> None:
    """And means the same distance between any two ticks, also across the changes of the clock."""
    from dagster._utils.schedules import schedule_execution_time_iterator

    start = datetime(2026, 3, 7, tzinfo=UTC).timestamp()
    ticks = schedule_execution_time_iterator(start, cron(minutes), "UTC", ascending=True)
    moments = [next(ticks) for _ in range(60)]
    gaps = {(later - earlier).total_seconds() for earlier, later in pairwise(moments)}
    assert gaps == {minutes * 60}


def test_schedules_run_by_themselves_only_when_told_so(two_feeds: Settings) -> None:
    for automation in (True, False):
        settings = two_feeds.model_copy(update={"automation": automation})
        schedule = build_defs(settings).resolve_schedule_def("east_sync_schedule")
        assert (schedule.default_status is dg.DefaultScheduleStatus.RUNNING) is automation


class TestMembersAndOffices:
    """Looked at every few minutes, run once a day."""

    def look(
        self, settings: Settings, storage: dg.DagsterInstance, after: timedelta = timedelta()
    ) -> dg.RunRequest | str:
        moment = datetime.now(UTC) + after
        return tick(settings, "east", moment, storage, naming.members_schedule)

    def test_what_is_asked_for_can_be_launched(
        self, two_feeds: Settings, storage: dg.DagsterInstance
    ) -> None:
        request = self.look(two_feeds, storage)
        assert isinstance(request, dg.RunRequest)
        assert request.run_key is None
        job = build_defs(two_feeds).resolve_job_def(naming.members_job("east"))
        plan = dg.validate_run_config(job, request.run_config)
        assert plan["ops"]["east__offices"]["config"]["allow_deletions"] == 0

    def test_once_in_its_cadence_counted_from_a_success(
        self, two_feeds: Settings, storage: dg.DagsterInstance
    ) -> None:
        start(two_feeds, storage, naming.members_job("east"), Status.FAILURE)
        start(two_feeds, storage, naming.members_job("west"), Status.SUCCESS)
        start(two_feeds, storage, naming.sync_job("east"), Status.SUCCESS)
        # A server that refuses an account is not asked every five minutes.
        assert "the last run failed at" in str(self.look(two_feeds, storage))
        again = self.look(two_feeds, storage, timedelta(minutes=15))
        assert isinstance(again, dg.RunRequest)

        start(two_feeds, storage, naming.members_job("east"), Status.SUCCESS)
        for hours in (0, 1, 23.9):
            answer = self.look(two_feeds, storage, timedelta(hours=hours))
            assert "members and offices converged at" in str(answer)
        # A little less than a day later: that run began a little after its tick.
        later = self.look(two_feeds, storage, timedelta(hours=24, minutes=-2))
        assert isinstance(later, dg.RunRequest)

    def test_a_success_in_the_future_counts_for_nothing(
        self, two_feeds: Settings, storage: dg.DagsterInstance
    ) -> None:
        """The clock was wrong then; it must not keep members and offices away for years."""
        start(two_feeds, storage, naming.members_job("east"), Status.SUCCESS)
        assert isinstance(self.look(two_feeds, storage, -timedelta(days=900)), dg.RunRequest)

    def test_not_while_another_run_of_the_feed_is_active(
        self, two_feeds: Settings, storage: dg.DagsterInstance
    ) -> None:
        start(two_feeds, storage, naming.images_job("east"), Status.STARTED)
        assert isinstance(self.look(two_feeds, storage), dg.RunRequest)
        run = start(two_feeds, storage, naming.sync_job("east"), Status.STARTED)
        assert self.look(two_feeds, storage) == f"run {run.run_id[:8]} of feed east is active"

    @pytest.mark.parametrize(("ran_before", "hours"), [(True, 24), (False, 0)])
    def test_syncs_that_are_active_at_every_look_do_not_keep_it_away_for_ever(
        self, ran_before: bool, hours: int, two_feeds: Settings, storage: dg.DagsterInstance
    ) -> None:
        """With a sync of 13 minutes every 15, say: the run that is overdue gets in line."""
        if ran_before:
            start(two_feeds, storage, naming.members_job("east"), Status.SUCCESS)
        run = start(two_feeds, storage, naming.sync_job("east"), Status.STARTED)
        waits = f"run {run.run_id[:8]} of feed east is active"
        assert self.look(two_feeds, storage, timedelta(hours=hours, minutes=50)) == waits
        late = timedelta(hours=hours + 1, minutes=5)
        assert isinstance(self.look(two_feeds, storage, late), dg.RunRequest)

        own = start(two_feeds, storage, naming.members_job("east"), Status.QUEUED)
        waits = f"run {own.run_id[:8]} of feed east is active"
        assert self.look(two_feeds, storage, late) == waits, "one is enough"

    @pytest.mark.parametrize("minutes", [1, 2, 3, 5, 30, 720, 1440])
    def test_it_looks_as_often_as_it_runs_or_every_five_minutes(
        self, minutes: int, tmp_path: Path
    ) -> None:
        from dagster._utils.schedules import schedule_execution_time_iterator

        config = feed("east", members_cadence_minutes=minutes)
        defs = build_defs(one(config, tmp_path))
        line = defs.resolve_schedule_def(naming.members_schedule("east")).cron_schedule
        began = datetime(2026, 3, 7, tzinfo=UTC).timestamp()
        ticks = schedule_execution_time_iterator(began, str(line), "UTC", ascending=True)
        moments = [next(ticks) for _ in range(60)]
        gaps = {(later - earlier).total_seconds() for earlier, later in pairwise(moments)}
        assert gaps == {min(minutes, 5) * 60}


def one(config: FeedConfig, folder: Path) -> Settings:
    return Settings(
        feeds={config.name: config},
        database_url=f"sqlite:///{folder / 'warehouse.sqlite'}",
        archive_uri=str(folder / "archive"),
        home=folder,
    )


def start(
    settings: Settings, storage: dg.DagsterInstance, job: str, status: Status
) -> dg.DagsterRun:
    """A run as the queue or the command line makes it."""
    found = built(settings).resolve_job_def(job)
    return storage.create_run_for_job(
        found, tags=dict(found.tags), status=status, remote_job_origin=_origin(job)
    )


def start_assets(
    settings: Settings, storage: dg.DagsterInstance, keys: list[dg.AssetKey], status: Status
) -> dg.DagsterRun:
    """A run as the UI makes it from chosen assets."""
    job = built(settings).resolve_implicit_global_asset_job_def()
    return storage.create_run_for_job(
        job.get_subset(asset_selection=set(keys)),
        asset_selection=frozenset(keys),
        status=status,
        remote_job_origin=_origin(job.name),
    )


def _origin(job: str) -> RemoteJobOrigin:
    """Where the queue finds the job."""
    location = RegisteredCodeLocationOrigin("rets_pipeline")
    return RemoteRepositoryOrigin(location, "__repository__").get_job_origin(job)
