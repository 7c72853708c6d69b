"""Images in step with the payloads.

What belongs here: which images move, load and go, and in which order. What does not: HTTP
(``downloads``) and SQL (``warehouse.media``).

The order matters: what is held already moves to where the payload names it now, the rest is
downloaded, rows that no payload names go, and last the blobs that no row refers to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby, islice, takewhile
from typing import Any

import sqlalchemy as sa

from rets_pipeline.archive import safe_segment
from rets_pipeline.sync.downloads import Downloader, Image, ImageAbsent, ImageRefused
from rets_pipeline.sync.mirror import TIME_TO_LOAD, Mirror
from rets_pipeline.warehouse import media
from rets_pipeline.warehouse.engine import transaction
from rets_pipeline.warehouse.media import Held, Wanted

_FIRST_DELAY = timedelta(minutes=15)
_LONGEST_DELAY = timedelta(days=2)
#: rows written in one transaction
_ROWS = 100
#: listings whose images move in one transaction
_LISTINGS = 200


@dataclass(slots=True)
class ImageCounts:
    """What an image run did, in images unless said otherwise."""

    wanted: int = 0
    moved: int = 0  # the same bytes under another key, nothing loaded
    stored: int = 0
    absent: int = 0
    failed: int = 0
    removed: int = 0
    blobs_deleted: int = 0
    bytes: int = 0
    requests: int = 0


def lock(mirror: Mirror, *, wait_seconds: float | None = None) -> sa.Connection:
    """Take the lock of whatever stores or removes images of the feed.

    Raises:
        LockHeld: another run has it.
    """
    return mirror.lock(f"images of feed {mirror.feed.name}", wait_seconds=wait_seconds)


def mirror_images(mirror: Mirror) -> ImageCounts:
    """One bounded batch: at most ``photos.per_run`` images, and no longer than the run's time.

    The next run goes on.
    """
    feed, photos = mirror.feed.name, mirror.feed.photos
    counts = ImageCounts()
    loose: list[str] = []
    connection = lock(mirror)
    with transaction(connection):
        lacking = media.wanted(connection, feed, photos.sizes, _now(), photos.per_run)
    counts.wanted = len(lacking)
    to_load = _move(mirror, lacking, counts, loose)
    with Downloader(photos, mirror.feed.user_agent) as downloader:
        _load(mirror, to_load, downloader.get, counts, loose)
        counts.requests = downloader.requests
    counts.removed, counts.blobs_deleted = remove_unnamed(mirror, loose)
    mirror.note("images", **{name: getattr(counts, name) for name in ImageCounts.__slots__})
    return counts


def remove_unnamed(mirror: Mirror, loose: Sequence[str] = ()) -> tuple[int, int]:
    """Remove what no payload names any more, of gone listings too: rows first, blobs second.

    A run that dies in between leaves blobs that no row names; the reconcile finds those.

    Args:
        mirror: the run.
        loose: blobs that may have lost their last row.

    Returns:
        How many rows and how many blobs.
    """
    feed, photos = mirror.feed.name, mirror.feed.photos
    with transaction(lock(mirror)) as connection:
        rows, unnamed = media.remove_unnamed(connection, feed, photos.sizes, photos.per_run)
        unused = media.unused(connection, feed, [*loose, *unnamed])
    return rows, mirror.archive.delete(unused) if unused else 0


def _move(
    mirror: Mirror, lacking: list[Wanted], counts: ImageCounts, loose: list[str]
) -> list[Wanted]:
    """Photos that changed places keep their bytes.

    Returns:
        What has to be downloaded.
    """
    to_load: list[Wanted] = []
    feed = mirror.feed.name
    connection = lock(mirror)
    for images in _by_listing(lacking, _LISTINGS):
        with transaction(connection):
            listings = sorted({image.listing_key for image in images})
            held = media.held(connection, feed, listings)
            names = media.names(connection, feed, listings)
            rows = []
            for image in images:
                same = _same_photo(image, held.get(image.listing_key, []), names)
                if same is None:
                    to_load.append(image)
                else:
                    rows.append(_row_of_held(image, same))
            loose += media.record(connection, feed, rows)
        counts.moved += len(rows)
    return to_load


def _same_photo(
    image: Wanted, held: list[Held], names: Mapping[tuple[str, str], int]
) -> Held | None:
    """The photo under its token, unless the token may mean two different ones.

    Args:
        held: of the image's listing.
        names: how many photos of a listing the payload names with a token.
    """
    same = [
        item for item in held if item.size == image.size and item.change_token == image.change_token
    ]
    if names[image.listing_key, image.change_token] > len(same):
        return None  # a new photo under the token of another one
    return same[0] if len({item.content_hash for item in same}) == 1 else None


def _load(
    mirror: Mirror,
    images: list[Wanted],
    get: Callable[[str], Image],
    counts: ImageCounts,
    loose: list[str],
) -> None:
    def load(image: Wanted) -> dict[str, Any]:
        return _store(mirror, image, get)

    feed = mirror.feed.name
    connection = lock(mirror)
    mirror.progress("images", 0, len(images))
    # The first ones always: every run comes nearer.
    rest = takewhile(lambda image: not mirror.is_late(TIME_TO_LOAD), images[_ROWS:])
    in_time = chain(images[:_ROWS], rest)
    done = 0
    loaded = _in_parallel(load, in_time, mirror.feed.photos.connections)
    while rows := list(islice(loaded, _ROWS)):
        for row in rows:
            _count(row, counts)
        with transaction(connection):
            loose += media.record(connection, feed, rows)
        done += len(rows)
        mirror.progress("images", done, len(images))


def _store(mirror: Mirror, image: Wanted, get: Callable[[str], Image]) -> dict[str, Any]:
    """Blob first; the row, which the caller writes, second."""
    try:
        loaded = get(image.url)
    except ImageAbsent as error:
        return _row_of_failure(image, "absent", str(error))
    except ImageRefused as error:
        return _row_of_failure(image, "failed", str(error))
    content_hash = hashlib.sha256(loaded.data).hexdigest()
    key = "/".join(
        (
            "images",
            mirror.feed.name,
            safe_segment(image.listing_key),
            f"{content_hash}.{loaded.extension}",
        )
    )
    mirror.archive.put(key, loaded.data, content_type=loaded.content_type)
    return _row(
        image,
        blob_key=key,
        content_hash=content_hash,
        content_type=loaded.content_type,
        bytes=len(loaded.data),
        state="stored",
        stored_at=_now(),
    )


def _row_of_held(image: Wanted, held: Held) -> dict[str, Any]:
    return _row(
        image,
        blob_key=held.blob_key,
        content_hash=held.content_hash,
        content_type=held.content_type,
        bytes=held.bytes,
        state="stored",
        stored_at=held.stored_at,
    )


def _row_of_failure(image: Wanted, state: str, reason: str) -> dict[str, Any]:
    attempts = image.attempts + 1
    delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(attempts - 1, 16))
    return _row(image, state=state, reason=reason, attempts=attempts, next_attempt=_now() + delay)


def _row(image: Wanted, **values: Any) -> dict[str, Any]:
    row = {
        "listing_key": image.listing_key,
        "media_key": image.media_key,
        "size": image.size,
        "change_token": image.change_token,
        "blob_key": None,
        "content_hash": None,
        "content_type": None,
        "bytes": None,
        "attempts": 0,
        "next_attempt": None,
        "reason": None,
        "stored_at": None,
    }
    return {**row, **values}


def _count(row: dict[str, Any], counts: ImageCounts) -> None:
    counts.bytes += row["bytes"] or 0
    setattr(counts, row["state"], getattr(counts, row["state"]) + 1)


def _in_parallel(
    work: Callable[[Wanted], dict[str, Any]], images: Iterable[Wanted], width: int
) -> Iterator[dict[str, Any]]:
    """Results as they come; never more than a few tasks ahead, so that memory stays flat."""
    waiting = iter(images)
    with ThreadPoolExecutor(max_workers=width, thread_name_prefix="images") as pool:
        running: set[Future[dict[str, Any]]] = {
            pool.submit(work, image) for image in islice(waiting, 2 * width)
        }
        try:
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(work, image) for image in islice(waiting, len(finished))}
                for future in finished:
                    yield future.result()
        finally:
            for future in running:
                future.cancel()


def _by_listing(images: list[Wanted], listings: int) -> Iterator[list[Wanted]]:
    """The images of so many listings at a time; those of one listing are never parted."""
    groups = groupby(images, key=lambda image: image.listing_key)
    while group := [image for _, some in islice(groups, listings) for image in some]:
        yield group


def _now() -> datetime:
    return datetime.now(UTC)
