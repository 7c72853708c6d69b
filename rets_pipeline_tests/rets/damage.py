"""Random damage, and a second opinion on its repair: slow, simple, over the whole document."""

from __future__ import annotations

import html.entities
import re

from hypothesis import strategies as st

_PREDEFINED = ("amp", "lt", "gt", "quot", "apos")
_SECTION = re.compile(r"(<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z))", re.DOTALL)
_REFERENCE = re.compile(
    r"&(?:#x([0-9a-fA-F]{1,32})|#([0-9]{1,32})|([A-Za-z][A-Za-z0-9]{1,31}));|&", re.ASCII
)
# Two surrogates written as bytes of their own, or a byte that cannot be UTF-8.
_ODD = re.compile("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]")


@st.composite
def damage(draw: st.DrawFn, body: bytes) -> bytes:
    """The bytes with some of them flipped, cut out or inserted."""
    damaged = bytearray(body)
    place = draw(st.integers(0, len(body) - 1))
    kind = draw(st.sampled_from(["flip", "cut", "insert"]))
    if kind == "flip":
        damaged[place] ^= 1 << draw(st.integers(0, 7))
    elif kind == "cut":
        del damaged[place : place + draw(st.integers(1, 40))]
    else:
        noise = st.one_of(
            st.binary(min_size=1, max_size=8),
            st.sampled_from(
                [b"&", b"&#55357;", b"&#x10;", b"\t", b"<", b"]]>", b"&nbsp;", b"\xae"]
            ),
        )
        damaged[place:place] = draw(noise)
    return bytes(damaged)


def repaired(body: bytes) -> bytes:
    """A document in UTF-8 as the client should understand it."""
    text = _without_illegal(_decoded(body.lstrip(b" \t\r\n").removeprefix(b"\xef\xbb\xbf")))
    parts = _SECTION.split(text)
    parts[::2] = [_references(part) for part in parts[::2]]
    return "".join(parts).encode()


def _decoded(body: bytes) -> str:
    out = []
    position = 0
    while position < len(body):
        for length in (1, 2, 3, 4):
            try:
                out.append(body[position : position + length].decode("utf-8", "surrogatepass"))
            except UnicodeDecodeError:
                continue
            position += length
            break
        else:
            byte = body[position : position + 1]
            out.append(byte.decode("windows-1252", "ignore") or byte.decode("latin-1"))
            position += 1
    return _ODD.sub(_joined, "".join(out))


def _joined(match: re.Match[str]) -> str:
    return match.group().encode("utf-16", "surrogatepass").decode("utf-16", "ignore")


def _without_illegal(text: str) -> str:
    text = re.sub("[\x0b\x0c]", " ", text)
    return re.sub("[\x00-\x08\x0e-\x1f\ufffe\uffff]", "", text)


def _references(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        hexadecimal, decimal, name = match.groups()
        if name in _PREDEFINED:
            return match.group()
        if name is not None and name + ";" in html.entities.html5:
            return "".join(f"&#{ord(letter)};" for letter in html.entities.html5[name + ";"])
        if hexadecimal is None and decimal is None:
            return "&amp;" + match.group()[1:]
        code = int(hexadecimal, 16) if hexadecimal else int(decimal)
        if code in (0x0B, 0x0C):
            return " "
        if (code < 0x20 and code not in (9, 10, 13)) or code in (0xFFFE, 0xFFFF) or code > 0x10FFFF:
            return ""
        return f"&#{code};"

    text = _REFERENCE.sub(one, text)
    pair = re.compile(r"&#(5[5-6]\d{3});&#(5[6-7]\d{3});")
    text = pair.sub(_paired, text)
    return re.sub(r"&#(5\d{4});", lambda match: _unless_surrogate(match), text)


def _paired(match: re.Match[str]) -> str:
    high, low = int(match[1]), int(match[2])
    if 0xD800 <= high < 0xDC00 <= low < 0xE000:
        return f"&#{0x10000 + (high - 0xD800) * 0x400 + low - 0xDC00};"
    return match.group()


def _unless_surrogate(match: re.Match[str]) -> str:
    return "" if 0xD800 <= int(match[1]) <= 0xDFFF else match.group()
