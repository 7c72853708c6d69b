"""One record under the lens, and chosen records fetched now: over HTTP with the sandbox."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from rich.console import Console

from rets_pipeline.archive import Archive
from rets_pipeline.commands import lens as commands
from rets_pipeline.sandbox import RunningSandbox
from rets_pipeline.sync import fetch, lens
from rets_pipeline.sync.images import mirror_images
from rets_pipeline.sync.lens import Seen
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.sync.run import sync
from rets_pipeline.warehouse import ledgers, tables
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.resources import LISTINGS, MEMBERS, OFFICES
from rets_pipeline_tests.end_to_end.harness import Server
from rets_pipeline_tests.sync.pieces import feed_of, open_mirror, record, store_pull
from rets_pipeline_tests.warehouse.databases import everything, rows

#: what depends on no SQL that the others do not run on both databases
SQLITE = pytest.mark.parametrize("warehouse_url", ["sqlite"], indirect=True)


@pytest.fixture
def server(sandbox: RunningSandbox) -> Server:
    return Server(sandbox.url, sandbox.login_url)


@pytest.fixture
def key(server: Server) -> str:
    """A listing with photos."""
    truth = server.truth()
    return max(truth, key=lambda found: (len(truth[found]["photos"]), found))


def differing(seen: Seen) -> dict[tuple[str, str], tuple[str | None, str | None]]:
    """What differs, without what no comparison minds."""
    return {
        (row.table, item.column): (item.server, item.warehouse)
        for row in seen.rows
        for item in row.fields
        if item.state == "differs" and row.state != "later"
    }


def outcomes(found: list[fetch.Fetched]) -> dict[str, str]:
    return {item.key: item.outcome for item in found}


def printed(seen: Seen, *, every: bool = False) -> str:
    """What people read, on a terminal of eighty columns."""
    console = Console(width=80, record=True, file=Path("/dev/null").open("w"))  # noqa: SIM115
    commands.tell(console, seen, every=every)
    return console.export_text()


def test_a_listing_from_before_its_first_sync_to_its_end(
    run: Mirror, server: Server, warehouse: Warehouse, key: str
) -> None:
    assert lens.look(run, LISTINGS, key).verdict == "not fetched"
    assert lens.look(run, LISTINGS, "999").verdict == "nowhere"
    assert lens.look(run, LISTINGS, "999", offline=True).verdict == "nowhere"

    sync(run)
    mirror_images(run)
    before = everything(warehouse, without=("run_ledger",))
    seen = lens.look(run, LISTINGS, key)
    assert seen.verdict == "equal", differing(seen)
    assert differing(seen) == {}
    assert {row.table for row in seen.rows} >= {"property", "media", "property_member", "office"}
    photos = len(server.truth()[key]["photos"])
    assert [image["state"] for image in seen.record.images] == ["stored"] * photos
    assert seen.record.ledger is not None
    assert [row["pull_id"] for row in seen.record.pulls] == [seen.record.ledger["pull_id"]]
    assert [row["change_type"] for row in seen.record.history] == ["New Listing"]
    assert everything(warehouse, without=("run_ledger",)) == before, "a look changes nothing"

    server.change("price", key)
    seen = lens.look(run, LISTINGS, key)
    assert seen.verdict == "differs"
    assert ("property", "list_price") in differing(seen)
    said, held = differing(seen)[("property", "list_price")]
    (row,) = rows(
        warehouse, sa.select(tables.property_).where(tables.property_.c.listing_key == key)
    )
    assert held == f"{row.list_price.normalize():f}" != said
    assert "The payload has changed since it was loaded" in printed(seen)
    offline = lens.look(run, LISTINGS, key, offline=True)
    assert offline.verdict == "equal", "the archive knows nothing of the change"

    server.change("removed", key)
    seen = lens.look(run, LISTINGS, key)
    assert (seen.verdict, seen.observed and seen.observed.result) == ("not returned", None)
    sync(run)
    seen = lens.look(run, LISTINGS, key)
    assert seen.verdict == "gone"
    assert seen.record.tombstone is not None
    assert "gone_at" in printed(seen)
    assert lens.look(run, LISTINGS, key, offline=True).verdict == "gone"


def test_rows_that_somebody_wrote_are_found_and_written_again(
    run: Mirror, sandbox: RunningSandbox, warehouse: Warehouse, archive: Archive, key: str
) -> None:
    sync(run)
    listing = tables.property_
    with warehouse.writing() as connection:
        mine = listing.c.listing_key == key
        connection.execute(sa.update(listing).where(mine).values(city="[red]Atlantis"))
        connection.execute(
            sa.delete(tables.media).where(
                tables.media.c.listing_key == key, tables.media.c.order == 1
            )
        )
    seen = lens.look(run, LISTINGS, key)
    assert seen.verdict == "differs"
    assert differing(seen)[("property", "city")][1] == "[red]Atlantis"
    assert [row.table for row in seen.rows if row.state == "server only"] == ["media"]
    assert seen.differences == 2
    text = printed(seen)
    assert "[red]Atlantis" in text
    assert "fetch --rewrite" in text
    assert "list_price" not in text
    assert "list_price" in printed(seen, every=True)

    assert outcomes(fetch.fetch(run, LISTINGS, [key])) == {key: "unchanged"}
    assert lens.look(run, LISTINGS, key).verdict == "differs"
    assert outcomes(fetch.fetch(run, LISTINGS, [key], rewrite=True)) == {key: "unchanged"}
    assert lens.look(run, LISTINGS, key).verdict == "equal"
    history = lens.look(run, LISTINGS, key).record.history
    assert {row["field_name"] for row in history[1:]} == {"City", "Media"}


def test_what_becomes_of_chosen_listings(
    run: Mirror, server: Server, warehouse: Warehouse, key: str
) -> None:
    other, third = [found for found in sorted(server.truth()) if found != key][:2]
    assert outcomes(fetch.fetch(run, LISTINGS, [other, key, "999", key])) == {
        other: "new",
        key: "new",
        "999": "not offered",
    }
    server.change("price", key)
    server.behave(never_return=[int(other)])
    found = fetch.fetch(run, LISTINGS, [key, other])
    assert outcomes(found) == {key: "changed", other: "not returned"}
    assert {row.listing_key for row in rows(warehouse, sa.select(tables.property_))} == {key, other}
    # Not one more than was asked for, and the next sync fetches the rest only.
    server.behave()
    server.reset_statistics()
    assert outcomes(fetch.fetch(run, LISTINGS, [third])) == {third: "new"}
    assert server.statistics()["details_returned"] == 1
    server.reset_statistics()
    sync(run)
    assert server.statistics()["details_returned"] == 12 - 3
    with pytest.raises(ValueError, match="'a b' is not a DDF key"):
        fetch.fetch(run, LISTINGS, ["1", "a b"])


@SQLITE
def test_a_listing_in_quarantine(mirror: Mirror, warehouse: Warehouse) -> None:
    broken = (
        record("7").replace(' LastUpdated="', ' lastupdated="').replace("<Price>", "<Price><b/>")
    )
    store_pull(mirror, [[broken]], {"7": None})
    for parsed in fetch.apply.parse(mirror, fetch.apply.due(mirror)):
        fetch.apply.apply(mirror, parsed)
    seen = lens.look(mirror, LISTINGS, "7", offline=True)
    noted = rows(warehouse, sa.select(ledgers.quarantine))
    assert noted
    assert [row["raw"] for row in seen.record.quarantine] == [row.raw for row in noted]
    assert noted[0].reason.split()[0] in printed(seen)


@SQLITE
def test_without_an_archive(run: Mirror, archive_folder: Path, key: str) -> None:
    sync(run)
    shutil.rmtree(archive_folder)
    seen = lens.look(run, LISTINGS, key, offline=True)
    assert (seen.verdict, seen.observed) == ("not archived", None)


@SQLITE
@pytest.mark.parametrize("resource", [MEMBERS, OFFICES], ids=lambda found: found.kind)
def test_members_and_offices(run: Mirror, server: Server, resource: Any) -> None:
    (key, *_) = server.people()[resource.kind]
    assert outcomes(fetch.fetch(run, resource, [key])) == {key: "new"}
    seen = lens.look(run, resource, key)
    assert (seen.verdict, differing(seen)) == ("equal", {})
    who = {"members": "agent", "offices": "office"}[resource.kind]
    server.change_person(who, "phones", key)
    assert lens.look(run, resource, key).verdict == "differs"
    assert outcomes(fetch.fetch(run, resource, [key])) == {key: "changed"}


@SQLITE
def test_everything_for_machines(run: Mirror, key: str) -> None:
    sync(run)
    found = json.loads(commands.as_json(lens.look(run, LISTINGS, key)))
    assert (found["verdict"], found["differences"], found["key"]) == ("equal", 0, key)
    assert found["server"]["content_hash"] == found["ledger"]["content_hash"]
    columns = next(row["columns"] for row in found["rows"] if row["table"] == "property")
    assert columns["listing_key"] == {"server": key, "warehouse": key, "state": "equal"}
    assert found["warehouse"]["property"][0]["listing_key"] == key


@SQLITE
def test_offline_needs_neither_server_nor_lock(
    run: Mirror, warehouse: Warehouse, archive: Archive, key: str
) -> None:
    sync(run)  # and holds the feed's lock
    with open_mirror(warehouse, archive, feed_of(lock_wait_seconds=0), job="show") as other:
        assert lens.look(other, LISTINGS, key, offline=True).verdict == "equal"
