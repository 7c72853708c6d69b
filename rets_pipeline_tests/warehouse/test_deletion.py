"""Deletions: what goes, what stays, and what remains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import sqlalchemy as sa

from rets_pipeline.sources.base import Problem
from rets_pipeline.warehouse import bulk, deletion, ledgers, tables
from rets_pipeline.warehouse.deletion import Gone
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.pulls import Pull
from rets_pipeline_tests.warehouse.builders import (
    FEED,
    apply,
    at,
    begin,
    holding,
    listing,
    member,
    office,
    phone,
    pull_at,
)
from rets_pipeline_tests.warehouse.databases import everything, rows


def remove(warehouse: Warehouse, master: Pull, keys: Iterable[str]) -> int:
    entries = [(key, None) for key in keys]
    with warehouse.writing() as connection, holding(connection, entries):
        return deletion.remove(connection, master)


def count(warehouse: Warehouse, keys: Iterable[str]) -> Gone:
    entries = [(key, None) for key in keys]
    with warehouse.writing() as connection, holding(connection, entries):
        return deletion.count(connection, FEED)


def keys_in(warehouse: Warehouse, name: str, column: str = "listing_key") -> set[Any]:
    return {row[0] for row in rows(warehouse, sa.select(tables.named(name).c[column]))}


def test_whatever_belongs_to_a_gone_listing_goes(warehouse: Warehouse) -> None:
    problem = Problem("Price", "not a number", "ten")
    first = pull_at(warehouse, 0)
    apply(
        warehouse,
        first,
        [
            listing(key, agents=[f"agent{key}"], photos=[(1, "t")], problems=[problem])
            for key in "123"
        ],
    )
    master = pull_at(warehouse, 1, kind="master_list")

    assert count(warehouse, "2") == Gone(keys=2, live=2, all_live=3)
    assert remove(warehouse, master, "2") == 2

    assert keys_in(warehouse, "quarantine", "resource_record_key") == {"2"}
    for name in (*tables.LISTING_TABLES, "listing_sync"):
        if name != "open_house":
            assert keys_in(warehouse, name) == {"2"}, name
    assert keys_in(warehouse, "member", "member_key") == {"agent2"}
    assert keys_in(warehouse, "office", "office_key") == {"oagent2"}
    assert keys_in(warehouse, "other_phone", "resource_record_key") == {"agent2"}
    found = rows(warehouse, sa.select(ledgers.tombstone).order_by("listing_key"))
    assert [tuple(row) for row in found] == [
        (FEED, key, master.pull_id, at(1), at(0), first.pull_id) for key in "13"
    ]
    # Keys and times; a column more would need a reason.
    assert {column.name for column in ledgers.tombstone.columns} == {
        "feed", "listing_key", "master_pull_id", "gone_at", "last_master_timestamp", "last_pull_id",
    }  # fmt: skip


def test_nothing_gone_changes_nothing(warehouse: Warehouse) -> None:
    apply(warehouse, pull_at(warehouse, 0), [listing("1", agents=["a"])])
    master = pull_at(warehouse, 1, kind="master_list")
    before = everything(warehouse)
    assert remove(warehouse, master, ["1", "2"]) == 0
    assert everything(warehouse) == before


def test_only_the_newest_list_deletes(warehouse: Warehouse) -> None:
    apply(warehouse, pull_at(warehouse, 0), [listing("1")])
    older = pull_at(warehouse, 1, kind="master_list")
    newest = pull_at(warehouse, 2, kind="master_list")
    with warehouse.writing() as connection:
        begin(connection, 3, kind="master_list", complete=False)  # says nothing yet
    before = everything(warehouse)

    with pytest.raises(ValueError, match=f"{older.pull_id} is not the newest"):
        remove(warehouse, older, [])
    assert everything(warehouse) == before

    assert remove(warehouse, newest, []) == 1


def test_a_list_that_is_not_complete_deletes_nothing(warehouse: Warehouse) -> None:
    apply(warehouse, pull_at(warehouse, 0), [listing("1")])
    with warehouse.writing() as connection:
        unfinished = begin(connection, 1, kind="master_list", complete=False)
    with pytest.raises(ValueError, match="is not the newest"):
        remove(warehouse, unfinished, [])
    assert keys_in(warehouse, "property") == {"1"}


def test_a_key_that_was_pulled_after_the_list_stays(warehouse: Warehouse) -> None:
    apply(warehouse, pull_at(warehouse, 0), [listing("1"), listing("2")])
    master = pull_at(warehouse, 1, kind="master_list")
    later = pull_at(warehouse, 2)
    apply(warehouse, later, [listing("2"), listing("3")], asked={"2": None, "3": None, "4": None})

    assert remove(warehouse, master, []) == 1

    assert keys_in(warehouse, "property") == {"2", "3"}
    assert keys_in(warehouse, "listing_sync") == {"2", "3", "4"}
    assert keys_in(warehouse, "tombstone") == {"1"}


def test_keys_that_never_became_listings_go_too(warehouse: Warehouse) -> None:
    apply(warehouse, pull_at(warehouse, 0), [listing("1")], asked={"1": None, "2": None})
    master = pull_at(warehouse, 1, kind="master_list")
    assert count(warehouse, []) == Gone(keys=2, live=1, all_live=1)
    assert remove(warehouse, master, []) == 2
    assert keys_in(warehouse, "listing_sync") == set()


def test_a_second_tombstone_replaces_the_first(warehouse: Warehouse) -> None:
    """A key may be asked for, in vain, while its tombstone stands."""
    apply(warehouse, pull_at(warehouse, 0), [listing("1")])
    remove(warehouse, pull_at(warehouse, 1, kind="master_list"), [])
    asked_again = pull_at(warehouse, 2)
    apply(warehouse, asked_again, [], asked={"1": at(50)})
    master = pull_at(warehouse, 3, kind="master_list")

    assert remove(warehouse, master, []) == 1

    (row,) = rows(warehouse, sa.select(ledgers.tombstone))
    assert (row.master_pull_id, row.last_pull_id, row.last_master_timestamp) == (
        master.pull_id,
        asked_again.pull_id,
        at(50),
    )


def test_other_feeds_are_left_alone(warehouse: Warehouse) -> None:
    with warehouse.writing() as connection:
        for name in ("property", "property_rooms"):
            row = {"feed": "other", "listing_key": "1"}
            extra = {"room_key": "1_1"} if name == "property_rooms" else {}
            bulk.insert(connection, tables.named(name), [{**row, **extra}])
        bulk.insert(
            connection,
            ledgers.listing_sync,
            [
                {
                    "feed": "other",
                    "listing_key": "1",
                    "pull_id": "0",
                    "state": "loaded",
                    "attempts": 0,
                }
            ],
        )
        bulk.insert(connection, tables.member, [{"feed": "other", **member("a")}])
        bulk.insert(connection, tables.office, [{"feed": "other", **office("a")}])
        bulk.insert(
            connection, tables.other_phone, [{"feed": "other", **phone("Member", "a", "1")}]
        )
    apply(warehouse, pull_at(warehouse, 0), [listing("1", agents=["a"])])
    before = everything(warehouse)

    remove(warehouse, pull_at(warehouse, 1, kind="master_list"), [])

    for name, found in everything(warehouse).items():
        if name not in ("pull", "tombstone", "history_transactional"):
            assert found == [row for row in before[name] if "other" in row], name


def test_agents_of_a_listing_that_stays_stay(warehouse: Warehouse) -> None:
    apply(
        warehouse,
        pull_at(warehouse, 0),
        [listing("1", agents=["a", "b"]), listing("2", agents=["b", "c"])],
    )
    remove(warehouse, pull_at(warehouse, 1, kind="master_list"), ["2"])
    assert keys_in(warehouse, "member", "member_key") == {"b", "c"}
    assert keys_in(warehouse, "office", "office_key") == {"ob", "oc"}
    assert keys_in(warehouse, "other_phone", "resource_record_key") == {"b", "c"}


def test_agents_that_a_change_left_unmentioned_go_at_the_next_deletion(
    warehouse: Warehouse,
) -> None:
    apply(warehouse, pull_at(warehouse, 0), [listing("1", agents=["a"])])
    apply(warehouse, pull_at(warehouse, 1), [listing("1", "second", agents=["b"])])
    assert remove(warehouse, pull_at(warehouse, 2, kind="master_list"), ["1"]) == 0
    assert keys_in(warehouse, "member", "member_key") == {"b"}


def test_agents_and_offices_of_their_own_search_stay(warehouse: Warehouse) -> None:
    apply(warehouse, pull_at(warehouse, 0), [listing("1", agents=["a", "b"])])
    with warehouse.writing() as connection:
        table = tables.member
        connection.execute(
            sa.update(table).where(table.c.member_key == "a").values(observed_in="Member")
        )
        table = tables.office
        connection.execute(
            sa.update(table).where(table.c.office_key == "ob").values(observed_in="Office")
        )
    remove(warehouse, pull_at(warehouse, 1, kind="master_list"), [])
    assert keys_in(warehouse, "member", "member_key") == {"a"}
    assert keys_in(warehouse, "other_phone", "resource_record_key") == {"a"}
    assert keys_in(warehouse, "office", "office_key") == {"ob"}


def test_agents_without_a_key_or_an_office_hide_no_others(warehouse: Warehouse) -> None:
    """NULL among the mentioned keys would make SQL's NOT IN say nothing at all."""
    apply(warehouse, pull_at(warehouse, 0), [listing("1", agents=["a"]), listing("2")])
    item = listing("3")
    item.rows["property_member"] = [
        {"listing_key": "3", "order": 1, "member_key": None, "office_key": None}
    ]
    apply(warehouse, pull_at(warehouse, 1), [item])
    remove(warehouse, pull_at(warehouse, 2, kind="master_list"), ["2", "3"])
    assert keys_in(warehouse, "member", "member_key") == set()
    assert keys_in(warehouse, "office", "office_key") == set()


def test_very_many_at_once(sqlite_warehouse: Warehouse) -> None:
    keys = [str(number) for number in range(3_000)]
    apply(sqlite_warehouse, pull_at(sqlite_warehouse, 0), [listing(key, rooms=0) for key in keys])
    master = pull_at(sqlite_warehouse, 1, kind="master_list")
    with sqlite_warehouse.writing() as connection:
        driver: Any = connection.connection.driver_connection
        driver.setlimit(9, 500)
        with holding(connection, []):
            assert deletion.remove(connection, master) == 3_000
        driver.setlimit(9, 250_000)
