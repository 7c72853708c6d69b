"""COMPACT and COMPACT-DECODED search answers as a stream of rows with a proof of completeness.

What belongs here: reading the bytes of one answer, and finding out which cell belongs to which
column. What does not: the types of the cells, HTTP, and logins; the proof stands in
``search_answer``.

An XML parser reads the document. Where it stands right behind a row, and the bytes that follow are
nothing but rows without any markup, those are cut out of the bytes by searching for the tags, which
is much faster; the parser never sees them. Whatever is not as plain as that goes to the parser.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from xml.parsers import expat

from rets_pipeline.rets.envelope import Envelope, attribute, read_reply
from rets_pipeline.rets.errors import DataBroken, Exchange
from rets_pipeline.rets.search_answer import MAX_RECORD_BYTES, Answer, Expectation

logger = logging.getLogger("rets_pipeline.rets")

Row = tuple[str, ...]

#: Without a callback, more rows in quarantine mean that nothing is understood.
MAX_QUARANTINE: Final = 1000

#: Elements may not be nested more deeply: COMPACT needs three levels.
MAX_DEPTH: Final = 64

_OPEN: Final = b"<DATA>"
_CLOSE: Final = b"</DATA>"
_BLANKS: Final = b" \t\r\n"
# A row that is longer goes to the parser, which need not look at its beginning again.
_LONGEST_WAIT: Final = 1024 * 1024
_DATA: Final = "DATA"
_COLUMNS: Final = "COLUMNS"
_CONTAINERS: Final = ("RETS-RESPONSE", "REDATA")
_REFERENCES: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A row whose cells could not be told apart with certainty.

    Attributes:
        number: of the row in its answer, from 1.
        text: as the parser understood it, delimiters and all.
        reason: in plain words.
    """

    number: int
    text: str
    reason: str


class CompactAnswer(Answer[Row]):
    """The rows of one answer; see :class:`~rets_pipeline.rets.search_answer.Answer`.

    Each item is a tuple with as many cells as there are columns.

    Attributes:
        quarantine: rows with too few or too many cells, unless a callback takes them.
        quarantined: how many of them there were.
        renamed: columns whose name was empty or there already: position from 0, and the name that
            the server gave them.
    """

    def __init__(
        self,
        envelope: Envelope,
        *,
        expectation: Expectation,
        sink: Callable[[bytes], None] | None = None,
        on_close: Callable[[], None] | None = None,
        on_quarantine: Callable[[QuarantinedRow], None] | None = None,
        max_record_bytes: int = MAX_RECORD_BYTES,
    ) -> None:
        """Judge the opening tag.

        Args:
            envelope: the answer, opened.
            expectation: how many rows there must be.
            sink: gets every byte of the answer as it came, unless the answer is a refusal.
            on_close: called once, when nothing more will be read.
            on_quarantine: takes the rows that do not fit the columns. Without it they are
                collected, and more than :data:`MAX_QUARANTINE` are an error.
            max_record_bytes: a larger row is refused.

        Raises:
            RetsError: the server refused; the class says what to do. No records is no refusal.
        """
        self.quarantine: list[QuarantinedRow] = []
        self.quarantined = 0
        self.renamed: dict[int, str] = {}
        self._on_quarantine = on_quarantine
        self._layout: RowLayout | None = None
        self._delimiter: str | None = None
        self._stranger: str | None = None
        self._parser = _Parser()
        super().__init__(
            envelope,
            expectation=expectation,
            sink=sink,
            on_close=on_close,
            max_record_bytes=max_record_bytes,
        )

    @property
    def columns(self) -> Row:
        """The columns' names, each once; empty when the answer has none.

        Asked for before the first row, it reads ahead.

        Raises:
            RetsError: what the answer says until then is an error.
        """
        if self._layout is None and not self.complete and self._fault is None:
            self._read_ahead()
        return self._layout.columns if self._layout is not None else ()

    @property
    def delimiter(self) -> str:
        """What stands between cells: one character, a tab unless the server says otherwise."""
        return self._delimiter or "\t"

    @property
    def received(self) -> int:
        """Rows so far, with those in quarantine."""
        return self.rows + self.quarantined

    def dicts(self) -> Iterator[dict[str, str]]:
        """The rows as dictionaries from column to cell."""
        for row in self:
            yield dict(zip(self.columns, row, strict=True))

    def _records(self, pieces: Iterator[bytes]) -> Iterator[Row]:
        waiting = b""  # what may be the beginning of a plain row
        for piece in pieces:
            before, position = self.received, 0
            if waiting:
                # Only the row at the border is put together: the pieces are large.
                position = piece.find(_CLOSE) + len(_CLOSE)
                if position < len(_CLOSE):
                    position = len(piece)
                waiting = yield from self._read_on(waiting + piece[:position], 0)
            if position < len(piece):
                waiting = yield from self._read_on(piece, position)
            if self.received > before:
                self._unclaimed = len(waiting)
        yield from self._parse(waiting)
        self._require_end(self._parser.close(), root_closed=self._parser.root_closed)
        if self._layout is None and self._stranger is not None:
            quoted = self._exchange.redactor.quote(self._stranger, 40)
            raise self._error(DataBroken, f"the answer is not COMPACT: it holds {quoted!r}")

    def _read_on(self, data: bytes, position: int) -> Generator[Row, None, bytes]:
        """The rows from a position on; returns the bytes that wait for what follows."""
        while position < len(data):
            if self._parser.behind_a_row:
                position = yield from self._plain_rows(data, position)
            # What is no plain row goes to the parser, up to where the next may begin.
            end = data.find(_CLOSE, position) + len(_CLOSE)
            if end < len(_CLOSE):
                break
            yield from self._parse(data[position:end])
            position = end
        rest = data[position:]
        if self._parser.behind_a_row and _may_be_a_row(rest):
            return rest
        yield from self._parse(rest)
        return b""

    def _plain_rows(self, data: bytes, position: int) -> Generator[Row, None, int]:
        """The rows from a position right behind a row on, as long as they are plain.

        Returns where they end.
        """
        assert self._layout is not None
        delimiter, width = self.delimiter, len(self._layout.columns)
        opening = _OPEN + delimiter.encode()
        closing = delimiter.encode() + _CLOSE
        start = data.find(b"<", position)
        gap = data[position:start]
        if start < 0 or gap.strip(_BLANKS) or not data.startswith(opening, start):
            return position
        # Between two plain rows stand the same bytes again and again.
        between = closing + gap + opening
        # Looked for once here, not once a row: where they are absent, as nearly everywhere.
        odd = b"\r" in data or b"]" in data
        start += len(opening)
        while True:
            end = data.find(b"<", start) - 1
            following = end + len(between)
            last = data[end:following] != between
            if end < start or (last and not data.startswith(closing, end)):
                return position
            row = data[start:end].decode()
            if odd and ("\r" in row or "]]>" in row):
                return position
            cells = tuple((_resolved(row) if "&" in row else row).split(delimiter))
            if len(cells) == width:
                self.rows += 1
                yield cells
            else:
                yield from self._row(f"{delimiter}{_resolved(row)}{delimiter}", markup=False)
            position = end + len(closing)
            if last:
                return position
            start = following

    def _parse(self, data: bytes) -> Iterator[Row]:
        """The rows that the parser finds; what else it finds is noted on the way."""
        events, damage = self._parser.feed(data)
        for name, text, attributes, markup in events:
            if name == _DATA:
                yield from self._row(text, markup=markup)
            elif name == _COLUMNS:
                self._note_columns(text)
            else:
                self._note(name, attributes)
        if damage is not None:
            raise self._error(DataBroken, f"the XML is damaged: {damage}")

    def _row(self, text: str, *, markup: bool) -> Iterator[Row]:
        if self._layout is None:
            raise self._error(DataBroken, "a row came before the columns' names")
        cells = self._layout.cells(text) if not markup else "there is markup inside the row"
        if isinstance(cells, tuple):
            self.rows += 1
            yield cells
            return
        self.quarantined += 1
        row = QuarantinedRow(self.received, text, cells)
        if self._on_quarantine is not None:
            self._on_quarantine(row)
        elif len(self.quarantine) < MAX_QUARANTINE:
            self.quarantine.append(row)
        else:
            raise self._error(
                DataBroken, f"more than {MAX_QUARANTINE} rows do not fit the columns ({cells})"
            )

    def _note(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "COUNT":
            self._note_count(attributes)
        elif name == "DELIMITER":
            self._note_delimiter(attribute(attributes, "value") or "")
        elif name == "MAXROWS":
            self.maxrows = True
        elif name == "RETS-STATUS":
            self._note_status(*read_reply(attributes, self._exchange))
        elif self._stranger is None:
            self._stranger = name

    def _note_delimiter(self, value: str) -> None:
        """RETS 1.7.2, section 13: the octet in hexadecimal digits."""
        digits = value.strip()
        code = int(digits, 16) if re.fullmatch(r"[0-9A-Fa-f]{1,2}", digits) else 0
        # A letter or a digit could not be told from data, and the others cannot stand in XML.
        if code not in (0x09, 0x20) and (code <= 0x20 or chr(code) in "<>&" or chr(code).isalnum()):
            quoted = self._exchange.redactor.quote(value, 40)
            raise self._error(DataBroken, f"the delimiter {quoted!r} cannot be used")
        if chr(code) != self.delimiter and self._layout is not None:
            raise self._error(DataBroken, "the delimiter came after the columns' names")
        self._delimiter = chr(code)

    def _note_columns(self, text: str) -> None:
        layout, renamed = RowLayout.of(text, self.delimiter)
        if not any(renamed.get(at, name) for at, name in enumerate(layout.columns)):
            raise self._error(DataBroken, "the answer names no columns")
        if self._layout not in (None, layout):
            raise self._error(DataBroken, "the answer names its columns twice, and differently")
        self._layout, self.renamed = layout, renamed
        if renamed:
            logger.warning(
                "%s: %s: columns without a name of their own are read under another one (%s)",
                *(self._exchange.server, self._exchange.transaction),
                self._exchange.redactor.quote(", ".join(layout.columns[at] for at in renamed)),
            )


@dataclass(frozen=True, slots=True)
class RowLayout:
    """Which part of a row belongs to which column.

    Attributes:
        columns: their names, each once.
        delimiter: one character.
        leading: the columns' names begin with a delimiter.
        trailing: they end with one.
    """

    columns: Row
    delimiter: str
    leading: bool
    trailing: bool

    @classmethod
    def of(cls, text: str, delimiter: str) -> tuple[RowLayout, dict[int, str]]:
        """From what COLUMNS holds; and the names that were changed, by position."""
        parts = text.strip("\r\n ").split(delimiter)
        leading = len(parts) > 1 and not parts[0].strip()
        trailing = len(parts) > 1 and not parts[-1].strip()
        given = [name.strip() for name in parts[leading : len(parts) - trailing]]
        columns: list[str] = []
        taken = {name.casefold() for name in given}
        seen: set[str] = set()
        renamed: dict[int, str] = {}
        for position, name in enumerate(given):
            unique = name
            if not name or name.casefold() in seen:
                unique = _free_name(name or f"Column{position + 1}", taken, bool(name))
                taken.add(unique.casefold())
                renamed[position] = name
            seen.add(unique.casefold())
            columns.append(unique)
        return cls(tuple(columns), delimiter, leading, trailing), renamed

    def cells(self, text: str) -> Row | str:
        """The cells, or why they cannot be told apart with certainty.

        At most one delimiter at each edge is left out, and only where every other reading of the
        row has another number of cells.
        """
        parts = text.split(self.delimiter)
        extra = len(parts) - len(self.columns)
        first, last = parts[0] == "", parts[-1] == ""
        if extra == 2 and first and last:
            return tuple(parts[1:-1])
        if extra == 1:
            if self.leading and first and not (self.trailing and last):
                return tuple(parts[1:])
            if self.trailing and last and not (self.leading and first):
                return tuple(parts[:-1])
        if extra == 0 and not (self.leading or self.trailing or not text):
            return tuple(parts)
        if extra == 0 and not first and not last:
            return tuple(parts)
        if len(self.columns) == 1 and text in ("", self.delimiter):
            return ("",)
        return self._otherwise(text, len(parts))

    def _otherwise(self, text: str, parts: int) -> Row | str:
        """Some servers put line breaks between the tags and the delimiters at the edges."""
        stripped = text.strip("\r\n ")
        if stripped != text and self.leading and self.trailing:
            inside = stripped.split(self.delimiter)
            if len(inside) == len(self.columns) + 2 and not inside[0] and not inside[-1]:
                return tuple(inside[1:-1])
        cells = parts - self.leading - self.trailing
        return f"the row has {cells} cells, and there are {len(self.columns)} columns"


class _Event(NamedTuple):
    name: str
    text: str
    attributes: Mapping[str, str]
    markup: bool


class _Parser:
    """An XML parser that knows what matters in COMPACT.

    Attributes:
        behind_a_row: all bytes so far are understood, and the last of them closed a row.
        root_closed: the closing tag has come.
    """

    def __init__(self) -> None:
        self.behind_a_row = False
        self.root_closed = False
        self._events: list[_Event] = []
        self._depth = 0
        self._text: list[str] | None = None
        self._name = ""
        self._inside = 0  # the depth of the row or of the columns' names
        self._markup = False
        self._fed = 0
        self._row_end = -1
        self._excess: str | None = None
        self._expat = expat.ParserCreate("utf-8")
        self._expat.buffer_text = True
        self._expat.buffer_size = 64 * 1024
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._characters

    def feed(self, data: bytes) -> tuple[list[_Event], str | None]:
        """What the bytes say, and what is wrong with them, or None."""
        if not data:
            return [], None
        self._fed += len(data)
        damage = self._parse(data, final=False)
        self.behind_a_row = damage is None and self._row_end + len(_CLOSE) == self._fed
        events, self._events = self._events, []
        return events, damage

    def close(self) -> str | None:
        """What is wrong with the end, or None."""
        return self._parse(b"", final=True)

    def _parse(self, data: bytes, *, final: bool) -> str | None:
        try:
            self._expat.Parse(data, final)
        except expat.ExpatError as error:
            return expat.errors.messages.get(error.code, "not well-formed")
        return self._excess

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._excess = f"elements are nested more than {MAX_DEPTH} deep"
        if self._text is not None:
            self._markup = True
            return
        name = _local_name(tag)
        if name in (_DATA, _COLUMNS):
            self._name, self._text, self._inside, self._markup = name, [], self._depth, False
        elif self._depth > 1 and name not in _CONTAINERS:
            self._events.append(_Event(name, "", attributes, False))

    def _end(self, tag: str) -> None:
        if self._text is not None and self._depth == self._inside:
            self._events.append(_Event(self._name, "".join(self._text), {}, self._markup))
            self._text = None
            if self._name == _DATA:
                self._row_end = self._expat.CurrentByteIndex
        self._depth -= 1
        self.root_closed = self._depth == 0

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)


def read_compact(
    chunks: Iterable[bytes],
    *,
    expect_all: bool = True,
    arguments: Mapping[str, str] | None = None,
    sink: Callable[[bytes], None] | None = None,
    name: str = "archive",
    on_quarantine: Callable[[QuarantinedRow], None] | None = None,
    max_record_bytes: int = MAX_RECORD_BYTES,
    charset: str | None = None,
    encoding: str | None = None,
) -> CompactAnswer:
    """Read an archived COMPACT answer with the proofs and errors of a live one.

    Args:
        chunks: the body's bytes, in any portions.
        expect_all: the answer must hold everything that COUNT counts, and have a COUNT.
        arguments: of the search that was answered; they then decide instead of ``expect_all``.
        sink: gets the bytes, unless the answer is a refusal.
        name: stands for the server in messages.
        on_quarantine: takes the rows that do not fit the columns.
        max_record_bytes: a larger row is refused.
        charset: of Content-Type.
        encoding: the encoding, whatever the server says.

    Raises:
        RetsError: the answer is a refusal, or no RETS document.
    """
    exchange = Exchange(name, "Search")
    return CompactAnswer(
        Envelope(chunks, exchange, charset=charset, encoding=encoding),
        expectation=Expectation.for_archive(arguments, expect_all=expect_all),
        sink=sink,
        on_quarantine=on_quarantine,
        max_record_bytes=max_record_bytes,
    )


def _local_name(tag: str) -> str:
    return tag.rpartition(":")[2].upper()


def _may_be_a_row(data: bytes) -> bool:
    """Whether the bytes, right behind a row, can be the beginning of another plain one."""
    begun = data.lstrip(_BLANKS)[: len(_OPEN)]
    return _OPEN.startswith(begun) and len(data) <= _LONGEST_WAIT


def _resolved(text: str) -> str:
    """The text with its references replaced; the filter has seen to it that all are legal."""
    if "&" not in text:
        return text
    at = text.find("&")
    if text.startswith("amp;", at + 1) and text.find("&", at + 5) < 0:
        return f"{text[: at + 1]}{text[at + 5 :]}"
    parts = text.split("&")
    for index in range(1, len(parts)):
        name, _, rest = parts[index].partition(";")
        parts[index] = (_REFERENCES.get(name) or _character(name)) + rest
    return "".join(parts)


def _character(name: str) -> str:
    return chr(int(name[2:], 16) if name.startswith("#x") else int(name[1:]))


def _free_name(name: str, taken: set[str], numbered: bool) -> str:
    number = 2
    candidate = f"{name}__{number}" if numbered else name
    while candidate.casefold() in taken:
        candidate = f"{name}__{number}"
        number += 1
    return candidate
