"""What is asked for, and how it is kept."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa

from rets_pipeline.archive import Archive
from rets_pipeline.rets import RetsError, SplitRequest
from rets_pipeline.sandbox import RunningSandbox
from rets_pipeline.sync import apply, master, pull
from rets_pipeline.sync.days import DayRange
from rets_pipeline.sync.mirror import Credentials, Mirror
from rets_pipeline.warehouse import ledgers, tables
from rets_pipeline.warehouse.engine import Warehouse, transaction
from rets_pipeline_tests.rets.scripted_server import (
    PASSWORD,
    USERNAME,
    Canned,
    ScriptedServer,
    reply,
)
from rets_pipeline_tests.sources import payloads
from rets_pipeline_tests.sync.pieces import (
    DAY,
    START,
    TODAY,
    Keys,
    apply_due,
    at,
    feed_of,
    open_mirror,
    record,
    store_listings,
    store_master_list,
    store_pull,
)
from rets_pipeline_tests.warehouse.databases import rows

# The plan -----------------------------------------------------------------------------------------


def test_a_plan_groups_by_day_the_latest_first(mirror: Mirror) -> None:
    days = [at(0), at(0) + timedelta(days=2), at(0) + timedelta(days=1)]
    keys = {str(number): moment for number, moment in enumerate(days)}
    found = store_master_list(mirror, {**keys, "none": None, "old": at(-10_000_000)})
    planned = pull.plan(mirror, found)
    assert list(planned.days) == [
        TODAY, DAY + timedelta(days=2), DAY + timedelta(days=1), DAY, mirror.feed.first_day,
    ]  # fmt: skip
    assert planned.days[TODAY] == {"none": None}
    assert planned.days[mirror.feed.first_day] == {"old": at(-10_000_000)}
    assert planned.keys == 5
    assert planned.kinds == {"new": 5}


def test_a_plan_of_chosen_days(mirror: Mirror) -> None:
    keys = {str(number): at(0) + timedelta(days=number) for number in range(5)}
    found = store_master_list(mirror, keys)
    planned = pull.plan(mirror, found, DayRange(DAY + timedelta(days=1), DAY + timedelta(days=2)))
    assert {key for day in planned.days.values() for key in day} == {"1", "2"}


def test_a_plan_keeps_to_the_budget_and_the_next_one_goes_on(
    warehouse: Warehouse, archive: Archive
) -> None:
    with open_mirror(warehouse, archive, feed_of(listings_per_run=2)) as mirror:
        keys = {str(number): at(number) for number in range(5)}
        found = store_master_list(mirror, keys)
        order: list[set[str]] = []
        while True:
            planned = pull.plan(mirror, found)
            wanted = {key: at for day in planned.days.values() for key, at in day.items()}
            if not wanted:
                break
            order.append(set(wanted))
            assert planned.left_over.total() == 5 - sum(map(len, order))
            store_pull(mirror, [[record(key) for key in wanted]], wanted)
            apply_due(mirror)
    assert order == [{"4", "3"}, {"2", "1"}, {"0"}]


def test_what_waits_in_the_archive_is_not_asked_for_again(mirror: Mirror) -> None:
    found = store_master_list(mirror, {"1": START, "2": START, "3": None})
    store_pull(mirror, [[record("1"), record("3")]], {"1": START, "3": None})
    planned = pull.plan(mirror, found)
    assert planned.days == {DAY: {"2": START}}
    assert planned.in_archive == 2

    # Unless it has changed since.
    newer = store_master_list(mirror, {"1": at(1), "2": START, "3": at(1)})
    planned = pull.plan(mirror, newer)
    assert planned.days == {DAY: {"1": at(1), "2": START, "3": at(1)}}
    assert planned.in_archive == 0


def test_what_was_asked_for_in_vain_is_due_again_later(mirror: Mirror) -> None:
    found = store_master_list(mirror, {"1": START, "2": START})
    store_pull(mirror, [[record("2")]], {"1": START, "2": START})
    apply_due(mirror)
    assert pull.plan(mirror, found).keys == 0

    with transaction(mirror.connection) as connection:
        table = ledgers.listing_sync
        connection.execute(
            sa.update(table).where(table.c.listing_key == "1").values(next_attempt=at(0))
        )
    planned = pull.plan(mirror, found)
    assert planned.days == {DAY: {"1": START}}
    assert planned.kinds == {"retry": 1}

    moved = store_master_list(mirror, {"1": at(-5), "2": at(-5)})  # backwards is a change too
    assert pull.plan(mirror, moved).kinds == {"changed": 2}


def test_details_may_be_newer_than_the_list(mirror: Mirror) -> None:
    store_pull(mirror, [[record("1", when=at(7))]], {"1": START})
    apply_due(mirror)
    for moment, keys in ((START, 0), (at(7), 0), (at(3), 1), (None, 1)):
        assert pull.plan(mirror, store_master_list(mirror, {"1": moment})).keys == keys


# The requests -------------------------------------------------------------------------------------


def test_a_pull_from_the_server_to_the_tables(
    run: Mirror, sandbox: RunningSandbox, warehouse: Warehouse
) -> None:
    found = master.store(run, master.request(run))
    planned = pull.plan(run, found)
    stored = [pull.store(run, download) for download in pull.fetch(run, planned)]

    assert planned.kinds == {"new": 12}
    assert sum(item.records for item in stored) == 12
    assert sum(item.requests for item in stored) == len(planned.days)
    for item in stored:
        manifest = pull.read_manifest(run.archive, run.feed.name, item.pull.archive_prefix)
        assert manifest is not None
        assert manifest.keys == planned.days[item.pull.day]  # type: ignore[index]
        assert manifest.pull.requested_at == item.pull.requested_at
        for page in manifest.pages:
            assert pull.read_page(run.archive, item.pull, page).startswith(b"<?xml")
    assert pull.plan(run, found).in_archive == 12

    apply_due(run)
    assert len(rows(warehouse, sa.select(tables.property_))) == 12
    assert pull.plan(run, found).keys == 0
    assert sandbox.world.statistics.logins == 1


def test_requests_are_as_large_as_the_feed_allows(
    sandbox: RunningSandbox, warehouse: Warehouse, archive: Archive
) -> None:
    feed = feed_of(sandbox, listings_per_request=5)
    with open_mirror(warehouse, archive, feed, sandbox) as run:
        keys: Keys = dict.fromkeys(sorted(map(str, sandbox.world.listings)), START)
        plan = pull.Plan({DAY: keys}, Counter(new=12), 0, Counter())
        (stored,) = [pull.store(run, download) for download in pull.fetch(run, plan)]
    assert sandbox.world.statistics.searches["details"] == 3
    assert (stored.records, stored.not_returned) == (12, 0)
    document = json.loads(archive.get(f"{stored.pull.archive_prefix}/manifest.json"))
    assert [page["records"] for page in document["pages"]] == [5, 5, 2]
    assert [key for key, _ in document["keys"]] == list(keys)


def test_a_large_plan_becomes_several_pulls_of_a_day(mirror: Mirror) -> None:
    per_pull = mirror.feed.listings_per_request * pull.REQUESTS_PER_PULL
    keys: Keys = {str(number): START for number in range(per_pull + 1)}
    plan = pull.Plan({DAY: keys}, Counter(new=len(keys)), 0, Counter())
    downloads = list(pull.fetch(mirror, plan))
    assert [len(download.keys) for download in downloads] == [per_pull, 1]


@pytest.fixture
def scripted() -> ScriptedServer:
    return ScriptedServer()


def _scripted_run(server: ScriptedServer, warehouse: Warehouse, archive: Archive) -> Mirror:
    feed = feed_of(login_url=server.login_url, timeout_seconds=5)
    return Mirror(feed, warehouse, archive, Credentials(USERNAME, PASSWORD), job="sync")


def _plan(*keys: str) -> pull.Plan:
    wanted: Keys = dict.fromkeys(keys, START)
    return pull.Plan({DAY: wanted}, Counter(new=len(keys)), 0, Counter())


def test_a_request_that_is_too_large_is_split(
    sqlite_warehouse: Warehouse, archive: Archive, scripted: ScriptedServer
) -> None:
    """DDF: reply code 20208."""
    with scripted, _scripted_run(scripted, sqlite_warehouse, archive) as run:
        scripted.searches(
            reply(20208, "too many"),
            reply(20208, "too many"),
            *(payloads.answer([record(key)]) for key in "12"),
            payloads.answer([record("3"), record("4")]),
        )
        (stored,) = [pull.store(run, download) for download in pull.fetch(run, _plan(*"1234"))]
        asked = [
            received.form or received.query for received in scripted.asked("/Search.svc/Search")
        ]
        (parsed,) = apply_due(run)
    assert len(asked) == 5
    assert (stored.records, stored.not_returned) == (4, 0)
    assert parsed.counts is not None
    assert parsed.counts.new == 4


def test_one_key_that_is_too_large_is_the_servers_refusal(
    sqlite_warehouse: Warehouse, archive: Archive, scripted: ScriptedServer
) -> None:
    with scripted, _scripted_run(scripted, sqlite_warehouse, archive) as run:
        scripted.searches(reply(20208, "too many"))
        with pytest.raises(SplitRequest):
            [pull.store(run, download) for download in pull.fetch(run, _plan("1"))]


def test_a_server_that_fails_in_the_middle_leaves_a_pull_that_does_not_exist(
    sqlite_warehouse: Warehouse, archive: Archive, scripted: ScriptedServer
) -> None:
    with scripted, _scripted_run(scripted, sqlite_warehouse, archive) as run:
        scripted.searches(
            payloads.answer([record(str(number)) for number in range(100)]),
            Canned(payloads.answer([record("100")]), cut_after=300),
        )
        keys = [str(number) for number in range(101)]
        with pytest.raises(RetsError):
            [pull.store(run, download) for download in pull.fetch(run, _plan(*keys))]
        assert apply_due(run) == []
        found = store_master_list(run, dict.fromkeys(keys, START))
        assert pull.plan(run, found).keys == 101
    table = ledgers.pull
    query = sa.select(table.c.state).where(table.c.kind == "listings")
    assert [row.state for row in rows(sqlite_warehouse, query)] == ["abandoned"]
    assert rows(sqlite_warehouse, sa.select(tables.property_)) == []


def test_an_empty_answer_means_not_returned(
    sqlite_warehouse: Warehouse, archive: Archive, scripted: ScriptedServer
) -> None:
    with scripted, _scripted_run(scripted, sqlite_warehouse, archive) as run:
        scripted.searches(payloads.answer([]))
        (stored,) = [pull.store(run, download) for download in pull.fetch(run, _plan("1", "2"))]
        (parsed,) = apply_due(run)
    assert stored.not_returned == 2
    assert parsed.counts is not None
    assert parsed.counts.not_returned == 2


def test_no_records_found_means_not_returned(
    sqlite_warehouse: Warehouse, archive: Archive, scripted: ScriptedServer
) -> None:
    """RETS: reply code 20201 is an answer."""
    with scripted, _scripted_run(scripted, sqlite_warehouse, archive) as run:
        scripted.searches(reply(20201, "No Records Found"))
        (stored,) = [pull.store(run, download) for download in pull.fetch(run, _plan("1"))]
        (parsed,) = apply_due(run)
    assert stored.not_returned == 1
    assert parsed.reason is None
    assert parsed.counts is not None
    assert parsed.counts.not_returned == 1


def test_a_manifest_is_absent_broken_or_whole(mirror: Mirror, archive: Archive) -> None:
    assert pull.read_manifest(archive, "board", "raw/board/listings/x/none") is None
    stored = store_listings(mirror, {"1": "first"})
    key = f"{stored.pull.archive_prefix}/manifest.json"
    assert pull.read_manifest(archive, "board", stored.pull.archive_prefix) is not None
    archive.put(key, b"{}")
    with pytest.raises(pull.BrokenPull, match=r"'board'.*manifest"):
        pull.read_manifest(archive, "board", stored.pull.archive_prefix)
    assert apply.due(mirror)[0].broken is not None
