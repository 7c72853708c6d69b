"""GetObject: photos and other objects of a listing, single or many, as they arrive.

What belongs here: what to ask for, and what an answer's headers and parts mean (RETS 1.7.2, section
5). What does not: splitting a body (``multipart``), and HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType, TracebackType
from typing import Final
from urllib.parse import urljoin, urlsplit

from rets_pipeline.rets.envelope import Envelope, refusal
from rets_pipeline.rets.errors import (
    BodyFault,
    DataBroken,
    Exchange,
    NotLoggedIn,
    RetsError,
    Truncated,
)
from rets_pipeline.rets.images import image_fault
from rets_pipeline.rets.multipart import (
    MAX_PART_BYTES,
    Part,
    Parts,
    boundary_of,
    looks_like_multipart,
)
from rets_pipeline.rets.reply_codes import NO_OBJECT_FOUND, SUCCESS

#: What is asked for of one listing: ``"*"`` everything, ``0`` the preferred one, a number, several.
ObjectIds = str | int | Iterable[str | int]

_RANGE = re.compile(r"\s*(\d{1,9})\s*-\s*(\d{1,9})\s*")
_LONGEST_RANGE: Final = 10_000
# So much of a body tells what it is.
_SNIFF: Final = 4096
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ObjectRequest:
    """What a GetObject asks for.

    Attributes:
        resource: ``Property``, say.
        object_type: ``Photo``, ``LargePhoto`` and so on.
        objects: object ids by the key of the listing.
        location: addresses are wanted rather than bytes.
        accept: MIME types that are wanted. Text is taken for an error unless it is named here.
    """

    resource: str
    object_type: str
    objects: Mapping[str, tuple[str, ...]]
    location: bool = False
    accept: str = "*/*"

    @classmethod
    def of(
        cls,
        resource: str,
        object_type: str,
        objects: Mapping[str, ObjectIds] | str,
        *,
        location: bool = False,
        accept: str = "*/*",
    ) -> ObjectRequest:
        """Make a request.

        Args:
            resource: ``Property``, say.
            object_type: ``Photo``, say.
            objects: for each key of a listing ``"*"``, ``0``, a number, a range ``"1-5"``, or
                several of them; a key alone means everything of it.
            location: ask for addresses (``Location=1``).
            accept: MIME types.

        Raises:
            ValueError: nothing is asked for, or a key or id holds a separator of RETS.
        """
        if isinstance(objects, str):
            objects = {objects: "*"}
        wanted = {str(key): tuple(_expanded(ids)) for key, ids in objects.items()}
        if not wanted or not all(wanted.values()):
            raise ValueError("no object is asked for")
        for key in wanted:
            if not key.strip() or re.search(r"[\s,:]", key):
                raise ValueError(f"{key!r} cannot be the key of an object's owner")
        return cls(resource, object_type, MappingProxyType(wanted), location, accept)

    @property
    def arguments(self) -> dict[str, str]:
        """Of the transaction."""
        entities = (":".join((key, *ids)) for key, ids in self.objects.items())
        return {
            "Resource": self.resource,
            "Type": self.object_type,
            "ID": ",".join(entities),
            "Location": "1" if self.location else "0",
        }

    @property
    def accepts_text(self) -> bool:
        """Whether text may be an object rather than an error."""
        return "text/" in self.accept.lower()


@dataclass(frozen=True, slots=True)
class RetsObject:
    """One object, or why it is not there.

    Attributes:
        content_id: the key of the listing. Taken from the request when the server left it out and
            only one listing was asked for; else None.
        object_id: the number of the object. Taken from the request when the server left it out
            and only one was asked for; else None.
        content_type: as the server calls it, in lower case and without parameters.
        data: byte for byte; empty with an error or a location.
        location: where the bytes are, absolute, or None.
        description: the server's words, or nothing.
        sub_description: further words, or nothing.
        preferred: it shows the listing best.
        error: why there is no object; its class says what to do.
        position: among the parts of the answer, from 0.
        requested: listing and number are among those asked for, as far as they are known.
        headers: all of them, by name in lower case.
    """

    content_id: str | None
    object_id: str | None
    content_type: str
    data: bytes = field(repr=False)
    location: str | None = field(default=None, repr=False)
    description: str = field(default="", repr=False)
    sub_description: str = field(default="", repr=False)
    preferred: bool = False
    error: RetsError | None = None
    position: int = 0
    requested: bool = True
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def absent(self) -> bool:
        """The server says that there is no such object; that is no failure."""
        return self.error is not None and self.error.reply_code == NO_OBJECT_FOUND


class ObjectAnswer(Iterator[RetsObject]):
    """The objects of one answer, as they arrive, one in memory at a time; a context manager.

    An object that the server has not, or that is damaged, comes with its ``error``. What concerns
    the answer as a whole is raised. An iteration that ends without an exception has delivered
    every part that the server sent.

    Attributes:
        objects: delivered so far, those with an error included.
        reply_code: RETS's for the answer as a whole, where it has one. 20403 means that there is
            nothing at all.
        closed: the closing boundary of a multipart answer came (some servers forget it), or the
            answer is no multipart. None as long as the end has not come.
    """

    def __init__(
        self,
        request: ObjectRequest,
        parts: Iterator[Part],
        exchange: Exchange,
        *,
        url: str,
        verify_images: bool,
        reply_code: int | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        """Read the first object; used by :func:`read_objects`.

        Raises:
            NotLoggedIn: the first object's error says so, and with it that the session is lost.
            RetsError: the answer cannot be read.
        """
        self.objects = 0
        self.reply_code = reply_code
        self.closed: bool | None = None
        self._request = request
        self._parts = parts
        self._exchange = exchange
        self._url = url
        self._verify_images = verify_images
        self._on_close = on_close
        self._fault: BaseException | None = None
        self._first = self._judged_first()
        self._items = self._read()

    def __iter__(self) -> ObjectAnswer:
        return self

    def __next__(self) -> RetsObject:
        # Who goes on after an error must meet it again, never what looks like a normal end.
        if self._fault is not None:
            raise self._fault
        try:
            found = next(self._items)
        except StopIteration:
            self.close()
            raise
        except BaseException as error:
            self._fault = error
            self.close()
            raise
        self.objects += 1
        return found

    def __enter__(self) -> ObjectAnswer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Read no further. It can be called at any time, and again."""
        if self.closed is None and self._fault is None:
            self._fault = ValueError("the object answer was closed before its end")
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()

    def _judged_first(self) -> RetsObject | None:
        try:
            first = self._take(0)
            if first is not None and isinstance(first.error, NotLoggedIn):
                raise first.error
        except RetsError:
            self.close()
            raise
        return first

    def _read(self) -> Iterator[RetsObject]:
        found, self._first = self._first, None
        position = 0
        while found is not None:
            yield found
            position += 1
            found = None  # while the next one is read, this one is not in memory
            found = self._take(position)
        self.closed = self._parts.closed if isinstance(self._parts, Parts) else True

    def _take(self, position: int) -> RetsObject | None:
        try:
            part = next(self._parts, None)
        except BodyFault as error:
            fault = error
        else:
            return None if part is None else self._understood(part, position)
        reason = f"{fault.reason}; {position} objects had arrived"
        raise self._exchange.error(fault.kind, reason, rows=position)

    def _understood(self, part: Part, position: int) -> RetsObject:
        headers = part.headers
        content_id, object_id = self._identifiers(headers)
        location = _location(headers, self._url)
        document = is_document(headers, part.body[:_SNIFF], self._request)
        if document:
            error = self._error_of_document(part.body, location)
        else:
            error = self._error_of(part, location)
        return RetsObject(
            content_id=content_id,
            object_id=object_id,
            content_type=mime_type(headers),
            data=b"" if document or error is not None else part.body,
            location=location,
            description=_words(headers, "content-description", "description"),
            sub_description=_words(headers, "content-sub-description", "sub-description"),
            preferred=_is_preferred(headers),
            error=error,
            position=position,
            requested=self._is_requested(content_id, object_id),
            headers=MappingProxyType(dict(headers)),
        )

    def _identifiers(self, headers: Mapping[str, str]) -> tuple[str | None, str | None]:
        content_id: str | None = headers.get("content-id", "").strip(" <>") or None
        object_id: str | None = headers.get("object-id", "").strip() or None
        if content_id is not None and ":" in content_id:
            content_id, _, number = content_id.partition(":")
            object_id = object_id or number.strip() or None
        wanted = self._request.objects
        if len(wanted) == 1:
            (key, ids), *_ = wanted.items()
            content_id = content_id or key
            if len(ids) == 1 and ids[0] != "*":
                object_id = object_id or ids[0]
        return content_id, object_id

    def _is_requested(self, content_id: str | None, object_id: str | None) -> bool:
        if content_id is None:
            return True
        ids = self._request.objects.get(content_id)
        if ids is None:
            return False
        # The preferred object comes under its own number.
        return object_id is None or object_id in ids or "*" in ids or "0" in ids

    def _error_of(self, part: Part, location: str | None) -> RetsError | None:
        """Why the part is no whole object, or None."""
        if location is not None and not part.body:
            return None
        if part.cut:
            return self._exchange.error(Truncated, "the object is shorter than it says")
        if not part.body:
            return self._exchange.error(DataBroken, "the object is empty")
        fault = image_fault(part.body) if self._verify_images else None
        return None if fault is None else self._exchange.error(DataBroken, fault)

    def _error_of_document(self, body: bytes, location: str | None) -> RetsError | None:
        try:
            opening = Envelope(iter((body,)), self._exchange).opening
        except RetsError as error:
            return error
        refused = refusal(self._exchange, opening.reply_code, opening.reply_text)
        if refused is None and location is None:
            return self._exchange.error(DataBroken, "a success without an object")
        return refused


def read_objects(
    chunks: Iterable[bytes],
    headers: Mapping[str, str],
    request: ObjectRequest,
    exchange: Exchange,
    *,
    url: str = "",
    verify_images: bool = False,
    on_close: Callable[[], None] | None = None,
) -> ObjectAnswer:
    """Read the body of an answer that is no RETS document.

    Args:
        chunks: the body, in any portions.
        headers: of HTTP, by name in lower case.
        request: what was asked for.
        exchange: for messages.
        url: that answered; relative locations are resolved against it.
        verify_images: an object that is no whole image comes with an error.
        on_close: called once, when nothing more will be read.

    Raises:
        NotLoggedIn: the session is lost.
        RetsError: the answer cannot be read.
        BodyFault: the bytes stopped coming before anything could be told.
    """
    head, chunks = sniff(chunks)
    content_type = headers.get("content-type", "")
    parts: Iterator[Part]
    if content_type.strip().lower().startswith("multipart/") or looks_like_multipart(head):
        parts = Parts(chunks, boundary_of(content_type))
    else:
        parts = _single(chunks, headers)
    return ObjectAnswer(
        request, parts, exchange, url=url, verify_images=verify_images, on_close=on_close
    )


def read_success(
    envelope: Envelope,
    headers: Mapping[str, str],
    request: ObjectRequest,
    *,
    url: str,
    on_close: Callable[[], None],
) -> ObjectAnswer:
    """Read an answer that is a RETS document and no refusal.

    It means that there is nothing (20403), or it stands beside an address in the headers.

    Raises:
        DataBroken: it is neither.
    """
    code = envelope.opening.reply_code
    if code == SUCCESS and _location(headers, url) is None:
        on_close()
        raise envelope.exchange.error(DataBroken, "a success without an object")
    parts = (Part(headers, envelope.head),) if code == SUCCESS else ()
    return ObjectAnswer(
        request,
        iter(parts),
        envelope.exchange,
        url=url,
        verify_images=False,
        reply_code=code,
        on_close=on_close,
    )


def sniff(chunks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The beginning of a body, and the whole of it again.

    Raises:
        BodyFault: the bytes stopped coming before anything could be told.
    """
    rest = iter(chunks)
    first: list[bytes] = []
    size = 0
    for chunk in rest:
        first.append(chunk)
        size += len(chunk)
        if size >= _SNIFF:
            break
    return b"".join(first)[:_SNIFF], chain(first, rest)


def is_document(headers: Mapping[str, str], head: bytes, request: ObjectRequest) -> bool:
    """Whether a body is a RETS document or other text instead of an object.

    Args:
        headers: of the body, by name in lower case.
        head: its beginning.
        request: text may be an object, if it accepts text.
    """
    kind = mime_type(headers)
    start = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    if re.match(rb"<(?:\w+:)?rets\b", start, re.IGNORECASE):
        return True
    if kind == "image/svg+xml" or request.accepts_text:
        return False
    if re.match(rb"<(?:\?xml|!doctype|html|!--)", start, re.IGNORECASE):
        return True
    is_text = kind.startswith("text/") or kind in ("application/xml", "application/json")
    return is_text and bool(start) and not looks_like_multipart(head)


def mime_type(headers: Mapping[str, str]) -> str:
    """The MIME type of a ``Content-Type`` header, in lower case and without parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _single(chunks: Iterable[bytes], headers: Mapping[str, str]) -> Iterator[Part]:
    pieces: list[bytes] = []
    size = 0
    for chunk in chunks:
        pieces.append(chunk)
        size += len(chunk)
        if size > MAX_PART_BYTES:
            raise BodyFault(DataBroken, f"the object is larger than {MAX_PART_BYTES} bytes")
    yield Part(headers, b"".join(pieces))


def _expanded(ids: ObjectIds) -> Iterator[str]:
    items: Iterable[str | int] = (ids,) if isinstance(ids, str | int) else ids
    for item in items:
        text = str(item).strip()
        for piece in text.split(":"):
            bounds = _RANGE.fullmatch(piece)
            if bounds is not None:
                first, last = int(bounds.group(1)), int(bounds.group(2))
                if not first <= last < first + _LONGEST_RANGE:
                    raise ValueError(f"{piece!r} is no range of object ids")
                yield from map(str, range(first, last + 1))
            elif piece == "*" or re.fullmatch(r"\d{1,9}", piece):
                yield piece
            else:
                raise ValueError(f"{piece!r} is no object id")


def _location(headers: Mapping[str, str], url: str) -> str | None:
    """The address of an object; ``//host/path`` is among those that are resolved."""
    value = headers.get("location", "").strip()
    if not value or not value.isprintable():
        return None
    try:
        address = urljoin(url, value)
        parts = urlsplit(address)
    except ValueError:
        return None
    return address if parts.scheme in ("http", "https") and parts.netloc else None


def _words(headers: Mapping[str, str], *names: str) -> str:
    text = next((headers[name] for name in names if headers.get(name)), "")
    # A server's empty value, written out.
    return "" if text.lower() == "null" else text


def _is_preferred(headers: Mapping[str, str]) -> bool:
    value = headers.get("preferred")
    return value is not None and value.strip().lower() not in ("0", "false", "no", "n", "f")
