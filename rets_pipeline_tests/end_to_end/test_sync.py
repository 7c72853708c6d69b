"""Syncs on SQLite with a folder, and on Postgres with S3, against the sandbox over HTTP."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
import sqlalchemy as sa

from rets_pipeline.orchestration import naming
from rets_pipeline.warehouse import ledgers, tables
from rets_pipeline_tests.end_to_end.harness import (
    Pipeline,
    Server,
    assert_equal_images,
    assert_equal_listings,
    assert_located,
    assert_no_orphans,
    assert_no_other_blobs,
)

#: the checks of image runs that leave nothing behind
COMPLETE = dict.fromkeys(
    ("images_complete", "member_images_complete", "office_logos_complete"), True
)
#: the checks of a sync that finds nothing to tell of
PASSED = dict.fromkeys(
    ("deletion_guard", "keys_match_server", "prices_in_bounds", "quarantine_empty", "schema_drift"),
    True,
)
#: by day, tests of ``sync`` and ``warehouse`` show the same without Dagster, on both backends
by_night = pytest.mark.nightly


def test_an_empty_warehouse_gets_everything(server: Server, pipeline: Pipeline) -> None:
    synced = pipeline.sync()
    pictured = pipeline.images()

    assert synced.success, synced.failures
    truth = server.truth_with_images()
    assert_equal_listings(pipeline, truth)
    assert_equal_images(pipeline, truth)
    assert_no_other_blobs(pipeline)
    assert_no_orphans(pipeline)
    assert synced.counts["listing_master_list"]["keys"] == len(truth)
    assert synced.counts["raw_listings"]["listings"] == len(truth)
    assert synced.counts["listings"]["new"] == len(truth)
    assert synced.checks == PASSED
    assert pictured.checks == COMPLETE
    assert pictured.counts["office_logos"]["stored"] > 0  # listings name them
    statistics = server.statistics()
    assert statistics["sessions_open"] == 0
    assert statistics["sessions_open_at_most"] == 1
    assert statistics["logins"] == 1


def test_without_changes_one_search_and_no_row_touched(server: Server, pipeline: Pipeline) -> None:
    pipeline.sync()
    pipeline.images()
    before = pipeline.everything()
    server.reset_statistics()

    synced = pipeline.sync()
    pictured = pipeline.images()

    assert synced.success
    assert server.statistics()["requests"]["Search"] == 1
    assert server.statistics()["images"]["served"] == 0
    assert pipeline.everything() == before
    assert set(synced.counts["listings"].values()) == {0}
    assert pictured.counts["listing_images"]["wanted"] == 0
    assert pictured.counts["office_logos"]["wanted"] == 0


def test_changed_new_and_gone_listings(server: Server, pipeline: Pipeline) -> None:
    pipeline.sync()
    keys = sorted(server.truth())
    server.change("price", keys[0])
    server.change("remarks", keys[1])
    server.change("open_house", keys[2])
    server.change("touched", keys[3])
    added = set(server.change("added", count=3))
    server.change("removed", keys[4])

    synced = pipeline.sync()

    assert synced.success, synced.failures
    truth = server.truth()
    assert keys[4] not in truth
    assert added <= truth.keys()
    assert_equal_listings(pipeline, truth)
    assert_no_orphans(pipeline)
    assert pipeline.tombstones() == {keys[4]}
    counts = synced.counts
    assert counts["listing_changes"] == {
        "new": 3, "changed": 4, "retry": 0, "gone": 1, "unchanged": len(keys) - 5,
    }  # fmt: skip
    assert (counts["listings"]["new"], counts["listings"]["changed"]) == (3, 3)
    assert counts["listings"]["unchanged"] == 1  # touched: another timestamp, the same content
    assert counts["deleted_listings"]["gone"] == 1


@by_night
def test_a_tombstone_holds_nothing_but_keys_and_times(server: Server, pipeline: Pipeline) -> None:
    pipeline.sync()
    key = min(server.truth())
    server.change("removed", key)
    pipeline.sync()

    (row,) = pipeline.rows(sa.select(ledgers.tombstone))
    assert row.listing_key == key
    assert set(row._mapping) == {
        "feed", "listing_key", "master_pull_id", "gone_at", "last_master_timestamp", "last_pull_id",
    }  # fmt: skip


def test_a_listing_that_comes_back_lifts_its_tombstone(server: Server, pipeline: Pipeline) -> None:
    pipeline.sync()
    key = min(server.truth())
    server.change("removed", key)
    pipeline.sync()
    server.change("restored", key)
    pipeline.sync()

    assert pipeline.tombstones() == set()
    assert_equal_listings(pipeline, server.truth())


@pytest.mark.parametrize(
    "kind",
    [
        "photo_replaced",
        *(pytest.param(f"photo_{kind}", marks=by_night) for kind in ("added", "removed")),
    ],
)
def test_photos_follow_the_payload(server: Server, pipeline: Pipeline, kind: str) -> None:
    pipeline.sync()
    pipeline.images()
    key = next(key for key, item in server.truth().items() if len(item["photos"]) >= 3)
    server.change(kind, key)
    server.reset_statistics()
    pipeline.sync()

    pipeline.images()

    truth = server.truth_with_images()
    assert_equal_listings(pipeline, truth)
    assert_equal_images(pipeline, truth)
    assert_no_other_blobs(pipeline)
    assert server.statistics()["images"]["served"] == (0 if kind == "photo_removed" else 1)


@by_night
def test_a_new_order_of_photos_downloads_nothing(server: Server, pipeline: Pipeline) -> None:
    pipeline.sync()
    pipeline.images()
    key = next(key for key, item in server.truth().items() if len(item["photos"]) >= 3)
    before = [photo["photo_id"] for photo in server.truth()[key]["photos"]]
    server.change("photos_reordered", key)
    assert [photo["photo_id"] for photo in server.truth()[key]["photos"]] != before
    server.reset_statistics()
    pipeline.sync()

    moved = pipeline.images()

    assert_equal_images(pipeline, server.truth_with_images())
    assert_no_other_blobs(pipeline)
    assert server.statistics()["images"]["served"] == 0
    assert moved.counts["listing_images"]["moved"] > 0


@by_night
def test_a_price_change_keeps_the_state_of_every_photo(server: Server, pipeline: Pipeline) -> None:
    pipeline.sync()
    pipeline.images()
    file = ledgers.media_file
    everything = sa.select(file).order_by(*file.primary_key.columns)
    before = pipeline.rows(everything)
    server.change("price", min(server.truth()))
    server.reset_statistics()
    pipeline.sync()
    pipeline.images()

    assert pipeline.rows(everything) == before
    assert server.statistics()["images"]["served"] == 0


@pytest.mark.parametrize(
    "kind", ["timestamp_backwards", pytest.param("timestamp_long_ago", marks=by_night)]
)
def test_a_timestamp_that_moved_backwards_is_a_change(
    server: Server, pipeline: Pipeline, kind: str
) -> None:
    pipeline.sync()
    truth = server.truth()
    key = max(truth, key=lambda key: truth[key]["last_updated"])
    before = truth[key]["last_updated"]
    server.change(kind, key)
    assert server.truth()[key]["last_updated"] < before

    synced = pipeline.sync()

    assert synced.counts["raw_listings"]["listings"] == 1
    assert_equal_listings(pipeline, server.truth())
    assert pipeline.sync().counts["raw_listings"]["listings"] == 0


@by_night
def test_a_listing_that_changes_between_list_and_details(
    server: Server, pipeline: Pipeline
) -> None:
    key = min(server.truth())
    server.behave(before_details=[{"kind": "price", "listing_key": key}])
    pipeline.sync()
    assert_equal_listings(pipeline, server.truth())
    server.reset_statistics()

    pipeline.sync()  # the payload is newer than the list it was found by: unchanged

    assert server.statistics()["requests"]["Search"] == 1


@by_night
def test_a_listing_that_vanishes_between_list_and_details(
    server: Server, pipeline: Pipeline
) -> None:
    pipeline.sync()
    key = min(server.truth())
    server.change("price", key)
    server.behave(before_details=[{"kind": "removed", "listing_key": key}])

    pipeline.sync()

    row = pipeline.ledger(key)
    assert row is not None
    assert (row.state, row.attempts) == ("not_returned", 1)
    assert pipeline.listing(key) is not None  # until a master list lacks it

    pipeline.sync()

    assert pipeline.ledger(key) is None
    assert pipeline.tombstones() == {key}
    assert_equal_listings(pipeline, server.truth())


@by_night
def test_a_key_that_is_never_returned_is_not_fetched_by_every_sync(
    server: Server, pipeline: Pipeline
) -> None:
    key = min(server.truth())
    server.behave(never_return=[key])
    first = pipeline.sync()
    assert first.counts["listings"]["not_returned"] == 1
    assert first.checks == PASSED  # counted apart
    for _ in range(3):
        server.reset_statistics()
        pipeline.sync()
        assert server.statistics()["requests"]["Search"] == 1

    _make_due(pipeline, key)
    server.reset_statistics()
    pipeline.sync()

    assert server.statistics()["searches"]["details"] == 1
    row = pipeline.ledger(key)
    assert row is not None
    assert row.attempts == 2
    assert row.next_attempt - datetime.now(UTC) > timedelta(minutes=20)  # 15 minutes at first

    server.change("price", key)  # another timestamp: asked for at once
    server.behave()
    pipeline.sync()
    assert_equal_listings(pipeline, server.truth())


def _make_due(pipeline: Pipeline, key: str) -> None:
    table = ledgers.listing_sync
    with pipeline.warehouse.writing() as connection:
        connection.execute(
            sa.update(table)
            .where(table.c.listing_key == key)
            .values(next_attempt=datetime.now(UTC) - timedelta(seconds=1))
        )


@by_night
def test_a_replay_brings_back_no_gone_listing_and_no_old_price(
    server: Server, pipeline: Pipeline
) -> None:
    pipeline.sync()
    keys = sorted(server.truth())
    server.change("removed", keys[0])
    server.change("price", keys[1])
    server.change("timestamp_backwards", keys[2])
    pipeline.sync()
    truth = server.truth()

    replayed = pipeline.replay(*pipeline.every_day())

    assert replayed.success, replayed.failures
    assert replayed.counts["listings"]["superseded"] == 3
    assert_equal_listings(pipeline, truth)
    assert pipeline.tombstones() == {keys[0]}


def test_a_replay_fills_an_empty_warehouse_without_the_server(
    server: Server, pipeline: Pipeline
) -> None:
    pipeline.sync()
    before = pipeline.everything()
    with pipeline.warehouse.writing() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            connection.execute(sa.delete(table))
    server.reset_statistics()

    replayed = pipeline.replay(*pipeline.every_day())

    assert replayed.success, replayed.failures
    assert pipeline.everything() == before
    assert server.statistics()["requests"]["Login"] == 0


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"truncate_master_list": 0.5}, marks=by_night),
        pytest.param({"truncate_master_list": 0.5, "truncate_cleanly": True}, marks=by_night),
        {"cut_master_list": 3},
    ],
    ids=["connection cut", "body cut", "COUNT disagrees"],
)
def test_a_master_list_that_is_not_whole_deletes_nothing(
    server: Server, pipeline: Pipeline, fault: dict[str, object]
) -> None:
    pipeline.sync()
    before = pipeline.everything()
    server.change("removed", min(server.truth()))
    server.behave(**fault)

    synced = pipeline.sync()

    assert not synced.success
    assert "board__listing_master_list" in synced.failures
    assert pipeline.everything() == before
    assert pipeline.tombstones() == set()

    server.behave()
    assert pipeline.sync().success
    assert_equal_listings(pipeline, server.truth())


def test_the_guard_trips_and_an_operator_may_override_it(
    server: Server, pipeline: Pipeline
) -> None:
    pipeline.sync()
    everything = server.truth().keys()
    server.change("price", max(everything))
    server.behave(drop_from_master_list=10)

    synced = pipeline.sync()

    assert not synced.success
    assert synced.failures.keys() == {"board__deleted_listings"}
    assert "10 of 60 listings" in synced.failures["board__deleted_listings"]
    assert "allow_deletions: 10" in synced.failures["board__deleted_listings"]
    assert pipeline.tombstones() == set()
    assert synced.counts["listings"]["changed"] in (0, 1)  # the rest of the run went on
    assert "listings" in synced.counts

    assert not pipeline.sync(allow_deletions=9).success
    assert pipeline.tombstones() == set()

    allowed = pipeline.sync(allow_deletions=10)
    assert allowed.success, allowed.failures
    assert len(pipeline.tombstones()) == 10

    server.behave()
    pipeline.sync()
    assert_equal_listings(pipeline, server.truth())
    assert pipeline.tombstones() == set()


def test_a_backfill_takes_the_chosen_days_and_no_others(server: Server, pipeline: Pipeline) -> None:
    truth = server.truth()
    days = {key: _day(item["last_updated"]) for key, item in truth.items()}
    ordered = sorted(days.values())
    first, last = ordered[15], ordered[40]

    filled = pipeline.backfill(first, last)

    assert filled.success, filled.failures
    chosen = {key: truth[key] for key, day in days.items() if first <= day <= last}
    assert 0 < len(chosen) < len(truth)
    assert_equal_listings(pipeline, chosen)
    assert_no_orphans(pipeline)
    materialized = pipeline.instance.get_materialized_partitions(_key("listings"))
    assert {first.isoformat(), last.isoformat()} <= materialized

    pipeline.sync()
    assert_equal_listings(pipeline, truth)


def test_a_sync_materializes_the_days_that_it_completes(server: Server, pipeline: Pipeline) -> None:
    pipeline.sync()

    expected = {_day(item["last_updated"]).isoformat() for item in server.truth().values()}
    for name in ("raw_listings", "listings"):
        assert expected <= pipeline.instance.get_materialized_partitions(_key(name))


@by_night
def test_an_image_that_fails_is_tried_later(server: Server, pipeline: Pipeline) -> None:
    pipeline.sync()
    truth = server.truth_with_images()
    absent, failing = (
        listing["photos"][0]["paths"]["large"] for listing in list(truth.values())[:2]
    )
    server.behave(image_status={absent: 404, failing: 500})

    pictured = pipeline.images()

    assert pictured.success
    assert pictured.counts["listing_images"]["absent"] == 1
    assert pictured.counts["listing_images"]["failed"] == 1
    assert pictured.checks == {**COMPLETE, "images_complete": False}
    server.reset_statistics()
    pipeline.images()
    assert server.statistics()["images"]["served"] == 0

    server.behave()
    table = ledgers.media_file
    with pipeline.warehouse.writing() as connection:
        connection.execute(
            sa.update(table)
            .where(table.c.state != "stored")
            .values(next_attempt=datetime.now(UTC) - timedelta(seconds=1))
        )
    pipeline.images()
    assert_equal_images(pipeline, truth)
    assert_no_other_blobs(pipeline)


def test_three_days_of_everything(server: Server, pipeline: Pipeline) -> None:
    for _ in range(4):
        assert pipeline.sync().success
        assert pipeline.images().success
        located = pipeline.addresses()
        assert located.success
        assert located.counts[naming.ADDRESSES]["left"] == 0
        assert_located(pipeline)
        truth = server.truth_with_images()
        assert_equal_listings(pipeline, truth)
        assert_equal_images(pipeline, truth)
        assert_no_other_blobs(pipeline)
        assert_no_orphans(pipeline)
        server.advance()


def _day(text: str) -> date:
    return datetime.fromisoformat(text).astimezone(UTC).date()


def _key(name: str) -> dg.AssetKey:
    return naming.asset_key("board", name)
