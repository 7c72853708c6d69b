"""Plain XML: the form in which records are read fast.

What belongs here: what is plain, cutting the records out of a page without a parser, and the plain
form of an element. What does not: what a record means, and the proofs of an answer, which the RETS
client makes.

Plain is XML in UTF-8 without comments, CDATA, processing instructions, document types, prefixes
and namespaces, in which references are those that every XML knows. Servers write nothing else as a
rule, and it can be read by splitting it at each ``<``. Whatever is not plain is refused with
:class:`NotPlain`, never guessed at: then a parser reads it, and :func:`plain` writes down in plain
form what the parser found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lxml import etree

#: an ``lxml`` element; the published stubs know neither entities nor attribute pairs of texts
Element = Any

#: a larger record is for a parser, which knows how much is too much
_LONGEST_RECORD = 4_000_000
_DECLARATION = re.compile(
    rb"<\?xml(?:\s+(?:version|standalone)\s*=\s*(?:\"[\w.]*\"|'[\w.]*'))*"
    rb"(?:\s+encoding\s*=\s*(?:\"utf-?8\"|'utf-?8'))?"
    rb"(?:\s+standalone\s*=\s*(?:\"\w*\"|'\w*'))?\s*\?>",
    re.IGNORECASE,
)
_BLANKS = re.compile(rb"[ \t\n]*")
#: what no XML may hold: control characters, and the two noncharacters of the first 65,536
_ILLEGAL = [bytes([code]) for code in range(0x20) if code not in (0x09, 0x0A)]
_ILLEGAL += [b"\xef\xbf\xbe", b"\xef\xbf\xbf"]
_ATTRIBUTE = re.compile(r"\s+([^\s:=/>\"'&]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
# It finds every ampersand, and what belongs to it only if that is plain.
_REFERENCE = re.compile(r"&(?:(?:#x([0-9a-fA-F]{1,6})|#([0-9]{1,7})|(amp|lt|gt|quot|apos));)?")
_CHARACTERS = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_IN_TEXT = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_IN_ATTRIBUTE = {**_IN_TEXT, '"': "&quot;", "\t": "&#9;", "\n": "&#10;"}
_TO_TEXT = str.maketrans(_IN_TEXT)
_TO_ATTRIBUTE = str.maketrans(_IN_ATTRIBUTE)

Attributes = tuple[tuple[str, str], ...]


class NotPlain(ValueError):
    """These bytes are for a real parser."""


@dataclass(frozen=True, slots=True)
class Sliced:
    """The records of a page, cut out of it.

    Attributes:
        records: each from its start tag to its end tag.
        around: the page with an empty element in the place of each record, so that the page
            itself can be proved whole by whoever knows the protocol.
    """

    records: list[bytes]
    around: bytes


def sliced(page: bytes, name: str) -> Sliced | None:
    """Cut the records out of a page; None when a parser must find them.

    It only cuts. That the rest is a proper answer with as many records as it announces remains to
    be proved with ``around``, and that a record is well-formed is found when it is read.

    Args:
        page: a whole answer, as received.
        name: of the elements that are records, as written.
    """
    if not _may_be_plain(page):
        return None
    if b"\r" in page:  # XML 1.0, section 2.11
        page = page.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    start, end = f"<{name}".encode(), f"</{name}>".encode()
    beginnings = tuple(start + after for after in (b" ", b">", b"\n", b"\t"))
    first = at = page.find(start)
    records = []
    while at >= 0 and page.startswith(beginnings, at):
        stop = page.find(end, at) + len(end)
        if stop < len(end) or stop - at > _LONGEST_RECORD:
            return None
        record = page[at:stop]
        if not _is_utf_8(record):
            return None
        records.append(record)
        blanks = _BLANKS.match(page, stop)
        assert blanks is not None  # it matches nothing, too
        last, at = stop, blanks.end()
    if not records:
        return None
    around = b"".join((page[:first], (start + b"/>") * len(records), page[last:]))
    return Sliced(records, around) if _is_utf_8(around) else None


def _may_be_plain(page: bytes) -> bool:
    """No construct that hides a ``<``, and no other encoding by name."""
    declaration = _DECLARATION.match(page)
    start = declaration.end() if declaration is not None else 0
    if _follows_bracket(page, b"!", start) or _follows_bracket(page, b"?", start):
        return False
    return not page.startswith(b"\xef\xbb\xbf")


def _is_utf_8(data: bytes) -> bool:
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False


def _follows_bracket(page: bytes, mark: bytes, at: int) -> bool:
    # One byte is found much faster than two; the mark is rare, and the bracket is not.
    while (at := page.find(mark, at)) >= 0:
        if page[at - 1 : at] == b"<":
            return True
        at += 1
    return False


def is_legal(page: bytes) -> bool:
    """Whether it holds no character that no XML may hold (the RETS client drops such ones)."""
    return not any(map(page.__contains__, _ILLEGAL))


# Reading --------------------------------------------------------------------------------------


def pieces(record: bytes) -> list[str]:
    """A record split at each ``<``: a tag, ``>`` and the text behind it in each piece.

    Args:
        record: without characters that no XML may hold; see :func:`is_legal`.

    Raises:
        NotPlain: it is not UTF-8, or begins with something else.
    """
    try:
        text = record.decode()
    except UnicodeDecodeError:
        raise NotPlain("not UTF-8") from None
    if not text.startswith("<"):
        raise NotPlain("no element at its beginning")
    return text[1:].split("<")


def attributes(written: str) -> Attributes:
    """The attributes of a start tag, from what stands behind its name.

    Raises:
        NotPlain: they are not plain attributes.
    """
    found, at = [], 0
    while (match := _ATTRIBUTE.match(written, at)) is not None:
        name, double, single = match.groups()
        value = (double if double is not None else single).replace("\n", " ").replace("\t", " ")
        if name == "xmlns":
            raise NotPlain("a namespace")
        found.append((name, resolved(value) if "&" in value else value))
        at = match.end()
    if written[at:].strip(" \t\n"):
        raise NotPlain("an attribute that cannot be read")
    return tuple(found)


def resolved(written: str) -> str:
    """A text with the characters that its references stand for.

    Raises:
        NotPlain: a reference that not every XML knows, or to an illegal character.
    """
    return _REFERENCE.sub(_character, written)


def _character(match: re.Match[str]) -> str:
    hexadecimal, decimal, name = match.groups()
    if name is not None:
        return _CHARACTERS[name]
    code = int(hexadecimal, 16) if hexadecimal else int(decimal or 0)
    legal = code >= 0x20 or code in (0x09, 0x0A, 0x0D)
    if not legal or 0xD800 <= code <= 0xDFFF or code > 0x10FFFF or code in (0xFFFE, 0xFFFF):
        raise NotPlain("a reference that is not plain")
    return chr(code)


# Writing --------------------------------------------------------------------------------------


def plain(element: Element) -> bytes:
    """What a parser found, in plain form; names lose their namespace and comments vanish.

    Args:
        element: an ``lxml`` element; its tail does not count. It is not changed.

    Raises:
        TypeError: it is no element.
    """
    if not isinstance(getattr(element, "tag", None), str):
        raise TypeError("not an element")
    out: list[str] = []
    open_elements: list[tuple[Element, Iterator[Element]]] = []
    _open(element, out)
    open_elements.append((element, iter(element)))
    while open_elements:
        parent, children = open_elements[-1]
        child = next(children, None)
        if child is None:
            open_elements.pop()
            _close(parent, out)
            if open_elements and parent.tail:
                out.append(parent.tail.translate(_TO_TEXT))
        elif isinstance(child.tag, str):
            _open(child, out)
            open_elements.append((child, iter(child)))
        else:
            text = child.text if child.tag is etree.Entity else ""
            out.append(f"{text}{child.tail or ''}".translate(_TO_TEXT))
    return "".join(out).encode()


def _open(element: Element, out: list[str]) -> None:
    written = "".join(
        f' {_local(name)}="{value.translate(_TO_ATTRIBUTE)}"' for name, value in element.items()
    )
    empty = not len(element) and not element.text
    out.append(f"<{_local(element.tag)}{written}{' /' if empty else ''}>")
    if element.text:
        out.append(element.text.translate(_TO_TEXT))


def _close(element: Element, out: list[str]) -> None:
    if len(element) or element.text:
        out.append(f"</{_local(element.tag)}>")


def _local(name: str) -> str:
    # A prefix that nothing declares stays in the name; what libxml2 lets pass is no reason to stop.
    return name[name.rfind("}") + 1 :].strip(":").rpartition(":")[2] or "_"
