"""Listings as DDF's STANDARD-XML writes them.

What belongs here: names, order and quirks of elements. What does not: the envelope (``search``),
people (``people_payload``), and facts (``listing``).

A few listings are written as DDF did in 2019: with scripts for statistics, with other spellings,
dates and addresses, and with all that is known of their agents.
"""

from __future__ import annotations

from rets_pipeline.sandbox.clock import (
    eastern_day_first,
    local_time,
    rfc1123,
    swapped,
    ticks_to_seconds,
)
from rets_pipeline.sandbox.details import Fields
from rets_pipeline.sandbox.elements import container, element, fields, several
from rets_pipeline.sandbox.listing import Listing, OpenHouse, Photo
from rets_pipeline.sandbox.people_payload import Manner, agent_of_listing
from rets_pipeline.sandbox.photos import photo_path

_BUILDING_FIRST = ("BathroomTotal", "BedroomsAboveGround", "BedroomsBelowGround", "BedroomsTotal")
_LAND_FIRST = ("SizeTotal", "SizeTotalText", "SizeFrontage")


def property_details(listing: Listing, base_url: str, *, photo_addresses: bool = True) -> str:
    """One ``PropertyDetails``.

    Args:
        listing: its facts.
        base_url: scheme and host that photos are served from.
        photo_addresses: name those of its photos.
    """
    updated, manner = listing.updated, Manner(base_url, listing.is_old)
    photo_url = base_url if photo_addresses else None
    return (
        f'<PropertyDetails ID="{listing.key}" LastUpdated="{rfc1123(updated)}">'
        + element("ListingID", listing.listing_id)
        + "".join(agent_of_listing(agent, updated, manner) for agent in listing.agents)
        + element("Board", str(listing.place.board))
        + container("Business", fields(listing.business))
        + container("Building", _building(listing))
        + container("Land", fields(listing.land, _LAND_FIRST))
        + container("Address", fields(listing.address, tuple(listing.address)))
        + container("AlternateURL", fields(listing.links), empty=False)
        + "".join(text for _, text in sorted(_rest(listing, photo_url).items()))
        + element("MoreInformationLink", _page(listing))
        + "</PropertyDetails>"
    )


def _page(listing: Listing) -> str:
    if listing.is_old:
        return f"https://www.example.com/PropertyDetails.aspx?PropertyId={listing.key}"
    return f"https://www.example.com/real-estate/{listing.key}/home"


def _rest(listing: Listing, photo_url: str | None) -> dict[str, str]:
    """The children that follow in alphabetical order."""
    found = {name: element(name, text) for name, text in listing.details.items()}
    found["Lease"] = element("Lease", listing.lease)
    found["Price"] = element("Price", listing.price)
    found["PublicRemarks"] = element("PublicRemarks", listing.remarks)
    found["OpenHouse"] = several("OpenHouse", listing.open_houses, _event)
    found["LiveStream"] = several("LiveStream", listing.live_streams, _live_event)
    found["ParkingSpaces"] = several("ParkingSpaces", listing.parking, _parking)
    photos = "".join(_photo(listing, photo, photo_url) for photo in listing.photos)
    found["Photo"] = container("Photo", photos, empty=False)
    # DDF: this container is there even when it has nothing in it.
    utilities = "".join(container("Utility", fields(u, tuple(u))) for u in listing.utilities)
    found["UtilitiesAvailable"] = container("UtilitiesAvailable", utilities)
    if listing.is_old:
        found["AnalyticsClick"] = element("AnalyticsClick", _script(listing.key, "click"))
        found["AnalyticsView"] = element("AnalyticsView", _script(listing.key, "view"))
        # CREA's table and its server do not agree on how to spell this one.
        found["MunicipalId"] = element("MunicipalID", listing.details["MunicipalId"])
    return found


def _script(key: int, event: str) -> str:
    """DDF: a script in a CDATA section that was escaped as if it were text."""
    return (
        "<![CDATA[<script>new Image().src="
        f'"https://analytics.example.com/log?id={key}&event={event}";</script>]]>'
    )


def _building(listing: Listing) -> str:
    texts = {name: element(name, text) for name, text in listing.building.items()}
    texts["Rooms"] = several("Rooms", listing.rooms, _room)
    first = [texts.pop(name, "") for name in _BUILDING_FIRST]
    return "".join(first) + "".join(text for _, text in sorted(texts.items()))


def _room(room: Fields) -> str:
    return container("Room", fields(room, tuple(room)))


def _photo(listing: Listing, photo: Photo, base_url: str | None) -> str:
    seconds, is_old = ticks_to_seconds(photo.ticks), listing.is_old
    sizes = {"ThumbnailURL": "thumbnail", "PhotoURL": "medium", "LargePhotoURL": "large"}
    urls = (
        ""
        if base_url is None
        else "".join(
            element(name, base_url + photo_path(listing, photo, size))
            for name, size in sizes.items()
        )
    )
    return (
        "<PropertyPhoto>"
        + element("SequenceID" if is_old else "SequenceId", str(photo.sequence))
        + element("Description", photo.description)
        # DDF: wrong at the source, day and month exchanged; the next one is right.
        + element("LastUpdated", (eastern_day_first if is_old else _swapped)(seconds))
        + element("PhotoLastUpdated", rfc1123(seconds))
        + urls
        + "</PropertyPhoto>"
    )


def _swapped(seconds: int) -> str:
    return rfc1123(swapped(seconds))


def _event(event: OpenHouse) -> str:
    return container("Event", _event_fields(event))


def _live_event(event: OpenHouse) -> str:
    url = element("URL", "https://live.example.com/tour?room=1&lang=fr")
    return container("Event", _event_fields(event) + url)


def _event_fields(event: OpenHouse) -> str:
    return (
        element("StartDateTime", local_time(event.start))
        + element("EndDateTime", local_time(event.end))
        + element("Comments", event.comments)
    )


def _parking(parking: Fields) -> str:
    return container("Parking", fields(parking, tuple(parking)))
