"""Pages as records: the way without a parser and the way with one come to the same end."""

from __future__ import annotations

import pytest

from rets_pipeline.rets import CountMismatch, DataBroken, RetsError, Truncated
from rets_pipeline.sandbox import search
from rets_pipeline.sandbox.world import Sandbox
from rets_pipeline.sources.base import ParsedListing
from rets_pipeline.sources.ddf import DdfSource
from rets_pipeline.sync.pages import Page
from rets_pipeline.sync.reading import read_record
from rets_pipeline_tests.sources import payloads
from rets_pipeline_tests.sync.pieces import record

SOURCE = DdfSource()
NAME = SOURCE.detail_record


def listings(data: bytes) -> list[ParsedListing]:
    page = Page(data, NAME)
    found = [read_record(SOURCE, page, one, SOURCE.head(one)) for one in page.records]
    assert all(isinstance(one, ParsedListing) for one in found)
    return found  # type: ignore[return-value]


def remarks(data: bytes) -> list[str]:
    return [one.rows["property"][0]["public_remarks"] for one in listings(data)]


PLAIN = payloads.answer([record("1", "Étage &amp; garden"), record("2", "second")])


@pytest.mark.parametrize(
    "other",
    [
        PLAIN.replace(b"<RETS-RESPONSE", b"<!-- a comment --><RETS-RESPONSE"),
        PLAIN.replace("Étage &amp; garden".encode(), "<![CDATA[Étage & garden]]>".encode()),
        b"\xef\xbb\xbf" + PLAIN,
        PLAIN.replace(b' encoding="utf-8"', b""),
        PLAIN.decode().replace("utf-8", "iso-8859-1").encode("latin-1"),
        PLAIN.decode().replace("utf-8", "utf-16").encode("utf-16"),
        PLAIN.replace("É".encode(), b"\xc9"),  # one byte of another encoding
        PLAIN.replace("Étage".encode(), b"&#201;tage"),
        PLAIN.replace(b"&amp; garden", b"& garden"),
        PLAIN.replace(b" garden", b"\x0b garden\x01").replace(b"&amp;\x0b ", b"&amp; "),
        PLAIN.replace("É".encode(), b"&Eacute;"),
        PLAIN.replace(b"<PublicRemarks>", b"<x:PublicRemarks xmlns:x='urn:x'>").replace(
            b"</PublicRemarks>", b"</x:PublicRemarks>"
        ),
        PLAIN.replace(b"</PropertyDetails>", b"</PropertyDetails >"),
        PLAIN.replace(b"><PublicRemarks>", b" >\r\n\t<PublicRemarks\n>"),
    ],
    ids=lambda page: page[:0].decode(),
)
def test_odd_pages_hold_the_same_listings(other: bytes) -> None:
    assert other != PLAIN or b"encoding" in PLAIN
    assert [text.split() for text in remarks(other)] == [["Étage", "&", "garden"], ["second"]]


@pytest.mark.parametrize(
    ("page", "error"),
    [
        (PLAIN[:-20], Truncated),
        (PLAIN.replace(b'Records="2"', b'Records="3"'), CountMismatch),
        (PLAIN.replace(b"</Price>", b"</Prize>"), DataBroken),
        (PLAIN.replace(b'ReplyCode="0"', b'ReplyCode="20701"'), RetsError),
        (PLAIN.replace(b"</RETS>", b'<RETS-STATUS ReplyCode="20203"/></RETS>'), RetsError),
        (PLAIN.replace(b"</PropertyDetails>", b"</PropertyDetails><x>", 1), DataBroken),
        (b"Object reference not set", RetsError),
        (b"", RetsError),
    ],
)
def test_what_is_no_answer_is_an_error(page: bytes, error: type[RetsError]) -> None:
    with pytest.raises(error):
        listings(page)


def test_pages_of_the_sandbox_need_no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise everything would still be right, and slow."""
    monkeypatch.setattr("rets_pipeline.sources.plain.plain", lambda element: 1 / 0)
    world = Sandbox(200, 60, 3)
    assert sum(len(listings(page)) for page in search.pages(world)) == 200
