"""Verdicts on the data, on both databases: each passes, and tells what is wrong when it is.

What belongs here: rows that are as nobody expects them. What does not: parity with the server.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rets_pipeline.sync import changes, quality, schema, shown
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.warehouse import ledgers, tables
from rets_pipeline.warehouse.resources import LISTINGS, MEMBERS
from rets_pipeline_tests.sync import pieces

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def put(mirror: Mirror, table: sa.Table, *rows: dict[str, Any]) -> None:
    with mirror.warehouse.writing() as connection:
        connection.execute(sa.insert(table), [{"feed": mirror.feed.name, **row} for row in rows])


def listings(count: int, **values: Any) -> list[dict[str, Any]]:
    """Rows of ``property``, all alike but for their keys."""
    return [{"listing_key": f"{key:03}", **values} for key in range(count)]


class TestQuarantine:
    def entry(self, resource: str, field: str) -> dict[str, Any]:
        return {
            "resource_name": resource,
            "resource_record_key": "1",
            "pull_id": "p",
            "field": field,
            "reason": "is no number",
            "raw": "x",
            "noted_at": NOW,
        }

    def test_empty(self, mirror: Mirror) -> None:
        put(mirror, ledgers.quarantine, self.entry("Member", "JobTitle"))
        found = quality.quarantine_empty(mirror)
        assert found.passed
        assert found.numbers == {"records": 0, "values": 0}
        assert found.cases == []

    def test_records_and_values_are_counted_apart_with_the_most_frequent_reason_first(
        self, mirror: Mirror
    ) -> None:
        entries = [self.entry("Property", field) for field in ("", "Price", "Price", "Lease")]
        put(mirror, ledgers.quarantine, *entries)
        found = quality.quarantine_empty(mirror)
        assert not found.passed
        assert found.numbers == {"records": 1, "values": 3}
        assert found.cases[0] == {"element": "Price", "why": "is no number", "entries": 2}
        assert {case["element"] for case in found.cases} == {"Price", "Lease", "the whole record"}
        assert "1 listings could not be read, 3 values" in found.message
        assert quality.quarantine_empty(mirror, MEMBERS).passed


class TestPrices:
    def test_the_bounds_themselves_pass(self, mirror: Mirror) -> None:
        for key, price in enumerate((None, quality.LOWEST_PRICE, 1_000, quality.HIGHEST_PRICE)):
            row = {"listing_key": str(key), "list_price": price}
            put(mirror, tables.property_, row)
        assert quality.prices_in_bounds(mirror).passed

    def test_beyond_them_listings_are_named(self, mirror: Mirror) -> None:
        prices = {"free": 0, "dear": quality.HIGHEST_PRICE + 1, "fair": 500_000}
        rows = [{"listing_key": key, "list_price": price} for key, price in prices.items()]
        put(mirror, tables.property_, *rows)
        found = quality.prices_in_bounds(mirror)
        assert not found.passed
        assert found.numbers == {"below": 1, "above": 1}
        assert {case["listing"] for case in found.cases} == {"free", "dear"}


class TestCoordinates:
    def place(self, mirror: Mirror, key: str, province: str | None, at: tuple[str, str]) -> None:
        latitude, longitude = map(Decimal, at)
        row = {"state_or_province": province, "latitude": latitude, "longitude": longitude}
        put(mirror, tables.property_, {"listing_key": key, **row})

    def test_in_their_provinces(self, mirror: Mirror) -> None:
        self.place(mirror, "1", "Ontario", ("43.67", "-79.39"))
        self.place(mirror, "2", "Québec", ("45.50", "-73.56"))
        put(mirror, tables.property_, {"listing_key": "3", "state_or_province": "Ontario"})
        self.place(mirror, "4", "Florida", ("25.76", "-80.19"))
        found = quality.coordinates_in_province(mirror)
        assert found.passed
        assert found.numbers == {"located": 3, "outside": 0, "province_unknown": 1}

    def test_elsewhere(self, mirror: Mirror) -> None:
        """Degrees east instead of west, and nowhere."""
        self.place(mirror, "1", "Ontario", ("43.67", "79.39"))
        self.place(mirror, "2", "Ontario", ("0", "0"))
        self.place(mirror, "3", "Ontario", ("43.67", "-79.39"))
        found = quality.coordinates_in_province(mirror)
        assert not found.passed
        assert found.numbers["outside"] == 2
        assert found.cases == [{"province": "Ontario", "outside": 2, "listings": "1, 2"}]


def test_orphans_are_counted_by_table(mirror: Mirror) -> None:
    put(mirror, tables.property_, {"listing_key": "1"})
    put(mirror, tables.property_rooms, {"listing_key": "1", "room_key": "1_1"})
    put(mirror, tables.member, {"member_key": "5", "observed_in": "Member"})
    phone = {"order": 1, "resource_name": "Member"}
    put(mirror, tables.other_phone, {"resource_record_key": "5", **phone})
    assert quality.no_orphan_children(mirror).passed

    put(mirror, tables.media, {"listing_key": "2", "media_key": "2_1"})
    put(mirror, tables.other_phone, {"resource_record_key": "6", **phone})
    # The office of the same number is no member.
    put(mirror, tables.office, {"office_key": "6", "observed_in": "Office"})
    found = quality.no_orphan_children(mirror)
    assert not found.passed
    assert {name for name, count in found.numbers.items() if count} == {"media", "other_phone"}


class TestNullShares:
    def test_a_column_that_falls_silent_is_told_until_it_has_lasted(self, mirror: Mirror) -> None:
        put(mirror, tables.property_, *listings(40, city="Ottawa", year_built=1990))
        for day in range(5):
            assert quality.null_shares(mirror, now=NOW + timedelta(days=day)).passed
        with mirror.warehouse.writing() as connection:
            few = tables.property_.c.listing_key < "010"
            connection.execute(sa.update(tables.property_).where(few).values(city=None))

        found = quality.null_shares(mirror, now=NOW + timedelta(days=5))

        assert not found.passed
        assert found.cases == [{"column": "city", "NULL now": "25.0%", "NULL usually": "0.0%"}]
        assert found.numbers["columns_worse"] == 1
        assert found.numbers["runs_compared"] == 5
        told = [quality.null_shares(mirror).passed for _ in range(8)]
        assert told == [False] * 5 + [True] * 3, "then it is how things are"

    def test_the_last_value_of_a_rare_column(self, mirror: Mirror) -> None:
        rows = listings(50, franchise=None)
        rows[0]["franchise"] = True
        put(mirror, tables.property_, *rows)
        assert quality.null_shares(mirror).passed
        with mirror.warehouse.writing() as connection:
            connection.execute(sa.update(tables.property_).values(franchise=None))
        found = quality.null_shares(mirror)
        assert [case["column"] for case in found.cases] == ["franchise"]

    def test_few_rows_say_nothing(self, mirror: Mirror) -> None:
        put(mirror, tables.property_, *listings(3, city="Ottawa"))
        for _ in range(2):
            assert quality.null_shares(mirror).numbers["runs_compared"] == 0

    def test_no_more_runs_are_kept_than_are_compared(self, mirror: Mirror) -> None:
        put(mirror, tables.property_, *listings(20))
        for _ in range(quality.RUNS + 3):
            found = quality.null_shares(mirror)
        assert found.numbers["runs_compared"] == quality.RUNS


class TestGuard:
    def master_list(self, mirror: Mirror, keys: list[str]) -> None:
        stored = pieces.store_master_list(mirror, dict.fromkeys(keys, NOW))
        changes.store(mirror, changes.compare(mirror, stored, changes.ChangeCounts()))

    @pytest.mark.parametrize(("kept", "passed"), [(100, True), (80, True), (79, False)])
    def test_it_says_what_the_deletion_will(self, kept: int, passed: bool, mirror: Mirror) -> None:
        put(mirror, tables.property_, *listings(100))
        held = [{**row, "pull_id": "1", "state": "loaded"} for row in listings(100)]
        put(mirror, ledgers.listing_sync, *held)
        self.master_list(mirror, [row["listing_key"] for row in listings(kept)])
        found = quality.deletion_guard(mirror)
        assert found.passed is passed
        assert found.numbers["gone"] == 100 - kept
        assert found.numbers["live"] == 100
        assert passed or f"allow_deletions: {100 - kept}" in found.message

    def test_without_a_master_list(self, mirror: Mirror) -> None:
        assert quality.deletion_guard(mirror, LISTINGS).passed
        assert quality.deletion_guard(mirror, MEMBERS).passed


class TestDrift:
    def lookups(self, mirror: Mirror, **values: list[str]) -> None:
        document = {"checked_at": NOW.isoformat(), "lookups": values}
        key = f"metadata/{mirror.feed.name}/lookups.json"
        mirror.archive.put(key, json.dumps(document).encode())

    def test_what_the_rules_name_is_no_news(self, mirror: Mirror) -> None:
        rest = {"AnalyticsClick": "x", "Land": {"SizeTotal": "1 ac"}}
        put(mirror, tables.property_, *listings(2, source_fields=rest))
        assert schema.drift(mirror, now=NOW).passed

    def test_an_unknown_element_is_new_for_a_day(self, mirror: Mirror) -> None:
        rest = {"Building": {"Turret": [{"@Round": "1", "#text": "one"}]}}
        put(mirror, tables.property_, *listings(2, source_fields=rest))
        found = schema.drift(mirror, now=NOW)
        assert not found.passed
        assert {case["name"] for case in found.cases} == {
            "Building/Turret",
            "Building/Turret/@Round",
        }
        assert not schema.drift(mirror, now=NOW + timedelta(hours=23)).passed
        later = schema.drift(mirror, now=NOW + timedelta(hours=24))
        assert later.passed
        assert later.numbers["elements_without_rule"] == 2

    def test_values_beside_and_in_the_servers_lookups(self, mirror: Mirror) -> None:
        elements = mirror.source.elements()
        lookup = next(
            one.lookup for one in elements if ("property", "appliances") in one.columns
        )  # fmt: skip
        assert lookup is not None
        self.lookups(mirror, **{lookup: ["Stove", "Dryer"]})
        put(mirror, tables.property_, *listings(2, appliances=["stove", "Robot"]))
        found = schema.drift(mirror, now=NOW)
        assert [(case["what"], case["name"]) for case in found.cases] == [
            ("value", f"{lookup}: Robot")
        ], "what the server has at first is no news"
        self.lookups(mirror, **{lookup: ["Stove", "Dryer", "Robot"]})
        found = schema.drift(mirror, now=NOW + timedelta(days=2))
        assert [(case["what"], case["name"]) for case in found.cases] == [
            ("value listed", f"{lookup}: Robot")
        ]

    @settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.recursive(
            st.none() | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.sampled_from(["A", "@b", "#text"]), inner, max_size=3)
            ),
            max_leaves=6,
        )
    )
    def test_any_document_has_paths(self, document: Any) -> None:
        for path in schema._paths(document):
            assert path
            assert "#text" not in path
            assert not path.startswith("/")


def test_the_newest_listings_with_their_first_photos(mirror: Mirror) -> None:
    moments = [NOW + timedelta(minutes=number) for number in range(7)]
    rows = listings(7, city="Ottawa", list_price=Decimal(500_000))
    moved = [
        {**row, "modification_timestamp": moment}
        for row, moment in zip(rows, moments, strict=True)
    ]  # fmt: skip
    put(mirror, tables.property_, *moved)
    photos = [
        {"listing_key": "006", "media_key": f"006_{order}", "order": order, "thumbnail_url": url}
        for order, url in ((2, "https://photos.invalid/2.jpg"), (1, "https://photos.invalid/1.jpg"))
    ]
    put(mirror, tables.media, *photos)
    found = shown.listings(mirror)
    assert [one.listing_key for one in found] == ["006", "005", "004", "003", "002"]
    assert found[0].thumbnail_url == "https://photos.invalid/1.jpg"
    assert found[1].thumbnail_url is None
    assert shown.rows(mirror) == 7
