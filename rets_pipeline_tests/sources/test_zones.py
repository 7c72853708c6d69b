"""The zone of a property, and local times in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rets_pipeline.geocoding.provinces import NAMES, province_code
from rets_pipeline.sources.ddf import zones

DEGREES = st.none() | st.decimals(-200, 200, places=6)


@pytest.mark.parametrize(
    ("province", "latitude", "longitude", "expected"),
    [
        ("British Columbia", "49.2827", "-123.1207", "America/Vancouver"),
        ("British Columbia", "49.5097", "-115.7688", "America/Edmonton"),  # Cranbrook
        ("British Columbia", "49.0955", "-116.5135", "America/Creston"),
        ("British Columbia", "55.7596", "-120.2377", "America/Dawson_Creek"),
        ("Ontario", "43.6532", "-79.3832", "America/Toronto"),
        ("Ontario", "49.7670", "-94.4894", "America/Winnipeg"),  # Kenora
        ("Ontario", "48.7586", "-91.6217", "America/Atikokan"),
        ("Quebec", "47.3833", "-61.8667", "America/Halifax"),  # Magdalen Islands
        ("Québec", "51.4167", "-57.1333", "America/Blanc-Sablon"),
        ("Saskatchewan", "53.2783", "-110.0050", "America/Edmonton"),  # Lloydminster
        ("Newfoundland & Labrador", "53.3017", "-60.3261", "America/Goose_Bay"),
        ("Nunavut", "62.8084", "-92.0853", "America/Rankin_Inlet"),
        ("Alberta", "51.0447", "-114.0719", "America/Edmonton"),
        ("Manitoba", None, None, "America/Winnipeg"),
        ("New Brunswick", None, None, "America/Moncton"),
        ("Prince Edward Island", None, None, "America/Halifax"),
        ("Yukon", None, None, "America/Whitehorse"),
    ],
)
def test_zones(province, latitude, longitude, expected):
    degrees = [None if value is None else Decimal(value) for value in (latitude, longitude)]
    assert zones.zone_name(province, *degrees) == expected


@pytest.mark.parametrize("province", ["ontario", " ON ", "Ontario"])
@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [(None, None), ("0", "0"), ("49.28", "-123.12"), ("91", "10"), ("43.65", "79.38"), ("1", None)],
)
def test_coordinates_that_are_missing_or_elsewhere(province, latitude, longitude):
    degrees = [None if value is None else Decimal(value) for value in (latitude, longitude)]
    assert zones.zone_name(province, *degrees) == "America/Toronto"


def test_places_that_are_not_in_canada():
    assert zones.zone_name("Florida", Decimal("25.76"), Decimal("-80.19")) == "America/New_York"
    assert zones.zone_name(None, None, None) is None
    assert zones.zone_name("Florida", None, None) is None


def test_every_zone_of_the_table_exists():
    names = {f"America/{name}" for some in zones._ZONES.values() for name in some}
    assert names <= available_timezones()
    assert set(NAMES.values()) == set(zones._ZONES)


@given(st.none() | st.text() | st.sampled_from(sorted(NAMES)), DEGREES, DEGREES)
def test_a_zone_is_one_that_exists_or_none(province, latitude, longitude):
    name = zones.zone_name(province, latitude, longitude)
    if name is not None:
        ZoneInfo(name)
    elif province is not None:
        assert province_code(province) is None


@given(st.datetimes(), st.sampled_from([None, "America/Toronto", "America/St_Johns", "No/Where"]))
def test_local_moments_in_utc_and_back(moment, zone):
    found = zones.utc(moment, zone)
    assert zones.local(moment, zone) == moment
    if zone in (None, "No/Where"):
        assert found is None
    elif found is not None:
        back = zones.local(found, zone)
        # Clocks that go forward leave an hour out: a time in it means the one after.
        assert back in (moment, moment + timedelta(hours=1))
    else:
        assert moment.year in (1, 9999)


def test_daylight_saving_time():
    toronto = "America/Toronto"
    assert zones.utc(datetime(2024, 1, 15, 14), toronto) == datetime(2024, 1, 15, 19, tzinfo=UTC)
    assert zones.utc(datetime(2024, 7, 15, 14), toronto) == datetime(2024, 7, 15, 18, tzinfo=UTC)
    assert zones.utc(datetime(2024, 11, 3, 1, 30), toronto) == datetime(
        2024, 11, 3, 5, 30, tzinfo=UTC
    )


def test_a_zone_that_the_moment_names_is_obeyed():
    moment = datetime(2024, 3, 17, 14, tzinfo=timezone(timedelta(hours=2)))
    assert zones.utc(moment, None) == datetime(2024, 3, 17, 12, tzinfo=UTC)
    assert zones.local(moment, "America/Toronto") == datetime(2024, 3, 17, 8)
    assert zones.local(moment, None) is None
    assert zones.utc(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2))), None) is None
