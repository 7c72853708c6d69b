"""Members and offices converge as listings do, over HTTP with the sandbox.

What depends on SQL runs on both databases, the rest on SQLite.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from rets_pipeline.archive import Archive, decompress_stream
from rets_pipeline.rets import RetsError
from rets_pipeline.sandbox import RunningSandbox, running
from rets_pipeline.sources.ddf import DdfSource
from rets_pipeline.sync import apply, master, pull
from rets_pipeline.sync.delete import GuardTripped
from rets_pipeline.sync.images import ImageCounts, mirror_images
from rets_pipeline.sync.mirror import others_of
from rets_pipeline.sync.run import SyncReport, sync
from rets_pipeline.warehouse import ledgers, pulls, tables
from rets_pipeline.warehouse.engine import Warehouse, transaction
from rets_pipeline.warehouse.load import Counts
from rets_pipeline.warehouse.resources import LISTINGS, MEMBERS, OFFICES, OTHERS, Resource
from rets_pipeline_tests.end_to_end.harness import Server, assert_equal_images_of_people
from rets_pipeline_tests.end_to_end.people import assert_equal_people, held
from rets_pipeline_tests.sync.pieces import FEED, feed_of, open_mirror, timestamps_of
from rets_pipeline_tests.warehouse.databases import everything, rows

BOTH = pytest.mark.parametrize("resource", OTHERS, ids=lambda found: found.kind)
WHO = {"Member": "agent", "Office": "office"}
DDF = {"Member": "Agent", "Office": "Office"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    """One server for the module; each test has its own empty warehouse and takes it as it is."""
    with running(listings=12, days=20, seed=5) as found:
        yield found


@dataclass
class Sync:
    """A server, and a mirror of it that runs again and again."""

    server: Server
    sandbox: RunningSandbox
    warehouse: Warehouse
    archive: Archive

    def open(self, **settings: Any) -> Any:
        feed = feed_of(self.sandbox, **settings)
        return open_mirror(self.warehouse, self.archive, feed, self.sandbox)

    def __call__(self, resource: Resource = MEMBERS, **more: Any) -> SyncReport:
        settings = more.pop("settings", {})
        with self.open(**settings) as mirror:
            return sync(mirror, resource, **more)

    def images(self, resource: Resource) -> ImageCounts:
        with self.open() as mirror:
            return mirror_images(mirror, resource)

    def rows(self, statement: sa.Select[Any]) -> list[sa.Row[Any]]:
        return rows(self.warehouse, statement)

    def keys(self, resource: Resource) -> list[str]:
        return sorted(self.server.people()[resource.kind])

    def unnamed(self, resource: Resource) -> str:
        """One that no listing names."""
        words = "agents" if resource is MEMBERS else "offices"
        named = {key for told in self.server.truth().values() for key in told[words]}
        return next(key for key in self.keys(resource) if key not in named)

    def check(self) -> None:
        assert_equal_people(self.warehouse, FEED, self.server.people())


@pytest.fixture
def run_on_both(
    sandbox: RunningSandbox,
    warehouse: Warehouse,
    archive: Archive,
) -> Iterator[Sync]:
    server = Server(sandbox.url, sandbox.login_url)
    yield Sync(server, sandbox, warehouse, archive)
    server.behave()


@pytest.fixture
def run(
    sandbox: RunningSandbox,
    sqlite_warehouse: Warehouse,
    archive: Archive,
) -> Iterator[Sync]:
    server = Server(sandbox.url, sandbox.login_url)
    yield Sync(server, sandbox, sqlite_warehouse, archive)
    server.behave()


def test_a_source_offers_what_it_has_searches_for() -> None:
    source = DdfSource()
    assert others_of(source) == [MEMBERS, OFFICES]
    source.others = {}
    assert others_of(source) == []


def test_an_empty_warehouse_gets_everything_and_the_archive_keeps_it(run: Sync) -> None:
    truth = run.server.people()
    for resource in OTHERS:
        count = len(truth[resource.kind])
        assert run(resource) == SyncReport(count, count, Counts(new=count), 0)
    run.check()

    for resource in OTHERS:
        (folder,) = {
            stored.key.rpartition("/")[0]
            for stored in run.archive.list(f"raw/{FEED}/{resource.kind}/")
        }
        manifest = json.loads(run.archive.get(f"{folder}/manifest.json"))
        assert [key for key, _ in manifest["keys"]] != []
        assert (manifest["kind"], manifest["day"]) == (resource.kind, None)
        pages = [page["records"] for page in manifest["pages"]]
        assert max(pages) <= 100
        assert sum(pages) == len(truth[resource.kind])
        first = b"".join(decompress_stream([run.archive.get(f"{folder}/page-00001.xml.zst")]))
        assert first.startswith(b"<?xml")
        assert first.count(f"<{DDF[resource.name]}Details ".encode()) == pages[0]
        with run.open() as mirror:
            found = master.newest(mirror, resource)
            assert found is not None
            assert timestamps_of(found, run.archive).keys() == truth[resource.kind].keys()
            raw = run.archive.get(f"{found.pull.archive_prefix}/master_list.xml.zst")
            assert b"".join(decompress_stream([raw])).rstrip().endswith(b"</RETS>")


def test_photos_of_members_and_logos_of_offices(run: Sync) -> None:
    # Listings name logos, before anybody has asked for an office itself.
    run(LISTINGS)
    named = run.images(OFFICES)
    assert named.stored > 0
    run(OFFICES)
    run(MEMBERS)
    first = [run.images(resource) for resource in OTHERS]
    assert_equal_images_of_people(run, run.server.people_with_images())
    # Their own search tells dates, so they are asked for once more: whether they are others.
    assert first[1].unchanged == named.stored
    assert [run.images(resource) for resource in OTHERS] == [ImageCounts()] * 2

    # One of each is another one; listings are written anew, with other numbers in the addresses.
    truth = run.server.people()
    logo = next(key for key, told in truth["offices"].items() if told["logo_version"] is not None)
    face = next(key for key, told in truth["members"].items() if told["photo"])
    run.server.change_person("office", "logo", logo)
    run.server.change_person("agent", "photo", face)
    for key in run.server.truth():
        run.server.change("price", key)
    for resource in (LISTINGS, *OTHERS):
        run(resource)
    run.server.reset_statistics()
    for resource in OTHERS:
        again = run.images(resource)
        assert (again.wanted, again.stored, again.requests, again.blobs_deleted) == (1, 1, 1, 1)
    assert run.server.statistics()["images"]["served"] == 2
    assert_equal_images_of_people(run, run.server.people_with_images())


def test_without_changes_one_search_each_and_no_row_touched(run_on_both: Sync) -> None:
    run = run_on_both
    for resource in OTHERS:
        run(resource)
    before = everything(run.warehouse, without=("pull", "run_ledger"))
    run.server.reset_statistics()

    for resource in OTHERS:
        assert run(resource).fetched == 0

    assert run.server.statistics()["requests"]["Search"] == 2
    assert everything(run.warehouse, without=("pull", "run_ledger")) == before


@BOTH
def test_changed_new_and_gone(run_on_both: Sync, resource: Resource) -> None:
    run = run_on_both
    run(OFFICES)
    run(MEMBERS)
    who, keys = WHO[resource.name], run.keys(resource)
    gone = run.unnamed(resource)
    changed = [key for key in keys if key != gone][:3]
    run.server.change_person(who, "phones", changed[0])
    run.server.change_person(who, "timestamp_long_ago", changed[1])
    run.server.change_person(who, "touched", changed[2])
    run.server.change_person(who, "added")
    run.server.change_person(who, "removed", gone)

    # An office that closes moves its agents, so both resources converge.
    report = run(resource)
    run(MEMBERS if resource is OFFICES else OFFICES)

    assert report.counts == Counts(new=1, changed=2, unchanged=1)
    assert report.deleted == 1
    run.check()
    (tomb,) = rows(run.warehouse, sa.select(ledgers.resource_tombstone))
    assert (tomb.resource_name, tomb.resource_record_key) == (resource.name, gone)
    sites = [tables.other_phone, tables.social_media, ledgers.quarantine]
    for table in sites:
        left = sa.select(table).where(
            table.c.resource_name == resource.name, table.c.resource_record_key == gone
        )
        assert rows(run.warehouse, left) == []

    run.server.change_person(who, "restored", gone)
    assert run(resource).counts.new == 1
    run.check()
    assert rows(run.warehouse, sa.select(ledgers.resource_tombstone)) == []


def test_what_a_listing_says_of_an_agent_never_overwrites(run: Sync) -> None:
    for resource in (LISTINGS, *OTHERS):
        run(resource)
    key, told = next(iter(run.server.truth().items()))
    agent = told["agents"][0]
    before = held(run.warehouse, FEED, MEMBERS)[agent]
    run.server.change_person("agent", "phones", agent)
    run.server.change("remarks", key)

    run(LISTINGS)  # which tells the new phone, without what only the search tells
    assert held(run.warehouse, FEED, MEMBERS)[agent] == before

    run(MEMBERS)
    run.check()


def test_a_gone_agent_that_a_listing_names_is_what_the_listing_says(run: Sync) -> None:
    for resource in (LISTINGS, *OTHERS):
        run(resource)
    told = next(iter(run.server.truth().values()))
    agent = told["agents"][0]
    run.server.change_person("agent", "removed", agent)
    run(MEMBERS)
    run.server.reset_statistics()

    report = run(LISTINGS)

    naming = {key for key, item in run.server.truth().items() if agent in item["agents"]}
    assert report.counts == Counts(changed=len(naming))
    assert run.server.statistics()["details_by_resource"]["Property"] == len(naming)
    table = tables.member
    (row,) = rows(run.warehouse, sa.select(table).where(table.c.member_key == agent))
    assert (row.observed_in, row.member_full_name) == ("Property", told["agent_names"][0])
    only_from_its_search = (
        row.member_city, row.member_postal_code, row.photo_url, row.modification_timestamp,
    )  # fmt: skip
    assert only_from_its_search == (None,) * 4
    assert run(LISTINGS).fetched == 0
    run.server.change_person("agent", "restored", agent)
    run(MEMBERS)
    run.check()


def test_a_list_that_is_not_whole_deletes_nothing(run: Sync) -> None:
    run(MEMBERS)
    before = everything(run.warehouse, without=("pull", "run_ledger"))
    for fault in (
        {"truncate_master_list": 0.5},
        {"truncate_master_list": 0.5, "truncate_cleanly": True},
        {"cut_master_list": 3},
    ):
        run.server.behave(reset=True, resources=["Agent"], **fault)
        with pytest.raises(RetsError):
            run(MEMBERS)
        assert everything(run.warehouse, without=("pull", "run_ledger")) == before
    run(OFFICES)  # of which nothing is wrong
    run.server.behave()
    run(MEMBERS)
    run.check()


def test_the_guard_trips_and_an_operator_may_override_it(run: Sync) -> None:
    resource = MEMBERS
    run(resource)
    count = len(run.keys(resource))
    few = {"settings": {"deletion_guard": {"keys": 5, "share": 0.05}}}
    run.server.behave(resources=[DDF[resource.name]], drop_from_master_list=10)

    with pytest.raises(GuardTripped, match=rf"10 of {count} {resource.kind} are missing"):
        run(resource, **few)
    with pytest.raises(GuardTripped, match="allow_deletions: 10"):
        run(resource, allow_deletions=9, **few)
    assert len(held(run.warehouse, FEED, resource)) == count

    assert run(resource, allow_deletions=10, **few).deleted == 10
    run.server.behave()
    assert run(resource).counts == Counts(new=10)
    assert rows(run.warehouse, sa.select(ledgers.resource_tombstone)) == []


def test_a_key_that_is_never_returned_is_not_fetched_by_every_sync(run: Sync) -> None:
    key = run.keys(MEMBERS)[0]
    run.server.behave(never_return=[key])
    assert run(MEMBERS).counts.not_returned == 1
    run.server.reset_statistics()
    assert run(MEMBERS).fetched == 0
    assert run.server.statistics()["requests"]["Search"] == 1

    table = ledgers.resource_sync
    with run.warehouse.writing() as connection:
        connection.execute(
            sa.update(table)
            .where(table.c.state == "not_returned")
            .values(next_attempt=datetime.now(UTC) - timedelta(seconds=1))
        )
    assert run(MEMBERS).counts == Counts(not_returned=1)
    (row,) = rows(run.warehouse, sa.select(table).where(table.c.state == "not_returned"))
    assert (row.resource_record_key, row.attempts) == (key, 2)
    assert row.next_attempt - datetime.now(UTC) > timedelta(minutes=20)  # 15 minutes at first

    run.server.behave()
    run.server.change_person("agent", "touched", key)  # another timestamp: asked for at once
    assert run(MEMBERS).counts == Counts(new=1)


def test_a_run_that_died_after_its_pages_costs_no_request(run: Sync) -> None:
    with run.open() as mirror:
        found = master.store(mirror, master.request(mirror, MEMBERS), MEMBERS)
        for download in pull.fetch(mirror, pull.plan(mirror, found)):
            pull.store(mirror, download)
        # Another began its pages and died before the manifest.
        with transaction(mirror.connection) as connection:
            half = pulls.begin(connection, FEED, "members", prefix=f"raw/{FEED}/members")
    run.server.reset_statistics()

    report = run(MEMBERS)

    assert report.counts == Counts(new=len(run.keys(MEMBERS)))
    assert run.server.statistics()["requests"]["Search"] == 1  # the master list
    with run.warehouse.reading() as connection:
        dead = pulls.find(connection, FEED, half.pull_id)
    assert dead is not None
    assert dead.state == "abandoned"
    run(OFFICES)
    run.check()


def test_a_replay_without_the_server_brings_back_nothing_gone(run: Sync) -> None:
    for resource in OTHERS:
        run(resource)
    gone, changed = run.unnamed(MEMBERS), run.keys(MEMBERS)[-1]
    run.server.change_person("agent", "removed", gone)
    run.server.change_person("agent", "phones", changed)
    run(MEMBERS)
    before = held(run.warehouse, FEED, MEMBERS)
    run.server.reset_statistics()

    assert replay(run) == [Counts(changed=len(before) - 1, superseded=2), Counts(changed=1)]
    assert held(run.warehouse, FEED, MEMBERS) == before

    with run.warehouse.writing() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            connection.execute(sa.delete(table))
    replay(run)
    found = held(run.warehouse, FEED, MEMBERS)
    assert found.pop(gone)["state"] == "loaded"  # nothing tells that it is gone, until a list does
    assert found == before
    assert run.server.statistics()["logins"] == 0
    run.server.change_person("agent", "restored", gone)


def replay(run: Sync) -> list[Counts | None]:
    with run.open() as mirror:
        done = []
        manifests = apply.all_in_archive(mirror, MEMBERS)
        for parsed in apply.parse(mirror, manifests, MEMBERS, replay=True):
            apply.apply(mirror, parsed)
            done.append(parsed.counts)
        return done
