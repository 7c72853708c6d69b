"""The comparison with the ledger, against the rule written down once more in plain Python."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rets_pipeline.warehouse import bulk, difference, ledgers, tables
from rets_pipeline.warehouse.difference import Difference, Parity
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.warehouse.builders import FEED, at, holding

NOW = at(1_000)
KEYS = st.sampled_from(["1", "10", "2", "a", "B", "é"])
MOMENTS = st.none() | st.sampled_from([at(0), at(1), at(1.0000001), at(-5_000_000), at(2_000)])
STATES = st.sampled_from(["loaded", "not_returned", "quarantined"])
ATTEMPTS = st.none() | st.sampled_from([at(999), NOW, at(1_001)])

Entries = list[tuple[str, datetime | None]]


@dataclass(frozen=True)
class Row:
    """What the ledger and the tables hold of a key."""

    master: datetime | None
    payload: datetime | None
    state: str
    next_attempt: datetime | None
    live: bool


LEDGERS = st.dictionaries(KEYS, st.builds(Row, MOMENTS, MOMENTS, STATES, ATTEMPTS, st.booleans()))
LISTS = st.lists(st.tuples(KEYS, MOMENTS), max_size=10)


def expected_list(entries: Iterable[tuple[str, datetime | None]]) -> dict[str, datetime | None]:
    """Each key once, with its latest timestamp."""
    master: dict[str, datetime | None] = {}
    for key, moment in entries:
        known = master.setdefault(key, moment)
        if moment is not None and (known is None or moment > known):
            master[key] = moment
    return master


def kind_of(moment: datetime | None, row: Row | None) -> str | None:
    """Design: unchanged when the timestamp equals either stored one; any inequality counts."""
    if row is None:
        return "new"
    equals_payload = moment is not None and moment == row.payload
    if moment != row.master and not equals_payload:
        return "changed"
    due = row.next_attempt is not None and row.next_attempt <= NOW
    return "retry" if row.state != "loaded" and due else None


def check(warehouse: Warehouse, ledger: dict[str, Row], entries: Entries) -> None:
    master = expected_list(entries)
    with warehouse.engine.connect() as connection, connection.begin() as transaction:
        _put(connection, ledger)
        with holding(connection, iter(entries)) as keys:
            to_fetch = list(difference.to_fetch(connection, FEED, NOW))
            gone = list(difference.gone(connection, FEED))
            parity = difference.parity(connection, FEED)
        transaction.rollback()

    assert keys == len(master)
    kinds = {key: kind_of(moment, ledger.get(key)) for key, moment in master.items()}
    wanted = [
        Difference(key, kind, master[key])  # type: ignore[arg-type]
        for key, kind in kinds.items()
        if kind is not None
    ]
    assert sorted(to_fetch, key=repr) == sorted(wanted, key=repr)
    moments = [item.master_timestamp for item in to_fetch]
    assert moments == sorted(
        moments, key=lambda moment: (moment is not None, -moment.timestamp() if moment else 0)
    )
    assert sorted(gone, key=repr) == sorted(
        (Difference(key, "gone", row.master) for key, row in ledger.items() if key not in master),
        key=repr,
    )
    assert parity == _parity(ledger, master)


def _parity(ledger: dict[str, Row], master: dict[str, datetime | None]) -> Parity:
    states = []
    for key in master:
        row = ledger.get(key)
        if row is None:
            states.append("missing")
        elif row.live:
            states.append("live")
        else:
            states.append("missing" if row.state == "loaded" else row.state)
    live = [key for key, row in ledger.items() if row.live]
    return Parity(
        on_server=len(master),
        live=len(live),
        missing=states.count("missing"),
        not_returned=states.count("not_returned"),
        quarantined=states.count("quarantined"),
        surplus=sum(key not in master for key in live),
    )


def _put(connection: sa.Connection, ledger: dict[str, Row]) -> None:
    bulk.insert(
        connection,
        ledgers.listing_sync,
        [
            {
                "feed": feed,
                "listing_key": key,
                "master_timestamp": row.master,
                "payload_timestamp": row.payload,
                "state": row.state,
                "next_attempt": row.next_attempt,
                "pull_id": "p",
                "attempts": 0,
            }
            for key, row in ledger.items()
            for feed in (FEED, "other feed")
        ]
        + [
            # Another feed's keys are no concern of this one.
            {
                "feed": "other feed",
                "listing_key": "x",
                "pull_id": "p",
                "state": "loaded",
                "attempts": 0,
            }
        ],
    )
    bulk.insert(
        connection,
        tables.property_,
        [{"feed": FEED, "listing_key": key} for key, row in ledger.items() if row.live]
        + [{"feed": "other feed", "listing_key": key} for key in ledger],
    )


@given(ledger=LEDGERS, entries=LISTS)
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_rule_on_sqlite(
    sqlite_warehouse: Warehouse, ledger: dict[str, Row], entries: Entries
) -> None:
    check(sqlite_warehouse, ledger, entries)


@given(ledger=LEDGERS, entries=LISTS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_rule_on_postgres(
    postgres_warehouse: Warehouse, ledger: dict[str, Row], entries: Entries
) -> None:
    check(postgres_warehouse, ledger, entries)


def test_the_temporary_table_is_gone_afterwards_and_can_be_made_again(
    warehouse: Warehouse,
) -> None:
    with warehouse.engine.connect() as connection:
        for count in (1, 2):
            entries = [(str(number), at(number)) for number in range(count)]
            with connection.begin(), holding(connection, entries) as keys:
                assert keys == count
            with connection.begin(), pytest.raises(sa.exc.DBAPIError):
                connection.execute(sa.select(difference.master_list))


def test_a_fault_inside_is_the_one_that_is_told(warehouse: Warehouse) -> None:
    with warehouse.engine.connect() as connection:
        with (
            pytest.raises(sa.exc.DBAPIError, match="no_such_table"),
            connection.begin(),
            holding(connection, [("1", None)]),
        ):
            connection.execute(sa.text("SELECT * FROM no_such_table"))
        with connection.begin(), holding(connection, [("1", None)]) as keys:
            assert keys == 1


def test_a_list_that_breaks_off_is_not_compared(warehouse: Warehouse) -> None:
    class Fault(Exception):
        pass

    def entries() -> Iterable[tuple[str, datetime | None]]:
        yield "1", None
        raise Fault

    with (
        pytest.raises(Fault),
        warehouse.writing() as connection,
        holding(connection, entries()),
    ):
        pytest.fail("half a list was taken for whole")
    with warehouse.writing() as connection, holding(connection, []) as keys:
        assert keys == 0


def test_a_stream_that_is_left_half_drawn_cannot_lose_writes(warehouse: Warehouse) -> None:
    """Postgres refuses to drop a table that is being read, and then rolls the COMMIT back."""
    entries = [(str(number), at(number)) for number in range(12_000)]

    def use() -> None:
        with warehouse.writing() as connection:
            bulk.insert(connection, tables.property_, [{"feed": FEED, "listing_key": "written"}])
            with holding(connection, entries):
                stream = difference.to_fetch(connection, FEED, NOW)
                next(stream)
                kept.append(stream)

    kept: list[object] = []
    try:
        use()
    except sa.exc.DBAPIError:
        written = 0
    else:
        written = 1
    with warehouse.reading() as connection:
        count = sa.select(sa.func.count()).select_from(tables.property_)
        assert connection.execute(count).scalar_one() == written
    kept.clear()
