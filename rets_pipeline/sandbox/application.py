"""The application: all servers of a sandbox, and its control.

What belongs here: putting them together. What does not: any of them.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.types import ASGIApp

from rets_pipeline.sandbox.answers import WithTransport
from rets_pipeline.sandbox.control import control_routes
from rets_pipeline.sandbox.ddf import DdfServer
from rets_pipeline.sandbox.generic.server import GenericServer
from rets_pipeline.sandbox.photos import Studio
from rets_pipeline.sandbox.world import Sandbox


def create_app(world: Sandbox) -> ASGIApp:
    """The application that serves a world. One world belongs to one application."""
    studio = Studio(world.seed)
    ddf, generic = DdfServer(world, studio), GenericServer(world)
    control = control_routes(world, studio, [ddf.door, generic.door], generic.listings)
    routes = [*ddf.routes(), *generic.routes(), *control]
    return WithTransport(Starlette(routes=routes))
