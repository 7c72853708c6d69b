"""Agents and offices that nobody has: the little that is kept of them, and all that follows.

What belongs here: the states that age, and the plain facts made from (seed, key, versions) each
time they are needed; Faker makes the names. What does not: who exists (``roster``), how a state
changes (``people_changes``), and how DDF writes a person (``people_payload``).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from random import Random
from threading import Lock
from typing import NamedTuple

from faker import Faker

from rets_pipeline.sandbox import lookups
from rets_pipeline.sandbox.chance import chance
from rets_pipeline.sandbox.clock import DAY
from rets_pipeline.sandbox.details import Fields
from rets_pipeline.sandbox.places import PLACES, Place, coordinates, postal_code

FIRST_AGENT = 1_400_001
FIRST_OFFICE = 50_001
_POSITIONS = (
    *("Salesperson", "Broker", "Personal Real Estate Corporation", "Broker of Record"),
    *("REALTOR®", "Sales Representative"),
)
_POSITIONS_FRENCH = ("Courtière immobilière", "Courtier immobilier agréé", "Courtière")
_FIRMS = ("Realty", "Homes & Land", "Real Estate Services", "Realty Group Ltd.", "Properties Inc.")
_FIRMS_FRENCH = ("Immobilier", "Courtage immobilier", "Propriétés & Cie", "Agence immobilière")
_SUFFIXES = (
    *("STREET", "AVENUE", "ROAD", "DRIVE", "CRESCENT", "COURT", "LANE"),
    *("Place", "Boulevard", "Way"),
)
_OFFICE_DESIGNATIONS = (None, *lookups.OFFICE["OrganizationDesignations"][:2])
_EDUCATION = ("B.Comm.", "MBA", "B.A. (Hons)", "LL.B.", "Diploma in Urban Land Economics")
_FAKERS = {False: Faker("en_CA"), True: Faker("fr_CA")}
#: a Faker is one generator for everybody: seeding it and drawing from it must not be interrupted
_LOCK = Lock()


class AgentState(NamedTuple):
    """What is kept of an agent.

    Attributes:
        key: DDF's ID.
        updated: LastUpdated, seconds since 1970.
        written: the moment of the latest change, whatever LastUpdated says.
        office: whose agent it is.
        phones: how often they changed; the others likewise.
        websites: see there.
        designations: see there.
        photo: when its photo was replaced; 0 = it is the first, or none.
    """

    key: int
    updated: int
    written: int
    office: int
    phones: int = 0
    websites: int = 0
    designations: int = 0
    photo: int = 0


class OfficeState(NamedTuple):
    """What is kept of an office; as :class:`AgentState`.

    Attributes:
        key: DDF's ID.
        updated: LastUpdated.
        written: the moment of the latest change.
        name: how often it changed; the others likewise.
        address: see there.
        phones: see there.
        websites: see there.
        designation: see there.
        logo: see there.
        logo_at: when it was replaced; 0 = it is the first, or none.
    """

    key: int
    updated: int
    written: int
    name: int = 0
    address: int = 0
    phones: int = 0
    websites: int = 0
    designation: int = 0
    logo: int = 0
    logo_at: int = 0


@dataclass(frozen=True, slots=True)
class Phone:
    """A telephone; the numbers 555-01xx are reserved for invention."""

    kind: str
    number: str


@dataclass(frozen=True, slots=True)
class Website:
    """An address on the web, always below ``example.com``."""

    kind: str
    url: str


@dataclass(frozen=True, slots=True)
class Office:
    """A brokerage.

    Attributes:
        logo: its version; None = it has no logo.
        logo_updated: when it was made; seconds since 1970.
    """

    office_id: int
    name: str
    place: Place
    address: Fields
    phones: tuple[Phone, ...]
    websites: tuple[Website, ...]
    organization_type: str
    designation: str | None
    franchisor: str | None
    logo: int | None
    logo_updated: int
    updated: int


@dataclass(frozen=True, slots=True)
class Agent:
    """A person who sells.

    Attributes:
        photo_updated: seconds since 1970; None = there is no photo.
    """

    agent_id: int
    name: str
    position: str | None
    place: Place
    office: Office
    phones: tuple[Phone, ...]
    websites: tuple[Website, ...]
    education: tuple[str, ...]
    designations: tuple[str, ...]
    languages: tuple[str, ...]
    specialties: tuple[str, ...]
    trading_areas: tuple[str, ...]
    photo_updated: int | None
    updated: int


def place_of_agent(key: int) -> Place:
    """The city of an agent."""
    return PLACES[(key - FIRST_AGENT) % len(PLACES)]


def place_of_office(key: int) -> Place:
    """The city of an office."""
    return PLACES[(key - FIRST_OFFICE) % len(PLACES)]


def describe_agent(seed: int, state: AgentState, office: Office, born: int) -> Agent:
    """Everything about an agent.

    Args:
        seed: of the world.
        state: what is kept of it.
        office: its office.
        born: the LastUpdated that it appeared with.
    """
    random = chance(seed, "agent", state.key)
    place = place_of_agent(state.key)
    name = _name(place, f"{seed}:agent:{state.key}")
    areas = random.sample([area.city for area in PLACES], 2)
    photographed = random.random() < 0.78
    return Agent(
        agent_id=state.key,
        name=name,
        position=random.choice(_positions(place)) if random.random() < 0.65 else None,
        place=place,
        office=office,
        phones=_agent_phones(random, place, state.phones),
        websites=_agent_websites(random, name, state.websites),
        education=_some(random, _EDUCATION, 0.3),
        languages=_some(random, lookups.AGENT["Languages"], 0.5),
        specialties=_some(random, lookups.AGENT["Specialties"], 0.4),
        designations=_designations(random, state.designations),
        trading_areas=tuple(areas) if random.random() < 0.4 else (),
        photo_updated=state.photo or (born - DAY if photographed else None),
        updated=state.updated,
    )


def describe_office(seed: int, state: OfficeState, born: int) -> Office:
    """Everything about an office.

    Args:
        seed: of the world.
        state: what is kept of it.
        born: the LastUpdated that it appeared with.
    """
    random = chance(seed, "office", state.key)
    place = place_of_office(state.key)
    owner = _last_name(place, f"{seed}:office:{state.key}")
    firms = _FIRMS_FRENCH if place.french else _FIRMS
    name = f"{owner} {firms[(random.randrange(len(firms)) + state.name) % len(firms)]}"
    franchised = random.random() < 0.43
    designation = random.choices(range(3), weights=(4, 1, 1))[0] + state.designation
    kinds = ["Telephone", *random.sample(["Fax", "Toll Free"], random.randrange(3))]
    return Office(
        office_id=state.key,
        name=name,
        place=place,
        address=_office_address(random, place, owner, state.address),
        phones=tuple(_phone(random, place, kind, state.phones) for kind in kinds),
        websites=_office_websites(random, name, state.websites),
        organization_type=random.choice(lookups.OFFICE["OrganizationType"]),
        designation=_OFFICE_DESIGNATIONS[designation % 3],
        franchisor=random.choice(lookups.OFFICE["Franchisor"]) if franchised else None,
        logo=state.logo if random.random() < 0.53 or state.logo else None,
        logo_updated=state.logo_at or born - DAY,
        updated=state.updated,
    )


def street(place: Place, random: Random) -> tuple[str, str]:
    """The name and the suffix of a street."""
    name = _last_name(place, str(random.random()))
    if place.french:
        return name, random.choice(("Rue", "Av.", "Boul.", "Ch."))
    return name.upper() if random.random() < 0.7 else name, random.choice(_SUFFIXES)


def _name(place: Place, seed: str) -> str:
    with _LOCK:
        faker = _seeded(place, seed)
        return f"{faker.first_name()} {faker.last_name()}"


def _last_name(place: Place, seed: str) -> str:
    with _LOCK:
        return str(_seeded(place, seed).last_name())


def _seeded(place: Place, seed: str) -> Faker:
    faker = _FAKERS[place.french]
    faker.seed_instance(seed)
    return faker


def _positions(place: Place) -> tuple[str, ...]:
    return _POSITIONS_FRENCH if place.french else _POSITIONS


def _phone(random: Random, place: Place, kind: str, version: int) -> Phone:
    code = "800" if kind == "Toll Free" else place.area_code
    # 37 and 100 have no common divisor: every version has another number.
    return Phone(kind, f"({code}) 555-01{(random.randrange(100) + 37 * version) % 100:02}")


def _agent_phones(random: Random, place: Place, version: int) -> tuple[Phone, ...]:
    kinds = ["Telephone", *random.sample(["Fax", "Toll Free", "Cell", "Pager"], 4)]
    count = random.choices((0, 1, 2, 3, 4), weights=(1, 60, 25, 10, 4))[0]
    phones = [_phone(random, place, kind, version) for kind in kinds]
    return tuple(phones[: max(count, 1 if version else 0)])


def _agent_websites(random: Random, name: str, version: int) -> tuple[Website, ...]:
    count = random.choices((0, 1, 2, 3), weights=(50, 45, 3, 2))[0]
    slug = _slug(name, version)
    # The ampersand in a query is what escaping gets wrong.
    urls = (
        Website("Website", f"http://www.{slug}.example.com/?lang=en&source=ddf"),
        Website("FaceBook", f"https://facebook.example.com/{slug}"),
        Website("LinkedIn", f"https://linkedin.example.com/in/{slug}/"),
    )
    return urls[: max(count, 1 if version else 0)]


def _office_websites(random: Random, name: str, version: int) -> tuple[Website, ...]:
    if random.random() < 0.25 and not version:
        return ()
    return (Website("Website", f"http://www.{_slug(name, version)}.example.com/"),)


def _office_address(random: Random, place: Place, owner: str, version: int) -> Fields:
    number, suffix = str(random.randint(1, 9999) + 2 * version), random.choice(_SUFFIXES)
    unit = str(random.randint(100, 900)) if random.random() < 0.3 else None
    line = f"{number} {owner} {suffix}"
    latitude, longitude = coordinates(place, random)
    located = random.random() < 0.3
    code = postal_code(place, random)
    named = random.choice((owner.title(), place.city))

    def rare(text: str) -> str | None:
        return text if random.random() < 0.3 else None

    return {
        # DDF: `|` separates lines.
        "StreetAddress": f"{line}|SUITE {unit}" if unit else line,
        "AddressLine1": line,
        "AddressLine2": f"SUITE {unit}" if unit else None,
        "StreetNumber": number,
        "StreetDirectionPrefix": rare("W"),
        "StreetName": owner,
        "StreetSuffix": suffix,
        "StreetDirectionSuffix": rare("E"),
        "UnitNumber": unit,
        "BoxNumber": rare(f"Box {number}"),
        "City": place.city,
        "Province": place.province,
        "PostalCode": code,
        "Country": "Canada",
        "AdditionalStreetInfo": rare("Main floor"),
        "CommunityName": rare(f"{named} Heights"),
        "Neighbourhood": rare(f"{named} Park"),
        "Subdivision": rare(f"{place.city} Centre"),
        "Latitude": str(latitude) if located else None,
        "Longitude": str(longitude) if located else None,
    }


def _designations(random: Random, version: int) -> tuple[str, ...]:
    values = lookups.AGENT["IndividualDesignations"]
    order = random.sample(values, len(values))
    count = random.choices((0, 1, 2), weights=(80, 14, 6))[0]
    # The first one is another one in every version.
    return tuple(
        order[(version + number) % len(order)] for number in range(max(count, 1 if version else 0))
    )


def _slug(name: str, version: int) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = "-".join("".join(c if c.isalnum() else " " for c in plain).split())
    return f"{slug}-{version}" if version else slug


def _some(random: Random, values: tuple[str, ...], share: float) -> tuple[str, ...]:
    if random.random() >= share:
        return ()
    return tuple(random.sample(values, random.randint(1, min(3, len(values)))))
