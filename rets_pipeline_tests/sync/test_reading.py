"""The process that reads pages: the same results, and a clear end in every case."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from rets_pipeline.archive import Archive
from rets_pipeline.sandbox import search
from rets_pipeline.sandbox.world import Sandbox
from rets_pipeline.sources.ddf import DdfSource
from rets_pipeline.sync import apply
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.sync.pages import Page
from rets_pipeline.sync.reading import Reader, ReaderDied, read_record
from rets_pipeline.warehouse import ledgers, tables
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.load import Counts
from rets_pipeline_tests.patience import PATIENCE
from rets_pipeline_tests.sources import payloads
from rets_pipeline_tests.sync.pieces import START, apply_due, open_mirror, record, store_pull
from rets_pipeline_tests.warehouse.databases import everything, rows

REPOSITORY = Path(__file__).parents[2]
SOURCE = DdfSource()


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    """One process for several tests."""
    with Reader(SOURCE) as found:
        yield found


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every load is large."""
    monkeypatch.setattr(apply, "LARGE_LOAD", 0)


def itself(page: bytes) -> bytes:
    return page


def test_both_processes_read_the_same(reader: Reader) -> None:
    pages = list(search.pages(Sandbox(250, 60, 5)))
    (held, _), *_ = [
        (SOURCE.head(one), one) for one in Page(pages[0], SOURCE.detail_record).records
    ]
    assert held.key is not None
    there = list(reader.read(pages, itself, {held.key: held.content_hash}))
    here = []
    for data in pages:
        page = Page(data, SOURCE.detail_record)
        heads = [(SOURCE.head(one), one) for one in page.records]
        here.append([(head, read_record(SOURCE, page, one, head)) for head, one in heads])
    assert there[0] is not None
    assert there[0][0] == (held, None)
    here[0][0] = (held, None)
    assert there == here


def test_a_page_that_is_none_is_left_to_this_process(reader: Reader) -> None:
    good = payloads.answer([record("1")])
    first, second, third = reader.read([good, b"<RETS/>", good], itself, {})
    assert second is None
    assert first == third
    assert first is not None


def test_what_goes_wrong_with_fetching_is_raised_here(reader: Reader) -> None:
    def get(page: bytes) -> bytes:
        if page == b"bad":
            raise ZeroDivisionError
        return page

    pages = [payloads.answer([record("1")]), b"bad", b"never asked for"]
    with pytest.raises(ZeroDivisionError):
        list(reader.read(pages, get, {}))
    assert len(list(reader.read(pages[:1], get, {}))) == 1  # a new process


def test_whoever_breaks_off_gets_nothing_old_afterwards(reader: Reader) -> None:
    pages = [payloads.answer([record(str(number))]) for number in range(20)]
    reading = reader.read(pages, itself, {})
    next(reading)
    reading.close()
    (found,) = reader.read(pages[7:8], itself, {})
    assert found is not None
    assert found[0][0].key == "7"


def test_a_process_that_dies_is_a_clear_failure() -> None:
    pages = [payloads.answer([record(str(number))]) for number in range(20)]
    with Reader(SOURCE) as reader:
        reading = reader.read(pages, itself, {})
        next(reading)
        process = reader._process
        assert process is not None
        process.kill()
        with pytest.raises(ReaderDied, match="ended with status -9"):
            list(reading)
        assert len(list(reader.read(pages, itself, {}))) == 20


def test_the_process_ends_with_this_one() -> None:
    """Even when this one is killed and can end nothing any more."""
    code = (
        "import sys\n"
        "from rets_pipeline.sources.ddf import DdfSource\n"
        "from rets_pipeline.sync.reading import Reader\n"
        "reader = Reader(DdfSource())\n"
        "print(reader._running().pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert os.getpgid(child) != os.getpgid(parent.pid)  # an interrupt from the keyboard
    assert is_running(child)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + PATIENCE
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(child)


def is_running(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return status != "Z"


# In a load --------------------------------------------------------------------------------------


def test_a_large_load_is_like_a_small_one(
    sqlite_warehouse: Warehouse, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [[record(str(page * 9 + number)) for number in range(9)] for page in range(5)]
    pages[4][0] = record("1", "changed within the pull")
    pages[4][1] = record("1", "and changed back")
    pages[3][0] = record("9", price="ten")
    pages[2][0] = record("5").replace('ID="5"', "")
    keys = {str(number): START for number in range(45)} | {"99": START}
    found = {}
    for large in (0, 1_000):
        monkeypatch.setattr(apply, "LARGE_LOAD", large)
        monkeypatch.setattr(apply, "RECORDS_AT_ONCE", 10)
        with open_mirror(sqlite_warehouse, archive) as mirror:
            store_pull(mirror, pages, keys)
            (first,) = apply_due(mirror)
            store_pull(mirror, pages[:4], keys)
            (second,) = apply_due(mirror)
        found[large] = (first.counts, second.counts, contents(sqlite_warehouse))
        with sqlite_warehouse.writing() as connection:
            for name in (*tables.LISTING_TABLES, "listing_sync", "quarantine"):
                connection.execute(sa.delete(tables.named(name)))
    assert found[0] == found[1_000]
    assert found[0][1] is not None
    assert found[0][1].unchanged > 20


def contents(warehouse: Warehouse) -> dict[str, Any]:
    """Everything but what differs from pull to pull."""
    table = ledgers.listing_sync
    sync = sa.select(table.c.listing_key, table.c.content_hash, table.c.state)
    return {
        "sync": sorted(tuple(row) for row in rows(warehouse, sync)),
        **{
            name: everything(warehouse)[name]
            for name in ("property", "property_rooms", "property_member")
        },
    }


@pytest.mark.usefixtures("large")
def test_a_record_that_changes_back_within_its_pull(mirror: Mirror, warehouse: Warehouse) -> None:
    """The other process takes it for known; by then the load knows better."""
    store_pull(mirror, [[record("1", "first")]], {"1": START})
    apply_due(mirror)
    apply.RECORDS_AT_ONCE, before = 1, apply.RECORDS_AT_ONCE
    try:
        store_pull(mirror, [[record("1", "second")], [record("1", "first")]], {"1": START})
        (parsed,) = apply_due(mirror)
    finally:
        apply.RECORDS_AT_ONCE = before
    assert parsed.counts == Counts(changed=2)
    found = rows(warehouse, sa.select(tables.property_.c.public_remarks))
    assert [row.public_remarks for row in found] == ["first"]


@pytest.mark.usefixtures("large")
def test_a_broken_page_fails_its_pull_alone(
    sqlite_warehouse: Warehouse, archive: Archive, archive_folder: Path
) -> None:
    with open_mirror(sqlite_warehouse, archive) as mirror:
        bad = store_pull(mirror, [[record("1")], [record("2")]], {"1": START, "2": START})
        store_pull(mirror, [[record("3")]], {"3": START})
        (archive_folder / bad.pull.archive_prefix / "page-00002.xml.zst").write_bytes(b"")
        done = apply_due(mirror)
    assert [parsed.counts for parsed in done] == [None, Counts(new=1)]
    assert done[0].reason is not None
    assert "page-00002" in done[0].reason


@pytest.mark.usefixtures("large")
def test_an_answer_that_is_none_tells_why(mirror: Mirror) -> None:
    store_pull(mirror, [[record("1"), "</PropertyDetails>"]], {"1": START})
    (parsed,) = apply_due(mirror)
    assert parsed.counts is None
    assert parsed.reason is not None
    assert "XML is damaged" in parsed.reason
