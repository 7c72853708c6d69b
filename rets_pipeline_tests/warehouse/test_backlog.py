"""What waits is counted rightly, and looking for it costs an index's entry, not a table's rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from rets_pipeline.warehouse import backlog, ledgers, media, tables
from rets_pipeline.warehouse.engine import Warehouse

FEED = "board"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SIZES = ("large", "thumbnail")


def photo(warehouse: Warehouse, key: str, token: str = "1", feed: str = FEED) -> None:
    """A payload names it in two sizes."""
    row = {
        "feed": feed,
        "listing_key": key,
        "media_key": f"{key}-1",
        "order": 1,
        "change_token": token,
        "media_url": "https://example.invalid/large",
        "thumbnail_url": "https://example.invalid/thumbnail",
    }
    with warehouse.writing() as connection:
        connection.execute(sa.insert(tables.media).values(row))


def held(
    warehouse: Warehouse, key: str, state: str = "stored", feed: str = FEED, **more: Any
) -> None:
    """The large one is held."""
    row = {
        "feed": feed,
        "resource_name": "Property",
        "resource_record_key": key,
        "media_key": f"{key}-1",
        "size": "large",
        "change_token": "1",
        "state": state,
        **more,
    }
    with warehouse.writing() as connection:
        connection.execute(sa.insert(ledgers.media_file).values(row))


def look(warehouse: Warehouse, sizes: tuple[str, ...] = ("large",)) -> tuple[str, int]:
    work = backlog.images(FEED, sizes)
    with warehouse.reading() as connection:
        return work.signal(connection, NOW), work.count(connection, NOW)


def test_what_is_missing_changed_due_or_gone_waits(warehouse: Warehouse) -> None:
    assert look(warehouse)[1] == 0
    photo(warehouse, "missing")
    photo(warehouse, "missing", feed="other")
    assert look(warehouse)[1] == 1
    photo(warehouse, "changed", token="2")
    held(warehouse, "changed")
    assert look(warehouse)[1] == 2
    photo(warehouse, "due")
    held(warehouse, "due", "failed", next_attempt=NOW - HOUR)
    assert look(warehouse)[1] == 3
    photo(warehouse, "later")
    held(warehouse, "later", "failed", next_attempt=NOW + HOUR)
    photo(warehouse, "right")
    held(warehouse, "right")
    assert look(warehouse)[1] == 3
    held(warehouse, "gone")
    assert look(warehouse)[1] == 4
    with warehouse.reading() as connection:
        assert len(media.wanted(connection, FEED, ("large",), NOW, 100)) == 3
    assert look(warehouse, SIZES)[1] == 4 + 5, "no thumbnail is held"


def test_a_count_goes_no_further_than_its_bound(warehouse: Warehouse) -> None:
    for key in "abc":
        photo(warehouse, key)
    with warehouse.reading() as connection:
        assert media.lacking_or_unnamed(connection, FEED, ("large",), NOW, 2) == 2


def test_the_signal_changes_when_work_may_have_come(warehouse: Warehouse) -> None:
    seen = [look(warehouse)[0]]

    def changed() -> bool:
        seen.append(look(warehouse)[0])
        return seen[-1] != seen[-2]

    assert not changed()
    pull = {
        "feed": FEED, "pull_id": "1", "kind": "listings", "state": "applied",
        "archive_prefix": "x", "requested_at": NOW, "applied_at": NOW,
    }  # fmt: skip
    grave = {"feed": FEED, "listing_key": "1", "master_pull_id": "1", "gone_at": NOW}
    with warehouse.writing() as connection:
        connection.execute(sa.insert(ledgers.pull).values({**pull, "feed": "other"}))
    assert not changed()
    with warehouse.writing() as connection:
        connection.execute(sa.insert(ledgers.pull).values(pull))
    assert changed()
    with warehouse.writing() as connection:  # a replay
        connection.execute(sa.update(ledgers.pull).values(applied_at=NOW + HOUR))
    assert changed()
    with warehouse.writing() as connection:
        connection.execute(sa.insert(ledgers.tombstone).values(grave))
    assert changed()
    held(warehouse, "later", "failed", next_attempt=NOW + HOUR)
    assert not changed()
    held(warehouse, "due", "failed", next_attempt=NOW - HOUR)
    assert changed()
    assert look(warehouse, SIZES)[0] != seen[-1]


#: what a look reads
_SIGNAL = (backlog.newest_change(FEED), backlog.due_again(FEED, NOW), backlog.people_gone(FEED))


@pytest.mark.parametrize("statement", _SIGNAL)
def test_the_signal_is_read_from_indexes(
    statement: sa.Select[Any], sqlite_warehouse: Warehouse
) -> None:
    with sqlite_warehouse.reading() as connection:
        sql = str(statement.compile(connection.engine, compile_kwargs={"literal_binds": True}))
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}").all()
    steps = [row.detail for row in plan]
    names = ("pull", "tombstone", "resource_tombstone", "media_file")
    touched = [step for step in steps if any(f" {name} " in f"{step} " for name in names)]
    assert touched, steps
    assert all(step.startswith("SEARCH") and "USING" in step for step in touched), steps


_MANY = (
    "INSERT INTO pull (feed, pull_id, kind, state, archive_prefix, requested_at, applied_at) "
    "SELECT 'board', n, 'listings', 'applied', '', now(), now() FROM generate_series(1, 5000) n",
    "INSERT INTO tombstone (feed, listing_key, master_pull_id, gone_at) "
    "SELECT 'board', n, '', now() FROM generate_series(1, 5000) n",
    "INSERT INTO resource_tombstone "
    "(feed, resource_name, resource_record_key, master_pull_id, gone_at) "
    "SELECT 'board', 'Member', n, '', now() FROM generate_series(1, 5000) n",
    "INSERT INTO media_file (feed, resource_name, resource_record_key, media_key, size, state) "
    "SELECT 'board', 'Property', n, n, 'large', 'stored' FROM generate_series(1, 5000) n",
    "ANALYZE",
)


def test_the_signal_is_read_from_indexes_on_postgres(postgres_warehouse: Warehouse) -> None:
    plans = []
    with postgres_warehouse.writing() as connection:
        for statement in _MANY:
            connection.exec_driver_sql(statement)
        for query in _SIGNAL:
            sql = str(query.compile(connection.engine, compile_kwargs={"literal_binds": True}))
            lines = connection.exec_driver_sql(f"EXPLAIN {sql}").scalars()
            plans.append("\n".join(lines))
    assert "ix_pull_feed_applied_at" in plans[0], plans[0]
    assert "ix_tombstone_feed_gone_at" in plans[0], plans[0]
    assert "ix_media_file_feed_next_attempt" in plans[1], plans[1]
    assert "ix_resource_tombstone_feed_gone_at" in plans[2], plans[2]
    assert "Seq Scan" not in "".join(plans), plans
