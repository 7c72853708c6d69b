"""Multipart answers as a stream of parts, byte for byte.

What belongs here: finding boundaries and headers in bytes, however badly they were written. What
does not: what the headers mean (``objects``), and HTTP.

Understood are: any boundary, quoted or not, or another one than the header says; a body without a
preamble, without the line break before its first boundary, without a closing boundary, or with
something behind it; lone line feeds; parts without headers, without a body, or without the empty
line between them. The bytes of a part stay as they are. One part is in memory at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from rets_pipeline.rets.errors import BodyFault, DataBroken

#: A larger part is refused.
MAX_PART_BYTES: Final = 64 * 1024 * 1024

_BLANKS: Final = b" \t\r\n"
# The first boundary must come within so many bytes, and the headers of a part too.
_HEAD: Final = 64 * 1024
# Headers that are as they should be end within so many bytes, and most of them within the latter.
_USUAL_HEAD: Final = 4 * 1024
_SHORT_HEAD: Final = 512
_LONGEST_BOUNDARY: Final = 200
# A boundary of so many bytes does not occur by chance: it counts within a line too, because some
# servers forget the line break before it.
_TELLING: Final = 8
# What may stand behind the last boundary of all.
_PADDING: Final = b" \t-"
# Behind a boundary so many bytes tell whether it is one.
_LOOKAHEAD: Final = 40

_BEHIND_BOUNDARY = re.compile(
    rb"(--)|[ \t]*(?:\r?\n|\r)|(?=(?:content-|object-|location:|preferred:|mime-version:))",
    re.IGNORECASE,
)
_FIRST_LINE = re.compile(rb"--([^\r\n]{1,%d}?)(--)?[ \t]*\r?(?:\n|\Z)" % _LONGEST_BOUNDARY)
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:[ \t]*([^\r\n]*)")
_KNOWN_HEADER = re.compile(rb"(?:content-|object-|location[ \t]*:)", re.IGNORECASE)
_USUAL_HEADERS = re.compile(rb"((?:[A-Za-z0-9_-]+[ \t]*:[^\r\n]*\r?\n)+)\r?\n")
_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")
_PARAMETER = re.compile(
    r"boundary\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"?|'([^']*)'|([^\s;,\"]+))", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Part:
    """One part.

    Attributes:
        headers: by name in lower case; of several with one name the first.
        body: byte for byte.
        cut: everything ended in its midst: within its headers, or before its ``Content-Length``.
    """

    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    cut: bool = False


def boundary_of(content_type: str) -> bytes | None:
    """The ``boundary`` parameter of a ``Content-Type`` header, or None."""
    match = _PARAMETER.search(content_type)
    if match is None:
        return None
    quoted, single, token = match.groups()
    value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else single or token or ""
    return value.strip().encode("latin-1", "replace") or None


def looks_like_multipart(head: bytes) -> bool:
    """Whether a body without a telling ``Content-Type`` begins with a boundary and a header."""
    start = head.lstrip(b"\r\n")
    line = _FIRST_LINE.match(start)
    return line is not None and _KNOWN_HEADER.match(start, line.end()) is not None


class Parts(Iterator[Part]):
    """The parts of one body, as they arrive.

    Attributes:
        boundary: that separates them; known after the first part was asked for.
        closed: the closing boundary came.
    """

    def __init__(
        self,
        chunks: Iterable[bytes],
        boundary: bytes | None,
        *,
        max_part_bytes: int = MAX_PART_BYTES,
    ) -> None:
        """Read nothing yet.

        Args:
            chunks: the body, in any portions.
            boundary: that the header named, or None.
            max_part_bytes: a larger part is refused.
        """
        self.boundary = boundary
        self.closed = False
        self._chunks = iter(chunks)
        self._buffer = bytearray()
        # What came behind the buffer's end, from that place on.
        self._rest = b""
        self._rest_at = 0
        # Of the part at the beginning of the buffer, when its headers are as they should be.
        self._headers: dict[str, str] | None = None
        self._body = 0
        self._length: int | None = None
        # The beginning of that part's body, when the buffer begins within it.
        self._aside: list[memoryview] = []
        self._aside_bytes = 0
        self._ended = False
        self._max_part_bytes = max_part_bytes
        self._marker = b""
        self._parts = self._read()

    def __iter__(self) -> Parts:
        return self

    def __next__(self) -> Part:
        """The next part.

        Raises:
            BodyFault: the bytes stopped coming, or make no sense.
        """
        return next(self._parts)

    def _read(self) -> Iterator[Part]:
        if not self._find_boundary():
            return
        inside = False
        while True:
            position, end, closing = self._next_boundary(inside)
            if inside:
                part = self._cut_out(position)
                if part is not None:
                    yield part
            if end is None:
                return
            del self._buffer[:end]
            self.closed = closing
            # Behind the closing boundary only a further boundary means anything.
            inside = not closing

    def _more(self) -> bool:
        """Take one chunk more into the buffer; False at the end."""
        piece = self._piece()
        if piece is None:
            return False
        chunk, start = piece
        self._buffer += memoryview(chunk)[start:]
        return True

    def _piece(self) -> tuple[bytes, int] | None:
        """The chunk behind the buffer's end, and from where on; None when there is none."""
        chunk, start = self._rest, self._rest_at
        if chunk:
            self._rest, self._rest_at = b"", 0
            return chunk, start
        following = None if self._ended else next(self._chunks, None)
        if following is None:
            self._ended = True
            return None
        return following, 0

    def _find_boundary(self) -> bool:
        """Decide what the boundary is: what the body begins with knows better than the header."""
        named = b"" if self.boundary is None else b"--" + self.boundary
        while len(self._buffer) < _HEAD and not self._begins_with(named) and self._more():
            pass
        head = bytes(self._buffer[:_HEAD])
        if not head.strip(_BLANKS):
            return False
        if not self._begins_with(named) and not _occurs_in(head, named):
            self.boundary = _first_boundary(head) or self.boundary
        if self.boundary is None:
            raise BodyFault(DataBroken, "the answer should have several parts, but no boundary")
        self._marker = b"--" + self.boundary
        return True

    def _begins_with(self, marker: bytes) -> bool:
        """Whether the body begins with that boundary; more bytes cannot change a yes."""
        if not marker or len(self._buffer) > 2 * _HEAD:
            return False
        start = bytes(self._buffer[:_HEAD]).lstrip(b"\r\n")
        line = start.partition(b"\n")
        behind = _BEHIND_BOUNDARY.match(start, len(marker))
        return bool(line[1]) and start.startswith(marker) and behind is not None

    def _next_boundary(self, inside: bool) -> tuple[int, int | None, bool]:
        """Where the part ends, where the next one begins (None: nowhere), and whether it closes."""
        start = 0
        if inside:
            self._headers = None
            if self._take_usual_headers():
                found = self._boundary_by_length()
                if found is not None:
                    return found
                if self._length is None:
                    start = self._put_aside()
        while True:
            position = self._buffer.find(self._marker, start)
            if position >= 0:
                found = self._boundary_at(position)
                if found is not None:
                    return found
                start = position + 1
                continue
            self._check_size()
            # A boundary may have begun; whether it begins a line is seen in the byte before.
            start = max(0, len(self._buffer) - len(self._marker) + 1)
            if not inside:
                del self._buffer[: max(0, start - 1)]
                start = min(start, 1)
            if not self._more():
                return len(self._buffer), None, False

    def _put_aside(self) -> int:
        """Look for the boundary in the chunks as they come, and keep those without it apart.

        A buffer that grew with every chunk would be copied each time. What is left in the buffer
        begins long enough before the boundary to tell whether it is one, and holds the headers
        behind it; the rest of the chunk stays where it is.

        Returns:
            Where in the buffer the boundary may be; none is before that.
        """
        marker, keep = self._marker, len(self._marker) + 2  # with the line break before it
        position = self._buffer.find(marker, self._body)
        if position >= 0 or len(self._buffer) - self._body < keep:
            return max(position, 0)
        last = memoryview(self._buffer[self._body :])
        self._buffer.clear()
        self._body = 0
        while (piece := self._piece()) is not None:
            chunk, start = piece
            seam = bytes(last[-keep:]) + chunk[start : start + 2 * keep]
            if len(seam) < 2 * keep or marker in seam:
                self._set_aside(last[:-keep])
                self._buffer += last[-keep:]
                self._leave(chunk, start)
                return 0
            self._set_aside(last)
            last = memoryview(chunk)[start:]
            position = chunk.find(marker, start)
            if position >= 0:
                self._aside.append(last[: position - keep - start])
                self._leave(chunk, position - keep)
                return keep
        self._set_aside(last[:-keep])
        self._buffer += last[-keep:]
        return 0

    def _set_aside(self, piece: memoryview) -> None:
        self._aside.append(piece)
        self._aside_bytes += len(piece)
        self._check_size()

    def _leave(self, chunk: bytes, start: int) -> None:
        """Take of the chunk what headers mostly need, and leave the rest of it for later."""
        end = start + _SHORT_HEAD
        self._buffer += chunk[start:end]
        if end < len(chunk):
            self._rest, self._rest_at = chunk, end

    def _check_size(self) -> None:
        if self._aside_bytes + len(self._buffer) > self._max_part_bytes + _HEAD:
            raise BodyFault(
                DataBroken, f"a part of the answer is larger than {self._max_part_bytes} bytes"
            )

    def _boundary_at(self, position: int) -> tuple[int, int | None, bool] | None:
        """The boundary at that position, if it is one."""
        after = position + len(self._marker)
        match = _BEHIND_BOUNDARY.match(self._buffer, after)
        while self._undecided(match, after) and self._more():
            match = _BEHIND_BOUNDARY.match(self._buffer, after)
        if not _is_boundary(self._buffer, position, self._marker, match):
            return None
        closing = match is not None and match.group(1) is not None
        return position, match.end() if match is not None else len(self._buffer), closing

    def _undecided(self, match: re.Match[bytes] | None, after: int) -> bool:
        """Whether more bytes are needed to tell a boundary from content."""
        if match is None:
            behind = self._buffer[after : after + _LOOKAHEAD]
            if behind.strip(_PADDING):
                return len(behind) < _LOOKAHEAD
            behind = self._buffer[after : after + _HEAD]
            return len(behind) < _HEAD and not behind.strip(_PADDING)
        return match.end() == len(self._buffer) and self._buffer[-1:] == b"\r"

    def _take_usual_headers(self) -> bool:
        """Read the headers of the part, if an empty line ends them; else the end will show them."""
        while (usual := _USUAL_HEADERS.match(self._buffer, 0, _USUAL_HEAD)) is None:
            if len(self._buffer) >= _USUAL_HEAD or self._marker in self._buffer:
                return False
            if _EMPTY_LINE.search(self._buffer) or not self._more():
                return False
        block = usual.group(1)
        if self._marker in block:
            return False
        headers: dict[str, str] = {}
        for row in _text(block).split("\n"):
            name, _, value = row.partition(":")
            headers.setdefault(name.strip().lower(), value.strip())
        self._headers, self._length, self._body = headers, _length(headers), usual.end()
        return True

    def _boundary_by_length(self) -> tuple[int, int | None, bool] | None:
        """The boundary where ``Content-Length`` says, if there is one: then nothing is searched."""
        length = self._length
        if length is None or length > self._max_part_bytes:
            return None
        end = self._body + length
        while len(self._buffer) < end + len(self._marker) + 2 and self._more():
            pass
        for gap in (b"\r\n", b"\n", b""):
            if self._buffer.startswith(gap + self._marker, end):
                return self._boundary_at(end + len(gap))
        return None

    def _cut_out(self, end: int) -> Part | None:
        """The part before the boundary at that position; None when nothing is there at all."""
        headers, start, length, ended = self._headers, self._body, self._length, True
        if headers is None:
            headers, start, ended = _read_headers(bytes(self._buffer[: min(end, _HEAD)]))
            length = _length(headers)
        end_of_body = self._end_of_body(start, end, length)
        if self._aside:
            self._aside.append(memoryview(self._buffer[start:end_of_body]))
            body = b"".join(self._aside)
            self._aside, self._aside_bytes = [], 0
        else:
            with memoryview(self._buffer) as view:
                body = bytes(view[start:end_of_body])
        if not headers and not body.strip(b"\r\n"):
            return None
        short = not ended or (length is not None and len(body) < length)
        return Part(headers, body, cut=short and end == len(self._buffer))

    def _end_of_body(self, start: int, end: int, length: int | None) -> int:
        """Without the line break that belongs to the boundary."""
        if start >= end:
            return start
        if end == len(self._buffer):
            # Nothing closes it, so only the length can tell where trailing bytes begin.
            return end if length is None else min(end, start + length)
        if length is not None and end - 2 <= start + length <= end:
            return start + length
        if self._buffer[end - 1] == 0x0A:
            end -= 1
            if end > start and self._buffer[end - 1] == 0x0D:
                end -= 1
        return end


def _length(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length")
    return int(length) if length is not None and re.fullmatch("[0-9]{1,12}", length) else None


def _occurs_in(head: bytes, marker: bytes) -> bool:
    """Whether the boundary that the header named is used at all."""
    if not marker:
        return False
    anywhere = _FIRST_LINE.match(head.lstrip(b"\r\n")) is None
    for match in re.finditer(re.escape(marker), head):
        begins_line = match.start() == 0 or head[match.start() - 1] in b"\r\n"
        behind = _BEHIND_BOUNDARY.match(head, match.end())
        if (anywhere or begins_line) and _is_boundary(head, match.start(), marker, behind):
            return True
    return False


def _is_boundary(
    data: bytes | bytearray, position: int, marker: bytes, behind: re.Match[bytes] | None
) -> bool:
    """Whether the marker that stands there separates parts, rather than being one's content."""
    if behind is None:  # only at the very end nothing needs to stand behind it
        return data[position + len(marker) :].strip(_PADDING) == b""
    begins_line = position == 0 or data[position - 1] in b"\r\n"
    return begins_line or len(marker) - 2 >= _TELLING


def _first_boundary(head: bytes) -> bytes | None:
    """The boundary by the body's first line, or else by a later line that a header follows."""
    start = head.lstrip(b"\r\n")
    line = _FIRST_LINE.match(start)
    if line is not None:
        return bytes(line.group(1)).rstrip()
    for line in re.finditer(rb"(?<=\n)" + _FIRST_LINE.pattern, head):
        if _KNOWN_HEADER.match(head, line.end()) is not None:
            return bytes(line.group(1)).rstrip()
    return None


def _read_headers(data: bytes) -> tuple[dict[str, str], int, bool]:
    """The headers of a part, where its body begins, and whether an empty line ended them.

    Whatever is no header ends them too, because some servers forget the empty line.
    """
    headers: dict[str, str] = {}
    position = 0
    empty = re.match(rb"\r?\n", data)
    if empty is not None:
        if _KNOWN_HEADER.match(data, empty.end()) is None:
            return headers, empty.end(), True
        position = empty.end()
    last = ""
    while position < len(data):
        end = data.find(b"\n", position)
        following = len(data) if end < 0 else end + 1
        line = data[position:following].rstrip(b"\r\n")
        if not line:
            return headers, following, True
        header = _HEADER.fullmatch(line)
        if header is not None:
            last = header.group(1).decode("ascii").lower()
            headers.setdefault(last, _text(header.group(2)))
        elif last and line[:1] in b" \t" and line.strip():
            headers[last] = f"{headers[last]} {_text(line)}"
        else:
            break
        position = following
    return headers, position, False


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8").strip()
    except UnicodeDecodeError:
        return value.decode("windows-1252", "replace").strip()
