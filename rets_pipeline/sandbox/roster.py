"""Who exists, who works where, and who was what at which time.

What belongs here: the states of agents and offices, now and earlier, and everything that changes
them. What does not: facts (``people``), the effect of a change (``people_changes``), and how many
change on a day (``aging``). As in ``world``, a state is never altered but replaced.

A listing tells of its agents and offices as they were when it was last written by its board; a
search for agents or offices tells of them as they are. So the two may differ, as on a real server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from random import Random
from typing import Generic, TypeVar

from rets_pipeline.sandbox.chance import chance
from rets_pipeline.sandbox.kinds import ADDED, REMOVED, RESTORED, ChangeError
from rets_pipeline.sandbox.people import (
    FIRST_AGENT,
    FIRST_OFFICE,
    Agent,
    AgentState,
    Office,
    OfficeState,
    describe_agent,
    describe_office,
    place_of_agent,
    place_of_office,
)
from rets_pipeline.sandbox.people_changes import (
    AGENT,
    PersonChange,
    Surroundings,
    apply_to_agent,
    apply_to_office,
)
from rets_pipeline.sandbox.places import PLACES, Place

_State = TypeVar("_State", bound=AgentState | OfficeState)


class Register(Generic[_State]):
    """The states of all agents, or of all offices.

    Attributes:
        live: those that a search finds, in the order of the master list.
        gone: those that left.
    """

    def __init__(self) -> None:
        self.live: dict[int, _State] = {}
        self.gone: dict[int, _State] = {}
        # Of those that ever changed: every state, oldest first.
        self._through_time: dict[int, tuple[_State, ...]] = {}

    def put(self, state: _State) -> None:
        """Take a state as the present one."""
        before = self._past(state.key)
        if before:
            # First the past: a reader on another thread must find one or the other.
            self._through_time[state.key] = (*before, state)
        self.gone.pop(state.key, None)
        self.live[state.key] = state

    def remove(self, key: int) -> None:
        """Take a person away; listings may go on naming it."""
        self._through_time[key] = self._past(key)
        self.gone[key] = self.live.pop(key)

    def at(self, key: int, moment: int) -> _State:
        """The state at a time; before the first one, the first one."""
        live = self.live.get(key)
        states = self._through_time.get(key)
        if states is None:
            return self.gone[key] if live is None else live
        earlier = [state for state in states if state.written <= moment]
        return earlier[-1] if earlier else states[0]

    def first(self, key: int) -> _State:
        """The state that it appeared with."""
        return self.at(key, -1)

    def _past(self, key: int) -> tuple[_State, ...]:
        states = self._through_time.get(key, ())
        return states or ((self.live[key],) if key in self.live else ())


class Roster:
    """Agents and offices, some of which no listing ever names.

    Args:
        seed: of the world.
        listings: how many the world begins with; it decides how many people exist.
        first: the earliest time of change of a person; seconds since 1970.
        start: the latest at the beginning.

    Attributes:
        agents: their states.
        offices: likewise.
    """

    def __init__(self, seed: int, listings: int, first: int, start: int) -> None:
        self._seed, self._first = seed, first
        self.agents: Register[AgentState] = Register()
        self.offices: Register[OfficeState] = Register()
        # By city: so many are named in listings, the others are not.
        self._listing_agents = max(3, listings // (8 * len(PLACES)))
        self._listing_offices = max(2, listings // (60 * len(PLACES)))
        idle_agents = max(2, self._listing_agents // 2)
        idle_offices = max(1, self._listing_offices // 2)
        self._agents_at_first = (self._listing_agents + idle_agents) * len(PLACES)
        self._next_agent = FIRST_AGENT + self._agents_at_first
        self._next_office = FIRST_OFFICE + (self._listing_offices + idle_offices) * len(PLACES)
        #: by city: when an agent appeared that listings may name from then on, and its key
        self._newcomers: dict[int, tuple[tuple[int, int], ...]] = {}
        # Bounded: a hundred thousand listings have thousands of agents.
        self.agent: Callable[[AgentState], Agent] = lru_cache(maxsize=4096)(self._describe_agent)
        self.office: Callable[[OfficeState], Office] = lru_cache(maxsize=2048)(
            self._describe_office
        )
        self._populate(chance(seed, "people"), start)

    # --- asking -------------------------------------------------------------------------------

    def pick_agents(self, place: Place, random: Random, born: int) -> tuple[int, ...]:
        """One to three agents of a city, in order.

        Args:
            place: the city.
            random: chance of the listing.
            born: when the listing appeared.
        """
        count = random.choices((1, 2, 3), weights=(75, 20, 5))[0]
        numbers = random.sample(range(self._listing_agents), count)
        keys = [FIRST_AGENT + place.index + number * len(PLACES) for number in numbers]
        newcomers = [key for since, key in self._newcomers.get(place.index, ()) if since <= born]
        if newcomers and random.random() < 0.5:
            keys[0] = random.choice(newcomers)
        return tuple(keys)

    def agent_at(self, key: int, moment: int) -> Agent:
        """An agent as it was at a time, be it gone since."""
        return self.agent(self.agents.at(key, moment))

    def is_named(self, key: int) -> bool:
        """Whether a listing may name that agent."""
        place = place_of_agent(key).index
        if key < FIRST_AGENT + self._agents_at_first:
            return (key - FIRST_AGENT) // len(PLACES) < self._listing_agents
        return any(key == newcomer for _, newcomer in self._newcomers.get(place, ()))

    def is_of_named(self, key: int) -> bool:
        """Whether an agent of that office may be named in a listing."""
        return (key - FIRST_OFFICE) // len(PLACES) < self._listing_offices

    def can_move(self, key: int) -> bool:
        """Whether there is another office that an agent may go to."""
        return len(self._offices_of(place_of_agent(key), named=self.is_named(key))) > 1

    def can_close(self, key: int) -> bool:
        """Whether an office may go: its agents find another one in their city."""
        others = self._offices_of(place_of_office(key), named=True)
        return not self.is_of_named(key) or any(other != key for other in others)

    # --- changing -----------------------------------------------------------------------------

    def change(self, change: PersonChange, now: int, random: Random) -> list[tuple[str, str, int]]:
        """Make one change.

        Returns:
            What happened: agent or office, kind, and key; an office that goes takes along that
            its agents move.

        Raises:
            ChangeError: it cannot be made; nothing happened.
        """
        if change.who == AGENT:
            return [(AGENT, change.kind, self._change_agent(change, now, random))]
        return self._change_office(change, now, random)

    def _change_agent(self, change: PersonChange, now: int, random: Random) -> int:
        if change.kind == ADDED:
            return self._add_agent(change, now, random)
        state = _wanted(change, self.agents)
        if change.kind == REMOVED:
            self.agents.remove(state.key)
        elif change.kind == RESTORED:
            back = apply_to_agent(state, _touch(change), self._around(state.key, now, random))
            if state.office not in self.offices.live:
                place, named = place_of_agent(state.key), self.is_named(state.key)
                back = back._replace(office=random.choice(self._offices_of(place, named=named)))
            self.agents.put(back)
        else:
            around = self._around(state.key, now, random)
            self.agents.put(apply_to_agent(state, change, around))
        return state.key

    def _change_office(
        self, change: PersonChange, now: int, random: Random
    ) -> list[tuple[str, str, int]]:
        if change.kind == ADDED:
            key, self._next_office = self._next_office, self._next_office + 1
            updated = now if change.last_updated is None else change.last_updated
            self.offices.put(OfficeState(key, updated, now))
            return [(change.who, change.kind, key)]
        state = _wanted(change, self.offices)
        done = [(change.who, change.kind, state.key)]
        around = Surroundings(now, self._first, (), random)
        if change.kind == REMOVED:
            if not self.can_close(state.key):
                raise ChangeError("it is the last one of its city")
            self.offices.remove(state.key)
            for agent in [*self.agents.live.values()]:
                if agent.office == state.key:
                    move = PersonChange(AGENT, "moved", agent.key)
                    done.append((AGENT, "moved", self._change_agent(move, now, random)))
        elif change.kind == RESTORED:
            self.offices.put(apply_to_office(state, _touch(change), around))
        else:
            self.offices.put(apply_to_office(state, change, around))
        return done

    def _add_agent(self, change: PersonChange, now: int, random: Random) -> int:
        key, self._next_agent = self._next_agent, self._next_agent + 1
        place = place_of_agent(key)
        # Every other one sells.
        named = key % 2 == 0
        office = random.choice(self._offices_of(place, named=named))
        updated = now if change.last_updated is None else change.last_updated
        self.agents.put(AgentState(key, updated, now, office))
        if named:
            others = self._newcomers.get(place.index, ())
            self._newcomers[place.index] = (*others, (now, key))
        return key

    def _around(self, key: int, now: int, random: Random) -> Surroundings:
        offices = self._offices_of(place_of_agent(key), named=self.is_named(key))
        return Surroundings(now, self._first, offices, random)

    def _offices_of(self, place: Place, *, named: bool) -> list[int]:
        """The offices of a city, or those whose agents listings may name."""
        keys = range(FIRST_OFFICE + place.index, self._next_office, len(PLACES))
        return [
            key for key in keys if key in self.offices.live and (not named or self.is_of_named(key))
        ]

    # --- the beginning, and facts ----------------------------------------------------------------

    def _populate(self, random: Random, start: int) -> None:
        offices = [*range(FIRST_OFFICE, self._next_office)]
        agents = [*range(FIRST_AGENT, self._next_agent)]
        # The master list is in no order, but always in the same one.
        random.shuffle(offices)
        random.shuffle(agents)
        for key in offices:
            updated = random.randint(self._first, start)
            self.offices.put(OfficeState(key, updated, updated))
        every = len(offices) // len(PLACES)
        for key in agents:
            updated = random.randint(self._first, start)
            number = random.randrange(self._listing_offices if self.is_named(key) else every)
            office = FIRST_OFFICE + place_of_agent(key).index + number * len(PLACES)
            self.agents.put(AgentState(key, updated, updated, office))

    def _describe_agent(self, state: AgentState) -> Agent:
        office = self.office(self.offices.at(state.office, state.written))
        return describe_agent(self._seed, state, office, self.agents.first(state.key).updated)

    def _describe_office(self, state: OfficeState) -> Office:
        return describe_office(self._seed, state, self.offices.first(state.key).updated)


def _wanted(change: PersonChange, register: Register[_State]) -> _State:
    states: Mapping[int, _State] = register.gone if change.kind == RESTORED else register.live
    state = states.get(change.key or 0)
    if state is None:
        gone = " gone" if change.kind == RESTORED else ""
        raise ChangeError(f"there is no {change.who} {change.key}{gone}")
    return state


def _touch(change: PersonChange) -> PersonChange:
    return PersonChange(
        change.who, "touched", change.key, change.last_updated, change.keep_timestamp
    )
