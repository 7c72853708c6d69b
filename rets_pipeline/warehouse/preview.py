"""A few rows for people to look at.

What belongs here: bounded queries for the preview and the map of new listings. What does not: how
they are shown. Nothing personal leaves here: no names, no numbers, no street.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from rets_pipeline.warehouse import bulk, history, tables
from rets_pipeline.warehouse.resources import LISTINGS, Resource

_KEYS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Preview:
    """What anybody may know of a listing.

    Attributes:
        thumbnail_url: of the first photo, on the server.
    """

    listing_key: str
    property_sub_type: str | None
    city: str | None
    state_or_province: str | None
    list_price: Decimal | None
    bedrooms_total: int | None
    bathrooms_total_integer: int | None
    photos_count: int | None
    thumbnail_url: str | None


@dataclass(frozen=True, slots=True)
class Point:
    """Where a listing stands, in degrees."""

    province: str | None
    latitude: float
    longitude: float


def newest(connection: sa.Connection, feed: str, limit: int) -> list[Preview]:
    """The listings that changed last at the source."""
    listing, photo = tables.property_, tables.media
    names = Preview.__dataclass_fields__.keys() - {"thumbnail_url"}
    first = (
        sa.select(photo.c.thumbnail_url)
        .where(
            photo.c.feed == listing.c.feed,
            photo.c.listing_key == listing.c.listing_key,
            photo.c.thumbnail_url.is_not(None),
        )
        .order_by(photo.c.order, photo.c.media_key)
        .limit(1)
        .scalar_subquery()
        .label("thumbnail_url")
    )
    rows = connection.execute(
        sa.select(*(listing.c[name] for name in names), first)
        .where(listing.c.feed == feed)
        .order_by(listing.c.modification_timestamp.desc(), listing.c.listing_key)
        .limit(limit)
    )
    return [Preview(**row._mapping) for row in rows]


def columns_of_newest(
    connection: sa.Connection, feed: str, columns: Sequence[str], limit: int
) -> list[sa.Row[Any]]:
    """Columns of the listings that changed last at the source."""
    table = tables.property_
    return list(
        connection.execute(
            sa.select(*(table.c[name] for name in columns))
            .where(table.c.feed == feed)
            .order_by(table.c.modification_timestamp.desc())
            .limit(limit)
        )
    )


def rows_of(connection: sa.Connection, feed: str, resource: Resource) -> int:
    """How many rows a resource has."""
    table = resource.table
    return connection.execute(
        sa.select(sa.func.count()).select_from(table).where(resource.rows_in(table, feed))
    ).scalar_one()


def points(connection: sa.Connection, feed: str, limit: int) -> list[Point]:
    """Where some of the listings stand, whichever the database finds first."""
    table = tables.property_
    query = sa.select(table.c.state_or_province, table.c.latitude, table.c.longitude)
    located = (table.c.latitude.is_not(None), table.c.longitude.is_not(None))
    rows = connection.execute(query.where(table.c.feed == feed, *located).limit(limit))
    return [_point(*row) for row in rows]


def new_points(
    connection: sa.Connection, feed: str, pull_id: str, keys: Sequence[str]
) -> list[Point]:
    """Where those listings stand that a pull brought for the first time.

    Args:
        pull_id: of the pull.
        keys: that it asked for.
    """
    listing, entry = tables.property_, tables.history_transactional
    found = []
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        some = keys[start : start + _KEYS_AT_ONCE]
        rows = connection.execute(
            sa.select(listing.c.state_or_province, listing.c.latitude, listing.c.longitude)
            .join(
                entry,
                sa.and_(
                    entry.c.feed == listing.c.feed,
                    entry.c.resource_name == LISTINGS.name,
                    entry.c.resource_record_key == listing.c.listing_key,
                ),
            )
            .where(
                listing.c.feed == feed,
                bulk.among(connection, listing.c.listing_key, some),
                listing.c.latitude.is_not(None),
                listing.c.longitude.is_not(None),
                entry.c.change_type == history.NEW,
                entry.c.pull_id == pull_id,
            )
        )
        found += [_point(*row) for row in rows]
    return found


def _point(province: str | None, latitude: Decimal, longitude: Decimal) -> Point:
    return Point(province, float(latitude), float(longitude))
