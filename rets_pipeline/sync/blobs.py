"""The blobs of images against the rows that name them.

What belongs here: sweeping blobs that no row names, and finding those that have vanished. What
does not: downloads (``images``), and the comparison itself (``warehouse.blobs``).

Blobs are put before their rows and removed after them, so a run that dies leaves blobs without
rows, never rows without blobs; a blob vanishes only when something else removes it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from rets_pipeline.sync import images
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.sync.progress import told
from rets_pipeline.warehouse import blobs, media
from rets_pipeline.warehouse.engine import transaction
from rets_pipeline.warehouse.locks import LockHeld

logger = logging.getLogger(__name__)

#: no blob is swept that is younger; its row may be about to be written
YOUNGEST = timedelta(days=1)

#: so many orphans are swept whatever their share of all blobs
_FEW = 1_000


@dataclass(slots=True)
class BlobCounts:
    """What the audit of blobs found and did.

    Attributes:
        blobs: in the archive.
        images_removed: rows that no payload named any more, of gone records above all.
        orphans: blobs without a row, older than a day.
        young: blobs without a row that are not so old yet.
        orphans_deleted: of them.
        vanished: blobs that rows name and the archive lacks.
        images_to_fetch_again: rows that named those.
        bytes: of all blobs.
        left_to_the_next: 1 when an image run was active, so that nothing was removed or marked.
    """

    blobs: int = 0
    images_removed: int = 0
    orphans: int = 0
    young: int = 0
    orphans_deleted: int = 0
    vanished: int = 0
    images_to_fetch_again: int = 0
    bytes: int = 0
    left_to_the_next: int = 0


def audit(mirror: Mirror, now: datetime | None = None) -> BlobCounts:
    """Compare the archive with the rows, sweep orphans and mark what has vanished.

    Bounded like an image run by ``photos.per_run``; the next reconcile goes on. While an image
    run is active it only counts.

    Args:
        mirror: the run.
        now: the time, for tests.
    """
    now = now or datetime.now(UTC)
    counts = BlobCounts()
    found = _compare(mirror, counts, now)
    try:
        images.lock(mirror, wait_seconds=0)
    except LockHeld as error:
        logger.info("feed %s: blobs are left to the next reconcile: %s", mirror.feed.name, error)
        counts.left_to_the_next = 1
    else:
        _sweep(mirror, found, counts)
        _mark(mirror, found, counts, now)
        # After the listing: what it removes must not be missed there.
        for resource in images.with_images(mirror):
            counts.images_removed += images.remove_unnamed(mirror, resource)[0]
    mirror.note("blobs", **asdict(counts))
    return counts


def _compare(mirror: Mirror, counts: BlobCounts, now: datetime) -> blobs.Found:
    # No writing transaction: SQLite would make every other writer wait for the listing.
    with (
        mirror.connection.begin(),
        blobs.loaded(mirror.connection, _listed(mirror, counts)),
    ):
        found = blobs.compare(
            mirror.connection,
            mirror.feed.name,
            put_before=now - YOUNGEST,
            listed_at=now,
            limit=mirror.feed.photos.per_run,
        )
    counts.blobs, counts.young = found.blobs, found.young
    counts.orphans, counts.vanished = found.orphans, found.vanished
    return found


def _listed(mirror: Mirror, counts: BlobCounts) -> Iterator[tuple[str, datetime]]:
    for number, stored in enumerate(mirror.archive.list(f"images/{mirror.feed.name}")):
        if number % 1_000 == 0:
            mirror.progress("listing blobs", number, None)
        counts.bytes += stored.bytes
        yield stored.key, stored.modified


def _sweep(mirror: Mirror, found: blobs.Found, counts: BlobCounts) -> None:
    """Under the lock of images: a row may have come since the comparison, none comes now."""
    named = found.blobs - found.orphans - found.young
    if found.orphans > max(_FEW, named):
        logger.error(
            "feed %s: %d blobs have no row and only %d have one; is this the right warehouse "
            "for this archive? Nothing was swept",
            mirror.feed.name, found.orphans, named,
        )  # fmt: skip
        return
    with transaction(images.lock(mirror)) as connection:
        unused = media.unused(connection, mirror.feed.name, found.orphan_keys)
    counts.orphans_deleted = mirror.archive.delete(
        told(mirror.progress, "sweeping orphan blobs", sorted(unused))
    )


def _mark(mirror: Mirror, found: blobs.Found, counts: BlobCounts, now: datetime) -> None:
    # Asked for once more, one by one: a listing may be behind, and a mark costs a download.
    vanished = told(mirror.progress, "looking for vanished blobs", found.vanished_keys)
    absent = [key for key in vanished if not mirror.archive.exists(key)]
    with transaction(images.lock(mirror)) as connection:
        counts.images_to_fetch_again = blobs.mark_vanished(
            connection, mirror.feed.name, absent, now
        )
