"""Typed values of COMPACT cells."""

from __future__ import annotations

import time as clock
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rets_pipeline.rets import Field, Lookup, Metadata, MetadataTable, TableDecoder
from rets_pipeline.rets.decoding import Value
from rets_pipeline.rets.metadata import LookupValue
from rets_pipeline.rets.names import Names

EASTERN = ZoneInfo("America/Toronto")

ROOMS = (
    ("1", "Kitchen", "K"),
    ("2", "Recreational, Games room", "RG"),
    ("3", "Recreational", "R"),
    ("4", "Games room", "G"),
    ("5", "Suite, 2 rooms, bath", "S"),
    ("6", "", "Attic"),
)


def lookup(values: tuple[tuple[str, str, str], ...] = ROOMS) -> Lookup:
    return Lookup("Rooms", Names(), tuple(LookupValue(*item) for item in values))


def decoder(
    data_type: str,
    interpretation: str = "",
    *,
    values: Lookup | None = None,
    zone: ZoneInfo | None = None,
    name: str = "Rooms",
) -> TableDecoder:
    attributes = {
        "SystemName": "X",
        "DataType": data_type,
        "Interpretation": interpretation,
        "LookupName": name,
    }
    known: Mapping[str, Lookup] = {"Rooms": values or lookup()}
    return TableDecoder(["x"], Names({"X": Field(Names(attributes))}), known.get, zone=zone)


def decode(found: TableDecoder, *texts: str) -> list[Value]:
    (column,) = found.decode_columns([(text,) for text in texts])
    return column


def one(text: str, data_type: str, interpretation: str = "", **settings: object) -> Value:
    found = decoder(data_type, interpretation, **settings)  # type: ignore[arg-type]
    (value,) = decode(found, text)
    assert found.fault_count == 0
    return value


@pytest.mark.parametrize(
    ("data_type", "text", "value"),
    [
        ("Int", "12", 12),
        ("Int", "-12", -12),
        ("Int", "+7", 7),
        ("Int", " 12 ", 12),
        ("Int", "12.00", 12),
        ("Int", "007", 7),
        ("Small", "3", 3),
        ("Tiny", "3", 3),
        ("LONG", "9007199254740993", 9007199254740993),
        ("Decimal", "12.50", Decimal("12.50")),
        ("decimal", "-.5", Decimal("-0.5")),
        ("Decimal", "5.", Decimal(5)),
        ("Date", "2024-03-13", date(2024, 3, 13)),
        ("Date", "2024-03-13T00:00:00.000", date(2024, 3, 13)),
        ("Date", "2024-03-13 00:00:00", date(2024, 3, 13)),
        ("DateTime", "2024-03-13T14:33:02", datetime(2024, 3, 13, 14, 33, 2)),
        ("DateTime", "2024-03-13 14:33:02.123", datetime(2024, 3, 13, 14, 33, 2, 123000)),
        ("DateTime", "2024-03-13T14:33:02Z", datetime(2024, 3, 13, 14, 33, 2, tzinfo=UTC)),
        ("DateTime", "2024-03-13T10:33:02-04:00", datetime(2024, 3, 13, 14, 33, 2, tzinfo=UTC)),
        ("DateTime", "Wed, 13 Mar 2024 14:33:02 GMT", datetime(2024, 3, 13, 14, 33, 2, tzinfo=UTC)),
        ("Timestamp", "2024-03-13", datetime(2024, 3, 13)),
        ("Time", "14:33:02", time(14, 33, 2)),
        ("Time", "14:33", time(14, 33)),
        ("Boolean", "1", True),
        ("Boolean", "0", False),
        ("Boolean", "Y", True),
        ("Boolean", "n", False),
        ("Boolean", "True", True),
        ("Boolean", "false", False),
        ("Boolean", "T", True),
        ("Boolean", "F", False),
        ("Character", " as it is ", " as it is "),
        ("Character", "12", "12"),
    ],
)
def test_types(data_type: str, text: str, value: Value) -> None:
    found = one(text, data_type)
    assert found == value
    assert type(found) is type(value)
    assert one("", data_type) is None


@pytest.mark.parametrize(
    ("data_type", "text"),
    [
        ("Int", "1_000"),
        ("Int", "1,000"),
        ("Int", "12.5"),
        ("Int", "٣"),
        ("Int", "1e3"),
        ("Int", "9" * 5000),
        ("Decimal", "NaN"),
        ("Decimal", "Infinity"),
        ("Decimal", "1_0.5"),
        ("Decimal", "$5"),
        ("Date", "2024-02-30"),
        ("Date", "2024-03-13T10:00:00"),
        ("Date", "13/03/2024"),
        ("DateTime", "13/03/2024 02:00:00 PM"),
        ("DateTime", "soon"),
        ("DateTime", "Wed, 99 Mar 2024 14:33:02 GMT"),
        ("DateTime", "Wed, 13 Mar 2024 14:33:02 +99999999999"),
        ("Time", "25:00"),
        ("Time", "noon"),
        ("Boolean", "maybe"),
        ("Boolean", "2"),
    ],
)
def test_what_does_not_convert_is_kept_as_a_fault(data_type: str, text: str) -> None:
    found = decoder(data_type)
    assert decode(found, "", text, text) == [None, None, None]
    assert found.fault_count == 2
    assert [(fault.row, fault.column, fault.text) for fault in found.faults] == [
        (1, "x", text),
        (2, "x", text),
    ]
    assert all(fault.reason for fault in found.faults)
    # Rows are counted on.
    decode(found, text)
    assert found.faults[-1].row == 3


def test_a_fault_hurts_nobody_else() -> None:
    found = decoder("Int")
    assert decode(found, "1", "x", "", "3") == [1, None, None, 3]
    assert decode(found, "1", "2") == [1, 2]
    assert found.fault_count == 1


def test_unknown_types_stay_text() -> None:
    found = decoder("Geometry")
    assert decode(found, "POINT(1 2)", "") == ["POINT(1 2)", None]
    assert found.warnings == ["x: the type 'Geometry' is unknown; it stays text"]
    found = decoder("Character", "LookupFuzzy")
    assert decode(found, "a") == ["a"]
    assert "LookupFuzzy" in found.warnings[0]
    found = TableDecoder(["Surprise"], Names(), lambda _: None)
    assert found.decode([("5",)]) == [("5",)]
    assert "do not know this column" in found.warnings[0]


def test_zones() -> None:
    winter, summer = "2024-01-13T14:00:00", "2024-07-13T14:00:00"
    found = decoder("DateTime", zone=EASTERN)
    first, second, third, fourth = decode(
        found, winter, summer, winter + "Z", "Sat, 13 Jan 2024 14:00:00 GMT"
    )
    assert isinstance(first, datetime)
    assert isinstance(second, datetime)
    assert first.utcoffset() == timedelta(hours=-5)
    assert second.utcoffset() == timedelta(hours=-4)
    assert third == fourth == datetime(2024, 1, 13, 14, tzinfo=UTC)
    (naive,) = decode(decoder("DateTime"), winter)
    assert isinstance(naive, datetime)
    assert naive.tzinfo is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", "Kitchen"),
        ("Kitchen", "Kitchen"),
        ("kitchen", "Kitchen"),
        ("K", "Kitchen"),
        ("Recreational, Games room", "Recreational, Games room"),
        ('"2"', "Recreational, Games room"),
        ("6", "Attic"),
    ],
)
def test_lookups(text: str, value: str) -> None:
    assert one(text, "Character", "Lookup") == value


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,3", ("Kitchen", "Recreational")),
        ("Kitchen", ("Kitchen",)),
        ("Recreational, Games room", ("Recreational, Games room",)),
        ("Recreational,Kitchen, Games room", ("Recreational", "Kitchen", "Games room")),
        (
            "Kitchen, Recreational, Games room ,Games room",
            ("Kitchen", "Recreational, Games room", "Games room"),
        ),
        ("suite, 2 rooms, bath,K", ("Suite, 2 rooms, bath", "Kitchen")),
        ('"Recreational","Games room"', ("Recreational", "Games room")),
        ('"1","2"', ("Kitchen", "Recreational, Games room")),
        ('"Recreational, Games room" , Kitchen', ("Recreational, Games room", "Kitchen")),
        ("Kitchen,", ("Kitchen",)),
        (",,Kitchen", ("Kitchen",)),
        (" , ", ()),
    ],
)
def test_several_lookup_values(text: str, values: tuple[str, ...]) -> None:
    found = decoder("Character", "LookupMulti")
    assert decode(found, text) == [values]
    assert found.unknown_values == {}


def test_lookup_values_that_the_metadata_do_not_have() -> None:
    found = decoder("Character", "LookupMulti")
    assert decode(found, 'Kitchen,Moat,"a ""b"", c"') == [("Kitchen", "Moat", 'a "b", c')]
    assert found.unknown_values == {"x": {"Moat", 'a "b", c'}}
    assert found.fault_count == 0
    found = decoder("Character", "Lookup")
    assert decode(found, "Moat", "1") == ["Moat", "Kitchen"]
    assert found.unknown_values == {"x": {"Moat"}}
    found = decoder("Character", "LookupMulti", name="Nowhere")
    assert decode(found, "a,b") == [("a", "b")]
    assert "no values of the lookup 'Nowhere'" in found.warnings[0]


@pytest.mark.parametrize(
    ("interpretation", "numbers", "text", "values"),
    [
        ("LookupBitstring", ("1", "2", "3"), "101", ("one", "three")),
        ("LookupBitstring", ("1", "2", "3"), "NYN", ("two",)),
        ("LookupBitstring", ("1", "2", "3"), "000", ()),
        ("LookupBitmask", ("1", "2", "3"), "5", ("one", "three")),
        ("LookupBitmask", ("1", "2", "4"), "5", ("one", "three")),
        ("LookupBitmask", ("1", "2", "4"), "0", ()),
    ],
)
def test_bits(
    interpretation: str, numbers: tuple[str, ...], text: str, values: tuple[str, ...]
) -> None:
    names = ("one", "two", "three")
    items = tuple((number, name, "") for number, name in zip(numbers, names, strict=True))
    assert one(text, "Character", interpretation, values=lookup(items)) == values


@pytest.mark.parametrize(
    ("interpretation", "text"),
    [("LookupBitstring", "12"), ("LookupBitmask", "-1"), ("LookupBitmask", "x")],
)
def test_bits_that_are_none(interpretation: str, text: str) -> None:
    found = decoder("Character", interpretation)
    assert decode(found, text) == [None]
    assert found.fault_count == 1


VALUES = st.text(st.sampled_from(list("ab, ")), min_size=1, max_size=6).filter(
    lambda text: text.strip(" ,") == text and ",," not in text and ", ," not in text
)


@settings(deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=6, unique=True), st.data())
def test_quoted_values_come_back(values: list[str], data: st.DataObject) -> None:
    known = lookup(tuple((str(number), value, "") for number, value in enumerate(values, 1)))
    chosen = data.draw(st.lists(st.sampled_from(values), max_size=4))
    text = ",".join(f'"{value}"' for value in chosen)
    assert decode(decoder("Character", "LookupMulti", values=known), text or " ") == [
        tuple(chosen) if chosen else None
    ]


@settings(deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=6, unique=True), st.data())
def test_bare_values_are_split_into_known_ones(values: list[str], data: st.DataObject) -> None:
    """What comes out is what went in, or another reading of the same text, never less of it."""
    known = lookup(tuple((f"#{number}", value, "") for number, value in enumerate(values, 1)))
    chosen = data.draw(st.lists(st.sampled_from(values), min_size=1, max_size=4))
    (found,) = decode(decoder("Character", "LookupMulti", values=known), ",".join(chosen))
    assert isinstance(found, tuple)

    def letters(items: tuple[str, ...]) -> list[str]:
        return [piece.strip() for item in items for piece in item.split(",")]

    assert letters(found) == letters(tuple(chosen))


TYPES = st.sampled_from(
    ["Int", "Decimal", "Date", "DateTime", "Time", "Boolean", "Character", "Odd"]
)
KINDS = st.sampled_from(["", "Lookup", "LookupMulti", "LookupBitstring", "LookupBitmask", "Number"])
CELLS = st.one_of(
    st.text(max_size=20),
    st.text("0123456789-:T.+Z, \"'", max_size=25),
    st.datetimes().map(str),
    st.decimals().map(str),
)


@settings(deadline=None, max_examples=300)
@given(TYPES, KINDS, st.lists(CELLS, max_size=10))
def test_nothing_is_ever_raised(data_type: str, interpretation: str, texts: list[str]) -> None:
    found = decoder(data_type, interpretation, zone=EASTERN)
    values = decode(found, *texts)
    faulty = {fault.row: fault.text for fault in found.faults}
    assert len(faulty) == found.fault_count
    for row, (text, value) in enumerate(zip(texts, values, strict=True) if texts else ()):
        if row in faulty:
            assert value is None
            assert faulty[row] == text
        elif value is None:
            assert not text.strip()
    # Cell by cell or in columns: the same.
    alone = [decode(decoder(data_type, interpretation, zone=EASTERN), text)[0] for text in texts]
    assert alone == values


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.integers()), max_size=20),
    st.lists(st.datetimes(timezones=st.just(UTC)), max_size=9),
)
def test_round_trips(numbers: list[int | None], moments: list[datetime]) -> None:
    texts = ["" if number is None else str(number) for number in numbers]
    assert decode(decoder("Long"), *texts) == numbers
    assert decode(decoder("DateTime"), *[moment.isoformat() for moment in moments]) == moments


def test_many_different_texts_need_little_memory() -> None:
    found = decoder("Decimal")
    assert decode(found, *[f"{number}.5" for number in range(5000)])[-1] == Decimal("4999.5")
    assert len(found.columns[0]._memory or ()) <= 1000


def test_rows() -> None:
    tables = (
        MetadataTable(
            "METADATA-TABLE",
            ("Property", "RES"),
            tuple(
                Names({"SystemName": name, "DataType": kind})
                for name, kind in (("Key", "Int"), ("Price", "Decimal"))
            ),
        ),
    )
    resource = Metadata(tables).resources["Property"]
    found = TableDecoder.of(resource, "res", ["PRICE", "Key", "New"])
    rows = [("1.5", "1", "a"), ("", "x", ""), ("2.5", "3", "c")]
    expected = [(Decimal("1.5"), 1, "a"), (None, None, None), (Decimal("2.5"), 3, "c")]
    assert found.decode(rows) == expected
    assert list(found.decode_all(iter(rows), batch=2)) == expected
    assert [fault.row for fault in found.faults] == [1, 4]
    assert found.rows == 6
    assert found.decode([]) == []
    with pytest.raises(ValueError, match="2 cells for 3 columns"):
        found.decode([("1", "2")])
    with pytest.raises(ValueError, match="shorter"):
        found.decode([("1", "2", "3"), ("1", "2")])
    with pytest.raises(KeyError):
        TableDecoder.of(resource, "COM", [])


def test_long_blanks_do_not_take_long() -> None:
    started = clock.process_time()
    decode(decoder("Character", "LookupMulti"), " " * 100_000 + "x", "a" + " " * 100_000 + '"')
    assert clock.process_time() - started < 2
