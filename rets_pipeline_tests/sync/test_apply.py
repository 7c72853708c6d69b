"""Complete pulls into the warehouse: which are due, which fail, and what a death costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rets_pipeline.archive import Archive
from rets_pipeline.sync import apply, pull
from rets_pipeline.sync.days import DayRange
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.warehouse import deletion, difference, ledgers, pulls, tables
from rets_pipeline.warehouse.engine import Warehouse, transaction
from rets_pipeline.warehouse.load import Counts
from rets_pipeline_tests.sync.pieces import (
    DAY,
    FEED,
    START,
    apply_due,
    at,
    open_mirror,
    record,
    store_listings,
    store_master_list,
    store_pull,
)
from rets_pipeline_tests.warehouse.databases import everything, rows

REPOSITORY = Path(__file__).parents[2]


def remarks(warehouse: Warehouse) -> dict[str, str]:
    table = tables.property_
    return {row.listing_key: row.public_remarks for row in rows(warehouse, sa.select(table))}


def states(warehouse: Warehouse) -> dict[str, tuple[str, str | None]]:
    """State and reason by pull."""
    table = ledgers.pull
    return {
        row.pull_id: (row.state, row.reason)
        for row in rows(warehouse, sa.select(table).where(table.c.kind == "listings"))
    }


def manifest_path(folder: Path, stored: pull.Stored) -> Path:
    return folder / stored.pull.archive_prefix / "manifest.json"


def rewrite(folder: Path, stored: pull.Stored, change: Callable[[dict[str, Any]], None]) -> None:
    path = manifest_path(folder, stored)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


# The states of a pull -----------------------------------------------------------------------------


def test_complete_pulls_are_loaded_in_the_order_of_their_requests(
    mirror: Mirror, warehouse: Warehouse
) -> None:
    for text in ("first", "second", "third"):
        store_listings(mirror, {"1": text})
    done = apply_due(mirror)
    assert [parsed.counts for parsed in done] == [
        Counts(new=1),
        Counts(changed=1),
        Counts(changed=1),
    ]
    assert remarks(warehouse) == {"1": "third"}
    assert {state for state, _ in states(warehouse).values()} == {"applied"}
    assert apply_due(mirror) == []


_ANSWER = st.lists(
    st.lists(st.tuples(st.sampled_from("123"), st.sampled_from("abc")), max_size=4),
    min_size=1,
    max_size=4,
)


@given(answers=st.lists(_ANSWER, min_size=1, max_size=3))
@example(answers=[[[("1", "a"), ("2", "a")]], [[("1", "b"), ("2", "a")], [("1", "a"), ("2", "a")]]])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_last_record_of_a_key_stands_however_its_pull_is_cut(
    answers: list[list[list[tuple[str, str]]]], sqlite_warehouse: Warehouse, archive: Archive
) -> None:
    with pytest.MonkeyPatch.context() as patch, open_mirror(sqlite_warehouse, archive) as mirror:
        patch.setattr(apply, "RECORDS_AT_ONCE", 2)
        with transaction(mirror.connection) as connection:
            for table in (ledgers.listing_sync, *map(tables.named, tables.LISTING_TABLES)):
                connection.execute(sa.delete(table))
        expected: dict[str, str] = {}
        for pages in answers:
            said = {key: text for page in pages for key, text in page}
            texts = [[record(key, text) for key, text in page] for page in pages]
            store_pull(mirror, texts, dict.fromkeys(said, START))
            (done,) = apply_due(mirror)
            assert done.reason is None
            expected |= said
            assert remarks(sqlite_warehouse) == expected


def test_a_pull_without_a_manifest_does_not_exist(
    mirror: Mirror, warehouse: Warehouse, archive_folder: Path
) -> None:
    stored = store_listings(mirror, {"1": "first"})
    manifest_path(archive_folder, stored).unlink()
    with transaction(mirror.connection) as connection:
        begun = pulls.begin(connection, FEED, "listings", prefix="raw/board/listings/x", day=DAY)
    assert apply_due(mirror) == []
    assert states(warehouse) == {
        stored.pull.pull_id: ("abandoned", "the run ended before the manifest"),
        begun.pull_id: ("abandoned", "the run ended before the manifest"),
    }
    assert remarks(warehouse) == {}


def test_a_manifest_counts_although_the_run_died_right_after_it(
    mirror: Mirror, warehouse: Warehouse
) -> None:
    stored = store_listings(mirror, {"1": "first"})
    with transaction(mirror.connection) as connection:
        connection.execute(sa.update(ledgers.pull).values(state="requested", completed_at=None))
    (parsed,) = apply_due(mirror)
    assert parsed.counts == Counts(new=1)
    assert states(warehouse) == {stored.pull.pull_id: ("applied", None)}


def _no_json(folder: Path, stored: pull.Stored) -> None:
    manifest_path(folder, stored).write_text('{"pull_id": ')


def _not_utf8(folder: Path, stored: pull.Stored) -> None:
    manifest_path(folder, stored).write_bytes(b"\xff\xfe{}")


def _a_list(folder: Path, stored: pull.Stored) -> None:
    manifest_path(folder, stored).write_text("[]")


def _of_another_pull(folder: Path, stored: pull.Stored) -> None:
    rewrite(folder, stored, lambda document: document.update(pull_id="20200101T000000000000Z"))


def _of_another_feed(folder: Path, stored: pull.Stored) -> None:
    rewrite(folder, stored, lambda document: document.update(feed="other"))


def _no_pages(folder: Path, stored: pull.Stored) -> None:
    rewrite(folder, stored, lambda document: document.pop("pages"))


def _page_without_hash(folder: Path, stored: pull.Stored) -> None:
    rewrite(folder, stored, lambda document: document["pages"][0].pop("sha256"))


def _time_without_zone(folder: Path, stored: pull.Stored) -> None:
    rewrite(folder, stored, lambda document: document["keys"].append(["9", "2026-03-01T12:00:00"]))


def _page_missing(folder: Path, stored: pull.Stored) -> None:
    (folder / stored.pull.archive_prefix / "page-00001.xml.zst").unlink()


def _page_cut(folder: Path, stored: pull.Stored) -> None:
    path = folder / stored.pull.archive_prefix / "page-00001.xml.zst"
    path.write_bytes(path.read_bytes()[:-10])


def _page_of_another_pull(folder: Path, stored: pull.Stored) -> None:
    rewrite(folder, stored, lambda document: document["pages"][0].update(sha256="0" * 64))


BROKEN_MANIFESTS = [
    _no_json, _not_utf8, _a_list, _of_another_pull, _of_another_feed, _no_pages,
    _page_without_hash, _time_without_zone,
]  # fmt: skip
BROKEN_PAGES = [_page_missing, _page_cut, _page_of_another_pull]


@pytest.mark.parametrize("spoil", BROKEN_MANIFESTS + BROKEN_PAGES)
def test_a_broken_pull_fails_alone_and_its_keys_are_fetched_again(
    sqlite_warehouse: Warehouse,
    archive: Archive,
    archive_folder: Path,
    spoil: Callable[[Path, pull.Stored], None],
) -> None:
    with open_mirror(sqlite_warehouse, archive) as mirror:
        found = store_master_list(mirror, {"1": START, "2": START, "3": START})
        store_listings(mirror, {"1": "first"})
        bad = store_listings(mirror, {"2": "first"})
        store_listings(mirror, {"3": "first"})
        assert pull.plan(mirror, found).keys == 0  # all three wait in the archive
        spoil(archive_folder, bad)

        pull.plan(mirror, found)  # which comes first in every sync, and must not stop it
        done = apply_due(mirror)

        assert [parsed.counts for parsed in done] == [Counts(new=1), None, Counts(new=1)]
        assert done[1].day == DAY
        assert remarks(sqlite_warehouse) == {"1": "first", "3": "first"}
        state, reason = states(sqlite_warehouse)[bad.pull.pull_id]
        assert state == "failed"
        assert reason is not None
        assert reason == done[1].reason
        assert bad.pull.archive_prefix in reason
        assert apply_due(mirror) == []
        planned = pull.plan(mirror, found)
        assert planned.days == {DAY: {"2": START}}

        store_listings(mirror, {"2": "again"})
        assert [parsed.counts for parsed in apply_due(mirror)] == [Counts(new=1)]
        assert pull.plan(mirror, found).keys == 0


def test_a_page_that_breaks_off_loads_nothing_of_its_pull(
    mirror: Mirror, warehouse: Warehouse, archive_folder: Path
) -> None:
    """The first page was loaded already when the second turns out to be broken."""
    stored = store_pull(mirror, [[record("1")], [record("2")]], {"1": START, "2": START})
    (archive_folder / stored.pull.archive_prefix / "page-00002.xml.zst").write_bytes(b"")
    before = everything(warehouse, without=("pull", "run_ledger"))
    (parsed,) = apply_due(mirror)
    assert parsed.counts is None
    assert everything(warehouse, without=("pull", "run_ledger")) == before


def test_an_answer_that_is_none_fails_with_its_reason(mirror: Mirror, warehouse: Warehouse) -> None:
    keys = {"1": START}
    page = pull.Page(b"<RETS ReplyCode='0'><COUNT Records='1' /></RETS>", ["1"], [])
    stored = pull.store(mirror, pull.Download(DAY, dict(keys), iter([page])))
    (parsed,) = apply_due(mirror)
    assert parsed.counts is None
    assert states(warehouse)[stored.pull.pull_id] == ("failed", parsed.reason)


# What is in a pull --------------------------------------------------------------------------------


def test_a_listing_that_nobody_asked_for_stays_in_the_archive(
    mirror: Mirror, warehouse: Warehouse
) -> None:
    store_pull(mirror, [[record("1"), record("2")]], {"1": START})
    (parsed,) = apply_due(mirror)
    assert parsed.counts == Counts(new=1)
    assert remarks(warehouse) == {"1": "first"}


def test_a_key_that_was_not_returned_is_noted(mirror: Mirror, warehouse: Warehouse) -> None:
    store_pull(mirror, [[record("1")]], {"1": START, "2": at(5)})
    (parsed,) = apply_due(mirror)
    assert parsed.counts == Counts(new=1, not_returned=1)
    row = {row.listing_key: row for row in rows(warehouse, sa.select(ledgers.listing_sync))}["2"]
    assert (row.state, row.master_timestamp, row.attempts) == ("not_returned", at(5), 1)


def test_records_that_cannot_be_read(mirror: Mirror, warehouse: Warehouse) -> None:
    keyless = record("1").replace('ID="1"', "")
    wrong = record("2", price="ten")
    store_pull(mirror, [[keyless, wrong, record("3")]], {"2": START, "3": START})
    (parsed,) = apply_due(mirror)
    assert parsed.counts == Counts(new=2, quarantined=1, value_problems=1)
    table = ledgers.quarantine
    found = rows(warehouse, sa.select(table).order_by(table.c.resource_record_key.is_(None)))
    assert [(row.resource_record_key, row.field) for row in found] == [("2", "Price"), (None, "")]
    assert "ten" in found[0].raw
    assert "PropertyDetails" in found[1].raw


def test_a_timestamp_that_could_not_be_read_is_noted_with_its_listing(
    mirror: Mirror, warehouse: Warehouse
) -> None:
    found = store_master_list(mirror, {"1": None})
    store_pull(mirror, [[record("1")]], {"1": None})
    apply_due(mirror)
    (row,) = rows(warehouse, sa.select(ledgers.quarantine))
    assert (row.resource_record_key, row.field) == ("1", "LastUpdated")
    assert pull.plan(mirror, found).keys == 0  # and it is not fetched for ever


def test_a_pull_of_no_keys_is_loaded_like_any_other(mirror: Mirror) -> None:
    store_pull(mirror, [], {})
    (parsed,) = apply_due(mirror)
    assert parsed.counts == Counts()


# Replay -------------------------------------------------------------------------------------------


def replay(mirror: Mirror, days: DayRange) -> list[apply.ParsedPull]:
    done = []
    for parsed in apply.parse(mirror, apply.in_archive(mirror, days), replay=True):
        apply.apply(mirror, parsed)
        done.append(parsed)
    return done


def test_a_replay_takes_the_chosen_days(mirror: Mirror, warehouse: Warehouse) -> None:
    days = list(DayRange(DAY, DAY.replace(day=4)))
    for number, day in enumerate(days):
        store_listings(mirror, {str(number): "first"}, day=day)
    apply_due(mirror)
    done = replay(mirror, DayRange(days[1], days[2]))
    assert [parsed.day for parsed in done] == days[1:3]
    assert [parsed.counts for parsed in done] == [Counts(changed=1)] * 2


def test_a_replay_brings_back_nothing_gone(mirror: Mirror, warehouse: Warehouse) -> None:
    store_listings(mirror, {"1": "first", "2": "first"})
    apply_due(mirror)
    store_listings(mirror, {"1": "second"})
    apply_due(mirror)
    found = store_master_list(mirror, {"1": START})
    with (
        transaction(mirror.connection) as connection,
        difference.loaded(connection, found.batches(mirror.archive)),
    ):
        deletion.remove(connection, found.pull)
    done = replay(mirror, DayRange(DAY, DAY))
    assert [parsed.counts for parsed in done] == [Counts(superseded=2), Counts(changed=1)]
    assert remarks(warehouse) == {"1": "second"}


def test_a_replay_fills_an_empty_warehouse(
    mirror: Mirror, warehouse: Warehouse, archive: Archive
) -> None:
    store_listings(mirror, {"1": "first"})
    last = store_listings(mirror, {"1": "second"})
    apply_due(mirror)
    with transaction(mirror.connection) as connection:
        for name in (*tables.LISTING_TABLES, "pull", "listing_sync"):
            connection.execute(sa.delete(tables.named(name)))

    replay(mirror, DayRange(DAY, DAY))

    assert remarks(warehouse) == {"1": "second"}
    with warehouse.reading() as connection:
        adopted = pulls.find(connection, FEED, last.pull.pull_id)
    assert adopted is not None
    assert (adopted.state, adopted.requested_at) == ("applied", last.pull.requested_at)
    assert store_listings(mirror, {"1": "third"}).pull.pull_id > last.pull.pull_id


def test_a_replay_goes_on_after_a_broken_pull_and_past_what_is_none(
    mirror: Mirror, warehouse: Warehouse, archive_folder: Path
) -> None:
    bad = store_listings(mirror, {"1": "first"})
    good = store_listings(mirror, {"2": "first"})
    apply_due(mirror)
    _no_json(archive_folder, bad)
    stray = archive_folder / f"raw/{FEED}/listings/{DAY.isoformat()}/notes/manifest.json"
    stray.parent.mkdir()
    stray.write_text("{}")
    with transaction(mirror.connection) as connection:
        connection.execute(sa.delete(ledgers.pull))

    done = replay(mirror, DayRange(DAY, DAY))

    assert [parsed.counts for parsed in done] == [None, Counts(changed=1)]
    assert done[0].reason is not None
    found = states(warehouse)
    assert {pull_id: state for pull_id, (state, _) in found.items()} == {
        bad.pull.pull_id: "failed",
        good.pull.pull_id: "applied",
    }


# Death --------------------------------------------------------------------------------------------


def test_a_process_that_is_killed_in_the_middle_leaves_nothing_half(
    warehouse: Warehouse, warehouse_url: str, archive: Archive, archive_folder: Path
) -> None:
    pages = [[record(str(page * 10 + number)) for number in range(3)] for page in range(3)]
    keys = {str(page * 10 + number): START for page in range(3) for number in range(3)}
    with open_mirror(warehouse, archive) as mirror:
        stored = store_pull(mirror, pages, keys)
    before = everything(warehouse, without=("run_ledger",))

    process = subprocess.Popen(
        [sys.executable, "-m", "rets_pipeline_tests.sync.crash"],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "DATABASE_URL": warehouse_url,
            "ARCHIVE_URI": str(archive_folder),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    process.kill()
    process.communicate()

    assert everything(warehouse, without=("run_ledger",)) == before
    with open_mirror(warehouse, archive) as mirror:  # the lock is free
        (parsed,) = apply_due(mirror)
    assert parsed.counts == Counts(new=9)
    assert set(remarks(warehouse)) == set(keys)
    assert states(warehouse) == {stored.pull.pull_id: ("applied", None)}
    table = ledgers.run_ledger
    results = {row.run_id: row.result for row in rows(warehouse, sa.select(table))}
    assert sorted(results.values(), key=str) == ["killed", "succeeded", "succeeded"]
