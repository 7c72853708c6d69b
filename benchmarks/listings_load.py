"""How fast listings get into PostgreSQL: new ones, changed ones, known ones, and all the way.

The limit is COPY of the same rows, as ready text, into the same tables with all their indexes, in
one transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import django_way, postgres
from benchmarks.listings_data import DAY, FEED, Listings, archived, keys_of, mirror
from benchmarks.measure import Figure, Times
from rets_pipeline import collector
from rets_pipeline.archive import Archive
from rets_pipeline.sources.base import ParsedListing, RecordHead
from rets_pipeline.sources.ddf import DdfSource
from rets_pipeline.sync import apply
from rets_pipeline.sync.pages import Page
from rets_pipeline.sync.pull import read_page
from rets_pipeline.sync.reading import read_record
from rets_pipeline.warehouse import pulls
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.load import Counts, Load

_LISTINGS = 10_000
_RELOADED = 5_000
_PAGES_A_PULL = 50
_ROUNDS = 3
_SOURCE = DdfSource()

#: heads and listings of some pages
_Batch = list[tuple[RecordHead, ParsedListing]]


def load() -> list[Figure]:
    """Rows in memory to committed rows."""
    listings = Listings(_LISTINGS)
    pages = listings.pages()
    listings.change(every=1)
    changed = listings.pages()
    times = Times()
    with postgres.warehouse() as warehouse:
        for _ in range(_ROUNDS):
            postgres.empty(warehouse)
            times.note("new", _load(warehouse, pages, Counts(new=_LISTINGS)))
            tables = postgres.contents(warehouse)
            postgres.clean(warehouse)
            times.note("changed", _load(warehouse, changed, Counts(changed=_LISTINGS)))
            postgres.empty(warehouse)
            times.measure("copy", lambda: postgres.copy(warehouse, tables))  # noqa: B023
    rows = sum(data.count(b"\n") for data in tables.values())
    print(f"{_LISTINGS} listings, {rows} rows in {len(tables)} tables, {_ROUNDS} rounds")
    copied = f"COPY of the same rows, {_LISTINGS / times['copy']:,.0f} listings/s"

    def figure(name: str, work: str, target: float) -> Figure:
        value = f"{_LISTINGS / times[work]:,.0f} listings/s"
        return Figure(name, value, copied, times["copy"] / times[work], target)

    return [
        figure(f"load of {_LISTINGS:,} new listings, Postgres", "new", 0.80),
        figure("load of the same, all changed", "changed", 0.35),
    ]


def _load(warehouse: Warehouse, pages: list[bytes], expected: Counts) -> float:
    """The time that a load takes, without that of reading pages."""
    passed = 0.0
    counts = Counts()
    for at in range(0, len(pages), _PAGES_A_PULL):
        some = pages[at : at + _PAGES_A_PULL]
        keys = dict.fromkeys(key for page in some for key in keys_of(page))
        with warehouse.engine.connect() as connection, collector.paused():
            with connection.begin():
                pull = pulls.begin(connection, FEED, "listings", prefix="x", day=DAY)
                into = Load(connection, pull, dict(keys))
                for batch in _batches(some):
                    passed += _timed(lambda batch=batch: _load_batch(into, batch))  # noqa: B023
                passed += _timed(into.finish)
                commit = time.perf_counter()
            passed += time.perf_counter() - commit
        counts.add(into.counts)
    _check(counts, expected)
    return passed


def _load_batch(into: Load, batch: _Batch) -> None:
    known = into.known([head for head, _ in batch])
    into.batch([listing for head, listing in batch if head.key not in known])


def _batches(pages: list[bytes]) -> Iterator[_Batch]:
    batch: _Batch = []
    for data in pages:
        page = Page(data, _SOURCE.detail_record)
        for record in page.records:
            head = _SOURCE.head(record)
            listing = _SOURCE.parse(page.readable(record), head.content_hash)
            assert isinstance(listing, ParsedListing)
            batch.append((head, listing))
        if len(batch) >= apply.RECORDS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _check(counts: Counts, expected: Counts) -> None:
    # Some of the sandbox's values are wrong on purpose.
    if replace(counts, value_problems=0) != expected:
        raise AssertionError(f"the load did something else: {counts}")


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


# From the archive to the commit ----------------------------------------------------------------


def stream() -> list[Figure]:
    """Pages on disk to committed rows."""
    times = Times()
    pages = Listings(_LISTINGS).pages()
    with _archive() as archive, postgres.warehouse() as warehouse:
        for _ in range(_ROUNDS):
            postgres.empty(warehouse)
            times.note("load", _load(warehouse, pages, Counts(new=_LISTINGS)))
            postgres.empty(warehouse)
            _store(warehouse, archive, pages)
            times.measure("parse", lambda: _read_only(warehouse, archive))
            times.measure("stream", lambda: _apply(warehouse, archive, Counts(new=_LISTINGS)))
    slower = max(("parse", "load"), key=times.__getitem__)
    speed = _LISTINGS / times["stream"]
    both = Figure(
        "pages on disk to committed rows, both cores",
        f"{speed:,.0f} listings/s",
        f"the slower alone: {slower}, {_LISTINGS / times[slower]:,.0f} listings/s",
        times[slower] / times["stream"],
        0.80,
    )
    return [both, *django_way.figures(pages[:2], speed)]


def reload() -> list[Figure]:
    """Listings that are sent again, most of them unchanged; everything is loaded before."""
    times = Times()
    listings = Listings(_RELOADED)
    with _archive() as archive, postgres.warehouse() as warehouse:
        _store(warehouse, archive, listings.pages())
        _apply(warehouse, archive, Counts(new=_RELOADED))
        for _ in range(_ROUNDS):
            for share, every in ((95, 20), (100, 0)):
                listings.send_again()
                listings.change(every) if every else None
                changed = _RELOADED // every if every else 0
                expected = Counts(changed=changed, unchanged=_RELOADED - changed)
                _store(warehouse, archive, listings.pages())
                postgres.clean(warehouse)
                times.measure(f"{share}", lambda: _apply(warehouse, archive, expected))  # noqa: B023
            _store(warehouse, archive, listings.pages())
            postgres.clean(warehouse)
            replaced = Counts(changed=_RELOADED)
            times.measure(
                "all",
                lambda: _apply(warehouse, archive, replaced, skip=False),  # noqa: B023
            )

    def figure(share: str, target: float) -> Figure:
        value = f"{_RELOADED / times[share]:,.0f} listings/s"
        without = f"without the skip, {_RELOADED / times['all']:,.0f} listings/s"
        name = f"reload, {share} % unchanged, end to end"
        return Figure(name, value, without, times["all"] / times[share], target)

    return [figure("95", 8), figure("100", 25)]


@contextmanager
def _archive() -> Iterator[Archive]:
    with TemporaryDirectory() as folder:
        yield Archive.from_uri(str(Path(folder) / "archive"))


def _store(warehouse: Warehouse, archive: Archive, pages: list[bytes]) -> None:
    with mirror(warehouse, archive) as found:
        archived(found, pages)


def _apply(warehouse: Warehouse, archive: Archive, expected: Counts, *, skip: bool = True) -> None:
    """What a sync does with pulls that wait in the archive."""
    with mirror(warehouse, archive) as found:
        done = []
        for parsed in apply.parse(found, apply.due(found), replay=not skip):
            apply.apply(found, parsed)
            done.append(parsed)
    _check(apply.total(done), expected)


def _read_only(warehouse: Warehouse, archive: Archive) -> None:
    """The same in one process and without a database: nothing is known, and everything is read."""
    with mirror(warehouse, archive) as found, collector.paused():
        for manifest in apply.due(found):
            for name in manifest.pages:
                page = Page(read_page(archive, manifest.pull, name), _SOURCE.detail_record)
                for record in page.records:
                    read_record(_SOURCE, page, record, _SOURCE.head(record))
