"""One spelling for each place."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rets_pipeline.geocoding.addresses import normalize
from rets_pipeline.geocoding.provinces import BOXES, CANADA, NAMES, province_code
from rets_pipeline.geocoding.words import DIRECTIONS, STREET_TYPES, TYPES_BEFORE, UNITS, fold

HERE = {"city": "Toronto", "state_or_province": "Ontario", "postal_code": "M5V 1A1"}

#: each group is one place
VARIANTS: list[list[dict[str, Any]]] = [
    [
        {"street_number": "1255", "street_name": "Main", "street_suffix": "ST", "unit_number": "3"},
        {"street_address": "1255 Main Street"},
        {"street_address": "1255 MAIN ST."},
        {"street_address": "3 1255 Main St", "unit_number": "3"},
        {"street_address": "1203 1255 Main St"},
        {"street_address": "1203-1255 Main St"},
        {"street_address": "1203 - 1255 Main St"},
        {"street_address": "#1203 - 1255 Main St"},
        {"street_address": "#1203 1255 Main St"},
        {"street_address": "1255 Main St #1203"},
        {"street_address": "1255 Main St, Unit 1203"},
        {"street_address": "1255 Main St|UNIT 1203"},
        {"street_address": "Suite B 1255 Main St"},
        {"street_address": "1255 Main St, apt. 5"},
        {"street_address": "1255-1259 Main Street"},
        {"street_address": "1203 – 1255 Main St"},
        {"street_address": "UNIT 12 - 1255 MAIN ST"},
        {"street_address": "Suite 12A - 1255 Main St"},
        {"street_address": "Apt #5 - 1255 Main St"},
        {"street_address": "TH 3-1255 Main St"},
        {"street_address": "Floor 2 -1255 Main St"},
        {"street_address": "PH 4-5, 1255 Main St"},
        {"street_address": "Bureau 200 - 1255 rue Main"},
        {"street_address": "# 12, 1255 Main St"},
        {"street_address": "1255 Main St - Unit 12"},
        {"street_address": "1255 Main St, Unit 12 - 14"},
        {"street_address": "Bsmt 1255 Main St"},
        {"street_address": "Bsmt 2 1255 Main St"},
        {"street_address": "1255 Main St Bsmt"},
        {"street_address": "1255 MAIN ST|RR 2"},
        {"street_address": "1255 Main St, R.R. #2 Site 5"},
        {"street_address": "PO Box 5|1255 Main St"},
        {"street_address": "1255½ Main St"},
        {"street_address": "1255 1/2 Main St"},
        {"street_address": "12-1255½ Main St"},
        {"street_address": "12 1255½ Main St"},
        {"street_number": "1203-1255", "street_name": "Main", "street_suffix": "St"},
        {"street_number": "1255½", "street_name": "Main", "street_suffix": "St"},
        {"street_number": "1255-1/2", "street_name": "Main", "street_suffix": "St"},
        {"street_number": "UNIT 12 - 1255", "street_name": "Main", "street_suffix": "St"},
        {"street_number": "#12 1255", "street_name": "Main", "street_suffix": "St"},
        {"street_number": "1255 Unit 12", "street_name": "Main", "street_suffix": "St"},
        {"street_number": "1255", "street_name": "Main St Unit 12"},
        {"street_number": "1255", "street_name": "Main Unit 12", "street_suffix": "St"},
        {"street_number": "1255", "street_name": "Main St. - #12"},
        {"street_number": "1255", "street_name": "MAIN STREET"},
        {"street_number": "1255", "street_name": "Main St", "street_suffix": "St"},
        {"street_address": "1255 rue Main"},
        {"street_address": "1255 rue Main Street"},
    ],
    [
        {"street_address": "77 boul. René-Lévesque Ouest"},
        {"street_address": "77 Boulevard Rene Levesque O"},
        {"street_address": "77 René-Lévesque Blvd. W."},
        {
            "street_number": "77",
            "street_suffix": "Boul.",
            "street_name": "René-Lévesque",
            "street_dir_suffix": "Ouest",
        },
    ],
    [
        {"street_address": "4567 rue Saint-Denis, app. 5"},
        {"street_address": "4567 St-Denis Street"},
        {"street_address": "4567 St. Denis St"},
        {"street_address": "4567, rue St-Denis"},
    ],
    [
        {"street_address": "12 rue de la Montagne"},
        {"street_address": "12 rue Montagne"},
        {"street_number": "12", "street_name": "de la Montagne", "street_suffix": "Rue"},
    ],
    [
        {"street_address": "12 W 4th Ave"},
        {"street_address": "12 4TH AVENUE WEST"},
        {"street_address": "12 Fourth Ave W"},
        {"street_address": "12 West 4 Av"},
        {"street_number": "12", "street_dir_prefix": "W", "street_name": "4TH",
         "street_suffix": "AVENUE"},
    ],
    [
        {"street_address": "10234 100 Street NW"},
        {"street_address": "10234 100th St. North West"},
        {"street_address": "5 10234 100 ST NW", "unit_number": "5"},
        {"street_address": "10234 - 100 St NW"},
        {"street_address": "10234 - 100th St NW"},
        {"street_address": "UNIT 3 - 10234 - 100 St NW"},
    ],
    [{"street_address": "5 North Street"}, {"street_address": "5 NORTH ST"}],
    [{"street_address": "5 Avenue Road"}, {"street_address": "5 AVENUE RD"}],
    [{"street_address": "100 rue de l'Église"}, {"street_address": "100, Rue de l’eglise"}],
    [{"street_address": "200 Highway 7 East"}, {"street_address": "200 HWY 7 E"}],
    [
        {"street_address": "12 HIGHWAY #7"},
        {"street_address": "12 Hwy 7"},
        {"street_address": "12 Highway # 7"},
        {"street_address": "12 Highway 7 #5"},
        {"street_address": "UNIT 3 - 12 Highway #7"},
        {"street_number": "12", "street_name": "Highway #7"},
        {"street_number": "12", "street_name": "Highway 7 #5"},
    ],
    [{"street_address": "12 Highway #97"}],
    [{"street_address": "12 County Road #5"}, {"street_address": "12 County Road 5"}],
    [{"street_address": "12 Line #5"}, {"street_address": "12 Line 5"}],
    [{"street_address": "12 Maple Line #5"}, {"street_address": "12 Maple Line"}],
    [{"street_address": "12 1ère Avenue"}, {"street_address": "12 1re Avenue"}],
    [{"street_address": "5 - 100 St Clair Ave"}, {"street_address": "100 St. Clair Avenue"}],
    [{"street_address": "12-123 Main St"}, {"street_address": "12 - 123 Main St"}],
    [{"street_address": "12 RR 5"}, {"street_address": "12, RR 5"}],
]  # fmt: skip


@pytest.mark.parametrize("group", VARIANTS, ids=lambda group: str(group[0].values()))
def test_every_spelling_of_a_place_is_one(group: list[dict[str, Any]]) -> None:
    found = {normalize(**spelling, **HERE) for spelling in group}
    assert len(found) == 1, "\n".join(map(repr, found))
    assert len({address.hash for address in found}) == 1
    assert found.pop().number


def test_places_that_differ_differ() -> None:
    hashes = [normalize(**group[0], **HERE).hash for group in VARIANTS]
    for change in (
        {"street_address": "1256 Main Street"},
        {"street_address": "1255 Main Avenue"},
        {"street_address": "1255 Main Street W"},
        {"street_address": "1255 Maine Street"},
        {"street_address": "1255A Main Street"},
        {"street_address": "1255 Main Trwy"},
    ):
        hashes.append(normalize(**change, **HERE).hash)
    main = {"street_address": "1255 Main Street"}
    for other in ({"city": "Ottawa"}, {"state_or_province": "Quebec"}, {"postal_code": "M5V 1A2"}):
        hashes.append(normalize(**main, **{**HERE, **other}).hash)
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"city": "Montréal"}, {"city": "MONTREAL"}),
        ({"city": "Saint John"}, {"city": "St. John"}),
        ({"city": "Toronto (Annex)"}, {"city": "City of Toronto"}),
        ({"state_or_province": "Colombie-Britannique"}, {"state_or_province": "BC"}),
        ({"state_or_province": "Newfoundland & Labrador"}, {"state_or_province": "CA-NL"}),
        ({"postal_code": "v6b1a1"}, {"postal_code": "V6B 1A1"}),
        ({"postal_code": "not one"}, {"postal_code": None}),
    ],
)
def test_towns_provinces_and_codes(one: dict[str, str], other: dict[str, str]) -> None:
    assert normalize(**one) == normalize(**other)


def test_what_is_asked_is_what_was_written() -> None:
    address = normalize(
        street_address="1203 4567 rue Saint-Denis", unit_number="1203", city="Montréal (Plateau)",
        state_or_province="Québec", postal_code="h2j2l4",
    )  # fmt: skip
    assert address.text == "4567 rue Saint-Denis, Montréal, QC H2J 2L4, Canada"
    assert (address.line, address.town) == ("4567 rue Saint-Denis", "Montréal")
    assert normalize().text == "Canada"
    for unit in (
        {"street_address": "UNIT 12 - 123 Saint - Denis St"},
        {"street_address": "123 Saint-Denis St - Unit 12"},
        {"street_address": "123 Saint-Denis St - Bsmt"},
        {"street_address": "123 Saint-Denis St - #12"},
        {"street_number": "UNIT 12 - 123", "street_name": "Saint-Denis St - Unit 12"},
    ):
        assert normalize(**unit).line == "123 Saint-Denis St"
    assert normalize(street_address="UNIT 12 - Main St").line == "Main St"


_WORDS = st.sampled_from(
    [*sorted(STREET_TYPES), *sorted(DIRECTIONS), *sorted(TYPES_BEFORE), *sorted(UNITS),
     "Main", "de", "la", "l'Église", "d'Youville", "Saint-Denis", "4th", "First", "100", "1255A",
     "1203-1255", "#5", "-", "St.", "Mc Kay", "O'Connor", "1/2"]
)  # fmt: skip
_TEXTS = st.none() | st.lists(_WORDS, max_size=5).map(" ".join) | st.text(max_size=20)
_NAMES = (
    "street_number", "street_dir_prefix", "street_name", "street_suffix", "street_dir_suffix",
    "unit_number", "street_address", "city", "state_or_province", "postal_code",
)  # fmt: skip
_FIELDS = st.fixed_dictionaries({}, optional=dict.fromkeys(_NAMES, _TEXTS))


@given(_FIELDS)
def test_a_normalized_address_is_normal(fields: dict[str, str | None]) -> None:
    found = normalize(**fields)
    again = normalize(
        street_number=found.number,
        street_name=found.name,
        street_suffix=found.street_type,
        street_dir_suffix=found.direction,
        city=found.city,
        state_or_province=found.province,
        postal_code=found.postal_code,
    )
    if found.name:
        assert again == found
        assert again.hash == found.hash


@given(
    st.sampled_from(["Main", "Saint-Denis", "Mont-Royal", "4th", "O'Connor", "de la Montagne"]),
    st.sampled_from(sorted(set(STREET_TYPES.values()))),
    st.sampled_from(["", *sorted(set(DIRECTIONS.values()))]),
    st.integers(1, 999),
    st.integers(1, 9999),
    st.data(),
)
def test_any_spelling_of_type_direction_and_unit(
    name: str, street_type: str, direction: str, unit: int, number: int, data: st.DataObject
) -> None:
    def spelled(table: Any, meaning: str) -> str:
        words = sorted(word for word, known in table.items() if known == meaning)
        word = data.draw(st.sampled_from(words)) if words else ""
        return data.draw(st.sampled_from([word, word.upper(), word.title()]))

    plain = normalize(
        street_number=str(number), street_name=name, street_suffix=street_type,
        street_dir_suffix=direction, **HERE,
    )  # fmt: skip
    kind, way = spelled(STREET_TYPES, street_type), spelled(DIRECTIONS, direction)
    lines = [
        f"{unit}-{number} {name} {kind} {way}" if unit < 1000 else "",
        f"{number} {name} {kind} {way} unit {unit}",
        f"{number} {way} {name} {kind}",
        f"#{unit} {number} {name} {kind}. {way}",
    ]
    if kind.lower() in TYPES_BEFORE:
        lines.append(f"{number} {kind} {name} {way}")
    line = data.draw(st.sampled_from(lines))
    assert normalize(street_address=line, **HERE) == plain


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_the_hash_is_the_same_in_every_process() -> None:
    code = (
        "from rets_pipeline.geocoding.addresses import normalize\n"
        "print(normalize(street_address='1255 Main St', city='Toronto').hash)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == normalize(street_address="1255 Main St", city="Toronto").hash
    # With another value every address of every deployment is asked for again.
    assert told.stdout.startswith("2dba22805a7fe80538f104c0bb600f98")


def test_every_province_has_a_box_in_canada() -> None:
    assert set(NAMES.values()) == set(BOXES)
    for box in BOXES.values():
        assert CANADA.south <= box.south < box.north <= CANADA.north
        assert CANADA.west <= box.west < box.east <= CANADA.east
    assert province_code("Bavaria") is None
    assert province_code(None) is None
