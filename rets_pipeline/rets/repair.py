"""The filter before the parser: what servers write that XML does not allow.

What belongs here: characters and references that no XML document may hold, in bytes that are UTF-8
already, in portions that may end at any byte. What does not: encodings (``encodings``), and
documents that are no XML for any other reason; those stay broken.

Each repair is counted by its kind. Clean bytes pass unchanged, and are only searched by the
fastest means that Python has.
"""

from __future__ import annotations

import re
from collections import Counter
from html.entities import html5
from typing import Final

from rets_pipeline.rets.encodings import LONE_SURROGATE, SURROGATE_PAIR, Decoder

CONTROL_CHARACTER: Final = "control character"
ILLEGAL_REFERENCE: Final = "reference to an illegal character"
STRAY_AMPERSAND: Final = "stray ampersand"
HTML_REFERENCE: Final = "HTML's name of a character"

#: A reference may not be longer than this, in bytes.
LONGEST_REFERENCE: Final = 40

_ILLEGAL_CODES: Final = [code for code in range(0x20) if code not in (0x09, 0x0A, 0x0D)]
# Vertical tab and form feed part lines in some databases: without a blank, words would merge.
_BLANK_CODES: Final = (0x0B, 0x0C)
_CONTROLS: Final = [bytes([code]) for code in _ILLEGAL_CODES]
_DROPPED: Final = bytes(code for code in _ILLEGAL_CODES if code not in _BLANK_CODES)
_TO_BLANKS: Final = bytes.maketrans(bytes(_BLANK_CODES), b"  ")
# U+FFFE and U+FFFF
_NONCHARACTERS: Final = (b"\xef\xbf\xbe", b"\xef\xbf\xbf")

_LEGAL_REFERENCES: Final = (b"amp;", b"lt;", b"gt;", b"quot;", b"apos;")
_REFERENCE = re.compile(
    rb"&(?:(?P<legal>amp|lt|gt|quot|apos)|#x(?P<hex>[0-9a-fA-F]{1,32})|#(?P<decimal>[0-9]{1,32})"
    rb"|(?P<name>[A-Za-z][A-Za-z0-9]{1,31}));"
)
_BEGUN_REFERENCE = re.compile(rb"&(?:#(?:x[0-9a-fA-F]*|[0-9]*)|[A-Za-z][A-Za-z0-9]*)?\Z")
_MARK = re.compile(rb"&|<!\[CDATA\[|<!--|<\?")
_OPENERS: Final = (b"<![CDATA[", b"<!--", b"<?")
_CLOSERS: Final = {b"<![CDATA[": b"]]>", b"<!--": b"-->", b"<?": b"?>"}


class ByteFilter:
    """Repairs the UTF-8 bytes of one document.

    Inside CDATA, comments and processing instructions an ampersand is legal and stays.
    """

    def __init__(self, repairs: Counter[str]) -> None:
        """Count into ``repairs``."""
        self._repairs = repairs
        self._halved = b""  # the beginning of a character
        self._waiting = b""  # what only the next bytes can explain
        self._closer: bytes | None = None  # of the CDATA and so on that is open

    def feed(self, data: bytes) -> bytes:
        """As much legal text as these bytes and those before them yield."""
        data = self._waiting + self._without_controls(data)
        if self._closer is None and not _suspicious(data):
            end = _end_of_certainty(data)
            self._waiting = data[end:]
            return data if end == len(data) else data[:end]
        return self._repair(data, final=False)

    def close(self) -> bytes:
        """What is left when no more bytes will come."""
        data, self._waiting = self._waiting + self._halved, b""
        self._halved = b""
        return self._repair(data, final=True)

    def _without_controls(self, data: bytes) -> bytes:
        if self._halved:
            data = self._halved + data
            self._halved = b""
        for control in _CONTROLS:
            if control in data:
                data = self._drop_controls(data)
                break
        if b"\xef" in data:
            data = self._drop_noncharacters(data)
        return data

    def _drop_controls(self, data: bytes) -> bytes:
        kept = data.translate(_TO_BLANKS, _DROPPED)
        blanks = sum(data.count(bytes([code])) for code in _BLANK_CODES)
        self._repairs[CONTROL_CHARACTER] += len(data) - len(kept) + blanks
        return kept

    def _drop_noncharacters(self, data: bytes) -> bytes:
        for bad in _NONCHARACTERS:
            if bad in data:
                self._repairs[CONTROL_CHARACTER] += data.count(bad)
                data = data.replace(bad, b"")
        for begun in (b"\xef\xbf", b"\xef"):
            if data.endswith(begun):
                self._halved = begun
                return data[: -len(begun)]
        return data

    def _repair(self, data: bytes, *, final: bool) -> bytes:
        """The same as the fast way for clean bytes, and more for others."""
        out: list[bytes] = []
        position = 0
        self._waiting = b""
        while position < len(data):
            if self._closer is not None:
                step, closed = self._pass_over(self._closer, data, position, final=final)
                out.append(data[position:step])
                position = step
                if not closed:
                    break
                self._closer = None
                continue
            mark = _MARK.search(data, position)
            end = mark.start() if mark is not None else _certain(data, position, final=final)
            out.append(data[position:end])
            position = end
            if mark is None:
                break
            if mark.group() != b"&":
                self._closer = _CLOSERS[mark.group()]
                out.append(mark.group())
                position = mark.end()
                continue
            repaired = self._reference(data, position, final=final)
            if repaired is None:
                break
            text, position = repaired
            out.append(text)
        self._waiting = data[position:]
        return b"".join(out)

    @staticmethod
    def _pass_over(closer: bytes, data: bytes, position: int, *, final: bool) -> tuple[int, bool]:
        """Where CDATA and the like end, or up to where they certainly go on; and which of both."""
        end = data.find(closer, position)
        if end >= 0:
            return end + len(closer), True
        return (len(data) if final else max(position, len(data) - len(closer) + 1)), False

    def _reference(self, data: bytes, position: int, *, final: bool) -> tuple[bytes, int] | None:
        """The text for what an ampersand begins and where it ends; None: more bytes must tell."""
        match = _REFERENCE.match(data, position)
        if match is None:
            if not final and _may_go_on(data, position):
                return None
            self._repairs[STRAY_AMPERSAND] += 1
            return b"&amp;", position + 1
        if match["legal"] is not None:
            return match.group(), match.end()
        if match["name"] is not None:
            return self._named(match)
        code = _code(match)
        if 0xD800 <= code <= 0xDBFF:
            return self._high_half(data, match, code, final=final)
        if _is_legal(code):
            return match.group(), match.end()
        self._repairs[LONE_SURROGATE if 0xDC00 <= code <= 0xDFFF else ILLEGAL_REFERENCE] += 1
        return b" " if code in _BLANK_CODES else b"", match.end()

    def _named(self, match: re.Match[bytes]) -> tuple[bytes, int]:
        """What HTML knows by the name; else the ampersand stands for itself."""
        text = html5.get(match["name"].decode() + ";")
        if text is None:
            self._repairs[STRAY_AMPERSAND] += 1
            return b"&amp;", match.start() + 1
        self._repairs[HTML_REFERENCE] += 1
        return "".join(f"&#{ord(character)};" for character in text).encode(), match.end()

    def _high_half(
        self, data: bytes, match: re.Match[bytes], code: int, *, final: bool
    ) -> tuple[bytes, int] | None:
        """The first half of a character beyond 65,536, joined with its second if that follows."""
        after = match.end()
        second = _REFERENCE.match(data, after)
        if second is None and not final and (after == len(data) or _may_go_on(data, after)):
            return None
        low = _code(second) if second is not None else 0
        if second is None or not 0xDC00 <= low <= 0xDFFF:
            self._repairs[LONE_SURROGATE] += 1
            return b"", after
        self._repairs[SURROGATE_PAIR] += 1
        joined = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
        return b"&#%d;" % joined, second.end()


class Cleaner:
    """Raw bytes in, legal XML in UTF-8 out, in any portions.

    Attributes:
        repairs: how much was repaired, by kind.
    """

    def __init__(self, *, charset: str | None = None, encoding: str | None = None) -> None:
        """See :class:`~rets_pipeline.rets.encodings.Decoder`.

        Args:
            charset: of Content-Type.
            encoding: the encoding, whatever the server says.
        """
        self.repairs: Counter[str] = Counter()
        self._decoder = Decoder(self.repairs, charset=charset, override=encoding)
        self._filter = ByteFilter(self.repairs)

    def feed(self, data: bytes) -> bytes:
        """As much clean text as these bytes and those before them yield.

        Raises:
            UnsafeEncoding: the server declares what is not accepted.
        """
        return self._filter.feed(self._decoder.feed(data))

    def close(self) -> bytes:
        """What is left when no more bytes will come.

        Raises:
            UnsafeEncoding: the server declares what is not accepted.
        """
        return self._filter.feed(self._decoder.close()) + self._filter.close()


def _suspicious(data: bytes) -> bool:
    """Whether something must be looked at more closely: a reference, CDATA, a comment.

    A search for one byte is some ten times faster than any for a pattern, and a hundred times
    faster than a loop.
    """
    start = data.find(b"&")
    while start >= 0:
        if not data.startswith(_LEGAL_REFERENCES, start + 1):
            return True
        start = data.find(b"&", start + 3)
    return _opens(data, b"!") or _opens(data, b"?")


def _opens(data: bytes, byte: bytes) -> bool:
    """Whether the byte follows ``<`` anywhere."""
    place = data.find(byte)
    while place >= 0:
        if data[place - 1 : place] == b"<":
            return True
        place = data.find(byte, place + 1)
    return False


def _end_of_certainty(data: bytes) -> int:
    """Where a reference or an opener may have begun that the next bytes complete."""
    # On the fast way every ampersand but an unfinished last one has been seen to be legal.
    return _certain(data, 0, final=False)


def _certain(data: bytes, position: int, *, final: bool) -> int:
    if final:
        return len(data)
    start = data.rfind(b"<", max(position, len(data) - 9))
    if start >= 0 and any(opener.startswith(data[start:]) for opener in _OPENERS):
        return start
    return len(data)


def _may_go_on(data: bytes, position: int) -> bool:
    """Whether the next bytes may complete the reference that begins here."""
    if len(data) - position >= LONGEST_REFERENCE:
        return False
    return _BEGUN_REFERENCE.match(data, position) is not None


def _code(match: re.Match[bytes]) -> int:
    if match["hex"] is not None:
        return int(match["hex"], 16)
    return int(match["decimal"] or b"0")


def _is_legal(code: int) -> bool:
    """XML 1.0, production 2 (surrogates are dealt with before)."""
    if code < 0x20:
        return code in (0x09, 0x0A, 0x0D)
    return code <= 0x10FFFF and code not in (0xFFFE, 0xFFFF) and not 0xD800 <= code <= 0xDFFF
