"""The ledger of images."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from rets_pipeline.warehouse import bulk, ledgers, media, tables
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.media import Completeness, Wanted
from rets_pipeline_tests.warehouse.builders import FEED, apply, at, listing, pull_at
from rets_pipeline_tests.warehouse.databases import rows

NOW = at(100)


def file_row(
    listing_key: str, number: int, token: str | None, blob: str | None = None, **more: Any
) -> dict[str, Any]:
    """A row of ``media_file`` without its feed."""
    row = {
        "resource_name": "Property",
        "resource_record_key": listing_key,
        "media_key": f"{listing_key}_{number}",
        "size": "large",
        "change_token": token,
        "held_token": blob and token,
        "blob_key": blob,
        "content_hash": blob and f"hash of {blob}",
        "content_type": blob and "image/jpeg",
        "bytes": blob and 3,
        "state": "stored" if blob else "failed",
        "attempts": 0 if blob else 1,
        "next_attempt": None,
        "reason": None,
        "stored_at": NOW if blob else None,
    }
    return {**row, **more}


def put(warehouse: Warehouse, *given: dict[str, Any]) -> None:
    with warehouse.writing() as connection:
        bulk.insert(connection, ledgers.media_file, [{"feed": FEED, **row} for row in given])


def wanted(warehouse: Warehouse, *, limit: int = 100, now: datetime = NOW) -> list[Wanted]:
    with warehouse.reading() as connection:
        return media.wanted(connection, FEED, ["large"], now, limit)


def files(warehouse: Warehouse) -> dict[str, tuple[str | None, str | None, str]]:
    table = ledgers.media_file
    return {
        row.media_key: (row.change_token, row.blob_key, row.state)
        for row in rows(warehouse, sa.select(table))
    }


@pytest.fixture
def named(warehouse: Warehouse) -> Warehouse:
    """A listing with three photos and one with one."""
    apply(
        warehouse,
        pull_at(warehouse, 0),
        [listing("1", photos=[(1, "t1"), (2, "t2"), (3, "t3")]), listing("2", photos=[(1, "u1")])],
    )
    return warehouse


def test_what_is_wanted(named: Warehouse) -> None:
    put(
        named,
        file_row("1", 1, "t1", "kept"),
        file_row("1", 2, "old", "replaced"),
        file_row("1", 3, "t3", next_attempt=NOW, attempts=4),
        file_row("2", 1, "u1", next_attempt=NOW + timedelta(seconds=1)),
    )
    assert wanted(named) == [
        Wanted("1", "1_2", "large", "http://127.0.0.1/t2.jpg", "t2", 0),
        Wanted("1", "1_3", "large", "http://127.0.0.1/t3.jpg", "t3", 4),
    ]
    assert [item.media_key for item in wanted(named, now=NOW + timedelta(seconds=1))] == [
        "1_2", "1_3", "2_1",
    ]  # fmt: skip
    assert [item.media_key for item in wanted(named, limit=1)] == ["1_2"]


def test_attempts_count_under_their_token_only(named: Warehouse) -> None:
    put(named, file_row("1", 1, "old", attempts=9, next_attempt=NOW + timedelta(days=1)))
    assert wanted(named)[0] == Wanted("1", "1_1", "large", "http://127.0.0.1/t1.jpg", "t1", 0)


def test_sizes_are_images_of_their_own(named: Warehouse) -> None:
    table = tables.media
    with named.writing() as connection:
        connection.execute(
            sa.update(table).where(table.c.media_key == "1_1").values(thumbnail_url="http://t/1")
        )
    put(named, file_row("1", 1, "t1", "big"))
    with named.reading() as connection:
        found = media.wanted(connection, FEED, ["thumbnail", "large"], NOW, 10)
        counted = media.completeness(connection, FEED, ["thumbnail", "large"])
    assert [(item.media_key, item.size) for item in found] == [
        ("1_1", "thumbnail"), ("1_2", "large"), ("1_3", "large"), ("2_1", "large"),
    ]  # fmt: skip
    assert counted == Completeness(named=5, stored=1, absent=0, failed=0)


def test_completeness_counts_the_present_tokens(named: Warehouse) -> None:
    put(
        named,
        file_row("1", 1, "t1", "kept"),
        file_row("1", 2, "old", "replaced"),
        file_row("1", 3, "t3", state="absent"),
        file_row("2", 1, "u1", "as before", state="failed", held_token="u0"),
        file_row("9", 1, "x", "of nobody"),
    )
    with named.reading() as connection:
        found = media.completeness(connection, FEED, ["large"])
    assert found == Completeness(named=4, stored=1, absent=1, failed=1, older=2)
    assert found.pending == 1


def test_a_row_is_written_only_while_the_payload_names_it(named: Warehouse) -> None:
    """Between plan and write the payload may have changed, or the listing gone."""
    put(named, file_row("1", 1, "old", "before"))
    with named.writing() as connection:
        loose = media.record(
            connection,
            FEED,
            [
                file_row("1", 1, "t1", "new"),
                file_row("1", 2, "another token", "moved on"),
                file_row("1", 4, "t4", "no such photo"),
                file_row("9", 1, "t1", "no such listing"),
                file_row("2", 1, "u1"),
            ],
        )
    assert loose == ["before", "moved on", "no such photo", "no such listing"]
    assert files(named) == {"1_1": ("t1", "new", "stored"), "2_1": ("u1", None, "failed")}


def test_a_photo_of_another_listing_is_none_of_this_one(named: Warehouse) -> None:
    with named.writing() as connection:
        row = {**file_row("2", 1, "t1", "blob"), "media_key": "1_1"}
        assert media.record(connection, FEED, [row]) == ["blob"]
    assert files(named) == {}


def test_what_a_row_no_longer_names_is_loose(named: Warehouse) -> None:
    put(named, file_row("1", 1, "old", "before"))
    with named.writing() as connection:
        assert media.record(connection, FEED, [file_row("1", 1, "t1")]) == ["before"]
    assert files(named) == {"1_1": ("t1", None, "failed")}


def test_what_no_payload_names_goes(named: Warehouse) -> None:
    put(
        named,
        file_row("1", 1, "t1", "a"),
        file_row("1", 7, "t7", "b"),
        file_row("9", 1, "t", "c"),
        file_row("9", 2, "t"),
        file_row("1", 2, "t2", "d", size="thumbnail"),
    )
    with named.writing() as connection:
        bulk.insert(
            connection, ledgers.media_file, [{"feed": "other", **file_row("9", 1, "t", "c")}]
        )
        count, blobs = media.remove_unnamed(connection, FEED, ["large"], 100)
    assert (count, sorted(blobs)) == (4, ["b", "c", "d"])
    found = rows(named, sa.select(ledgers.media_file).order_by("feed"))
    assert [(row.feed, row.blob_key) for row in found] == [(FEED, "a"), ("other", "c")]


def test_removals_are_bounded(named: Warehouse) -> None:
    put(named, *(file_row("9", number, "t", f"b{number}") for number in range(5)))
    left = []
    with named.writing() as connection:
        for _ in range(3):
            left.append(media.remove_unnamed(connection, FEED, ["large"], 2)[0])
    assert left == [2, 2, 1]


def test_a_blob_is_unused_when_no_row_refers_to_it(named: Warehouse) -> None:
    put(named, file_row("1", 1, "t1", "shared"), file_row("1", 2, "t2", "shared"))
    with named.writing() as connection:
        assert media.unused(connection, FEED, ["shared", "alone", "alone"]) == ["alone"]
        connection.execute(
            sa.delete(ledgers.media_file).where(ledgers.media_file.c.media_key == "1_1")
        )
        assert media.unused(connection, FEED, ["shared"]) == []
        connection.execute(sa.delete(ledgers.media_file))
        assert media.unused(connection, FEED, ["shared"]) == ["shared"]
        many = [f"blob{number:05}" for number in range(1_200)]
        assert media.unused(connection, FEED, many) == many


def test_what_is_held_and_what_is_named(named: Warehouse) -> None:
    put(named, file_row("1", 1, "t1", "a"), file_row("1", 2, "t2"), file_row("2", 1, "u", "b"))
    with named.reading() as connection:
        held = media.held(connection, FEED, ["1", "2", "3"])
        names = media.names(connection, FEED, ["1"])
    assert {key: [item.row["blob_key"] for item in items] for key, items in held.items()} == {
        "1": ["a"],
        "2": ["b"],
    }
    assert names == {("1", "t1"): 1, ("1", "t2"): 1, ("1", "t3"): 1}
    assert names["1", "unknown"] == 0


def test_reasons_are_counted_without_the_places(named: Warehouse) -> None:
    put(
        named,
        file_row("1", 1, "t1", reason="cdn.example.com/1.jpg: HTTP 500"),
        file_row("1", 2, "t2", reason="cdn.example.com/2.jpg: HTTP 500"),
        file_row("1", 3, "t3", reason="cdn.example.com/3.jpg: HTTP 404", state="absent"),
        file_row("2", 1, "u1", "kept"),
    )
    with named.reading() as connection:
        assert media.reasons(connection, FEED) == {"HTTP 500": 2, "HTTP 404": 1}
        assert media.reasons(connection, FEED, most=1) == {"HTTP 500": 2}
        assert media.reasons(connection, "other") == {}
