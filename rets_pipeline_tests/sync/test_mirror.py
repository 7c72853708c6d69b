"""What a run holds: locks, session, books."""

from __future__ import annotations

import logging
import time

import pytest
import sqlalchemy as sa

from rets_pipeline.archive import Archive
from rets_pipeline.rets import RetsError
from rets_pipeline.sandbox import RunningSandbox
from rets_pipeline.sync import master
from rets_pipeline.sync import run as whole
from rets_pipeline.sync.delete import delete_gone
from rets_pipeline.sync.mirror import Credentials, Mirror
from rets_pipeline.warehouse import ledgers, runs, tables
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.locks import LockHeld, LockLost
from rets_pipeline_tests.sync.pieces import (
    apply_due,
    feed_of,
    open_mirror,
    store_listings,
    store_master_list,
)
from rets_pipeline_tests.warehouse.databases import rows


def results(warehouse: Warehouse) -> list[tuple[str, str | None]]:
    table = ledgers.run_ledger
    return [
        (row.job, row.result)
        for row in rows(warehouse, sa.select(table).order_by(table.c.started_at))
    ]


def test_without_work_nothing_is_taken(warehouse: Warehouse, archive: Archive) -> None:
    with open_mirror(warehouse, archive) as mirror:
        assert mirror.requests_made() == 0
    assert results(warehouse) == []


def test_the_books_tell_how_a_run_ended(warehouse: Warehouse, archive: Archive) -> None:
    def fail() -> None:
        with open_mirror(warehouse, archive, job="backfill") as mirror:
            _ = mirror.connection
            raise ZeroDivisionError

    with open_mirror(warehouse, archive) as mirror:
        _ = mirror.connection
        assert results(warehouse) == [("sync", None)]
        mirror.note("something", keys=3)
        mirror.note("more")
        with warehouse.reading() as connection:
            found = runs.actions(connection, run_id=mirror.run_id, feed=mirror.feed.name)
        seconds = [action.pop("seconds") for action in found]
        assert found == [{"action": "something", "keys": 3}, {"action": "more"}]
        assert all(0 <= passed < 30 for passed in seconds)
    with pytest.raises(ZeroDivisionError):
        fail()
    assert results(warehouse) == [("sync", "succeeded"), ("backfill", "failed")]


def test_nobody_logs_in_without_the_lock(
    sandbox: RunningSandbox, warehouse: Warehouse, archive: Archive
) -> None:
    feed = feed_of(sandbox, lock_wait_seconds=0.2)
    with open_mirror(warehouse, archive, feed, sandbox, job="backfill") as first:
        _ = first.connection
        with (
            open_mirror(warehouse, archive, feed, sandbox) as second,
            pytest.raises(LockHeld, match=r"feed board is in use by backfill of feed board \(proc"),
        ):
            second.session()
    assert sandbox.world.statistics.as_json()["requests"]["Login"] == 0
    assert results(warehouse) == [("backfill", "succeeded")]
    with open_mirror(warehouse, archive, feed, sandbox) as third:
        master.store(third, master.request(third))
    assert sandbox.world.statistics.sessions_open == 0


def test_whoever_waits_is_told_for_whom(
    warehouse: Warehouse, archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    feed = feed_of(lock_wait_seconds=0.2)
    with (
        caplog.at_level(logging.WARNING),
        open_mirror(warehouse, archive, feed, job="backfill") as first,
        open_mirror(warehouse, archive, feed) as second,
    ):
        _ = first.connection
        with pytest.raises(LockHeld):
            _ = second.connection
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("feed board: waiting for backfill of feed board (process ")


def test_feed_and_images_are_locked_apart(warehouse: Warehouse, archive: Archive) -> None:
    """Also by a run that does both: neither lock stands for the other."""
    feed = feed_of(lock_wait_seconds=0)
    with (
        open_mirror(warehouse, archive, feed, job="images") as images,
        open_mirror(warehouse, archive, feed) as sync,
    ):
        images.lock("images of feed board")
        _ = sync.connection
        with pytest.raises(LockHeld, match="images of feed board is in use by images of"):
            sync.lock("images of feed board")
        with pytest.raises(LockHeld, match="feed board is in use by sync of"):
            _ = images.connection
    with open_mirror(warehouse, archive, feed, job="both") as both:
        first = both.lock("images of feed board")
        assert both.connection is not first
        assert both.lock("images of feed board") is first
        with open_mirror(warehouse, archive, feed) as other:
            for name in ("images of feed board", "feed board"):
                with pytest.raises(LockHeld, match="in use by both"):
                    other.lock(name)
    with open_mirror(warehouse, archive, feed) as other:
        for name in ("images of feed board", "feed board"):
            other.lock(name)
    assert [job for job, _ in results(warehouse)] == ["images", "sync", "both", "sync"]


def test_a_lost_lock_ends_the_writing(postgres_warehouse: Warehouse, archive: Archive) -> None:
    """Dagster goes on with the assets that do not depend on the one that failed."""
    with open_mirror(postgres_warehouse, archive) as mirror:
        store_listings(mirror, {"1": "first"})
        apply_due(mirror)
        store_master_list(mirror, {})
        process = mirror.connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
        with postgres_warehouse.engine.connect() as other:
            other.execute(sa.text(f"SELECT pg_terminate_backend({process})"))
        time.sleep(0.1)
        with pytest.raises(sa.exc.OperationalError):
            delete_gone(mirror)
        for _ in range(2):
            with pytest.raises(LockLost):
                delete_gone(mirror)
    assert len(rows(postgres_warehouse, sa.select(tables.property_))) == 1
    assert rows(postgres_warehouse, sa.select(ledgers.tombstone)) == []
    # The books need no lock; and nothing was raised that left the block.
    assert results(postgres_warehouse) == [("sync", "succeeded")]
    with open_mirror(postgres_warehouse, archive) as next_run:
        assert delete_gone(next_run).keys == 1


def test_a_server_that_refuses_gives_the_lock_back(
    sandbox: RunningSandbox, warehouse: Warehouse, archive: Archive
) -> None:
    feed = feed_of(sandbox)
    wrong = Credentials(sandbox.username, "wrong")
    assert "wrong" not in repr(wrong)
    with (
        Mirror(feed, warehouse, archive, wrong, job="sync") as refused,
        pytest.raises(RetsError) as caught,
    ):
        master.store(refused, master.request(refused))
    assert "wrong" not in str(caught.value).replace("wrong password", "")
    with open_mirror(warehouse, archive, feed, sandbox) as run:
        report = whole.sync(run)
    assert (report.keys, report.fetched, report.counts.new, report.deleted) == (12, 12, 12, 0)


def test_a_whole_sync_and_the_next_one(run: Mirror, sandbox: RunningSandbox) -> None:
    whole.sync(run)
    before = sandbox.world.statistics.searches.copy()
    report = whole.sync(run)
    assert (report.fetched, report.counts.new, report.counts.changed) == (0, 0, 0)
    assert sandbox.world.statistics.searches["details"] == before["details"]
