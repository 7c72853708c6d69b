"""Bounded work is started while some waits, one run at a time, and not again and again in vain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from rets_pipeline.orchestration import build_defs, naming, sensors
from rets_pipeline.orchestration.sensors import Memory
from rets_pipeline.settings import Settings
from rets_pipeline.warehouse import ledgers
from rets_pipeline.warehouse.backlog import Backlog
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.end_to_end.harness import FEED, Pipeline, Server
from rets_pipeline_tests.orchestration.conftest import feed
from rets_pipeline_tests.orchestration.test_active_runs import began, status_of
from rets_pipeline_tests.orchestration.test_schedules import one, start, start_assets
from rets_pipeline_tests.warehouse.test_backlog import held, photo

Status = dg.DagsterRunStatus


class Looks:
    """A sensor with its cursor, as the daemon keeps it."""

    def __init__(
        self,
        settings: Settings,
        instance: dg.DagsterInstance,
        name: str,
        job: Callable[[str], str] = naming.images_job,
    ) -> None:
        self.instance = instance
        self.cursor: str | None = None
        self._sensor = build_defs(settings).resolve_sensor_def(f"{job(name)}_sensor")

    def look(self) -> bool | str:
        """Whether a run is asked for, or why not."""
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor) as context:
            found = self._sensor.evaluate_tick(context)
        self.cursor = found.cursor or self.cursor
        if found.run_requests:
            (request,) = found.run_requests
            assert request.run_key is None, "a run key would be asked for once"
            return True
        return found.skip_message or ""

    def let_time_pass(self, **time: float) -> None:
        memory = Memory.of(self.cursor)
        assert memory.asked_at
        earlier = datetime.fromisoformat(memory.asked_at) - timedelta(**time)
        self.cursor = replace(memory, asked_at=earlier.isoformat()).cursor()


@pytest.fixture
def storage() -> Iterator[dg.DagsterInstance]:
    """An instance without a run."""
    with dg.DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture
def photographed(
    sqlite_warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """A feed with one photo, which is not there yet."""
    for name in ("EAST_USERNAME", "EAST_PASSWORD"):
        monkeypatch.setenv(name, "x")
    photo(sqlite_warehouse, "1", feed="east")
    found = one(feed("east"), tmp_path)
    return found.model_copy(update={"database_url": f"sqlite:///{sqlite_warehouse.path}"})


def change(warehouse: Warehouse, **values: object) -> None:
    with warehouse.writing() as connection:
        connection.execute(sa.update(ledgers.media_file).values(**values))


def test_photos_are_asked_for_until_they_are_there(pipeline: Pipeline, server: Server) -> None:
    looks = Looks(pipeline.settings, pipeline.instance, FEED)
    assert looks.look() == "no images wait"
    assert pipeline.sync().success
    assert looks.look() is True
    assert pipeline.images().success
    assert looks.look() == "no images wait"
    server.advance(1)
    assert pipeline.sync().success
    assert looks.look() is True


def test_addresses_are_asked_for_until_all_are_known(pipeline: Pipeline, server: Server) -> None:
    looks = Looks(pipeline.settings, pipeline.instance, FEED, naming.addresses_job)
    assert looks.look() == "no addresses wait"
    assert pipeline.sync().success
    assert looks.look() is True
    run = start(pipeline.settings, pipeline.instance, naming.addresses_job(FEED), Status.STARTED)
    assert looks.look() == f"run {run.run_id[:8]} is active"
    pipeline.instance.report_run_canceled(run)
    assert pipeline.addresses().success
    assert looks.look() == "no addresses wait"
    # An answer that is no street is asked for anew after half a year.
    answers = ledgers.geocode_answer
    with pipeline.warehouse.writing() as connection:
        past = datetime.now(UTC) - timedelta(minutes=1)
        connection.execute(sa.update(answers).values(next_attempt=past))
    assert looks.look() is True
    assert pipeline.addresses().success
    assert looks.look() == "no addresses wait"
    server.change("removed", min(server.truth()))
    assert pipeline.sync().success
    assert looks.look() is True, "the rows of gone listings wait to be removed"


def test_one_run_at_a_time(photographed: Settings, storage: dg.DagsterInstance) -> None:
    looks = Looks(photographed, storage, "east")
    run = start(photographed, storage, naming.images_job("east"), Status.QUEUED)
    assert looks.look() == f"run {run.run_id[:8]} is active"
    began(storage, run, minutes=29)
    assert looks.look() == f"run {run.run_id[:8]} is active"
    began(storage, run, minutes=36)  # its process died long ago
    assert looks.look() is True
    assert status_of(storage, run) is Status.FAILURE


def test_a_run_that_somebody_started_in_the_ui_counts(
    photographed: Settings, storage: dg.DagsterInstance
) -> None:
    looks = Looks(photographed, storage, "east")
    start(photographed, storage, naming.sync_job("east"), Status.STARTED)
    assert looks.look() is True
    chosen = [naming.asset_key("east", naming.IMAGES)]
    run = start_assets(photographed, storage, chosen, Status.STARTED)
    assert looks.look() == f"run {run.run_id[:8]} is active"


def test_runs_in_vain_become_rare(
    photographed: Settings, storage: dg.DagsterInstance, sqlite_warehouse: Warehouse
) -> None:
    looks = Looks(photographed, storage, "east")
    assert looks.look() is True
    assert looks.look() is True
    for minutes in (2, 4, 8, 16, 32, 60, 60):
        assert "runs in a row that changed nothing" in str(looks.look())
        looks.let_time_pass(minutes=minutes - 0.1)
        assert looks.look() is not True
        looks.let_time_pass(minutes=0.2)
        assert looks.look() is True
    looks.let_time_pass(minutes=61)
    held(sqlite_warehouse, "1", feed="east")
    assert looks.look() == "no images wait"
    assert Memory.of(looks.cursor).in_vain == 0


@pytest.mark.parametrize(("status", "again"), [(Status.SUCCESS, True), (Status.FAILURE, False)])
def test_a_run_that_leaves_less_is_followed_by_the_next_one(
    status: Status,
    again: bool,
    photographed: Settings,
    storage: dg.DagsterInstance,
    sqlite_warehouse: Warehouse,
) -> None:
    """One that failed is followed once, and then later and later."""
    for key in "23456":
        photo(sqlite_warehouse, key, feed="east")
    looks = Looks(photographed, storage, "east")
    asked = []
    for key in "123":
        asked.append(looks.look() is True)
        start(photographed, storage, naming.images_job("east"), status)
        held(sqlite_warehouse, key, feed="east")
    assert asked == [True, True, again]


def test_failed_downloads_wake_it_when_they_are_due(
    photographed: Settings, storage: dg.DagsterInstance, sqlite_warehouse: Warehouse
) -> None:
    held(sqlite_warehouse, "1", feed="east")
    looks = Looks(photographed, storage, "east")
    assert looks.look() == "no images wait"
    hour, now = timedelta(hours=1), datetime.now(UTC)
    change(sqlite_warehouse, state="failed", next_attempt=now + hour)
    assert looks.look() == "no images wait"
    change(sqlite_warehouse, next_attempt=now - hour)
    assert looks.look() is True


def test_nothing_is_counted_while_nothing_changes(two_feeds: Settings, tmp_path: object) -> None:
    counted: list[int] = []
    signals = iter(["a", "a", "b", "b", "b"])

    def count(connection: sa.Connection, now: datetime) -> int:
        counted.append(0)
        return connection.execute(sa.text("SELECT 5")).scalar_one() if len(counted) == 2 else 0

    work = Backlog(lambda connection, now: next(signals), count)
    memory, seen = Memory(), []
    for _ in range(5):
        signal, found = sensors._look(
            f"sqlite:///{tmp_path}/w.sqlite", work, memory, datetime.now(UTC)
        )
        memory = Memory(signal, found)
        seen.append((found, len(counted)))
    assert seen == [(0, 1), (0, 1), (5, 2), (0, 3), (0, 3)]


@pytest.mark.parametrize("cursor", ["", "?", "[]", '{"other": 1}', "7"])
def test_a_cursor_of_another_version_is_forgotten(cursor: str) -> None:
    assert Memory.of(cursor) == Memory()


def test_a_warehouse_that_does_not_answer_is_told(two_feeds: Settings) -> None:
    settings = two_feeds.model_copy(
        update={"database_url": "postgresql://rets:secret-of-database@127.0.0.1:1/rets"}
    )
    defs = build_defs(settings)
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance) as context,
    ):
        found = defs.resolve_sensor_def("east_images_sensor").evaluate_tick(context)
    assert "cannot be opened" in (found.skip_message or "")
    assert "secret-of-database" not in (found.skip_message or "")


def test_sensors_run_by_themselves_only_when_told_so(two_feeds: Settings) -> None:
    for automation in (True, False):
        defs = build_defs(two_feeds.model_copy(update={"automation": automation}))
        sensor = defs.resolve_sensor_def("west_images_sensor")
        assert (sensor.default_status is dg.DefaultSensorStatus.RUNNING) is automation
        assert sensor.job_name == naming.images_job("west")


def test_a_request_of_the_future_is_waited_for_by_nobody() -> None:
    """The clock was wrong then."""
    now = datetime.now(UTC)
    assert Memory(asked_at=(now + timedelta(days=900)).isoformat(), in_vain=9).next_at(now) is None
    waits = Memory(asked_at=now.isoformat(), in_vain=9).next_at(now)
    assert waits == now + timedelta(hours=1)
