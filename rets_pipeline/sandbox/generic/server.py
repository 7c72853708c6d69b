"""The generic server's transactions.

What belongs here: routes, and what each transaction hands to the modules beside this one. What
does not: who is let in (``door``).
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from rets_pipeline.sandbox.answers import Answer, Raw, plain, stream
from rets_pipeline.sandbox.door import Door
from rets_pipeline.sandbox.exchange import GENERIC, Call
from rets_pipeline.sandbox.generic import metadata, objects, search
from rets_pipeline.sandbox.generic.listings import Listings
from rets_pipeline.sandbox.login import LoginLines
from rets_pipeline.sandbox.rules import Rules
from rets_pipeline.sandbox.statistics import Statistics
from rets_pipeline.sandbox.world import Sandbox

LOGIN_PATH = "/rets/login"
_URLS = {
    "Login": LOGIN_PATH,
    "Logout": "/rets/logout",
    "Action": "/rets/action",
    "Search": "/rets/search",
    "GetMetadata": "/rets/metadata",
    "GetObject": "/rets/object",
}


class GenericServer:
    """A small RETS 1.7.2 server as many boards have one: Property:RES.

    Args:
        world: with the account and the number of listings.
    """

    def __init__(self, world: Sandbox) -> None:
        self._world = world
        self.listings = Listings(world.seed, world.generic_listings)
        rules = Rules(cookie="RETS-Session-ID")
        self.door = Door(GENERIC, world, "Generic RETS", rules, Statistics())

    def routes(self) -> list[Route]:
        """Everything that a client sees."""
        transactions = {
            "Login": self._login,
            "Logout": self.door.logout,
            "Action": self._action,
            "Search": self._search,
            "GetMetadata": self._metadata,
            "GetObject": self._object,
        }
        routes = [
            Route(url, self.door.endpoint(name, transactions[name]), methods=["GET", "POST"])
            for name, url in _URLS.items()
        ]
        photo = self.door.open_endpoint("Image", self._photo)
        routes.append(Route("/rets/photos/{rest:path}", photo, methods=["GET"]))
        return routes

    def _login(self, call: Call) -> Answer:
        values = {
            "MemberName": "Zoé Élite",
            "User": f"{self._world.username},3,AGT,17",
            "Broker": "OFF,1",
            "MetadataVersion": metadata.VERSION,
            "MetadataTimestamp": metadata.DATE,
            "MinMetadataTimestamp": metadata.DATE,
            "Balance": "0.00",
            "TimeoutSeconds": str(int(self._world.session_seconds)),
            **_URLS,
        }
        return self.door.login(call, stream(LoginLines([*values.items()])))

    def _action(self, _: Call) -> Answer:
        return plain("Bulletin: the server is closed on Sunday & Monday.")

    def _search(self, call: Call) -> Answer:
        self.door.statistics.searches["generic"] += 1
        try:
            return stream(search.answer(self.listings, call.arguments))
        except search.SearchError as error:
            return self.door.refuse(error.code, error.text)

    def _metadata(self, call: Call) -> Answer:
        try:
            return stream(metadata.answer(call.arguments))
        except metadata.MetadataError as error:
            return self.door.refuse(error.code, error.text)

    def _object(self, call: Call) -> Answer:
        try:
            return objects.answer(self.listings, call.arguments, call.base_url)
        except objects.ObjectError as error:
            return self.door.refuse(error.code, error.text)

    async def _photo(self, call: Call) -> Answer:
        found = await run_in_threadpool(objects.photo_at, self.listings, call.request.url.path)
        if found is None:
            return plain("Not Found", 404)
        return Answer(Raw([found]), headers={"Content-Type": "image/jpeg"})
