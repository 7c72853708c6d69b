"""The ledger of runs, and a feed in numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from rets_pipeline.sources.base import Problem
from rets_pipeline.warehouse import ledgers, pulls, runs
from rets_pipeline.warehouse.deletion import remove
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.load import Refused
from rets_pipeline.warehouse.locks import RunLock
from rets_pipeline.warehouse.media import Completeness
from rets_pipeline_tests.warehouse import people
from rets_pipeline_tests.warehouse.builders import FEED, apply, at, begin, holding, listing, pull_at
from rets_pipeline_tests.warehouse.databases import rows

NOTHING = Completeness(0, 0, 0, 0)


def start(
    warehouse: Warehouse, run_id: str, *, feed: str = FEED, job: str = "sync", lock: str = "feed"
) -> None:
    with warehouse.writing() as connection:
        runs.begin(
            connection,
            run_id=run_id,
            feed=feed,
            job=job,
            software_version="1",
            lock_name=f"{lock} {feed}",
        )


def end(warehouse: Warehouse, run_id: str, result: str | None, *actions: str) -> None:
    with warehouse.writing() as connection:
        runs.note(
            connection,
            run_id=run_id,
            feed=FEED,
            actions=[{"action": action} for action in actions],
            result=result,
        )


def status(warehouse: Warehouse) -> runs.Status:
    with warehouse.reading() as connection:
        return runs.status(connection, FEED, ["large"])


def test_a_run_from_start_to_end(warehouse: Warehouse) -> None:
    start(warehouse, "r")
    (row,) = rows(warehouse, sa.select(ledgers.run_ledger))
    assert (row.result, row.ended_at, row.actions) == (None, None, [])

    end(warehouse, "r", None, "one")
    (row,) = rows(warehouse, sa.select(ledgers.run_ledger))
    assert (row.result, row.ended_at, row.actions) == (None, None, [{"action": "one"}])

    end(warehouse, "r", "failed", "one", "two")
    (row,) = rows(warehouse, sa.select(ledgers.run_ledger))
    assert row.result == "failed"
    assert row.ended_at >= row.started_at
    with warehouse.reading() as connection:
        found = runs.actions(connection, run_id="r", feed=FEED)
        assert [item["action"] for item in found] == ["one", "two"]
        assert runs.actions(connection, run_id="unknown", feed=FEED) == []
        assert runs.actions(connection, run_id="r", feed="other") == []


def test_a_run_that_is_continued_starts_anew(warehouse: Warehouse) -> None:
    start(warehouse, "r")
    start(warehouse, "r", feed="other")
    end(warehouse, "r", "failed", "one")
    start(warehouse, "r")
    found = rows(warehouse, sa.select(ledgers.run_ledger).order_by("feed"))
    assert [(row.feed, row.result, row.actions) for row in found] == [
        (FEED, None, []),
        ("other", None, []),
    ]


def test_a_run_that_was_killed_is_marked_when_its_lock_is_taken_again(
    warehouse: Warehouse,
) -> None:
    start(warehouse, "1")
    start(warehouse, "2", job="images", lock="images")
    start(warehouse, "3", feed="other")
    end(warehouse, "1", None, "one")
    start(warehouse, "4")  # whoever has the lock knows that nobody else has
    end(warehouse, "4", "failed")
    start(warehouse, "5", job="backfill")
    found = rows(warehouse, sa.select(ledgers.run_ledger).order_by("run_id"))
    assert [(row.run_id, row.result) for row in found] == [
        ("1", "killed"),
        ("2", None),
        ("3", None),
        ("4", "failed"),
        ("5", None),
    ]
    assert found[0].ended_at is None
    assert found[0].actions == [{"action": "one"}]


def test_a_run_that_was_killed_is_noted_by_whoever_comes_by(warehouse: Warehouse) -> None:
    """Of whatever feed and kind: the next run of the same kind may be a day away."""
    start(warehouse, "killed", feed="other", job="images", lock="images of")
    start(warehouse, "goes on", job="addresses", lock="addresses")
    start(warehouse, "ours")
    lock = RunLock.acquire(warehouse, f"addresses {FEED}", holder="a run", wait_seconds=0)
    assert runs.note_killed(warehouse, [f"feed {FEED}"]) == 1
    found = rows(warehouse, sa.select(ledgers.run_ledger))
    assert {row.run_id: row.result for row in found} == {
        "killed": "killed", "goes on": None, "ours": None,
    }  # fmt: skip
    lock.release()
    assert runs.note_killed(warehouse) == 2
    assert runs.note_killed(warehouse) == 0


def test_old_runs_are_forgotten_but_each_jobs_last_ones(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "RUNS_KEPT", 2)
    for number in range(4):
        start(warehouse, f"sync {number}")
        end(warehouse, f"sync {number}", "succeeded")
        start(warehouse, f"other {number}", feed="other")
    start(warehouse, "replay", job="replay")
    later = datetime.now(UTC) + timedelta(seconds=1)
    for before, count in ((datetime.now(UTC) - timedelta(days=1), 0), (later, 2), (later, 0)):
        with warehouse.writing() as connection:
            assert runs.forget(connection, FEED, before) == count
    found = {row.run_id for row in rows(warehouse, sa.select(ledgers.run_ledger))}
    assert found == {"sync 2", "sync 3", "replay", *(f"other {number}" for number in range(4))}


def test_an_empty_warehouse_in_numbers(warehouse: Warehouse) -> None:
    found = status(warehouse)
    assert (found.server_keys, found.server_seen_at, found.last_sync_at) == (None, None, None)
    assert (found.live_listings, found.tombstones, found.images.named) == (0, 0, 0)
    assert found.last_sync_result is None


def test_a_feed_in_numbers(warehouse: Warehouse) -> None:
    problem = Problem("Price", "not a number", "ten")
    apply(
        warehouse,
        pull_at(warehouse, 0),
        [listing("1", problems=[problem]), listing("2", photos=[(1, "t")]), listing("3")],
        asked={"1": None, "2": None, "3": None, "4": None},
    )
    with warehouse.writing() as connection:
        master = begin(connection, 1, kind="master_list", complete=False)
        pulls.complete(connection, master, records=3, size=1, requests=1)
        with holding(connection, [("1", None), ("2", None), ("4", None)]):
            remove(connection, master)
        begin(connection, 2, kind="master_list", complete=False)
    start(warehouse, "first")
    end(warehouse, "first", "succeeded")

    found = status(warehouse)

    assert (found.server_keys, found.server_seen_at) == (3, at(1))
    assert (found.live_listings, found.tombstones) == (2, 1)
    assert (found.not_returned, found.quarantined, found.quarantine_entries) == (1, 0, 1)
    assert (found.images.named, found.images.pending) == (1, 1)
    assert found.last_sync_result == "succeeded"


def test_the_last_sync_is_no_image_run(warehouse: Warehouse) -> None:
    start(warehouse, "a")
    end(warehouse, "a", "failed")
    start(warehouse, "b", job="images")
    end(warehouse, "b", "succeeded")
    assert status(warehouse).last_sync_result == "failed"
    start(warehouse, "c")
    assert status(warehouse).last_sync_result == "running"


def test_members_and_offices_in_numbers(warehouse: Warehouse) -> None:
    assert status(warehouse).people == {
        kind: runs.PeopleStatus(None, None, 0, 0, 0, NOTHING) for kind in ("members", "offices")
    }
    with warehouse.writing() as connection:
        found = pulls.begin(connection, FEED, "member_master_list", prefix="x", now=at(1))
        pulls.complete(connection, found, records=3, size=0, requests=1)
    apply(warehouse, pull_at(warehouse, 2), [listing("1", agents=["9"])])
    asked = dict.fromkeys("123", at(0))
    refused = [Refused("3", Problem("", "cannot be read", "<raw/>"))]
    people.apply(
        warehouse, people.pull_of(warehouse, 3), [people.person("1")], asked=asked, refused=refused
    )

    told = status(warehouse).people["members"]
    assert told == runs.PeopleStatus(
        3, at(1), live=1, not_returned=1, quarantined=1, images=NOTHING
    )
    assert status(warehouse).people["offices"] == runs.PeopleStatus(None, None, 0, 0, 0, NOTHING)
    # Listings have numbers of their own.
    assert (status(warehouse).not_returned, status(warehouse).server_keys) == (0, None)
