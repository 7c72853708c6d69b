"""The ledger of images.

What belongs here: what the payloads name and ``media_file`` lacks, and the statements that write
there. What does not: which columns name images (``named_images``), downloads and blobs.

An image is right when its bytes are stored under the change token that the payload names now.
The images of listings, members and offices lie apart: what is said of a record's images is said of
one resource's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from rets_pipeline.warehouse import bulk, ledgers
from rets_pipeline.warehouse.named_images import named_images
from rets_pipeline.warehouse.resources import LISTINGS, Resource

#: images named in one statement; databases limit its parameters
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image that the payload names and that is not held as it is now.

    Attributes:
        record_key: of the listing, the member or the office.
        url: None when the payload names no address of the photo, in no size.
        change_token: the payload's, now.
        attempts: made so far under this token.
        order: of the photo among its listing's, by which GetObject knows it.
        resource_name: Property, Member or Office.
    """

    record_key: str
    media_key: str
    size: str
    url: str | None
    change_token: str
    attempts: int
    order: int | None = field(default=None, compare=False)
    resource_name: str = LISTINGS.name

    @property
    def listing_key(self) -> str:
        """Of a listing's photo: its listing, by which GetObject knows it."""
        return self.record_key


#: a row of ``media_file``, without its feed
FileRow = dict[str, Any]

#: what a row tells of the bytes it names; NULL as long as there are none
_OF_BYTES = (
    "held_token",
    "blob_key",
    "content_hash",
    "content_type",
    "bytes",
    "width",
    "height",
    "source_url",
    "etag",
    "last_modified",
    "stored_at",
)


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes in the archive under a token.

    Attributes:
        held_token: theirs; the payload may name another one by now.
        row: what ``media_file`` says of the bytes: columns that may be copied to another row.
    """

    media_key: str
    size: str
    held_token: str
    content_hash: str
    row: FileRow


def row_of(image: Wanted, **values: Any) -> FileRow:
    """A row of ``media_file`` for an image as its payload names it now.

    Args:
        values: ``state`` and what else is known; of bytes nothing without it.
    """
    if values["state"] == "stored":
        values["held_token"] = image.change_token
    return {
        "resource_name": image.resource_name,
        "resource_record_key": image.record_key,
        "media_key": image.media_key,
        "size": image.size,
        "change_token": image.change_token,
        **dict.fromkeys(_OF_BYTES),
        "attempts": 0,
        "next_attempt": None,
        "reason": None,
        **values,
    }


def wanted(
    connection: sa.Connection,
    feed: str,
    sizes: Sequence[str],
    now: datetime,
    limit: int,
    resource: Resource = LISTINGS,
    *,
    beyond: str | None = None,
) -> list[Wanted]:
    """Images to fetch now, those of a record together.

    Args:
        connection: in a transaction or not.
        feed: its name.
        sizes: of photos that the feed mirrors.
        now: failed attempts that are due by then are repeated; a new token is due at once.
        limit: the most to return.
        resource: whose images.
        beyond: only of records that come behind this one.
    """
    query = _lacking(feed, sizes, now, resource)
    if beyond is not None:
        query = query.where(query.selected_columns.record_key > beyond)
    rows = connection.execute(query.limit(limit))
    return [
        Wanted(
            row.record_key,
            row.media_key,
            row.size,
            row.url,
            row.change_token,
            row.attempts,
            row.order,
            resource.name,
        )
        for row in rows
    ]


def lacking_or_unnamed(
    connection: sa.Connection,
    feed: str,
    sizes: Sequence[str],
    now: datetime,
    limit: int,
    resource: Resource = LISTINGS,
) -> int:
    """How many images :func:`wanted` and :func:`remove_unnamed` would find, up to a limit each."""
    found = 0
    lacking = _lacking(feed, sizes, now, resource).order_by(None)
    for query in (lacking, _unnamed(feed, sizes, resource)):
        bounded = query.limit(limit).subquery()
        found += connection.execute(sa.select(sa.func.count()).select_from(bounded)).scalar_one()
    return found


@dataclass(frozen=True, slots=True)
class Completeness:
    """Images that payloads name, by what is held of them.

    Attributes:
        older: of those that are not stored as they are now, how many are held as they were: those
            a website shows meanwhile.
    """

    named: int
    stored: int
    absent: int
    failed: int
    older: int = 0

    @property
    def pending(self) -> int:
        """Named, and neither stored as they are now nor known to be absent or failing."""
        return self.named - self.stored - self.absent - self.failed


def completeness(
    connection: sa.Connection, feed: str, sizes: Sequence[str], resource: Resource = LISTINGS
) -> Completeness:
    """Count a resource's images by state; a state under another token does not count."""
    named = named_images(resource).query(feed, sizes).subquery()
    file = ledgers.media_file
    same_token = file.c.change_token == named.c.change_token
    state = sa.case((same_token, file.c.state), else_="pending").label("state")
    is_older = sa.and_(file.c.blob_key.is_not(None), file.c.held_token != named.c.change_token)
    rows = connection.execute(
        sa.select(
            state,
            sa.func.count().label("images"),
            sa.func.sum(sa.case((is_older, 1), else_=0)).label("older"),
        )
        .select_from(named.outerjoin(file, sa.and_(*_same_image(named, feed, resource))))
        .group_by(state)
    ).all()
    counts: dict[str, int] = {row.state: row.images for row in rows}
    return Completeness(
        named=sum(counts.values()),
        stored=counts.get("stored", 0),
        absent=counts.get("absent", 0),
        failed=counts.get("failed", 0),
        older=sum(row.older for row in rows),
    )


def reasons(
    connection: sa.Connection, feed: str, resource: Resource | None = None, *, most: int = 10
) -> dict[str, int]:
    """Why images are not held, the commonest reasons first, with the number of images.

    Args:
        connection: in a transaction or not.
        feed: its name.
        resource: whose images; None: all.
        most: reasons.
    """
    file = ledgers.media_file
    found: Counter[str] = Counter()
    of_feed = file.c.feed == feed if resource is None else resource.rows_in(file, feed)
    rows = connection.execute(
        sa.select(file.c.reason, sa.func.count().label("images"))
        .where(of_feed, file.c.state.in_(("absent", "failed", "vanished")))
        .group_by(file.c.reason)
        .execution_options(yield_per=5_000)  # nearly as many as images, since each names its place
    )
    for row in rows:
        # What stands before the colon is the image's own place.
        found[(row.reason or "").rpartition(": ")[2]] += row.images
    return dict(found.most_common(most))


def held(
    connection: sa.Connection,
    feed: str,
    record_keys: Sequence[str],
    resource: Resource = LISTINGS,
) -> dict[str, list[Held]]:
    """What is stored of those records."""
    file = ledgers.media_file
    rows = connection.execute(
        sa.select(file)
        .where(
            resource.rows_in(file, feed),
            resource.key_in(file).in_(record_keys),
            file.c.blob_key.is_not(None),
        )
        .order_by(file.c.media_key)
    )
    found: dict[str, list[Held]] = {}
    for row in rows:
        found.setdefault(row.resource_record_key, []).append(
            Held(
                row.media_key,
                row.size,
                row.held_token,
                row.content_hash,
                {name: row._mapping[name] for name in _OF_BYTES},
            )
        )
    return found


def names(
    connection: sa.Connection,
    feed: str,
    record_keys: Sequence[str],
    resource: Resource = LISTINGS,
) -> Counter[tuple[str, str]]:
    """How many images the payloads name with each record's key and change token."""
    where = named_images(resource)
    named = where.tokens(feed).where(where.table.c[where.record_key].in_(record_keys)).subquery()
    rows = connection.execute(
        sa.select(
            named.c.record_key, named.c.change_token, sa.func.count().label("images")
        ).group_by(named.c.record_key, named.c.change_token)
    )
    return Counter({(row.record_key, row.change_token): row.images for row in rows})


def record(
    connection: sa.Connection,
    feed: str,
    rows: Sequence[FileRow],
    resource: Resource = LISTINGS,
) -> list[str]:
    """Write rows of ``media_file``, each only while the payload still names image and token.

    Args:
        connection: in a transaction.
        feed: its name.
        rows: all columns but ``feed``, each image once. What was held in the place of a row goes,
            unless the row still names it.
        resource: whose images all of them are.

    Returns:
        Blob keys whose row was not written because the payload has moved on, and those that
        were replaced. Some may still be in use: ask :func:`unused`.
    """
    if not rows:
        return []
    file, where = ledgers.media_file, named_images(resource)
    keys = sorted({row["media_key"] for row in rows})
    key = where.table.c[where.media_key]
    current = {
        (row.record_key, row.media_key): row.change_token
        for row in connection.execute(
            where.tokens(feed)
            .where(bulk.among(connection, key, keys))
            .order_by(key)
            # None may go meanwhile; other columns may change (which pull told of an office, say).
            .with_for_update(read=True, key_share=True)
        )
    }
    before = {
        (row.resource_record_key, row.media_key, row.size): row.blob_key
        for row in connection.execute(
            sa.select(
                file.c.resource_record_key, file.c.media_key, file.c.size, file.c.blob_key
            ).where(
                resource.rows_in(file, feed),
                bulk.among(connection, file.c.resource_record_key, _records(rows)),
                bulk.among(connection, file.c.media_key, keys),
            )
        )
    }
    loose: list[str | None] = []
    valid: list[FileRow] = []
    for row in rows:
        image = (row["resource_record_key"], row["media_key"])
        if image in current and current[image] == row["change_token"]:
            valid.append({"feed": feed, **row})
            loose.append(before.get((*image, row["size"])))
        else:
            loose.append(row["blob_key"])
    bulk.upsert(connection, file, valid)
    return [key for key in loose if key is not None]


def _records(rows: Iterable[FileRow]) -> list[str]:
    return sorted({row["resource_record_key"] for row in rows})


def note_base_url(connection: sa.Connection, feed: str, base_url: str | None) -> None:
    """Let the view of photos name addresses below this one, or none."""
    table = ledgers.media_base_url
    if base_url is None:
        connection.execute(sa.delete(table).where(table.c.feed == feed))
    else:
        bulk.upsert(connection, table, [{"feed": feed, "base_url": base_url}])


def remove_unnamed(
    connection: sa.Connection,
    feed: str,
    sizes: Sequence[str],
    limit: int,
    resource: Resource = LISTINGS,
) -> tuple[int, list[str]]:
    """Remove rows of images that no payload names any more.

    Returns:
        How many, and their blob keys, of which some may be in use by another row.
    """
    file = ledgers.media_file
    rows = connection.execute(_unnamed(feed, sizes, resource).limit(limit)).all()
    identity = sa.tuple_(file.c.resource_record_key, file.c.media_key, file.c.size)
    for start in range(0, len(rows), _AT_ONCE):
        some = [
            (row.resource_record_key, row.media_key, row.size)
            for row in rows[start : start + _AT_ONCE]
        ]
        connection.execute(sa.delete(file).where(resource.rows_in(file, feed), identity.in_(some)))
    return len(rows), [row.blob_key for row in rows if row.blob_key is not None]


def unused(connection: sa.Connection, feed: str, blob_keys: Iterable[str]) -> list[str]:
    """Those of the blobs that no row refers to."""
    keys = sorted(set(blob_keys))
    file = ledgers.media_file
    used: set[str] = set()
    for start in range(0, len(keys), _AT_ONCE):
        used.update(
            connection.execute(
                sa.select(file.c.blob_key).where(
                    file.c.feed == feed, file.c.blob_key.in_(keys[start : start + _AT_ONCE])
                )
            ).scalars()
        )
    return [key for key in keys if key not in used]


def make_due(
    connection: sa.Connection, feed: str, now: datetime, resource: Resource = LISTINGS
) -> None:
    """Let what failed, or was not there, be asked for again by whoever asks from ``now`` on."""
    file = ledgers.media_file
    connection.execute(
        sa.update(file)
        .where(resource.rows_in(file, feed), file.c.state != "stored", file.c.next_attempt > now)
        .values(next_attempt=now)
    )


def _unnamed(feed: str, sizes: Sequence[str], resource: Resource) -> sa.Select[Any]:
    """Rows of images that no payload names any more."""
    file = ledgers.media_file
    named = named_images(resource).query(feed, sizes).subquery()
    return sa.select(
        file.c.resource_record_key, file.c.media_key, file.c.size, file.c.blob_key
    ).where(resource.rows_in(file, feed), ~sa.exists().where(*_same_image(named, feed, resource)))


def _same_image(
    named: sa.Subquery, feed: str, resource: Resource
) -> tuple[sa.ColumnElement[bool], ...]:
    file = ledgers.media_file
    return (
        resource.rows_in(file, feed),
        file.c.resource_record_key == named.c.record_key,
        file.c.media_key == named.c.media_key,
        file.c.size == named.c.size,
    )


def _lacking(feed: str, sizes: Sequence[str], now: datetime, resource: Resource) -> sa.Select[Any]:
    """What is named and not held as it is now, those of a record together."""
    named = named_images(resource).query(feed, sizes).subquery()
    file = ledgers.media_file
    same_token = file.c.change_token == named.c.change_token
    due = sa.or_(
        file.c.media_key.is_(None),
        file.c.change_token.is_distinct_from(named.c.change_token),
        sa.and_(file.c.state != "stored", file.c.next_attempt <= now),
    )
    return (
        sa.select(named, sa.case((same_token, file.c.attempts), else_=0).label("attempts"))
        .select_from(named.outerjoin(file, sa.and_(*_same_image(named, feed, resource))))
        .where(due)
        # Names alone would mean the ledger's columns, which are NULL for a new image.
        .order_by(named.c.record_key, named.c.order, named.c.media_key, named.c.size)
    )
