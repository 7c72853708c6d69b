"""The server: DDF's transactions and photos over HTTP.

What belongs here: routes, headers, cookies, compression, the shape of RETS answers. What does
not: what a search finds (``search``), and the ``/_sandbox`` side (``control``).
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import sha256
from html import escape
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from rets_pipeline.sandbox import metadata, search
from rets_pipeline.sandbox.authentication import SESSION_COOKIE, Digest, Sessions
from rets_pipeline.sandbox.clock import eastern_ticks, ticks_to_seconds
from rets_pipeline.sandbox.control import control_routes
from rets_pipeline.sandbox.listing import keys_of_listing_id, photos, place_of
from rets_pipeline.sandbox.photos import PhotoAddress, Studio, read_logo_path, read_photo_path
from rets_pipeline.sandbox.world import Sandbox

_LOG = logging.getLogger(__name__)
_MOST_BODY_BYTES = 1_000_000
_VERSION = "RETS/1.7.2"
_URLS = {
    "Login": "/Login.svc/Login",
    "Logout": "/Logout.svc/Logout",
    "Search": "/Search.svc/Search",
    "GetMetadata": "/Metadata.svc/GetMetadata",
    "GetObject": "/Object.svc/GetObject",
}
_Arguments = dict[str, str]
_Transaction = Callable[[Request, _Arguments], Response]


def create_app(world: Sandbox) -> Starlette:
    """The application that serves a world. One world belongs to one application."""
    return _Server(world).application()


class _Server:
    def __init__(self, world: Sandbox) -> None:
        self._world = world
        self._studio = Studio(world.seed)
        self._digest = Digest(world.username, world.password)
        self._sessions = Sessions(world.statistics, world.single_session, world.session_seconds)

    def application(self) -> Starlette:
        transactions: dict[str, _Transaction] = {
            "Login": self._login,
            "Logout": self._logout,
            "Search": self._search,
            "GetMetadata": self._metadata,
            "GetObject": self._object,
        }
        routes = [
            Route(url, self._endpoint(name, transactions[name]), methods=["GET", "POST"])
            for name, url in _URLS.items()
        ]
        routes.append(Route("/listings/{rest:path}", self._photo, methods=["GET"]))
        routes.append(Route("/organization/{rest:path}", self._logo, methods=["GET"]))
        routes.extend(control_routes(self._world, self._studio, self._sessions))
        return Starlette(routes=routes)

    # --- RETS ---------------------------------------------------------------------------------

    def _endpoint(
        self, name: str, transaction: _Transaction
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            await self._wait()
            refusal = self._authenticate(request)
            if refusal is not None:
                return refusal
            if not request.headers.get("rets-version", "").removeprefix("RETS/").startswith("1."):
                return self._refuse(request, 20036, "Missing or invalid RETS-Version header")
            if name != "Login" and not self._sessions.is_open(_session(request)):
                gone = name == "Logout" and _session(request) is not None
                code = (20702, "Logout Failed") if gone else (20701, "Not Logged In")
                return self._refuse(request, *code)
            arguments = await _arguments(request)
            if arguments is None:
                return PlainTextResponse("The request is too large.", 413)
            self._world.statistics.requests[name] += 1
            return transaction(request, arguments)

        return endpoint

    async def _wait(self) -> None:
        if self._world.behaviour.latency:
            await asyncio.sleep(self._world.behaviour.latency)

    def _authenticate(self, request: Request) -> Response | None:
        path = request.scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
        query = request.scope["query_string"].decode("latin-1")
        header = request.headers.get("authorization", "")
        right, stale = self._digest.check(header, request.method, path, query)
        if right:
            return None
        self._world.statistics.unauthorized += 1
        headers = {"WWW-Authenticate": self._digest.challenge(stale=stale)}
        return PlainTextResponse("Access denied", 401, headers)

    def _login(self, request: Request, _: _Arguments) -> Response:
        session = self._sessions.login(_session(request))
        if session is None:
            return self._refuse(request, 20022, "Additional login not permitted")
        base = _base_url(request)
        now = search.now_text()
        values = {
            "MemberName": self._world.username,
            "User": "1234567,,,1234567",
            "Broker": "7654321",
            "MetadataVersion": metadata.VERSION,
            "MinMetadataVersion": metadata.VERSION,
            "MetadataTimestamp": now,
            "MinMetadataTimestamp": now,
            **{name: base + url for name, url in _URLS.items()},
        }
        lines = "".join(f"{name}={escape(value)}\r\n" for name, value in values.items())
        response = _answer(request, f"<RETS-RESPONSE>\r\n{lines}</RETS-RESPONSE>")
        response.set_cookie(SESSION_COOKIE, session, httponly=True)
        response.set_cookie("ASP.NET_SessionId", session[:24], httponly=True, samesite="lax")
        return response

    def _logout(self, request: Request, _: _Arguments) -> Response:
        self._sessions.logout(_session(request) or "")
        response = _answer(request, "<RETS-RESPONSE>\r\n</RETS-RESPONSE>")
        response.delete_cookie(SESSION_COOKIE)
        return response

    def _search(self, request: Request, arguments: _Arguments) -> Response:
        statistics = self._world.statistics
        try:
            query = search.read(arguments)
        except search.SearchError as error:
            statistics.searches["invalid"] += 1
            return self._refuse(request, error.code, error.text)
        statistics.searches[query.kind] += 1
        if query.kind == "details" and query.resource == "Property":
            for change in self._world.behaviour.take_before_details():
                self._world.change(change)
        try:
            pieces = search.answer(self._world, query, _base_url(request))
        except search.SearchError as error:
            return self._refuse(request, error.code, error.text)
        return _stream(request, pieces, clean_end=self._world.behaviour.truncate_cleanly)

    def _metadata(self, request: Request, arguments: _Arguments) -> Response:
        try:
            return _answer(request, metadata.answer(arguments))
        except metadata.MetadataError as error:
            return self._refuse(request, error.code, error.text)

    def _object(self, request: Request, arguments: _Arguments) -> Response:
        # DDF: images have not been sent this way since 2020-07-06.
        if arguments.get("resource") in ("Property", "Agent", "Office"):
            return self._refuse(request, 20403, "No Object Found")
        return self._refuse(request, 20413, "Miscellaneous error: images are served by address")

    def _refuse(self, request: Request, code: int, text: str) -> Response:
        self._world.statistics.reply_codes[str(code)] += 1
        return _answer(request, "", code, text)

    # --- images -------------------------------------------------------------------------------

    async def _photo(self, request: Request) -> Response:
        await self._wait()
        path = request.url.path
        status = (self._world.behaviour.image_status or {}).get(path)
        if status is not None:
            self._world.statistics.images["not_found"] += status == 404
            return PlainTextResponse("The sandbox was told to answer so.", status)
        address = read_photo_path(path)
        found = None if address is None else self._find(address)
        if address is None or found is None:
            return self._no_image()
        key, photo_id, moment = found
        body = await run_in_threadpool(self._studio.photo, key, photo_id, moment, address.size)
        return self._image(request, body, ticks_to_seconds(moment))

    async def _logo(self, request: Request) -> Response:
        await self._wait()
        office_id = read_logo_path(request.url.path)
        if office_id is None or office_id not in self._world.roster.office_ids():
            return self._no_image()
        office = self._world.roster.office(office_id)
        body = await run_in_threadpool(self._studio.logo, office_id)
        return self._image(request, body, office.updated) if office.has_logo else self._no_image()

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

    def _no_image(self) -> Response:
        self._world.statistics.images["not_found"] += 1
        return PlainTextResponse("Not Found", 404)

    def _image(self, request: Request, body: bytes, seconds: int) -> Response:
        statistics = self._world.statistics
        modified = format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)
        headers = {"ETag": f'"{sha256(body).hexdigest()[:32]}"', "Last-Modified": modified}
        if request.headers.get("if-none-match") == headers["ETag"]:
            statistics.images["not_modified"] += 1
            return Response(status_code=304, headers=headers)
        if request.method == "GET":
            statistics.images["served"] += 1
            statistics.images_by_url[request.url.path] += 1
        return Response(body, media_type="image/jpeg", headers=headers)


def _session(request: Request) -> str | None:
    return request.cookies.get(SESSION_COOKIE)


def _base_url(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers.get('host') or request.url.netloc}"


async def _arguments(request: Request) -> _Arguments | None:
    """The arguments of a GET or of a form, names in lower case; None when there are too many."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BODY_BYTES:
            return None
    texts = (request.scope["query_string"].decode("latin-1"), body.decode("utf-8", "replace"))
    pairs = [pair for text in texts for pair in parse_qsl(text, keep_blank_values=True)]
    return {name.lower(): value for name, value in pairs}


def _answer(request: Request, inside: str, code: int = 0, text: str = "") -> Response:
    words = escape(text or "Operation Successful")
    head = f'{search.DECLARATION}<RETS ReplyCode="{code}" ReplyText="{words}"'
    return _stream(request, iter([f"{head}>{inside}</RETS>" if inside else f"{head} />"]))


def _stream(request: Request, pieces: Iterator[str], *, clean_end: bool = False) -> Response:
    headers = {"RETS-Version": _VERSION, "Cache-Control": "private"}
    parts: Iterable[bytes] = (piece.encode() for piece in _until_broken(pieces, clean_end))
    if "gzip" in request.headers.get("accept-encoding", "").lower():
        headers["Content-Encoding"] = "gzip"
        parts = _compressed(parts)
    return StreamingResponse(parts, media_type="text/xml", headers=headers)


def _until_broken(pieces: Iterator[str], clean_end: bool) -> Iterator[str]:
    try:
        yield from pieces
    except search.BrokenOff:
        # With an exception the server closes the connection in the middle of the body.
        if not clean_end:
            raise


def _compressed(parts: Iterable[bytes]) -> Iterator[bytes]:
    squeezer = zlib.compressobj(level=4, wbits=31)
    try:
        for part in parts:
            packed = squeezer.compress(part)
            if packed:
                yield packed
    except search.BrokenOff:
        # What was written so far goes out before the connection ends.
        yield squeezer.flush(zlib.Z_SYNC_FLUSH)
        raise
    yield squeezer.flush()
