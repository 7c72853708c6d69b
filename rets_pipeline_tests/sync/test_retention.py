"""What retention removes, what it must keep, and what a killed run leaves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rets_pipeline.archive import Archive
from rets_pipeline.rets import RetsError
from rets_pipeline.sandbox import RunningSandbox
from rets_pipeline.sync import apply, changes, delete, retention
from rets_pipeline.sync.days import DayRange
from rets_pipeline.sync.master import MasterList
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.sync.pull import Stored
from rets_pipeline.sync.retention import Pruned
from rets_pipeline.sync.run import sync
from rets_pipeline.warehouse import ledgers, pulls, tables
from rets_pipeline.warehouse import retention as retained
from rets_pipeline.warehouse.engine import Warehouse, transaction
from rets_pipeline.warehouse.resources import LISTINGS, OFFICES
from rets_pipeline_tests.end_to_end.harness import Server, assert_equal_listings
from rets_pipeline_tests.sync.pieces import (
    DAY,
    FEED,
    START,
    apply_due,
    feed_of,
    open_mirror,
    record,
    store_listings,
    store_master_list,
    store_pull,
)
from rets_pipeline_tests.warehouse.databases import rows

AGES = feed_of().retention


class Killed(BaseException):
    """The process ends here."""


class Mortal(Archive):
    """An archive in whose n-th deletion the process dies, after half of it."""

    def __init__(self, archive: Archive, deletions: int) -> None:
        super().__init__(archive._location)
        self._left = deletions

    def delete(self, keys: Iterable[str]) -> int:
        every = sorted(keys)
        if self._left:
            self._left -= 1
            return super().delete(every)
        super().delete(every[: len(every) // 2])
        raise Killed


def days(number: float) -> datetime:
    """So many days from now."""
    return datetime.now(UTC) + timedelta(days=number)


def ids(warehouse: Warehouse, kind: str = "listings") -> set[str]:
    """The pulls that the ledger has."""
    table = ledgers.pull
    query = sa.select(table.c.pull_id).where(table.c.kind == kind)
    return {row.pull_id for row in rows(warehouse, query)}


def in_archive(archive: Archive, kind: str = "listings") -> set[str]:
    """The pulls of which the archive has anything."""
    place = 4 if kind == "listings" else 3
    return {item.key.split("/")[place] for item in archive.list(f"raw/{FEED}/{kind}")}


def id_of(stored: Stored | MasterList) -> str:
    return stored.pull.pull_id


# Pulls --------------------------------------------------------------------------------------------


def test_the_pull_that_a_live_listing_came_from_stays_for_ever(
    mirror: Mirror, warehouse: Warehouse, archive: Archive
) -> None:
    first = store_listings(mirror, {"1": "first", "2": "first"})
    second = store_listings(mirror, {"1": "second"})
    apply_due(mirror)
    assert retention.prune(mirror, days(9_999)) == Pruned()

    third = store_listings(mirror, {"2": "first"})  # equal content counts: it is in there, too
    apply_due(mirror)
    assert retention.prune(mirror, days(AGES.pull_days - 0.1)) == Pruned()
    assert retention.prune(mirror, days(AGES.pull_days + 0.1)) == Pruned(pulls=1, objects=2)
    assert ids(warehouse) == in_archive(archive) == {id_of(second), id_of(third)}
    assert id_of(first) not in ids(warehouse)


def test_what_waits_or_is_on_its_way_stays(mirror: Mirror, warehouse: Warehouse) -> None:
    store_listings(mirror, {"1": "first"})
    with transaction(mirror.connection) as connection:
        pulls.begin(connection, FEED, "listings", prefix=f"raw/{FEED}/listings/{DAY}", day=DAY)
    assert retention.prune(mirror, days(9_999)) == Pruned()
    assert len(ids(warehouse)) == 2
    assert len(apply_due(mirror)) == 1
    # Without a manifest it does not exist; so the load found it abandoned.
    assert retention.prune(mirror, days(9_999)).pulls == 1


def test_pulls_of_gone_listings_go_sooner(
    mirror: Mirror, warehouse: Warehouse, archive: Archive
) -> None:
    gone = store_listings(mirror, {"1": "first", "2": "first"})
    live = store_listings(mirror, {"3": "first", "4": "first"})
    apply_due(mirror)
    store_master_list(mirror, {"3": START})
    assert delete.delete_gone(mirror).keys == 3

    assert AGES.gone_pull_days < AGES.pull_days
    assert retention.prune(mirror, days(AGES.gone_pull_days - 0.1)).pulls == 0
    assert retention.prune(mirror, days(AGES.gone_pull_days + 0.1)).pulls == 1
    assert ids(warehouse) == in_archive(archive) == {id_of(live)}, "a live listing came from it"
    assert id_of(gone) not in in_archive(archive)


def test_the_last_good_record_of_a_live_listing_stays(mirror: Mirror, warehouse: Warehouse) -> None:
    """Its ledger row names the pull that failed; the listing came from an older one."""
    good = [store_listings(mirror, {key: "first"}) for key in "123"]
    apply_due(mirror)
    failed = store_pull(mirror, [[record("3", "second")]], dict.fromkeys("123", START))
    apply_due(mirror)
    for state in ("not_returned", "quarantined"):
        with transaction(mirror.connection) as connection:
            in_vain = ledgers.listing_sync.c.listing_key == "2"
            connection.execute(sa.update(ledgers.listing_sync).where(in_vain).values(state=state))
        pruned = retention.prune(mirror, days(9_999))
        assert pruned.kept_for_live == 2
        assert ids(warehouse) == {id_of(stored) for stored in (*good[:2], failed)}

    last = store_listings(mirror, {"1": "first", "2": "first"})
    apply_due(mirror)
    assert retention.prune(mirror, days(9_999)) == Pruned(pulls=2, objects=4)
    assert ids(warehouse) == {id_of(failed), id_of(last)}


def test_a_broken_pull_stays_as_long_as_nobody_knows_what_came_from_it(
    sqlite_warehouse: Warehouse, archive: Archive
) -> None:
    with open_mirror(sqlite_warehouse, archive) as mirror:
        first = store_listings(mirror, {"1": "first"})
        apply_due(mirror)
        store_pull(mirror, [[]], {"1": START})
        apply_due(mirror)
        archive.put(f"{first.pull.archive_prefix}/manifest.json", b"{")
        assert retention.prune(mirror, days(9_999)).kept_for_live == 1
        assert id_of(first) in ids(sqlite_warehouse)


def test_too_many_uncertain_listings_keep_everything(
    sqlite_warehouse: Warehouse, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_mirror(sqlite_warehouse, archive) as mirror:
        for key in "123":
            store_listings(mirror, {key: "first"})
            apply_due(mirror)
        store_pull(mirror, [[record("3")]], dict.fromkeys("123", START))
        apply_due(mirror)
        monkeypatch.setattr(retention, "_UNCERTAIN", 1)
        assert retention.prune(mirror, days(9_999)) == Pruned(kept_for_live=3)
        monkeypatch.setattr(retention, "_UNCERTAIN", 2)
        told = []
        mirror.progress = lambda *what: told.append(what)
        assert retention.prune(mirror, days(9_999)).kept_for_live == 2
        read = [(done, of) for phase, done, of in told if phase.startswith("reading manifests")]
        assert read[:4] == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_records_without_a_key_leave_the_quarantine_with_their_pull(
    mirror: Mirror, warehouse: Warehouse
) -> None:
    store_pull(mirror, [[record("1"), record("1").replace('ID="1"', 'ID=""')]], {"1": START})
    apply_due(mirror)
    assert len(rows(warehouse, sa.select(ledgers.quarantine))) == 1
    store_listings(mirror, {"1": "second"})
    apply_due(mirror)
    assert retention.prune(mirror, days(AGES.pull_days + 1)).pulls == 1
    assert rows(warehouse, sa.select(ledgers.quarantine)) == []


@pytest.mark.parametrize("deletions", [0, 1, 2])
def test_a_run_that_dies_leaves_no_half_pull_and_the_next_one_goes_on(
    sqlite_warehouse: Warehouse, archive: Archive, deletions: int
) -> None:
    """In the manifests, in the pages, and between these and the rows of the ledger."""
    with open_mirror(sqlite_warehouse, archive) as mirror:
        for content in ("first", "second", "third"):
            store_pull(
                mirror,
                [[record("1", content)], [record("2", content)]],
                dict.fromkeys("12", START),
            )
            apply_due(mirror)
        mirror.archive = Mortal(archive, deletions)
        with pytest.raises(Killed):
            # The first deletions are those of master lists, of which there are none.
            retention.prune(mirror, days(9_999))
    assert len(ids(sqlite_warehouse)) == 3, "the rows go last"

    with open_mirror(sqlite_warehouse, archive) as mirror:
        whole = apply.in_archive(mirror, DayRange(DAY, DAY))
        assert [found.broken for found in whole] == [None] * len(whole)
        for parsed in apply.parse(mirror, whole, replay=True):
            apply.apply(mirror, parsed)
            assert parsed.reason is None, "each one that is there is there entirely"
        assert retention.prune(mirror, days(9_999)).pulls == 2
        (left,) = ids(sqlite_warehouse)
        assert in_archive(archive) == {left}
        assert retention.prune(mirror, days(9_999)) == Pruned()


def test_a_run_is_bounded_and_the_next_one_goes_on(
    sqlite_warehouse: Warehouse, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PULLS_PER_RUN", 3)
    monkeypatch.setattr(retention, "_AT_ONCE", 2)
    with open_mirror(sqlite_warehouse, archive) as mirror:
        for content in "abcdef":
            store_listings(mirror, {"1": content})
        apply_due(mirror)
        assert [retention.prune(mirror, days(9_999)).pulls for _ in range(3)] == [3, 2, 0]


# Master lists -------------------------------------------------------------------------------------


def list_at(mirror: Mirror, warehouse: Warehouse, age_hours: float) -> str:
    """A master list that was requested so many hours ago, with its change set."""
    found = store_master_list(mirror, {})
    changes.store(mirror, [changes.Changes(found, [])])
    with warehouse.writing() as connection:
        connection.execute(
            sa.update(ledgers.pull)
            .where(ledgers.pull.c.pull_id == id_of(found))
            .values(requested_at=datetime.now(UTC) - timedelta(hours=age_hours))
        )
    return id_of(found)


@given(lists=st.lists(st.tuples(st.integers(0, 24 * 12), st.booleans()), max_size=15))
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_of_master_lists_the_newest_those_of_a_day_and_one_a_day_stay(
    sqlite_warehouse: Warehouse, lists: Sequence[tuple[int, bool]]
) -> None:
    """Any lists of the last twelve days, complete or not; one a day is kept for six."""
    now = datetime(2026, 3, 20, 7, 30, tzinfo=UTC)
    with sqlite_warehouse.engine.connect() as connection, connection.begin() as begun:
        made = []
        for hours, complete in sorted(lists, reverse=True):
            moment = now - timedelta(hours=hours)
            pull = pulls.begin(connection, FEED, "master_list", prefix="raw", now=moment)
            if complete:
                pulls.complete(connection, pull, records=0, size=0, requests=1)
            made.append((pull.pull_id, moment, complete))
        unneeded = retained.master_lists(
            connection,
            FEED,
            LISTINGS,
            thin_before=now - timedelta(hours=24.5),
            forget_before=now - timedelta(days=6.1),
        )
        begun.rollback()

    whole = [(pull_id, moment) for pull_id, moment, complete in made if complete]
    last_of_day = {moment.date(): (pull_id, moment) for pull_id, moment in whole}
    expected = {
        *(pull_id for pull_id, _ in whole[-1:]),
        *(pull_id for pull_id, moment, _ in made if now - moment < timedelta(hours=24.5)),
        *(
            pull_id
            for pull_id, moment in last_of_day.values()
            if now - moment < timedelta(days=6.1)
        ),
    }
    left = {pull_id for pull_id, _, _ in made} - {pull.pull_id for pull in unneeded}
    assert left == expected


def test_master_lists_go_with_their_change_sets(
    mirror: Mirror, warehouse: Warehouse, archive: Archive
) -> None:
    ages = (24 * 500, 24 * 399 + 0.1, 24 * 399, 24 * 300)
    _, _, noon, newest = (list_at(mirror, warehouse, hours) for hours in ages)
    assert retention.prune(mirror).master_lists == 2
    assert ids(warehouse, "master_list") == {noon, newest}
    assert in_archive(archive, "listing_master_list") == {noon, newest}
    kept = {item.key.rpartition("/")[2] for item in archive.list(f"raw/{FEED}/listing_changes")}
    assert kept == {f"{noon}.parquet", f"{newest}.parquet"}
    assert retention.prune(mirror, days(9_999)).master_lists == 1
    assert ids(warehouse, "master_list") == {newest}
    assert delete.delete_gone(mirror).keys == 0, "and it can be read"


# Tombstones ---------------------------------------------------------------------------------------


def tombstones(warehouse: Warehouse) -> set[str]:
    return {row.listing_key for row in rows(warehouse, sa.select(ledgers.tombstone))}


def test_tombstones_go_after_the_pulls_that_could_bring_the_keys_back(
    mirror: Mirror, warehouse: Warehouse
) -> None:
    store_listings(mirror, {"1": "first", "2": "first"})
    apply_due(mirror)
    store_master_list(mirror, {"2": START})
    delete.delete_gone(mirror)
    late = days(AGES.tombstone_days + 1)

    # Listing 2 still leans on the pull that has listing 1 in it.
    assert retention.prune(mirror, late) == Pruned()
    assert tombstones(warehouse) == {"1"}
    for parsed in apply.parse(mirror, apply.in_archive(mirror, DayRange(DAY, DAY)), replay=True):
        apply.apply(mirror, parsed)
    live = {row.listing_key for row in rows(warehouse, sa.select(tables.property_))}
    assert live == {"2"}

    store_listings(mirror, {"2": "second"})
    apply_due(mirror)
    early = days(AGES.tombstone_days - 1)
    assert retention.prune(mirror, early) == Pruned(pulls=1, objects=2)
    assert tombstones(warehouse) == {"1"}
    assert retention.prune(mirror, late) == Pruned(tombstones=1)
    assert tombstones(warehouse) == set()


@pytest.mark.parametrize("table", [ledgers.tombstone, ledgers.resource_tombstone])
def test_a_tombstone_has_no_column_for_anything_personal(table: sa.Table) -> None:
    keys = {"feed", "listing_key", "resource_name", "resource_record_key"}
    books = {"master_pull_id", "gone_at", "last_master_timestamp", "last_pull_id"}
    assert set(table.c.keys()) <= keys | books


# Everything together ------------------------------------------------------------------------------


def test_years_later_the_archive_still_makes_the_whole_mirror(
    sandbox: RunningSandbox, sqlite_warehouse: Warehouse, archive: Archive
) -> None:
    """Changes, deletions, offices, and then a replay of what is left, without a server."""
    warehouse = sqlite_warehouse
    server = Server(sandbox.url, sandbox.login_url)

    def opened() -> Any:
        return open_mirror(warehouse, archive, feed_of(sandbox), sandbox)

    with opened() as mirror:
        for resource in (LISTINGS, OFFICES):
            sync(mirror, resource)
    server.advance(3)
    server.change("removed", min(server.truth()))
    with opened() as mirror:
        for resource in (LISTINGS, OFFICES):
            sync(mirror, resource)
        before = {item.key: item.bytes for item in archive.list("raw/")}
        pruned = retention.prune(mirror, days(5_000))
        assert pruned.pulls > 0
        assert pruned.master_lists == 2
        left = {item.key: item.bytes for item in archive.list("raw/")}
        assert len(left) == len(before) - pruned.objects
        assert retention.prune(mirror, days(5_000)) == Pruned()

    books = (ledgers.tombstone, ledgers.resource_tombstone)
    with warehouse.writing() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            if table not in books:  # those that are still needed
                connection.execute(sa.delete(table))
    nowhere = feed_of()
    with open_mirror(warehouse, archive, nowhere) as mirror:
        whole = DayRange(nowhere.first_day, datetime.now(UTC).date())
        for found, resource in (
            (apply.in_archive(mirror, whole), LISTINGS),
            (apply.all_in_archive(mirror, OFFICES), OFFICES),
        ):
            for parsed in apply.parse(mirror, found, resource, replay=True):
                apply.apply(mirror, parsed)
                assert parsed.reason is None
        with pytest.raises(RetsError):
            mirror.session().login()
    assert_equal_listings(Rows(warehouse, archive), server.truth())
    office = OFFICES.table
    searched = sa.select(office.c.office_key).where(OFFICES.rows_in(office, FEED))
    assert {row[0] for row in rows(warehouse, searched)} == server.people()["offices"].keys()


class Rows:
    """What the comparison with the server's truth reads."""

    def __init__(self, warehouse: Warehouse, archive: Archive) -> None:
        self.warehouse, self.archive = warehouse, archive

    def rows(self, statement: sa.Select[Any]) -> list[sa.Row[Any]]:
        """The answer of a query."""
        return rows(self.warehouse, statement)
