"""Members and offices by their own search: order, equal content, replacement, refusals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rets_pipeline.sources.base import ParsedRecord, Problem
from rets_pipeline.warehouse import ledgers, tables
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.load import Counts, Refused
from rets_pipeline.warehouse.resources import MEMBERS, OFFICES, Resource
from rets_pipeline.warehouse.rules import FIRST_DELAY, LONGEST_DELAY
from rets_pipeline_tests.warehouse import builders
from rets_pipeline_tests.warehouse.builders import FEED, at, listing, phone, pull_at
from rets_pipeline_tests.warehouse.databases import everything, rows
from rets_pipeline_tests.warehouse.people import apply, ledger, names, person, pull_of, remove

BOTH = pytest.mark.parametrize("resource", [MEMBERS, OFFICES], ids=lambda found: found.kind)


def phones(warehouse: Warehouse, resource: Resource = MEMBERS) -> dict[str, list[str]]:
    table = tables.other_phone
    query = sa.select(table).where(resource.rows_in(table, FEED)).order_by(table.c.order)
    found: dict[str, list[str]] = {}
    for row in rows(warehouse, query):
        found.setdefault(row.resource_record_key, []).append(row.other_phone_number)
    return found


def quarantine(warehouse: Warehouse) -> list[tuple[str, str | None, str]]:
    table = ledgers.quarantine
    found = rows(warehouse, sa.select(table).order_by(table.c.quarantine_id))
    return [(row.resource_name, row.resource_record_key, row.field) for row in found]


def of_people(warehouse: Warehouse) -> list[Any]:
    found = everything(warehouse)
    return [found[name] for name in ("member", "other_phone", "social_media", "resource_sync")]


def broken(key: str | None) -> Refused:
    return Refused(key, Problem("", "cannot be read", "<raw/>"))


# What lands ---------------------------------------------------------------------------------------


@BOTH
def test_rows_and_books_land_together(warehouse: Warehouse, resource: Resource) -> None:
    pull = pull_of(warehouse, 0, resource.kind)
    problem = Problem("Phones", "strange", "x")

    counts = apply(
        warehouse,
        pull,
        [person("1", "Ann", resource, phones=2), person("2", "Bob", resource, problems=[problem])],
        resource,
        asked={"1": at(-5), "2": at(-5)},
    )

    assert counts == Counts(new=2, value_problems=1)
    assert names(warehouse, resource) == {"1": "Ann", "2": "Bob"}
    assert phones(warehouse, resource) == {"1": ["Ann 1", "Ann 2"], "2": ["Bob 1"]}
    assert quarantine(warehouse) == [(resource.name, "2", "Phones")]
    row = ledger(warehouse, resource)["1"]
    assert (row.master_timestamp, row.payload_timestamp) == (at(-5), at(0))
    assert (row.state, row.pull_id, row.content_hash) == ("loaded", pull.pull_id, "hash of Ann")
    (held,) = rows(
        warehouse, sa.select(resource.table).where(resource.table.c[resource.key] == "1")
    )
    assert (held.observed_in, held.pull_id) == (resource.name, pull.pull_id)


def test_members_and_offices_of_one_key_are_strangers(warehouse: Warehouse) -> None:
    problem = Problem("Phones", "strange", "x")
    apply(warehouse, pull_of(warehouse, 0), [person("1", "Ann", problems=[problem])])
    firm = person("1", "Firm", OFFICES, problems=[problem])
    apply(warehouse, pull_of(warehouse, 1, "offices"), [firm], OFFICES)
    apply(warehouse, pull_of(warehouse, 2), [person("1", "Anne", phones=0)])

    assert names(warehouse) == {"1": "Anne"}
    assert names(warehouse, OFFICES) == {"1": "Firm"}
    assert phones(warehouse) == {}
    assert phones(warehouse, OFFICES) == {"1": ["Firm 1"]}
    assert quarantine(warehouse) == [("Office", "1", "Phones")]
    assert ledger(warehouse, OFFICES)["1"].content_hash == "hash of Firm"


def test_equal_content_touches_the_ledger_only(warehouse: Warehouse) -> None:
    apply(warehouse, pull_of(warehouse, 0), [person("1"), person("2")])
    before = everything(warehouse, without=("resource_sync", "pull"))
    later = pull_of(warehouse, 1)

    counts = apply(warehouse, later, [person("1", timestamp=at(1)), person("2", timestamp=at(1))])

    assert counts == Counts(unchanged=2)
    assert everything(warehouse, without=("resource_sync", "pull")) == before
    row = ledger(warehouse)["1"]
    assert (row.payload_timestamp, row.pull_id) == (at(1), later.pull_id)


def test_a_change_leaves_nothing_of_what_was(warehouse: Warehouse) -> None:
    apply(warehouse, pull_of(warehouse, 0), [person("1", phones=3, member_country="CA")])

    counts = apply(warehouse, pull_of(warehouse, 1), [person("1", "second")])

    assert counts == Counts(changed=1)
    assert phones(warehouse) == {"1": ["second 1"]}
    (row,) = rows(warehouse, sa.select(tables.member))
    assert (row.member_full_name, row.member_country) == ("second", None)


def test_a_record_that_comes_twice_counts_once(warehouse: Warehouse) -> None:
    counts = apply(warehouse, pull_of(warehouse, 0), [person("1", "first"), person("1", "second")])
    assert counts == Counts(new=1)
    assert names(warehouse) == {"1": "second"}


# Beside listings ----------------------------------------------------------------------------------


def test_what_a_listing_says_never_replaces_an_own_row(warehouse: Warehouse) -> None:
    builders.apply(warehouse, pull_at(warehouse, 0), [listing("L", agents=["1"])])
    assert names(warehouse) == {"1": "Ann Example"}

    counts = apply(warehouse, pull_of(warehouse, 1), [person("1", "Own")])

    assert counts == Counts(new=1)  # of its own search
    assert phones(warehouse) == {"1": ["Own 1"]}
    before = of_people(warehouse)
    builders.apply(warehouse, pull_at(warehouse, 2), [listing("L", "second", agents=["1"])])
    assert of_people(warehouse) == before
    assert names(warehouse) == {"1": "Own"}


# Order --------------------------------------------------------------------------------------------


def test_a_replayed_pull_never_replaces_a_later_one(warehouse: Warehouse) -> None:
    first, second = pull_of(warehouse, 0), pull_of(warehouse, 1)
    apply(warehouse, second, [person("1", "second")])

    assert apply(warehouse, first, [person("1", "first")], replay=True) == Counts(superseded=1)
    assert names(warehouse) == {"1": "second"}
    assert apply(warehouse, second, [person("1", "better")], replay=True) == Counts(changed=1)
    assert names(warehouse) == {"1": "better"}


def test_a_gone_key_comes_back_by_a_later_pull_only(warehouse: Warehouse) -> None:
    first = pull_of(warehouse, 0)
    apply(warehouse, first, [person("1"), person("2")])
    assert remove(warehouse, pull_of(warehouse, 1, "member_master_list"), ["2"]) == 1

    again = apply(warehouse, first, [person("1"), person("2")], replay=True)
    assert again == Counts(superseded=1, changed=1)
    assert names(warehouse) == {"2": "first"}

    assert apply(warehouse, pull_of(warehouse, 2), [person("1", "back")]) == Counts(new=1)
    assert names(warehouse) == {"1": "back", "2": "first"}
    assert rows(warehouse, sa.select(ledgers.resource_tombstone)) == []


@given(
    st.permutations(range(4)),
    st.lists(st.sampled_from("abc"), min_size=4, max_size=4),
    st.lists(st.integers(0, 3), max_size=4),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_latest_pull_stands_whatever_the_order(
    sqlite_warehouse: Warehouse, order: list[int], contents: list[str], replayed: list[int]
) -> None:
    warehouse = sqlite_warehouse
    with warehouse.writing() as connection:
        for table in tables.metadata.sorted_tables:
            connection.execute(sa.delete(table))
    made = [pull_of(warehouse, number) for number in range(4)]
    for number in order:
        apply(warehouse, made[number], [person("1", contents[number])])
    for number in replayed:
        apply(warehouse, made[number], [person("1", contents[number])], replay=True)
    assert names(warehouse) == {"1": contents[3]}
    assert phones(warehouse) == {"1": [f"{contents[3]} 1"]}
    assert ledger(warehouse)["1"].pull_id == made[3].pull_id


# In vain ------------------------------------------------------------------------------------------


def test_attempts_in_vain_come_later_each_time(warehouse: Warehouse) -> None:
    delays = []
    for number in range(10):
        counts = apply(warehouse, pull_of(warehouse, number), [], asked={"1": at(0)})
        assert counts == Counts(not_returned=1)
        row = ledger(warehouse)["1"]
        assert (row.state, row.attempts) == ("not_returned", number + 1)
        delays.append(row.next_attempt - at(number))
    assert delays[:3] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert delays[-1] == LONGEST_DELAY == timedelta(days=1)

    assert apply(warehouse, pull_of(warehouse, 20), [person("1")]) == Counts(new=1)
    row = ledger(warehouse)["1"]
    assert (row.state, row.attempts, row.next_attempt) == ("loaded", 0, None)


def test_what_cannot_be_read_keeps_what_was_there(warehouse: Warehouse) -> None:
    apply(warehouse, pull_of(warehouse, 0), [person("1")])
    pull = pull_of(warehouse, 1)
    for _ in range(2):  # loaded again, it is noted once
        counts = apply(warehouse, pull, [], asked={"1": at(0)}, refused=[broken("1"), broken(None)])
        assert counts.quarantined == 2
        assert quarantine(warehouse) == [("Member", "1", ""), ("Member", None, "")]
    assert names(warehouse) == {"1": "first"}
    assert ledger(warehouse)["1"].state == "quarantined"

    apply(warehouse, pull_of(warehouse, 2), [person("1")])
    assert quarantine(warehouse) == [("Member", None, "")]


def test_the_record_that_the_database_refuses_goes_alone(warehouse: Warehouse) -> None:
    def twice(key: str) -> ParsedRecord:
        found = person(key, "bad", phones=2)
        for row in found.rows["other_phone"]:
            row["order"] = 1
        return found

    records: list[Any] = [person("1"), twice("2"), person("3"), twice("4")]
    counts = apply(warehouse, pull_of(warehouse, 0), records)

    assert counts == Counts(new=2, quarantined=2)
    assert names(warehouse) == {"1": "first", "3": "first"}
    assert phones(warehouse) == {"1": ["first 1"], "3": ["first 1"]}
    (row, _) = rows(warehouse, sa.select(ledgers.quarantine))
    assert row.reason.startswith("the database refused the member: ")
    assert ledger(warehouse)["2"].state == "quarantined"


def test_many_records_in_one_batch(warehouse: Warehouse) -> None:
    many = [person(str(number), phones=0) for number in range(1_201)]
    assert apply(warehouse, pull_of(warehouse, 0), many) == Counts(new=1_201)
    asked = {item.key: item.payload_timestamp for item in many}
    refused = [broken(item.key) for item in many[:600]]
    counts = apply(warehouse, pull_of(warehouse, 1), [], asked=asked, refused=refused)
    assert counts == Counts(quarantined=600, not_returned=601)


def test_a_phone_of_another_feed_stays(warehouse: Warehouse) -> None:
    other = {"feed": "other", **phone("Member", "1", "555")}
    with warehouse.writing() as connection:
        connection.execute(sa.insert(tables.other_phone).values(**other))
    apply(warehouse, pull_of(warehouse, 0), [person("1", phones=0)])
    table = tables.other_phone
    assert [row.feed for row in rows(warehouse, sa.select(table))] == ["other"]
