"""The Search transaction: from arguments to the text of an answer.

What belongs here: the query forms, limits, reply codes and the envelope that DDF has. What does
not: elements of records (``payload``), and HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from rets_pipeline.sandbox.answers import DECLARATION, BrokenOff
from rets_pipeline.sandbox.behaviour import Behaviour
from rets_pipeline.sandbox.clock import rfc1123, seconds_of
from rets_pipeline.sandbox.listing import ListingState
from rets_pipeline.sandbox.payload import property_details
from rets_pipeline.sandbox.people import AgentState, OfficeState
from rets_pipeline.sandbox.people_payload import agent_details, office_details
from rets_pipeline.sandbox.world import Sandbox

#: DDF: the largest number of keys in a query and of details in an answer
MOST_DETAILS = 100
_FORMATS = ("", "STANDARD-XML")
# Strict about blanks: a `+` that was not percent-encoded arrives as one, and is no query.
_ALL_KEYS = re.compile(r"\(ID=(?:\*|0\+)\)", re.IGNORECASE)
_SOME_KEYS = re.compile(r"\(ID=(\d{1,18}(?:,\s*\d{1,18})*)\)", re.IGNORECASE)
_CHANGED_SINCE = re.compile(r"\(LastUpdated=([0-9T:.Z+\-]{10,35}?)\+?\)", re.IGNORECASE)
_CHUNK = 2_000


class SearchError(Exception):
    """A search that is refused, or finds nothing.

    Args:
        code: the RETS reply code.
        text: its text.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


@dataclass(frozen=True, slots=True)
class Query:
    """A search that is understood.

    Attributes:
        resource: Property, Agent or Office.
        kind: master_list, details or last_updated.
        keys: for details.
        since: for last_updated; seconds since 1970.
        limit: 1 to 100.
        offset: from 1.
        count: 0 no COUNT, 1 with, 2 nothing else.
    """

    resource: str
    kind: str
    keys: tuple[int, ...]
    since: int
    limit: int
    offset: int
    count: int


def read(arguments: Mapping[str, str]) -> Query:
    """The query of some arguments, their names in lower case.

    Raises:
        SearchError: 20206 invalid, 20208 more than a hundred, 20203 not served.
    """
    resource = arguments.get("searchtype", "")
    if resource not in _RESOURCES or arguments.get("class", resource) != resource:
        raise SearchError(20206, "Invalid Query Syntax: SearchType and Class")
    if arguments.get("querytype", "DMQL2").upper() != "DMQL2":
        raise SearchError(20206, "Invalid Query Syntax: QueryType")
    if arguments.get("format", "").upper() not in _FORMATS:
        raise SearchError(20203, "Miscellaneous Search Error: only STANDARD-XML is served")
    kind, keys, since = _condition(arguments.get("query", ""))
    limit = _number(arguments, "limit", MOST_DETAILS, 1)
    if limit > MOST_DETAILS or len(keys) > MOST_DETAILS:
        raise SearchError(20208, "Maximum Records Exceeded")
    offset = _number(arguments, "offset", 1, 1)
    count = _number(arguments, "count", 1, 0)
    if count > 2:
        raise SearchError(20206, "Invalid Query Syntax: Count")
    return Query(resource, kind, keys, since, limit, offset, count)


def answer(world: Sandbox, query: Query, base_url: str, behaviour: Behaviour) -> Iterator[str]:
    """The text of an answer in pieces.

    What depends on the present state is read before this returns; the pieces may be made on
    another thread.

    Args:
        world: that is asked.
        query: the question.
        base_url: scheme and host that photos are served from.
        behaviour: of the sandbox in this search.

    Raises:
        SearchError: 20201, nothing was found.
        BrokenOff: while the pieces are taken, when the sandbox was told to misbehave.
    """
    resource = _RESOURCES[query.resource](world)
    if query.kind == "master_list":
        return _master_list(behaviour, query, resource.entries())
    entries = resource.by_keys(query.keys) if query.kind == "details" else _since(query, resource)
    entries = [entry for entry in entries if entry[0] not in behaviour.never_return]
    page = entries
    if query.kind == "last_updated":
        page = entries[query.offset - 1 : query.offset - 1 + query.limit]
    if not page:
        raise SearchError(20201, "No Records Found")
    world.statistics.details(query.resource, 0 if query.count == 2 else len(page))
    pages = -(-len(entries) // query.limit)
    envelope = _Envelope(query, len(entries), query.limit, pages, len(page))
    return envelope.around(resource.details([key for key, _ in page], base_url))


def pages(
    world: Sandbox,
    count: int | None = None,
    *,
    resource: str = "Property",
    base_url: str = "http://sandbox.example.com",
) -> Iterator[bytes]:
    """Answers as a server gives them to one who asks for all keys in turn, without any HTTP.

    They are made one at a time. It counts as no search, and no behaviour spoils it.

    Args:
        world: that is asked.
        count: for so many records, the first ones of the master list; all by default.
        resource: Property, Agent or Office.
        base_url: scheme and host that images would be served from.

    Raises:
        KeyError: there is no such resource.
    """
    asked = _RESOURCES[resource](world)
    keys = [key for key, _ in asked.entries()][:count]
    for begin in range(0, len(keys), MOST_DETAILS):
        some = keys[begin : begin + MOST_DETAILS]
        query = Query(resource, "details", tuple(some), 0, MOST_DETAILS, 1, 1)
        envelope = _Envelope(query, len(some), MOST_DETAILS, 1, len(some))
        yield "".join(envelope.around(asked.details(some, base_url))).encode()


@dataclass(frozen=True, slots=True)
class _Envelope:
    query: Query
    total: int
    limit: int
    pages: int
    returned: int

    def around(self, records: Iterable[str]) -> Iterator[str]:
        head = f'{DECLARATION}<RETS ReplyCode="0" ReplyText="Operation Successful">'
        if self.query.count:
            head += f'<COUNT Records="{self.total}" />'
        if self.query.count == 2:
            yield f"{head}</RETS>"
            return
        yield (
            f'{head}<RETS-RESPONSE xmlns="urn:CREA.Search.{self.query.resource}"><Pagination>'
            f"<TotalRecords>{self.total}</TotalRecords><Limit>{self.limit}</Limit>"
            f"<Offset>{self.query.offset}</Offset><TotalPages>{self.pages}</TotalPages>"
            f"<RecordsReturned>{self.returned}</RecordsReturned></Pagination>"
        )
        yield from records
        yield "</RETS-RESPONSE></RETS>"


_State = TypeVar("_State", ListingState, AgentState, OfficeState)
#: a key and its LastUpdated
_Entry = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Resource:
    entries: Callable[[], list[_Entry]]
    by_keys: Callable[[Iterable[int]], list[_Entry]]
    details: Callable[[Sequence[int], str], Iterator[str]]


def _properties(world: Sandbox) -> _Resource:
    addressed = world.behaviour.photo_addresses

    def write(state: ListingState, base_url: str) -> str:
        return property_details(world.listing(state), base_url, photo_addresses=addressed)

    return _records(world.listings, write)


def _agents(world: Sandbox) -> _Resource:
    roster = world.roster
    return _records(roster.agents.live, lambda s, url: agent_details(roster.agent(s), url))


def _offices(world: Sandbox) -> _Resource:
    roster = world.roster
    return _records(roster.offices.live, lambda s, url: office_details(roster.office(s), url))


def _records(live: Mapping[int, _State], write: Callable[[_State, str], str]) -> _Resource:
    def details(keys: Sequence[int], base_url: str) -> Iterator[str]:
        # The states are taken now; the generator runs later, on another thread.
        states = [live[key] for key in keys]
        return (write(state, base_url) for state in states)

    return _Resource(
        # The list is taken at once: a test may change the world from its own thread.
        entries=lambda: [(state.key, state.updated) for state in list(live.values())],
        by_keys=lambda keys: [
            (key, live[key].updated) for key in dict.fromkeys(keys) if key in live
        ],
        details=details,
    )


_RESOURCES: dict[str, Callable[[Sandbox], _Resource]] = {
    "Property": _properties,
    "Agent": _agents,
    "Office": _offices,
}


def _since(query: Query, resource: _Resource) -> list[_Entry]:
    found = [entry for entry in resource.entries() if entry[1] >= query.since]
    return sorted(found, key=lambda entry: (entry[1], entry[0]))


def _master_list(behaviour: Behaviour, query: Query, entries: list[_Entry]) -> Iterator[str]:
    total = len(entries)
    broken_at = None
    if query.resource in behaviour.resources:
        entries = entries[behaviour.drop_from_master_list :]
        total = len(entries)
        entries = entries[behaviour.cut_master_list :]
        if behaviour.truncate_master_list is not None:
            broken_at = int(len(entries) * behaviour.truncate_master_list)
    if not total:
        raise SearchError(20201, "No Records Found")
    envelope = _Envelope(query, total, 0, 1, total)
    pieces = _entries(query.resource, entries[:broken_at])
    if broken_at is None:
        return envelope.around(pieces)
    return envelope.around(_broken(query.resource, pieces))


def _entries(name: str, entries: Sequence[_Entry]) -> Iterator[str]:
    for begin in range(0, len(entries), _CHUNK):
        yield "".join(
            f'<{name} ID="{key}" LastUpdated="{rfc1123(updated)}" />'
            for key, updated in entries[begin : begin + _CHUNK]
        )


def _broken(name: str, pieces: Iterator[str]) -> Iterator[str]:
    yield from pieces
    yield f'<{name} ID="26'
    raise BrokenOff


def _condition(text: str) -> tuple[str, tuple[int, ...], int]:
    if _ALL_KEYS.fullmatch(text):
        return "master_list", (), 0
    match = _SOME_KEYS.fullmatch(text)
    if match:
        return "details", tuple(int(key) for key in match[1].split(",")), 0
    match = _CHANGED_SINCE.fullmatch(text)
    if match:
        try:
            return "last_updated", (), seconds_of(match[1])
        except (ValueError, OverflowError):
            pass
    raise SearchError(20206, "Invalid Query Syntax")


def _number(arguments: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = arguments.get(name, "").strip()
    if text == "" or (name == "limit" and text.upper() == "NONE"):
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) < least:
        raise SearchError(20206, f"Invalid Query Syntax: {name.capitalize()}")
    return int(text)


def now_text() -> str:
    """The real time, as a login answer carries it."""
    return rfc1123(int(datetime.now(UTC).timestamp()))
