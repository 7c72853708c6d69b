"""Listings as rows, small and invented.

What belongs here: what a parser would hand over, and pulls to hand it over by. What does not: XML.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import sqlalchemy as sa

from rets_pipeline.sources import master_list
from rets_pipeline.sources.base import ParsedListing, Problem
from rets_pipeline.warehouse import difference, pulls
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.load import Counts, Load, Refused
from rets_pipeline.warehouse.pulls import Kind, Pull

FEED = "board"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """So many minutes after the start of time."""
    return START + timedelta(minutes=minutes)


def holding(
    connection: sa.Connection, entries: Iterable[tuple[str, datetime | None]], size: int = 3
) -> AbstractContextManager[int]:
    """A master list of keys and timestamps, in the database as :func:`difference.loaded` does it.

    Args:
        size: entries of a batch.
    """
    groups = zip_longest(*[iter(entries)] * size)
    batches = (
        master_list.batch(*map(list, zip(*((*entry, "") for entry in group if entry), strict=True)))
        for group in groups
    )
    return difference.loaded(connection, batches)


def begin(
    connection: sa.Connection, minutes: float, *, kind: Kind = "listings", complete: bool = True
) -> Pull:
    """A pull that was requested then."""
    day = at(minutes).date() if kind == "listings" else None
    pull = pulls.begin(connection, FEED, kind, prefix=f"raw/{FEED}", day=day, now=at(minutes))
    if complete:
        pulls.complete(connection, pull, records=0, size=0, requests=1)
    return pull


def listing(
    key: str,
    content: str = "first",
    *,
    timestamp: datetime | None = START,
    price: int = 100,
    rooms: int = 2,
    agents: Sequence[str] = (),
    photos: Sequence[tuple[int, str]] = (),
    problems: Sequence[Problem] = (),
    **columns: Any,
) -> ParsedListing:
    """A listing; its content is in its remarks, and decides its hash.

    Args:
        agents: keys of its agents; each belongs to the office ``o<agent>``.
        photos: number and change token.
    """
    row = {"listing_key": key, "public_remarks": content, "list_price": Decimal(price), **columns}
    return ParsedListing(
        listing_key=key,
        payload_timestamp=timestamp,
        content_hash=f"hash of {content} {price}",
        rows={
            "property": [row],
            "property_rooms": [
                {"listing_key": key, "room_key": f"{key}_{n}", "room_type": content}
                for n in range(1, rooms + 1)
            ],
            "media": [
                {
                    "listing_key": key,
                    "media_key": f"{key}_{number}",
                    "order": number,
                    "change_token": token,
                    "media_url": f"http://127.0.0.1/{token}.jpg",
                }
                for number, token in photos
            ],
            "property_member": [
                {"listing_key": key, "order": order, "member_key": agent, "office_key": f"o{agent}"}
                for order, agent in enumerate(agents, 1)
            ],
            "member": [member(agent) for agent in agents],
            "office": [office(f"o{agent}") for agent in agents],
            "other_phone": [phone("Member", agent, f"555-{agent}") for agent in agents],
        },
        problems=list(problems),
    )


def member(key: str, name: str = "Ann Example", **columns: Any) -> dict[str, Any]:
    """An agent inside a listing."""
    return {"member_key": key, "member_full_name": name, "observed_in": "Property", **columns}


def office(key: str, name: str = "Example Realty", **columns: Any) -> dict[str, Any]:
    """An office inside a listing."""
    return {"office_key": key, "office_name": name, "observed_in": "Property", **columns}


def phone(resource: str, key: str, number: str, order: int = 1) -> dict[str, Any]:
    """A phone number of one of them."""
    return {
        "resource_name": resource,
        "resource_record_key": key,
        "order": order,
        "other_phone_number": number,
    }


def apply(
    warehouse: Warehouse,
    pull: Pull,
    listings: Sequence[ParsedListing],
    *,
    asked: Mapping[str, datetime | None] | None = None,
    refused: Sequence[Refused] = (),
    replay: bool = False,
    now: datetime | None = None,
) -> Counts:
    """Load a pull in a transaction of its own."""
    if asked is None:
        asked = {item.listing_key: item.payload_timestamp for item in listings}
    with warehouse.writing() as connection:
        load = Load(connection, pull, dict(asked), replay=replay, now=now or pull.requested_at)
        load.batch(listings, refused)
        return load.finish()


def pull_at(warehouse: Warehouse, minutes: float, *, kind: Kind = "listings") -> Pull:
    """A complete pull that was requested then, committed."""
    with warehouse.writing() as connection:
        return begin(connection, minutes, kind=kind)
