"""The present state in plain words, for tests to compare with.

What belongs here: JSON of facts. Its words are ours, not DDF's, so that a test that compares
does not repeat DDF's reading. What does not: changing anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rets_pipeline.sandbox.clock import eastern_ticks, iso, ticks_to_seconds
from rets_pipeline.sandbox.details import Fields
from rets_pipeline.sandbox.listing import Listing, ListingState, Photo
from rets_pipeline.sandbox.people import Agent, AgentState, Office, OfficeState
from rets_pipeline.sandbox.photos import SIZES, Studio, photo_path, portrait_path
from rets_pipeline.sandbox.roster import Roster
from rets_pipeline.sandbox.world import Sandbox

#: DDF: an agent's photo comes in these
_PORTRAIT_SIZES = ("thumbnail", "large")


def truth(
    world: Sandbox, studio: Studio, states: Iterable[ListingState], now: int, sizes: Sequence[str]
) -> dict[str, Any]:
    """The truth about some listings.

    Args:
        world: that they belong to.
        studio: makes the images whose hashes are wanted.
        states: of the listings.
        now: the sandbox's time.
        sizes: thumbnail, medium, large: those whose hashes are wanted; each image is made.
    """
    return {
        "now": iso(now),
        "listings": {
            str(state.key): _listing(world.listing(state), studio, sizes) for state in states
        },
    }


def truth_of_people(
    roster: Roster,
    studio: Studio,
    agents: Iterable[AgentState],
    offices: Iterable[OfficeState],
    sizes: Sequence[str],
) -> dict[str, Any]:
    """The truth about some agents and offices, as a search for them tells it.

    A listing may tell otherwise: of its people as they were when it was last written. It may even
    name some who are gone.

    Args:
        roster: that they belong to.
        studio: makes the images whose hashes are wanted.
        agents: their states.
        offices: likewise.
        sizes: of photos whose hashes are wanted; with any of them also those of logos.
    """
    return {
        "agents": {str(state.key): _agent(roster.agent(state), studio, sizes) for state in agents},
        "offices": {
            str(state.key): _office(roster.office(state), studio, sizes) for state in offices
        },
    }


def _agent(agent: Agent, studio: Studio, sizes: Sequence[str]) -> dict[str, Any]:
    return {
        "last_updated": iso(agent.updated),
        "name": agent.name,
        "position": agent.position,
        "office": str(agent.office.office_id),
        "office_name": agent.office.name,
        "phones": [{"kind": phone.kind, "number": phone.number} for phone in agent.phones],
        "websites": [{"kind": site.kind, "url": site.url} for site in agent.websites],
        "education": list(agent.education),
        "designations": list(agent.designations),
        "languages": list(agent.languages),
        "specialties": list(agent.specialties),
        "trading_areas": list(agent.trading_areas),
        "photo": _portrait(agent, studio, sizes),
        "address": _address(agent.office.address),
    }


def _portrait(agent: Agent, studio: Studio, sizes: Sequence[str]) -> dict[str, Any] | None:
    key, moment = agent.agent_id, agent.photo_updated
    if moment is None:
        return None
    found: dict[str, Any] = {
        "last_updated": iso(moment),
        "paths": {size: portrait_path(key, moment, size) for size in _PORTRAIT_SIZES},
    }
    if sizes:
        found["sha256"] = {
            size: studio.portrait_hash(key, moment, size)
            for size in _PORTRAIT_SIZES
            if size in sizes
        }
    return found


def _office(office: Office, studio: Studio, sizes: Sequence[str]) -> dict[str, Any]:
    logo = None
    if sizes and office.logo is not None:
        logo = studio.logo_hash(office.office_id, office.logo)
    return {
        "last_updated": iso(office.updated),
        "name": office.name,
        "organization_type": office.organization_type,
        "designation": office.designation,
        "franchisor": office.franchisor,
        "phones": [{"kind": phone.kind, "number": phone.number} for phone in office.phones],
        "websites": [{"kind": site.kind, "url": site.url} for site in office.websites],
        "logo_version": office.logo,
        **({"logo_sha256": logo} if sizes else {}),
        "address": _address(office.address),
    }


def _address(address: Fields) -> dict[str, str | None]:
    """Our words for the parts of an address."""
    return {
        word: address[name]
        for name, word in {
            "StreetAddress": "street_address",
            "AddressLine1": "line_1",
            "AddressLine2": "line_2",
            "StreetNumber": "number",
            "StreetDirectionPrefix": "direction_before",
            "StreetName": "street",
            "StreetSuffix": "suffix",
            "StreetDirectionSuffix": "direction_after",
            "UnitNumber": "unit",
            "BoxNumber": "box",
            "City": "city",
            "Province": "province",
            "PostalCode": "postal_code",
            "Country": "country",
            "AdditionalStreetInfo": "more",
            "CommunityName": "community",
            "Neighbourhood": "neighbourhood",
            "Subdivision": "subdivision",
            "Latitude": "latitude",
            "Longitude": "longitude",
        }.items()
    }


def _listing(listing: Listing, studio: Studio, sizes: Sequence[str]) -> dict[str, Any]:
    address, building = listing.address, listing.building
    return {
        "last_updated": iso(listing.updated),
        "listing_id": listing.listing_id,
        "board": str(listing.place.board),
        "property_type": listing.details["PropertyType"],
        "transaction_type": listing.transaction_type,
        "price": listing.price,
        "lease": listing.lease,
        "street_address": address["StreetAddress"],
        "city": address["City"],
        "province": address["Province"],
        "postal_code": address["PostalCode"],
        "latitude": address["Latitude"],
        "longitude": address["Longitude"],
        "remarks": listing.remarks,
        "bedrooms": building.get("BedroomsTotal"),
        "bathrooms": building.get("BathroomTotal"),
        "rooms": len(listing.rooms),
        "parking": len(listing.parking),
        "agents": [str(agent.agent_id) for agent in listing.agents],
        "agent_names": [agent.name for agent in listing.agents],
        "offices": [str(agent.office.office_id) for agent in listing.agents],
        "office_names": [agent.office.name for agent in listing.agents],
        "open_houses": [
            {
                "start": event.start.isoformat(),
                "end": event.end.isoformat(),
                "comments": event.comments,
            }
            for event in listing.open_houses
        ],
        "photos": [_photo(listing, photo, studio, sizes) for photo in listing.photos],
    }


def _photo(listing: Listing, photo: Photo, studio: Studio, sizes: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "sequence": photo.sequence,
        "photo_id": photo.photo_id,
        "last_updated": iso(ticks_to_seconds(photo.ticks)),
        "ticks": eastern_ticks(photo.ticks),
        "paths": {size: photo_path(listing, photo, size) for size in SIZES},
    }
    if sizes:
        found["sha256"] = {
            size: studio.photo_hash(listing.key, photo.photo_id, photo.ticks, size)
            for size in sizes
        }
    return found
