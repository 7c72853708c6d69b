"""Listings into the tables: order, equal content, replacement, refusals."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rets_pipeline.sources.base import ParsedListing, Problem
from rets_pipeline.warehouse import bulk, deletion, ledgers, tables
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.load import Counts, Load, Refused
from rets_pipeline.warehouse.pulls import Pull
from rets_pipeline.warehouse.rules import FIRST_DELAY, LONGEST_DELAY
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

IN_FIXTURES = [HealthCheck.function_scoped_fixture]
SYNC = ledgers.listing_sync


def ledger(warehouse: Warehouse) -> dict[str, Any]:
    return {row.listing_key: row for row in rows(warehouse, sa.select(SYNC))}


def remarks(warehouse: Warehouse) -> dict[str, str]:
    table = tables.property_
    return {
        row.listing_key: row.public_remarks
        for row in rows(warehouse, sa.select(table.c.listing_key, table.c.public_remarks))
    }


def quarantine(warehouse: Warehouse) -> list[tuple[str | None, str, str]]:
    table = ledgers.quarantine
    found = rows(warehouse, sa.select(table).order_by(table.c.quarantine_id))
    return [(row.resource_record_key, row.field, row.raw) for row in found]


def broken(key: str | None, raw: str = "<raw/>") -> Refused:
    return Refused(key, Problem("", "cannot be read", raw))


# What lands -----------------------------------------------------------------------------------


def test_a_listing_lands_with_all_that_belongs_to_it(warehouse: Warehouse) -> None:
    pull = pull_at(warehouse, 0)
    item = listing("1", rooms=3, agents=["a", "b"], photos=[(1, "t1"), (2, "t2")])

    counts = apply(warehouse, pull, [item], asked={"1": at(-5)})

    assert counts == Counts(new=1)
    for name, expected in item.rows.items():
        found = rows(warehouse, sa.select(sa.func.count()).select_from(tables.named(name)))
        assert found[0][0] == len(expected), name
    row = ledger(warehouse)["1"]
    assert (row.master_timestamp, row.payload_timestamp) == (at(-5), item.payload_timestamp)
    assert (row.pull_id, row.state, row.attempts) == (pull.pull_id, "loaded", 0)
    assert (row.next_attempt, row.content_hash) == (None, item.content_hash)


def test_children_are_replaced_with_their_parent(warehouse: Warehouse) -> None:
    apply(warehouse, pull_at(warehouse, 0), [listing("1", rooms=5), listing("2", rooms=1)])

    counts = apply(warehouse, pull_at(warehouse, 1), [listing("1", "second", rooms=2)])

    assert counts == Counts(changed=1)
    table = tables.property_rooms
    found = rows(warehouse, sa.select(table.c.listing_key, table.c.room_type).order_by("room_key"))
    assert [tuple(row) for row in found] == [("1", "second"), ("1", "second"), ("2", "first")]


def test_other_feeds_are_left_alone(warehouse: Warehouse) -> None:
    with warehouse.writing() as connection:
        bulk.insert(connection, tables.property_, [{"feed": "other", "listing_key": "1"}])
        bulk.insert(
            connection,
            tables.member,
            [member("a", "Other", feed="other", pull_id="9")],
        )
    apply(warehouse, pull_at(warehouse, 0), [listing("1", agents=["a"])])
    apply(warehouse, pull_at(warehouse, 1), [listing("1", "second")])
    feeds = [row.feed for row in rows(warehouse, sa.select(tables.property_).order_by("feed"))]
    assert feeds == [FEED, "other"]
    names = {row.feed: row.member_full_name for row in rows(warehouse, sa.select(tables.member))}
    assert names == {FEED: "Ann Example", "other": "Other"}


def test_a_key_twice_in_a_batch_counts_once(warehouse: Warehouse) -> None:
    counts = apply(warehouse, pull_at(warehouse, 0), [listing("1"), listing("1", "second")])
    assert counts == Counts(new=1)
    assert remarks(warehouse) == {"1": "second"}


def test_a_key_twice_in_a_pull_counts_once(warehouse: Warehouse) -> None:
    pull = pull_at(warehouse, 0)
    with warehouse.writing() as connection:
        load = Load(connection, pull, {"1": at(0)})
        load.batch([listing("1")])
        load.batch([listing("1", "second")])
        load.finish()
    assert remarks(warehouse) == {"1": "second"}
    assert ledger(warehouse)["1"].pull_id == pull.pull_id


# Equal content --------------------------------------------------------------------------------


def test_equal_content_touches_the_ledger_only(warehouse: Warehouse) -> None:
    """On Postgres the versions of the rows are compared too: a rewrite would show."""
    problem = Problem("Price", "not a number", "ten")
    make = {"agents": ["a"], "photos": [(1, "t")], "problems": [problem]}
    apply(warehouse, pull_at(warehouse, 0), [listing("1", **make), listing("2", **make)])  # type: ignore[arg-type]
    second = pull_at(warehouse, 1)
    without = ("listing_sync",)
    before = everything(warehouse, without=without)

    counts = apply(warehouse, second, [listing("1", timestamp=at(9), **make)], asked={"1": at(8)})  # type: ignore[arg-type]

    assert counts == Counts(unchanged=1)
    assert everything(warehouse, without=without) == before
    row = ledger(warehouse)["1"]
    assert (row.pull_id, row.master_timestamp, row.payload_timestamp) == (
        second.pull_id,
        at(8),
        at(9),
    )


def test_equal_content_is_loaded_when_the_listing_is_not_there(warehouse: Warehouse) -> None:
    apply(warehouse, pull_at(warehouse, 0), [listing("1")])
    with warehouse.writing() as connection:
        connection.execute(sa.delete(tables.property_))
    assert apply(warehouse, pull_at(warehouse, 1), [listing("1")]) == Counts(new=1)
    assert remarks(warehouse) == {"1": "first"}


def test_a_replay_loads_equal_content_again(warehouse: Warehouse) -> None:
    """It is asked for when the mapping has changed, and the hash is of the record."""
    pull = pull_at(warehouse, 0)
    apply(warehouse, pull, [listing("1")])
    better = listing("1", city="Kelowna")
    assert apply(warehouse, pull, [better]) == Counts(unchanged=1)
    assert apply(warehouse, pull, [better], replay=True) == Counts(changed=1)
    assert rows(warehouse, sa.select(tables.property_.c.city))[0].city == "Kelowna"


def test_a_replay_counts_no_further_attempt(warehouse: Warehouse) -> None:
    pull = pull_at(warehouse, 0)
    asked = {"1": at(0), "2": at(0)}
    apply(warehouse, pull, [], asked=asked, refused=[broken("1"), broken(None)])
    before = everything(warehouse, without=("quarantine",))
    noted = quarantine(warehouse)

    for _ in range(2):
        apply(warehouse, pull, [], asked=asked, refused=[broken("1"), broken(None)], replay=True)

    assert everything(warehouse, without=("quarantine",)) == before
    assert sorted(quarantine(warehouse), key=repr) == sorted(noted, key=repr)


# Order is the order of observation --------------------------------------------------------------

PULLS = 4
KEYS = ("1", "2")
#: what a pull brings of a key: content, refused, not returned, or it was not asked for
OUTCOMES = st.sampled_from(["x", "y", "z", "refused", "not returned", "not asked"])


@dataclass(frozen=True)
class History:
    """Pulls in the order of their requests, and the order in which they are applied.

    Attributes:
        gone_after: the master list without any key was requested after so many pulls.
        steps: pulls by number, and -1 for the deletion.
    """

    outcomes: list[dict[str, str]]
    gone_after: int
    steps: list[int]


@st.composite
def histories(draw: st.DrawFn) -> History:
    outcomes = [{key: draw(OUTCOMES) for key in KEYS} for _ in range(PULLS)]
    numbers = list(range(PULLS))
    steps = draw(st.permutations(numbers + draw(st.lists(st.sampled_from(numbers), max_size=3))))
    if draw(st.booleans()):
        steps.insert(draw(st.integers(0, len(steps))), -1)
    return History(outcomes, draw(st.integers(0, PULLS)), steps)


def check_history(warehouse: Warehouse, history: History) -> None:
    with warehouse.engine.connect() as connection, connection.begin() as transaction:
        made: list[Pull] = []
        master: Pull | None = None
        for number in range(PULLS + 1):
            if number == history.gone_after:
                master = begin(connection, 100 + number - 0.5, kind="master_list")
            if number < PULLS:
                # Timestamps fall from pull to pull: they must not matter.
                made.append(begin(connection, 100 + number))
        assert master is not None
        buried: set[str] = set()
        applied: set[int] = set()
        for step in history.steps:
            if step < 0:
                before = set(connection.execute(sa.select(SYNC.c.listing_key)).scalars())
                with holding(connection, []):
                    deletion.remove(connection, master)
                buried |= before - set(connection.execute(sa.select(SYNC.c.listing_key)).scalars())
            else:
                _apply_step(connection, made[step], history.outcomes[step], replay=step in applied)
                applied.add(step)
        for key in KEYS:
            _check_key(connection, history, key, made, master, buried)
        transaction.rollback()


def _apply_step(
    connection: sa.Connection, pull: Pull, outcomes: dict[str, str], *, replay: bool
) -> None:
    asked: dict[str, datetime | None] = {
        key: _timestamp(pull) for key, outcome in outcomes.items() if outcome != "not asked"
    }
    load = Load(connection, pull, asked, replay=replay, now=at(500))
    load.batch(
        [
            listing(key, outcome, timestamp=_timestamp(pull), agents=[f"agent of {outcome}"])
            for key, outcome in outcomes.items()
            if outcome in ("x", "y", "z")
        ],
        [broken(key) for key, outcome in outcomes.items() if outcome == "refused"],
    )
    load.finish()


def _timestamp(pull: Pull) -> datetime:
    return at(-(pull.requested_at - at(0)).total_seconds())


def _check_key(
    connection: sa.Connection,
    history: History,
    key: str,
    made: list[Pull],
    master: Pull,
    buried: set[str],
) -> None:
    asked = [
        (pull, outcomes[key])
        for pull, outcomes in zip(made, history.outcomes, strict=True)
        if outcomes[key] != "not asked"
    ]
    if key in buried:
        asked = [(pull, outcome) for pull, outcome in asked if pull.pull_id > master.pull_id]
    row = connection.execute(sa.select(SYNC).where(SYNC.c.listing_key == key)).one_or_none()
    live = connection.execute(
        sa.select(tables.property_).where(tables.property_.c.listing_key == key)
    ).one_or_none()
    tomb = connection.execute(
        sa.select(ledgers.tombstone).where(ledgers.tombstone.c.listing_key == key)
    ).one_or_none()
    rooms = connection.execute(
        sa.select(tables.property_rooms.c.room_type).where(
            tables.property_rooms.c.listing_key == key
        )
    ).all()
    assert (live is None) == (not rooms)
    if not asked:
        assert (row, live) == (None, None)
        assert (tomb is not None) == (key in buried)
        return
    last, outcome = asked[-1]
    assert row is not None
    assert row.pull_id == last.pull_id
    assert row.master_timestamp == _timestamp(last)
    if outcome in ("x", "y", "z"):
        assert (row.state, row.attempts, row.payload_timestamp) == ("loaded", 0, _timestamp(last))
        assert live is not None
        assert live.public_remarks == outcome
        assert {room.room_type for room in rooms} == {outcome}
        assert tomb is None
    else:
        assert row.state == {"refused": "quarantined", "not returned": "not_returned"}[outcome]
        assert row.attempts >= 1
        assert row.next_attempt > at(500)
        if live is not None:
            assert live.public_remarks in {found for _, found in asked}
        # Nothing that was gone is there without a pull that showed it again.
        assert not (live is not None and tomb is not None)


@given(history=histories())
@settings(max_examples=40, deadline=None, suppress_health_check=IN_FIXTURES)
def test_the_latest_observation_wins_on_sqlite(
    sqlite_warehouse: Warehouse, history: History
) -> None:
    check_history(sqlite_warehouse, history)


@given(history=histories())
@settings(max_examples=12, deadline=None, suppress_health_check=IN_FIXTURES)
def test_the_latest_observation_wins_on_postgres(
    postgres_warehouse: Warehouse, history: History
) -> None:
    check_history(postgres_warehouse, history)


def test_a_replay_brings_back_no_old_price_and_no_gone_listing(warehouse: Warehouse) -> None:
    first = pull_at(warehouse, 0)
    apply(warehouse, first, [listing("1"), listing("2"), listing("3")])
    apply(warehouse, pull_at(warehouse, 1), [listing("1", "second", timestamp=at(-1_000))])
    master = pull_at(warehouse, 2, kind="master_list")
    entries = [("1", None), ("3", None)]
    with warehouse.writing() as connection, holding(connection, entries):
        assert deletion.remove(connection, master) == 1
    before = everything(warehouse)

    counts = apply(warehouse, first, [listing("1"), listing("2"), listing("3")], replay=True)

    assert counts == Counts(changed=1, superseded=2)
    assert remarks(warehouse) == {"1": "second", "3": "first"}
    assert everything(warehouse)["tombstone"] == before["tombstone"]


def test_a_later_pull_lifts_a_tombstone(warehouse: Warehouse) -> None:
    apply(warehouse, pull_at(warehouse, 0), [listing("1")])
    master = pull_at(warehouse, 1, kind="master_list")
    with warehouse.writing() as connection, holding(connection, []):
        deletion.remove(connection, master)
    assert apply(warehouse, pull_at(warehouse, 2), [listing("1")]) == Counts(new=1)
    assert rows(warehouse, sa.select(ledgers.tombstone)) == []


# Refusals ---------------------------------------------------------------------------------------


def _incompressible(length: int) -> str:
    pieces = (hashlib.sha512(str(number).encode()).hexdigest() for number in range(length // 128))
    return "".join(pieces)


REFUSED_BY_BOTH = {
    "the same child twice": {"rooms_twice": True},
    "a child without a key": {"room_without_key": True},
}
REFUSED_BY_POSTGRES = {
    "NUL in text": {"city": "a\x00b"},
    "NUL in JSON": {"source_fields": {"a": ["\x00"]}},
    "an integer out of range": {"bedrooms_total": 2**31},
    "money out of range": {"lease_amount": 10**15},
    "too long for an index": {"city": _incompressible(20_000)},
}
REFUSED_BY_SQLITE = {"an integer out of range": {"bedrooms_total": 2**70}}


def bad_listing(key: str, **columns: Any) -> ParsedListing:
    item = listing(key, "bad", **{k: v for k, v in columns.items() if not k.startswith("room")})
    room = item.rows["property_rooms"]
    if columns.get("rooms_twice"):
        room.append(dict(room[0]))
    if columns.get("room_without_key"):
        room.append({"listing_key": key, "room_type": "Kitchen"})
    return item


def check_refusal(warehouse: Warehouse, columns: dict[str, Any]) -> None:
    pull = pull_at(warehouse, 0)
    items = [listing("1"), bad_listing("2", **columns), listing("3"), bad_listing("4", **columns)]

    counts = apply(warehouse, pull, [*items, listing("5")])

    assert counts == Counts(new=3, quarantined=2)
    assert remarks(warehouse) == {"1": "first", "3": "first", "5": "first"}
    rooms = rows(warehouse, sa.select(tables.property_rooms.c.listing_key))
    assert {row.listing_key for row in rooms} == {"1", "3", "5"}
    found = ledger(warehouse)
    states = {key: row.state for key, row in found.items()}
    assert states == {key: "quarantined" if key in "24" else "loaded" for key in "12345"}
    assert found["2"].next_attempt == pull.requested_at + FIRST_DELAY
    entries = rows(warehouse, sa.select(ledgers.quarantine).order_by("resource_record_key"))
    assert [(row.resource_record_key, row.field, row.pull_id) for row in entries] == [
        ("2", "", pull.pull_id),
        ("4", "", pull.pull_id),
    ]
    for row in entries:
        assert row.reason.startswith("the database refused the listing: ")
        assert "\n" not in row.reason


@pytest.mark.parametrize("columns", REFUSED_BY_BOTH.values(), ids=REFUSED_BY_BOTH.keys())
def test_what_every_database_refuses(warehouse: Warehouse, columns: dict[str, Any]) -> None:
    check_refusal(warehouse, columns)


@pytest.mark.parametrize("columns", REFUSED_BY_POSTGRES.values(), ids=REFUSED_BY_POSTGRES.keys())
def test_what_postgres_refuses(postgres_warehouse: Warehouse, columns: dict[str, Any]) -> None:
    check_refusal(postgres_warehouse, columns)


@pytest.mark.parametrize("columns", REFUSED_BY_SQLITE.values(), ids=REFUSED_BY_SQLITE.keys())
def test_what_sqlite_refuses(sqlite_warehouse: Warehouse, columns: dict[str, Any]) -> None:
    check_refusal(sqlite_warehouse, columns)


def test_a_refused_listing_keeps_what_was_there(warehouse: Warehouse) -> None:
    apply(warehouse, pull_at(warehouse, 0), [listing("1", agents=["a"])])
    before = everything(warehouse, without=("listing_sync", "quarantine", "pull"))

    counts = apply(warehouse, pull_at(warehouse, 1), [bad_listing("1", rooms_twice=True)])

    assert counts == Counts(quarantined=1)
    assert everything(warehouse, without=("listing_sync", "quarantine", "pull")) == before
    assert ledger(warehouse)["1"].state == "quarantined"

    counts = apply(warehouse, pull_at(warehouse, 2), [listing("1", agents=["a"])])
    assert counts == Counts(changed=1)  # equal to what is live, and the ledger is healed
    assert ledger(warehouse)["1"].state == "loaded"
    assert quarantine(warehouse) == []


def test_a_fault_of_the_database_is_no_fault_of_the_listing_on_postgres(
    postgres_warehouse: Warehouse,
) -> None:
    pull = pull_at(postgres_warehouse, 0)
    with postgres_warehouse.engine.connect() as other, other.begin():
        other.execute(sa.text("LOCK TABLE property_rooms IN ACCESS EXCLUSIVE MODE"))
        with postgres_warehouse.writing() as connection:
            connection.execute(sa.text("SET LOCAL lock_timeout = '200ms'"))
            load = Load(connection, pull, {"1": None})
            with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
                load.batch([listing("1"), listing("2")])
    assert ledger(postgres_warehouse) == {}
    assert quarantine(postgres_warehouse) == []


def test_a_full_disk_is_no_fault_of_the_listing_on_sqlite(sqlite_warehouse: Warehouse) -> None:
    pull = pull_at(sqlite_warehouse, 0)
    items = [listing(str(number), "x" * 20_000) for number in range(10)]
    with sqlite_warehouse.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 5}")
        load = Load(connection, pull, {"1": None})
        with pytest.raises(sa.exc.OperationalError):  # SQLite ends the transaction by itself
            load.batch(items)
    assert ledger(sqlite_warehouse) == {}
    assert quarantine(sqlite_warehouse) == []


def test_an_exception_in_the_middle_leaves_nothing(warehouse: Warehouse) -> None:
    pull = pull_at(warehouse, 0)
    before = everything(warehouse)

    def fail() -> None:
        with warehouse.writing() as connection:
            load = Load(connection, pull, {"1": None, "2": None})
            load.batch([listing("1", agents=["a"])], [broken("2"), broken(None)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert everything(warehouse) == before


# Problems -----------------------------------------------------------------------------------------


def test_problems_replace_those_of_before(warehouse: Warehouse) -> None:
    first, second = Problem("Price", "not a number", "ten"), Problem("Age", "negative", "-1")
    counts = apply(
        warehouse, pull_at(warehouse, 0), [listing("1", problems=[first, second]), listing("2")]
    )
    assert counts == Counts(new=2, value_problems=2)
    assert quarantine(warehouse) == [("1", "Price", "ten"), ("1", "Age", "-1")]

    apply(warehouse, pull_at(warehouse, 1), [listing("1", "second", problems=[second])])
    assert quarantine(warehouse) == [("1", "Age", "-1")]

    apply(warehouse, pull_at(warehouse, 2), [listing("1", "third")])
    assert quarantine(warehouse) == []


def test_a_record_that_cannot_be_read_replaces_the_problems_of_before(
    warehouse: Warehouse,
) -> None:
    problem = Problem("Price", "not a number", "ten")
    apply(warehouse, pull_at(warehouse, 0), [listing("1", problems=[problem])])
    apply(warehouse, pull_at(warehouse, 1), [], asked={"1": None}, refused=[broken("1", "<x/>")])
    assert quarantine(warehouse) == [("1", "", "<x/>")]
    assert remarks(warehouse) == {"1": "first"}


def test_a_record_without_a_key_is_kept_and_charged_to_nobody(warehouse: Warehouse) -> None:
    pull = pull_at(warehouse, 0)
    counts = apply(
        warehouse, pull, [listing("1")], refused=[broken(None, "<a/>"), broken(None, "<b/>")]
    )
    assert counts == Counts(new=1, quarantined=2)
    assert quarantine(warehouse) == [(None, "", "<a/>"), (None, "", "<b/>")]
    assert set(ledger(warehouse)) == {"1"}

    # Those of another pull stay; the same pull notes its own anew.
    apply(warehouse, pull_at(warehouse, 1), [listing("1")], refused=[broken(None, "<c/>")])
    apply(warehouse, pull, [], refused=[broken(None, "<a/>"), broken(None, "<b/>")], replay=True)
    assert {raw for _, _, raw in quarantine(warehouse)} == {"<a/>", "<b/>", "<c/>"}
    assert len(quarantine(warehouse)) == 3


def test_nul_in_a_problem_does_not_lose_the_listing(warehouse: Warehouse) -> None:
    problem = Problem("a\x00b", "reason\x00", "raw\x00text")
    counts = apply(
        warehouse,
        pull_at(warehouse, 0),
        [listing("1", problems=[problem])],
        refused=[Refused(None, problem)],
    )
    assert counts == Counts(new=1, quarantined=1, value_problems=1)
    assert quarantine(warehouse) == [
        ("1", "a�b", "raw�text"),
        (None, "a�b", "raw�text"),
    ]


# Attempts in vain ---------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["not_returned", "quarantined"])
def test_delays_grow_and_are_capped(warehouse: Warehouse, state: str) -> None:
    refused = [broken("1")] if state == "quarantined" else []
    delays: list[timedelta] = []
    for number in range(12):
        pull = pull_at(warehouse, number)
        counts = apply(warehouse, pull, [], asked={"1": at(0)}, refused=refused, now=at(number))
        assert counts == Counts(**{state: 1})
        row = ledger(warehouse)["1"]
        assert (row.state, row.attempts, row.pull_id) == (state, number + 1, pull.pull_id)
        delays.append(row.next_attempt - at(number))
    assert delays[:3] == [FIRST_DELAY, FIRST_DELAY * 2, FIRST_DELAY * 4]
    assert delays == sorted(delays)
    assert delays[-1] == LONGEST_DELAY

    apply(warehouse, pull_at(warehouse, 20), [listing("1")])
    row = ledger(warehouse)["1"]
    assert (row.state, row.attempts, row.next_attempt) == ("loaded", 0, None)


def test_a_thousand_attempts_do_not_overflow(sqlite_warehouse: Warehouse) -> None:
    apply(sqlite_warehouse, pull_at(sqlite_warehouse, 0), [], asked={"1": None})
    with sqlite_warehouse.writing() as connection:
        connection.execute(sa.update(SYNC).values(attempts=100_000))
    apply(sqlite_warehouse, pull_at(sqlite_warehouse, 1), [], asked={"1": None}, now=at(1))
    assert ledger(sqlite_warehouse)["1"].next_attempt == at(1) + LONGEST_DELAY


def test_a_key_that_is_not_returned_keeps_its_listing(warehouse: Warehouse) -> None:
    apply(warehouse, pull_at(warehouse, 0), [listing("1"), listing("2")])
    counts = apply(warehouse, pull_at(warehouse, 1), [], asked={"1": at(7)})
    assert counts == Counts(not_returned=1)
    assert remarks(warehouse) == {"1": "first", "2": "first"}
    row = ledger(warehouse)["1"]
    assert (row.master_timestamp, row.payload_timestamp) == (at(7), at(0))
    assert ledger(warehouse)["2"].state == "loaded"


# Members and offices ------------------------------------------------------------------------------


def agents(warehouse: Warehouse) -> dict[str, tuple[str, list[str]]]:
    """Name and phone numbers by key."""
    phones: dict[str, list[str]] = {}
    for row in rows(warehouse, sa.select(tables.other_phone).order_by("order")):
        phones.setdefault(row.resource_record_key, []).append(row.other_phone_number)
    return {
        row.member_key: (row.member_full_name, phones.get(row.member_key, []))
        for row in rows(warehouse, sa.select(tables.member))
    }


def told(key: str, name: str, numbers: Iterable[str], content: str = "first") -> ParsedListing:
    """A listing that tells of one agent."""
    item = listing(key, content, agents=["a"])
    item.rows["member"] = [member("a", name)]
    item.rows["other_phone"] = [
        phone("Member", "a", number, order) for order, number in enumerate(numbers, 1)
    ]
    return item


def test_the_last_listing_of_a_batch_tells_of_a_shared_agent(warehouse: Warehouse) -> None:
    apply(
        warehouse,
        pull_at(warehouse, 0),
        [told("1", "Ann", ["1", "2"]), told("2", "Anne", ["3"]), told("3", "Anna", [])],
    )
    assert agents(warehouse) == {"a": ("Anna", [])}


def test_a_later_pull_tells_better(warehouse: Warehouse) -> None:
    first, second = pull_at(warehouse, 0), pull_at(warehouse, 1)
    apply(warehouse, second, [told("2", "Anne", ["2"])])
    apply(warehouse, first, [told("1", "Ann", ["1"])])
    assert agents(warehouse) == {"a": ("Anne", ["2"])}
    assert remarks(warehouse) == {"1": "first", "2": "first"}

    apply(warehouse, pull_at(warehouse, 2), [told("1", "Anna", ["3", "4"], "second")])
    assert agents(warehouse) == {"a": ("Anna", ["3", "4"])}


def test_what_is_told_no_more_does_not_stay(warehouse: Warehouse) -> None:
    item = listing("1", agents=["a"])
    item.rows["member"] = [member("a", job_title="Broker", member_city="Kelowna")]
    apply(warehouse, pull_at(warehouse, 0), [item])
    apply(warehouse, pull_at(warehouse, 1), [listing("1", "second", agents=["a"])])
    (row,) = rows(warehouse, sa.select(tables.member))
    assert (row.job_title, row.member_city) == (None, None)


def test_the_resources_own_search_is_never_overwritten(warehouse: Warehouse) -> None:
    with warehouse.writing() as connection:
        bulk.insert(
            connection,
            tables.member,
            [
                member("a", "From the Agent search", feed=FEED, pull_id="0")
                | {"observed_in": "Member"}
            ],
        )
        bulk.insert(
            connection,
            tables.office,
            [
                office("oa", "From the Office search", feed=FEED, pull_id="0")
                | {"observed_in": "Office"}
            ],
        )
        bulk.insert(connection, tables.other_phone, [{"feed": FEED, **phone("Member", "a", "own")}])
    apply(warehouse, pull_at(warehouse, 0), [told("1", "Ann", ["1", "2"])])
    assert agents(warehouse) == {"a": ("From the Agent search", ["own"])}
    (row,) = rows(warehouse, sa.select(tables.office))
    assert (row.office_name, row.observed_in) == ("From the Office search", "Office")
    # The listing itself says who sells it all the same.
    (row,) = rows(warehouse, sa.select(tables.property_member))
    assert (row.member_key, row.office_key) == ("a", "oa")


def test_phones_of_members_and_offices_do_not_mix(warehouse: Warehouse) -> None:
    """Their keys may be equal."""
    item = listing("1", agents=["a"])
    item.rows["office"] = [office("a")]
    item.rows["other_phone"] = [phone("Member", "a", "member's"), phone("Office", "a", "office's")]
    apply(warehouse, pull_at(warehouse, 0), [item])
    item.content_hash = "another"
    item.rows["other_phone"] = [phone("Member", "a", "new")]
    apply(warehouse, pull_at(warehouse, 1), [item])
    found = rows(warehouse, sa.select(tables.other_phone))
    assert [(row.resource_name, row.other_phone_number) for row in found] == [("Member", "new")]


def test_another_logo_is_news_and_another_number_in_its_address_is_not(
    warehouse: Warehouse,
) -> None:
    """DDF moves the number with every change of any of the office's listings."""

    def logo_after(minutes: int, url: str) -> str:
        item = listing("1", str(minutes), agents=["a"])
        item.rows["office"] = [office("oa", logo_url=url)]
        apply(warehouse, pull_at(warehouse, minutes), [item])
        (row,) = rows(warehouse, sa.select(tables.office))
        found: str = row.logo_url
        return found

    assert logo_after(0, "https://x/TS1/a.jpg") == "https://x/TS1/a.jpg"
    assert logo_after(1, "https://x/TS2/a.jpg") == "https://x/TS1/a.jpg"
    assert logo_after(2, "https://x/TS2/b.jpg") == "https://x/TS2/b.jpg"


# Very many ----------------------------------------------------------------------------------------


def test_more_keys_than_a_statement_takes_parameters(sqlite_warehouse: Warehouse) -> None:
    """SQLite as it was built for years takes 32,766; here it is held to fewer."""
    pull = pull_at(sqlite_warehouse, 0)
    items = [listing(str(number), rooms=0, agents=[str(number)]) for number in range(1_500)]
    asked: dict[str, datetime | None] = {str(number): None for number in range(3_000)}
    with sqlite_warehouse.engine.connect() as connection, connection.begin():
        driver: Any = connection.connection.driver_connection
        driver.setlimit(9, 1_200)  # SQLITE_LIMIT_VARIABLE_NUMBER
        load = Load(connection, pull, asked)
        load.batch(items, [broken(str(number)) for number in range(1_500, 2_500)])
        counts = load.finish()
        driver.setlimit(9, 250_000)
    assert counts == Counts(new=1_500, quarantined=1_000, not_returned=500)


def test_a_batch_of_very_many_on_postgres(postgres_warehouse: Warehouse) -> None:
    """More than the 65,535 parameters that its protocol counts."""
    pull = pull_at(postgres_warehouse, 0)
    asked: dict[str, datetime | None] = {str(number): None for number in range(66_000)}
    item = listing("0", rooms=0)
    with postgres_warehouse.engine.connect() as connection, connection.begin() as transaction:
        load = Load(connection, pull, asked)
        load.batch([listing(str(number), rooms=0) for number in range(2_000)])
        load.batch([item] * 66_000)
        transaction.rollback()
    assert load.counts.new == 2_000
    assert load.counts.unchanged == 1
