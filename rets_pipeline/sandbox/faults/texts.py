"""Faults of characters: what no XML may hold, and encodings that are not what they say.

What belongs here: sections 16 and 17 of the catalogue. What does not: attacks (``documents``).
"""

from __future__ import annotations

import re

from rets_pipeline.sandbox.answers import Answer
from rets_pipeline.sandbox.faults.bodies import add_to_text
from rets_pipeline.sandbox.faults.catalogue import DATA, Turn, spoils_answer

_WRITTEN = ("Login", "Search", "GetMetadata")
_PROLOG = re.compile(rb"<\?xml[^>]*\?>\s*")

# --- 16: illegal XML ------------------------------------------------------------------------------


def _add(answer: Answer, piece: str | bytes) -> None:
    written = piece.encode() if isinstance(piece, str) else piece
    answer.write(add_to_text(answer.body(), written))


@spoils_answer(16, _WRITTEN, text="\x0b\x01")
def control_characters(answer: Answer, turn: Turn) -> None:
    """A text holds control characters."""
    _add(answer, turn["text"])


@spoils_answer(16, _WRITTEN, text="&#x10;&#11;")
def control_references(answer: Answer, turn: Turn) -> None:
    """A text holds a reference to a control character."""
    _add(answer, turn["text"])


@spoils_answer(16, _WRITTEN, text="&#55357;&#56842;")
def surrogate_references(answer: Answer, turn: Turn) -> None:
    """A text holds a character as the references of two surrogates."""
    _add(answer, turn["text"])


@spoils_answer(16, _WRITTEN, text="&#xD83D;")
def surrogate_alone(answer: Answer, turn: Turn) -> None:
    """A text holds the reference of half a surrogate pair."""
    _add(answer, turn["text"])


@spoils_answer(16, _WRITTEN, text="&#x110000;&#xFFFE;&#99999999999;")
def references_beyond_unicode(answer: Answer, turn: Turn) -> None:
    """A text holds references beyond Unicode, or to none of its characters."""
    _add(answer, turn["text"])


@spoils_answer(16, _WRITTEN, text=" R&R & co")
def stray_ampersands(answer: Answer, turn: Turn) -> None:
    """A text holds ampersands that are not escaped."""
    _add(answer, turn["text"])


@spoils_answer(16, _WRITTEN, text="&nbsp;&eacute;")
def html_entities(answer: Answer, turn: Turn) -> None:
    """A text holds entities of HTML."""
    _add(answer, turn["text"])


@spoils_answer(16, _WRITTEN, text=" 5 < 6")
def stray_less_than(answer: Answer, turn: Turn) -> None:
    """A text holds a less-than sign that is not escaped."""
    _add(answer, turn["text"])


@spoils_answer(16, _WRITTEN, text="<![CDATA[R&R <b>]]>")
def cdata(answer: Answer, turn: Turn) -> None:
    """A text stands in a CDATA section."""
    _add(answer, turn["text"])


# --- 17: encodings --------------------------------------------------------------------------------


def _encode(
    answer: Answer, encoding: str, *, prolog: str | None, header: str | None = None
) -> None:
    """Write the body in an encoding.

    Args:
        answer: whose body is UTF-8.
        encoding: to write it in.
        prolog: what the XML declaration names; "" names nothing, None leaves it out.
        header: what the Content-Type names, or None for nothing.
    """
    text = _PROLOG.sub(b"", answer.body(), count=1).decode()
    named = f' encoding="{prolog}"' if prolog else ""
    declaration = "" if prolog is None else f'<?xml version="1.0"{named}?>'
    answer.write((declaration + text).encode(encoding, "xmlcharrefreplace"))
    answer.headers["Content-Type"] = "text/xml" + (f"; charset={header}" if header else "")


@spoils_answer(17, _WRITTEN)
def charset_in_prolog(answer: Answer, _: Turn) -> None:
    """windows-1252, and only the XML declaration says so."""
    _encode(answer, "cp1252", prolog="windows-1252")


@spoils_answer(17, _WRITTEN)
def charset_in_header(answer: Answer, _: Turn) -> None:
    """ISO-8859-1, and only the Content-Type says so."""
    _encode(answer, "iso-8859-1", prolog=None, header="iso-8859-1")


@spoils_answer(17, _WRITTEN)
def charset_header_wrong(answer: Answer, _: Turn) -> None:
    """UTF-8 says the XML declaration, ISO-8859-1 the Content-Type."""
    _encode(answer, "utf-8", prolog="utf-8", header="iso-8859-1")


@spoils_answer(17, _WRITTEN)
def charset_undeclared(answer: Answer, _: Turn) -> None:
    """windows-1252, and nothing says so."""
    _encode(answer, "cp1252", prolog=None)


@spoils_answer(17, _WRITTEN)
def charset_prolog_wrong(answer: Answer, _: Turn) -> None:
    """windows-1252, but the XML declaration says UTF-8."""
    _encode(answer, "cp1252", prolog="utf-8")


@spoils_answer(17, _WRITTEN)
def charset_mixed(answer: Answer, _: Turn) -> None:
    """A single byte is windows-1252 in the midst of UTF-8."""
    _add(answer, b" \xae")


@spoils_answer(17, _WRITTEN)
def prolog_missing(answer: Answer, _: Turn) -> None:
    """UTF-8, and nothing says so."""
    _encode(answer, "utf-8", prolog=None)


@spoils_answer(17, DATA)
def byte_order_mark(answer: Answer, _: Turn) -> None:
    """A byte order mark stands before the document."""
    answer.write(b"\xef\xbb\xbf" + answer.body())


@spoils_answer(17, _WRITTEN)
def utf_16(answer: Answer, _: Turn) -> None:
    """UTF-16."""
    _encode(answer, "utf-16", prolog="utf-16", header="utf-16")


@spoils_answer(17, _WRITTEN)
def charset_unknown(answer: Answer, _: Turn) -> None:
    """The XML declaration names an encoding that does not exist."""
    _encode(answer, "utf-8", prolog="x-board-7")
