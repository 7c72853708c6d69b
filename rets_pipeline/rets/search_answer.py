"""What every answer to a search has in common, whatever its format.

What belongs here: the proof that an answer is complete, errors that come back, and the count of
repairs. What does not: the formats (``standard_xml``, ``compact``), and HTTP.

An answer counts only when its closing tag arrived, no ``RETS-STATUS`` trailer took it back, and
its records agree with ``COUNT`` and ``Pagination``. So an iteration that ends without an exception
has delivered exactly what the server offered; anything else ends in one of the package's errors.
"""

from __future__ import annotations

import itertools
import logging
import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from rets_pipeline.rets.envelope import Attributes, Envelope, attribute, looks_closed, refusal
from rets_pipeline.rets.errors import (
    BodyFault,
    CountMismatch,
    DataBroken,
    RetsError,
    SplitRequest,
    Truncated,
)
from rets_pipeline.rets.reply_codes import MAXIMUM_EXCEEDED, NO_RECORDS_FOUND, SUCCESS

logger = logging.getLogger("rets_pipeline.rets")

#: A record, or whatever stands between two records, may not be larger.
MAX_RECORD_BYTES: Final = 32 * 1024 * 1024

#: Neither may a single tag; its attributes count.
MAX_TAG_BYTES: Final = 256 * 1024

# So many of the last bytes tell whether the answer looks closed.
_TAIL: Final = 200

Record = TypeVar("Record")


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
        offset = number(words.get("offset", ""))
        return cls(
            all_rows=limit == "NONE" and (offset or 0) <= 1,
            count_required=count == "1",
            limit=number(limit),
            offset=offset,
        )

    @classmethod
    def for_archive(cls, arguments: Mapping[str, str] | None, *, expect_all: bool) -> Expectation:
        """By the arguments of the search if they are known, else by what the caller says."""
        if arguments is not None:
            return cls.of(arguments)
        return cls(all_rows=expect_all, count_required=expect_all)

    @property
    def from_the_start(self) -> bool:
        """The first record was asked for: if there are any, one must come, however few fit."""
        return self.limit != 0 and (self.offset or 0) <= 1

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


class Answer(Iterator[Record], Generic[Record]):
    """The records of one answer, in constant memory; also a context manager.

    When the iteration ends without an exception, the answer is proved complete. Maximum Records
    Exceeded (20208) is an error at once when no record comes with it; otherwise the records are
    delivered, and it is an error at the end unless only a part was asked for.

    Attributes:
        count: what ``COUNT`` says, or None as long as it has not come.
        rows: records read so far.
        reply_code: of the opening tag, or of a trailer.
        reply_text: the server's words for it, redacted.
        maxrows: the server cut the answer at a limit of its own.
        pagination: local names and texts of a ``Pagination`` element.
        repairs: what of the bytes had to be repaired so far, by kind.
        closed: the closing tag has arrived, and nothing but the number of records may be wrong.
        complete: the proof has been made.
    """

    def __init__(
        self,
        envelope: Envelope,
        *,
        expectation: Expectation,
        sink: Callable[[bytes], None] | None = None,
        on_close: Callable[[], None] | None = None,
        max_record_bytes: int = MAX_RECORD_BYTES,
    ) -> None:
        """Judge the opening tag.

        Args:
            envelope: the answer, opened.
            expectation: how many records there must be.
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
        self.repairs: Counter[str] = envelope.repairs
        self.closed = False
        self.complete = False
        self._exchange = envelope.exchange
        self._expectation = expectation
        self._sink = sink
        self._on_close = on_close
        self._max_record_bytes = max_record_bytes
        self._unclaimed = 0
        self._open_tag = 0
        self._tail = b""
        self._fault: BaseException | None = None
        self._judge()
        self._items: Iterator[Record] = self._read(envelope)
        if self.reply_code == MAXIMUM_EXCEEDED:
            self._require_a_record()

    def __iter__(self) -> Iterator[Record]:
        """The records that are left; whoever breaks off may go on later."""
        # A loop over a generator is faster than one that calls __next__ for each record.
        self._meet_fault()
        try:
            # Not "yield from": that would end the reading together with a loop that breaks off.
            for record in self._items:  # noqa: UP028
                yield record
        except GeneratorExit:
            raise
        except BaseException as error:
            self._fault = error
            self.close()
            raise
        self.close()

    def __next__(self) -> Record:
        self._meet_fault()
        try:
            return next(self._items)
        except StopIteration:
            self.close()
            raise
        except BaseException as error:
            self._fault = error
            self.close()
            raise

    def _meet_fault(self) -> None:
        """Who goes on after an error must meet it again, never what looks like a normal end."""
        if self._fault is not None:
            raise self._fault

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def received(self) -> int:
        """Whole records so far, also those that could not be understood."""
        return self.rows

    def close(self) -> None:
        """Read no further. It can be called at any time, and again."""
        if not self.complete and self._fault is None:
            self._fault = ValueError("the search answer was closed before its end")
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()

    @abstractmethod
    def _records(self, pieces: Iterator[bytes]) -> Iterator[Record]:
        """The records; ``rows`` counts them, and ``_unclaimed`` is set back after each.

        It ends only if the document does.
        """

    def _read(self, envelope: Envelope) -> Iterator[Record]:
        yield from self._records(self._pieces(envelope))
        self.closed = True
        self._prove()
        self.complete = True
        self._report_repairs()

    def _require_a_record(self) -> None:
        """Find out whether Maximum Records Exceeded (20208) is a refusal.

        RETS 1.7.2 calls it a success that was cut; many servers refuse with it.
        """
        sink, held = self._sink, list[bytes]()
        if sink is not None:
            self._sink = held.append
        self._read_ahead()
        self._sink = sink
        for chunk in held:
            self._give_to_sink(chunk)

    def _read_ahead(self) -> None:
        """Read up to the first record and keep it; ``rows`` counts it already."""
        first = list(itertools.islice(self, 1))
        self._items = itertools.chain(first, self._items)

    def _pieces(self, envelope: Envelope) -> Iterator[bytes]:
        """The whole answer in pieces fit for the parser; the sink sees it as it came."""
        try:
            for piece in envelope.pieces(self._give_to_sink):
                self._tail = piece if len(piece) >= _TAIL else (self._tail + piece)[-_TAIL:]
                self._check_size(piece)
                yield piece
        except BodyFault as error:
            fault = error
        else:
            return
        raise self._error(fault.kind, fault.reason)

    def _give_to_sink(self, chunk: bytes) -> None:
        if self._sink is not None:
            self._sink(chunk)

    def _check_size(self, piece: bytes) -> None:
        """Refuse what grows without end, before a parser collects it."""
        if self._unclaimed > self._max_record_bytes:
            raise self._error(DataBroken, f"no record ended within {self._max_record_bytes} bytes")
        self._unclaimed += len(piece)
        opened, closed = piece.rfind(b"<"), piece.rfind(b">")
        if opened > closed:
            self._open_tag = len(piece) - opened
        elif closed >= 0:
            self._open_tag = 0
        elif self._open_tag:
            self._open_tag += len(piece)
        if self._open_tag > MAX_TAG_BYTES:
            raise self._error(DataBroken, f"a tag is larger than {MAX_TAG_BYTES} bytes")

    def _note_count(self, element: Attributes) -> None:
        text = attribute(element, "Records") or ""
        count = number(text.strip())
        if count is None or self.count not in (None, count):
            quoted = self._exchange.redactor.quote(text, 40)
            raise self._error(CountMismatch, f"the answer's COUNT {quoted!r} cannot be used")
        self.count = count

    def _note_status(self, reply_code: int, reply_text: str) -> None:
        """A trailer overrides the opening tag."""
        self.reply_code = reply_code
        self.reply_text = self._exchange.redactor.quote(reply_text)
        self._judge()

    def _judge(self) -> None:
        """Raise what the reply code asks for."""
        if self.reply_code in (SUCCESS, NO_RECORDS_FOUND):
            return
        if self.reply_code == MAXIMUM_EXCEEDED:
            self.maxrows = True
            return
        error = refusal(self._exchange, self.reply_code, self.reply_text, self.rows)
        if error is not None:
            raise error

    def _require_end(self, damage: str | None, *, root_closed: bool) -> None:
        """The document must have ended, and well.

        Args:
            damage: what the parser says against its end, or None.
            root_closed: the closing tag has come.
        """
        if not root_closed and looks_closed(self._tail):
            raise self._error(DataBroken, f"the XML is damaged: {damage}")
        if not root_closed:
            raise self._error(Truncated, "the answer was cut off before its closing tag")
        if damage is not None:
            raise self._error(DataBroken, f"the XML is damaged: {damage}")

    def _prove(self) -> None:
        expected, received = self._expectation, self.received
        if self.reply_code == MAXIMUM_EXCEEDED and (expected.all_rows or not received):
            raise self._cut_off()
        if self.reply_code == NO_RECORDS_FOUND:
            # Behind the last page COUNT may still tell how many records the pages before had.
            self.count = self.count or 0
            if received or (self.count and expected.all_rows):
                raise self._error(CountMismatch, "the server found nothing, yet says how much")
        if self.count is None and expected.count_required:
            raise self._error(CountMismatch, "the answer has no COUNT, so nothing proves it whole")
        if self.count is None and expected.all_rows and self.maxrows:
            raise self._error(CountMismatch, "the server cut the answer at a limit of its own")
        if self.count and not received and expected.from_the_start:
            reason = f"the server counts {self.count} records, and {self._none_found()}"
            raise self._error(CountMismatch, reason)
        least, most = expected.bounds(self.count, self.maxrows)
        if received < least or (most is not None and received > most):
            wanted = least if least == most else f"{least} to {most}"
            raise self._error(CountMismatch, f"the answer should hold {wanted} records")
        returned = number(self.pagination.get("RecordsReturned", ""))
        if not expected.all_rows and expected.limit != 0 and returned not in (None, received):
            raise self._error(CountMismatch, f"the answer should hold {returned} records")

    def _none_found(self) -> str:
        """What to say of an answer without the records that it should hold."""
        return "none was found in the answer"

    def _cut_off(self) -> RetsError:
        error = refusal(self._exchange, MAXIMUM_EXCEEDED, self.reply_text, self.rows)
        return error or self._error(SplitRequest, "the server cut the answer")

    def _error(self, kind: type[RetsError], reason: str) -> RetsError:
        return self._exchange.error(
            kind, f"{reason}; {self.rows} whole records had arrived", rows=self.rows
        )

    def _report_repairs(self) -> None:
        if self.repairs:
            kinds = ", ".join(f"{kind}: {times}" for kind, times in sorted(self.repairs.items()))
            logger.warning(
                "%s: %s: the answer's bytes had to be repaired (%s)",
                *(self._exchange.server, self._exchange.transaction, kinds),
            )


def number(text: str) -> int | None:
    """The text as a whole number that is not negative, or None."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None
