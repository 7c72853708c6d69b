"""A small server that speaks Nominatim's format, and fails as real ones do.

What belongs here: the server. What does not: tests.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Reply:
    """One answer.

    Attributes:
        document: sent as JSON, unless there is a body.
        seconds: before anything is sent.
        drip: seconds between the bytes of the body.
    """

    document: Any = None
    status: int = 200
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    drip: float = 0.0


@dataclass
class Asked:
    """One request."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


class GeocoderServer(ThreadingHTTPServer):
    """Answers ``replies`` one after another, and then ``fallback``.

    Attributes:
        asked: every request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies: list[Reply] = []
        self.fallback: Callable[[dict[str, str]], Reply] = lambda query: Reply([])
        self.asked: list[Asked] = []
        self.guard = threading.Lock()

    @property
    def host(self) -> str:
        """For the settings."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """A client that goes away is nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    server: GeocoderServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.guard:
            self.server.asked.append(Asked(parts.path, query, headers))
            replies = self.server.replies
            reply = replies.pop(0) if replies else self.server.fallback(query)
        time.sleep(reply.seconds)
        body = json.dumps(reply.document).encode() if reply.body is None else reply.body
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not reply.drip:
            self.wfile.write(body)
            return
        for number in range(len(body)):
            self.wfile.write(body[number : number + 1])
            time.sleep(reply.drip)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def geocoder_server() -> Iterator[GeocoderServer]:
    """A server that answers as long as the block runs."""
    with GeocoderServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def house(latitude: float, longitude: float, **more: Any) -> dict[str, Any]:
    """A house as Nominatim describes it."""
    parts = {
        "house_number": "1255",
        "road": "Main Street West",
        "city": "Vancouver",
        "state": "British Columbia",
        "ISO3166-2-lvl4": "CA-BC",
        "postcode": "V6B 1A1",
        "country": "Canada",
        "country_code": "ca",
    }
    return {
        "place_id": 1,
        "lat": str(latitude),
        "lon": str(longitude),
        "class": "place",
        "type": "house",
        "addresstype": "place",
        "place_rank": 30,
        "importance": 0.0001,
        "display_name": "1255, Main Street West, Vancouver, British Columbia, V6B 1A1, Canada",
        "address": {**parts, **more.pop("address", {})},
        **more,
    }


def road(latitude: float, longitude: float, **more: Any) -> dict[str, Any]:
    """A street without its houses."""
    found = house(latitude, longitude, **more)
    del found["address"]["house_number"]
    return {**found, "class": "highway", "type": "residential", "addresstype": "road"}


def town(latitude: float, longitude: float, **parts: Any) -> dict[str, Any]:
    """A town."""
    return {
        "lat": str(latitude),
        "lon": str(longitude),
        "class": "boundary",
        "type": "administrative",
        "addresstype": "city",
        "display_name": "Vancouver, British Columbia, Canada",
        "address": {
            "city": "Vancouver",
            "state": "British Columbia",
            "country_code": "ca",
            **parts,
        },
    }
