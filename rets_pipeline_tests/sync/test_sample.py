"""The rotating sample, and the audits together, over HTTP with the sandbox."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from rets_pipeline.archive import Archive
from rets_pipeline.sandbox import RunningSandbox, running
from rets_pipeline.sync import pull, reconcile, sample
from rets_pipeline.sync.run import sync
from rets_pipeline.sync.sample import Sampled
from rets_pipeline.warehouse import ledgers, tables
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.resources import LISTINGS, MEMBERS, OFFICES, OTHERS
from rets_pipeline_tests.end_to_end.harness import Server, assert_equal_listings
from rets_pipeline_tests.sync.pieces import FEED, feed_of, open_mirror
from rets_pipeline_tests.warehouse.databases import rows


@pytest.fixture(scope="module")
def world() -> Iterator[RunningSandbox]:
    """One server for the module; each test has its own empty warehouse and takes it as it is."""
    with running(listings=12, days=20, seed=5) as found:
        yield found


class Nights:
    """A mirror of that server, audited night after night."""

    def __init__(self, world: RunningSandbox, warehouse: Warehouse, archive: Archive) -> None:
        self.server = Server(world.url, world.login_url)
        self.server.behave()
        self.warehouse, self.archive = warehouse, archive
        self._world = world

    def open(self, share: float = 1.0, **settings: Any) -> Any:
        """One run."""
        feed = feed_of(self._world, reconcile={"sample": share}, **settings)
        return open_mirror(self.warehouse, self.archive, feed, self._world, job="reconcile")

    def sync(self) -> None:
        """What comes before the audits."""
        with self.open() as mirror:
            sync(mirror)

    def refetch(self, share: float = 1.0, **settings: Any) -> Sampled:
        """A night's sample."""
        with self.open(share, **settings) as mirror:
            return sample.refetch(mirror)

    def rows(self, statement: sa.Select[Any]) -> list[sa.Row[Any]]:
        """The answer of a query."""
        return rows(self.warehouse, statement)

    def pulls(self) -> dict[str, str]:
        """Which pull each key was last fetched by."""
        held = ledgers.listing_sync
        return dict(self.rows(sa.select(held.c.listing_key, held.c.pull_id)))  # type: ignore[arg-type]


@pytest.fixture
def nights(world: RunningSandbox, sqlite_warehouse: Warehouse, archive: Archive) -> Nights:
    """Where no SQL is at stake, on one database."""
    return Nights(world, sqlite_warehouse, archive)


@pytest.fixture
def either(world: RunningSandbox, warehouse: Warehouse, archive: Archive) -> Nights:
    """On both databases."""
    return Nights(world, warehouse, archive)


def test_every_key_is_visited_once_in_so_many_nights(either: Nights) -> None:
    either.sync()
    first = either.pulls()
    visited: list[str] = []
    for _ in range(4):
        before = either.pulls()
        assert either.refetch(0.25).sampled == len(first) / 4
        visited += [key for key, pull_id in either.pulls().items() if pull_id != before[key]]
    assert sorted(visited) == sorted(first)
    assert set(either.pulls().values()).isdisjoint(first.values())


def test_a_night_is_within_the_budget_and_takes_one_key_at_least(nights: Nights) -> None:
    nights.sync()
    assert nights.refetch(0.01).sampled == 1
    assert nights.refetch(1.0, listings_per_run=5).sampled == 5
    nights.server.reset_statistics()
    assert nights.refetch(0.0) == Sampled()
    assert nights.server.statistics()["logins"] == 0


def test_content_that_changed_under_an_equal_timestamp_is_found_and_repaired(
    nights: Nights,
) -> None:
    nights.sync()
    keys = sorted(nights.server.truth())
    nights.server.change("price", keys[1], keep_timestamp=True)
    nights.server.change("remarks", keys[4], keep_timestamp=True)
    nights.sync()
    with pytest.raises(AssertionError):  # no sync can see it
        assert_equal_listings(nights, nights.server.truth())

    found = nights.refetch()

    assert (found.sampled, found.drifted) == (len(keys), [keys[1], keys[4]])
    assert (found.moved, found.in_vain) == (0, 0)
    assert_equal_listings(nights, nights.server.truth())
    assert nights.refetch().drifted == [], "it is right now"
    notes = nights.rows(
        sa.select(ledgers.run_ledger.c.actions).order_by(ledgers.run_ledger.c.started_at)
    )
    assert [
        (action["drifted"], action["drifted_keys"])
        for (actions,) in notes
        for action in actions
        if action["action"] == "sample"
    ] == [(2, [keys[1], keys[4]]), (0, [])]


def test_what_changed_since_the_master_list_is_no_drift(nights: Nights) -> None:
    nights.sync()
    keys = sorted(nights.server.truth())
    nights.server.change("price", keys[0])
    gone = keys[3]
    nights.server.behave(never_return=[int(gone)])

    found = nights.refetch()

    assert (found.drifted, found.moved, found.in_vain) == ([], 1, 1)
    nights.server.behave()
    with nights.open() as mirror:
        sync(mirror)
    held = {row.listing_key for row in nights.rows(sa.select(tables.property_))}
    assert held == set(keys), "what was not returned once stays"


def test_a_run_that_dies_between_pull_and_load(nights: Nights) -> None:
    """The sample is a pull like any other: the next run loads it."""
    nights.sync()
    key = min(nights.server.truth())
    nights.server.change("price", key, keep_timestamp=True)
    with nights.open() as mirror:
        for download in pull.fetch(mirror, sample._plan(mirror, LISTINGS, _chosen(mirror))):
            pull.store(mirror, download)
    nights.server.reset_statistics()
    nights.sync()
    assert nights.server.statistics()["details_returned"] == 0
    assert_equal_listings(nights, nights.server.truth())


def _chosen(mirror: Any) -> Any:
    return sample._chosen(mirror, LISTINGS)


def test_without_a_master_list_there_is_nothing_to_audit(nights: Nights) -> None:
    with nights.open() as mirror:
        found = reconcile.audit_everything(mirror)
    assert found.keys == {}
    assert all(item == Sampled() for item in found.samples.values())


def test_all_audits_of_listings_members_and_offices(either: Nights) -> None:
    with either.open() as mirror:
        for resource in (LISTINGS, *OTHERS):
            sync(mirror, resource)
    keys = sorted(either.server.truth())
    people = {kind: sorted(found) for kind, found in either.server.people().items()}
    with either.open(0.01) as mirror:
        (lost,) = _chosen(mirror)  # which one comes first depends on the hour
    with either.warehouse.writing() as connection:
        # As if somebody had written into the tables with SQL.
        connection.execute(
            sa.delete(tables.property_).where(tables.property_.c.listing_key == lost)
        )
        connection.execute(sa.insert(tables.property_).values(feed=FEED, listing_key="stray"))
        connection.execute(
            sa.update(ledgers.resource_sync)
            .where(ledgers.resource_sync.c.resource_record_key == people["members"][0])
            .values(content_hash="another one")
        )

    with either.open(0.01) as mirror:
        found = reconcile.audit_everything(mirror)

    assert found.samples.keys() == {"listings", "members", "offices"}
    assert [item.sampled for item in found.samples.values()] == [
        math.ceil(len(every) / 100) for every in (keys, people["members"], people["offices"])
    ]
    assert found.samples["members"].drifted == [people["members"][0]]
    listings = found.keys["listings"]
    # The lost one is that which the sample took, and so it is there again.
    assert (listings.missing, listings.surplus) == ([], ["stray"])
    assert listings.parity.on_server == len(keys)
    for resource in (MEMBERS, OFFICES):
        apart = found.keys[resource.kind]
        assert (apart.missing, apart.surplus) == ([], [])
        assert apart.parity.live == len(people[resource.kind])


def test_keys_that_the_warehouse_lacks_are_named(either: Nights) -> None:
    either.sync()
    keys = sorted(either.server.truth())
    with either.warehouse.writing() as connection:
        lost = tables.property_.c.listing_key.in_(keys[1:4])
        connection.execute(sa.delete(tables.property_).where(lost))
        in_vain = ledgers.listing_sync.c.listing_key == keys[2]
        connection.execute(
            sa.update(ledgers.listing_sync).where(in_vain).values(state="not_returned")
        )
    with either.open(0.0) as mirror:
        apart = reconcile.audit_everything(mirror).keys["listings"]
    assert apart.missing == [keys[1], keys[3]]
    assert (apart.parity.missing, apart.parity.not_returned) == (2, 1)
