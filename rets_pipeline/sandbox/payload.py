"""Listings, agents and offices as DDF's STANDARD-XML writes them.

What belongs here: names, order and quirks of elements. What does not: the envelope
(``search``), and facts (``listing``, ``people``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import TypeVar

from rets_pipeline.sandbox.clock import local_time, rfc1123, swapped, ticks, ticks_to_seconds
from rets_pipeline.sandbox.details import Fields
from rets_pipeline.sandbox.listing import Listing, OpenHouse, Photo
from rets_pipeline.sandbox.people import Agent, Office, Phone, Website
from rets_pipeline.sandbox.photos import logo_path, photo_path, portrait_path

_T = TypeVar("_T")
_BUILDING_FIRST = ("BathroomTotal", "BedroomsAboveGround", "BedroomsBelowGround", "BedroomsTotal")
#: DDF: what a listing tells of an office's address
_HEAD_OF_ADDRESS = ("StreetAddress", "AddressLine1", "City", "Province", "PostalCode")
_LAND_FIRST = ("SizeTotal", "SizeTotalText", "SizeFrontage")


def element(name: str, text: str | None) -> str:
    """An element with a text; "" gives an empty element, None nothing."""
    if text is None:
        return ""
    return f"<{name}>{escape(text, quote=False)}</{name}>" if text else f"<{name} />"


def property_details(listing: Listing, base_url: str) -> str:
    """One ``PropertyDetails``.

    Args:
        listing: its facts.
        base_url: scheme and host that photos are served from.
    """
    return (
        f'<PropertyDetails ID="{listing.key}" LastUpdated="{rfc1123(listing.updated)}">'
        + element("ListingID", listing.listing_id)
        + "".join(_agent_of_listing(agent, listing.updated, base_url) for agent in listing.agents)
        + element("Board", str(listing.place.board))
        + _container("Business", _fields(listing.business))
        + _container("Building", _building(listing))
        + _container("Land", _fields(listing.land, _LAND_FIRST))
        + _container("Address", _fields(listing.address, tuple(listing.address)))
        + _container("AlternateURL", _fields(listing.links), empty=False)
        + "".join(text for _, text in sorted(_rest(listing, base_url).items()))
        + element("MoreInformationLink", f"https://www.example.com/real-estate/{listing.key}/home")
        + "</PropertyDetails>"
    )


def agent_details(agent: Agent, base_url: str) -> str:
    """One ``AgentDetails`` of an Agent search: more than a listing tells of its agents."""
    office = agent.office
    return (
        f'<AgentDetails ID="{agent.agent_id}" LastUpdated="{rfc1123(agent.updated)}">'
        + element("Name", agent.name)
        + element("Position", agent.position)
        + _list("Websites", agent.websites, _website)
        + _list("Phones", agent.phones, _phone)
        + _office("Office", office, office.updated, base_url, _HEAD_OF_ADDRESS)
        + element("EducationCredentials", ", ".join(agent.education) or None)
        + _container("Photo", _portrait(agent, base_url), empty=False)
        # An agent works at the office's address.
        + _address(office.address, tuple(office.address))
        + _values("Specialties", "Specialty", agent.specialties)
        + _values("Designations", "Designation", agent.designations)
        + _values("Languages", "Language", agent.languages)
        + _values("TradingAreas", "TradingArea", agent.trading_areas)
        + "</AgentDetails>"
    )


def office_details(office: Office, base_url: str) -> str:
    """One ``OfficeDetails`` of an Office search; its times are the office's own."""
    names = tuple(office.address)
    return _office("OfficeDetails", office, office.updated, base_url, names)


def _rest(listing: Listing, base_url: str) -> dict[str, str]:
    """The children that follow in alphabetical order."""
    found = {name: element(name, text) for name, text in listing.details.items()}
    found["Lease"] = element("Lease", listing.lease)
    found["Price"] = element("Price", listing.price)
    found["PublicRemarks"] = element("PublicRemarks", listing.remarks)
    found["OpenHouse"] = _list("OpenHouse", listing.open_houses, _event)
    found["LiveStream"] = _list("LiveStream", listing.live_streams, _live_event)
    found["ParkingSpaces"] = _list("ParkingSpaces", listing.parking, _parking)
    photos = "".join(_photo(listing, photo, base_url) for photo in listing.photos)
    found["Photo"] = _container("Photo", photos, empty=False)
    # DDF: this container is there even when it has nothing in it.
    utilities = "".join(_container("Utility", _fields(u, tuple(u))) for u in listing.utilities)
    found["UtilitiesAvailable"] = _container("UtilitiesAvailable", utilities)
    return found


def _building(listing: Listing) -> str:
    fields = dict(listing.building)
    texts = {name: element(name, text) for name, text in fields.items()}
    rooms = "".join(_container("Room", _fields(room, tuple(room))) for room in listing.rooms)
    texts["Rooms"] = _container("Rooms", rooms, empty=False)
    first = [texts.pop(name, "") for name in _BUILDING_FIRST]
    return "".join(first) + "".join(text for _, text in sorted(texts.items()))


def _photo(listing: Listing, photo: Photo, base_url: str) -> str:
    seconds = ticks_to_seconds(photo.ticks)
    return (
        "<PropertyPhoto>"
        + element("SequenceId", str(photo.sequence))
        + element("Description", photo.description)
        # DDF: wrong at the source, day and month exchanged; the next one is right.
        + element("LastUpdated", rfc1123(swapped(seconds)))
        + element("PhotoLastUpdated", rfc1123(seconds))
        + element("ThumbnailURL", base_url + photo_path(listing, photo, "thumbnail"))
        + element("PhotoURL", base_url + photo_path(listing, photo, "medium"))
        + element("LargePhotoURL", base_url + photo_path(listing, photo, "large"))
        + "</PropertyPhoto>"
    )


def _event(event: OpenHouse) -> str:
    return _container(
        "Event",
        element("StartDateTime", local_time(event.start))
        + element("EndDateTime", local_time(event.end))
        + element("Comments", event.comments),
    )


def _live_event(event: OpenHouse) -> str:
    url = element("URL", "https://live.example.com/tour?room=1&lang=fr")
    return _event(event).removesuffix("</Event>") + url + "</Event>"


def _parking(parking: Fields) -> str:
    return _container("Parking", _fields(parking, tuple(parking)))


def _agent_of_listing(agent: Agent, listing_updated: int, base_url: str) -> str:
    photo = None if agent.photo_updated is None else rfc1123(agent.photo_updated)
    # DDF: an office's times in a listing follow the listing's, up to a minute off.
    office_updated = listing_updated - agent.office.office_id % 60
    return (
        f'<AgentDetails ID="{agent.agent_id}">'
        + element("Name", agent.name)
        + element("Position", agent.position)
        + _list("Websites", agent.websites, _website)
        # A listing gives one number of an agent.
        + _list("Phones", agent.phones[:1], _phone)
        + _office("Office", agent.office, office_updated, base_url, _HEAD_OF_ADDRESS)
        + _values("Designations", "Designation", agent.designations)
        + element("PhotoLastUpdated", photo)
        + "</AgentDetails>"
    )


def _portrait(agent: Agent, base_url: str) -> str:
    moment = agent.photo_updated
    if moment is None:
        return ""
    return (
        element("LastUpdated", rfc1123(moment))
        + element("ThumbnailURL", base_url + portrait_path(agent.agent_id, moment, "thumbnail"))
        + element("LargePhotoURL", base_url + portrait_path(agent.agent_id, moment, "large"))
    )


def _office(
    name: str, office: Office, updated: int, base_url: str, address: tuple[str, ...]
) -> str:
    moment = rfc1123(updated)
    logo = ""
    if office.logo is not None:
        url = base_url + logo_path(office.office_id, ticks(updated, office.office_id))
        logo = _container("Logo", element("ThumbnailURL", url) + element("LastUpdated", moment))
    return (
        f'<{name} ID="{office.office_id}" LastUpdated="{moment}">'
        + element("Name", office.name)
        + logo
        + element("LogoLastUpdated", moment if office.logo is not None else None)
        + element("OrganizationType", office.organization_type)
        + element("Designation", office.designation)
        + _address(office.address, address)
        + _list("Phones", office.phones, _phone)
        + _list("Websites", office.websites, _website)
        + element("Franchisor", office.franchisor)
        + f"</{name}>"
    )


def _address(address: Fields, names: tuple[str, ...]) -> str:
    return _container("Address", "".join(element(name, address[name]) for name in names))


def _phone(phone: Phone) -> str:
    return f'<Phone ContactType="Business" PhoneType="{phone.kind}">{phone.number}</Phone>'


def _website(website: Website) -> str:
    url = escape(website.url, quote=False)
    return f'<Website ContactType="Business" WebsiteType="{website.kind}">{url}</Website>'


def _values(name: str, child: str, values: Iterable[str]) -> str:
    return _container(name, "".join(element(child, value) for value in values), empty=False)


def _list(name: str, items: Iterable[_T], write: Callable[[_T], str]) -> str:
    return _container(name, "".join(map(write, items)), empty=False)


def _container(name: str, inside: str, *, empty: bool = True) -> str:
    """An element around others; when there are none, an empty one, or nothing at all."""
    if inside:
        return f"<{name}>{inside}</{name}>"
    return f"<{name} />" if empty else ""


def _fields(fields: Fields, first: tuple[str, ...] = ()) -> str:
    """Elements: the first ones in that order, the others by name."""
    texts = dict(fields)
    ordered = [(name, texts.pop(name, None)) for name in first]
    return "".join(element(name, text) for name, text in (*ordered, *sorted(texts.items())))
