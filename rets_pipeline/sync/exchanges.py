"""HTTP exchanges through libcurl, many at a time on one event loop.

What belongs here: how libcurl is set up, one exchange, and what went wrong with it. What does not:
which addresses may be asked for, what an answer means, and repetitions.

The library is libcurl by measurement: a photo costs the event loop half of what aiohttp takes
(``benchmarks/README.md``).
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import certifi
import pycurl

from rets_pipeline.sync.sockets import Sockets

_CONNECT_SECONDS, _SILENCE_SECONDS = 10, 60
#: seconds and bytes for the end of a body that is not wanted: its connection can then be kept
_UNWANTED_SECONDS, _UNWANTED_BYTES = 2.0, 1 << 16
#: ends an exchange: it is never the number of bytes that came
_NO_MORE = -1
_STATUS = re.compile(rb"http/\d(?:\.\d)?\s+(\d{3})", re.IGNORECASE)


class Broken(Exception):
    """No whole answer came; the message says why, without anything of the address."""


class TooSlow(Broken):
    """It took longer than the client's time."""


class AddressRefused(Broken):
    """All that the host's name means are addresses that must not be connected to."""


class AddressImpossible(Broken):
    """It cannot be read, and nothing was sent."""


class Enough(Exception):
    """Whoever takes a body wants no more of it."""


@dataclass(frozen=True, slots=True)
class Head:
    """What comes before a body.

    Attributes:
        status: HTTP's.
        headers: by their names in lower case; of several of one name the first.
    """

    status: int
    headers: Mapping[str, str]

    @property
    def length(self) -> int:
        """What it says of its body, in bytes; 0 when that is nothing, or no number."""
        text = self.headers.get("content-length", "")[:20]
        return int(text) if text.isascii() and text.isdigit() else 0


class Taker(Protocol):
    """Whoever takes an answer; what is raised ends the exchange, and comes out of it."""

    def begin(self, head: Head) -> bool:
        """The head is here; is the body wanted?"""
        ...

    def write(self, piece: bytes) -> None:
        """Take the next piece of a body that is wanted.

        Raises:
            Enough: the rest is not.
        """
        ...


class Client:
    """Sends requests, and keeps connections for the next ones; for one event loop.

    Neither environment (.netrc, proxies) nor cookies: nothing secret goes to any host.

    Args:
        headers: of every request.
        seconds: an exchange may take, its connection included.
        may_connect: to this address? Asked where a socket is opened: what a name means may change
            between a look at it and that.
    """

    def __init__(
        self, headers: Mapping[str, str], seconds: float, may_connect: Callable[[str], bool]
    ) -> None:
        self._headers = headers
        self._seconds = seconds
        self._may_connect = may_connect
        self._sockets: Sockets
        self._exchanges: list[_Exchange] = []
        self._idle: list[_Exchange] = []

    async def __aenter__(self) -> Self:
        self._sockets = Sockets()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._sockets.close()
        for exchange in self._exchanges:
            exchange.close()

    async def get(self, url: str, headers: Mapping[str, str], taker: Taker) -> Head:
        """Send one request, and take its answer. Redirects are not followed.

        Args:
            url: http or https, as nobody else needs to understand it: ASCII, and quoted.
            headers: besides the client's.
            taker: of the answer.

        Returns:
            The head. What becomes of a body that is not wanted does not matter.

        Raises:
            Broken: no whole answer came.
            Exception: the taker's.
        """
        if not self._idle:
            made = _Exchange(self._sockets, self._headers, self._seconds, self._may_connect)
            self._exchanges.append(made)
            self._idle.append(made)
        exchange = self._idle.pop()
        try:
            return await exchange.run(url, headers, taker)
        finally:
            self._idle.append(exchange)


class _Exchange:
    """One at a time, again and again."""

    def __init__(
        self,
        sockets: Sockets,
        headers: Mapping[str, str],
        seconds: float,
        may_connect: Callable[[str], bool],
    ) -> None:
        self._sockets = sockets
        self._headers = headers
        self._seconds = seconds
        self._may_connect = may_connect
        self._handle = handle = pycurl.Curl()
        for option, value in _OPTIONS.items():
            handle.setopt(option, value)
        handle.setopt(*_trusted())
        handle.setopt(pycurl.TIMEOUT_MS, max(1, round(seconds * 1000)))
        handle.setopt(pycurl.CONNECTTIMEOUT, _CONNECT_SECONDS)
        handle.setopt(pycurl.LOW_SPEED_LIMIT, 1)
        handle.setopt(pycurl.LOW_SPEED_TIME, _SILENCE_SECONDS)
        handle.setopt(pycurl.HTTPHEADER, _written(headers))
        handle.setopt(pycurl.HEADERFUNCTION, self._hear)
        handle.setopt(pycurl.WRITEFUNCTION, self._take)
        handle.setopt(pycurl.OPENSOCKETFUNCTION, self._opened)

    def close(self) -> None:
        self._handle.close()

    def _reset(self, taker: Taker) -> None:
        self._taker = taker
        self._lines: list[bytes] = []
        self._head: Head | None = None
        self._is_wanted = True
        self._ignored = 0
        self._timer: asyncio.Handle | None = None
        self._fault: BaseException | None = None
        self._sockets_opened = self._sockets_refused = 0
        self._no_socket: OSError | None = None

    async def run(self, url: str, headers: Mapping[str, str], taker: Taker) -> Head:
        self._reset(taker)
        code = await self._transferred(url, headers)
        if self._fault is not None and not isinstance(self._fault, Enough):
            raise self._fault
        if self._head is None or (code and self._is_wanted and self._fault is None):
            raise self._meaning(code)
        return self._head

    async def _transferred(self, url: str, headers: Mapping[str, str]) -> int:
        """What went wrong, as a code of libcurl's; or 0."""
        if headers:
            self._handle.setopt(pycurl.HTTPHEADER, _written({**self._headers, **headers}))
        try:
            self._handle.setopt(pycurl.URL, url)
            await self._sockets.transfer(self._handle)
        except UnicodeEncodeError:
            return pycurl.E_URL_MALFORMAT
        except pycurl.error as error:
            return int(error.args[0])
        finally:
            if headers:
                self._handle.setopt(pycurl.HTTPHEADER, _written(self._headers))
            if self._timer is not None:
                self._timer.cancel()
        return pycurl.E_OK

    # libcurl calls these; it would print what they raise, and go on.

    def _hear(self, line: bytes) -> int | None:
        if self._head is not None:
            return None  # behind the body
        if line not in (b"\r\n", b"\n"):
            self._lines.append(line)
            return None
        try:
            return self._begin(_head_of(self._lines))
        except BaseException as fault:
            self._fault = fault
            return _NO_MORE

    def _begin(self, head: Head) -> int | None:
        self._lines = []
        if 100 <= head.status < 200:
            return None  # another one follows (RFC 9110, 15.2)
        self._is_wanted = self._taker.begin(head)
        self._head = head
        if self._is_wanted:
            return None
        self._timer = self._sockets.stop_in(_UNWANTED_SECONDS, self._handle)
        return _NO_MORE if head.length > _UNWANTED_BYTES else None

    def _take(self, piece: bytes) -> int | None:
        if not self._is_wanted:
            self._ignored += len(piece)
            return _NO_MORE if self._ignored > _UNWANTED_BYTES else None
        try:
            if self._head is None:
                raise Broken("the connection broke (a body without a head)")
            self._taker.write(piece)
        except BaseException as fault:
            self._fault = fault
            return _NO_MORE
        return None

    def _opened(self, _purpose: int, address: Any) -> int:
        family, kind, protocol, target = address
        if not self._may_connect(str(target[0])):
            self._sockets_refused += 1
            return pycurl.SOCKET_BAD
        self._sockets_opened += 1
        try:
            return socket.socket(family, kind, protocol).detach()
        except OSError as error:  # too many open files, say
            self._no_socket = error
            return pycurl.SOCKET_BAD

    def _meaning(self, code: int) -> Broken:
        if code == pycurl.E_COULDNT_CONNECT:
            return self._no_connection()
        if code == pycurl.E_URL_MALFORMAT:
            return AddressImpossible("such an address is impossible")
        if code == pycurl.E_OPERATION_TIMEDOUT:
            if self._handle.getinfo(pycurl.TOTAL_TIME) >= self._seconds:
                return TooSlow(f"not here after {self._seconds:g} s")
            if not self._handle.getinfo(pycurl.REQUEST_SIZE):
                return Broken(f"no connection after {_CONNECT_SECONDS} s")
            return Broken(f"silence for {_SILENCE_SECONDS} s")
        return Broken(_WORDS.get(code) or f"the connection broke (libcurl's error {code})")

    def _no_connection(self) -> Broken:
        if self._sockets_refused and not self._sockets_opened:
            return AddressRefused("the host's address is refused")
        number = int(self._handle.getinfo(pycurl.OS_ERRNO))
        if number == errno.ECONNREFUSED:
            return Broken("the host refuses connections")
        if self._no_socket is not None:
            return Broken(f"no connection: {self._no_socket.strerror}")
        return Broken(f"no connection: {os.strerror(number)}" if number else "no connection")


_OPTIONS: dict[int, object] = {
    pycurl.NOSIGNAL: 1,
    # A usual photo at once costs a tenth less than in two pieces; with much more, a host that sends
    # byte by byte in chunks would keep the others waiting for seconds.
    pycurl.BUFFERSIZE: 128 * 1024,
    pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
    pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
    pycurl.PROXY: "",
    pycurl.NETRC: pycurl.NETRC_IGNORED,
    pycurl.FOLLOWLOCATION: 0,
    # What came in is what must be looked at; and a body may lie about its packing.
    pycurl.HTTP_CONTENT_DECODING: 0,
    pycurl.PATH_AS_IS: 1,
    # Seconds. Half as long it believes that a name is not known: a repetition must ask again.
    pycurl.DNS_CACHE_TIMEOUT: 1,
}

_WORDS: dict[int, str] = {
    pycurl.E_OK: "the answer breaks off",  # within its head, which libcurl does not mind
    pycurl.E_COULDNT_RESOLVE_HOST: "the host's name is not known",
    pycurl.E_PEER_FAILED_VERIFICATION: "the host's certificate is not trusted",
    pycurl.E_SSL_CONNECT_ERROR: "the host offers no encryption that fits",
    pycurl.E_SSL_CACERT_BADFILE: "the file of trusted certificates cannot be read",
    pycurl.E_PARTIAL_FILE: "the answer breaks off",
    pycurl.E_GOT_NOTHING: "the host ended the connection without an answer",
    pycurl.E_RECV_ERROR: "the connection broke",
    pycurl.E_SEND_ERROR: "the connection broke",
}


def _trusted() -> tuple[int, str]:
    """The certificates that are trusted, which are those of ``requests``; an option."""
    named = (os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
    place = next(filter(None, named), certifi.where())
    return (pycurl.CAPATH if Path(place).is_dir() else pycurl.CAINFO), place


def _written(headers: Mapping[str, str]) -> list[bytes]:
    return [f"{name}: {value}".encode() for name, value in headers.items()]


def _head_of(lines: list[bytes]) -> Head:
    found = _STATUS.match(lines[0]) if lines else None
    if found is None:
        raise Broken("the connection broke (no status)")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        key = name.strip().lower().decode("latin-1")
        headers.setdefault(key, value.strip().decode("utf-8", "surrogateescape"))
    return Head(int(found[1]), headers)
