"""``rets-pipeline demo``: a whole mirror in a minute, verified against the server's truth.

What belongs here: the story that the demo tells. What does not: anything that a real feed needs.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa
from rich.console import Console

from rets_pipeline.archive import Archive
from rets_pipeline.commands import status
from rets_pipeline.commands.faults import DemoFailed
from rets_pipeline.commands.report import tell
from rets_pipeline.commands.sandbox_process import ACCOUNT, World, running
from rets_pipeline.settings import FeedConfig, Settings, SettingsError
from rets_pipeline.warehouse import ledgers, tables
from rets_pipeline.warehouse.addresses import located
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.resources import LISTINGS, MEMBERS, OFFICES, Resource

FEED = "sandbox"
_DAYS_AGED = 3
_TIMEOUT = 60
#: what the demo may delete in the project's home: what it and runs on it have made
_MADE = ("warehouse.sqlite*", "archive", "dagster", "demo.json")


def demo(console: Console, world: World) -> None:
    """Sync an empty warehouse, age the server three days with a sync after each, verify each time.

    Raises:
        DemoFailed: the mirror differs from the server.
        SettingsError: the project's home holds something that no demo made.
        SandboxError: the sandbox did not start.
        RunFailed: a run failed.
    """
    settings = _settings(world)
    _clear(settings.home)
    feed = settings.feed(FEED)
    with running(world):
        console.print(
            f"[bold]A DDF server[/] with {world.listings} invented listings answers on {world.url}"
        )
        (settings.home / "demo.json").write_text(json.dumps(asdict(world)), encoding="utf-8")
        _step(console, settings, feed, world, "an empty warehouse")
        for day in range(1, _DAYS_AGED + 1):
            done = _advance(world)
            aged = World(**{**asdict(world), "advance": day})
            (settings.home / "demo.json").write_text(json.dumps(asdict(aged)), encoding="utf-8")
            _step(console, settings, feed, world, f"day {day}: the server {_told(done)}")
        warehouse = Warehouse.open(settings.database_url)
        console.print()
        console.print(status.table(warehouse, [feed]))
        warehouse.close()
    _farewell(console, settings)


def last_world(home: Path) -> World | None:
    """The sandbox that the last demo on this home left, as it was at its end."""
    try:
        return World(**json.loads((home / "demo.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _settings(world: World) -> Settings:
    """The embedded default, whatever the environment says of databases and buckets."""
    for name in ("DATABASE_URL", "ARCHIVE_URI", "DAGSTER_HOME"):
        os.environ.pop(name, None)
    os.environ.update({**ACCOUNT, "SANDBOX_LOGIN_URL": world.login_url})
    settings = Settings.from_env()
    if FEED not in settings.feeds:
        raise SettingsError(f"the demo needs the feed {FEED!r} that feeds.yaml was shipped with")
    return settings


def _clear(home: Path) -> None:
    """Start from nothing, but delete only what an earlier demo made."""
    ours = {FEED} if (home / "demo.json").is_file() else set()
    others = sorted(_held(home) - ours)
    if others:
        raise SettingsError(
            f"{home} holds what no demo made ({', '.join(others)}); set RETS_PIPELINE_HOME to "
            "another folder"
        )
    for path in [path for pattern in _MADE for path in home.glob(pattern)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    home.mkdir(parents=True, exist_ok=True)


def _held(home: Path) -> set[str]:
    """What would be missed: feeds with data, and what is not known. Empty tables are not."""
    archive, database = home / "archive", home / "warehouse.sqlite"
    kinds = ("raw", "images", "metadata")
    found = {path.name for kind in kinds for path in (archive / kind).glob("*")}
    found |= {path.name for path in archive.glob("*") if path.name not in kinds}
    if database.is_file():
        found |= _feeds_in(database)
    if not found and any((home / "dagster" / "history" / "runs").glob("*-*.db")):
        found.add("runs")  # of feeds whose data is elsewhere
    return found


def _feeds_in(database: Path) -> set[str]:
    engine = sa.create_engine(f"sqlite:///{database}")
    try:
        if not sa.inspect(engine).has_table(ledgers.pull.name):
            return set()
        with engine.connect() as connection:
            return set(connection.scalars(sa.select(ledgers.pull.c.feed).distinct()))
    except sa.exc.DBAPIError:
        return {database.name}
    finally:
        engine.dispose()


def _step(console: Console, settings: Settings, feed: FeedConfig, world: World, title: str) -> None:
    from rets_pipeline.commands import runs  # not before the demo may begin: it imports Dagster

    console.print(f"\n[bold]{title}[/]", soft_wrap=True)
    started = time.monotonic()
    finished = (
        runs.sync(settings, feed, console),
        runs.members(settings, feed, console),
        runs.images(settings, feed, console),
        runs.addresses(settings, feed, console),
    )
    seconds = time.monotonic() - started
    tell(console, *finished, indent="  ")
    truth = _get(world, "/_sandbox/truth?images=large&people_images=large")
    differences = list(compare(settings, truth))
    if differences:
        raise DemoFailed(f"{len(differences)} differences from the server: {differences[0]}")
    photos = sum(len(listing["photos"]) for listing in truth["listings"].values())
    photos += len(_photos(truth["agents"]))
    logos = len(_logos(truth["offices"]))
    console.print(
        f"  [green]verified[/]     {len(truth['listings']):,} listings, {len(truth['agents']):,} "
        f"agents, {len(truth['offices']):,} offices and the SHA-256 of {photos:,} photos and "
        f"{logos:,} logos: equal to the server's; every listing has coordinates  "
        f"[dim]({seconds:.1f} s)[/]",
        soft_wrap=True,
    )


def compare(settings: Settings, truth: dict[str, Any]) -> Iterator[str]:
    """Where the mirror and the server's truth differ, in plain words."""
    warehouse = Warehouse.open(settings.database_url)
    archive = Archive.from_uri(settings.archive_uri)
    try:
        with warehouse.reading() as connection:
            yield from _compare_listings(connection, truth["listings"])
            yield from _compare_people(connection, MEMBERS, truth["agents"])
            yield from _compare_people(connection, OFFICES, truth["offices"])
            yield from _compare_images(connection, archive, truth["listings"])
            yield from _compare_images_of(connection, archive, MEMBERS, _photos(truth["agents"]))
            yield from _compare_images_of(connection, archive, OFFICES, _logos(truth["offices"]))
            yield from _compare_coordinates(connection)
    finally:
        warehouse.close()


def _compare_listings(connection: sa.Connection, truth: dict[str, Any]) -> Iterator[str]:
    listing, sync = tables.property_, ledgers.listing_sync
    rows = connection.execute(
        sa.select(listing.c.listing_key, listing.c.list_price, sync.c.payload_timestamp)
        .outerjoin(
            sync,
            sa.and_(sync.c.feed == listing.c.feed, sync.c.listing_key == listing.c.listing_key),
        )
        .where(listing.c.feed == FEED)
    )
    held = {row.listing_key: (row.payload_timestamp, row.list_price) for row in rows}
    for key in sorted(truth.keys() ^ held.keys()):
        yield f"listing {key} is {'missing' if key in truth else 'gone on the server'}"
    for key in sorted(truth.keys() & held.keys()):
        price = truth[key]["price"] or truth[key]["lease"]
        expected = (
            datetime.fromisoformat(truth[key]["last_updated"]).replace(microsecond=0),
            Decimal(price) if price is not None else None,
        )
        if held[key] != expected:
            yield f"listing {key}: {held[key]} instead of {expected}"


def _compare_people(
    connection: sa.Connection, resource: Resource, truth: dict[str, Any]
) -> Iterator[str]:
    """By name, phone numbers and time; the names in the truth are the sandbox's own."""
    table, ledger, phone = resource.table, resource.ledger, tables.other_phone
    name = table.c.member_full_name if resource is MEMBERS else table.c.office_name
    key = resource.key_in(table)
    phones: dict[str, list[str]] = {}
    query = sa.select(phone.c.resource_record_key, phone.c.other_phone_number)
    for row in connection.execute(query.where(resource.rows_in(phone, FEED)).order_by("order")):
        phones.setdefault(row.resource_record_key, []).append(row.other_phone_number)
    rows = connection.execute(
        sa.select(key.label("record_key"), name.label("name"), ledger.c.payload_timestamp)
        .join(ledger, sa.and_(resource.rows_in(ledger, FEED), resource.key_in(ledger) == key))
        .where(resource.rows_in(table, FEED))
    )
    held = {
        row.record_key: (row.payload_timestamp, row.name, phones.get(row.record_key, []))
        for row in rows
    }
    for one in sorted(truth.keys() ^ held.keys()):
        yield f"{resource.name} {one} is {'missing' if one in truth else 'gone on the server'}"
    for one in sorted(truth.keys() & held.keys()):
        told = truth[one]
        expected = (
            datetime.fromisoformat(told["last_updated"]).replace(microsecond=0),
            told["name"],
            [item["number"] for item in told["phones"]],
        )
        if held[one] != expected:
            yield f"{resource.name} {one}: {held[one]} instead of {expected}"


def _compare_images(
    connection: sa.Connection, archive: Archive, truth: dict[str, Any]
) -> Iterator[str]:
    file, media = ledgers.media_file, tables.media
    rows = connection.execute(
        sa.select(media.c.listing_key, media.c.order, file.c.blob_key)
        .join(
            media,
            sa.and_(media.c.feed == file.c.feed, media.c.media_key == file.c.media_key),
        )
        .where(LISTINGS.rows_in(file, FEED), file.c.state == "stored")
    )
    held = {(row.listing_key, row.order): row.blob_key for row in rows}
    expected = {
        (key, photo["sequence"]): photo["sha256"]["large"]
        for key, listing in truth.items()
        for photo in listing["photos"]
    }
    for key, sequence in sorted(expected.keys() ^ held.keys()):
        yield f"photo {sequence} of listing {key} is stored or named, not both"
    for place in sorted(expected.keys() & held.keys()):
        if hashlib.sha256(archive.get(held[place])).hexdigest() != expected[place]:
            yield f"photo {place[1]} of listing {place[0]} has other bytes than the server's"


def _photos(agents: dict[str, Any]) -> dict[str, str]:
    """The hashes of the agents' large photos."""
    return {
        key: agent["photo"]["sha256"]["large"] for key, agent in agents.items() if agent["photo"]
    }


def _logos(offices: dict[str, Any]) -> dict[str, str]:
    return {key: one["logo_sha256"] for key, one in offices.items() if one["logo_sha256"]}


def _compare_images_of(
    connection: sa.Connection, archive: Archive, resource: Resource, expected: dict[str, str]
) -> Iterator[str]:
    """Of those that their own search tells of; listings may name more, as they were."""
    file, table = ledgers.media_file, resource.table
    key = resource.key_in(table)
    rows = connection.execute(
        sa.select(key.label("record_key"), file.c.blob_key)
        .join(
            file,
            sa.and_(resource.rows_in(file, FEED), file.c.resource_record_key == key),
        )
        .where(resource.rows_in(table, FEED), file.c.state == "stored")
    )
    held = {row.record_key: row.blob_key for row in rows}
    for one in sorted(expected.keys() ^ held.keys()):
        yield f"the image of {resource.name} {one} is stored or named, not both"
    for one in sorted(expected.keys() & held.keys()):
        if hashlib.sha256(archive.get(held[one])).hexdigest() != expected[one]:
            yield f"the image of {resource.name} {one} has other bytes than the server's"


def _compare_coordinates(connection: sa.Connection) -> Iterator[str]:
    """Every listing has some: the server's towns and postal areas are real."""
    found = located(connection, FEED)
    lacking = found.listings - found.by_payload - found.by_geocoder
    if lacking:
        yield f"{lacking} listings have no coordinates"


def _told(done: dict[str, Any]) -> str:
    listings = ", ".join(
        f"{len(keys)} {kind.replace('_', ' ')}" for kind, keys in done["changes"].items() if keys
    )
    people = [f"{sum(map(len, done[who].values()))} {who}" for who in ("agents", "offices")]
    return f"{listings}; changes of {' and '.join(people)}"


def _advance(world: World) -> dict[str, Any]:
    answer = requests.post(f"{world.url}/_sandbox/advance?days=1", timeout=_TIMEOUT)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def _get(world: World, path: str) -> Any:
    answer = requests.get(world.url + path, timeout=_TIMEOUT)
    answer.raise_for_status()
    return answer.json()


def _farewell(console: Console, settings: Settings) -> None:
    try:
        home = settings.home.relative_to(Path.cwd())
    except ValueError:
        home = settings.home
    console.print(
        f"\n[bold green]Done.[/] The tables are in {home}/warehouse.sqlite, pulls and photos in "
        f"{home}/archive.\n"
        "[bold]make dev[/] opens the Dagster UI on them, with the server running again; "
        "[bold].venv/bin/rets-pipeline --help[/] shows the rest."
    )
