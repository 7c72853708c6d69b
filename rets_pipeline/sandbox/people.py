"""Agents, offices and streets that nobody has: made by Faker, each from its own number.

What belongs here: the invented people and firms, and which of them work where. What does not:
listings, and how DDF writes a person.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from threading import Lock

from faker import Faker

from rets_pipeline.sandbox import lookups
from rets_pipeline.sandbox.chance import chance
from rets_pipeline.sandbox.clock import DAY
from rets_pipeline.sandbox.places import PLACES, Place, postal_code

_FIRST_AGENT = 1_400_001
_FIRST_OFFICE = 50_001
_POSITIONS = (
    *("Salesperson", "Broker", "Personal Real Estate Corporation", "Broker of Record"),
    *("REALTOR®", "Sales Representative"),
)
_POSITIONS_FRENCH = ("Courtière immobilière", "Courtier immobilier agréé", "Courtière")
_FIRMS = ("Realty", "Homes & Land", "Real Estate Services", "Realty Group Ltd.", "Properties Inc.")
_FIRMS_FRENCH = ("Immobilier", "Courtage immobilier", "Propriétés & Cie", "Agence immobilière")
_SUFFIXES = (
    *(
        "STREET",
        "AVENUE",
        "ROAD",
        "DRIVE",
        "CRESCENT",
        "COURT",
        "LANE",
        "Place",
        "Boulevard",
        "Way",
    ),
)
_FAKERS = {False: Faker("en_CA"), True: Faker("fr_CA")}
#: a Faker is one generator for everybody: seeding it and drawing from it must not be interrupted
_LOCK = Lock()


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
    """A brokerage."""

    office_id: int
    name: str
    place: Place
    street_address: str
    postal_code: str
    phones: tuple[Phone, ...]
    websites: tuple[Website, ...]
    organization_type: str
    designation: str | None
    franchisor: str | None
    has_logo: bool
    updated: int


@dataclass(frozen=True, slots=True)
class Agent:
    """A person who sells."""

    agent_id: int
    name: str
    position: str | None
    place: Place
    office: Office
    phones: tuple[Phone, ...]
    websites: tuple[Website, ...]
    designations: tuple[str, ...]
    languages: tuple[str, ...]
    specialties: tuple[str, ...]
    trading_areas: tuple[str, ...]
    photo_updated: int | None
    updated: int


class Roster:
    """Who works where.

    Args:
        seed: of the world.
        listings: how many the world begins with; it decides how many agents and offices exist.
        first: the earliest time of change of a person; seconds since 1970.
        start: the latest.
    """

    def __init__(self, seed: int, listings: int, first: int, start: int) -> None:
        self._seed, self._first, self._start = seed, first, start
        self._agents_per_place = max(3, listings // (8 * len(PLACES)))
        self._offices_per_place = max(2, listings // (60 * len(PLACES)))
        # Bounded: a hundred thousand listings have thousands of agents.
        self.agent = lru_cache(maxsize=4096)(self._make_agent)
        self.office = lru_cache(maxsize=2048)(self._make_office)

    def agent_ids(self) -> range:
        """Every agent."""
        return range(_FIRST_AGENT, _FIRST_AGENT + self._agents_per_place * len(PLACES))

    def office_ids(self) -> range:
        """Every office."""
        return range(_FIRST_OFFICE, _FIRST_OFFICE + self._offices_per_place * len(PLACES))

    def pick_agents(self, place: Place, random: Random) -> tuple[int, ...]:
        """One to three agents of a city, in order."""
        count = random.choices((1, 2, 3), weights=(75, 20, 5))[0]
        numbers = random.sample(range(self._agents_per_place), count)
        return tuple(_FIRST_AGENT + place.index + number * len(PLACES) for number in numbers)

    def _make_agent(self, agent_id: int) -> Agent:
        random = chance(self._seed, "agent", agent_id)
        place = PLACES[(agent_id - _FIRST_AGENT) % len(PLACES)]
        number = random.randrange(self._offices_per_place)
        name = _name(place, f"{self._seed}:agent:{agent_id}")
        updated = random.randint(self._first, self._start)
        areas = random.sample([area.city for area in PLACES], 2)
        return Agent(
            agent_id=agent_id,
            name=name,
            position=random.choice(_positions(place)) if random.random() < 0.65 else None,
            place=place,
            office=self.office(_FIRST_OFFICE + place.index + number * len(PLACES)),
            phones=(_phone(random, place, "Telephone"),) if random.random() < 0.99 else (),
            websites=_agent_websites(random, name),
            designations=_values(random, "IndividualDesignations", 0.04),
            languages=_values(random, "Languages", 0.5),
            specialties=_values(random, "Specialties", 0.4),
            trading_areas=tuple(areas) if random.random() < 0.3 else (),
            photo_updated=updated - DAY if random.random() < 0.78 else None,
            updated=updated,
        )

    def _make_office(self, office_id: int) -> Office:
        random = chance(self._seed, "office", office_id)
        place = PLACES[(office_id - _FIRST_OFFICE) % len(PLACES)]
        owner = _last_name(place, f"{self._seed}:office:{office_id}")
        name = f"{owner} {random.choice(_FIRMS_FRENCH if place.french else _FIRMS)}"
        franchised = random.random() < 0.43
        kinds = ["Telephone", *random.sample(["Fax", "Toll Free"], random.randrange(3))]
        return Office(
            office_id=office_id,
            name=name,
            place=place,
            street_address=f"{random.randint(1, 9999)} {owner} {random.choice(_SUFFIXES)}",
            postal_code=postal_code(place, random),
            phones=tuple(_phone(random, place, kind) for kind in kinds),
            websites=_office_websites(random, name),
            organization_type=random.choice(lookups.OFFICE["OrganizationType"]),
            designation="Brokerage" if random.random() < 0.2 else None,
            franchisor=random.choice(lookups.OFFICE["Franchisor"]) if franchised else None,
            has_logo=random.random() < 0.53,
            updated=random.randint(self._first, self._start),
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


def _phone(random: Random, place: Place, kind: str) -> Phone:
    code = "800" if kind == "Toll Free" else place.area_code
    return Phone(kind, f"({code}) 555-01{random.randrange(100):02}")


def _agent_websites(random: Random, name: str) -> tuple[Website, ...]:
    if random.random() < 0.5:
        return ()
    slug = _slug(name)
    # The ampersand in a query is what escaping gets wrong.
    urls = (
        Website("Website", f"http://www.{slug}.example.com/?lang=en&source=ddf"),
        Website("FaceBook", f"https://facebook.example.com/{slug}"),
        Website("LinkedIn", f"https://linkedin.example.com/in/{slug}/"),
    )
    return urls[: random.choices((1, 2, 3), weights=(90, 6, 4))[0]]


def _office_websites(random: Random, name: str) -> tuple[Website, ...]:
    if random.random() < 0.25:
        return ()
    return (Website("Website", f"http://www.{_slug(name)}.example.com/"),)


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return "-".join("".join(c if c.isalnum() else " " for c in plain).split())


def _values(random: Random, lookup: str, share: float) -> tuple[str, ...]:
    values = lookups.AGENT[lookup]
    if random.random() >= share:
        return ()
    return tuple(random.sample(values, random.randint(1, min(3, len(values)))))
