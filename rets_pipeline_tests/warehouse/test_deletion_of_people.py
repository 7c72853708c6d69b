"""Members and offices that are gone: what goes, what stays, what a live listing still says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from rets_pipeline.sources.base import Problem
from rets_pipeline.warehouse import deletion, difference, ledgers, tables
from rets_pipeline.warehouse.deletion import Gone
from rets_pipeline.warehouse.difference import Difference, Parity
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.load import Counts
from rets_pipeline.warehouse.resources import LISTINGS, MEMBERS, OFFICES, Resource
from rets_pipeline_tests.warehouse import builders
from rets_pipeline_tests.warehouse.builders import FEED, START, at, holding, listing, pull_at
from rets_pipeline_tests.warehouse.databases import everything, rows
from rets_pipeline_tests.warehouse.people import apply, ledger, names, person, pull_of, remove

BOTH = pytest.mark.parametrize("resource", [MEMBERS, OFFICES], ids=lambda found: found.kind)


def keys_in(warehouse: Warehouse, name: str, column: str = "resource_record_key") -> list[Any]:
    found = rows(warehouse, sa.select(tables.named(name).c[column]))
    return sorted(row[0] for row in found)


@BOTH
def test_whatever_belongs_to_a_gone_one_goes(warehouse: Warehouse, resource: Resource) -> None:
    problem = Problem("Phones", "strange", "5")
    first = pull_of(warehouse, 0, resource.kind)
    apply(warehouse, first, [person(key, problems=[problem], resource=resource) for key in "123"],
          resource)  # fmt: skip
    master = pull_of(warehouse, 1, resource.master_list_kind)

    assert remove(warehouse, master, "2", resource) == 2

    assert list(names(warehouse, resource)) == ["2"]
    for name in ("other_phone", "social_media", "quarantine", "resource_sync"):
        assert keys_in(warehouse, name) == ["2"], name
    tomb = ledgers.resource_tombstone
    found = rows(warehouse, sa.select(tomb).order_by(tomb.c.resource_record_key))
    assert [tuple(row) for row in found] == [
        (FEED, resource.name, key, master.pull_id, at(1), at(0), first.pull_id) for key in "13"
    ]
    # Keys and times, nothing personal; a column more would need a reason.
    assert set(tomb.c.keys()) - set(ledgers.tombstone.c.keys()) == {
        "resource_name", "resource_record_key",
    }  # fmt: skip
    assert remove(warehouse, master, "2", resource) == 0


def test_offices_and_other_feeds_stay_when_a_member_goes(warehouse: Warehouse) -> None:
    apply(warehouse, pull_of(warehouse, 0, "offices"), [person("1", resource=OFFICES)], OFFICES)
    apply(warehouse, pull_of(warehouse, 1), [person("1")])
    with warehouse.writing() as connection:
        for table, columns in {
            tables.member: {"member_key": "1", "observed_in": "Member"},
            ledgers.resource_sync: {
                "resource_name": "Member", "resource_record_key": "1", "pull_id": "0",
                "state": "loaded",
            },
        }.items():  # fmt: skip
            connection.execute(sa.insert(table).values(feed="other", **columns))

    assert remove(warehouse, pull_of(warehouse, 2, "member_master_list"), []) == 1

    assert names(warehouse) == {}
    assert names(warehouse, OFFICES) == {"1": "first"}
    assert list(ledger(warehouse, OFFICES)) == ["1"]
    assert keys_in(warehouse, "other_phone", "resource_name") == ["Office"]
    assert keys_in(warehouse, "member", "feed") == ["other"]
    assert keys_in(warehouse, "resource_sync", "feed") == [FEED, "other"]


def test_a_gone_one_that_a_live_listing_names_becomes_what_that_says(warehouse: Warehouse) -> None:
    builders.apply(
        warehouse,
        pull_at(warehouse, 0),
        [listing("A", agents=["1"]), listing("B", agents=["2"]), listing("C", agents=["1", "3"])],
    )
    apply(warehouse, pull_of(warehouse, 1), [person(key, "Own") for key in "12"])

    assert remove(warehouse, pull_of(warehouse, 2, "member_master_list"), ["2"]) == 1

    found = {row.member_key: row for row in rows(warehouse, sa.select(tables.member))}
    assert found.keys() == {"1", "2", "3"}
    assert found["1"].observed_in == "Property"
    assert found["2"].observed_in == "Member"
    sync = ledgers.listing_sync
    states = {row.listing_key: row.state for row in rows(warehouse, sa.select(sync))}
    assert states == {"A": "stale", "B": "loaded", "C": "stale"}

    # Both are asked for again, though their timestamps are equal.
    with (
        warehouse.writing() as connection,
        holding(connection, [(key, START) for key in "ABC"]),
    ):
        wanted = list(difference.to_fetch(connection, FEED, datetime.now(UTC)))
        assert difference.parity(connection, FEED).missing == 0
    assert [(item.key, item.kind) for item in wanted] == [("A", "retry"), ("C", "retry")]

    # Equal content all the same: the load writes it, since it is what stands there no more.
    again = [listing("A", agents=["1"]), listing("C", agents=["1", "3"])]
    assert builders.apply(warehouse, pull_at(warehouse, 3), again) == Counts(changed=2)
    (row,) = rows(warehouse, sa.select(tables.member).where(tables.member.c.member_key == "1"))
    assert (row.member_full_name, row.member_city) == ("Ann Example", None)
    phones = rows(warehouse, sa.select(tables.other_phone).order_by("resource_record_key"))
    assert [item.other_phone_number for item in phones] == ["555-1", "Own 1", "555-3"]
    sites = rows(warehouse, sa.select(tables.social_media))
    assert [item.resource_record_key for item in sites] == ["2"]
    states = {row.listing_key: row.state for row in rows(warehouse, sa.select(sync))}
    assert set(states.values()) == {"loaded"}


def test_a_gone_office_goes_with_its_last_listing(warehouse: Warehouse) -> None:
    builders.apply(warehouse, pull_at(warehouse, 0), [listing("A", agents=["1"])])
    apply(warehouse, pull_of(warehouse, 1, "offices"), [person("o1", "Own", OFFICES)], OFFICES)
    remove(warehouse, pull_of(warehouse, 2, "office_master_list"), [], OFFICES)
    assert names(warehouse, OFFICES) == {"o1": "Own"}

    remove(warehouse, pull_at(warehouse, 3, kind="master_list"), [], LISTINGS)

    assert names(warehouse, OFFICES) == {}
    assert names(warehouse) == {}
    assert keys_in(warehouse, "other_phone") == []
    assert keys_in(warehouse, "social_media") == []


def test_a_listing_that_goes_leaves_own_rows(warehouse: Warehouse) -> None:
    builders.apply(warehouse, pull_at(warehouse, 0), [listing("A", agents=["1"])])
    apply(warehouse, pull_of(warehouse, 1), [person("1", "Own")])
    remove(warehouse, pull_at(warehouse, 2, kind="master_list"), [], LISTINGS)
    assert names(warehouse) == {"1": "Own"}
    assert names(warehouse, OFFICES) == {}


def test_only_the_newest_list_deletes_and_only_what_was_pulled_before(warehouse: Warehouse) -> None:
    apply(warehouse, pull_of(warehouse, 0), [person("1"), person("2")])
    older = pull_of(warehouse, 1, "member_master_list")
    pull_of(warehouse, 2, "office_master_list")  # of another resource: says nothing here
    apply(warehouse, pull_of(warehouse, 3), [person("2", "second")])
    assert remove(warehouse, older, []) == 1
    assert names(warehouse) == {"2": "second"}

    pull_of(warehouse, 4, "member_master_list")
    before = everything(warehouse)
    with pytest.raises(ValueError, match="not the newest master list"):
        remove(warehouse, older, [])
    assert everything(warehouse) == before


def test_the_guard_counts_own_rows(warehouse: Warehouse) -> None:
    builders.apply(warehouse, pull_at(warehouse, 0), [listing("A", agents=["1", "8", "9"])])
    asked = dict.fromkeys("12345", START)
    apply(warehouse, pull_of(warehouse, 1), [person("1"), person("2"), person("3")], asked=asked)
    with warehouse.writing() as connection, holding(connection, [("1", START)]):
        found = deletion.count(connection, FEED, MEMBERS)
    # 4 and 5 were never returned; 8 and 9 are known from the listing only.
    assert found == Gone(keys=4, live=2, all_live=3)


def test_each_resource_is_compared_with_its_own_ledger(warehouse: Warehouse) -> None:
    apply(warehouse, pull_of(warehouse, 0), [person("1"), person("2"), person("3")],
          asked=dict.fromkeys("1234", START))  # fmt: skip
    apply(warehouse, pull_of(warehouse, 1, "offices"), [person("9", resource=OFFICES)], OFFICES)
    builders.apply(warehouse, pull_at(warehouse, 2), [listing("1", agents=["5"])])
    entries = {"1": START, "2": at(-1), "4": START, "5": START}
    with warehouse.writing() as connection, holding(connection, entries.items()):
        wanted = list(difference.to_fetch(connection, FEED, at(60), MEMBERS))
        gone = list(difference.gone(connection, FEED, MEMBERS))
        parity = difference.parity(connection, FEED, MEMBERS)

    assert wanted == [
        Difference("4", "retry", START),
        Difference("5", "new", START),
        Difference("2", "changed", at(-1)),
    ]
    assert gone == [Difference("3", "gone", START)]
    assert parity == Parity(
        on_server=4, live=3, missing=1, not_returned=1, quarantined=0, surplus=1
    )
