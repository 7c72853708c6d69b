"""The ``/_sandbox`` side of the server, for tests and the demo; it needs no login.

What belongs here: routes that look at the world, age it and make it misbehave. What does not:
anything that a RETS client sees.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rets_pipeline.sandbox.authentication import Sessions
from rets_pipeline.sandbox.changes import Change
from rets_pipeline.sandbox.listing import ListingState
from rets_pipeline.sandbox.photos import SIZES, Studio
from rets_pipeline.sandbox.truth import truth
from rets_pipeline.sandbox.world import Sandbox


def control_routes(world: Sandbox, studio: Studio, sessions: Sessions) -> list[Route]:
    """The routes below ``/_sandbox``."""
    control = _Control(world, studio, sessions)
    table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
        ("GET", "truth", control.truth),
        ("POST", "advance", control.advance),
        ("POST", "change", control.change),
        ("GET", "behaviour", control.behaviour),
        ("POST", "behaviour", control.behaviour),
        ("GET", "statistics", control.statistics),
        ("POST", "statistics/reset", control.reset_statistics),
        ("POST", "sessions/expire", control.expire_sessions),
    ]
    return [
        Route(f"/_sandbox/{path}", _plain_errors(handler), methods=[method])
        for method, path, handler in table
    ]


class _Control:
    def __init__(self, world: Sandbox, studio: Studio, sessions: Sessions) -> None:
        self._world, self._studio, self._sessions = world, studio, sessions

    async def truth(self, request: Request) -> Response:
        listings, names = self._world.listings, request.query_params.get("keys")
        states = list(listings.values())
        if names is not None:
            keys = [int(name) for name in names.split(",") if name]
            states = [listings[key] for key in keys if key in listings]
        sizes = [size for size in request.query_params.get("images", "").split(",") if size]
        unknown = [size for size in sizes if size not in SIZES]
        if unknown:
            raise ValueError(f"images: {', '.join(unknown)} is none of {', '.join(SIZES)}")
        return JSONResponse(await self._truth(states, sizes))

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

    async def behaviour(self, request: Request) -> Response:
        if request.method == "POST":
            self._world.behaviour.update(await _document(request))
        return JSONResponse(self._world.behaviour.as_json())

    async def statistics(self, _: Request) -> Response:
        return JSONResponse(self._world.statistics.as_json())

    async def reset_statistics(self, _: Request) -> Response:
        self._world.statistics.reset()
        return JSONResponse(self._world.statistics.as_json())

    async def expire_sessions(self, _: Request) -> Response:
        return JSONResponse({"expired": self._sessions.expire()})

    async def _truth(self, states: list[ListingState], sizes: list[str]) -> dict[str, Any]:
        now = self._world.clock.now
        return await run_in_threadpool(truth, self._world, self._studio, states, now, sizes)


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
        except ValueError as error:  # ChangeError and BehaviourError are among them
            return JSONResponse({"error": str(error)}, 400)

    return endpoint
