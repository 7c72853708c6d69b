"""How fast pages of listings become rows, and how fast known ones are seen to be known.

The limit is expat with empty Python handlers over the same bytes: what Python's usual parser costs
before anything is done with what it finds.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.parsers import expat

from benchmarks.listings_data import Listings
from benchmarks.measure import Figure, seconds
from rets_pipeline import collector
from rets_pipeline.sources.base import ParsedListing, RecordHead
from rets_pipeline.sources.ddf import DdfSource
from rets_pipeline.sync.pages import Page

_LISTINGS = 2_000
_ROUNDS = 7
_SOURCE = DdfSource()


def parse() -> list[Figure]:
    """Pages in memory to rows of all tables."""
    listings = Listings(_LISTINGS)
    pages = listings.pages()
    listings.send_again()
    again = listings.pages()
    held = {head.key: head.content_hash for page in pages for head in _heads(page)}
    rows = sum(_number_of_rows(page) for page in pages)
    size = sum(map(len, pages))
    print(
        f"{_LISTINGS} listings of {size / _LISTINGS / 1000:.1f} KB, "
        f"{rows / _LISTINGS:.1f} rows each in 9 tables"
    )
    if sum(_unknown(page, held) for page in again):
        raise AssertionError("what was only sent again is not known")
    taken = seconds(
        {
            "expat": lambda: raw_pass(pages),
            "rows": lambda: _rows(pages),
            "known": lambda: [_unknown(page, held) for page in again],
        },
        _ROUNDS,
    )

    def figure(name: str, work: str, target: float) -> Figure:
        value = f"{_LISTINGS / taken[work]:,.0f} listings/s"
        ratio = taken["expat"] / taken[work]
        return Figure(name, value, "expat, empty Python handlers", ratio, target)

    return [
        figure("DDF pages to rows of all tables", "rows", 0.60),
        figure("the same, unchanged but for masked dates", "known", 4),
    ]


def raw_pass(pages: Iterable[bytes]) -> None:
    """Expat over documents, with Python handlers that do nothing."""
    for page in pages:
        parser = expat.ParserCreate()
        parser.StartElementHandler = lambda name, attributes: None
        parser.EndElementHandler = lambda name: None
        parser.CharacterDataHandler = lambda text: None
        parser.Parse(page, True)


def _heads(page: bytes) -> list[RecordHead]:
    return [_SOURCE.head(record) for record in Page(page, _SOURCE.detail_record).records]


def _unknown(data: bytes, held: dict[str | None, str]) -> int:
    """What a load finds out of a page before it reads a record."""
    unknown = 0
    for record in Page(data, _SOURCE.detail_record).records:
        head = _SOURCE.head(record)
        unknown += held.get(head.key) != head.content_hash
    return unknown


def _rows(pages: Iterable[bytes]) -> None:
    """What a load does with a page of new listings, without the database."""
    with collector.paused():
        for data in pages:
            page = Page(data, _SOURCE.detail_record)
            for record in page.records:
                head = _SOURCE.head(record)
                _SOURCE.parse(page.readable(record), head.content_hash)


def _number_of_rows(data: bytes) -> int:
    page = Page(data, _SOURCE.detail_record)
    parsed = [_SOURCE.parse(record) for record in page.records]
    if not all(isinstance(item, ParsedListing) for item in parsed):
        raise AssertionError("a listing cannot be read")
    return sum(len(rows) for item in parsed for rows in item.rows.values())
