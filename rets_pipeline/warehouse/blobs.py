"""The blobs of images in the archive compared with ``media_file``.

What belongs here: which blobs no row names, which rows name a blob that is not there, and marking
those. What does not: the archive itself, and what payloads name (``media``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from rets_pipeline.warehouse import bulk, ledgers
from rets_pipeline.warehouse.types import UtcTimestamp

_TEMPORARY = sa.MetaData()
_blob = sa.Table(
    "blob_in_archive",
    _TEMPORARY,
    sa.Column("blob_key", sa.Text, primary_key=True),
    sa.Column("modified", UtcTimestamp, nullable=False),
    prefixes=["TEMPORARY"],
)

#: keys named in one statement; databases limit its parameters
_KEYS_AT_ONCE = 500


@contextmanager
def loaded(connection: sa.Connection, blobs: Iterable[tuple[str, datetime]]) -> Iterator[None]:
    """Hold a list of blobs in a temporary table while the block runs.

    Args:
        connection: in a transaction, which an exception ends.
        blobs: key, and when it was put.
    """
    _TEMPORARY.drop_all(connection)
    _TEMPORARY.create_all(connection)
    bulk.copy(connection, _blob, ("blob_key", "modified"), blobs)
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("ANALYZE blob_in_archive"))
    yield
    _TEMPORARY.drop_all(connection)


@dataclass(frozen=True, slots=True)
class Found:
    """What the comparison found.

    Attributes:
        blobs: in the archive.
        young: without a row, and too young to be called orphans.
        orphans: without a row; ``orphan_keys`` are the first of them.
        vanished: named by rows and not in the archive; ``vanished_keys`` are the first of them.
    """

    blobs: int
    young: int
    orphans: int
    orphan_keys: list[str]
    vanished: int
    vanished_keys: list[str]


def compare(
    connection: sa.Connection, feed: str, *, put_before: datetime, listed_at: datetime, limit: int
) -> Found:
    """Compare (inside :func:`loaded`).

    Args:
        connection: in a transaction.
        feed: its name.
        put_before: blobs put later are no orphans yet: their rows may be about to be written.
        listed_at: when the listing began; rows stored later may name blobs that it lacks.
        limit: the most keys to return of each.
    """
    file = ledgers.media_file
    # Joins rather than NOT EXISTS on both sides: each side has an index on the key.
    unnamed = ~sa.exists().where(file.c.feed == feed, file.c.blob_key == _blob.c.blob_key)
    old = _blob.c.modified < put_before
    absent = sa.and_(
        file.c.feed == feed,
        file.c.blob_key.is_not(None),
        file.c.stored_at < listed_at,
        ~sa.exists().where(_blob.c.blob_key == file.c.blob_key),
    )

    def number(query: sa.Select[int]) -> int:
        return connection.execute(query).scalar_one()

    in_archive = sa.select(sa.func.count()).select_from(_blob)
    orphans = sa.select(_blob.c.blob_key).where(unnamed, old).order_by(_blob.c.blob_key)
    vanished = sa.select(file.c.blob_key).where(absent).distinct().order_by(file.c.blob_key)
    return Found(
        blobs=number(in_archive),
        young=number(in_archive.where(unnamed, ~old)),
        orphans=number(in_archive.where(unnamed, old)),
        orphan_keys=list(connection.execute(orphans.limit(limit)).scalars()),
        vanished=number(sa.select(sa.func.count(file.c.blob_key.distinct())).where(absent)),
        vanished_keys=list(connection.execute(vanished.limit(limit)).scalars()),
    )


def mark_vanished(
    connection: sa.Connection, feed: str, blob_keys: Sequence[str], now: datetime
) -> int:
    """Note that those blobs are not there, so that the next image run fetches their images again.

    Args:
        connection: in a transaction, of the holder of the lock of images.
        feed: its name.
        blob_keys: that the archive lacks.
        now: from when on the images are due.

    Returns:
        The number of images.
    """
    file, marked = ledgers.media_file, 0
    for start in range(0, len(blob_keys), _KEYS_AT_ONCE):
        some = blob_keys[start : start + _KEYS_AT_ONCE]
        marked += connection.execute(
            sa.update(file)
            .where(file.c.feed == feed, bulk.among(connection, file.c.blob_key, some))
            .values(
                state="vanished",
                reason="the blob was no longer in the archive",
                held_token=None,
                blob_key=None,
                content_hash=None,
                content_type=None,
                bytes=None,
                width=None,
                height=None,
                source_url=None,
                etag=None,
                last_modified=None,
                stored_at=None,
                attempts=0,
                next_attempt=now,
            )
        ).rowcount
    return marked
