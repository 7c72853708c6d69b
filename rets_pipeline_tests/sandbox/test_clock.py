from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st

from rets_pipeline.sandbox.clock import (
    eastern_day_first,
    eastern_ticks,
    eastern_year_first,
    iso,
    local_time,
    rfc1123,
    seconds_of,
    swapped,
    ticks,
    ticks_to_seconds,
)
from rets_pipeline.sandbox.listing import keys_of_listing_id, listing_id, place_of

SECONDS = st.integers(0, 4_000_000_000)


@given(SECONDS)
def test_rfc1123_is_the_standard_librarys(seconds: int) -> None:
    expected = format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)
    assert rfc1123(seconds) == expected


@given(SECONDS, st.integers(0, 9_999_999))
def test_ticks_keep_the_second(seconds: int, fraction: int) -> None:
    assert ticks_to_seconds(ticks(seconds, fraction)) == seconds
    assert eastern_ticks(ticks(seconds, fraction)) % 10_000_000 == fraction


@given(SECONDS)
def test_iso_and_back(seconds: int) -> None:
    assert seconds_of(iso(seconds)) == seconds


def test_ticks_of_a_known_time() -> None:
    # 2024-03-10 01:40:00 UTC is 20:40 of the day before in Toronto.
    moment = int(datetime(2024, 3, 10, 1, 40, tzinfo=UTC).timestamp())
    elapsed = datetime(2024, 3, 9, 20, 40) - datetime(1, 1, 1)
    expected = (elapsed.days * 86_400 + elapsed.seconds) * 10_000_000
    assert eastern_ticks(ticks(moment)) == expected


def test_day_and_month_are_swapped_in_eastern_time() -> None:
    # DDF: 10 March 2024 01:40 UTC was shown as 4 September 2024 00:40.
    moment = int(datetime(2024, 3, 10, 1, 40, tzinfo=UTC).timestamp())
    assert rfc1123(swapped(moment)) == "Wed, 04 Sep 2024 00:40:00 GMT"
    late = int(datetime(2024, 3, 20, 1, 40, tzinfo=UTC).timestamp())
    assert swapped(late) == late


def test_open_house_times() -> None:
    assert local_time(datetime(2024, 3, 17, 14)) == "17/03/2024 02:00:00 PM"
    assert local_time(datetime(2024, 3, 17, 0, 5)) == "17/03/2024 12:05:00 AM"
    assert local_time(datetime(2024, 3, 17, 12)) == "17/03/2024 12:00:00 PM"


def test_times_of_2019() -> None:
    # DDF: 22:17:29 GMT was shown as 05:17:29 PM.
    moment = int(datetime(2019, 1, 22, 22, 17, 29, tzinfo=UTC).timestamp())
    assert eastern_day_first(moment) == "22/01/2019 05:17:29 PM"
    assert eastern_year_first(moment) == "2019-01-22 5:17:29 PM"
    midnight = int(datetime(2019, 7, 3, 4, 0, 5, tzinfo=UTC).timestamp())
    assert eastern_year_first(midnight) == "2019-07-03 12:00:05 AM"


@given(st.integers(26_000_000, 90_000_000))
def test_mls_numbers_lead_back_to_their_keys(key: int) -> None:
    keys = keys_of_listing_id(listing_id(key))
    assert key in keys
    assert len({place_of(7, found).board for found in keys}) == len(keys)
