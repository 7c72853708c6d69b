"""What can happen to an agent or an office, as functions from its old state to its new one.

What belongs here: the kinds of change, the request for one as it comes over HTTP, and its effect
on a state. What does not: choosing who changes (``aging``), and keeping the states (``roster``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from rets_pipeline.sandbox.clock import seconds_of
from rets_pipeline.sandbox.kinds import ADDED, REMOVED, RESTORED, ChangeError
from rets_pipeline.sandbox.people import AgentState, OfficeState

AGENT, OFFICE = "agent", "office"


@dataclass(frozen=True, slots=True)
class PersonChange:
    """A change of an agent or an office that was asked for.

    Attributes:
        who: agent or office.
        kind: one of :data:`AGENT_KINDS` or :data:`OFFICE_KINDS`, or added, removed, restored.
        key: whose; None only for added.
        last_updated: LastUpdated afterwards; None means the sandbox's now.
        keep_timestamp: content changes and LastUpdated does not.
    """

    who: str
    kind: str
    key: int | None = None
    last_updated: int | None = None
    keep_timestamp: bool = False

    @classmethod
    def from_json(cls, document: object) -> PersonChange:
        """Read a request.

        Raises:
            ChangeError: it is not one.
        """
        if not isinstance(document, dict):
            raise ChangeError("a change is a JSON object")
        unknown = sorted(set(document) - set(cls.__dataclass_fields__))
        if unknown:
            raise ChangeError(f"unknown: {', '.join(unknown)}")
        who, kind = document.get("who"), document.get("kind")
        known: dict[object, Collection[str]] = {AGENT: AGENT_KINDS, OFFICE: OFFICE_KINDS}
        if who not in known:
            raise ChangeError(f"who is {AGENT} or {OFFICE}")
        if kind not in (*known[who], ADDED, REMOVED, RESTORED):
            raise ChangeError(f"unknown kind {kind!r}")
        if kind != ADDED and document.get("key") is None:
            raise ChangeError("key is missing")
        try:
            return cls(str(who), str(kind), *_arguments(document))
        except (TypeError, ValueError) as error:
            raise ChangeError(f"bad value: {error}") from None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a change of a person may depend on.

    Attributes:
        now: the moment that it happens.
        first: the earliest time that a person may have.
        offices: that an agent may move to.
        random: chance of this change.
    """

    now: int
    first: int
    offices: Sequence[int]
    random: Random


def apply_to_agent(state: AgentState, change: PersonChange, around: Surroundings) -> AgentState:
    """The state of an agent after a change.

    Raises:
        ChangeError: the agent does not allow it.
    """
    after = AGENT_KINDS[change.kind](state, around)
    updated = _updated(state.updated, after.updated, change, around)
    return after._replace(updated=updated, written=around.now)


def apply_to_office(state: OfficeState, change: PersonChange, around: Surroundings) -> OfficeState:
    """The state of an office after a change."""
    after = OFFICE_KINDS[change.kind](state, around)
    updated = _updated(state.updated, after.updated, change, around)
    return after._replace(updated=updated, written=around.now)


def _updated(before: int, after: int, change: PersonChange, around: Surroundings) -> int:
    if change.keep_timestamp:
        return before
    if change.last_updated is not None:
        return change.last_updated
    # An effect says a time only when it is not the usual one.
    return after if after != before else around.now


def _arguments(document: dict[str, Any]) -> tuple[int | None, int | None, bool]:
    key, last_updated = document.get("key"), document.get("last_updated")
    keep = document.get("keep_timestamp", False)
    if not isinstance(keep, bool):
        raise ValueError("keep_timestamp is true or false")
    return (
        None if key is None else int(key),
        None if last_updated is None else seconds_of(last_updated),
        keep,
    )


def _moved(state: AgentState, around: Surroundings) -> AgentState:
    others = [key for key in around.offices if key != state.office]
    if not others:
        raise ChangeError("there is no other office in that city")
    return state._replace(office=around.random.choice(others))


def _long_ago(before: int, around: Surroundings) -> int:
    """A LastUpdated before nearly all others: one who looks for newer ones misses it."""
    moment = around.first + around.random.randrange(3600)
    return moment if moment != before else moment + 1


AGENT_KINDS: dict[str, Callable[[AgentState, Surroundings], AgentState]] = {
    "moved": _moved,
    "phones": lambda state, _: state._replace(phones=state.phones + 1),
    "websites": lambda state, _: state._replace(websites=state.websites + 1),
    "designations": lambda state, _: state._replace(designations=state.designations + 1),
    "photo": lambda state, around: state._replace(photo=around.now),
    "touched": lambda state, _: state,
    "timestamp_long_ago": lambda state, around: state._replace(
        phones=state.phones + 1, updated=_long_ago(state.updated, around)
    ),
}
OFFICE_KINDS: dict[str, Callable[[OfficeState, Surroundings], OfficeState]] = {
    "renamed": lambda state, _: state._replace(name=state.name + 1),
    "moved": lambda state, _: state._replace(address=state.address + 1),
    "phones": lambda state, _: state._replace(phones=state.phones + 1),
    "websites": lambda state, _: state._replace(websites=state.websites + 1),
    "designation": lambda state, _: state._replace(designation=state.designation + 1),
    "logo": lambda state, around: state._replace(logo=state.logo + 1, logo_at=around.now),
    "touched": lambda state, _: state,
    "timestamp_long_ago": lambda state, around: state._replace(
        phones=state.phones + 1, updated=_long_ago(state.updated, around)
    ),
}
