"""Whether coordinates can belong to an address.

What belongs here: the checks that every answer passes, those of the payload too. What does not:
how near to the house an answer is.
"""

from __future__ import annotations

import math

from rets_pipeline.geocoding import postal_areas
from rets_pipeline.geocoding.addresses import Address
from rets_pipeline.geocoding.provinces import BOXES, CANADA
from rets_pipeline.settings import AddressSettings

_FROM_THE_MIDDLE = "km from the middle of the postal area"


def objection(
    latitude: float,
    longitude: float,
    address: Address,
    settings: AddressSettings,
    *,
    province: str | None = None,
) -> str | None:
    """Why a point cannot be where the address is.

    Args:
        latitude: in degrees.
        longitude: in degrees.
        settings: how far it may lie from the middle of the postal area.
        province: where the provider says that it lies: two letters, or ``""`` outside Canada.

    Returns:
        None when nothing speaks against it.
    """
    if not (math.isfinite(latitude) and math.isfinite(longitude)):
        return "no number"
    box = BOXES.get(address.province, CANADA)
    if not box.holds(latitude, longitude):
        return f"outside {address.province or 'Canada'}"
    if province is not None and province != (address.province or province or None):
        return f"in {province or 'another country'}, not in {address.province or 'Canada'}"
    return _too_far(latitude, longitude, address, settings)


def is_for_distance(reason: str | None) -> bool:
    """Whether an objection is to the distance alone, which depends on settings."""
    return bool(reason and _FROM_THE_MIDDLE in reason)


def _too_far(
    latitude: float, longitude: float, address: Address, settings: AddressSettings
) -> str | None:
    middle = postal_areas.area(address.postal_code)
    # A postal code of another province is wrong itself, and says nothing.
    if middle is None or (address.province and middle.province != address.province):
        return None
    rural = postal_areas.is_rural(address.postal_code)
    limit = settings.rural_kilometres if rural else settings.kilometres
    away = postal_areas.kilometres((latitude, longitude), (middle.latitude, middle.longitude))
    if away <= limit:
        return None
    return f"{away:,.0f} {_FROM_THE_MIDDLE} {address.postal_area}"
