"""What DDF's texts mean, for every text there is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rets_pipeline.sources.ddf import values
from rets_pipeline.sources.ddf.values import ConversionError, Inexact

CONVERTERS = (
    values.integer,
    values.money,
    values.coordinate,
    values.stories,
    values.boolean,
    values.measure,
    values.utc_timestamp,
    values.local_timestamp,
    values.event_time,
    values.iso_date,
    values.year,
    values.basement_types,
    values.lookup_values("Features"),
    values.lookup_values("MaintenanceFeeType"),
)

#: texts that are close to what the converters read, and any others
ALMOST = st.one_of(
    st.text(min_size=1),
    st.text("0123456789.,+-eE_ ", min_size=1, max_size=60),
    st.text("0123456789/:-TZ APMGaprMarWed,+", min_size=1, max_size=40),
    st.text("0123456789ftinsqm'\", .²٣", min_size=1, max_size=20),
    st.from_regex(values._RFC_1123, fullmatch=True),
    st.from_regex(values._ISO, fullmatch=True),
    st.from_regex(values._ISO_TWELVE_HOURS, fullmatch=True),
    st.from_regex(values._LOCAL, fullmatch=True),
    st.from_regex(values._MEASURE, fullmatch=True),
    st.from_regex(values._FEET_AND_INCHES, fullmatch=True),
    st.text("Other, SeRmaks()", min_size=1, max_size=60),
)


@given(text=ALMOST, converter=st.sampled_from(CONVERTERS))
@example(text="NaN", converter=values.money)
@example(text="Infinity", converter=values.measure)
@example(text="1_000", converter=values.integer)
@example(text="Fri, 31 Dec 9999 23:59:59 -0100", converter=values.utc_timestamp)
@example(text="0001-01-01T00:00:00+14:00", converter=values.utc_timestamp)
@example(text="31/12/9999 11:59:59 PM", converter=values.utc_timestamp)
@example(text="0001-01-01T00:00:00+14:00", converter=values.event_time)
def test_a_converter_answers_or_refuses_and_nothing_else(text, converter):
    text = text.strip()
    if not text:
        return
    try:
        value = converter(text)
    except ConversionError:
        return
    assert value is not None
    assert not isinstance(value, str)


@given(st.integers(-(2**31), 2**31 - 1))
def test_integers_come_back(number):
    assert values.integer(str(number)) == number
    assert values.integer(f"{number}.00") == number


@pytest.mark.parametrize("text", ["2147483648", "1.5", "three", "1_0", "٣", "1 000", "--1", ""])
def test_what_is_no_integer_is_refused(text):
    with pytest.raises(ConversionError):
        values.integer(text)


@given(st.decimals(Decimal("-999999999999.99"), Decimal("999999999999.99"), places=2))
def test_money_comes_back_with_and_without_commas(amount):
    assert values.money(f"{amount:f}") == amount
    assert values.money(f"{amount:,f}") == amount


def test_money_that_the_column_cannot_hold():
    assert values.money("10.005") == Inexact(Decimal("10.01"))
    assert values.money("10.5000") == Decimal("10.50")
    for text in ("1000000000000", "999999999999.995", "9" * 30, "$5", "1,23", "NaN", "1e5"):
        with pytest.raises(ConversionError):
            values.money(text)


@given(st.decimals(-180, 180, places=8))
def test_coordinates_come_back(degrees):
    assert values.coordinate(f"{degrees:f}") == degrees


def test_an_angle_beyond_the_globe_is_refused():
    with pytest.raises(ConversionError):
        values.coordinate("180.5")


@pytest.mark.parametrize(
    ("text", "value"), [("True", True), ("true", True), ("False", False), ("FALSE", False)]
)
def test_booleans_in_their_spellings(text, value):
    assert values.boolean(text) is value


@pytest.mark.parametrize("text", ["1", "yes", "T", "truefalse"])
def test_other_words_are_no_booleans(text):
    with pytest.raises(ConversionError):
        values.boolean(text)


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("2732 sqft", "2732", "Square Feet"),
        ("1838.0000", "1838", None),
        ("0", "0", None),
        ("46 ft ,2 in", "46.1667", "Feet"),
        ("46 ft", "46", "Feet"),
        ("6'11''", "6.9167", "Feet"),
        ("12'", "12", "Feet"),
        ("12 ft.", "12", "Feet"),
        ("18 in", "1.5", "Feet"),
        ("14 ft ,6 in", "14.5", "Feet"),
        ("1.2 hectares", "1.2", "Hectares"),
        (".5 ac", "0.5", "Acres"),
        ("7,841 SQFT", "7841", "Square Feet"),
        ("120.5 m2", "120.5", "Square Meters"),
        ("2732 pi2", "2732", "pi2"),
        ("12 square feet", "12", "Square Feet"),
    ],
)
def test_measures(text, value, unit):
    assert values.measure(text) == (Decimal(value), unit)


@pytest.mark.parametrize("text", ["78 x 95.5", "78 x 9", "Irregular", "sqft", "1.2.3 m", "1 - 2 m"])
def test_descriptions_are_no_measures(text):
    with pytest.raises(ConversionError):
        values.measure(text)


@given(st.decimals(0, Decimal("9999999999.9999"), places=4), st.sampled_from(sorted(values.UNITS)))
def test_measures_come_back(number, unit):
    assert values.measure(f"{number:f} {unit}") == (number, values.UNITS[unit])


@given(
    st.decimals(0, 1_000_000, places=2),
    st.sampled_from(
        [
            ("Acres", "Square Feet", Decimal(43560)),
            ("Hectares", "Square Meters", Decimal(10_000)),
            ("Hectares", "Acres", Decimal("2.47105381")),
            ("Square Meters", "Square Feet", Decimal("10.76391042")),
            ("Feet", "Meters", Decimal("0.3048")),
        ]
    ),
)
def test_measures_in_other_units(number, units):
    unit, wanted, factor = units
    expected = number * factor
    found = values.converted(number, unit, wanted)
    if expected >= 10**10:
        assert found is None
    else:
        assert found is not None
        assert abs(found - expected) <= expected * Decimal("1e-8") + Decimal("0.0001")


def test_measures_that_have_no_other_unit():
    number = Decimal(1)
    assert values.converted(number, "cubits", "cubits") == number
    assert values.converted(None, "Acres", "Acres") is None
    for unit in (None, "cubits", "Feet"):
        assert values.converted(number, unit, "Acres") is None


@given(st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0)))
def test_moments_come_back(moment):
    assert values.utc_timestamp(values.rfc_1123(moment)) == moment
    assert values.utc_timestamp(moment.isoformat()) == moment


def test_moments_in_other_forms():
    moment = datetime(2024, 3, 13, 14, 33, 2, tzinfo=UTC)
    assert values.utc_timestamp("Wed, 13 Mar 2024 10:33:02 -0400") == moment
    assert values.utc_timestamp("13 Mar 2024 14:33:02 UTC") == moment
    assert values.utc_timestamp("2024-03-13T14:33:02Z") == moment
    assert values.utc_timestamp("2024-03-13T10:33:02-04:00") == moment
    assert values.utc_timestamp("2024-03-13 14:33:02") == moment
    for text in ("Wed, 31 Feb 2024 14:33:02 GMT", "13/03/2024 14:33:02", "2024-03-13", "now"):
        with pytest.raises(ConversionError):
            values.utc_timestamp(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2019-02-21 6:40:20 PM", datetime(2019, 2, 21, 23, 40, 20)),  # winter: 5 hours
        ("2019-07-21 6:40:20 PM", datetime(2019, 7, 21, 22, 40, 20)),  # summer: 4 hours
        ("22/01/2019 05:17:29 PM", datetime(2019, 1, 22, 22, 17, 29)),
        ("2024-03-10 1:59:59 AM", datetime(2024, 3, 10, 6, 59, 59)),
        ("2024-03-10 3:00:00 AM", datetime(2024, 3, 10, 7, 0, 0)),
        ("2024-11-03 1:30:00 AM", datetime(2024, 11, 3, 5, 30, 0)),  # twice: the first
        ("2024-11-03 12:00:00 AM", datetime(2024, 11, 3, 4, 0, 0)),
    ],
)
def test_moments_as_ddf_prints_them_are_eastern(text, expected):
    assert values.utc_timestamp(text) == expected.replace(tzinfo=UTC)


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)).map(lambda m: m.replace(microsecond=0))
)
def test_eastern_moments_come_back(moment):
    eastern = moment.replace(tzinfo=UTC).astimezone(ZoneInfo("America/Toronto"))
    if eastern.fold:
        return  # the hour that clocks show twice
    for text in (f"{eastern:%Y-%m-%d %I:%M:%S %p}", f"{eastern:%d/%m/%Y %I:%M:%S %p}"):
        assert values.utc_timestamp(text) == moment.replace(tzinfo=UTC)


@given(st.datetimes().map(lambda moment: moment.replace(microsecond=0)))
def test_local_moments_come_back(moment):
    text = f"{moment:%d/%m}/{moment.year:04} {moment:%I:%M:%S %p}"
    assert values.local_timestamp(text) == moment
    assert values.local_timestamp(text).tzinfo is None


def test_local_moments_put_the_day_first():
    assert values.local_timestamp("03/04/2024 12:00:00 AM") == datetime(2024, 4, 3)
    assert values.local_timestamp("03/04/2024 12:30:00 PM") == datetime(2024, 4, 3, 12, 30)
    assert values.local_timestamp("2024-04-03T12:30:00") == datetime(2024, 4, 3, 12, 30)
    for text in ("03/17/2024 02:00:00 PM", "17/03/2024 13:00:00 PM", "2024-04-03T12:30:00Z"):
        with pytest.raises(ConversionError):
            values.local_timestamp(text)


@given(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)), st.integers(-840, 840))
def test_an_event_is_local_unless_it_names_its_zone(moment, minutes):
    moment = moment.replace(microsecond=0)
    assert values.event_time(f"{moment:%d/%m}/{moment.year:04} {moment:%I:%M:%S %p}") == moment
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert values.event_time(zoned.isoformat()) == Inexact(zoned.astimezone(UTC))
    aware = moment.replace(tzinfo=UTC)
    assert values.event_time(values.rfc_1123(aware)) == Inexact(aware)


@given(st.integers(1000, 2999), st.dates(date(1000, 1, 1), date(2999, 12, 31)))
def test_years_come_back(number, day):
    assert values.year(str(number)) == number
    assert values.year(day.isoformat()) == Inexact(day.year)
    assert values.year(f"{day:%d/%m}/{day.year:04}") == Inexact(day.year)
    assert values.year(f"{day:%B} {day.year:04}") == Inexact(day.year)
    assert values.year(f"{day:%b. %d}, {day.year:04}") == Inexact(day.year)


@pytest.mark.parametrize(
    "text", ["0", "996", "19960", "about 1996", "1996s", "3000", "5/6", "rebuilt 1996"]
)
def test_what_is_no_year_is_refused(text):
    with pytest.raises(ConversionError):
        values.year(text)


@given(st.dates())
def test_days_come_back(day):
    assert values.iso_date(day.isoformat()) == day


def test_days_that_do_not_exist():
    for text in ("2024-02-30", "20240203", "2024-W05-1", "03/02/2024"):
        with pytest.raises(ConversionError):
            values.iso_date(text)
    assert values.iso_date("2024-02-03T00:00:00") == date(2024, 2, 3)


PLAIN_WORD = st.text("abcdefgh -/", min_size=1, max_size=12).map(str.strip).filter(bool)


@given(st.data(), st.sampled_from(sorted(values.LOOKUP_VALUES_WITH_COMMAS)))
def test_lists_come_back_even_with_commas_inside(data, lookup):
    known = st.sampled_from(values.LOOKUP_VALUES_WITH_COMMAS[lookup])
    expected = data.draw(st.lists(st.one_of(PLAIN_WORD, known), min_size=1, max_size=6))
    assert values.lookup_values(lookup)(", ".join(expected)) == expected


@given(st.text(min_size=1), st.sampled_from(["Features", *values.LOOKUP_VALUES_WITH_COMMAS]))
def test_a_list_that_is_exact_joins_to_the_same_text(text, lookup):
    found = values.lookup_values(lookup)(text)
    if isinstance(found, Inexact):
        assert ", " in text
    else:
        assert ", ".join(found) == text


def test_the_longest_known_value_wins():
    known = {"Example": ("One, Two", "One, Two, Three")}
    split = values.lookup_values("Example", known)
    assert split("Zero, One, Two, Three, One, Two") == ["Zero", "One, Two, Three", "One, Two"]
    assert split("One, Twofold") == ["One", "Twofold"]


def test_empty_members_are_left_out_and_the_text_is_kept():
    assert values.lookup_values("Features")("a, , b") == Inexact(["a", "b"])
    assert values.lookup_values("LeaseType")("a, ") == Inexact(["a"])


def test_values_with_commas_from_metadata():
    known = values.values_with_commas(
        {
            "LeaseType": ["Net", "Other, See Remarks", "Gross, or not"],
            "Crop": ["Oats"],
            "View": ["A, B"],
        }
    )
    assert known["LeaseType"] == ("Other, See Remarks", "Gross, or not")
    assert known["View"] == ("A, B",)
    assert "Crop" not in known
    for name, some in values.LOOKUP_VALUES_WITH_COMMAS.items():
        assert set(some) <= set(known[name])


@given(st.lists(st.tuples(PLAIN_WORD, st.sampled_from(["Unfinished", "Other, See Remarks", ""]))))
def test_basements_come_apart(parts):
    text = ", ".join(f"{kind} ({how})" if how else kind for kind, how in parts)
    if not text:
        return
    found = values.basement_types(text)
    types = found.value if isinstance(found, Inexact) else found
    assert types == [kind for kind, _ in parts]
    hows = list(dict.fromkeys(how for _, how in parts if how))
    assert values.basement_developments(text) == hows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Full", ["Full"]),
        ("Full (Unfinished)", Inexact(["Full"])),
        ("Full (Other, See Remarks), Crawl space", Inexact(["Full", "Crawl space"])),
        ("Partial (Partially finished), Full (Unfinished)", Inexact(["Partial", "Full"])),
        ("Full (broken", ["Full (broken"]),
    ],
)
def test_basements(text, expected):
    assert values.basement_types(text) == expected


def test_change_tokens():
    url = "https://ddfcdn.example.com/listings/TS638456460001130000/reb20/highres/5/1_1.jpg"
    moment = "Sun, 10 Mar 2024 01:40:00 GMT"
    assert values.change_token(url, moment) == "638456460001130000"
    assert values.change_token("https://example.com/1.jpg", moment) == moment
    assert values.change_token("https://example.com/1.jpg", None) == "https://example.com/1.jpg"
    assert values.change_token(None, moment, "another") == moment
    assert values.change_token(None, None, "another") == "another"
    assert values.change_token(None, None) == ""


def test_rfc_1123_is_always_utc():
    eastern = datetime.fromisoformat("2024-03-13T10:33:02-04:00") + timedelta(0)
    assert values.rfc_1123(eastern) == "Wed, 13 Mar 2024 14:33:02 GMT"
