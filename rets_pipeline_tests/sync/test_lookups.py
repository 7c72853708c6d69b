"""Values with commas inside, which only the server's own lists tell."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from rets_pipeline.archive import Archive
from rets_pipeline.sandbox import RunningSandbox
from rets_pipeline.sources.base import ParsedListing
from rets_pipeline.sync import lookups
from rets_pipeline.sync import run as whole
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.warehouse import tables
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.sources import payloads
from rets_pipeline_tests.sync.pieces import feed_of, open_mirror
from rets_pipeline_tests.warehouse.databases import rows

#: in the sandbox's metadata, and not among the documented ones
VALUE = "Arts, Entertainment and Recreation"


@pytest.fixture
def run(sandbox: RunningSandbox, sqlite_warehouse: Warehouse, archive: Archive) -> Mirror:
    with open_mirror(sqlite_warehouse, archive, feed_of(sandbox), sandbox) as found:
        yield found


def business_types(mirror: Mirror) -> list[str]:
    record = (
        '<PropertyDetails ID="1" LastUpdated="Wed, 13 Mar 2024 14:33:02 GMT">'
        f"<Business><BusinessType>Retail, {VALUE}</BusinessType></Business></PropertyDetails>"
    )
    parsed = mirror.source.parse(payloads.element(record))
    assert isinstance(parsed, ParsedListing)
    (row,) = parsed.rows["property"]
    return row["business_type"]


def test_the_server_is_asked_once_a_day(run: Mirror) -> None:
    now = datetime.now(UTC)
    assert lookups.refresh(run, now)
    made = run.requests_made()
    assert not lookups.refresh(run, now + timedelta(hours=23))
    assert run.requests_made() == made
    assert lookups.refresh(run, now + timedelta(hours=25))
    assert run.requests_made() == made + 1


def test_a_source_that_was_taught_keeps_values_whole(run: Mirror) -> None:
    lookups.teach(run)
    assert business_types(run) == ["Retail", "Arts", "Entertainment and Recreation"]
    lookups.refresh(run)
    lookups.teach(run)
    assert business_types(run) == ["Retail", VALUE]


def test_a_server_without_metadata_is_mirrored_all_the_same(
    run: Mirror, sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.world.faults.switch_on("reply_code", code=20513, transaction="GetMetadata", times=9)
    with caplog.at_level(logging.WARNING):
        report = whole.sync(run)
    assert report.counts.new == 12
    assert "feed board: the lookups could not be asked for" in caplog.text


def test_a_sync_asks_when_it_fetches_and_a_replay_needs_no_server(
    run: Mirror, sandbox: RunningSandbox, sqlite_warehouse: Warehouse, archive: Archive
) -> None:
    whole.sync(run)
    with open_mirror(sqlite_warehouse, archive) as without_server:
        lookups.teach(without_server)
        assert business_types(without_server) == ["Retail", VALUE]
    made = run.requests_made()
    whole.sync(run)
    assert run.requests_made() == made + 1
    found = rows(sqlite_warehouse, sa.select(tables.property_.c.business_type))
    values = {value for row in found for value in row.business_type or ()}
    assert not values & {"Arts", "Entertainment and Recreation"}
