"""Failures and silence reach a webhook once, and so does their end; nothing secret goes along."""

from __future__ import annotations

import logging
import socket
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from rets_pipeline.orchestration import alerts, build_defs, naming, partitions, webhook
from rets_pipeline.orchestration.alerts import SENSOR, Memory
from rets_pipeline.orchestration.jobs import sync_config
from rets_pipeline.orchestration.webhook import Alert, NotDelivered, deliver
from rets_pipeline.settings import FeedConfig, Settings
from rets_pipeline.warehouse import ledgers
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.end_to_end.harness import FEED, QUIET, Pipeline, Server
from rets_pipeline_tests.orchestration.conftest import feed
from rets_pipeline_tests.orchestration.receiver import SECRET, Receiver, receiving
from rets_pipeline_tests.orchestration.test_schedules import one, start, start_assets

_MINUTE = timedelta(minutes=1)
Status = dg.DagsterRunStatus


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody who listens."""
    with receiving() as found:
        yield found


@pytest.fixture
def storage() -> Iterator[dg.DagsterInstance]:
    """An instance without a run."""
    with dg.DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture
def watched(
    sqlite_warehouse: Warehouse,
    tmp_path: Path,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    """A feed that was seen just now, whose alerts are heard."""
    for name in ("EAST_USERNAME", "EAST_PASSWORD"):
        monkeypatch.setenv(name, "x")
    seen(sqlite_warehouse, datetime.now(UTC))
    return heard(one(feed("east"), tmp_path), sqlite_warehouse, receiver)


def heard(settings: Settings, warehouse: Warehouse, receiver: Receiver) -> Settings:
    url = f"sqlite:///{warehouse.path}"
    return settings.model_copy(update={"database_url": url, "webhook_url": receiver.url})


def seen(warehouse: Warehouse, moment: datetime, name: str = "east") -> None:
    """A master list was complete then."""
    row = {
        "feed": name, "pull_id": moment.strftime("%Y%m%dT%H%M%S%fZ"), "kind": "master_list",
        "state": "complete", "archive_prefix": "x", "requested_at": moment,
    }  # fmt: skip
    with warehouse.writing() as connection:
        connection.execute(sa.insert(ledgers.pull).values(row))


class Looks:
    """The sensor with its cursor, as the daemon keeps it."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.settings, self.instance = settings, instance
        self.cursor: str | None = None
        self._sensor = build_defs(settings).resolve_sensor_def(SENSOR)
        self.look()

    def look(self) -> str:
        """What the UI shows of it."""
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor) as context:
            found = self._sensor.evaluate_tick(context)
        self.cursor = found.cursor or self.cursor
        assert not found.run_requests
        return found.skip_message or ""


# Runs ---------------------------------------------------------------------------------------------


def ends(
    settings: Settings, storage: dg.DagsterInstance, status: Status, job: str = "east_sync"
) -> dg.DagsterRun:
    """A run of that job ends."""
    run = start(settings, storage, job, Status.STARTED)
    if status is Status.SUCCESS:
        event = dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, job)
        storage.report_dagster_event(event, run.run_id)
    else:
        storage.report_run_failed(run)
    return run


def test_a_failure_is_told_once_and_so_is_its_end(
    watched: Settings, storage: dg.DagsterInstance, receiver: Receiver
) -> None:
    ends(watched, storage, Status.FAILURE)  # before anybody looked
    looks = Looks(watched, storage)
    assert receiver.lines() == []
    ends(watched, storage, Status.SUCCESS)
    assert looks.look() == "nothing to tell"
    run = ends(watched, storage, Status.FAILURE)
    assert looks.look() == "told of 1"
    (document,) = receiver.documents
    assert document["source"] == "rets_pipeline"
    assert document["alerts"] == [
        {"kind": "run_failed", "feed": "east", "run_id": run.run_id, "text": document["text"]}
    ]
    assert receiver.lines() == [
        "feed east: east_sync failed: its process ended without a word, or its time was over; "
        f"the run's log tells more (run {run.run_id[:8]})"
    ]
    for _ in range(3):
        ends(watched, storage, Status.FAILURE)
        looks.look()
    assert receiver.lines() == []
    ends(watched, storage, Status.SUCCESS, "east_images")  # another one's
    looks.look()
    assert receiver.lines() == []
    ends(watched, storage, Status.SUCCESS)
    ends(watched, storage, Status.FAILURE)
    looks.look()
    again, failed = receiver.lines()
    assert again == "feed east: east_sync succeeds again"
    assert failed.startswith("feed east: east_sync failed")


def test_the_job_of_all_feeds_is_watched_too(
    watched: Settings, storage: dg.DagsterInstance, receiver: Receiver
) -> None:
    looks = Looks(watched, storage)
    for _ in range(2):
        ends(watched, storage, Status.FAILURE, naming.EVENT_LOG_JOB)
        looks.look()
    (line,) = receiver.lines()
    assert line.startswith("retention failed: its process ended without a word")
    ends(watched, storage, Status.SUCCESS, naming.EVENT_LOG_JOB)
    looks.look()
    assert receiver.lines() == ["retention succeeds again"]


def test_each_failure_of_what_people_start_is_told(
    watched: Settings, storage: dg.DagsterInstance, receiver: Receiver
) -> None:
    looks = Looks(watched, storage)
    for _ in range(2):
        ends(watched, storage, Status.FAILURE, naming.backfill_job("east"))
        chosen = [naming.asset_key("east", naming.LISTINGS)]
        storage.report_run_failed(start_assets(watched, storage, chosen, Status.STARTED))
        looks.look()
    ends(watched, storage, Status.SUCCESS, naming.backfill_job("east"))
    looks.look()
    assert len(receiver.lines()) == 4


def test_a_failed_run_is_told_once_whatever_befalls_it_later(
    watched: Settings,
    storage: dg.DagsterInstance,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A tag, a second report of its end, a retry of Dagster's."""
    monkeypatch.setattr(alerts, "_OVERLAP", timedelta(0))
    looks = Looks(watched, storage)
    run = ends(watched, storage, Status.FAILURE, naming.backfill_job("east"))
    looks.look()
    assert len(receiver.lines()) == 1
    ends(watched, storage, Status.SUCCESS)  # what is known moves on
    looks.look()
    storage.add_run_tags(run.run_id, {"dagster/will_retry": "true"})
    looks.look()
    storage.report_run_failed(run, "its process says so itself")
    looks.look()
    again = start(watched, storage, naming.backfill_job("east"), Status.STARTED)
    storage.add_run_tags(again.run_id, {"dagster/retry_number": "1"})
    storage.report_run_failed(again)
    looks.look()
    assert receiver.lines() == []


def test_a_clock_that_was_wrong_once_silences_nobody(
    watched: Settings, storage: dg.DagsterInstance, receiver: Receiver
) -> None:
    looks = Looks(watched, storage)
    memory = Memory.of(looks.cursor, datetime.now(UTC))
    memory.until = (datetime.now(UTC) + timedelta(days=900)).isoformat()
    looks.cursor = memory.cursor()
    looks.look()
    for _ in range(2):
        ends(watched, storage, Status.FAILURE, naming.backfill_job("east"))
        looks.look()
    assert len(receiver.lines()) == 2


def test_a_run_that_could_not_begin_says_why(
    watched: Settings, storage: dg.DagsterInstance, receiver: Receiver, tmp_path: Path
) -> None:
    looks = Looks(watched, storage)
    (tmp_path / "file").write_text("no folder")
    broken = watched.model_copy(update={"database_url": f"sqlite:///{tmp_path}/file/inside"})
    job = build_defs(broken).resolve_job_def(naming.images_job("east"))
    run = job.execute_in_process(instance=storage, raise_on_error=False, run_config=QUIET)
    looks.look()
    assert receiver.lines() == [
        "feed east: east_images failed: it could not begin: WarehouseError; "
        f"the run's log tells more (run {run.run_id[:8]})"
    ]


def test_what_was_not_delivered_is_told_later(
    watched: Settings, storage: dg.DagsterInstance, receiver: Receiver
) -> None:
    looks = Looks(watched, storage)
    ends(watched, storage, Status.FAILURE)
    receiver.status = 503
    for _ in range(2):
        with pytest.raises(NotDelivered, match="1 alerts were not delivered and wait: HTTP 503"):
            looks.look()
    receiver.documents.clear()
    receiver.status = 204
    ends(watched, storage, Status.SUCCESS)
    assert looks.look() == "told of 2"
    failed, again = receiver.lines()
    assert "failed" in failed
    assert "succeeds again" in again
    assert looks.look() == "nothing to tell"


@pytest.mark.parametrize("backend", ["embedded"], indirect=True)
def test_an_error_and_a_guard_are_named_and_nothing_of_a_server_is_repeated(
    pipeline: Pipeline, server: Server, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = pipeline.settings.model_copy(update={"webhook_url": receiver.url})
    looks = Looks(settings, pipeline.instance)
    assert pipeline.sync().success
    keys = list(server.truth())
    for key in keys[: len(keys) // 2]:
        server.change("removed", key)
    assert not pipeline.sync().success
    looks.look()
    (line,) = receiver.lines()
    assert line.startswith(f"feed {FEED}: {FEED}_sync failed: {FEED}/deleted_listings: feed")
    assert f"{len(keys) // 2} of {len(keys)} listings are missing" in line
    assert not pipeline.sync().success
    looks.look()
    assert receiver.lines() == []
    days = partitions.range_tags(partitions.latest(pipeline.feed, datetime.now(UTC)))
    reconcile = pipeline.defs.resolve_job_def(naming.reconcile_job(FEED)).execute_in_process(
        {**sync_config(FEED), **QUIET}, pipeline.instance, tags=days, raise_on_error=False
    )
    assert not reconcile.success
    looks.look()
    assert receiver.lines() == [], "the guard was told, whichever job finds it"

    monkeypatch.setenv("BOARD_PASSWORD", "wrong")
    assert not Pipeline(settings, pipeline.instance).sync().success
    looks.look()
    (line,) = receiver.lines()
    assert f"{FEED}/listing_master_list: CredentialsRefused; the run's log tells more" in line

    monkeypatch.setenv("BOARD_PASSWORD", "sandbox-password")
    assert pipeline.sync(allow_deletions=len(keys)).success
    looks.look()
    assert receiver.lines() == [
        f"feed {FEED}: {FEED}/deleted_listings is let through by the deletion guard again",
        f"feed {FEED}: {FEED}_sync succeeds again",
    ]


# Silence ------------------------------------------------------------------------------------------


def test_a_feed_that_is_not_seen_is_told_once_and_so_is_the_end_of_it(
    watched: Settings,
    storage: dg.DagsterInstance,
    receiver: Receiver,
    sqlite_warehouse: Warehouse,
) -> None:
    looks = Looks(watched, storage)
    assert receiver.lines() == []
    with sqlite_warehouse.writing() as connection:
        connection.execute(
            sa.update(ledgers.pull).values(requested_at=datetime.now(UTC) - 61 * _MINUTE)
        )
    looks.look()
    (document,) = receiver.documents
    assert document["alerts"][0]["kind"] == "stale"
    (line,) = receiver.lines()
    assert line.startswith(
        "feed east: no complete master list for more than 60 minutes; the last one is of "
    )
    looks.look()
    assert receiver.lines() == []
    seen(sqlite_warehouse, datetime.now(UTC))
    looks.look()
    assert receiver.lines() == ["feed east: the server was seen again"]


def test_a_feed_that_was_never_seen_has_its_time(
    watched: Settings,
    storage: dg.DagsterInstance,
    receiver: Receiver,
    sqlite_warehouse: Warehouse,
) -> None:
    with sqlite_warehouse.writing() as connection:
        connection.execute(sa.delete(ledgers.pull))
    looks = Looks(watched, storage)
    assert receiver.lines() == []
    memory = Memory.of(looks.cursor, datetime.now(UTC))
    memory.first_seen["east"] = (datetime.now(UTC) - 61 * _MINUTE).isoformat()
    looks.cursor = memory.cursor()
    looks.look()
    (line,) = receiver.lines()
    assert line.endswith("there is none")


def test_a_feed_that_cannot_be_used_is_told_once_and_so_is_the_end_of_it(
    watched: Settings, storage: dg.DagsterInstance, receiver: Receiver
) -> None:
    fault = "photos: no host is allowed"
    looks = Looks(watched.model_copy(update={"broken": {"west": fault}}), storage)
    (document,) = receiver.documents
    assert document["alerts"][0]["kind"] == "settings"
    assert receiver.lines() == [f"feed west is not mirrored: {fault}"]
    ends(looks.settings, storage, Status.FAILURE, "west_settings")
    looks.look()
    assert receiver.lines() == []
    corrected = Looks(watched, storage)
    corrected.cursor = looks.cursor
    corrected.look()
    assert receiver.lines() == ["feed west: its entry in feeds.yaml is no longer bad"]


def test_a_warehouse_that_does_not_answer_is_told_without_its_address(
    watched: Settings, storage: dg.DagsterInstance, receiver: Receiver
) -> None:
    broken = watched.model_copy(update={"database_url": "postgresql://who:secret@127.0.0.1:1/db"})
    looks = Looks(broken, storage)
    looks.look()
    assert receiver.lines() == ["the warehouse does not answer; the daemon's log tells why"]
    whole = Looks(watched, storage)
    whole.cursor = looks.cursor
    whole.look()
    assert receiver.lines() == ["the warehouse answers again"]


@pytest.mark.parametrize(
    ("settings", "minutes"),
    [({}, 60), ({"cadence_minutes": 60}, 240), ({"alert_after_minutes": 1440}, 1440)],
)
def test_the_age_that_is_told_follows_the_cadence(settings: dict[str, int], minutes: int) -> None:
    found: FeedConfig = feed("east", **settings)
    assert found.stale_minutes == minutes


# Delivery -----------------------------------------------------------------------------------------

_ALERT = Alert("stale", "east", "feed east: silent")


def test_a_long_list_is_cut_for_people_and_whole_for_programs(receiver: Receiver) -> None:
    deliver(receiver.url, [_ALERT] * 100)
    (document,) = receiver.documents
    lines = document["text"].split("\n")
    assert lines[-1] == "and 60 more"
    assert len(lines) == 41
    assert len(document["alerts"]) == 100
    assert receiver.paths == [f"/services/{SECRET}"]


@pytest.mark.parametrize("fault", ["refused", "status", "redirect", "slow", "name"])
def test_no_fault_tells_the_address(
    fault: str,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    url = receiver.url
    if fault == "refused":
        with socket.create_server(("127.0.0.1", 0)) as free:
            url = f"http://127.0.0.1:{free.getsockname()[1]}/services/{SECRET}"
    elif fault == "name":
        url = f"http://receiver.invalid/services/{SECRET}"
    elif fault == "status":
        receiver.status = 404
    elif fault == "redirect":
        receiver.status = 307
        receiver.headers = {"Location": receiver.url}
    else:
        monkeypatch.setattr(webhook, "_SECONDS", 0.5)
        receiver.pause = 0.1  # a byte now and then, so that no silence is too long
    with pytest.raises(NotDelivered) as caught:
        deliver(url, [_ALERT])
    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert SECRET not in told
    assert len(receiver.documents) == (1 if fault in ("status", "redirect", "slow") else 0)
    if fault == "slow":
        assert "no answer within" in str(caught.value)


def test_a_delivery_leaves_no_address_in_the_log(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    deliver(receiver.url, [_ALERT])
    assert SECRET not in caplog.text


# Off by default -----------------------------------------------------------------------------------


def test_off_unless_configured(two_feeds: Settings, storage: dg.DagsterInstance) -> None:
    sensor = build_defs(two_feeds).resolve_sensor_def(SENSOR)
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    with dg.build_sensor_context(instance=storage) as context:
        found = sensor.evaluate_tick(context)
    assert found.skip_message == "RETS_PIPELINE_WEBHOOK_URL is not set"


def test_the_address_is_in_no_definition(watched: Settings) -> None:
    defs = build_defs(watched)
    sensor = defs.resolve_sensor_def(SENSOR)
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    shown = f"{watched!r} {sensor!r} {sensor.description} {sensor.metadata} {sensor.tags}"
    assert SECRET not in shown


def test_a_past_that_takes_several_looks_is_told_whole(
    watched: Settings,
    storage: dg.DagsterInstance,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alerts, "_MOST_RUNS", 5)
    monkeypatch.setattr(alerts, "_OVERLAP", timedelta(0))
    looks = Looks(watched, storage)
    jobs = [naming.backfill_job("east")] * 7
    for job in jobs:
        ends(watched, storage, Status.FAILURE, job)
    looks.look()
    looks.look()
    looks.look()
    assert len(receiver.lines()) == 7
