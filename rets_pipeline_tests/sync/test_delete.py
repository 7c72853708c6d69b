"""The deletion guard, and what a deletion does behind it."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from rets_pipeline.archive import Archive, ArchiveError
from rets_pipeline.settings import DeletionGuard
from rets_pipeline.sync.delete import Deleted, GuardTripped, delete_gone, refuses
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.warehouse import ledgers, tables
from rets_pipeline.warehouse.deletion import Gone
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.sync.pieces import (
    apply_due,
    at,
    feed_of,
    open_mirror,
    store_listings,
    store_master_list,
)
from rets_pipeline_tests.warehouse.databases import everything, rows

DEFAULT = DeletionGuard()


def of(gone: int, live: int) -> Gone:
    return Gone(keys=gone, live=gone, all_live=live)


@pytest.mark.parametrize(
    ("gone", "live", "trips"),
    [
        (20, 20, False),  # not more than 20, though all of them
        (21, 21, True),
        (21, 209, True),
        (21, 210, False),  # exactly 10 %
        (21, 211, False),
        (100, 1_000, False),
        (101, 1_000, True),
        (0, 0, False),
        (100_000, 1_000_000, False),
        (100_001, 1_000_000, True),
    ],
)
def test_the_guard_trips_beyond_both_numbers(gone: int, live: int, trips: bool) -> None:
    assert refuses(DEFAULT, of(gone, live), allowed=0) is trips


@pytest.mark.parametrize("percent", range(101))
def test_exactly_the_share_passes_whatever_the_share(percent: int) -> None:
    """0.29 times 100 is less than 29 in binary."""
    guard = DeletionGuard(keys=0, share=percent / 100)
    for hundreds in (1, 3, 7, 100_000):
        assert not refuses(guard, of(percent * hundreds, 100 * hundreds), allowed=0)
        if percent < 100:
            assert refuses(guard, of(percent * hundreds + 1, 100 * hundreds), allowed=0)


@given(
    keys=st.integers(0, 100),
    percent=st.integers(0, 100),
    live=st.integers(0, 100_000),
    data=st.data(),
    allowed=st.integers(0, 100_000),
)
def test_the_guard_as_a_rule(
    keys: int, percent: int, live: int, data: st.DataObject, allowed: int
) -> None:
    gone = data.draw(st.integers(0, live))
    guard = DeletionGuard(keys=keys, share=percent / 100)
    tripped = refuses(guard, of(gone, live), allowed)
    assert tripped == (gone > keys and gone * 100 > percent * live and gone > allowed)


@given(live=st.integers(0, 10_000), allowed=st.integers(0, 10_000))
@example(live=21, allowed=21)
def test_what_the_operator_allows_passes(live: int, allowed: int) -> None:
    assert refuses(DEFAULT, of(live, live), allowed) == (live > max(20, allowed))


# With a warehouse ---------------------------------------------------------------------------------


def filled(mirror: Mirror, count: int) -> list[str]:
    keys = [str(number) for number in range(count)]
    store_listings(mirror, dict.fromkeys(keys, "first"))
    apply_due(mirror)
    return keys


def tombstones(warehouse: Warehouse) -> set[str]:
    return {row[0] for row in rows(warehouse, sa.select(ledgers.tombstone.c.listing_key))}


def test_without_a_master_list_nothing_goes(mirror: Mirror, warehouse: Warehouse) -> None:
    filled(mirror, 3)
    assert delete_gone(mirror) == Deleted(0, 0)
    assert len(rows(warehouse, sa.select(tables.property_))) == 3


def test_a_guard_that_trips_leaves_everything(warehouse: Warehouse, archive: Archive) -> None:
    feed = feed_of(deletion_guard={"keys": 2, "share": 0.1})
    with open_mirror(warehouse, archive, feed) as mirror:
        keys = filled(mirror, 20)
        store_master_list(mirror, dict.fromkeys(keys[3:], at(0)))
        before = everything(warehouse)
        for allowed in (0, 2):
            with pytest.raises(GuardTripped) as caught:
                delete_gone(mirror, allowed=allowed)
        assert everything(warehouse) == before
        assert str(caught.value) == (
            "feed 'board': 3 of 20 listings are missing from the master list, more than the "
            "deletion guard lets pass (2, and 10 % of them); nothing was deleted, and all else "
            "goes on. If the server has lost them by mistake, do nothing: its next complete list "
            "has them again. If they are really gone, run once with allow_deletions: 3, as in: "
            "rets-pipeline sync board --allow-deletions 3"
        )
        assert delete_gone(mirror, allowed=3) == Deleted(keys=3, live_before=20)
    assert tombstones(warehouse) == set(keys[:3])


def test_below_the_guard_they_go(mirror: Mirror, warehouse: Warehouse) -> None:
    keys = filled(mirror, 30)
    store_master_list(mirror, dict.fromkeys(keys[20:], at(0)))
    assert delete_gone(mirror) == Deleted(keys=20, live_before=30)
    assert tombstones(warehouse) == set(keys[:20])
    assert delete_gone(mirror) == Deleted(keys=0, live_before=10)


def test_an_empty_master_list_is_a_list_and_trips(mirror: Mirror, warehouse: Warehouse) -> None:
    filled(mirror, 21)
    store_master_list(mirror, {})
    with pytest.raises(GuardTripped):
        delete_gone(mirror)
    assert tombstones(warehouse) == set()


def test_listings_pulled_after_the_list_stay(mirror: Mirror, warehouse: Warehouse) -> None:
    store_listings(mirror, {"1": "first", "2": "first"})
    apply_due(mirror)
    store_master_list(mirror, {})
    store_listings(mirror, {"2": "second"})
    apply_due(mirror)
    assert delete_gone(mirror) == Deleted(keys=1, live_before=2)
    assert tombstones(warehouse) == {"1"}


def test_a_list_that_the_archive_lost_deletes_nothing(
    mirror: Mirror, warehouse: Warehouse, archive_folder: Path
) -> None:
    filled(mirror, 3)
    found = store_master_list(mirror, {})
    (archive_folder / found.parquet_key).unlink()
    with pytest.raises(ArchiveError, match=r"master_list\.parquet"):
        delete_gone(mirror)
    assert len(rows(warehouse, sa.select(tables.property_))) == 3
    assert tombstones(warehouse) == set()
