"""Where listings stand: real Canadian cities with their forward sortation areas.

What belongs here: public facts of geography, and a board of our own invention for each city.
What does not: streets, which are invented, and people.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

#: Canada Post leaves D, F, I, O, Q and U out
_POSTAL_LETTERS = "ABCEGHJKLMNPRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Place:
    """A city.

    Attributes:
        index: its position in :data:`PLACES`.
        city: its name.
        province: in full, as DDF writes it.
        postal_areas: some of its forward sortation areas.
        latitude: of its middle, rough.
        longitude: likewise.
        area_code: of its telephones.
        french: whether people and texts there are mostly French.
    """

    index: int
    city: str
    province: str
    postal_areas: tuple[str, ...]
    latitude: float
    longitude: float
    area_code: str
    french: bool

    @property
    def board(self) -> int:
        """The number of its real estate board (invented)."""
        return 11 + self.index * 3


_QUEBEC = "Quebec"
_TABLE = (
    ("Vancouver", "British Columbia", "V5K V6B V6K", 49.2608, -123.1139, "604"),
    ("Toronto", "Ontario", "M2N M4C M5V M6H", 43.6711, -79.3962, "416"),
    ("Surrey", "British Columbia", "V3T V3W V4A", 49.1666, -122.8010, "604"),
    ("Ottawa", "Ontario", "K1P K1S K2A", 45.4056, -75.7050, "613"),
    ("Victoria", "British Columbia", "V8R V8V V9A", 48.4359, -123.3516, "250"),
    ("Hamilton", "Ontario", "L8P L8S L9C", 43.2387, -79.8881, "905"),
    ("Kelowna", "British Columbia", "V1W V1Y", 49.8801, -119.4436, "250"),
    ("London", "Ontario", "N5Y N6A N6G", 42.9836, -81.2497, "519"),
    ("Nanaimo", "British Columbia", "V9R V9S", 49.1659, -123.9401, "250"),
    ("Kingston", "Ontario", "K7L K7M", 44.2312, -76.5160, "613"),
    ("Calgary", "Alberta", "T2E T2P T3A", 51.0447, -114.0719, "403"),
    ("Thunder Bay", "Ontario", "P7B P7C", 48.3949, -89.2584, "807"),
    ("Edmonton", "Alberta", "T5J T5T T6E", 53.5344, -113.4903, "780"),
    ("Montréal", _QUEBEC, "H2T H2X H3B", 45.5217, -73.6127, "514"),
    ("Red Deer", "Alberta", "T4N T4P", 52.2681, -113.8112, "403"),
    ("Québec", _QUEBEC, "G1K G1R", 46.8139, -71.2480, "418"),
    ("Saskatoon", "Saskatchewan", "S7K S7N", 52.1332, -106.6600, "306"),
    ("Gatineau", _QUEBEC, "J8X J8Y", 45.4765, -75.7313, "819"),
    ("Regina", "Saskatchewan", "S4P S4S", 50.4452, -104.6069, "306"),
    ("Sherbrooke", _QUEBEC, "J1H J1L", 45.4042, -71.8929, "819"),
    ("Winnipeg", "Manitoba", "R2M R3C R3T", 49.8651, -97.1384, "204"),
    ("Moncton", "New Brunswick", "E1A E1C", 46.0978, -64.7882, "506"),
    ("Halifax", "Nova Scotia", "B3H B3J B3L", 44.6488, -63.5853, "902"),
    ("Fredericton", "New Brunswick", "E3A E3B", 45.9586, -66.6431, "506"),
    ("Charlottetown", "Prince Edward Island", "C1A C1E", 46.2403, -63.1347, "902"),
    ("Sydney", "Nova Scotia", "B1P B1S", 46.1391, -60.1903, "902"),
    ("St. John's", "Newfoundland & Labrador", "A1A A1B A1C", 47.5556, -52.7453, "709"),
    ("Trois-Rivières", _QUEBEC, "G8Y G9A", 46.3509, -72.5511, "819"),
    ("Whitehorse", "Yukon", "Y1A", 60.7212, -135.0568, "867"),
    ("Yellowknife", "Northwest Territories", "X1A", 62.4542, -114.3773, "867"),
)

PLACES: tuple[Place, ...] = tuple(
    Place(index, city, province, tuple(areas.split()), latitude, longitude, code, french)
    for index, (city, province, areas, latitude, longitude, code) in enumerate(_TABLE)
    for french in (province == _QUEBEC,)
)


def postal_code(place: Place, random: Random) -> str:
    """A postal code without a blank, as DDF writes it; its first half is the city's own."""
    letter = random.choice(_POSTAL_LETTERS)
    return (
        f"{random.choice(place.postal_areas)}{random.randrange(10)}{letter}{random.randrange(10)}"
    )


def coordinates(place: Place, random: Random) -> tuple[float, float]:
    """A latitude and a longitude within a few kilometres of the city's middle."""
    latitude = place.latitude + random.gauss(0, 0.02)
    return round(latitude, 7), round(place.longitude + random.gauss(0, 0.03), 7)
