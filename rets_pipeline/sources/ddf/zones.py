"""The time zone of a property, for the local times of its open houses.

What belongs here: province and coordinates → IANA name, and local time → UTC. What does not:
texts (``values``).

Most provinces and territories keep one time. In the others the coordinates decide, as long as they
name a zone that the province has; without coordinates, or with wrong ones, the zone where nearly
all of the province's people live.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import tzfpy

from rets_pipeline.geocoding.provinces import province_code

#: each province's or territory's zones, the main one first; a name without its ``America/``
_ZONES: Mapping[str, tuple[str, ...]] = {
    "AB": ("Edmonton",),
    "BC": ("Vancouver", "Edmonton", "Creston", "Dawson_Creek", "Fort_Nelson"),
    "MB": ("Winnipeg",),
    "NB": ("Moncton",),
    "NL": ("St_Johns", "Goose_Bay"),
    "NS": ("Halifax",),
    "NT": ("Edmonton",),
    "NU": ("Iqaluit", "Rankin_Inlet", "Cambridge_Bay", "Resolute", "Atikokan"),
    "ON": ("Toronto", "Winnipeg", "Atikokan"),
    "PE": ("Halifax",),
    "QC": ("Toronto", "Halifax", "Blanc-Sablon"),
    "SK": ("Regina", "Edmonton", "Winnipeg", "Swift_Current"),
    "YT": ("Whitehorse",),
}


def zone_name(
    province: str | None, latitude: Decimal | None, longitude: Decimal | None
) -> str | None:
    """The IANA name of a property's time zone.

    Args:
        province: in words, or as two letters.
        latitude: in degrees.
        longitude: in degrees.

    Returns:
        None when the province is not one of Canada's and the coordinates tell nothing.
    """
    zones = _ZONES.get(province_code(province) or "", ())
    if len(zones) == 1:
        return f"America/{zones[0]}"
    found = _at(latitude, longitude)
    if not zones or (found is not None and found.removeprefix("America/") in zones):
        return found
    return f"America/{zones[0]}"


def utc(moment: datetime, zone: str | None) -> datetime | None:
    """A local moment in UTC; one that occurs twice is the first, as clocks go back.

    Args:
        moment: without a zone, or with one that is then obeyed.
        zone: an IANA name.
    """
    if moment.tzinfo is None:
        place = _zone(zone) if zone is not None else None
        if place is None:
            return None
        moment = moment.replace(tzinfo=place)
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # at the ends of the calendar
        return None


def local(moment: datetime, zone: str | None) -> datetime | None:
    """A moment with a zone as the clocks of another show it, without one; others as they are."""
    if moment.tzinfo is None:
        return moment
    place = _zone(zone) if zone is not None else None
    if place is None:
        return None
    try:
        return moment.astimezone(place).replace(tzinfo=None)
    except OverflowError:
        return None


def _at(latitude: Decimal | None, longitude: Decimal | None) -> str | None:
    if latitude is None or longitude is None or not (latitude or longitude):
        return None  # 0, 0 is the sea, and what people enter who know nothing
    if abs(latitude) > 90:
        return None
    # The first call loads the map: a tenth of a second, and 30 MB.
    name = tzfpy.get_tz(float(longitude), float(latitude))
    return name if name and _zone(name) is not None else None


@cache
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return None
