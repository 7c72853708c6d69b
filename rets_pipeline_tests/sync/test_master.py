"""The master list: asked for, kept, read again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from rets_pipeline.archive import Archive, decompress_stream
from rets_pipeline.rets import RetsError
from rets_pipeline.sandbox import RunningSandbox
from rets_pipeline.sources import master_list
from rets_pipeline.sync import changes, master
from rets_pipeline.sync.changes import ChangeCounts
from rets_pipeline.sync.mirror import Credentials, Mirror
from rets_pipeline.warehouse import ledgers
from rets_pipeline.warehouse.engine import Warehouse, transaction
from rets_pipeline_tests.rets.scripted_server import PASSWORD, USERNAME, ScriptedServer, reply
from rets_pipeline_tests.sync.pieces import (
    DAY,
    START,
    apply_due,
    at,
    entries_of,
    feed_of,
    store_listings,
    store_master_list,
    store_pull,
    timestamps_of,
)
from rets_pipeline_tests.warehouse.databases import rows


def test_a_list_from_the_server_to_the_archive(run: Mirror, sandbox: RunningSandbox) -> None:
    found = master.store(run, master.request(run))

    entries = entries_of(found, run.archive)
    assert {key for key, _, _ in entries} == {str(key) for key in sandbox.world.listings}
    for _, moment, raw in entries:
        assert moment is not None
        assert moment.strftime("%d %b %Y %H:%M:%S") in raw
    prefix = found.pull.archive_prefix
    raw_answer = b"".join(decompress_stream([run.archive.get(f"{prefix}/master_list.xml.zst")]))
    assert raw_answer.startswith(b"<?xml")
    assert raw_answer.rstrip().endswith(b"</RETS>")
    manifest = json.loads(run.archive.get(f"{prefix}/manifest.json"))
    assert (manifest["records"], manifest["bytes"]) == (12, len(raw_answer))
    assert (found.pull.records, found.pull.bytes) == (12, len(raw_answer))
    assert found.pull.requests == run.requests_made() == 3  # a challenge, the login, the search
    assert found.unreadable_timestamps == 0
    assert master.newest(run) == found


@pytest.mark.parametrize(
    "fault",
    [
        {"truncate_master_list": 0.5},
        {"truncate_master_list": 0.5, "truncate_cleanly": True},
        {"cut_master_list": 1},
    ],
)
def test_a_list_that_is_not_whole_does_not_exist(
    run: Mirror, sandbox: RunningSandbox, warehouse: Warehouse, fault: dict[str, object]
) -> None:
    sandbox.world.behaviour.update(fault)
    with pytest.raises(RetsError):
        master.store(run, master.request(run))
    assert master.newest(run) is None
    assert [stored.key for stored in run.archive.list("raw/")] == []
    (row,) = rows(warehouse, sa.select(ledgers.pull))
    assert row.state != "complete"

    sandbox.world.behaviour.reset()
    assert master.store(run, master.request(run)).pull.records == 12


def test_entries_come_back_as_they_went(mirror: Mirror) -> None:
    keys = {"1": START, "2": None, "3": at(0.00001), "é&\n'": datetime(1, 1, 1, tzinfo=UTC)}
    found = store_master_list(mirror, keys)
    assert timestamps_of(found, mirror.archive) == keys
    assert found.unreadable_timestamps == 1
    assert timestamps_of(store_master_list(mirror, {}), mirror.archive) == {}


def test_a_list_of_many_pieces(mirror: Mirror) -> None:
    chunks = [
        master.Chunk(
            f"<piece n='{piece}'/>".encode(),
            master_list.batch(
                [str(number) for number in range(piece * 3_000, (piece + 1) * 3_000)],
                [START] * 3_000,
                ["then"] * 3_000,
            ),
        )
        for piece in range(5)
    ]
    found = master.store(mirror, chunks)
    assert found.pull.records == 15_000
    assert [*timestamps_of(found, mirror.archive)] == [str(number) for number in range(15_000)]


def test_an_entry_that_cannot_be_used_spoils_the_list(
    sqlite_warehouse: Warehouse, archive: Archive
) -> None:
    """Otherwise a key that was there would be taken for gone."""
    inside = (
        '<COUNT Records="2" /><RETS-RESPONSE><Property ID="1" LastUpdated="x" />{}</RETS-RESPONSE>'
    )
    with ScriptedServer() as server:
        feed = feed_of(login_url=server.login_url, timeout_seconds=5)
        for bad in ('<Property LastUpdated="x" />', '<Property ID="a,b)" LastUpdated="x" />'):
            server.searches(reply(0, "Operation Successful", inside.format(bad)))
            account = Credentials(USERNAME, PASSWORD)
            with (
                Mirror(feed, sqlite_warehouse, archive, account, job="sync") as run,
                pytest.raises(master.BrokenMasterList, match="feed 'board': a master list entry"),
            ):
                master.store(run, master.request(run))
        server.searches(
            reply(0, "OK", inside.format('<Property ID="2" LastUpdated="yesterday" />'))
        )
        with Mirror(feed, sqlite_warehouse, archive, account, job="sync") as run:
            found = master.store(run, master.request(run))
    assert found.unreadable_timestamps == 2
    assert [raw for _, _, raw in entries_of(found, archive)] == ["x", "yesterday"]


def test_a_list_is_fetched_when_none_is_fresh(run: Mirror, sandbox: RunningSandbox) -> None:
    first, fetched = master.fresh(run)
    assert fetched
    again, fetched = master.fresh(run)
    assert (again.pull.pull_id, fetched) == (first.pull.pull_id, False)

    old = datetime.now(UTC) - timedelta(minutes=run.feed.cadence_minutes, seconds=1)
    with transaction(run.connection) as connection:
        connection.execute(sa.update(ledgers.pull).values(requested_at=old))
    other, fetched = master.fresh(run)
    assert fetched
    assert other.pull.pull_id > first.pull.pull_id
    assert sandbox.world.statistics.searches["master_list"] == 2


# The change set -----------------------------------------------------------------------------------


def test_changes_are_counted_and_kept(mirror: Mirror) -> None:
    store_listings(mirror, {"same": "x", "changed": "x", "gone": "x"})
    store_pull(mirror, [[]], {"again": START})
    apply_due(mirror)
    with transaction(mirror.connection) as connection:
        table = ledgers.listing_sync
        connection.execute(
            sa.update(table).where(table.c.listing_key == "again").values(next_attempt=START)
        )
    found = store_master_list(
        mirror,
        {"same": START, "changed": at(-3_000), "new": at(3_000), "again": START},
    )
    counts = ChangeCounts()

    stored = changes.store(mirror, changes.compare(mirror, found, counts))

    assert counts.kinds == {"new": 1, "changed": 1, "retry": 1, "gone": 1}
    assert {day: dict(kinds) for day, kinds in counts.days.items()} == {
        DAY - timedelta(days=2): {"changed": 1},
        DAY: {"gone": 1, "retry": 1},
        DAY + timedelta(days=2): {"new": 1},
    }
    assert stored is not None
    assert stored == changes.newest(mirror)
    table_of_changes = pq.read_table(
        pa.BufferReader(mirror.archive.get(stored.parquet_key))
    ).to_pylist()
    assert {row["listing_key"]: row["kind"] for row in table_of_changes} == {
        "new": "new", "changed": "changed", "again": "retry", "gone": "gone",
    }  # fmt: skip


def test_no_change_is_a_change_set_too(mirror: Mirror) -> None:
    found = store_master_list(mirror, {})
    counts = ChangeCounts()
    stored = changes.store(mirror, changes.compare(mirror, found, counts))
    assert stored is not None
    assert counts.kinds.total() == 0
    assert mirror.archive.get(stored.parquet_key)
    with transaction(mirror.connection):
        pass  # the comparison has given the connection back
