"""The ``/_sandbox`` side of the server, for tests and the demo; it needs no login.

What belongs here: routes that look at the world, age it and make it misbehave. What does not:
anything that a RETS client sees.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rets_pipeline.sandbox.changes import Change
from rets_pipeline.sandbox.clock import iso
from rets_pipeline.sandbox.door import Door
from rets_pipeline.sandbox.faults import CATALOGUE
from rets_pipeline.sandbox.generic import objects
from rets_pipeline.sandbox.generic.listings import Listings
from rets_pipeline.sandbox.listing import ListingState
from rets_pipeline.sandbox.people import AgentState, OfficeState
from rets_pipeline.sandbox.people_changes import AGENT, OFFICE, PersonChange
from rets_pipeline.sandbox.photos import SIZES, Studio
from rets_pipeline.sandbox.truth import truth, truth_of_people
from rets_pipeline.sandbox.world import Sandbox

_State = TypeVar("_State", ListingState, AgentState, OfficeState)


def control_routes(
    world: Sandbox, studio: Studio, doors: Sequence[Door], listings: Listings
) -> list[Route]:
    """The routes below ``/_sandbox``.

    Args:
        world: that is looked at and changed.
        studio: makes its images.
        doors: of DDF and of the generic server.
        listings: of the generic server.
    """
    control = _Control(world, studio, doors, listings)
    table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
        ("GET", "truth", control.truth),
        ("POST", "advance", control.advance),
        ("POST", "change", control.change),
        ("POST", "people", control.change_person),
        ("GET", "behaviour", control.behaviour),
        ("POST", "behaviour", control.behaviour),
        ("GET", "faults", control.faults),
        ("POST", "faults", control.faults),
        ("DELETE", "faults", control.clear_faults),
        ("GET", "generic/truth", control.generic_truth),
        ("GET", "generic/statistics", control.generic_statistics),
        ("GET", "statistics", control.statistics),
        ("POST", "statistics/reset", control.reset_statistics),
        ("POST", "sessions/expire", control.expire_sessions),
    ]
    return [
        Route(f"/_sandbox/{path}", _plain_errors(handler), methods=[method])
        for method, path, handler in table
    ]


class _Control:
    def __init__(
        self, world: Sandbox, studio: Studio, doors: Sequence[Door], listings: Listings
    ) -> None:
        self._world, self._studio = world, studio
        self._doors, self._generic = doors, listings

    async def truth(self, request: Request) -> Response:
        asked = request.query_params
        # One who asks for some listings gets no people but those that he asks for as well.
        some = not {"keys", "agents", "offices"}.isdisjoint(asked)
        states = _chosen(self._world.listings, asked.get("keys"), some)
        agents = _chosen(self._world.roster.agents.live, asked.get("agents"), some)
        offices = _chosen(self._world.roster.offices.live, asked.get("offices"), some)
        found = await self._truth(states, _sizes(request, "images"))
        found |= await self._truth_of_people(agents, offices, _sizes(request, "people_images"))
        if not some:
            found["gone"] = self._gone()
        return JSONResponse(found)

    async def advance(self, request: Request) -> Response:
        return JSONResponse(self._world.advance(int(request.query_params.get("days", "1"))))

    async def change(self, request: Request) -> Response:
        change = Change.from_json(await _document(request))
        keys = self._world.change(change)
        listings = self._world.listings
        report = await self._truth([listings[key] for key in keys if key in listings], [])
        gone = {str(key): None for key in keys if key not in listings}
        return JSONResponse(
            {"kind": change.kind, "now": report["now"], "listings": report["listings"] | gone}
        )

    async def change_person(self, request: Request) -> Response:
        change = PersonChange.from_json(await _document(request))
        done = self._world.change_person(change)
        roster = self._world.roster
        agents = [key for who, _, key in done if who == AGENT]
        offices = [key for who, _, key in done if who == OFFICE]
        found = await self._truth_of_people(
            [roster.agents.live[key] for key in agents if key in roster.agents.live],
            [roster.offices.live[key] for key in offices if key in roster.offices.live],
            [],
        )
        gone = {str(key): None for key in agents}, {str(key): None for key in offices}
        return JSONResponse(
            {
                "kind": change.kind,
                "now": iso(self._world.clock.now),
                "agents": gone[0] | found["agents"],
                "offices": gone[1] | found["offices"],
            }
        )

    async def behaviour(self, request: Request) -> Response:
        if request.method == "POST":
            self._world.behaviour.update(await _document(request))
        return JSONResponse(self._world.behaviour.as_json())

    async def faults(self, request: Request) -> Response:
        faults = self._world.faults
        if request.method == "POST":
            faults.update(await _document(request))
            return JSONResponse({"on": faults.as_json()})
        catalogue = [fault.as_json() for fault in CATALOGUE.values()]
        return JSONResponse({"catalogue": catalogue, "on": faults.as_json()})

    async def clear_faults(self, request: Request) -> Response:
        self._world.faults.reset(request.query_params.get("name"))
        return JSONResponse({"on": self._world.faults.as_json()})

    async def generic_truth(self, request: Request) -> Response:
        names = request.query_params.get("keys")
        if names is None:
            keys = [self._generic.key(number) for number in range(min(self._generic.count, 1000))]
        else:
            keys = [int(name) for name in names.split(",") if name]
        found = self._generic.truth(keys)
        photos = {key: objects.truth(self._generic, int(key)) for key in found}
        return JSONResponse({"count": self._generic.count, "listings": found, "photos": photos})

    async def generic_statistics(self, _: Request) -> Response:
        return JSONResponse(self._doors[1].statistics.as_json())

    async def statistics(self, _: Request) -> Response:
        return JSONResponse(self._world.statistics.as_json())

    async def reset_statistics(self, _: Request) -> Response:
        for door in self._doors:
            door.statistics.reset()
        return JSONResponse(self._world.statistics.as_json())

    async def expire_sessions(self, _: Request) -> Response:
        return JSONResponse({"expired": sum(door.sessions.expire() for door in self._doors)})

    def _gone(self) -> dict[str, list[str]]:
        roster = self._world.roster
        return {
            "agents": sorted(map(str, roster.agents.gone)),
            "offices": sorted(map(str, roster.offices.gone)),
        }

    async def _truth_of_people(
        self, agents: list[AgentState], offices: list[OfficeState], sizes: list[str]
    ) -> dict[str, Any]:
        return await run_in_threadpool(
            truth_of_people, self._world.roster, self._studio, agents, offices, sizes
        )

    async def _truth(self, states: list[ListingState], sizes: list[str]) -> dict[str, Any]:
        now = self._world.clock.now
        return await run_in_threadpool(truth, self._world, self._studio, states, now, sizes)


def _sizes(request: Request, name: str) -> list[str]:
    """The sizes of images whose hashes are wanted; to make one takes milliseconds."""
    sizes = [size for size in request.query_params.get(name, "").split(",") if size]
    unknown = [size for size in sizes if size not in SIZES]
    if unknown:
        raise ValueError(f"{name}: {', '.join(unknown)} is none of {', '.join(SIZES)}")
    return sizes


def _chosen(live: Mapping[int, _State], names: str | None, some: bool) -> list[_State]:
    """The states of those that were named, or all when nobody was."""
    if names is None:
        return [] if some else list(live.values())
    keys = [int(name) for name in names.split(",") if name]
    return [live[key] for key in keys if key in live]


async def _document(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ValueError("the body is not JSON") from None


def _plain_errors(
    handler: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request)
        except ValueError as error:  # ChangeError, BehaviourError, FaultError
            return JSONResponse({"error": str(error)}, 400)

    return endpoint
