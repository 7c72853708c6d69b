"""Images over HTTP.

What belongs here: one download with its repetitions, and what is refused. What does not: which
images, and where the bytes go.

The library is aiohttp, by measurement: it needs an eighth of the processor time of ``requests``
for a photo (``python -m benchmarks images``).
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from rets_pipeline.settings import PhotoSettings
from rets_pipeline.sync import hosts
from rets_pipeline.sync.hosts import Host
from rets_pipeline.sync.received import IN_MEMORY, Received

_CONNECT_SECONDS, _SILENCE_SECONDS = 10.0, 60.0
_REDIRECTS = 3
#: requests for one image in one run, the first one included
_ATTEMPTS = 3
_CHUNK = 1 << 16
#: below 500, a fault of the host rather than of the image: worth another request
_HOSTS_OWN = frozenset({408, 425, 429})
#: a longer validator is none
_LONGEST_VALIDATOR = 1_000
_IMPOSSIBLE = "such an address is impossible"
_PACKINGS = ("gzip", "x-gzip", "deflate")
_PRIVATE = "the host is on a private network"
#: RFC 6052: addresses of version 4 behind a translator
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
#: RFC 4291, 2.4: of version 6, all addresses of the internet so far
_INTERNET = ipaddress.IPv6Network("2000::/3")


class ImageAbsent(Exception):
    """The server says that there is no such image."""


class ImageRefused(Exception):
    """The image could not be loaded, or must not be; the message says why.

    Attributes:
        retry_after: seconds that the host wants to be left in peace, or None.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ImagePostponed(Exception):
    """The host is left alone for the rest of the run; nothing is known about the image."""


class ImageUnchanged(Exception):
    """The host says that the bytes are those that are held."""


class _HostFault(ImageRefused):
    """The host did not answer, or with a fault of its own."""


class _Forbidden(ImageRefused):
    """The host lets us not in: if it says so of everything, it wants no requests of ours."""


class _TooSlow(ImageRefused):
    """The answer took too long; the next one hardly comes sooner."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells whether the bytes behind an address are those that are held (RFC 9110, 13.1).

    Attributes:
        etag: that came with them.
        last_modified: likewise.
    """

    etag: str | None = None
    last_modified: str | None = None

    def headers(self) -> dict[str, str]:
        """Of a conditional request; none without anything to compare."""
        headers = {}
        if self.etag:
            headers["If-None-Match"] = self.etag
        if self.last_modified:
            headers["If-Modified-Since"] = self.last_modified
        return headers


class Downloader:
    """Loads images from the hosts that the feed allows; for one event loop.

    Attributes:
        requests: how many were sent.
    """

    def __init__(self, photos: PhotoSettings, user_agent: str) -> None:
        self.requests = 0
        self._photos = photos
        self._hosts: dict[str, Host] = {}
        self._admitted: dict[str, Host] = {}  # by what their addresses begin with
        self._headers = {
            "User-Agent": user_agent,
            "Accept": "image/*",
            "Accept-Encoding": "identity",  # the end of a packed body can be missing unnoticed
        }
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        # Neither environment (.netrc, proxies) nor cookies: nothing secret goes to an image host.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # the callers' number is the limit
                ttl_dns_cache=300,
                socket_factory=self._socket,
            ),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS
            ),
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            read_bufsize=1 << 18,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    @property
    def hosts_left_alone(self) -> list[str]:
        """Those of which nothing more is asked."""
        return sorted(name for name, host in self._hosts.items() if host.left_alone)

    async def get(self, url: str, held: Validators | None = None) -> Received:
        """Load one image. What the host cannot do now is asked for again, later and later.

        Args:
            url: of the image.
            held: of the bytes that are held, if they came from there.

        Returns:
            The body, which the caller closes. What it is has not been looked at.

        Raises:
            ImageAbsent: 404 or 410.
            ImageUnchanged: the bytes are those that are held.
            ImagePostponed: the host is left alone.
            ImageRefused: anything else than a body.
        """
        failed: _HostFault | None = None
        for repetition in range(1, _ATTEMPTS + 1):
            try:
                return await self._follow(url, held)
            except _HostFault as fault:
                failed = fault
            except ImagePostponed:
                if failed is None:
                    raise
                break  # it was asked for and failed, which must not be forgotten
            if repetition < _ATTEMPTS:
                await asyncio.sleep(hosts.pause_before(repetition))
        raise ImageRefused(str(failed), retry_after=failed.retry_after if failed else None)

    async def _follow(self, url: str, held: Validators | None) -> Received:
        senders: list[Host] = []
        for _ in range(_REDIRECTS + 1):
            host, target = self._host(url)
            async with host:
                if host.left_alone:
                    for sender in senders:
                        sender.failed(None)  # whoever sends everybody there need not be asked
                    raise ImagePostponed(f"{place_of(url)}: the host is left alone for now")
                found = await self._ask(url, target, host, held)
            if isinstance(found, Received):
                for sender in senders:
                    sender.succeeded()
                return found
            senders.append(host)
            url = found
        raise ImageRefused(f"{place_of(url)}: more than {_REDIRECTS} redirects")

    async def _ask(
        self, url: str, target: URL, host: Host, held: Validators | None
    ) -> Received | str:
        """The body, or where it is; the host's books are kept."""
        try:
            found = await self._answer(url, target, held)
        except (_HostFault, _Forbidden, _TooSlow) as fault:
            host.failed(fault.retry_after)
            raise
        except (ImageAbsent, ImageUnchanged, ImageRefused):
            host.succeeded()
            raise
        if isinstance(found, Received):
            host.succeeded()
        return found

    async def _answer(self, url: str, target: URL, held: Validators | None) -> Received | str:
        headers = held.headers() if held else None
        seconds = self._photos.timeout_seconds
        self.requests += 1
        try:
            # Of this request alone: whoever waits for the host's turn has not begun.
            async with (
                asyncio.timeout(seconds) as clock,
                self._session.get(target, allow_redirects=False, headers=headers) as answer,
            ):
                return await self._understood(url, answer)
        except (
            aiohttp.InvalidURL
        ):  # and those of its kind: an address that aiohttp finds impossible
            raise ImageRefused(f"{place_of(url)}: {_IMPOSSIBLE}") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if clock.expired():
                raise _TooSlow(f"{place_of(url)}: not here after {seconds:g} s") from None
            if _PRIVATE in str(error):
                raise ImageRefused(f"{place_of(url)}: {_PRIVATE}") from None
            raise _HostFault(f"{place_of(url)}: {_words(error)}") from None
        except ValueError:  # an address that only its parts' users find impossible
            raise ImageRefused(f"{place_of(url)}: {_IMPOSSIBLE}") from None

    async def _understood(self, url: str, answer: aiohttp.ClientResponse) -> Received | str:
        if answer.status >= 500 or answer.status in _HOSTS_OWN:
            wait = hosts.retry_after(answer.headers.get("Retry-After"))
            raise _HostFault(f"{place_of(url)}: HTTP {answer.status}", retry_after=wait)
        if answer.status in (401, 403):
            raise _Forbidden(f"{place_of(url)}: HTTP {answer.status}")
        if answer.status in (404, 410):
            raise ImageAbsent(f"{place_of(url)}: HTTP {answer.status}")
        if answer.status in (301, 302, 303, 307, 308) and "Location" in answer.headers:
            return urljoin(url, answer.headers["Location"])
        if answer.status == 304 and any(
            name in answer.request_info.headers for name in ("If-None-Match", "If-Modified-Since")
        ):
            raise ImageUnchanged(f"{place_of(url)}: HTTP 304")
        if answer.status != 200:
            raise ImageRefused(f"{place_of(url)}: HTTP {answer.status}")
        return await self._body(url, answer)

    async def _body(self, url: str, answer: aiohttp.ClientResponse) -> Received:
        limit = self._photos.max_bytes
        # Any other word is a mistake of the host's: the bytes themselves tell what they are.
        packed = answer.headers.get("Content-Encoding", "").strip().lower() in _PACKINGS
        length = None if packed else answer.content_length
        etag, modified = (_validator(answer, name) for name in ("ETag", "Last-Modified"))
        if length is not None and length > limit:
            raise _too_large(url, limit)
        if length is not None and length <= IN_MEMORY:
            return Received(await answer.read(), etag=etag, last_modified=modified)
        received = Received(etag=etag, last_modified=modified)
        try:
            chunks = answer.content.iter_chunked(_CHUNK)
            async for piece in _unpacked(answer, chunks) if packed else chunks:
                received.write(piece)
                if received.bytes > limit:
                    raise _too_large(url, limit)
        except BaseException:
            received.close()
            raise
        return received

    def _host(self, url: str) -> tuple[Host, URL]:
        """The host of an address that may be asked, and the address as the library reads it.

        Raises:
            ImageRefused: it may not.
        """
        # All photos of a host begin alike, and nothing behind that decides who is asked.
        scheme, mark, rest = url.partition("://")
        beginning = scheme + mark + rest.partition("/")[0]
        host = self._admitted.get(beginning)
        if host is None:
            host = self._admitted[beginning] = self._admit(url)
        try:
            return host, URL(url)
        except ValueError:
            raise ImageRefused(f"{place_of(url)}: {_IMPOSSIBLE}") from None

    def _admit(self, url: str) -> Host:
        try:
            parts = urlsplit(url)
            name, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            raise ImageRefused(f"{place_of(url)}: {_IMPOSSIBLE}") from None
        if parts.scheme not in ("http", "https") or not name:
            raise ImageRefused(f"{place_of(url)}: not an http(s) address")
        if not any(_matches(name, pattern.lower()) for pattern in self._photos.hosts):
            raise ImageRefused(f"{place_of(url)}: the host is not among photos.hosts of the feed")
        try:
            target = URL(url)
            asked = (target.host, target.raw_host)
        except ValueError:
            raise ImageRefused(f"{place_of(url)}: {_IMPOSSIBLE}") from None
        # Two readers of one address must not see two hosts. Version 6 has several spellings.
        if name not in asked and ":" not in name:
            raise ImageRefused(f"{place_of(url)}: {_IMPOSSIBLE}")
        key = f"{name}:{port}" if port else name
        if key not in self._hosts:
            photos = self._photos
            per_host = photos.connections_per_host or photos.connections
            self._hosts[key] = Host(per_host, photos.requests_per_second)
        return self._hosts[key]

    def _socket(self, address: Any) -> socket.socket:
        """A socket to an address that the host's name has just been resolved to.

        Here, and not when the name is looked at: what a name means may change in between.
        """
        family, kind, protocol, _, target = address
        if not self._photos.allow_private_addresses and not _is_public(str(target[0])):
            raise PermissionError(errno.EACCES, _PRIVATE)
        return socket.socket(family=family, type=kind, proto=protocol)


async def _unpacked(
    answer: aiohttp.ClientResponse, chunks: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    """A body that was packed although nobody asked for it, in pieces that are never large.

    Raises:
        aiohttp.ClientPayloadError: it cannot be unpacked, or not to its end.
    """
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        async for chunk in chunks:
            while chunk:
                yield unpacker.decompress(chunk, _CHUNK)
                chunk = unpacker.unconsumed_tail
            if unpacker.eof:
                return  # what stands behind it is nobody's, and may have no end
        while piece := unpacker.decompress(unpacker.unconsumed_tail, _CHUNK):
            yield piece
    except zlib.error:
        raise aiohttp.ClientPayloadError("it cannot be unpacked") from None
    if not unpacker.eof:
        raise aiohttp.ClientPayloadError("it breaks off")


def _too_large(url: str, limit: int) -> ImageRefused:
    return ImageRefused(f"{place_of(url)}: larger than {limit} bytes")


def _words(error: Exception) -> str:
    """What went wrong on the line, without what the library quotes."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host's name is not known"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "the host's certificate is not trusted"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"no connection after {_CONNECT_SECONDS:g} s"
    if isinstance(error, aiohttp.ServerTimeoutError):
        return f"silence for {_SILENCE_SECONDS:g} s"
    if isinstance(error, aiohttp.ClientConnectorError):
        if error.os_error.errno == errno.ECONNREFUSED:
            return "the host refuses connections"
        return f"no connection: {error.os_error.strerror or type(error.os_error).__name__}"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer breaks off, or cannot be unpacked"
    return f"the connection broke ({type(error).__name__})"


def _matches(host: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return host == pattern


def _is_public(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # 2130706433, say, which a system takes for an address too
        return False
    meant: ipaddress.IPv4Address | ipaddress.IPv6Address | None = None
    if isinstance(found, ipaddress.IPv6Address):
        # Where an address of version 4 is meant, that one counts.
        meant = found.ipv4_mapped or found.sixtofour
        if found in _TRANSLATED:
            meant = ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
        if meant is None and found not in _INTERNET:
            return False
    return (meant or found).is_global and not found.is_multicast


def place_of(url: str) -> str:
    """The address without anything that might be secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    return printable(f"{parts.hostname or '?'}{parts.path}")


def printable(text: str) -> str:
    """Text of a server's as every database and terminal takes it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _validator(answer: aiohttp.ClientResponse, name: str) -> str | None:
    """A header that may be kept and sent back; None when it holds what no such header may."""
    value = answer.headers.get(name, "")
    is_one = value.isascii() and value.isprintable() and len(value) <= _LONGEST_VALIDATOR
    return value if value and is_one else None
