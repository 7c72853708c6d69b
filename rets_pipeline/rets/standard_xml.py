"""STANDARD-XML search answers as a stream of records with a proof of completeness.

What belongs here: reading the bytes of one search answer, from a connection or from an archive.
What does not: HTTP, logins, and the meaning of a record's content.

An answer counts only when its closing tag arrived, no ``RETS-STATUS`` trailer took it back, and
its records agree with ``COUNT`` and ``Pagination``. So an iteration that ends without an exception
has delivered exactly what the server offered; anything else ends in one of the package's errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from lxml import etree

from rets_pipeline.rets.envelope import (
    Envelope,
    attribute,
    looks_closed,
    new_parser,
    read_elements,
    read_reply,
    refusal,
)
from rets_pipeline.rets.errors import (
    BodyFault,
    CountMismatch,
    DataBroken,
    Exchange,
    RetsError,
    Truncated,
)
from rets_pipeline.rets.reply_codes import NO_RECORDS_FOUND, SUCCESS

#: A record, or whatever stands between two records, may not be larger.
MAX_RECORD_BYTES: Final = 32 * 1024 * 1024

# The parser is fed in pieces of this size, so that memory does not depend on the chunks' size.
_PIECE: Final = 64 * 1024

# So many of the last bytes tell whether the answer looks closed.
_TAIL: Final = 200

# Elements that the envelope gives a meaning to. Some servers write them in lower case.
_COUNT: Final = "COUNT"
_MAXROWS: Final = "MAXROWS"
_STATUS: Final = "RETS-STATUS"
_PAGINATION: Final = "PAGINATION"
_ENVELOPE_NAMES: Final = (
    *("COUNT", "count", "MAXROWS", "maxrows", "RETS-STATUS", "rets-status"),
    *("Pagination", "pagination", "PAGINATION"),
)


@dataclass(frozen=True, slots=True)
class Expectation:
    """How many records an answer must hold, by what was asked.

    Attributes:
        all_rows: the answer must hold everything that COUNT counts.
        count_required: an answer without COUNT is not accepted.
        limit: the largest number of records that was asked for, or None.
        offset: of the first record, or None; servers count from 0 or from 1.
    """

    all_rows: bool = True
    count_required: bool = True
    limit: int | None = None
    offset: int | None = None

    @classmethod
    def of(cls, arguments: Mapping[str, str]) -> Expectation:
        """What the arguments of a search lead to expect (RETS 1.7.2, section 7).

        A COUNT is demanded when ``Count=1`` or ``Count=2`` asked for it.
        """
        words = {name.lower(): value.strip().upper() for name, value in arguments.items()}
        count = words.get("count", "")
        if count == "2":
            return cls(all_rows=False, limit=0)
        limit = words.get("limit", "NONE") or "NONE"
        offset = _number(words.get("offset", ""))
        return cls(
            all_rows=limit == "NONE" and (offset or 0) <= 1,
            count_required=count == "1",
            limit=_number(limit),
            offset=offset,
        )

    def bounds(self, count: int | None, maxrows: bool) -> tuple[int, int | None]:
        """The smallest and the largest acceptable number of records.

        Args:
            count: what the server counts, or None.
            maxrows: the server says that it cut the answer at a limit of its own.
        """
        if self.all_rows:
            return (0, None) if count is None else (count, count)
        if count is None:
            return 0, self.limit
        most = count if self.limit is None else min(count, self.limit)
        if self.limit is None or maxrows:
            return 0, most
        # Whether the first record is number 0 or 1 differs: the smaller rest is accepted.
        left = max(0, count - (self.offset or 0)) if (self.offset or 0) > 1 else count
        return min(self.limit, left), most


class SearchAnswer(Iterator[etree._Element]):
    """The records of one answer, in constant memory; also a context manager.

    Each item is the element of one record. It is whole, and it is valid until the next one is
    asked for: then it may leave the tree, so take what you need before going on. Do not change its
    parent or siblings.

    When the iteration ends without an exception, the answer is proved complete.

    Attributes:
        count: what ``COUNT`` says, or None as long as it has not come.
        rows: records delivered so far.
        reply_code: of the opening tag, or of a trailer.
        reply_text: the server's words for it, redacted.
        maxrows: the server cut the answer at a limit of its own.
        pagination: local names and texts of a ``Pagination`` element.
        complete: the proof has been made.
    """

    def __init__(
        self,
        envelope: Envelope,
        *,
        record: str,
        expectation: Expectation,
        sink: Callable[[bytes], None] | None = None,
        on_close: Callable[[], None] | None = None,
        max_record_bytes: int = MAX_RECORD_BYTES,
    ) -> None:
        """Judge the opening tag.

        Args:
            envelope: the answer, opened.
            record: the local name of the elements that are records.
            expectation: how many there must be.
            sink: gets every byte of the answer as it came, unless the answer is a refusal.
            on_close: called once, when nothing more will be read.
            max_record_bytes: a larger record is refused.

        Raises:
            RetsError: the server refused; the class says what to do. No records is no refusal.
        """
        self.count: int | None = None
        self.rows = 0
        self.reply_code = envelope.opening.reply_code
        self.reply_text = envelope.exchange.redactor.quote(envelope.opening.reply_text)
        self.maxrows = False
        self.pagination: dict[str, str] = {}
        self.complete = False
        self._exchange = envelope.exchange
        self._record = record
        self._expectation = expectation
        self._sink = sink
        self._on_close = on_close
        self._max_record_bytes = max_record_bytes
        self._container: etree._Element | None = None
        self._root_closed = False
        self._tail = b""
        self._fault: BaseException | None = None
        self._judge()
        root = f"{{*}}{envelope.opening.name}"
        names = (f"{{*}}{name}" for name in (record, *_ENVELOPE_NAMES))
        self._parser = new_parser((root, *names))
        self._items = self._read(envelope)

    def __iter__(self) -> SearchAnswer:
        return self

    def __next__(self) -> etree._Element:
        # Who goes on after an error must meet it again, never what looks like a normal end.
        if self._fault is not None:
            raise self._fault
        try:
            return next(self._items)
        except StopIteration:
            self.close()
            raise
        except BaseException as error:
            self._fault = error
            self.close()
            raise

    def __enter__(self) -> SearchAnswer:
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
        if not self.complete and self._fault is None:
            self._fault = ValueError("the search answer was closed before its end")
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()

    def _read(self, envelope: Envelope) -> Iterator[etree._Element]:
        unclaimed = 0
        for piece in self._pieces(envelope):
            damage = self._feed(piece)
            last = None
            # What the parser understood before the damage is still right, and is delivered.
            for element in read_elements(self._parser):
                if self._is_record(element):
                    self.rows += 1
                    last = element
                    yield element
            if damage is not None:
                raise self._error(DataBroken, f"the XML is damaged: {damage}")
            if last is not None:
                unclaimed = 0
                _forget_what_precedes(last)
            unclaimed += len(piece)
            if unclaimed > self._max_record_bytes:
                raise self._error(
                    DataBroken, f"no record ended within {self._max_record_bytes} bytes"
                )
        self._require_end()
        self._prove()
        self.complete = True

    def _pieces(self, envelope: Envelope) -> Iterator[bytes]:
        """The whole answer in pieces fit for the parser; the sink sees it as it came."""
        if self._sink is not None:
            self._sink(envelope.head)
        yield from _slices(envelope.head, envelope.skipped)
        try:
            for chunk in envelope.rest:
                if self._sink is not None:
                    self._sink(chunk)
                yield from _slices(chunk)
        except BodyFault as error:
            fault = error
        else:
            return
        raise self._error(fault.kind, fault.reason)

    def _feed(self, piece: bytes) -> str | None:
        """What is wrong with the piece, or None."""
        self._tail = piece if len(piece) >= _TAIL else (self._tail + piece)[-_TAIL:]
        try:
            self._parser.feed(piece)
        except etree.XMLSyntaxError as error:
            # libxml2 quotes names from the document: they are foreign text as well.
            return self._exchange.redactor.quote(error.msg or "not well-formed")
        return None

    def _is_record(self, element: etree._Element) -> bool:
        """Whether the element is a record; what the envelope says is noted on the way."""
        name = str(element.tag).rpartition("}")[2]
        parent = element.getparent()
        if name == self._record:
            if parent is not None and parent is self._container:
                return True
            if any(True for _ in element.iterancestors(f"{{*}}{name}")):
                return False  # part of a record, by the same name
            self._container = parent
            return True
        if parent is None:
            self._root_closed = True
        elif self._belongs_to_envelope(parent):
            self._note(name.upper(), element)
        return False

    def _belongs_to_envelope(self, parent: etree._Element) -> bool:
        """Whether children of that element speak for the answer rather than for a record."""
        grandparent = parent.getparent()
        if grandparent is None:
            return True
        name = str(parent.tag).rpartition("}")[2]
        return grandparent.getparent() is None and name != self._record

    def _note(self, name: str, element: etree._Element) -> None:
        if name == _COUNT:
            self._note_count(element)
        elif name == _MAXROWS:
            self.maxrows = True
        elif name == _PAGINATION:
            for child in element.iterchildren(etree.Element):
                self.pagination[str(child.tag).rpartition("}")[2]] = (child.text or "").strip()
        elif name == _STATUS:
            self.reply_code, text = read_reply(element, self._exchange)
            self.reply_text = self._exchange.redactor.quote(text)
            self._judge()

    def _note_count(self, element: etree._Element) -> None:
        text = attribute(element, "Records") or ""
        count = _number(text.strip())
        if count is None or self.count not in (None, count):
            quoted = self._exchange.redactor.quote(text, 40)
            raise self._error(CountMismatch, f"the answer's COUNT {quoted!r} cannot be used")
        self.count = count

    def _judge(self) -> None:
        """Raise what the reply code asks for (a trailer overrides the opening tag)."""
        if self.reply_code in (SUCCESS, NO_RECORDS_FOUND):
            return
        error = refusal(self._exchange, self.reply_code, self.reply_text, self.rows)
        if error is not None:
            raise error

    def _require_end(self) -> None:
        damage = None
        try:
            self._parser.close()
        except etree.XMLSyntaxError as error:
            damage = self._exchange.redactor.quote(error.msg or "not well-formed")
        late = [element for element in read_elements(self._parser) if self._is_record(element)]
        if not self._root_closed and looks_closed(self._tail):
            raise self._error(DataBroken, f"the XML is damaged: {damage}")
        if not self._root_closed:
            raise self._error(Truncated, "the answer was cut off before its closing tag")
        if late:
            raise self._error(DataBroken, "a record came after the answer's end")
        if damage is not None:
            raise self._error(DataBroken, f"the XML is damaged: {damage}")

    def _prove(self) -> None:
        expected = self._expectation
        if self.reply_code == NO_RECORDS_FOUND:
            # Behind the last page COUNT may still tell how many records the pages before had.
            self.count = self.count or 0
            if self.rows or (self.count and expected.all_rows):
                raise self._error(CountMismatch, "the server found nothing, yet says how much")
        if self.count is None and expected.count_required:
            raise self._error(CountMismatch, "the answer has no COUNT, so nothing proves it whole")
        if self.count is None and expected.all_rows and self.maxrows:
            raise self._error(CountMismatch, "the server cut the answer at a limit of its own")
        least, most = expected.bounds(self.count, self.maxrows)
        if self.rows < least or (most is not None and self.rows > most):
            wanted = least if least == most else f"{least} to {most}"
            raise self._error(CountMismatch, f"the answer should hold {wanted} records")
        returned = _number(self.pagination.get("RecordsReturned", ""))
        if not expected.all_rows and expected.limit != 0 and returned not in (None, self.rows):
            raise self._error(CountMismatch, f"the answer should hold {returned} records")

    def _error(self, kind: type[RetsError], reason: str) -> RetsError:
        return self._exchange.error(
            kind, f"{reason}; {self.rows} whole records had arrived", rows=self.rows
        )


def read_search(
    chunks: Iterable[bytes],
    *,
    record: str,
    expect_all: bool = True,
    arguments: Mapping[str, str] | None = None,
    sink: Callable[[bytes], None] | None = None,
    name: str = "archive",
    max_record_bytes: int = MAX_RECORD_BYTES,
) -> SearchAnswer:
    """Read an archived answer with the proofs and errors of a live one.

    Args:
        chunks: the body's bytes, in any portions.
        record: the local name of the elements that are records.
        expect_all: the answer must hold everything that COUNT counts, and have a COUNT.
        arguments: of the search that was answered; they then decide instead of ``expect_all``.
        sink: gets the bytes, unless the answer is a refusal.
        name: stands for the server in messages.
        max_record_bytes: a larger record is refused.

    Raises:
        RetsError: the answer is a refusal, or no RETS document.
    """
    expectation = (
        Expectation(all_rows=expect_all, count_required=expect_all)
        if arguments is None
        else Expectation.of(arguments)
    )
    return SearchAnswer(
        Envelope(chunks, Exchange(name, "Search")),
        record=record,
        expectation=expectation,
        sink=sink,
        max_record_bytes=max_record_bytes,
    )


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _slices(chunk: bytes, start: int = 0) -> Iterator[bytes]:
    if start == 0 and len(chunk) <= _PIECE:
        yield chunk
        return
    for position in range(start, len(chunk), _PIECE):
        yield chunk[position : position + _PIECE]


def _forget_what_precedes(element: etree._Element) -> None:
    """Take everything before the element out of the tree.

    The element itself stays: libxml2 may still be adding text behind it.
    """
    node: etree._Element | None = element
    while node is not None:
        parent = node.getparent()
        if parent is not None and parent[0] is not node:
            del parent[: parent.index(node)]
        node = parent
