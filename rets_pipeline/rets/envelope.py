"""The beginning of every RETS answer: is it RETS at all, and what does it reply?

What belongs here: reading an answer up to its opening ``RETS`` tag, refusing what no parser should
see (document types, odd encodings), and the reply code. What does not: HTTP, the repair of bytes
(``repair``), and whatever comes after the opening tag.

The tag is judged before anything else happens to the answer, so that a refusal under HTTP status
200, or a success under another, is known before a byte is archived or a record is read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, Literal, TypeAlias, cast

from lxml import etree

from rets_pipeline.rets.encodings import UnsafeEncoding
from rets_pipeline.rets.errors import (
    BodyFault,
    DataBroken,
    Exchange,
    NotRets,
    RetsError,
    Truncated,
)
from rets_pipeline.rets.repair import Cleaner
from rets_pipeline.rets.reply_codes import SUCCESS, classify

#: The opening tag must come within so many bytes.
PROLOG_LIMIT: Final = 64 * 1024

#: Bytes are cleaned and parsed in pieces of this size, so that memory does not depend on the size
#: of the chunks that arrive.
PIECE: Final = 64 * 1024

#: An element, or the attributes of one.
Attributes: TypeAlias = etree._Element | Mapping[str, str]

_BLANK: Final = b" \t\r\n"
_CLOSING_TAG = re.compile(rb"</(?:[\w.-]+:)?RETS\s*>\s*\Z", re.IGNORECASE)
# Too little to tell what comes.
_UNDECIDED: Final = (b"", b"<", b"<!", b"<!-")
_TAG_NAME = re.compile(rb"<([A-Za-z_][\w.:-]*)")


def new_parser(
    tags: Iterable[str] | None = None, events: tuple[Literal["start", "end"], ...] = ("end",)
) -> etree.XMLPullParser:
    """A parser that reports elements and can be talked into nothing.

    Nothing is fetched, and libxml2's own limits hold (depth 256, a text 10 MB).

    Args:
        tags: names to report, ``{*}name`` for any namespace; None for all.
        events: ``start`` or ``end`` of elements.
    """
    return etree.XMLPullParser(
        events=events,
        tag=None if tags is None else list(tags),
        # Nothing declares entities, because document types are refused before. With False, lxml
        # would pass over unknown ones without an error. (The stubs know only the older booleans.)
        resolve_entities="internal",  # type: ignore[arg-type]
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
    )


def read_elements(parser: etree.XMLPullParser) -> Iterator[etree._Element]:
    """The elements that the parser has reported since it was asked last."""
    events = cast("Iterator[tuple[str, etree._Element]]", parser.read_events())
    return map(itemgetter(1), events)


@dataclass(frozen=True, slots=True)
class OpeningTag:
    """What the opening tag says.

    Attributes:
        name: as written; servers differ in case.
        reply_code: RETS's.
        reply_text: the server's words, unredacted.
    """

    name: str
    reply_code: int
    reply_text: str


class Envelope:
    """An answer whose opening tag has been read, and whose rest still streams.

    Attributes:
        opening: the opening tag.
        exchange: for messages.
        repairs: what had to be repaired so far, by kind.
        head: the bytes read so far, as they came.
    """

    def __init__(
        self,
        chunks: Iterable[bytes],
        exchange: Exchange,
        *,
        charset: str | None = None,
        encoding: str | None = None,
    ) -> None:
        """Read up to the opening tag.

        Args:
            chunks: the body's bytes, in any portions.
            exchange: for messages.
            charset: of Content-Type, for answers that declare no encoding themselves.
            encoding: the encoding, whatever the server says.

        Raises:
            NotRets: it is no RETS document.
            Truncated: it ended too early.
            DataBroken: the beginning is damaged, or declares a document type.
            BodyFault: the bytes stopped coming.
        """
        self.exchange = exchange
        self._cleaner = Cleaner(charset=charset, encoding=encoding)
        self.repairs: Counter[str] = self._cleaner.repairs
        self._rest = iter(chunks)
        self.head = b""
        self._clean = bytearray()  # from the document's beginning
        self._cleaned = 0  # so many bytes of the head have been cleaned
        found = self._find_opening_tag()
        if found is None:
            raise self._ended_early()
        start, end = found
        self.opening = self._read_opening_tag(bytes(self._clean[start:end]))
        # Nobody needs what stands before, and its encoding is no longer that of the bytes.
        del self._clean[:start]

    @property
    def rest(self) -> Iterator[bytes]:
        """The bytes after ``head``, as they come; it can be consumed once."""
        return self._rest

    def pieces(self, sink: Callable[[bytes], None] | None = None) -> Iterator[bytes]:
        """The document from its opening tag on, repaired, in UTF-8; it can be consumed once.

        Args:
            sink: gets every byte of the answer as it came.

        Raises:
            BodyFault: the bytes stopped coming.
        """
        if sink is not None:
            sink(self.head)
        clean = bytes(self._clean)
        self._clean.clear()
        if clean:
            yield clean
        yield from self._cleaned_pieces(self.head, self._cleaned)
        for chunk in self._rest:
            if sink is not None:
                sink(chunk)
            yield from self._cleaned_pieces(chunk)
        last = self._cleaner.close()
        if last:
            yield last

    def _cleaned_pieces(self, chunk: bytes, start: int = 0) -> Iterator[bytes]:
        for piece in _slices(chunk, start):
            clean = self._cleaner.feed(piece)
            if clean:
                yield clean

    def _find_opening_tag(self) -> tuple[int, int] | None:
        """Where the opening tag starts and ends in what has been cleaned; None: nowhere."""
        for chunk in self._rest:
            self.head = self.head + chunk if self.head else chunk
            for piece in _slices(self.head, self._cleaned):
                self._cleaned += len(piece)
                found = self._look_at(piece)
                if found is not None:
                    return found
        self._clean += self._cleaner.close()
        return self._end_of_opening_tag(self._clean)

    def _look_at(self, piece: bytes) -> tuple[int, int] | None:
        try:
            self._clean += self._cleaner.feed(piece)
        except UnsafeEncoding as error:
            name = error.name
        else:
            found = self._end_of_opening_tag(self._clean)
            # Everything after the limit is of no interest here, however large the chunks are.
            if found is None and self._cleaned > PROLOG_LIMIT:
                raise self.exchange.error(
                    DataBroken, f"the answer has no opening tag within {PROLOG_LIMIT} bytes"
                )
            return found
        quoted = self.exchange.redactor.quote(name, 40)
        raise self.exchange.error(
            DataBroken, f"the answer declares the encoding {quoted!r}, which is not accepted"
        )

    def _end_of_opening_tag(self, data: bytearray) -> tuple[int, int] | None:
        """Where the opening tag starts and ends, or None when more bytes are needed."""
        start = self._start_of_opening_tag(data)
        if start is None:
            return None
        name = _TAG_NAME.match(data, start)
        if name is None:
            if len(data) - start < 2:
                return None
            raise self._not_rets()
        if name.end() == len(data):
            return None  # the name may go on
        if _local_name(name.group(1)).upper() != "RETS":
            raise self._not_rets()
        end = _end_of_tag(data, name.end())
        return None if end is None else (start, end)

    def _start_of_opening_tag(self, data: bytearray) -> int | None:
        """Behind the declaration and comments; None: not here yet."""
        position = 0
        while True:
            position = _skip_blanks(data, position)
            head = bytes(data[position : position + 4])
            if head in _UNDECIDED:
                return None
            if not head.startswith(b"<"):
                raise self._not_rets()
            if not head.startswith((b"<!", b"<?")):
                return position
            opener, closer = (b"<!--", b"-->") if head.startswith(b"<!") else (b"<?", b"?>")
            if not head.startswith(opener):
                raise self._document_type(data, position)
            end = data.find(closer, position + len(opener))
            if end < 0:
                return None
            position = end + len(closer)

    def _document_type(self, data: bytearray, position: int) -> DataBroken:
        if re.match(rb"<!doctype\s+html", data[position : position + 40], re.IGNORECASE):
            return self._not_rets()
        return self.exchange.error(
            DataBroken, "the answer declares a document type or entities, which is not accepted"
        )

    def _not_rets(self) -> NotRets:
        quoted = self.exchange.quote(bytes(self._clean))
        return self.exchange.error(NotRets, f"the answer is no RETS document: {quoted!r}")

    def _ended_early(self) -> DataBroken:
        if self.head and not self.head.strip(_BLANK):
            return self.exchange.error(Truncated, "the answer holds nothing but blanks")
        if not self.head:
            return self.exchange.error(Truncated, "the answer is empty")
        return self.exchange.error(Truncated, "the answer ended within its opening tag")

    def _read_opening_tag(self, data: bytes) -> OpeningTag:
        parser = new_parser(events=("start",))
        root = None
        try:
            parser.feed(data)
            root = next(read_elements(parser), None)
        except etree.XMLSyntaxError:
            pass
        if root is None:
            raise self.exchange.error(DataBroken, "the opening tag of the answer is damaged")
        if root.getroottree().docinfo.internalDTD is not None:
            raise self._document_type(bytearray(), 0)
        name = etree.QName(root).localname
        return OpeningTag(name, *read_reply(root, self.exchange))


def read_reply(element: Attributes, exchange: Exchange) -> tuple[int, str]:
    """ReplyCode and ReplyText of a ``RETS`` or ``RETS-STATUS`` element.

    Raises:
        DataBroken: there is no code, or it is no number.
    """
    text = attribute(element, "ReplyCode")
    code = text.strip() if text is not None else ""
    if not re.fullmatch(r"[0-9]{1,9}", code):
        quoted = exchange.redactor.quote(code, 40)
        raise exchange.error(DataBroken, f"the answer has no reply code but {quoted!r}")
    return int(code), (attribute(element, "ReplyText") or "").strip()


def refusal(
    exchange: Exchange, reply_code: int, reply_text: str, rows: int = 0
) -> RetsError | None:
    """The exception for a reply code, or None when it means success."""
    if reply_code == SUCCESS:
        return None
    kind, reason = classify(reply_code, exchange.transaction)
    return exchange.error(kind, reason, reply_code=reply_code, reply_text=reply_text, rows=rows)


def read_document(envelope: Envelope, limit: int) -> etree._Element:
    """The whole of a small answer, a login's say.

    Args:
        envelope: the answer, opened.
        limit: its largest size in bytes.

    Raises:
        Truncated: it ended before its closing tag.
        DataBroken: it is damaged or too large.
        RetsError: a ``RETS-STATUS`` trailer took the success back.
        BodyFault: the bytes stopped coming.
    """
    exchange = envelope.exchange
    body = bytearray()
    for piece in envelope.pieces():
        body += piece
        if len(body) > limit:
            raise exchange.error(DataBroken, f"the answer is larger than {limit} bytes")
    parser = new_parser()
    reason = None
    try:
        parser.feed(bytes(body))
    except etree.XMLSyntaxError as error:
        reason = exchange.redactor.quote(error.msg or "not well-formed")
    if reason is not None:
        raise exchange.error(DataBroken, f"the XML is damaged: {reason}")
    try:
        root = parser.close()
    except etree.XMLSyntaxError as error:
        root, reason = None, exchange.redactor.quote(error.msg or "not well-formed")
    if root is None and looks_closed(bytes(body)):
        raise exchange.error(DataBroken, f"the XML is damaged: {reason}")
    if root is None:
        raise exchange.error(Truncated, "the answer was cut off before its closing tag")
    for status in root.iterchildren("{*}RETS-STATUS", "{*}rets-status"):
        taken_back = refusal(exchange, *read_reply(status, exchange))
        if taken_back is not None:
            raise taken_back
    return root


def looks_closed(data: bytes) -> bool:
    """Whether the bytes end with a closing ``RETS`` tag.

    Then an unfinished document is damaged rather than cut: behind a stray ampersand, say, the
    parser waits in vain for a semicolon.
    """
    return _CLOSING_TAG.search(data[-200:]) is not None


def attribute(element: Attributes, name: str) -> str | None:
    """An attribute whose name may be written in any case, in any namespace."""
    value = element.get(name)
    if value is not None:
        return str(value)
    wanted = name.lower()
    names = ((str(key).rpartition("}")[2].lower(), text) for key, text in element.items())
    matches = (str(text) for key, text in names if key == wanted)
    return next(matches, None)


def read_head(chunks: Iterable[bytes], limit: int) -> bytes:
    """At most ``limit`` bytes of an answer, however it ends."""
    buffer = bytearray()
    try:
        for chunk in chunks:
            buffer += chunk
            if len(buffer) >= limit:
                break
    except BodyFault:
        pass
    return bytes(buffer[:limit])


def _local_name(name: bytes) -> str:
    return name.rpartition(b":")[2].decode("latin-1")


def _skip_blanks(data: bytearray, position: int) -> int:
    while position < len(data) and data[position] in _BLANK:
        position += 1
    return position


def _end_of_tag(data: bytearray, position: int) -> int | None:
    """After the ``>`` that is not inside quotes, or None."""
    quote = 0
    for index in range(position, len(data)):
        byte = data[index]
        if quote:
            quote = 0 if byte == quote else quote
        elif byte in b"\"'":
            quote = byte
        elif byte == 0x3E:
            return index + 1
    return None


def _slices(chunk: bytes, start: int = 0) -> Iterator[bytes]:
    if start == 0 and len(chunk) <= PIECE:
        yield chunk
        return
    for position in range(start, len(chunk), PIECE):
        yield chunk[position : position + PIECE]
