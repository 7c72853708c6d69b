"""Days are UTC days, at midnight, when clocks change, and wherever the process believes to be."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._utils.schedules import schedule_execution_time_iterator

from rets_pipeline.orchestration import naming, partitions
from rets_pipeline.orchestration.schedules import cron
from rets_pipeline.sync.days import DayRange, day_of
from rets_pipeline.warehouse import ledgers
from rets_pipeline_tests.end_to_end.harness import Pipeline, Server
from rets_pipeline_tests.orchestration.conftest import feed
from rets_pipeline_tests.orchestration.test_schedules import days_of, one, tick

#: UTC midnight, and both changes of the clock in Toronto (07:00 and 06:00 UTC) and in Auckland
_TURNS = (
    datetime(2026, 6, 15, tzinfo=UTC),
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 3, 9, 0, tzinfo=UTC),
    datetime(2025, 11, 2, 6, tzinfo=UTC),
    datetime(2025, 11, 3, 0, tzinfo=UTC),
    datetime(2026, 4, 4, 14, tzinfo=UTC),
    datetime(2025, 9, 27, 14, tzinfo=UTC),
    datetime(2026, 1, 1, tzinfo=UTC),
)
_FIRST = date(2025, 9, 1)


@pytest.fixture(params=["UTC", "America/Toronto", "Pacific/Auckland"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The process's own zone."""
    before = time.tzname
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    assert request.param == "UTC" or time.tzname != ("UTC", "UTC")
    yield request.param
    monkeypatch.undo()
    time.tzset()
    assert time.tzname == before


def around(turn: datetime) -> list[datetime]:
    """Just before, at, and after; also an hour away, in each of the clock's own hours."""
    steps = [timedelta(seconds=1), timedelta(minutes=15), timedelta(hours=1), timedelta(hours=5)]
    return [turn, *(turn + step for step in steps), *(turn - step for step in steps)]


@pytest.mark.parametrize("turn", _TURNS, ids=str)
def test_a_range_is_the_last_two_partitions_that_exist(turn: datetime, zone: str) -> None:
    config = feed("east", first_day=_FIRST)
    for moment in around(turn):
        days = [moment.date() - timedelta(days=1), moment.date()]
        found = partitions.latest(config, moment)
        assert list(found) == days
        assert partitions.latest(config, moment.astimezone()) == found, "as the process sees it"
        keys = partitions.daily(config).get_partition_keys(current_time=moment)
        assert keys[-2:] == [day.isoformat() for day in days]
        assert partitions.range_tags(found) == {
            naming.RANGE_START_TAG: keys[-2],
            naming.RANGE_END_TAG: keys[-1],
        }


@pytest.mark.parametrize("turn", _TURNS, ids=str)
def test_a_partition_is_a_utc_day_of_24_hours(turn: datetime, zone: str) -> None:
    definition = partitions.daily(feed("east", first_day=_FIRST))
    window = definition.time_window_for_partition_key(turn.date().isoformat())
    midnight = turn.replace(hour=0)
    assert (window.start, window.end) == (midnight, midnight + timedelta(days=1))
    for moment in around(turn):
        expected = moment.date()
        for seen in (moment, moment.astimezone()):
            assert day_of(seen, first_day=_FIRST, today=date(2030, 1, 1)) == expected
        key = definition.get_partition_key_for_timestamp(moment.timestamp())
        assert key == expected.isoformat()


@pytest.mark.parametrize("zone", ["America/Toronto"], indirect=True)
def test_ticks_come_every_cadence_and_ask_for_days_that_exist(
    zone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EAST_USERNAME", "x")
    monkeypatch.setenv("EAST_PASSWORD", "x")
    config = feed("east", first_day=_FIRST, cadence_minutes=60)
    settings = one(config, tmp_path)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        for turn in _TURNS[:5]:
            began = (turn - timedelta(hours=2)).timestamp()
            ticks = schedule_execution_time_iterator(began, cron(60), "UTC", ascending=True)
            for hours in range(-2, 3):
                moment = next(ticks)
                assert moment == turn + timedelta(hours=hours)
                if hours == 0:
                    days = days_of(tick(settings, "east", moment, instance))
                    yesterday, today = partitions.latest(config, moment)
                    assert days == (yesterday.isoformat(), today.isoformat())
                    assert today == moment.astimezone(UTC).date()


def test_a_range_begins_no_earlier_than_the_feed(zone: str) -> None:
    config = feed("east", first_day=date(2026, 3, 8))
    first = datetime(2026, 3, 8, tzinfo=UTC)
    for moment in (first - timedelta(days=3), first, first + timedelta(hours=23, minutes=59)):
        assert partitions.latest(config, moment) == DayRange(first.date(), first.date())
    after = partitions.latest(config, first + timedelta(days=1))
    assert after == DayRange(first.date(), first.date() + timedelta(days=1))


@pytest.mark.parametrize("zone", ["America/Toronto"], indirect=True)
@pytest.mark.parametrize("backend", ["embedded"], indirect=True)
def test_a_sync_groups_by_utc_days_wherever_it_runs(
    zone: str, pipeline: Pipeline, server: Server
) -> None:
    assert pipeline.sync().success
    rows = pipeline.rows(
        sa.select(ledgers.listing_sync.c.master_timestamp, ledgers.pull.c.day).join(
            ledgers.pull, ledgers.pull.c.pull_id == ledgers.listing_sync.c.pull_id
        )
    )
    assert len(rows) == len(server.truth())
    assert {row.master_timestamp.hour for row in rows} & {0, 1, 2, 3}, "evenings in Toronto"
    for row in rows:
        assert row.day == row.master_timestamp.astimezone(UTC).date()
    done = pipeline.instance.get_materialized_partitions(naming.asset_key("board", naming.LISTINGS))
    assert {row.day.isoformat() for row in rows} <= done
