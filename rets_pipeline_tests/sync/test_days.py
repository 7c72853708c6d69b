"""Which day a listing belongs to."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rets_pipeline.sync.days import DayRange, day_of, today

FIRST, TODAY = date(2026, 1, 10), date(2026, 3, 1)


def day(timestamp: datetime | None) -> date:
    return day_of(timestamp, first_day=FIRST, today=TODAY)


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (datetime(2026, 2, 1, 0, 0, tzinfo=UTC), date(2026, 2, 1)),
        (datetime(2026, 2, 1, 23, 59, 59, 999_999, tzinfo=UTC), date(2026, 2, 1)),
        (datetime(2026, 2, 1, 20, tzinfo=timezone(timedelta(hours=-5))), date(2026, 2, 2)),
        (datetime(2026, 2, 1, 3, tzinfo=timezone(timedelta(hours=5))), date(2026, 1, 31)),
        (datetime(2026, 1, 9, 23, 59, tzinfo=UTC), FIRST),
        (datetime(1, 1, 1, tzinfo=UTC), FIRST),
        (datetime(2026, 3, 1, 23, 59, tzinfo=UTC), TODAY),
        (datetime(2026, 3, 2, tzinfo=UTC), TODAY),
        (datetime(9999, 12, 31, tzinfo=UTC), TODAY),
        (None, TODAY),
    ],
)
def test_days(timestamp: datetime | None, expected: date) -> None:
    assert day(timestamp) == expected


@given(
    st.none()
    | st.datetimes(
        datetime(2, 1, 1),
        datetime(9998, 12, 31),
        timezones=st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours))),
    )
)
def test_every_listing_has_a_day_that_exists(timestamp: datetime | None) -> None:
    found = day(timestamp)
    assert FIRST <= found <= TODAY
    if timestamp is not None:
        real = timestamp.astimezone(UTC).date()
        assert (found == real) == (FIRST <= real <= TODAY)


def test_a_feed_that_starts_today_has_one_day() -> None:
    for timestamp in (None, datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)):
        assert day_of(timestamp, first_day=TODAY, today=TODAY) == TODAY


def test_today_is_the_utc_day() -> None:
    evening = datetime(2026, 2, 1, 21, tzinfo=timezone(timedelta(hours=-8)))
    assert today(evening) == date(2026, 2, 2)
    assert abs(today() - datetime.now(UTC).date()) <= timedelta(days=1)


def test_a_range_has_both_its_ends() -> None:
    days = DayRange(date(2026, 2, 27), date(2026, 3, 1))
    assert list(days) == [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1)]
    assert [day in days for day in (date(2026, 2, 26), *days, date(2026, 3, 2))] == [
        False, True, True, True, False,
    ]  # fmt: skip
    assert list(DayRange(TODAY, TODAY)) == [TODAY]
    assert list(DayRange(TODAY, FIRST)) == []
