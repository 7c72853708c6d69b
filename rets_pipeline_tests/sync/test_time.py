"""A run whose time is over ends by itself, and the next one goes on from there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
import sqlalchemy as sa

from rets_pipeline.archive import Archive
from rets_pipeline.sandbox import RunningSandbox
from rets_pipeline.sync import apply, images, pull
from rets_pipeline.sync.days import DayRange
from rets_pipeline.sync.mirror import TIME_TO_FETCH, TIME_TO_LOAD, Credentials, Mirror
from rets_pipeline.sync.run import sync
from rets_pipeline.warehouse import ledgers, tables
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.pulls import Waiting
from rets_pipeline_tests.sync.pieces import DAY, START, feed_of, open_mirror, record, store_pull
from rets_pipeline_tests.warehouse.databases import rows


@contextmanager
def hurried(
    warehouse: Warehouse,
    archive: Archive,
    sandbox: RunningSandbox | None = None,
    seconds: float = 1e-6,
    **more: object,
) -> Iterator[Mirror]:
    """A run whose time is over before it begins."""
    with Mirror(
        feed_of(sandbox, **more),
        warehouse,
        archive,
        Credentials(sandbox.username, sandbox.password) if sandbox else Credentials("", ""),
        job="sync",
        seconds=seconds,
    ) as mirror:
        yield mirror


def keys_held(warehouse: Warehouse) -> set[str]:
    return {row.listing_key for row in rows(warehouse, sa.select(tables.property_))}


def test_runs_without_time_converge_all_the_same(
    sqlite_warehouse: Warehouse, archive: Archive, sandbox: RunningSandbox
) -> None:
    """Each makes one request for listings, loads what it got and notes what is left."""
    held = [0]
    while held[-1] < 12:
        with hurried(sqlite_warehouse, archive, sandbox, listings_per_request=5) as mirror:
            sync(mirror)
        held.append(len(keys_held(sqlite_warehouse)))
        assert len(held) < 20, held
    # Pulls are grouped by day, so a request has as many keys as its day, five at most.
    assert all(0 < later - earlier <= 5 for earlier, later in pairwise(held))
    assert len(held) > 3
    states = {row.state for row in rows(sqlite_warehouse, sa.select(ledgers.listing_sync))}
    assert states == {"loaded"}, "what was not asked for must not count as not returned"


def test_a_pull_that_is_cut_short_holds_what_was_asked_for(
    sqlite_warehouse: Warehouse, archive: Archive, sandbox: RunningSandbox
) -> None:
    with hurried(sqlite_warehouse, archive, sandbox, listings_per_request=3) as mirror:
        keys = dict.fromkeys(map(str, sandbox.world.listings), START)
        plan = pull.Plan({DAY: keys}, pull.Counter({"new": len(keys)}), 0, pull.Counter())
        (download,) = pull.fetch(mirror, plan)
        stored = pull.store(mirror, download)
    assert (stored.asked, stored.records, stored.requests, stored.not_returned) == (3, 3, 1, 0)
    assert plan.left_over == {DAY: 9}
    manifest = json.loads(archive.get(f"{stored.pull.archive_prefix}/manifest.json"))
    assert [key for key, _ in manifest["keys"]] == list(keys)[:3]
    (row,) = rows(sqlite_warehouse, sa.select(ledgers.pull))
    assert (row.keys_asked, row.records, row.state) == (3, 3, "complete")


def test_pulls_that_wait_are_loaded_by_the_next_run(
    sqlite_warehouse: Warehouse, archive: Archive
) -> None:
    with open_mirror(sqlite_warehouse, archive) as mirror:
        for key in ("1", "2", "3"):
            store_pull(mirror, [[record(key)]], {key: START})
    for expected in ({"1"}, {"1", "2"}, {"1", "2", "3"}):
        with hurried(sqlite_warehouse, archive) as mirror:
            for parsed in apply.parse(mirror, apply.due(mirror)):
                apply.apply(mirror, parsed)
        assert keys_held(sqlite_warehouse) == expected


def test_a_replay_is_done_in_parts_by_whatever_runs_come(
    sqlite_warehouse: Warehouse, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run loads one pull at least, none twice, and one that is killed loses nothing."""
    monkeypatch.setattr(apply, "_REPLAYS_AT_ONCE", 2)
    with open_mirror(sqlite_warehouse, archive) as mirror:
        for key in ("1", "2", "3", "4"):
            store_pull(mirror, [[record(key)]], {key: START})
        for parsed in apply.parse(mirror, apply.due(mirror)):
            apply.apply(mirror, parsed)
        assert apply.ask_for_replay(mirror, DayRange(DAY, DAY)) == 4
        gone = max(row.archive_prefix for row in rows(sqlite_warehouse, sa.select(ledgers.pull)))
        mirror.archive.delete([f"{gone}/manifest.json"])
    done = []
    for left in (3, 2, 0):  # the one that has left the archive is noticed with the third
        with hurried(sqlite_warehouse, archive) as mirror:
            next(apply.replays(mirror))  # as if it were killed before it is loaded
            for parsed in apply.replays(mirror):
                assert parsed.replay
                apply.apply(mirror, parsed)
                done.append(set(parsed.manifest.keys))
            assert apply.waiting(mirror) == Waiting(Counter(), left)
    assert done == [{"1"}, {"2"}, {"3"}]
    with open_mirror(sqlite_warehouse, archive) as mirror:
        assert list(apply.replays(mirror)) == []


def test_an_image_run_stores_some_and_ends(
    sqlite_warehouse: Warehouse,
    archive: Archive,
    sandbox: RunningSandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(images, "_ROWS", 2)  # those that are always loaded
    with open_mirror(sqlite_warehouse, archive, feed_of(sandbox), sandbox) as mirror:
        sync(mirror)
    photos = {"hosts": ["127.0.0.1"], "allow_private_addresses": True, "connections": 1}
    left = None
    for _ in range(3):
        with hurried(sqlite_warehouse, archive, sandbox, photos=photos) as mirror:
            counts = images.mirror_images(mirror)
        assert 2 <= counts.stored <= 6  # some more had begun to load
        assert counts.postponed == counts.wanted - counts.stored
        assert left is None or counts.wanted == left
        left = counts.postponed
    with open_mirror(sqlite_warehouse, archive, feed_of(sandbox), sandbox) as mirror:
        rest = images.mirror_images(mirror)
    assert left
    assert (rest.wanted, rest.stored, rest.postponed) == (left, left, 0)


def test_a_run_with_time_is_not_late(sqlite_warehouse: Warehouse, archive: Archive) -> None:
    with hurried(sqlite_warehouse, archive, seconds=3600) as mirror:
        assert not mirror.is_late(TIME_TO_FETCH)
    with open_mirror(sqlite_warehouse, archive) as mirror:
        assert not mirror.is_late(TIME_TO_LOAD), "nobody stops it"
    with hurried(sqlite_warehouse, archive) as mirror:
        assert mirror.is_late(TIME_TO_LOAD)
