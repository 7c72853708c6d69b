"""The ledger of pulls."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rets_pipeline.warehouse import ledgers, pulls
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.warehouse.builders import FEED, at, begin

CLOCKS = st.lists(
    st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)),
    min_size=2,
    max_size=8,
)


@given(clock=CLOCKS)
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_ids_are_in_the_order_of_the_requests_whatever_the_clock_says(
    sqlite_warehouse: Warehouse, clock: list[datetime]
) -> None:
    with sqlite_warehouse.engine.connect() as connection, connection.begin() as transaction:
        made = [
            pulls.begin(connection, FEED, "listings", prefix="raw", now=moment) for moment in clock
        ]
        found = pulls.in_state(connection, FEED, "requested")
        transaction.rollback()

    ids = [pull.pull_id for pull in made]
    assert ids == sorted(set(ids))
    assert [pull.pull_id for pull in found] == ids
    moments = [pulls.moment_of(pull_id) for pull_id in ids]
    assert moments == sorted(set(moments))
    assert moments[0] == clock[0]


def test_the_same_instant_gives_different_ids(warehouse: Warehouse) -> None:
    with warehouse.writing() as connection:
        ids = [begin(connection, 0).pull_id for _ in range(5)]
        other = pulls.begin(connection, "other", "listings", prefix="raw", now=at(0))
    assert ids == sorted(set(ids))
    assert other.pull_id == ids[0]  # feeds do not count together


def test_states_of_a_pull(warehouse: Warehouse) -> None:
    with warehouse.writing() as connection:
        made = {
            name: begin(connection, number, complete=False)
            for number, name in enumerate(
                ("requested", "complete", "applied", "failed", "abandoned")
            )
        }
        pulls.complete(connection, made["complete"], records=3, size=20, requests=2)
        for name in ("applied", "failed"):
            pulls.complete(connection, made[name], records=3, size=20, requests=2)
        pulls.failed(connection, made["failed"], "because")
        pulls.abandoned(connection, made["abandoned"])
        pulls.failed(connection, made["applied"], "once")
        pulls.applied(connection, made["applied"])
    with warehouse.reading() as connection:
        for name, pull in made.items():
            assert pulls.in_state(connection, FEED, name) == [
                pulls.find(connection, FEED, pull.pull_id)
            ]
        assert pulls.in_state(connection, FEED, "requested", "complete", kind="master_list") == []
        assert pulls.in_state(connection, "other", *made) == []
        rows = {
            row.pull_id: row
            for row in connection.execute(
                sa.select(ledgers.pull).where(ledgers.pull.c.feed == FEED)
            )
        }
    assert rows[made["failed"].pull_id].reason == "because"
    assert rows[made["applied"].pull_id].reason is None
    assert rows[made["applied"].pull_id].applied_at is not None
    complete = rows[made["complete"].pull_id]
    assert (complete.records, complete.bytes, complete.requests) == (3, 20, 2)


def test_only_a_complete_master_list_is_the_newest(warehouse: Warehouse) -> None:
    with warehouse.writing() as connection:
        assert pulls.newest_master_list(connection, FEED) is None
        first = begin(connection, 0, kind="master_list")
        second = begin(connection, 1, kind="master_list")
        begin(connection, 2, kind="master_list", complete=False)
        begin(connection, 3)
        found = pulls.newest_master_list(connection, FEED)
        assert found is not None
        assert found.pull_id == second.pull_id > first.pull_id
        assert pulls.newest_master_list(connection, "other") is None


def test_a_pull_from_the_archive_is_adopted_as_it_is(warehouse: Warehouse) -> None:
    with warehouse.writing() as connection:
        pull = replace(begin(connection, 0), state="complete", records=5, bytes=7, requests=1)
        connection.execute(sa.delete(ledgers.pull))
        pulls.adopt(connection, pull)
        assert pulls.find(connection, FEED, pull.pull_id) == pull
        assert pulls.find(connection, FEED, "none") is None
        later = begin(connection, -60 * 24 * 365)
    assert later.pull_id > pull.pull_id
    assert pulls.moment_of(later.pull_id) - pulls.moment_of(pull.pull_id) == timedelta(
        microseconds=1
    )
