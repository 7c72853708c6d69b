"""The beginning of every RETS answer: is it RETS at all, and what does it reply?

What belongs here: reading an answer up to its opening ``RETS`` tag, refusing what no parser should
see (document types, odd encodings), and the reply code. What does not: HTTP, and whatever comes
after the opening tag.

The tag is judged before anything else happens to the answer, so that a refusal under HTTP status
200, or a success under another, is known before a byte is archived or a record is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, Literal, cast

from lxml import etree

from rets_pipeline.rets.errors import (
    BodyFault,
    DataBroken,
    Exchange,
    NotRets,
    RetsError,
    Truncated,
)
from rets_pipeline.rets.reply_codes import SUCCESS, classify

#: The opening tag must come within so many bytes.
PROLOG_LIMIT: Final = 64 * 1024

_BLANK: Final = b" \t\r\n"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_CLOSING_TAG = re.compile(rb"</(?:[\w.-]+:)?RETS\s*>\s*\Z", re.IGNORECASE)
# Too little to tell what comes.
_UNDECIDED: Final = (b"", b"<", b"<!", b"<!-", b"\xef", b"\xef\xbb")
_TAG_NAME = re.compile(rb"<([A-Za-z_][\w.:-]*)")
_DECLARED_ENCODING = re.compile(rb"encoding\s*=\s*[\"']([^\"']*)[\"']")
# Only encodings in which "<!" stands for itself: in UTF-7, say, a document type could hide from
# the look at the bytes below.
_SAFE_ENCODING = re.compile(
    r"utf-?8|us-ascii|ascii|(iso-?8859-?|latin-?)\d{1,2}|(windows-?|cp-?)125\d", re.IGNORECASE
)


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
        head: the bytes read so far, as they came.
        skipped: how many bytes of ``head`` stand before the document (blanks that some servers
            send before the XML declaration, which no parser would take).
    """

    def __init__(self, chunks: Iterable[bytes], exchange: Exchange) -> None:
        """Read up to the opening tag.

        Raises:
            NotRets: it is no RETS document.
            Truncated: it ended too early.
            DataBroken: the beginning is damaged, or declares a document type.
            BodyFault: the bytes stopped coming.
        """
        self.exchange = exchange
        self._rest = iter(chunks)
        buffer = bytearray()
        end = None
        for chunk in self._rest:
            buffer += chunk
            # Everything after the limit is of no interest here, however large the chunks are.
            end = self._end_of_opening_tag(buffer)
            if end is not None:
                break
            if len(buffer) > PROLOG_LIMIT:
                raise exchange.error(
                    DataBroken, f"the answer has no opening tag within {PROLOG_LIMIT} bytes"
                )
        self.head = bytes(buffer)
        self.skipped = len(self.head) - len(self.head.lstrip(_BLANK))
        if end is None:
            raise self._ended_early()
        self.opening = self._read_opening_tag(self.head[self.skipped : end])

    @property
    def rest(self) -> Iterator[bytes]:
        """The bytes after ``head``; it can be consumed once."""
        return self._rest

    def _end_of_opening_tag(self, data: bytearray) -> int | None:
        """Where the opening tag ends, or None when more bytes are needed."""
        start = self._start_of_opening_tag(data)
        if start is None:
            return None
        name = _TAG_NAME.match(data, start)
        if name is None:
            if len(data) - start < 2:
                return None
            raise self._not_rets(data)
        if name.end() == len(data):
            return None  # the name may go on
        if _local_name(name.group(1)).upper() != "RETS":
            raise self._not_rets(data)
        return _end_of_tag(data, name.end())

    def _start_of_opening_tag(self, data: bytearray) -> int | None:
        """Behind the mark of the encoding, the declaration and comments; None: not here yet."""
        position = _skip_blanks(data, 0)
        if data.startswith(_BYTE_ORDER_MARK, position):
            position += len(_BYTE_ORDER_MARK)
        while True:
            position = _skip_blanks(data, position)
            head = bytes(data[position : position + 4])
            if head in _UNDECIDED:
                return None
            if not head.startswith(b"<"):
                raise self._not_rets(data)
            if not head.startswith((b"<!", b"<?")):
                return position
            opener, closer = (b"<!--", b"-->") if head.startswith(b"<!") else (b"<?", b"?>")
            if not head.startswith(opener):
                raise self._document_type(data, position)
            end = data.find(closer, position + len(opener))
            if end < 0:
                return None
            self._check_encoding(bytes(data[position:end]))
            position = end + len(closer)

    def _check_encoding(self, instruction: bytes) -> None:
        declared = _DECLARED_ENCODING.search(instruction) if instruction[:5] == b"<?xml" else None
        if declared is None:
            return
        encoding = declared.group(1).decode("latin-1")
        if not _SAFE_ENCODING.fullmatch(encoding):
            quoted = self.exchange.redactor.quote(encoding, 40)
            raise self.exchange.error(
                DataBroken, f"the answer declares the encoding {quoted!r}, which is not accepted"
            )

    def _document_type(self, data: bytearray, position: int) -> DataBroken:
        if re.match(rb"<!doctype\s+html", data[position : position + 40], re.IGNORECASE):
            return self._not_rets(data)
        return self.exchange.error(
            DataBroken, "the answer declares a document type or entities, which is not accepted"
        )

    def _not_rets(self, data: bytes | bytearray) -> NotRets:
        quoted = self.exchange.quote(bytes(data))
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


def read_reply(element: etree._Element, exchange: Exchange) -> tuple[int, str]:
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
    body = bytearray(envelope.head[envelope.skipped :])
    for chunk in envelope.rest:
        body += chunk
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


def attribute(element: etree._Element, name: str) -> str | None:
    """An attribute whose name may be written in any case."""
    value = element.get(name)
    if value is not None:
        return str(value)
    wanted = name.lower()
    matches = (str(text) for key, text in element.attrib.items() if str(key).lower() == wanted)
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
