"""Where payloads name images: the photos of listings and of members, the logos of offices.

What belongs here: the tables and columns that name them, and which sizes each resource has. What
does not: what is held of them (``media``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from rets_pipeline.warehouse import tables
from rets_pipeline.warehouse.resources import LISTINGS, MEMBERS, OFFICES, Resource

#: every size, the smallest first
SIZES = ("thumbnail", "medium", "large")


@dataclass(frozen=True, slots=True)
class NamedImages:
    """The columns that name the images of one resource.

    Attributes:
        table: a row for each image.
        record_key: whose image it is.
        media_key: of the image; the record's own where a record has one image only.
        changes_with: what changes when the bytes do.
        urls: the column of each size.
        order: of the image among its record's; None: a record has one only.
        folder: of the blobs, below that of the feed; empty: the feed's own.
    """

    table: sa.Table
    record_key: str
    media_key: str
    changes_with: str
    urls: Mapping[str, str]
    order: str | None
    folder: str

    def sizes(self, chosen: Sequence[str]) -> tuple[str, ...]:
        """Those of the chosen sizes that there are; if there are none of them, the largest.

        An office's logo comes in one size, whatever a feed wants of photos.
        """
        found = tuple(size for size in chosen if size in self.urls)
        return found or (max(self.urls, key=SIZES.index),)

    def tokens(self, feed: str) -> sa.Select[Any]:
        """Which image is named with which token, a row for each, whatever its sizes.

        Its columns are ``record_key``, ``media_key``, ``change_token`` and ``order``.
        """
        columns = self.table.c
        order = sa.null() if self.order is None else columns[self.order]
        images = sa.select(
            columns[self.record_key].label("record_key"),
            columns[self.media_key].label("media_key"),
            columns[self.changes_with].label("change_token"),
            sa.type_coerce(order, sa.Integer).label("order"),
        ).where(columns.feed == feed)
        if self.order is None:  # not every record has its image
            images = images.where(
                sa.or_(*(columns[url].is_not(None) for url in self.urls.values()))
            )
        return images

    def query(self, feed: str, chosen: Sequence[str]) -> sa.CompoundSelect[Any] | sa.Select[Any]:
        """Every image that payloads name, a row for each size, with its ``size`` and ``url``.

        One of which they name no address at all may be had by GetObject, in every size.
        """
        columns = self.table.c
        no_address = sa.and_(*(columns[url].is_(None) for url in self.urls.values()))
        parts = [
            self.tokens(feed)
            .add_columns(sa.literal(size).label("size"), columns[self.urls[size]].label("url"))
            .where(sa.or_(columns[self.urls[size]].is_not(None), no_address))
            for size in self.sizes(chosen)
        ]
        return parts[0] if len(parts) == 1 else sa.union_all(*parts)


_OF: Mapping[str, NamedImages] = {
    LISTINGS.name: NamedImages(
        table=tables.media,
        record_key="listing_key",
        media_key="media_key",
        changes_with="change_token",
        urls={"thumbnail": "thumbnail_url", "medium": "medium_url", "large": "media_url"},
        order="order",
        folder="",
    ),
    MEMBERS.name: NamedImages(
        table=tables.member,
        record_key="member_key",
        media_key="member_key",
        changes_with="photo_change_token",
        urls={"thumbnail": "photo_thumbnail_url", "large": "photo_url"},
        order=None,
        folder=f"{MEMBERS.kind}/",
    ),
    OFFICES.name: NamedImages(
        table=tables.office,
        record_key="office_key",
        media_key="office_key",
        changes_with="logo_change_token",
        urls={"thumbnail": "logo_url"},
        order=None,
        folder=f"{OFFICES.kind}/",
    ),
}


def named_images(resource: Resource) -> NamedImages:
    """Where the payloads of a resource name its images."""
    return _OF[resource.name]
