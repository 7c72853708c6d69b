"""Views, for people who write SQL.

What belongs here: the queries of views, in words that every database understands. What does not:
making them (the revisions in ``migrations``), and queries of our own: nothing of ours reads a view.

A revision that changes a table drops the views on it first and makes them again.
"""

from __future__ import annotations

import textwrap

from rets_pipeline.warehouse.addresses import seen
from rets_pipeline.warehouse.tables import property_

#: no address run has refused them
_PAYLOAD = "COALESCE(l.payload_coordinates, 'accepted') = 'accepted'"


def _current_listings() -> str:
    names = ", ".join(f"p.{column.name}" for column in property_.columns)
    columns = textwrap.fill(names, 90, initial_indent="    ", subsequent_indent="    ")
    return f"""
SELECT
{columns},
    a.member_full_name AS list_agent_full_name,
    o.office_name AS list_office_name,
    CASE
        WHEN {_PAYLOAD} THEN p.latitude
        ELSE g.latitude
    END AS located_latitude,
    CASE
        WHEN {_PAYLOAD} THEN p.longitude
        ELSE g.longitude
    END AS located_longitude,
    CASE
        WHEN NOT {_PAYLOAD} THEN g.provider
        WHEN p.latitude IS NOT NULL THEN 'payload'
    END AS located_by,
    g.precision AS located_precision,
    i.media_key AS first_image_media_key,
    i.media_url AS first_image_url,
    COALESCE(
        (
            SELECT f.blob_key FROM media_file f
            WHERE f.feed = i.feed AND f.resource_name = 'Property'
                AND f.resource_record_key = i.listing_key AND f.media_key = i.media_key
                AND f.blob_key IS NOT NULL AND f.held_token = i.change_token
            ORDER BY CASE f.size WHEN 'large' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END LIMIT 1
        ),
        (
            SELECT f.blob_key FROM media_file f
            WHERE f.feed = i.feed AND f.resource_name = 'Property'
                AND f.resource_record_key = i.listing_key AND f.media_key = i.media_key
                AND f.blob_key IS NOT NULL
            ORDER BY CASE f.size WHEN 'large' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END LIMIT 1
        )
    ) AS first_image_blob_key
FROM property p
LEFT JOIN member a ON a.feed = p.feed AND a.member_key = p.list_agent_key
LEFT JOIN office o ON o.feed = p.feed AND o.office_key = p.list_office_key
LEFT JOIN address_sync l ON l.feed = p.feed AND l.listing_key = p.listing_key
    AND l.seen = {seen("p")}
LEFT JOIN geocode g ON g.address_hash = l.address_hash
    AND NOT {_PAYLOAD}
LEFT JOIN media i ON i.feed = p.feed AND i.media_key = (
    SELECT m.media_key FROM media m
    WHERE m.feed = p.feed AND m.listing_key = p.listing_key
    ORDER BY CASE WHEN m."order" IS NULL THEN 2 ELSE 1 END, m."order", m.media_key
    LIMIT 1
)
"""  # noqa: S608


_HELD = """f.size, f.width, f.height, f.content_type, f.bytes,
    f.content_hash, f.blob_key, b.base_url || f.blob_key AS media_url_mirror"""

_LISTING_PHOTOS = f"""
SELECT
    m.feed, m.listing_key, m.media_key, m."order", m.preferred_photo_yn, m.long_description,
    m.media_modification_timestamp, {_HELD},
    CASE WHEN f.held_token = m.change_token THEN 1 ELSE 0 END AS is_current
FROM media m
JOIN media_file f ON f.feed = m.feed AND f.resource_name = 'Property'
    AND f.resource_record_key = m.listing_key AND f.media_key = m.media_key
    AND f.blob_key IS NOT NULL
LEFT JOIN media_base_url b ON b.feed = m.feed
"""  # noqa: S608


def _images_of(table: str, key: str, token: str, resource_name: str) -> str:
    """Of members or offices, which have one image each."""
    return f"""
SELECT
    r.feed, r.{key}, {_HELD},
    CASE WHEN f.held_token = r.{token} THEN 1 ELSE 0 END AS is_current
FROM {table} r
JOIN media_file f ON f.feed = r.feed AND f.resource_name = '{resource_name}'
    AND f.resource_record_key = r.{key} AND f.media_key = r.{key}
    AND f.blob_key IS NOT NULL
LEFT JOIN media_base_url b ON b.feed = r.feed
"""  # noqa: S608


#: By name. ``current_listings``: each listing with its list agent, its list office, where it is (by
#: its payload, or else by the best answer of a geocoder for the address that it has now), and its
#: first image: the address that the payload names, and the key of the blob that is held of it: that
#: of the image as it is now or else as it was, the large one or else the next smaller.
#: ``listing_photos``: each photo that is held, in each size, with its place, its size in pixels and
#: the address that a website shows (``photos.base_url``); `is_current` is 0 while the payload names
#: a newer version. ``member_photos`` and ``office_logos``: the same of members and offices.
VIEWS: dict[str, str] = {
    "current_listings": _current_listings(),
    "listing_photos": _LISTING_PHOTOS,
    "member_photos": _images_of("member", "member_key", "photo_change_token", "Member"),
    "office_logos": _images_of("office", "office_key", "logo_change_token", "Office"),
}
