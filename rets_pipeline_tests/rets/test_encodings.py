"""Encodings: what is declared, what is true, and what is safe."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rets_pipeline.rets import DataBroken, Truncated, read_search
from rets_pipeline.rets.encodings import (
    MISDECLARED,
    UNDECODABLE,
    WINDOWS_1252,
    Decoder,
    UnsafeEncoding,
    charset_of,
)

INSIDE = '<RETS ReplyCode="0"><COUNT Records="1"/><P a="{}"/></RETS>'


def decoded(
    data: bytes, *, charset: str | None = None, override: str | None = None, size: int = 10_000
) -> tuple[str, dict[str, int], str | None]:
    repairs: Counter[str] = Counter()
    decoder = Decoder(repairs, charset=charset, override=override)
    out = b"".join(decoder.feed(data[at : at + size]) for at in range(0, len(data), size))
    return (out + decoder.close()).decode(), dict(repairs), decoder.encoding


def declared(encoding: str, text: str, codec: str) -> bytes:
    return f'<?xml version="1.0" encoding="{encoding}"?><a>{text}</a>'.encode(codec)


@pytest.mark.parametrize("size", [1, 2, 3, 10_000])
@pytest.mark.parametrize(
    ("data", "charset", "expected", "repairs"),
    [
        # the declaration comes before the header
        (declared("windows-1252", "é€", "cp1252"), "utf-8", "é€", {}),
        (declared("iso-8859-15", "é€", "iso8859-15"), "utf-8", "é€", {}),
        (declared("latin2", "ł", "iso8859-2"), None, "ł", {}),
        (declared("Latin9", "€", "iso8859-15"), None, "€", {}),
        (declared("UTF8", "é€😊", "utf-8"), "iso-8859-1", "é€😊", {}),
        # the header, when nothing is declared
        (b"<a>\xe9</a>", "ISO-8859-1", "é", {}),
        (b"<a>\xc3\xa9</a>", "ISO-8859-1", "Ã©", {}),
        (b"<a>\xc3\xa9</a>", "nonsense", "é", {MISDECLARED: 1}),
        # ISO-8859-1 is windows-1252 wherever the two differ
        (declared("iso-8859-1", "", "ascii") + b"\x80\x99", None, "€™", {WINDOWS_1252: 2}),
        # strict UTF-8, and windows-1252 for what cannot be
        ("<a>é</a>".encode(), None, "é", {}),
        (b"<a>\xae \xc3\xa9 \x92 \x81</a>", None, "® é ’ \x81", {WINDOWS_1252: 3}),
        (declared("utf-8", "", "ascii") + b"\xae", "utf-8", "®", {WINDOWS_1252: 1}),
        (declared("us-ascii", "é", "utf-8"), None, "é", {}),
        (b"<a>\xe2\x82</a>\xf0\x9f", None, "â‚", {WINDOWS_1252: 4}),
        # a mark of the byte order
        (b"\xef\xbb\xbf" + declared("iso-8859-1", "é", "utf-8"), None, "é", {}),
        (b"\r\n \xef\xbb\xbf<a>\xc3\xa9</a>", "windows-1252", "é", {}),
        ("\ufeff<a>é😊</a>".encode("utf-16-le"), None, "é😊", {}),
        ("\ufeff<a>é😊</a>".encode("utf-16-be"), "utf-8", "é😊", {}),
        ("<a>é</a>".encode("utf-16-le"), None, "é", {}),
        ("<a>é</a>".encode("utf-16-be"), None, "é", {}),
        (b"\xff\xfe<\0a\0>\0\x3d\xd8x\0", None, "x", {"lone surrogate": 1}),
        ("\ufeff<a>é</a>".encode("utf-16-le") + b"\n", None, "é", {UNDECODABLE: 1}),
        # UTF-16 is declared, but plainly not sent
        (declared("utf-16", "é", "utf-8"), None, "é", {MISDECLARED: 1}),
        (declared("utf-16", "é", "cp1252"), "windows-1252", "é", {MISDECLARED: 1}),
        # blanks before the declaration
        (b"\r\n\t " + declared("windows-1252", "\x80", "latin-1"), None, "€", {}),
        # each half of a character in three bytes of its own
        (b"<a>\xed\xa0\xbd\xed\xb8\x8a\xed\xa0\xbd</a>", None, "😊", {"surrogate pair": 1}),
    ],
)
def test_what_is_declared_and_what_is_true(
    data: bytes, charset: str | None, expected: str, repairs: dict[str, int], size: int
) -> None:
    text, counted, _ = decoded(data, charset=charset, size=size)
    assert expected in text
    assert repairs.items() <= counted.items()
    assert set(counted) - set(repairs) <= {"lone surrogate"}


def test_the_caller_knows_best() -> None:
    data = declared("utf-8", "é", "mac-roman")
    assert "é" in decoded(data, override="mac-roman")[0]
    assert "é" in decoded(declared("UTF-7", "é", "cp1252"), override="windows-1252")[0]
    assert "é" in decoded(declared("x", "é", "utf-8"), charset="x", override="utf-8")[0]
    with pytest.raises(LookupError):
        Decoder(Counter(), override="no such thing")


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("name", ["UTF-7", "EBCDIC-CP-US", "hz", "x", "iso-2022-jp", ""])
def test_encodings_in_which_something_could_hide(name: str, size: int) -> None:
    with pytest.raises(UnsafeEncoding):
        decoded(declared(name, "", "ascii"), size=size)
    body = f'<?xml version="1.0" encoding="{name}"?>{INSIDE}'.encode()
    with pytest.raises(DataBroken, match="encoding"):
        read_search([body], record="P")


def test_utf_32_is_refused() -> None:
    for codec in ("utf-32-le", "utf-32-be"):
        with pytest.raises(DataBroken, match="encoding"):
            read_search(["\ufeff<RETS>".encode(codec)], record="P")


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_whole_answers(codec: str, size: int) -> None:
    body = INSIDE.format("Montréal").encode(codec)
    chunks = (body[at : at + size] for at in range(0, len(body), size))
    assert [record.get("a") for record in read_search(chunks, record="P")] == ["Montréal"]
    with pytest.raises(Truncated):
        list(read_search([body[: len(body) // 2]], record="P"))


def test_a_document_type_in_any_encoding_is_refused() -> None:
    body = '<!DOCTYPE RETS [<!ENTITY a "b">]><RETS ReplyCode="0">&a;</RETS>'
    for codec in ("utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"):
        with pytest.raises(DataBroken, match="document type"):
            read_search([body.encode(codec)], record="P")


@pytest.mark.parametrize(
    ("header", "charset"),
    [
        ("text/xml; charset=ISO-8859-1", "ISO-8859-1"),
        ('text/xml;Charset="utf-8"; x=y', "utf-8"),
        ("text/xml", None),
        ("text/xml; charset=", None),
        ("", None),
    ],
)
def test_charset_of_content_type(header: str, charset: str | None) -> None:
    assert charset_of(header) == charset


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60), st.integers(1, 7))
def test_the_portions_do_not_matter_and_the_result_is_utf_8(data: bytes, size: int) -> None:
    try:
        whole = decoded(data)
    except UnsafeEncoding:
        return
    assert decoded(data, size=size) == whole


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 5))
def test_utf_8_is_left_alone(text: str, size: int) -> None:
    data = ("<a>" + text).encode()
    assert decoded(data, size=size) == ("<a>" + text, {}, "utf-8")
