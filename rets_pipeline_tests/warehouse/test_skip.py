"""Records known from their heads: what moves, what stays, and what is read all the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from rets_pipeline.sources.base import ParsedListing, Problem
from rets_pipeline.warehouse import deletion, ledgers, tables
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.load import Counts, Load, Refused, loaded_hashes
from rets_pipeline_tests.warehouse.builders import (
    FEED,
    apply,
    at,
    holding,
    listing,
    member,
    phone,
    pull_at,
)
from rets_pipeline_tests.warehouse.databases import everything, rows


@dataclass(frozen=True)
class Head:
    """What a record says without being read."""

    key: str | None
    payload_timestamp: datetime | None
    content_hash: str


def head_of(item: ParsedListing, timestamp: datetime | None = None) -> Head:
    return Head(item.key, timestamp or item.payload_timestamp, item.content_hash)


def known(
    warehouse: Warehouse, minutes: float, heads: list[Head], *, replay: bool = False
) -> tuple[set[str], Counts]:
    """What a pull finds to be known of some records, without reading any."""
    pull = pull_at(warehouse, minutes)
    asked = {head.key: at(minutes) for head in heads if head.key is not None}
    with warehouse.writing() as connection:
        load = Load(connection, pull, dict(asked), replay=replay, now=at(minutes))
        return load.known(heads), load.counts


def ledger(warehouse: Warehouse) -> dict[str, Any]:
    return {row.listing_key: row for row in rows(warehouse, sa.select(ledgers.listing_sync))}


def test_only_the_ledger_moves(warehouse: Warehouse) -> None:
    items = [listing(str(number), agents=["a"], photos=[(1, "t")]) for number in range(3)]
    apply(warehouse, pull_at(warehouse, 0), items)
    before = everything(warehouse, without=("listing_sync", "pull"))
    heads = [head_of(items[0], at(7)), head_of(items[1], at(8)), Head("2", at(9), "another")]

    done, counts = known(warehouse, 5, [*heads, Head("3", at(9), "new"), Head(None, None, "x")])

    assert done == {"0", "1"}
    assert counts == Counts(unchanged=2)
    assert everything(warehouse, without=("listing_sync", "pull")) == before
    found = ledger(warehouse)
    assert (found["0"].payload_timestamp, found["0"].master_timestamp) == (at(7), at(5))
    assert found["1"].payload_timestamp == at(8)
    assert found["0"].pull_id > found["2"].pull_id
    assert found["0"].content_hash == items[0].content_hash
    assert set(found) == {"0", "1", "2"}


def test_what_is_not_live_or_not_loaded_is_read(warehouse: Warehouse) -> None:
    items = [listing(str(number)) for number in range(3)]
    apply(warehouse, pull_at(warehouse, 0), items)
    with warehouse.writing() as connection:
        table = tables.property_
        connection.execute(sa.delete(table).where(table.c.listing_key == "0"))
    broken = Refused("1", Problem("", "cannot be read", "<x/>"))
    apply(warehouse, pull_at(warehouse, 1), [], asked={"1": at(0)}, refused=[broken])
    done, counts = known(warehouse, 5, [head_of(item) for item in items])
    assert (done, counts) == ({"2"}, Counts(unchanged=1))


def test_a_replay_reads_everything_of_its_own(warehouse: Warehouse) -> None:
    item = listing("1")
    apply(warehouse, pull_at(warehouse, 0), [item])
    assert known(warehouse, 5, [head_of(item)], replay=True) == (set(), Counts())


def test_a_key_that_occurs_twice_is_read(warehouse: Warehouse) -> None:
    item = listing("1")
    apply(warehouse, pull_at(warehouse, 0), [item])
    assert known(warehouse, 5, [head_of(item), Head("1", at(0), "x")]) == (set(), Counts())


def test_what_a_later_pull_said_need_not_be_read(warehouse: Warehouse) -> None:
    early, master = pull_at(warehouse, 0), pull_at(warehouse, 1, kind="master_list")
    apply(warehouse, pull_at(warehouse, 2), [listing("1", "later")])
    first = pull_at(warehouse, 3)
    apply(warehouse, first, [listing("2")])
    master = pull_at(warehouse, 4, kind="master_list")
    with warehouse.writing() as connection, holding(connection, [("1", None)]):
        deletion.remove(connection, master)
    before = everything(warehouse, without=("pull",))
    with warehouse.writing() as connection:
        load = Load(connection, early, {"1": None, "2": None, "3": None}, now=at(9))
        done = load.known([head_of(listing(key)) for key in "123"])
        assert done == {"1", "2"}
        load.batch([listing("3")])
        assert load.finish() == Counts(new=1, superseded=2)
    after = everything(warehouse, without=("pull",))
    assert after["tombstone"] == before["tombstone"]
    assert set(ledger(warehouse)) == {"1", "3"}


def test_known_records_count_as_answered(warehouse: Warehouse) -> None:
    item = listing("1")
    apply(warehouse, pull_at(warehouse, 0), [item])
    pull = pull_at(warehouse, 1)
    with warehouse.writing() as connection:
        load = Load(connection, pull, {"1": at(1), "2": at(1)}, now=at(1))
        assert load.known([head_of(item)]) == {"1"}
        load.batch([])
        assert load.finish() == Counts(unchanged=1, not_returned=1)


def test_hashes_that_are_held(warehouse: Warehouse) -> None:
    items = [listing(str(number)) for number in range(3)]
    broken = Refused("9", Problem("", "cannot be read", "<x/>"))
    apply(warehouse, pull_at(warehouse, 0), items, asked={"9": at(0)}, refused=[broken])
    with warehouse.reading() as connection:
        found = loaded_hashes(connection, FEED, ["0", "2", "9", "none"])
        assert found == {key: items[int(key)].content_hash for key in "02"}
        assert loaded_hashes(connection, "other", ["0"]) == {}


# Members and offices -----------------------------------------------------------------------------


def versions(warehouse: Warehouse) -> dict[str, Any]:
    names = ("member", "office", "other_phone", "social_media")
    return {name: everything(warehouse)[name] for name in names}


def test_unchanged_members_are_not_written_again_but_told_later(warehouse: Warehouse) -> None:
    """Their pull moves on, so that an older one cannot bring old words back."""
    apply(warehouse, pull_at(warehouse, 0), [listing("1", agents=["a", "b"])])
    between = pull_at(warehouse, 1)
    before = versions(warehouse)
    apply(warehouse, pull_at(warehouse, 2), [listing("1", "second", agents=["a", "b"])])
    after = versions(warehouse)
    assert after["other_phone"] == before["other_phone"]
    old = listing("2", agents=["a"])
    old.rows["member"] = [member("a", "An old name")]
    apply(warehouse, between, [old])
    table = tables.member
    names = {row.member_key: row.member_full_name for row in rows(warehouse, sa.select(table))}
    assert names == {"a": "Ann Example", "b": "Ann Example"}


def test_the_same_words_within_a_pull_are_written_once(warehouse: Warehouse) -> None:
    pull = pull_at(warehouse, 0)
    with warehouse.writing() as connection:
        load = Load(connection, pull, {}, now=at(0))
        load.batch([listing("1", agents=["a"])])
        statements: list[str] = []
        sa.event.listen(
            connection.engine,
            "before_cursor_execute",
            lambda _c, _cursor, statement, *_: statements.append(statement),
        )
        load.batch([listing("2", agents=["a"])])
        told = [
            one for one in statements if re.search(r"\b(INTO|FROM) (other_phone|member)\b", one)
        ]
        assert told == []
        changed = listing("3", agents=["a"])
        changed.rows["other_phone"] = [phone("Member", "a", "new")]
        load.batch([changed])
    found = rows(warehouse, sa.select(tables.other_phone))
    assert [row.other_phone_number for row in found] == ["new"]


def test_what_was_rolled_back_is_not_taken_for_written(warehouse: Warehouse) -> None:
    """A refused listing takes its members with it; the next one tells of them again."""
    bad = listing("1", agents=["a"])
    bad.rows["property_rooms"] *= 2
    counts = apply(warehouse, pull_at(warehouse, 0), [bad, listing("2", agents=["a"])])
    assert counts == Counts(new=1, quarantined=1)
    assert [row.member_key for row in rows(warehouse, sa.select(tables.member))] == ["a"]
    assert len(rows(warehouse, sa.select(tables.other_phone))) == 1


def test_rows_that_the_books_do_not_know_are_replaced(warehouse: Warehouse) -> None:
    """It never happens by itself; a hand in the database may do it."""
    apply(warehouse, pull_at(warehouse, 0), [listing("1"), listing("2")])
    with warehouse.writing() as connection:
        connection.execute(sa.delete(ledgers.listing_sync))
    counts = apply(
        warehouse, pull_at(warehouse, 1), [listing("1", "second"), listing("2"), listing("3")]
    )
    assert counts == Counts(new=3)
    found = rows(warehouse, sa.select(tables.property_.c.public_remarks).order_by("listing_key"))
    assert [row.public_remarks for row in found] == ["second", "first", "first"]
