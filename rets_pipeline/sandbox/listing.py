"""One listing: the little that is kept of it, and everything that follows from that.

What belongs here: the state that ages, and the plain facts made from (seed, key, versions) each
time they are needed. What does not: XML (``payload``), how a state changes (``changes``), and
images (``photos``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

from rets_pipeline.sandbox import lookups
from rets_pipeline.sandbox.chance import chance
from rets_pipeline.sandbox.clock import DAY, TICKS_PER_SECOND, ticks
from rets_pipeline.sandbox.details import (
    Fields,
    building_fields,
    business_fields,
    land_fields,
    link_fields,
    root_fields,
)
from rets_pipeline.sandbox.people import Agent, street
from rets_pipeline.sandbox.places import PLACES, Place, coordinates, postal_code
from rets_pipeline.sandbox.remarks import remarks
from rets_pipeline.sandbox.roster import Roster

#: the order in which a listing's TransactionType goes round when its status changes
_TRANSACTIONS = ("For sale", "For lease", "For sale or rent", "For rent")
#: MLS numbers are the keys, mixed: this pair is the inverse of each other modulo 10 ** 8
_MIX = 61_803_399
_UNMIX = pow(_MIX, -1, 10**8)
#: every so many keys one is written in the old way
_OLD = 25
#: every so many keys two neighbours share one MLS number, on different boards
_TWINS = 97


class PhotoState(NamedTuple):
    """One photo: its identity within the listing, and its time in UTC .NET ticks.

    New bytes come with new ticks, and only with them.
    """

    photo_id: int
    ticks: int


class ListingState(NamedTuple):
    """What is kept of a listing.

    Attributes:
        key: DDF's ID.
        updated: LastUpdated, seconds since 1970.
        born: when it first appeared.
        price_version: how often the price changed; the others likewise.
        remarks_version: see there.
        status_version: see there.
        open_house_version: see there.
        open_houses_from: the time that open houses follow.
        photos: in order; None as long as they are those that it was born with.
        people_at: it tells of its agents and their offices as they were then.
    """

    key: int
    updated: int
    born: int
    price_version: int = 0
    remarks_version: int = 0
    status_version: int = 0
    open_house_version: int = 0
    open_houses_from: int = 0
    photos: tuple[PhotoState, ...] | None = None
    people_at: int = 0


@dataclass(frozen=True, slots=True)
class OpenHouse:
    """An open house; times are the city's own, without a zone."""

    start: datetime
    end: datetime
    comments: str | None


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo in its place."""

    sequence: int
    photo_id: int
    ticks: int
    description: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """All facts of a listing, as plain values; ``None`` in fields is an absent element.

    Attributes:
        is_old: the board's software is of 2019, and DDF writes its listings as it did then.
    """

    key: int
    updated: int
    listing_id: str
    place: Place
    transaction_type: str
    price: str | None
    lease: str | None
    remarks: str
    address: Fields
    business: Fields
    building: Fields
    rooms: tuple[Fields, ...]
    land: Fields
    links: Fields
    details: Fields
    parking: tuple[Fields, ...]
    utilities: tuple[Fields, ...]
    agents: tuple[Agent, ...]
    open_houses: tuple[OpenHouse, ...]
    live_streams: tuple[OpenHouse, ...]
    photos: tuple[Photo, ...]
    is_old: bool


def describe(seed: int, state: ListingState, roster: Roster, max_photos: int) -> Listing:
    """Everything about a listing.

    Args:
        seed: of the world.
        state: what is kept of it.
        roster: the people.
        max_photos: the largest number of photos that a listing is born with.
    """
    key = state.key
    place = place_of(seed, key)
    random = chance(seed, key, "details")
    property_type = _property_type(random)
    transaction = _transaction(seed, state)
    sale, rent = prices(seed, state)
    text = remarks(
        chance(seed, key, "remarks", state.remarks_version), place.french, state.remarks_version
    )
    return Listing(
        key=key,
        updated=state.updated,
        listing_id=listing_id(key),
        place=place,
        transaction_type=transaction,
        price=sale if "sale" in transaction else None,
        lease=rent if transaction != "For sale" else None,
        remarks=text,
        address=_address(chance(seed, key, "address"), place),
        business=business_fields(random, property_type),
        building=building_fields(random, property_type),
        rooms=_rooms(chance(seed, key, "rooms"), property_type),
        land=land_fields(random),
        links=link_fields(random, key),
        details={
            **root_fields(random, property_type, state.born),
            **_lease_terms(key, transaction),
            "PropertyType": property_type,
            "TransactionType": transaction,
        },
        parking=_parking(random),
        utilities=_utilities(random),
        agents=tuple(
            roster.agent_at(agent_id, state.people_at)
            for agent_id in roster.pick_agents(place, chance(seed, key, "agents"), state.born)
        ),
        open_houses=_open_houses(seed, state),
        live_streams=_live_streams(random, state.born),
        photos=photos(seed, state, max_photos),
        is_old=key % _OLD == 5,
    )


def listing_id(key: int) -> str:
    """The board's MLS number: text, and not unique across boards."""
    number = (key - 1 if _is_second_twin(key) else key) * _MIX % 10**8
    if key % _TWINS in (0, 1):
        return f"{number:08}"
    return f"{'RXCE'[key % 4]}{number:08}" if key % 3 else f"{number:08}"


def keys_of_listing_id(text: str) -> tuple[int, ...]:
    """The keys, below 10 ** 8, that an MLS number may belong to; their boards differ."""
    digits = text[-8:]
    if not (digits.isascii() and digits.isdigit()):
        return ()
    key = int(digits) * _UNMIX % 10**8
    return tuple(k for k in (key, key + 1) if listing_id(k) == text)


def place_of(seed: int, key: int) -> Place:
    """The city of a listing. Neighbouring keys have different ones, and so different boards."""
    half = len(PLACES) // 2
    return PLACES[2 * chance(seed, key, "place").randrange(half) + key % 2]


def photo_states(seed: int, state: ListingState, max_photos: int) -> tuple[PhotoState, ...]:
    """The photos of a listing in order."""
    if state.photos is not None:
        return state.photos
    random = chance(seed, state.key, "photos")
    moment = ticks(state.born - random.randint(600, 2 * DAY), random.randrange(TICKS_PER_SECOND))
    found = []
    for photo_id in range(1, random.randint(1, max_photos) + 1):
        found.append(PhotoState(photo_id, moment))
        # A quarter follow so fast that only the fraction of the second differs, or barely more.
        fast = random.random() < 0.25
        moment += random.randint(1, 900_000) if fast else random.randint(1, 40) * TICKS_PER_SECOND
    return tuple(found)


def photos(seed: int, state: ListingState, max_photos: int) -> tuple[Photo, ...]:
    """The photos of a listing with their SequenceIds: from 1, sorted, mostly without gaps."""
    gap = 1 if state.key % 20 == 7 else 0
    return tuple(
        Photo(
            sequence=index + 1 + (gap if index else 0),
            photo_id=photo.photo_id,
            ticks=photo.ticks,
            description="Vue de l'entrée & jardin"
            if (state.key + photo.photo_id) % 60 == 0
            else None,
        )
        for index, photo in enumerate(photo_states(seed, state, max_photos))
    )


def prices(seed: int, state: ListingState) -> tuple[str, str]:
    """The price and the monthly rent; every version differs from the one before."""
    random = chance(seed, state.key, "price")
    price = 100 * round(min(9e6, max(9e4, random.lognormvariate(13.3, 0.5))) / 100)
    for _ in range(state.price_version):
        step = max(1_000, 100 * round(price * random.uniform(0.01, 0.05) / 100))
        price += step if price < 100_000 or random.random() < 0.2 else -step
    return f"{price}.00", f"{price / 240:.2f}"


def _is_second_twin(key: int) -> bool:
    return key % _TWINS == 1


def _property_type(random: Random) -> str:
    if random.random() < 0.8:
        return "Single Family"
    return random.choice([t for t in lookups.PROPERTY["PropertyType"] if t != "Single Family"])


def _transaction(seed: int, state: ListingState) -> str:
    first = chance(seed, state.key, "transaction").choices(range(4), weights=(86, 6, 2, 6))[0]
    return _TRANSACTIONS[(first + state.status_version) % 4]


def _lease_terms(key: int, transaction: str) -> dict[str, str | None]:
    if transaction == "For sale":
        return {}
    commercial = transaction == "For lease"
    return {
        "LeasePerTime": "Monthly",
        "LeasePerUnit": "square feet" if commercial else None,
        "LeaseType": lookups.PROPERTY["LeaseType"][key % 4] if commercial else None,
        "LeaseTermRemaining": "36" if commercial and key % 2 == 0 else None,
        "LeaseTermRemainingFreq": "Monthly" if commercial and key % 2 == 0 else None,
    }


def _address(random: Random, place: Place) -> Fields:
    name, suffix = street(place, random)
    number = str(random.randint(1, 19_999))
    unit = str(random.randint(1, 3200)) if random.random() < 0.4 else None
    prefix = random.choice("NSEW") if random.random() < 0.16 else None
    direction = random.choice("NSEW") if random.random() < 0.04 else None
    order = (number, suffix, name) if place.french else (number, prefix, name, suffix, direction)
    line = " ".join(part for part in order if part)
    # DDF: `|` separates lines. It is rare, and only there when a second line exists.
    piped = unit is not None and random.random() < 0.1
    whole = f"{line}|UNIT {unit}" if piped else " ".join(part for part in (unit, line) if part)
    located = random.random() < 0.92
    latitude, longitude = coordinates(place, random)
    return {
        "StreetAddress": whole,
        "AddressLine1": line if piped else whole,
        "AddressLine2": f"UNIT {unit}" if piped else None,
        "StreetNumber": number,
        "StreetDirectionPrefix": None if place.french else prefix,
        "StreetName": name,
        "StreetSuffix": suffix,
        "StreetDirectionSuffix": None if place.french else direction,
        "UnitNumber": unit,
        "BoxNumber": f"Box {number}" if random.random() < 0.03 else None,
        "City": place.city,
        "Province": place.province,
        "PostalCode": postal_code(place, random),
        "Country": "Canada",
        "AdditionalStreetInfo": "Corner lot" if random.random() < 0.03 else None,
        "CommunityName": f"{name.title()} Heights" if random.random() < 0.1 else None,
        "Neighbourhood": f"{name.title()} Park" if random.random() < 0.1 else None,
        "Subdivision": f"{place.city} / Nord-Est" if random.random() < 0.05 else None,
        "Latitude": str(latitude) if located else None,
        "Longitude": str(longitude) if located else None,
    }


def _rooms(random: Random, property_type: str) -> tuple[Fields, ...]:
    if property_type == "Vacant Land" or random.random() < 0.5:
        return ()
    # DDF: width and length stand empty, but for a few boards.
    measured = random.random() < 0.08
    return tuple(_room(random, measured) for _ in range(random.randint(2, 16)))


def _room(random: Random, measured: bool) -> Fields:
    feet = [random.randint(4, 24) for _ in range(2)]
    inches = [random.randint(0, 11) for _ in range(2)]
    size = " x ".join(f"{f}'{i}''" for f, i in zip(feet, inches, strict=True))
    metric = [f"{f * 0.3048:.2f} m" for f in feet]
    sides = [f"{f} ft ,{i} in" for f, i in zip(feet, inches, strict=True)]
    width, length = (metric if feet[0] % 2 else sides) if measured else ("", "")
    return {
        "Type": lookups.one(random, "RoomType"),
        "Width": width,
        "Level": lookups.one(random, "RoomLevel"),
        "Length": length,
        "Description": "Open to below" if random.random() < 0.03 else None,
        "Dimension": random.choice(
            (size, size, " x ".join(metric), "4-Piece", "Measurements not available")
        ),
    }


def _parking(random: Random) -> tuple[Fields, ...]:
    if random.random() < 0.12:
        return ()
    names = random.sample(lookups.PROPERTY["ParkingType"], random.choice((1, 1, 1, 2, 3)))
    return tuple(
        {"Name": name, "Spaces": str(random.randint(1, 4)) if random.random() < 0.32 else None}
        for name in names
    )


def _utilities(random: Random) -> tuple[Fields, ...]:
    if random.random() < 0.9:
        return ()
    names = random.sample(lookups.PROPERTY["UtilityType"], random.randint(1, 4))
    return tuple(
        {"Type": name, "Description": random.choice(("Available", "Not available", "At lot line"))}
        for name in names
    )


def _open_houses(seed: int, state: ListingState) -> tuple[OpenHouse, ...]:
    version = state.open_house_version
    random = chance(seed, state.key, "open house", version)
    # Every fifth change takes all open houses away; two versions in a row always differ.
    if version % 5 == 0 and (version or random.random() < 0.4):
        return ()
    day = _midnight(state.open_houses_from or state.born)
    found = []
    for number in range(random.choice((1, 1, 2, 3))):
        minute = 15 * (version % 4)
        start = day + timedelta(
            days=1 + number * 3 + random.randrange(3), hours=random.choice((10, 11, 13, 14, 18))
        )
        start += timedelta(minutes=minute)
        comments = "Entrée par l'arrière & café" if random.random() < 0.07 else None
        found.append(OpenHouse(start, start + timedelta(hours=random.choice((1, 2))), comments))
    return tuple(found)


def _live_streams(random: Random, born: int) -> tuple[OpenHouse, ...]:
    if random.random() < 0.96:
        return ()
    start = _midnight(born) + timedelta(days=2, hours=19)
    return (OpenHouse(start, start + timedelta(hours=1), "Online tour"),)


def _midnight(seconds: int) -> datetime:
    moment = datetime.fromtimestamp(seconds, UTC)
    return datetime(moment.year, moment.month, moment.day)
