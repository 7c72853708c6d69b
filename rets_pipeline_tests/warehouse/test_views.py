"""The views, and the indexes behind what people ask."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from rets_pipeline.warehouse import bulk, ledgers, media, tables
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.warehouse.builders import FEED, apply, at, listing, pull_at


def current(warehouse: Warehouse, key: str = "1") -> dict[str, Any]:
    """A listing as the view shows it."""
    query = sa.text("SELECT * FROM current_listings WHERE feed = :feed AND listing_key = :key")
    with warehouse.reading() as connection:
        (row,) = connection.execute(query, {"feed": FEED, "key": key}).mappings()
        return dict(row)


def held(warehouse: Warehouse, *files: tuple[str, str, str, str | None]) -> None:
    """Images in the archive: the number of the image, size, change token, blob."""
    with warehouse.writing() as connection:
        for number, size, token, blob in files:
            connection.execute(
                ledgers.media_file.insert().values(
                    feed=FEED,
                    resource_name="Property",
                    resource_record_key="1",
                    media_key=f"1_{number}",
                    size=size,
                    change_token="t",
                    held_token=token if blob else None,
                    blob_key=blob,
                    state="stored" if blob else "failed",
                )
            )


def test_it_shows_a_listing_with_all_its_columns(warehouse: Warehouse) -> None:
    item = listing("1", price=500_000, city="Kelowna", heating=["Forced air"])
    apply(warehouse, pull_at(warehouse, 0), [item])
    found = current(warehouse)
    assert {column.name for column in tables.property_.columns} <= found.keys()
    assert (found["city"], Decimal(str(found["list_price"]))) == ("Kelowna", 500_000)
    assert {name: found[name] for name in found if name.startswith(("list_agent_f", "first"))} == {
        "list_agent_full_name": None,
        "first_image_media_key": None,
        "first_image_url": None,
        "first_image_blob_key": None,
    }


def test_it_shows_agent_office_and_first_image(warehouse: Warehouse) -> None:
    item = listing(
        "1",
        agents=["a", "b"],
        photos=[(10, "ten"), (2, "two"), (3, "three")],
        list_agent_key="b",
        list_office_key="oa",
    )
    item.rows["member"][1]["member_full_name"] = "Bob Example"
    item.rows["office"][0]["office_name"] = "Office of A"
    apply(warehouse, pull_at(warehouse, 0), [item, listing("2", photos=[(1, "other")])])
    held(warehouse, (3, "large", "three", "blob of another"))
    found = current(warehouse)
    assert found["list_agent_full_name"] == "Bob Example"
    assert found["list_office_name"] == "Office of A"
    assert found["first_image_media_key"] == "1_2"
    assert found["first_image_url"] == "http://127.0.0.1/two.jpg"
    assert found["first_image_blob_key"] is None


@pytest.mark.parametrize(
    ("files", "blob"),
    [
        ([("large", "t", "L"), ("medium", "t", "M")], "L"),
        ([("thumbnail", "t", "T"), ("medium", "t", "M")], "M"),
        ([("large", "old", "L"), ("thumbnail", "t", "T")], "T"),  # the present image first
        ([("large", "old", "L")], "L"),  # better than none, until the image run comes by
        ([("large", "t", None), ("medium", "old", "M")], "M"),
        ([("large", "t", None)], None),
    ],
)
def test_the_blob_that_it_names(
    warehouse: Warehouse, files: list[tuple[str, str, str | None]], blob: str | None
) -> None:
    apply(warehouse, pull_at(warehouse, 0), [listing("1", photos=[(1, "t")])])
    held(warehouse, *((1, size, token, key) for size, token, key in files))  # type: ignore[misc]
    assert current(warehouse)["first_image_blob_key"] == blob


def test_each_listing_stands_once(warehouse: Warehouse) -> None:
    """Two feeds may have equal keys, and images may have none or equal places."""
    first = listing("1", agents=["a"], photos=[(1, "t"), (2, "u")], list_agent_key="a")
    for row in first.rows["media"]:
        row["order"] = None
    apply(warehouse, pull_at(warehouse, 0), [first, listing("2")])
    with warehouse.writing() as connection:
        for table, row in (
            ("property", {"listing_key": "1", "list_agent_key": "a"}),
            ("member", {"member_key": "a", "observed_in": "Property"}),
            ("media", {"listing_key": "1", "media_key": "1_1"}),
        ):
            bulk.insert(connection, tables.named(table), [{"feed": "other", **row}])
    with warehouse.reading() as connection:
        query = sa.text("SELECT feed, listing_key FROM current_listings ORDER BY 1, 2")
        assert [tuple(row) for row in connection.execute(query)] == [
            (FEED, "1"), (FEED, "2"), ("other", "1"),
        ]  # fmt: skip
    assert current(warehouse)["first_image_media_key"] == "1_1"


# Indexes ------------------------------------------------------------------------------------------


@pytest.fixture
def many(warehouse: Warehouse) -> Iterator[sa.Connection]:
    """Many listings, which the database knows the distribution of; gone at the end."""
    with warehouse.engine.connect() as connection, connection.begin() as outer:
        bulk.insert(
            connection,
            tables.property_,
            [
                {
                    "feed": FEED,
                    "listing_key": str(number),
                    "city": f"City {number % 300}",
                    "standard_status": "Active" if number % 10 else "Pending",
                    "list_price": Decimal(100_000 + number * 37 % 900_000),
                    "modification_timestamp": at(number),
                    "latitude": Decimal(42) + Decimal(number % 977) / 100,
                    "longitude": Decimal(-120) + Decimal(number % 1_013) / 100,
                }
                for number in range(6_000)
            ],
        )
        connection.execute(sa.text("ANALYZE"))
        yield connection
        outer.rollback()


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("feed = 'board' AND listing_key = '17'", "pk_property"),
        ("standard_status = 'Pending' AND city = 'City 7'", "ix_property_city_standard_status"),
        ("city = 'City 7'", "ix_property_city_standard_status"),
        ("list_price BETWEEN 200000 AND 201000", "ix_property_list_price"),
        (
            "feed = 'board' AND modification_timestamp >= '2026-03-05 15:00:00'",
            "ix_property_feed_modification_timestamp",
        ),
        (
            "latitude BETWEEN 43.1 AND 43.15 AND longitude BETWEEN -115.2 AND -115",
            "ix_property_latitude_longitude",
        ),
    ],
)
@pytest.mark.parametrize("source", ["property", "current_listings"])
def test_what_people_ask_finds_its_index(
    many: sa.Connection, source: str, condition: str, index: str
) -> None:
    sqlite = many.dialect.name == "sqlite"
    explain = "EXPLAIN QUERY PLAN" if sqlite else "EXPLAIN"
    query = sa.text(f"{explain} SELECT listing_key, list_price FROM {source} WHERE {condition}")
    plan = "\n".join(" ".join(map(str, row)) for row in many.execute(query))
    # SQLite names the index of a primary key itself.
    wanted = "sqlite_autoindex_property_1" if sqlite and index == "pk_property" else index
    assert wanted in plan, plan
    assert "SCAN p" not in plan
    assert "Seq Scan on property" not in plan


def test_the_newest_come_by_an_index(many: sa.Connection) -> None:
    explain = "EXPLAIN QUERY PLAN" if many.dialect.name == "sqlite" else "EXPLAIN"
    query = sa.text(
        f"{explain} SELECT * FROM current_listings WHERE feed = 'board'"
        " ORDER BY modification_timestamp DESC LIMIT 20"
    )
    plan = "\n".join(" ".join(map(str, row)) for row in many.execute(query))
    assert "ix_property_feed_modification_timestamp" in plan, plan
    assert "Sort Key: p." not in plan
    assert " 0 0 USE TEMP B-TREE" not in plan  # of the whole query, not of one within


def photos(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    """What a website shows of the listing's photos, in order."""
    query = sa.text(
        "SELECT media_key, size, media_url_mirror, is_current FROM listing_photos"
        ' WHERE feed = :feed ORDER BY "order", size'
    )
    with warehouse.reading() as connection:
        return [tuple(row) for row in connection.execute(query, {"feed": FEED})]


def test_it_shows_photos_with_the_addresses_of_the_mirror(warehouse: Warehouse) -> None:
    item = listing("1", photos=[(2, "two"), (1, "one"), (3, "three")])
    apply(warehouse, pull_at(warehouse, 0), [item])
    held(
        warehouse,
        (1, "large", "one", "images/board/1/a.jpg"),
        (1, "medium", "one", "images/board/1/b.jpg"),
        (2, "large", "older", "images/board/1/c.jpg"),
        (3, "large", "three", None),
    )
    assert photos(warehouse) == [
        ("1_1", "large", None, 1),
        ("1_1", "medium", None, 1),
        ("1_2", "large", None, 0),
    ]
    base = "https://cdn.example.com/mirror/"
    for address in (base, base, None, base):
        with warehouse.writing() as connection:
            media.note_base_url(connection, FEED, address)
    assert [row[2] for row in photos(warehouse)] == [
        f"{base}images/board/1/{name}.jpg" for name in "abc"
    ]
