"""HTTP exchanges through libcurl, many at a time on one event loop.

What belongs here: how libcurl is set up, one exchange, and what went wrong with it. What does not:
which addresses may be asked for, what an answer means, and repetitions.

The library is libcurl by measurement: a photo costs the event loop half of what aiohttp takes
(``benchmarks/README.md``).
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import certifi
import pycurl

from rets_pipeline.sync.sockets import Sockets

_CONNECT_SECONDS, _SILENCE_SECONDS = 10, 60
_RECEIVED_AT_ONCE = 512 * 1024
#: ends an exchange: it is never the number of bytes that came
_NO_MORE = -1


class Broken(Exception):
    """No whole answer came; the message says why, without anything of the address.

    Attributes:
        head: of the answer, if so much came; its body did not come to its end.
    """

    head: Head | None = None


class TooSlow(Broken):
    """It took longer than the client's time."""


class AddressRefused(Broken):
    """The host's name means an address that must not be connected to."""


@dataclass(frozen=True, slots=True)
class Head:
    """What comes before a body.

    Attributes:
        status: HTTP's.
        headers: by their names in lower case; of several of one name the first.
    """

    status: int
    headers: Mapping[str, str]


#: takes a piece of a body; what it raises ends the exchange, and comes out of it
Write = Callable[[Head, bytes], None]


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

    async def get(self, url: str, headers: Mapping[str, str], write: Write) -> Head:
        """Send one request, and take its answer to the end. Redirects are not followed.

        Args:
            url: http or https, as nobody else needs to understand it: ASCII, and quoted.
            headers: besides the client's.
            write: gets the body.

        Raises:
            Broken: no whole answer came.
            Exception: that of ``write``.
        """
        if not self._idle:
            made = _Exchange(self._headers, self._seconds, self._may_connect)
            self._exchanges.append(made)
            self._idle.append(made)
        exchange = self._idle.pop()
        try:
            return await exchange.run(self._sockets, url, headers, write)
        finally:
            self._idle.append(exchange)


class _Exchange:
    """One at a time, again and again."""

    def __init__(
        self, headers: Mapping[str, str], seconds: float, may_connect: Callable[[str], bool]
    ) -> None:
        self._handle = handle = pycurl.Curl()
        self._headers = headers
        self._seconds = seconds
        self._may_connect = may_connect
        self._lines: list[bytes] = []
        self._write: Write
        self._head: Head | None = None
        self._fault: BaseException | None = None
        self._is_refused = False
        for option, value in _OPTIONS.items():
            handle.setopt(option, value)
        handle.setopt(pycurl.CAINFO, _trusted())
        handle.setopt(pycurl.TIMEOUT_MS, max(1, round(seconds * 1000)))
        handle.setopt(pycurl.CONNECTTIMEOUT, _CONNECT_SECONDS)
        handle.setopt(pycurl.LOW_SPEED_LIMIT, 1)
        handle.setopt(pycurl.LOW_SPEED_TIME, _SILENCE_SECONDS)
        handle.setopt(pycurl.HTTPHEADER, _written(headers))
        handle.setopt(pycurl.HEADERFUNCTION, self._lines.append)
        handle.setopt(pycurl.WRITEFUNCTION, self._take)
        handle.setopt(pycurl.OPENSOCKETFUNCTION, self._opened)

    async def run(
        self, sockets: Sockets, url: str, headers: Mapping[str, str], write: Write
    ) -> Head:
        self._lines.clear()
        self._write, self._head, self._fault, self._is_refused = write, None, None, False
        self._handle.setopt(pycurl.URL, url)
        if headers:
            self._handle.setopt(pycurl.HTTPHEADER, _written({**self._headers, **headers}))
        try:
            await sockets.transfer(self._handle)
        except pycurl.error as error:
            fault = self._fault or self._meaning(int(error.args[0]))
            if isinstance(fault, Broken) and self._lines and not self._lines[-1].strip():
                fault.head = self._head or _head_of(self._lines)
            raise fault from None
        finally:
            if headers:
                self._handle.setopt(pycurl.HTTPHEADER, _written(self._headers))
        return self._head or _head_of(self._lines)

    def close(self) -> None:
        self._handle.close()

    # libcurl calls these; it would print what they raise, and go on.

    def _take(self, piece: bytes) -> int | None:
        try:
            if self._head is None:
                self._head = _head_of(self._lines)
            self._write(self._head, piece)
        except BaseException as fault:
            self._fault = fault
            return _NO_MORE
        return None

    def _opened(self, _purpose: int, address: Any) -> socket.socket | int:
        family, kind, protocol, target = address
        try:
            if self._may_connect(str(target[0])):
                return socket.socket(family, kind, protocol)
            self._is_refused = True
        except OSError as error:  # too many open files, say
            self._fault = Broken(f"no connection: {error.strerror}")
        return pycurl.SOCKET_BAD

    def _meaning(self, code: int) -> Broken:
        if self._is_refused and code == pycurl.E_COULDNT_CONNECT:
            return AddressRefused("the host's address is refused")
        if code == pycurl.E_COULDNT_CONNECT:
            number = int(self._handle.getinfo(pycurl.OS_ERRNO))
            if number == errno.ECONNREFUSED:
                return Broken("the host refuses connections")
            return Broken(f"no connection: {os.strerror(number)}" if number else "no connection")
        if code == pycurl.E_OPERATION_TIMEDOUT:
            if self._handle.getinfo(pycurl.TOTAL_TIME) >= self._seconds:
                return TooSlow(f"not here after {self._seconds:g} s")
            if not self._handle.getinfo(pycurl.REQUEST_SIZE):
                return Broken(f"no connection after {_CONNECT_SECONDS} s")
            return Broken(f"silence for {_SILENCE_SECONDS} s")
        return Broken(_WORDS.get(code) or f"the connection broke (libcurl's error {code})")


_OPTIONS: dict[int, object] = {
    pycurl.NOSIGNAL: 1,
    pycurl.BUFFERSIZE: _RECEIVED_AT_ONCE,
    pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
    pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
    pycurl.PROXY: "",
    pycurl.NETRC: pycurl.NETRC_IGNORED,
    pycurl.FOLLOWLOCATION: 0,
    # What came in is what must be looked at; and a body may lie about its packing.
    pycurl.HTTP_CONTENT_DECODING: 0,
    pycurl.PATH_AS_IS: 1,
    pycurl.DNS_CACHE_TIMEOUT: 300,
}

_WORDS: dict[int, str] = {
    pycurl.E_COULDNT_RESOLVE_HOST: "the host's name is not known",
    pycurl.E_PEER_FAILED_VERIFICATION: "the host's certificate is not trusted",
    pycurl.E_SSL_CONNECT_ERROR: "the host offers no encryption that fits",
    pycurl.E_SSL_CACERT_BADFILE: "the file of trusted certificates cannot be read",
    pycurl.E_PARTIAL_FILE: "the answer breaks off",
}


def _trusted() -> str:
    """The file of the certificates that are trusted, which is that of ``requests``."""
    named = (os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
    return next(filter(None, named), certifi.where())


def _written(headers: Mapping[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in headers.items()]


def _head_of(lines: list[bytes]) -> Head:
    """What the last status line begins; others stand before it (RFC 9110, 15.2)."""
    status, headers = 0, dict[str, str]()
    is_first = True
    for line in lines:
        if is_first and line.startswith(b"HTTP/"):
            status, headers = int(line.split(None, 2)[1]), {}
        name, colon, value = line.partition(b":")
        if colon and not is_first:
            key = name.strip().lower().decode("latin-1")
            headers.setdefault(key, value.strip().decode("utf-8", "surrogateescape"))
        is_first = not line.strip()
    return Head(status, headers)
