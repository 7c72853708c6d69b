"""Images over HTTP.

What belongs here: one download, and what is refused. What does not: which images, and where the
bytes go.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from rets_pipeline.rets.images import image_type
from rets_pipeline.settings import PhotoSettings

_TIMEOUT = (10, 60)
_REDIRECTS = 3
_CHUNK = 1 << 16


class ImageAbsent(Exception):
    """The server says that there is no such image."""


class ImageRefused(Exception):
    """The image could not be loaded, or must not be; the message says why."""


@dataclass(frozen=True, slots=True)
class Image:
    """The bytes of an image, and what they show themselves to be."""

    data: bytes
    extension: str
    content_type: str


class Downloader:
    """Loads images from the hosts that the feed allows; for use by several threads.

    Attributes:
        requests: how many were sent.
    """

    def __init__(self, photos: PhotoSettings, user_agent: str) -> None:
        self.requests = 0
        self._photos = photos
        self._headers = {
            "User-Agent": user_agent,
            "Accept": "image/*",
            "Accept-Encoding": "identity",  # the end of a packed body can be missing unnoticed
        }
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._guard = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for session in self._sessions:
            session.close()

    def get(self, url: str) -> Image:
        """Load one image.

        Raises:
            ImageAbsent: 404 or 410.
            ImageRefused: anything else that is not a whole image.
        """
        try:
            return self._follow(url)
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            # ValueError, urllib3's own too: an address that only its parts' users find impossible.
            raise ImageRefused(f"{_place(url)}: {type(error).__name__}") from None

    def _follow(self, url: str) -> Image:
        for _ in range(_REDIRECTS + 1):
            self._check(url)
            with self._guard:
                self.requests += 1
            with self._session().get(
                url, stream=True, timeout=_TIMEOUT, allow_redirects=False, headers=self._headers
            ) as answer:
                if answer.is_redirect:
                    url = urljoin(url, answer.headers["Location"])
                    continue
                return self._read(url, answer)
        raise ImageRefused(f"{_place(url)}: more than {_REDIRECTS} redirects")

    def _read(self, url: str, answer: requests.Response) -> Image:
        if answer.status_code in (404, 410):
            raise ImageAbsent(f"{_place(url)}: HTTP {answer.status_code}")
        if answer.status_code != 200:
            raise ImageRefused(f"{_place(url)}: HTTP {answer.status_code}")
        pieces: list[bytes] = []
        size = 0
        for piece in answer.iter_content(_CHUNK):
            size += len(piece)
            if size > self._photos.max_bytes:
                raise ImageRefused(f"{_place(url)}: larger than {self._photos.max_bytes} bytes")
            pieces.append(piece)
        data = b"".join(pieces)
        length = answer.headers.get("Content-Length", "")
        if not answer.headers.get("Content-Encoding") and length.isdigit() and int(length) != size:
            raise ImageRefused(f"{_place(url)}: {size} of {length} bytes arrived")
        return _recognized(url, data)

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if parts.scheme not in ("http", "https") or not host:
            raise ImageRefused(f"{_place(url)}: not an http(s) address")
        if not any(_matches(host, pattern.lower()) for pattern in self._photos.hosts):
            raise ImageRefused(f"{_place(url)}: the host is not among photos.hosts of the feed")
        if not self._photos.allow_private_addresses and _is_private(host):
            raise ImageRefused(f"{_place(url)}: the host is on a private network")

    def _session(self) -> requests.Session:
        """One for each thread: ``requests`` does not promise more."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # a .netrc must not send passwords to an image host
            self._local.session = session
            with self._guard:
                self._sessions.append(session)
        return session


def _recognized(url: str, data: bytes) -> Image:
    """By its first bytes, whatever the server calls it (DDF: text under HTTP 200 occurs)."""
    found = image_type(data)
    if found is None:
        raise ImageRefused(f"{_place(url)}: the {len(data)} bytes are not an image")
    return Image(data, found.extension, found.content_type)


def _matches(host: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return host == pattern


def _is_private(host: str) -> bool:
    try:
        found = {item[4][0] for item in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False  # the request itself will tell
    return any(
        not ipaddress.ip_address(str(address).partition("%")[0]).is_global for address in found
    )


def _place(url: str) -> str:
    """The address without anything that might be secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.hostname or '?'}{parts.path}"
