"""Canada's provinces and territories: what they are called, and where they lie.

What belongs here: names in both languages, two-letter codes, and boxes that hold each of them. What
does not: cities and postal codes (``postal_areas``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from rets_pipeline.geocoding.words import fold


class Box(NamedTuple):
    """Degrees of latitude and longitude, with the ends."""

    south: float
    north: float
    west: float
    east: float

    def holds(self, latitude: float, longitude: float) -> bool:
        """Whether a point lies in it."""
        return self.south <= latitude <= self.north and self.west <= longitude <= self.east


#: all of Canada
CANADA = Box(41.6, 83.2, -141.1, -52.5)

#: by code. Widened to a tenth of a degree: a box refuses what is certainly elsewhere, no more.
BOXES: Mapping[str, Box] = {
    "AB": Box(48.9, 60.1, -120.1, -109.9),
    "BC": Box(48.2, 60.1, -139.1, -114.0),
    "MB": Box(48.9, 60.1, -102.1, -88.9),
    "NB": Box(44.5, 48.2, -69.2, -63.7),
    "NL": Box(46.5, 60.5, -67.9, -52.5),
    "NS": Box(43.3, 47.2, -66.5, -59.6),
    "NT": Box(59.9, 78.9, -136.6, -101.9),
    "NU": Box(51.6, 83.2, -120.8, -61.0),
    "ON": Box(41.6, 57.0, -95.3, -74.2),
    "PE": Box(45.9, 47.2, -64.5, -61.9),
    "QC": Box(44.9, 62.7, -79.9, -57.0),
    "SK": Box(48.9, 60.1, -110.1, -101.3),
    "YT": Box(59.9, 69.8, -141.1, -123.7),
}

#: DDF writes full names, in the language of the search; geocoders write either, or the code
NAMES: Mapping[str, str] = {
    "alberta": "AB",
    "british columbia": "BC",
    "colombie britannique": "BC",
    "manitoba": "MB",
    "new brunswick": "NB",
    "nouveau brunswick": "NB",
    "newfoundland": "NL",
    "newfoundland labrador": "NL",
    "newfoundland and labrador": "NL",
    "terre neuve et labrador": "NL",
    "nova scotia": "NS",
    "nouvelle ecosse": "NS",
    "northwest territories": "NT",
    "northwest territory": "NT",
    "territoires du nord ouest": "NT",
    "nunavut": "NU",
    "nunavut territory": "NU",
    "ontario": "ON",
    "prince edward island": "PE",
    "ile du prince edouard": "PE",
    "quebec": "QC",
    "saskatchewan": "SK",
    "yukon": "YT",
    "yukon territory": "YT",
    **{code.lower(): code for code in BOXES},
}


@lru_cache(maxsize=1_000)
def province_code(text: str | None) -> str | None:
    """The two letters of a province or territory.

    Args:
        text: its name in English or French, or the letters, also as ISO 3166-2 (``CA-BC``);
            OpenStreetMap writes both names of some: ``New Brunswick / Nouveau-Brunswick``.

    Returns:
        None: it is not one of Canada's.
    """
    whole = _code(text or "")
    codes = (
        {whole} if whole else {code for part in (text or "").split("/") if (code := _code(part))}
    )
    return codes.pop() if len(codes) == 1 else None


def _code(name: str) -> str | None:
    return NAMES.get(fold(name).removeprefix("ca "))
