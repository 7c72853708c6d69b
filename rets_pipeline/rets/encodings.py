"""From the bytes of an answer to UTF-8, whatever the server calls its encoding.

What belongs here: finding out the encoding of an answer, and turning its bytes into UTF-8 while
they stream. What does not: characters that are valid UTF-8 and yet no XML (``repair``).

A caller's own knowledge comes first, then the mark of the byte order, the XML declaration, and the
charset of Content-Type. What claims to be UTF-8, or claims nothing, is read as strict UTF-8; each
byte that cannot be UTF-8 is read as windows-1252 and counted. Byte by byte, because a server's
database tends to hold texts of both kinds.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from email.message import Message
from typing import Final

WINDOWS_1252: Final = "byte read as windows-1252"
MISDECLARED: Final = "wrong name of the encoding"
UNDECODABLE: Final = "byte without a meaning in the encoding"
SURROGATE_PAIR: Final = "surrogate pair"
LONE_SURROGATE: Final = "lone surrogate"

# The declaration must be complete within so many bytes.
_DECLARATION_LIMIT: Final = 1024
_BLANK: Final = b" \t\r\n"

_DECLARED = re.compile(rb"\sencoding\s*=\s*[\"']([^\"']*)[\"']")
_UTF_8 = re.compile(r"utf-?8|us-ascii|ascii", re.IGNORECASE)
_UTF_16 = re.compile(r"utf-?16(-?[lb]e)?|(iso-10646-)?ucs-?2", re.IGNORECASE)
# Encodings of one byte in which ASCII stands for itself. In UTF-7, say, a document type could hide.
_ONE_BYTE = re.compile(
    r"(?:iso-?8859-?|latin-?)(?P<iso>[1-9]|1[013-6])|(?:windows-?|cp-?)(?P<windows>125[0-8])",
    re.IGNORECASE,
)
_LATIN_NUMBERS: Final = {"5": "9", "6": "10", "7": "13", "8": "14", "9": "15", "10": "16"}

_MARKS: Final = (
    (b"\xff\xfe\x00\x00", None),
    (b"\x00\x00\xfe\xff", None),
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)

# The bytes that windows-1252 leaves undefined stand for the control characters of their number.
_AS_WINDOWS_1252: Final = {
    byte: bytes([byte]).decode("windows-1252", "ignore") or chr(byte) for byte in range(0x80, 0x100)
}
_FROM_LATIN_1: Final = {byte: text for byte, text in _AS_WINDOWS_1252.items() if byte < 0xA0}
_C1 = re.compile("[\x80-\x9f]")

_NOT_ASCII = re.compile(
    rb"(?P<right>(?:[\xc2-\xdf][\x80-\xbf]"
    rb"|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})+)"
    # Some databases write a character beyond the first 65,536 as the two halves of UTF-16.
    rb"|(?P<pair>\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf])"
    rb"|(?P<half>\xed[\xa0-\xbf][\x80-\xbf])"
    rb"|(?P<other>[\x80-\xff])"
)
# What the next bytes may complete.
_UNFINISHED = re.compile(
    rb"(?:\xed[\xa0-\xaf][\x80-\xbf](?:\xed[\xb0-\xbf]?)?"
    rb"|[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z"
)


class UnsafeEncoding(ValueError):
    """The encoding is unknown, or one in which something could hide.

    Attributes:
        name: as the server wrote it.
    """

    def __init__(self, name: str) -> None:
        super().__init__("an encoding that is not accepted")
        self.name = name


def charset_of(content_type: str) -> str | None:
    """The charset that a Content-Type names, or None."""
    header = Message()
    header["Content-Type"] = content_type
    charset = header.get_param("charset")
    return charset.strip() or None if isinstance(charset, str) else None


class Decoder:
    """Turns the bytes of one answer into UTF-8, in any portions.

    The mark of the byte order and blanks before the document are left out.

    Attributes:
        encoding: Python's name of what was found, or None as long as too few bytes have come.
    """

    def __init__(
        self, repairs: Counter[str], *, charset: str | None = None, override: str | None = None
    ) -> None:
        """Know what is known before the first byte.

        Args:
            repairs: counts what had to be guessed.
            charset: of Content-Type.
            override: the encoding, whatever the server says; any that Python knows.

        Raises:
            LookupError: Python does not know the override.
        """
        self.encoding: str | None = None
        self._repairs = repairs
        self._charset = charset
        self._override = codecs.lookup(override).name if override is not None else None
        self._beginning = b""
        self._unfinished = b""
        self._decoder: codecs.IncrementalDecoder | None = None

    def feed(self, data: bytes) -> bytes:
        """As much UTF-8 as these bytes and those before them yield.

        Raises:
            UnsafeEncoding: the server declares what is not accepted.
        """
        if self.encoding is None:
            self._beginning += data
            data = self._begin(final=False)
        return self._decode(data, final=False)

    def close(self) -> bytes:
        """What is left when no more bytes will come.

        Raises:
            UnsafeEncoding: the server declares what is not accepted.
        """
        data = self._begin(final=True) if self.encoding is None else b""
        return self._decode(data, final=True)

    def _begin(self, *, final: bool) -> bytes:
        """The document's first bytes, once the encoding is known."""
        data = self._beginning.lstrip(_BLANK)
        if len(data) < 4 and not final:
            return b""
        for mark, encoding in _MARKS:
            if data.startswith(mark):
                return self._decide(encoding, data[len(mark) :], "UTF-32")
        # Without a mark, the zero bytes beside the first characters tell.
        if data[0:1] == b"\0" and data[1:2] == b"<":
            return self._decide("utf-16-be", data, "")
        if data[0:1] == b"<" and data[1:2] == b"\0":
            return self._decide("utf-16-le", data, "")
        unfinished = data[:5] == b"<?xml"[: len(data)] and b"?>" not in data
        if unfinished and not final and len(data) < _DECLARATION_LIMIT:
            return b""
        encoding = self._declared(data) if self._override is None else self._override
        return self._decide(encoding, data, "")

    def _declared(self, data: bytes) -> str:
        declaration = data[: data.find(b"?>") + 1] if data.startswith(b"<?xml") else b""
        found = _DECLARED.search(declaration[:_DECLARATION_LIMIT])
        if found is not None:
            encoding = _python_name(found.group(1).decode("latin-1").strip())
            if encoding is not None:
                return encoding
            # Programs that build the document as a string declare the string's own encoding.
            self._count(MISDECLARED)
        return "utf-8" if self._charset is None else self._by_header(self._charset)

    def _by_header(self, charset: str) -> str:
        # Whoever configured the web server did not see the document: a bad name is no reason to
        # refuse it.
        try:
            encoding = _python_name(charset)
        except UnsafeEncoding:
            encoding = None
        if encoding is None:
            self._count(MISDECLARED)
        return encoding or "utf-8"

    def _decide(self, encoding: str | None, data: bytes, unsafe: str) -> bytes:
        if self._override is not None:
            encoding = self._override
        if encoding is None:
            raise UnsafeEncoding(unsafe)
        self.encoding = encoding
        self._beginning = b""
        if encoding in ("iso8859-1", "cp1252"):
            self._decoder = codecs.getincrementaldecoder("latin-1")()
        elif encoding != "utf-8":
            errors = "surrogatepass" if encoding.startswith("utf-16") else "replace"
            self._decoder = codecs.getincrementaldecoder(encoding)(errors)
        return data

    def _decode(self, data: bytes, *, final: bool) -> bytes:
        if self.encoding == "utf-8":
            return self._check_utf_8(data, final=final)
        if self._decoder is None:
            return b""
        text = self._text(self._decoder, data, final=final)
        try:
            return text.encode()
        except UnicodeEncodeError:
            halves = sum(1 for character in text if "\ud800" <= character <= "\udfff")
            self._count(LONE_SURROGATE, halves)
            return text.encode("utf-8", "ignore")

    def _text(self, decoder: codecs.IncrementalDecoder, data: bytes, *, final: bool) -> str:
        text = decoder.decode(data)
        if final and decoder.getstate()[0]:
            self._count(UNDECODABLE)
        if self.encoding in ("iso8859-1", "cp1252"):
            return self._as_windows_1252(text)
        if not str(self.encoding).startswith("utf-16"):
            self._count(UNDECODABLE, text.count("\ufffd"))
        return text

    def _as_windows_1252(self, text: str) -> str:
        """What calls itself ISO-8859-1 is windows-1252 wherever the two differ."""
        if text.isascii() or _C1.search(text) is None:
            return text
        if self.encoding != "cp1252":
            self._count(WINDOWS_1252, len(_C1.findall(text)))
        return text.translate(_FROM_LATIN_1)

    def _count(self, kind: str, number: int = 1) -> None:
        if number:
            self._repairs[kind] += number

    def _check_utf_8(self, data: bytes, *, final: bool) -> bytes:
        if self._unfinished:
            data = self._unfinished + data
            self._unfinished = b""
        if data.isascii():
            return data
        if not final:
            tail = _UNFINISHED.search(data, max(0, len(data) - 6))
            if tail is not None:
                self._unfinished = tail.group()
                data = data[: tail.start()]
        try:
            data.decode()
        except UnicodeDecodeError:
            return _NOT_ASCII.sub(self._replacement, data)
        return data

    def _replacement(self, match: re.Match[bytes]) -> bytes:
        found = match.group()
        if match.lastgroup == "right":
            return found
        if match.lastgroup == "pair":
            self._repairs[SURROGATE_PAIR] += 1
            halves = found.decode("utf-8", "surrogatepass")
            return halves.encode("utf-16", "surrogatepass").decode("utf-16").encode()
        if match.lastgroup == "half":
            self._repairs[LONE_SURROGATE] += 1
            return b""
        self._repairs[WINDOWS_1252] += 1
        return _AS_WINDOWS_1252[found[0]].encode()


def _python_name(name: str) -> str | None:
    """Python's name of a declared encoding; None: it is UTF-16, which the bytes are not.

    Raises:
        UnsafeEncoding: it is not accepted.
    """
    if _UTF_8.fullmatch(name):
        return "utf-8"
    if _UTF_16.fullmatch(name):
        return None
    found = _ONE_BYTE.fullmatch(name)
    if found is None:
        raise UnsafeEncoding(name)
    if found["windows"]:
        return f"cp{found['windows']}"
    number = found["iso"]
    if name.lower().startswith("latin"):
        number = _LATIN_NUMBERS.get(number, number)
    return f"iso8859-{number}"
