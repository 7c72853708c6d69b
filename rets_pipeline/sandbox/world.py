"""The world of the sandbox: which listings exist, in which state, at which time.

What belongs here: the states, the clock, and everything that changes them. What does not: HTTP,
XML, images. All changes happen on one thread (the server's event loop); a state is never altered
but replaced, so that other threads may go on reading one that they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from rets_pipeline.sandbox import aging, changes, kinds
from rets_pipeline.sandbox.behaviour import Behaviour
from rets_pipeline.sandbox.chance import chance
from rets_pipeline.sandbox.changes import Change, Circumstances
from rets_pipeline.sandbox.clock import Clock, iso
from rets_pipeline.sandbox.faults import Faults
from rets_pipeline.sandbox.kinds import ChangeError
from rets_pipeline.sandbox.listing import Listing, ListingState, PhotoState, describe, photo_states
from rets_pipeline.sandbox.people_changes import AGENT, OFFICE, PersonChange
from rets_pipeline.sandbox.roster import Roster
from rets_pipeline.sandbox.statistics import Statistics

_T = TypeVar("_T")
_FIRST_KEY = 26_000_000
#: MLS numbers have eight digits, and so have keys
_MOST_LISTINGS = 20_000_000


class Sandbox:
    """A DDF server's data, invented, deterministic, and able to age.

    Args:
        listings: how many exist at the start.
        days: over how many days before the start their LastUpdated is spread.
        seed: everything follows from it (and from ``today`` and the calls made).
        username: that a client logs in with.
        password: likewise.
        today: the day that the past is counted from; the real one by default.
        lead_days: how many days before ``today`` the sandbox's clock starts: so many days it may
            age without reaching the real future.
        max_photos: the largest number of photos that a listing is born with.
        single_session: a second login while a session is open is answered 20022.
        session_seconds: real seconds without a request after which a session is forgotten.
        advance: days to age at once: a restarted sandbox is as old as the one before.
        generic_listings: how many listings the generic server has.

    Raises:
        ValueError: a number makes no sense.
    """

    def __init__(
        self,
        listings: int = 500,
        days: int = 60,
        seed: int = 7,
        username: str = "sandbox",
        password: str = "sandbox-password",  # noqa: S107 - of invented data
        *,
        today: date | None = None,
        lead_days: int = 10,
        max_photos: int = 6,
        single_session: bool = False,
        session_seconds: float = 1800,
        advance: int = 0,
        generic_listings: int = 200,
    ) -> None:
        _check("listings", listings, 0, _MOST_LISTINGS)
        _check("days", days, 1, 20_000)
        _check("lead_days", lead_days, 0, 20_000)
        _check("max_photos", max_photos, 1, 60)
        _check("advance", advance, 0, 20_000)
        _check("generic_listings", generic_listings, 0, _MOST_LISTINGS)
        self.seed, self.max_photos = seed, max_photos
        self.username, self.password = username, password
        self.single_session, self.session_seconds = single_session, session_seconds
        self.clock = Clock(today or datetime.now(UTC).date(), days, lead_days)
        self.roster = Roster(seed, listings, self.clock.first, self.clock.start)
        self.statistics, self.behaviour = Statistics(), Behaviour()
        self.faults, self.generic_listings = Faults(seed), generic_listings
        self.listings: dict[int, ListingState] = {}
        self.gone: dict[int, ListingState] = {}
        self._next_key = _FIRST_KEY
        self._changes = 0
        self._populate(listings)
        if advance:
            self.advance(advance)

    def __repr__(self) -> str:
        return f"<Sandbox seed={self.seed} listings={len(self.listings)} now={iso(self.clock.now)}>"

    def listing(self, state: ListingState) -> Listing:
        """All facts of a listing in that state."""
        return describe(self.seed, state, self.roster, self.max_photos)

    def photos(self, state: ListingState) -> tuple[PhotoState, ...]:
        """The photos of a listing in that state, in order."""
        return photo_states(self.seed, state, self.max_photos)

    def advance(self, days: int = 1) -> dict[str, Any]:
        """Age by whole days; so many days at once or one after another give the same world.

        Returns:
            JSON of what happened: ``now``, ``changes`` (kind to keys of listings), ``agents`` and
            ``offices`` (likewise), and the same by day.

        Raises:
            ValueError: less than one day, or more than fifty years.
        """
        _check("days", days, 1, 20_000)
        by_day = [self._age_one_day() for _ in range(days)]
        together = {
            name: _together(report[name] for report in by_day)
            for name in ("changes", "agents", "offices")
        }
        return {"now": iso(self.clock.now), **together, "days": by_day}

    def change(self, change: Change) -> list[int]:
        """Make one change now; the clock moves on by a minute.

        Returns:
            The keys that it touched.

        Raises:
            ChangeError: it cannot be made; nothing happened.
        """
        return self._now(lambda now, name: self._make(change, now, name))

    def change_person(self, change: PersonChange) -> list[tuple[str, str, int]]:
        """Change an agent or an office now; the clock moves on by a minute.

        Returns:
            What happened: agent or office, kind, and key.

        Raises:
            ChangeError: it cannot be made; nothing happened.
        """
        return self._now(lambda now, name: self._make_person(change, now, name))

    def _now(self, make: Callable[[int, str], list[_T]]) -> list[_T]:
        before = self.clock.now
        self._changes += 1
        try:
            return make(self.clock.tick(), f"change {self._changes}")
        except ChangeError:
            self.clock.now = before
            self._changes -= 1
            raise

    def _populate(self, count: int) -> None:
        random = chance(self.seed, "world")
        keys = []
        for _ in range(count):
            keys.append(self._next_key)
            self._next_key += random.randint(1, 3)
        # The master list is in no order, but always in the same one.
        random.shuffle(keys)
        first, start = self.clock.first, self.clock.start
        for key in keys:
            updated = random.randint(first, start)
            self.listings[key] = ListingState(key, updated, updated)

    def _age_one_day(self) -> dict[str, Any]:
        begin, end = self.clock.next_day()
        day = self.clock.day
        random = chance(self.seed, "day", day)
        steps = aging.plan(self.listings, self.gone, day, random, self._is_possible)
        report: dict[str, list[str]] = {}
        for number, (kind, key) in enumerate(steps):
            moment, name = random.randint(begin, end), f"day {day} {number}"
            along = aging.BROUGHT_ALONG.get(kind)
            if along:
                change = Change(along, key, keep_timestamp=True)
                touched = self._make(change, moment, name)
                report.setdefault(along, []).extend(map(str, touched))
            touched = self._make(Change(kind, key), moment, name)
            report.setdefault(kind, []).extend(map(str, touched))
        return {"day": day, "now": iso(end), "changes": report, **self._age_people(begin, end)}

    def _age_people(self, begin: int, end: int) -> dict[str, dict[str, list[str]]]:
        roster, day = self.roster, self.clock.day
        random = chance(self.seed, "people day", day)
        report: dict[str, dict[str, list[str]]] = {AGENT: {}, OFFICE: {}}

        def carry_out(who: str, plan: aging.Plan) -> None:
            for number, (kind, key) in enumerate(plan):
                change = PersonChange(who, kind, key)
                moment, name = random.randint(begin, end), f"day {day} {number}"
                for whose, done, touched in self._make_person(change, moment, name):
                    report[whose].setdefault(done, []).append(str(touched))

        offices, agents = roster.offices, roster.agents
        plan = aging.people_plan(
            offices.live,
            offices.gone,
            day,
            random,
            aging.OFFICE_SHARES,
            lambda kind, key: True,
            lambda named, key: roster.is_of_named(key) is named and roster.can_close(key),
        )
        carry_out(OFFICE, plan)
        # Whose office went has moved already.
        moved = set(map(int, report[AGENT].get("moved", ())))
        plan = aging.people_plan(
            [key for key in agents.live if key not in moved],
            agents.gone,
            day,
            random,
            aging.AGENT_SHARES,
            lambda kind, key: kind != "moved" or roster.can_move(key),
            lambda named, key: roster.is_named(key) is named,
        )
        carry_out(AGENT, plan)
        return {"agents": report[AGENT], "offices": report[OFFICE]}

    def _make_person(self, change: PersonChange, now: int, name: str) -> list[tuple[str, str, int]]:
        return self.roster.change(change, now, chance(self.seed, change.who, change.key, name))

    def _is_possible(self, kind: str, key: int) -> bool:
        state = self.listings[key]
        return changes.is_possible(kind, state, len(self.photos(state)), self.clock.first)

    def _make(self, change: Change, now: int, name: str) -> list[int]:
        if change.kind == kinds.ADDED:
            return self._add(change, now)
        key = change.listing_key
        if change.kind == kinds.RESTORED:
            return [self._restore(key, change, now)]
        if key is None or key not in self.listings:
            raise ChangeError(f"there is no listing {key}")
        state = self.listings[key]
        if change.kind == kinds.REMOVED:
            self.gone[key] = self.listings.pop(key)
            return [key]
        random = chance(self.seed, key, name)
        around = Circumstances(now, self.clock.first, self.photos(state), random)
        self.listings[key] = changes.apply(state, change, around)
        return [key]

    def _add(self, change: Change, now: int) -> list[int]:
        if not 1 <= change.count <= 100_000:
            raise ChangeError("count lies between 1 and 100000")
        added = []
        for _ in range(change.count):
            key = self._next_key
            self._next_key += 1 + chance(self.seed, "gap", key).randrange(3)
            updated = now if change.last_updated is None else change.last_updated
            self.listings[key] = ListingState(key, updated, now, people_at=now)
            added.append(key)
        return added

    def _restore(self, key: int | None, change: Change, now: int) -> int:
        if key is None or key not in self.gone:
            raise ChangeError(f"listing {key} is not gone")
        state = self.gone.pop(key)
        updated = now if change.last_updated is None else change.last_updated
        self.listings[key] = state if change.keep_timestamp else state._replace(updated=updated)
        return key


def _together(reports: Iterable[dict[str, list[str]]]) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for report in reports:
        for kind, keys in report.items():
            found.setdefault(kind, {}).update(dict.fromkeys(keys))
    return {kind: list(keys) for kind, keys in found.items()}


def _check(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} lies between {least} and {most}, not at {value}")
