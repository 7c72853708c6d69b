"""Search answers of which only attributes of the records are wanted, as columns.

What belongs here: lists of a million keys (``<Property ID="1" LastUpdated="…"/>``), read at the
speed of splitting text. What does not: records with content (``standard_xml``), and what the
attributes mean.

A stretch of the answer that holds nothing but such records, written alike, is read without a
parser: every byte between two values is compared with what must stand there. Anything else goes to
the parser, which finds the same. So both ways accept the same answers, and prove them alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Final

from lxml import etree

from rets_pipeline.rets.envelope import Envelope, attribute, read_elements
from rets_pipeline.rets.errors import DataBroken, Exchange
from rets_pipeline.rets.search_answer import Expectation
from rets_pipeline.rets.standard_xml import SearchAnswer, forget_what_precedes

#: the values of one attribute each, in the order of the records; all of one length
Columns = list[list[str | None]]

_END: Final = b"/>"
# Comments, CDATA and processing instructions could hide what looks like a record.
_HIDING: Final = (b"<!", b"<?")


class AttributeAnswer(SearchAnswer):
    """The attributes of an answer's records; see :class:`SearchAnswer` for everything else.

    Iterate over :meth:`columns`, once.
    """

    def __init__(
        self,
        envelope: Envelope,
        *,
        record: str,
        names: Sequence[str],
        expectation: Expectation,
        sink: Callable[[bytes], None] | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        """Judge the opening tag.

        Args:
            envelope: the answer, opened.
            record: the local name of the elements that are records.
            names: of the attributes wanted.
            expectation: how many records there must be.
            sink: gets every byte of the answer as it came, unless the answer is a refusal.
            on_close: called once, when nothing more will be read.

        Raises:
            RetsError: the server refused; the class says what to do. No records is no refusal.
        """
        self._names = tuple(names)
        self._found: list[Columns] = []
        self._sign: etree._Element | None = None  # any record: it says that there are columns
        super().__init__(
            envelope, record=record, expectation=expectation, sink=sink, on_close=on_close
        )

    def columns(self) -> Iterator[Columns]:
        """The records as they arrive, some at a time.

        Raises:
            RetsError: the answer is not whole; what came before is right all the same.
        """
        for _ in self:
            yield from self._take()
        yield from self._take()

    def _take(self) -> list[Columns]:
        found, self._found = self._found, []
        return found

    def _records(self, pieces: Iterator[bytes]) -> Iterator[etree._Element]:
        """Nothing but a sign, after each piece, that there may be columns."""
        rest = b""
        beside: etree._Element | None = None  # the record that the parser stands behind
        for piece in pieces:
            piece = rest + piece if rest else piece
            end = piece.rfind(_END) + len(_END)
            whole, rest = (piece[:end], piece[end:]) if end >= len(_END) else (piece, b"")
            columns = None if beside is None else read_alike(whole, self._record, self._names)
            if columns is not None:
                self._note_columns(columns)
            else:
                beside = self._parse(whole)
            if self._found and self._sign is not None:
                yield self._sign
        if rest:
            self._parse(rest)
        self._finish()

    def _parse(self, piece: bytes) -> etree._Element | None:
        """Note the records of a piece; returns the last if the piece ends right behind it."""
        damage = self._feed(piece)
        elements = [item for item in read_elements(self._parser) if self._is_record(item)]
        if elements:
            self._note_columns(
                [[attribute(element, name) for element in elements] for name in self._names]
            )
        if damage is not None:
            raise self._error(DataBroken, f"the XML is damaged: {damage}")
        if not elements:
            return None
        self._sign = last = elements[-1]
        forget_what_precedes(last)
        return last if self._stands_behind(piece, last) else None

    def _note_columns(self, columns: Columns) -> None:
        self._found.append(columns)
        self.rows += len(columns[0])
        self._unclaimed = 0

    def _stands_behind(self, piece: bytes, last: etree._Element) -> bool:
        """Whether the parser has read up to the end of that record, and nothing beyond.

        Then its next sibling may follow, and the parser need not see it.
        """
        start = piece.rfind(b"<")
        if start < 0 or not piece.endswith(_END) or any(sign in piece for sign in _HIDING):
            return False
        columns = read_alike(piece[start:], self._record, self._names)
        return columns == [[attribute(last, name)] for name in self._names] and len(last) == 0


def read_alike(body: bytes, record: str, names: Sequence[str]) -> Columns | None:
    """The attributes of records that are written alike, without any content.

    Args:
        body: whole empty elements and blanks, in UTF-8.
        record: what each element must be called.
        names: the attributes that each must have, in this order, and no others.

    Returns:
        None when anything else stands there, or a value that only a parser should read.
    """
    try:
        parts = body.decode().split('"')
    except UnicodeDecodeError:
        return None
    width = 2 * len(names)
    if len(parts) <= width or len(parts) % width != 1:
        return None
    first, between, gaps, last = _around(record, tuple(names))
    here = [set(parts[at:-1:width]) for at in range(2, width, 2)]
    here.append(set(parts[width:-1:width]))
    if not (
        first.fullmatch(parts[0])
        and last.fullmatch(parts[-1])
        and all(
            gap.fullmatch(text)
            for gap, found in zip((*gaps, between), here, strict=True)
            for text in found
        )
    ):
        return None
    columns: Columns = [list(parts[at::width]) for at in range(1, width, 2)]
    values = "".join(map("".join, columns))  # type: ignore[arg-type]
    # A line's end inside a value is a blank to a parser.
    if "<" in values or "&" in values or not values.isprintable():
        return None
    return columns


@cache
def _around(
    record: str, names: tuple[str, ...]
) -> tuple[re.Pattern[str], re.Pattern[str], list[re.Pattern[str]], re.Pattern[str]]:
    """What stands before the first value, between two records, between two values, at the end."""
    blank = r"[ \t\r\n]"
    opened = rf"<{re.escape(record)}{blank}+{re.escape(names[0])}{blank}*={blank}*"
    return (
        re.compile(f"{blank}*{opened}"),
        re.compile(f"{blank}*/>{blank}*{opened}"),
        [re.compile(rf"{blank}+{re.escape(name)}{blank}*={blank}*") for name in names[1:]],
        re.compile(f"{blank}*/>"),
    )


def read_attributes(
    chunks: Iterable[bytes], *, record: str, names: Sequence[str], expect_all: bool = True
) -> AttributeAnswer:
    """Read an archived answer with the proofs and errors of a live one.

    Args:
        chunks: the body's bytes, in any portions.
        record: the local name of the elements that are records.
        names: of the attributes wanted.
        expect_all: the answer must hold everything that COUNT counts, and have a COUNT.

    Raises:
        RetsError: the answer is a refusal, or no RETS document.
    """
    return AttributeAnswer(
        Envelope(chunks, Exchange("archive", "Search")),
        record=record,
        names=names,
        expectation=Expectation.for_archive(None, expect_all=expect_all),
    )
