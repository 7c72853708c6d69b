"""What a transaction answers, and how it goes out over the wire.

What belongs here: status, headers, the shapes of a RETS answer's body, compression, and the ways
in which an answer can break on its way. What does not: what an answer says.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Any, Protocol

from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DECLARATION = '<?xml version="1.0" encoding="utf-8"?>'
_TRANSPORT = "sandbox.transport"


class BrokenOff(Exception):
    """The answer ends here, in the middle, and so does its connection."""


class Content(Protocol):
    """A body that faults may still change before it is written."""

    def pieces(self) -> Iterator[bytes]:
        """The body as it is sent."""


@dataclass(slots=True)
class Raw:
    """A body that is nothing but bytes.

    Attributes:
        written: its pieces; an iterator is consumed by sending.
    """

    written: Iterable[bytes]

    def pieces(self) -> Iterator[bytes]:
        """The body as it is sent."""
        return iter(self.written)


@dataclass(slots=True)
class Wire:
    """How an answer goes out.

    Attributes:
        gzip: compressed when the client likes it; ``always`` also when it does not.
        gzip_damaged: the compressed bytes are wrong from the middle on.
        cut_at: of the body before compression, so many bytes go out.
        ending: of an answer that breaks off: ``broken`` closes the connection, ``reset`` resets
            it, ``clean`` ends the HTTP body as if it were whole.
        piece: so many bytes are sent at once, and then ``pause`` seconds nothing.
        pause: likewise.
        silent_at: after so many bytes of the body nothing more comes for ``silence`` seconds.
        silence: likewise.
        content_length: is sent, whether it is true or not.
        chunked: no Content-Length, whatever the size.
    """

    gzip: str = "wanted"
    gzip_damaged: bool = False
    cut_at: int | None = None
    ending: str = "broken"
    piece: int | None = None
    pause: float = 0.0
    silent_at: int | None = None
    silence: float = 0.0
    content_length: int | None = None
    chunked: bool = False


@dataclass(slots=True)
class Answer:
    """An answer that is not sent yet.

    Attributes:
        content: the body.
        status: of HTTP.
        headers: by name; names in their usual case.
        cookies: Set-Cookie values.
        challenges: WWW-Authenticate values.
        wire: how it goes out.
    """

    content: Content
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[str] = field(default_factory=list)
    challenges: list[str] = field(default_factory=list)
    wire: Wire = field(default_factory=Wire)

    def body(self) -> bytes:
        """The whole body; afterwards it is bytes only. One that breaks off keeps doing so."""
        collected = bytearray()
        try:
            for piece in self.content.pieces():
                collected += piece
        except BrokenOff:
            self.wire.cut_at = len(collected)
        self.content = Raw([bytes(collected)])
        return bytes(collected)

    def write(self, body: bytes) -> None:
        """Put other bytes in the place of the body."""
        self.content = Raw([body])


def rets(inside: str = "", code: int = 0, text: str = "Operation Successful") -> Answer:
    """A small RETS answer.

    Args:
        inside: of the RETS element.
        code: the reply code.
        text: its text.
    """
    head = f'{DECLARATION}<RETS ReplyCode="{code}" ReplyText="{escape(text)}"'
    written = f"{head}>{inside}</RETS>" if inside else f"{head} />"
    return Answer(Raw([written.encode()]), headers={"Content-Type": "text/xml"})


def stream(content: Content) -> Answer:
    """A RETS answer whose body is made while it is sent."""
    return Answer(content, headers={"Content-Type": "text/xml"}, wire=Wire(chunked=True))


def plain(text: str, status: int = 200, media_type: str = "text/plain; charset=utf-8") -> Answer:
    """An answer that is no RETS document."""
    return Answer(Raw([text.encode()]), status, {"Content-Type": media_type})


class Sent(Response):
    """Sends an answer.

    Args:
        answer: what to send.
        accepted: the client's Accept-Encoding.
    """

    def __init__(self, answer: Answer, accepted: str = "") -> None:
        super().__init__(status_code=answer.status)
        self._answer = answer
        wanted = "gzip" in accepted.lower() and answer.wire.gzip == "wanted"
        self._compressed = wanted or answer.wire.gzip == "always"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, or as much of it as shall go out."""
        answer, wire = self._answer, self._answer.wire
        pieces = _cut(answer.content.pieces(), wire.cut_at)
        if self._compressed:
            pieces = _squeezed(pieces, wire.gzip_damaged)
        small = isinstance(answer.content, Raw) and isinstance(answer.content.written, list)
        begun: list[bytes] = []
        bodiless = answer.status in (204, 304)
        if bodiless:
            pieces = iter(())
        elif (
            small
            and wire.cut_at is None
            and not wire.chunked
            and wire.piece is None
            and wire.silent_at is None
        ):
            begun = [b"".join(pieces)]
            pieces = iter(())
        await send(self._start(sum(map(len, begun)) if begun else None))
        for piece in begun:
            await _send_piece(send, piece)
        await self._rest(pieces, scope, send)

    async def _rest(self, pieces: Iterator[bytes], scope: Scope, send: Send) -> None:
        wire, sent = self._answer.wire, 0
        size = wire.piece if wire.silent_at is None else max(1, wire.silent_at)
        try:
            async for piece in iterate_in_threadpool(_sliced(pieces, size)):
                await _send_piece(send, piece)
                sent += len(piece)
                if wire.silent_at is not None and sent == len(piece):
                    await asyncio.sleep(wire.silence)
                elif wire.pause:
                    await asyncio.sleep(wire.pause)
        except BrokenOff:
            if wire.ending == "reset":
                await asyncio.sleep(0.02)  # so that what was written so far can be read
                _reset(scope.get(_TRANSPORT))
            if wire.ending != "clean":
                raise
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _start(self, length: int | None) -> Message:
        answer = self._answer
        pairs = [*answer.headers.items()]
        pairs += [("Set-Cookie", cookie) for cookie in answer.cookies]
        pairs += [("WWW-Authenticate", challenge) for challenge in answer.challenges]
        if self._compressed:
            pairs.append(("Content-Encoding", "gzip"))
        length = answer.wire.content_length if answer.wire.content_length is not None else length
        if length is not None:
            pairs.append(("Content-Length", str(length)))
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]
        return {"type": "http.response.start", "status": answer.status, "headers": headers}


class WithTransport:
    """Lets an application reach the connection below, to reset it on command.

    Args:
        application: that is served.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        # uvicorn's `send` is a method of the request's cycle, which knows its connection.
        scope[_TRANSPORT] = getattr(getattr(send, "__self__", None), "transport", None)
        await self._application(scope, receive, send)


def drop_connection(scope: Scope, *, reset: bool) -> None:
    """End the connection of a request before anything is answered.

    Args:
        scope: of the request.
        reset: instead of closing it.
    """
    transport = scope.get(_TRANSPORT)
    if reset:
        _reset(transport)
    elif transport is not None:
        transport.close()


async def _send_piece(send: Send, piece: bytes) -> None:
    if piece:
        await send({"type": "http.response.body", "body": piece, "more_body": True})


def _reset(transport: Any) -> None:
    if transport is None:
        return
    handle = os.dup(transport.get_extra_info("socket").fileno())
    with socket.socket(fileno=handle) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _cut(pieces: Iterator[bytes], at: int | None) -> Iterator[bytes]:
    left = at
    for piece in pieces:
        if left is None:
            yield piece
            continue
        yield piece[:left]
        left -= len(piece[:left])
        if not left:
            break
    if left is not None:
        raise BrokenOff


def _sliced(pieces: Iterator[bytes], size: int | None) -> Iterator[bytes]:
    for piece in pieces:
        if size is None:
            yield piece
        else:
            yield from (piece[begin : begin + size] for begin in range(0, len(piece), size))


def _squeezed(pieces: Iterator[bytes], damaged: bool) -> Iterator[bytes]:
    squeezer = zlib.compressobj(level=4, wbits=31)
    try:
        for piece in pieces:
            packed = squeezer.compress(piece)
            if packed:
                yield packed
    except BrokenOff:
        # What was written so far goes out before the connection ends.
        yield squeezer.flush(zlib.Z_SYNC_FLUSH)
        raise
    rest = squeezer.flush()
    # The checksum at the end tells of any damage; so does the middle, mostly.
    yield rest[: len(rest) // 2] + bytes(8) + rest[len(rest) // 2 + 8 :] if damaged else rest
