"""A sandbox and a mirror of it, for end-to-end tests.

What belongs here: driving both, and comparing them. What does not: tests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

import dagster as dg
import requests
import sqlalchemy as sa

from rets_pipeline.archive import Archive
from rets_pipeline.orchestration import build_defs, naming, partitions
from rets_pipeline.orchestration.jobs import members_config, replay_config, sync_config
from rets_pipeline.settings import FeedConfig, Settings
from rets_pipeline.sync.days import DayRange
from rets_pipeline.warehouse import ledgers, tables
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.resources import MEMBERS, OFFICES, OTHERS
from rets_pipeline_tests.patience import PATIENCE

FEED = "board"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Server:
    """The sandbox, through its control routes."""

    def __init__(self, url: str, login_url: str) -> None:
        self.url = url
        self.login_url = login_url

    def truth(self) -> dict[str, Any]:
        """Every listing by key."""
        listings: dict[str, Any] = self._get("/_sandbox/truth")["listings"]
        return listings

    def truth_with_images(self) -> dict[str, Any]:
        """The same, with the hashes of the large photos; all of them are drawn for that."""
        listings: dict[str, Any] = self._get("/_sandbox/truth?images=large")["listings"]
        return listings

    def people(self) -> dict[str, dict[str, Any]]:
        """Every agent and every office by key, under what we call many of them."""
        found = self._get("/_sandbox/truth")
        return {"members": found["agents"], "offices": found["offices"]}

    def people_with_images(self) -> dict[str, dict[str, Any]]:
        """The same, with the hashes of the agents' large photos and of the offices' logos."""
        found = self._get("/_sandbox/truth?people_images=large")
        return {"members": found["agents"], "offices": found["offices"]}

    def change_person(self, who: str, kind: str, key: str | None = None, **more: Any) -> list[str]:
        """Change one agent or office, or add one; the keys of those that it touched."""
        document = {"who": who, "kind": kind, **more} | ({"key": key} if key else {})
        keys: dict[str, Any] = self._post("/_sandbox/people", document)[f"{who}s"]
        return list(keys)

    def now(self) -> datetime:
        """The sandbox's own time."""
        return datetime.fromisoformat(self._get("/_sandbox/truth?keys=0")["now"])

    def change(self, kind: str, key: str | None = None, **more: Any) -> dict[str, Any]:
        """Change one listing, or add some."""
        document = {"kind": kind, **more} | ({"listing_key": key} if key else {})
        listings: dict[str, Any] = self._post("/_sandbox/change", document)["listings"]
        return listings

    def advance(self, days: int = 1) -> None:
        """Let the world age."""
        self._post(f"/_sandbox/advance?days={days}", {})

    def behave(self, **switches: Any) -> None:
        """Misbehave from now on; without arguments: behave."""
        self._post("/_sandbox/behaviour", switches or {"reset": True})

    def statistics(self) -> dict[str, Any]:
        """What was asked of it since the last :meth:`reset_statistics`."""
        found: dict[str, Any] = self._get("/_sandbox/statistics")
        return found

    def reset_statistics(self) -> None:
        """Count from nothing."""
        self._post("/_sandbox/statistics/reset", {})

    def _get(self, path: str) -> Any:
        answer = requests.get(self.url + path, timeout=PATIENCE)
        assert answer.ok, answer.text
        return answer.json()

    def _post(self, path: str, document: Mapping[str, Any]) -> Any:
        answer = requests.post(self.url + path, json=document, timeout=PATIENCE)
        assert answer.ok, answer.text
        return answer.json()


@dataclass(frozen=True)
class Outcome:
    """A run of a job.

    Attributes:
        failures: step to what it says of its failure.
        counts: step to the counts in its materializations, added up over partitions.
    """

    success: bool
    failures: dict[str, str]
    counts: dict[str, dict[str, int]]
    checks: dict[str, bool]


class Mirrored(Protocol):
    """Whatever holds a mirror, to be compared with the server."""

    archive: Archive

    def rows(self, statement: sa.Select[Any]) -> list[sa.Row[Any]]:
        """The answer of a query."""


class Pipeline:
    """A mirror of the sandbox in one warehouse and one archive."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.settings = settings
        self.instance = instance
        self.defs = build_defs(settings)
        self.warehouse = Warehouse.open(settings.database_url)
        self.archive = Archive.from_uri(settings.archive_uri)

    @property
    def feed(self) -> FeedConfig:
        """The only feed."""
        return self.settings.feeds[FEED]

    def sync(self, *, allow_deletions: int = 0) -> Outcome:
        """The job that the schedule starts."""
        days = partitions.latest(self.feed, datetime.now(UTC))
        config = sync_config(FEED, allow_deletions=allow_deletions)
        return self._run(naming.sync_job(FEED), config, days)

    def members(self, *, allow_deletions: int = 0) -> Outcome:
        """The job for members and offices."""
        config = members_config(self.feed, allow_deletions=allow_deletions)
        return self._run(naming.members_job(FEED), config, None)

    def images(self) -> Outcome:
        """The job for photos."""
        return self._run(naming.images_job(FEED), {}, None)

    def addresses(self) -> Outcome:
        """The job for coordinates."""
        return self._run(naming.addresses_job(FEED), {}, None)

    def backfill(self, first: date, last: date) -> Outcome:
        """Fetch and load chosen days."""
        return self._run(naming.backfill_job(FEED), {}, DayRange(first, last))

    def replay(self, first: date, last: date) -> Outcome:
        """Load chosen days again from the archive."""
        return self._run(naming.replay_job(FEED), replay_config(FEED), DayRange(first, last))

    def every_day(self) -> tuple[date, date]:
        """The feed's first and last day."""
        return self.feed.first_day, datetime.now(UTC).date()

    def rows(self, statement: sa.Select[Any]) -> list[sa.Row[Any]]:
        """The answer of a query."""
        with self.warehouse.reading() as connection:
            return list(connection.execute(statement))

    def listing(self, key: str) -> sa.Row[Any] | None:
        """A live listing."""
        found = self.rows(sa.select(tables.property_).where(tables.property_.c.listing_key == key))
        return found[0] if found else None

    def ledger(self, key: str) -> sa.Row[Any] | None:
        """What the ledger says of a key."""
        table = ledgers.listing_sync
        found = self.rows(sa.select(table).where(table.c.listing_key == key))
        return found[0] if found else None

    def tombstones(self) -> set[str]:
        """Keys that are gone."""
        return {row.listing_key for row in self.rows(sa.select(ledgers.tombstone.c.listing_key))}

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table with listings in it, to see that nothing was touched."""
        names = (*tables.LISTING_TABLES, "member", "office", "other_phone", "social_media")
        found = {}
        for name in (*names, ledgers.listing_sync.name, ledgers.resource_sync.name):
            table = tables.named(name)
            rows = self.rows(sa.select(table).order_by(*table.primary_key.columns))
            found[name] = [tuple(row) for row in rows]
        return found

    def _run(self, job: str, config: Mapping[str, Any], days: DayRange | None) -> Outcome:
        result = self.defs.resolve_job_def(job).execute_in_process(
            run_config={**config, **QUIET},
            instance=self.instance,
            tags=partitions.range_tags(days) if days else None,
            raise_on_error=False,
        )
        failures: dict[str, str] = {}
        counts: dict[str, dict[str, int]] = {}
        for event in result.all_events:
            if event.is_step_failure:
                data = event.step_failure_data
                told = data.user_failure_data.description if data.user_failure_data else None
                failures[str(event.step_key)] = told or str(data.error)
            if event.is_step_materialization:
                numbers = counts.setdefault(str(event.asset_key.path[-1]), {})
                for name, value in event.step_materialization_data.materialization.metadata.items():
                    if name.startswith(("dagster/", "seconds_")):
                        continue
                    if isinstance(value, dg.IntMetadataValue) and value.value is not None:
                        numbers[name] = numbers.get(name, 0) + value.value
        checks = {item.check_name: item.passed for item in result.get_asset_check_evaluations()}
        return Outcome(result.success, failures, counts, checks)


def assert_equal_listings(pipeline: Mirrored, truth: Mapping[str, Any]) -> None:
    """Every listing, with what belongs to it, is as the server has it, and no other exists."""
    held = {row.listing_key: row for row in pipeline.rows(sa.select(tables.property_))}
    assert held.keys() == truth.keys()
    ledger = {row.listing_key: row for row in pipeline.rows(sa.select(ledgers.listing_sync))}
    assert ledger.keys() == truth.keys()
    children = {
        name: _by_listing(pipeline, name)
        for name in ("property_rooms", "media", "open_house", "property_member")
    }
    for key, expected in truth.items():
        row = held[key]
        assert ledger[key].payload_timestamp == _seconds(expected["last_updated"]), key
        # The row's own timestamp is that of its content: a mere touch moves the ledger's only.
        assert row.listing_id == expected["listing_id"]
        assert row.list_price == _decimal(expected["price"] or expected["lease"]), key
        assert row.city == expected["city"]
        assert row.state_or_province == expected["province"]
        assert row.postal_code == expected["postal_code"]
        assert row.public_remarks == expected["remarks"], key
        assert len(children["property_rooms"].get(key, [])) == expected["rooms"], key
        agents = sorted(children["property_member"].get(key, []), key=lambda item: item.order)
        assert [agent.member_key for agent in agents] == expected["agents"], key
        assert [agent.office_key for agent in agents] == expected["offices"], key
        starts = [
            item.open_house_start_local
            for item in children["open_house"].get(key, [])
            if item.livestream_open_house_url is None
        ]
        assert sorted(starts) == sorted(
            datetime.fromisoformat(item["start"]) for item in expected["open_houses"]
        ), key
        photos = {item.order: item for item in children["media"].get(key, [])}
        assert photos.keys() == {photo["sequence"] for photo in expected["photos"]}, key
        for photo in expected["photos"]:
            assert photos[photo["sequence"]].media_url.endswith(photo["paths"]["large"])


def assert_equal_images(pipeline: Mirrored, truth: Mapping[str, Any]) -> None:
    """Every photo's bytes are the server's, in their place."""
    media, file = tables.media, ledgers.media_file
    rows = pipeline.rows(
        sa.select(file, media.c.order)
        .outerjoin(
            media, sa.and_(media.c.feed == file.c.feed, media.c.media_key == file.c.media_key)
        )
        .where(file.c.resource_name == "Property")
    )
    expected = {
        (key, photo["sequence"]): photo["sha256"]["large"]
        for key, listing in truth.items()
        for photo in listing["photos"]
    }
    assert {(row.resource_record_key, row.order) for row in rows} == expected.keys()
    for row in rows:
        _assert_holds(pipeline, row, expected[row.resource_record_key, row.order])


def _assert_holds(pipeline: Mirrored, row: sa.Row[Any], sha256: str) -> None:
    """The row of an image, and its blob, are those of the bytes with that hash."""
    data = pipeline.archive.get(row.blob_key)
    assert hashlib.sha256(data).hexdigest() == row.content_hash == sha256
    assert row.bytes == len(data)


def assert_equal_images_of_people(
    pipeline: Mirrored, truth: Mapping[str, Mapping[str, Any]]
) -> None:
    """Every agent's photo and every office's logo is the server's; others have none.

    Listings may name offices that are gone: what is held of their logos nobody can tell.
    """
    file = ledgers.media_file
    expected = {
        MEMBERS.name: {
            key: told["photo"]["sha256"]["large"]
            for key, told in truth["members"].items()
            if told["photo"]
        },
        OFFICES.name: {
            key: told["logo_sha256"]
            for key, told in truth["offices"].items()
            if told["logo_sha256"]
        },
    }
    for resource in OTHERS:
        hashes = expected[resource.name]
        rows = pipeline.rows(sa.select(file).where(file.c.resource_name == resource.name))
        held = {row.resource_record_key: row for row in rows}
        live = truth[resource.kind].keys() & held.keys()
        assert live == hashes.keys()
        for key in live:
            _assert_holds(pipeline, held[key], hashes[key])
        table, gone = resource.table, held.keys() - live
        told = pipeline.rows(sa.select(table).where(table.c.observed_in == "Property"))
        assert gone <= {row._mapping[resource.key] for row in told}


def assert_located(pipeline: Mirrored) -> None:
    """Every listing has coordinates: its own, or those that its address has."""
    listings = pipeline.rows(sa.text("SELECT * FROM current_listings"))
    for row in listings:
        found = (row.located_latitude, row.located_longitude)
        assert None not in found, row.listing_key
        assert row.located_by is not None, row.listing_key
        if row.located_by == "payload":
            assert found == (row.latitude, row.longitude), row.listing_key
    seen = pipeline.rows(sa.select(ledgers.address_sync.c.listing_key))
    assert {row.listing_key for row in seen} == {row.listing_key for row in listings}


def assert_no_other_blobs(pipeline: Mirrored) -> None:
    """No blob exists that no row names."""
    blob = ledgers.media_file.c.blob_key
    held = sa.select(blob).where(blob.is_not(None))
    blobs = {stored.key for stored in pipeline.archive.list("images/")}
    assert blobs == {row.blob_key for row in pipeline.rows(held)}


def assert_no_orphans(pipeline: Mirrored) -> None:
    """Whatever belongs to a listing belongs to a live one."""
    live = {row.listing_key for row in pipeline.rows(sa.select(tables.property_.c.listing_key))}
    for name in tables.LISTING_TABLES:
        table = tables.named(name)
        found = {row.listing_key for row in pipeline.rows(sa.select(table.c.listing_key))}
        assert found <= live, name
    mentioned = pipeline.rows(sa.select(tables.property_member))
    for name, key in (("member", "member_key"), ("office", "office_key")):
        rows = pipeline.rows(sa.select(tables.named(name)))
        named = {getattr(row, key) for row in mentioned}
        assert {getattr(row, key) for row in rows if row.observed_in == "Property"} <= named
        assert named <= {getattr(row, key) for row in rows}


def days_ago(moment: datetime, days: int) -> date:
    """The UTC day so many days before."""
    return (moment - timedelta(days=days)).astimezone(UTC).date()


def _by_listing(pipeline: Mirrored, name: str) -> dict[str, list[sa.Row[Any]]]:
    found: dict[str, list[sa.Row[Any]]] = {}
    for row in pipeline.rows(sa.select(tables.named(name))):
        found.setdefault(row.listing_key, []).append(row)
    return found


def _seconds(text: str) -> datetime:
    """DDF tells whole seconds."""
    return datetime.fromisoformat(text).replace(microsecond=0)


def _decimal(text: str | None) -> Decimal | None:
    return Decimal(text) if text is not None else None
