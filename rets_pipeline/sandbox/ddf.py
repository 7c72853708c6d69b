"""DDF: its transactions, and the photos that it serves by address.

What belongs here: what DDF answers. What does not: who is let in (``door``), what a search finds
(``search``), and the generic server (``generic``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import sha256

from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from rets_pipeline.sandbox import ddf_objects, metadata, search
from rets_pipeline.sandbox.answers import Answer, Raw, plain, rets, stream
from rets_pipeline.sandbox.clock import eastern_ticks, ticks, ticks_to_seconds
from rets_pipeline.sandbox.door import Door
from rets_pipeline.sandbox.exchange import DDF, Call
from rets_pipeline.sandbox.generic.objects import ObjectError
from rets_pipeline.sandbox.listing import keys_of_listing_id, photos, place_of
from rets_pipeline.sandbox.login import LoginLines
from rets_pipeline.sandbox.photos import (
    PhotoAddress,
    Studio,
    read_logo_path,
    read_photo_path,
    read_portrait_path,
)
from rets_pipeline.sandbox.rules import Rules
from rets_pipeline.sandbox.world import Sandbox

REALM = "CREA.Distribution"
_URLS = {
    "Login": "/Login.svc/Login",
    "Logout": "/Logout.svc/Logout",
    "Search": "/Search.svc/Search",
    "GetMetadata": "/Metadata.svc/GetMetadata",
    "GetObject": "/Object.svc/GetObject",
}


class DdfServer:
    """The DDF-like server of a sandbox.

    Args:
        world: what it serves.
        studio: makes its images.
    """

    def __init__(self, world: Sandbox, studio: Studio) -> None:
        self._world, self._studio = world, studio
        self.door = Door(DDF, world, REALM, Rules(), world.statistics)

    def routes(self) -> list[Route]:
        """Everything that a client sees."""
        transactions = {
            "Login": self._login,
            "Logout": self._logout,
            "Search": self._search,
            "GetMetadata": self._metadata,
            "GetObject": self._object,
        }
        routes = [
            Route(url, self.door.endpoint(name, transactions[name]), methods=["GET", "POST"])
            for name, url in _URLS.items()
        ]
        images = {
            "/listings/{rest:path}": self._photo,
            "/organization/{rest:path}": self._logo,
            "/individual/{rest:path}": self._portrait,
        }
        routes += [
            Route(path, self.door.open_endpoint("Image", image), methods=["GET"])
            for path, image in images.items()
        ]
        return routes

    # --- RETS ---------------------------------------------------------------------------------

    def _login(self, call: Call) -> Answer:
        now = search.now_text()
        values = {
            "MemberName": self._world.username,
            "User": "1234567,,,1234567",
            "Broker": "7654321",
            "MetadataVersion": metadata.VERSION,
            "MinMetadataVersion": metadata.VERSION,
            "MetadataTimestamp": now,
            "MinMetadataTimestamp": now,
            **{name: call.base_url + url for name, url in _URLS.items()},
        }
        answer = self.door.login(call, stream(LoginLines([*values.items()])))
        if answer.cookies and call.rules.session == "cookie":
            name = answer.cookies[0].partition("=")[2][:24]
            answer.cookies.append(f"ASP.NET_SessionId={name}; Path=/; HttpOnly; SameSite=lax")
        return answer

    def _logout(self, call: Call) -> Answer:
        return self.door.logout(call)

    def _search(self, call: Call) -> Answer:
        statistics = self._world.statistics
        try:
            query = search.read(call.arguments)
        except search.SearchError as error:
            statistics.search("invalid")
            return self.door.refuse(error.code, error.text)
        statistics.search(query.kind, query.resource)
        if query.kind == "details" and query.resource == "Property":
            due = call.behaviour.take_before_details()
            # In this request others may be due than those that wait for any.
            self._world.behaviour.take_before_details()
            for change in due:
                self._world.change(change)
        try:
            pieces = search.answer(self._world, query, call.base_url, call.behaviour)
        except search.SearchError as error:
            return self.door.refuse(error.code, error.text)
        answer = stream(Raw(piece.encode() for piece in pieces))
        answer.wire.ending = "clean" if call.behaviour.truncate_cleanly else "broken"
        return answer

    def _metadata(self, call: Call) -> Answer:
        try:
            return rets(metadata.answer(call.arguments))
        except metadata.MetadataError as error:
            return self.door.refuse(error.code, error.text)

    def _object(self, call: Call) -> Answer:
        # DDF: images have not been sent this way since 2020-07-06.
        if call.behaviour.serves_objects is not None:
            try:
                return ddf_objects.answer(self._world, self._studio, call)
            except ObjectError as error:
                return self.door.refuse(error.code, error.text)
        if call.arguments.get("resource") in ("Property", "Agent", "Office"):
            return self.door.refuse(20403, "No Object Found")
        return self.door.refuse(20413, "Miscellaneous error: images are served by address")

    # --- images -------------------------------------------------------------------------------

    async def _photo(self, call: Call) -> Answer:
        path = call.request.url.path
        status = (call.behaviour.image_status or {}).get(path)
        if status is not None:
            self._world.statistics.images["not_found"] += status == 404
            return plain("The sandbox was told to answer so.", status)
        address = read_photo_path(path)
        found = None if address is None else self._find(address)
        if address is None or found is None:
            return self._no_image()
        key, photo_id, moment = found
        body = await run_in_threadpool(self._studio.photo, key, photo_id, moment, address.size)
        return self._image(call, body, ticks_to_seconds(moment))

    async def _logo(self, call: Call) -> Answer:
        roster = self._world.roster
        state = roster.offices.live.get(read_logo_path(call.request.url.path) or 0)
        office = None if state is None else roster.office(state)
        if office is None or office.logo is None:
            return self._no_image()
        body = await run_in_threadpool(self._studio.logo, office.office_id, office.logo)
        return self._image(call, body, office.logo_updated)

    async def _portrait(self, call: Call) -> Answer:
        address, roster = read_portrait_path(call.request.url.path), self._world.roster
        state = None if address is None else roster.agents.live.get(address[0])
        updated = None if state is None else roster.agent(state).photo_updated
        if address is None or updated is None or eastern_ticks(ticks(updated)) != address[1]:
            return self._no_image()
        body = await run_in_threadpool(self._studio.portrait, address[0], updated, address[2])
        return self._image(call, body, updated)

    def _find(self, address: PhotoAddress) -> tuple[int, int, int] | None:
        """Key, photo id and ticks of the photo that an address names, if it is the present one."""
        world = self._world
        for key in keys_of_listing_id(address.listing_id):
            state = world.listings.get(key)
            if state is None or place_of(world.seed, key).board != address.board:
                continue
            for photo in photos(world.seed, state, world.max_photos):
                same_place = photo.sequence == address.sequence
                if same_place and eastern_ticks(photo.ticks) == address.eastern_ticks:
                    return key, photo.photo_id, photo.ticks
        return None

    def _no_image(self) -> Answer:
        self._world.statistics.images["not_found"] += 1
        return plain("Not Found", 404)

    def _image(self, call: Call, body: bytes, seconds: int) -> Answer:
        statistics, request = self._world.statistics, call.request
        modified = format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)
        headers = {"ETag": f'"{sha256(body).hexdigest()[:32]}"', "Last-Modified": modified}
        if request.headers.get("if-none-match") == headers["ETag"]:
            statistics.images["not_modified"] += 1
            return Answer(Raw([]), 304, headers)
        if request.method == "GET":
            statistics.images["served"] += 1
            statistics.images_by_url[request.url.path] += 1
        return Answer(Raw([body]), headers={"Content-Type": "image/jpeg", **headers})
