"""Images over HTTP.

What belongs here: one download with its repetitions, and what is refused. What does not: which
images, where the bytes go, and the requests themselves (``exchanges``).
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import zlib
from dataclasses import dataclass
from typing import Self
from urllib.parse import urljoin, urlsplit

from yarl import URL

from rets_pipeline.settings import PhotoSettings
from rets_pipeline.sync import hosts
from rets_pipeline.sync.exchanges import (
    AddressImpossible,
    AddressRefused,
    Broken,
    Client,
    Enough,
    Head,
    TooSlow,
)
from rets_pipeline.sync.hosts import Host
from rets_pipeline.sync.received import Received

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
_NAME = re.compile(r"[0-9a-z_-]+(\.[0-9a-z_-]+)*\.?")
_NUMBER = re.compile(r"(^|\.)(\d+|0x[0-9a-f]*)\.?$")
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
        headers = {
            "User-Agent": user_agent,
            "Accept": "image/*",
            "Accept-Encoding": "identity",  # the end of a packed body can be missing unnoticed
        }
        self._client = Client(headers, photos.timeout_seconds, self._may_connect)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.__aexit__()

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
        headers = held.headers() if held else {}
        body = _Body(url, self._photos.max_bytes)
        self.requests += 1
        try:
            head = await self._client.get(str(target), headers, body)
            if head.status == 200:
                return body.whole()
        except AddressRefused:
            raise ImageRefused(f"{place_of(url)}: the host is on a private network") from None
        except AddressImpossible as error:
            raise ImageRefused(f"{place_of(url)}: {error}") from None
        except Broken as error:
            kind = _TooSlow if isinstance(error, TooSlow) else _HostFault
            raise kind(f"{place_of(url)}: {error}") from None
        finally:
            body.close()
        return _elsewhere(url, head, is_conditional=bool(headers))

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
            asked = (target.host or "", target.raw_host or "")
        except ValueError:
            raise ImageRefused(f"{place_of(url)}: {_IMPOSSIBLE}") from None
        # No two readers of one address may see two hosts.
        if not _is_one_host(name, *asked):
            raise ImageRefused(f"{place_of(url)}: {_IMPOSSIBLE}")
        key = f"{name}:{port}" if port else name
        if key not in self._hosts:
            photos = self._photos
            per_host = photos.connections_per_host or photos.connections
            self._hosts[key] = Host(per_host, photos.requests_per_second)
        return self._hosts[key]

    def _may_connect(self, address: str) -> bool:
        return self._photos.allow_private_addresses or _is_public(address)


class _Body:
    """What an address is answered with; unpacked, if it was packed although nobody asked."""

    def __init__(self, url: str, limit: int) -> None:
        self._url = url
        self._limit = limit
        self._received: Received
        self._is_open = False
        self._unpacker: zlib._Decompress | None = None

    def begin(self, head: Head) -> bool:
        """An image, or anything else.

        Raises:
            ImageRefused: it says that it is too large.
        """
        if head.status != 200:
            return False
        # Any other word is a mistake of the host's: the bytes themselves tell what they are.
        if head.headers.get("content-encoding", "").lower() in _PACKINGS:
            self._unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        elif head.length > self._limit:
            raise self._too_large()
        etag, modified = (_validator(head, name) for name in ("etag", "last-modified"))
        self._received = Received(etag=etag, last_modified=modified)
        self._is_open = True
        return True

    def write(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            Broken: it cannot be unpacked.
            Enough: it is behind the end of what was packed.
            ImageRefused: it is too large.
            NoRoom: it could not be kept.
        """
        if self._unpacker is None:
            self._keep(piece)
        elif self._unpacker.eof:
            raise Enough  # it is nobody's, and may have no end
        else:
            self._unpack(self._unpacker, piece)

    def whole(self) -> Received:
        """All of it, which the caller closes from now on.

        Raises:
            Broken: it is packed, and its end is missing.
        """
        if self._unpacker is not None and not self._unpacker.eof:
            raise Broken("the answer breaks off")
        self._is_open = False
        return self._received

    def close(self) -> None:
        """Forget what came and was not handed over."""
        if self._is_open:
            self._received.close()

    def _keep(self, piece: bytes) -> None:
        self._received.write(piece)
        if self._received.bytes > self._limit:
            raise self._too_large()

    def _unpack(self, unpacker: zlib._Decompress, piece: bytes) -> None:
        """In pieces that are never large."""
        try:
            while (unpacked := unpacker.decompress(piece, _CHUNK)) or unpacker.unconsumed_tail:
                self._keep(unpacked)
                piece = unpacker.unconsumed_tail
        except zlib.error:
            raise Broken("the answer cannot be unpacked") from None

    def _too_large(self) -> ImageRefused:
        return ImageRefused(f"{place_of(self._url)}: larger than {self._limit} bytes")


def _elsewhere(url: str, head: Head, *, is_conditional: bool) -> str:
    """The address that an answer without an image names."""
    if head.status >= 500 or head.status in _HOSTS_OWN:
        wait = hosts.retry_after(head.headers.get("retry-after"))
        raise _HostFault(f"{place_of(url)}: HTTP {head.status}", retry_after=wait)
    if head.status in (401, 403):
        raise _Forbidden(f"{place_of(url)}: HTTP {head.status}")
    if head.status in (404, 410):
        raise ImageAbsent(f"{place_of(url)}: HTTP {head.status}")
    if head.status in (301, 302, 303, 307, 308) and "location" in head.headers:
        try:
            return urljoin(url, head.headers["location"])
        except ValueError:
            raise ImageRefused(f"{place_of(url)}: a redirect to nowhere") from None
    if head.status == 304 and is_conditional:
        raise ImageUnchanged(f"{place_of(url)}: HTTP 304")
    raise ImageRefused(f"{place_of(url)}: HTTP {head.status}")


def _matches(host: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return host == pattern


def _is_one_host(name: str, host: str, raw_host: str) -> bool:
    """Nobody can read it as another one: as a number that means an address, say."""
    if ":" in name:
        # Without a zone: it may say anything, and not everybody heeds it. Spellings are several.
        address = _address(name)
        return address is not None and address == _address(raw_host) and "%" not in name
    if name not in (host, raw_host):
        return False
    if _NUMBER.search(raw_host):
        return _address(raw_host) is not None
    return _NAME.fullmatch(raw_host) is not None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


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


def _validator(head: Head, name: str) -> str | None:
    """A header that may be kept and sent back; None when it holds what no such header may."""
    value = head.headers.get(name, "")
    is_one = value.isascii() and value.isprintable() and len(value) <= _LONGEST_VALIDATOR
    return value if value and is_one else None
