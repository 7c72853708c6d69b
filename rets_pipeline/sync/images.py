"""Images in step with the payloads: photos of listings and of members, logos of offices.

What belongs here: which images move, load and go, and in which order. What does not: HTTP
(``downloads``), many at once (``transfer``) and SQL (``warehouse.media``).

The order matters: what is held already moves to where the payload names it now, the rest is
downloaded, rows that no payload names go, and last the blobs that no row refers to.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice

import sqlalchemy as sa

from rets_pipeline.archive import Archive, safe_segment
from rets_pipeline.rets import RetsObject
from rets_pipeline.sync.downloads import (
    ImageAbsent,
    ImagePostponed,
    ImageRefused,
    ImageUnchanged,
    Validators,
    place_of,
    printable,
)
from rets_pipeline.sync.mirror import TIME_TO_LOAD, Mirror, action, others_of
from rets_pipeline.sync.objects import Objects
from rets_pipeline.sync.received import NotAnImage, Picture, Received
from rets_pipeline.sync.transfer import Transfer
from rets_pipeline.warehouse import backlog, media, runs
from rets_pipeline.warehouse.engine import transaction
from rets_pipeline.warehouse.media import FileRow, Held, Wanted
from rets_pipeline.warehouse.named_images import named_images
from rets_pipeline.warehouse.resources import LISTINGS, Resource

logger = logging.getLogger(__name__)

_FIRST_DELAY = timedelta(minutes=15)
_LONGEST_DELAY = timedelta(days=2)
#: rows written in one transaction, if so many come within the seconds. A process that is killed
#: without a word has those fetched again, and what was under way: a blob and its row have no common
#: transaction, so there is no number that is 0. Fewer at a time cost more than they save.
_ROWS = 100
_ROWS_SECONDS = 0.2
#: records whose images move in one transaction
_RECORDS = 200
#: images that are prepared while others load
_AHEAD = 1_000
#: what the run ledger calls a run's images
_ACTION = "images"
#: a blob's key is its content, so it never changes
_CACHE_CONTROL = "public, max-age=31536000, immutable"
#: settings that decide what is refused, and how an image is asked for
_DECIDING = {"strategies", "hosts", "allow_private_addresses", "max_bytes", "timeout_seconds"}
_NO_WAY = "the payload names no address, and photos.strategies no other way"


@dataclass(slots=True)
class ImageCounts:
    """What an image run did, in images unless said otherwise."""

    wanted: int = 0
    moved: int = 0  # the same bytes under another key, nothing loaded
    stored: int = 0
    unchanged: int = 0  # the host says that the bytes under a new token are those that are held
    absent: int = 0
    failed: int = 0
    postponed: int = 0  # left for another run: the host is unwell, or the budget is used up
    removed: int = 0
    blobs_deleted: int = 0
    bytes: int = 0
    requests: int = 0


def lock(mirror: Mirror, *, wait_seconds: float | None = None) -> sa.Connection:
    """Take the lock of whatever stores or removes images of the feed.

    Raises:
        LockHeld: another run has it.
    """
    return mirror.lock(_lock_name(mirror), wait_seconds=wait_seconds)


def with_images(mirror: Mirror) -> list[Resource]:
    """The resources whose images are mirrored."""
    return [LISTINGS, *others_of(mirror.source)]


def mirror_images(mirror: Mirror, resource: Resource = LISTINGS) -> ImageCounts:
    """One bounded batch; the next run goes on.

    It ends well after ``photos.per_run`` images, ``photos.bytes_per_run``, or the run's time.
    Every image is compared with what is held of it, unless nothing at all can have changed since a
    run that found nothing. What failed under other settings is asked for at once.

    Args:
        mirror: the run.
        resource: whose images.
    """
    feed, photos = mirror.feed.name, mirror.feed.photos
    counts = ImageCounts()
    connection = lock(mirror)
    with transaction(connection):
        media.note_base_url(connection, feed, photos.base_url)
        last = runs.last_action(
            connection,
            feed=feed,
            lock_name=_lock_name(mirror),
            action=action(resource, _ACTION),
        )
        if last is not None and last.get("settings") != _settings_of(mirror):
            media.make_due(connection, feed, _now(), resource)
        signal = backlog.images_signal(connection, feed, photos.sizes, _now(), resource)
    if last is not None and last.get("settled") == signal:
        return _noted(mirror, resource, counts, settled=signal)
    with transaction(connection):
        lacking = media.wanted(connection, feed, photos.sizes, _now(), photos.per_run, resource)
    loose: list[str] = []
    if lacking:
        _Loading(mirror, resource, counts, loose).all_of(lacking)
    counts.removed, counts.blobs_deleted = remove_unnamed(mirror, resource, loose)
    found_nothing = not counts.wanted and not counts.removed
    return _noted(mirror, resource, counts, settled=signal if found_nothing else None)


def _noted(
    mirror: Mirror, resource: Resource, counts: ImageCounts, *, settled: str | None
) -> ImageCounts:
    numbers = {name: getattr(counts, name) for name in ImageCounts.__slots__}
    told = {"settled": settled, "settings": _settings_of(mirror)}
    mirror.note(action(resource, _ACTION), **numbers, **told)
    return counts


def _settings_of(mirror: Mirror) -> str:
    """A text that differs whenever an image that failed might not under the present settings."""
    deciding = mirror.feed.photos.model_dump_json(include=_DECIDING)
    return hashlib.sha256(deciding.encode()).hexdigest()[:16]


def _lock_name(mirror: Mirror) -> str:
    return f"images of feed {mirror.feed.name}"


def remove_unnamed(
    mirror: Mirror, resource: Resource, loose: Sequence[str] = ()
) -> tuple[int, int]:
    """Remove what no payload names any more, of gone records too: rows first, blobs second.

    A run that dies in between leaves blobs that no row names; the reconcile finds those.

    Args:
        mirror: the run.
        resource: whose images.
        loose: blobs that may have lost their last row.

    Returns:
        How many rows and how many blobs.
    """
    feed, photos = mirror.feed.name, mirror.feed.photos
    with transaction(lock(mirror)) as connection:
        rows, unnamed = media.remove_unnamed(
            connection, feed, photos.sizes, photos.per_run, resource
        )
        unused = media.unused(connection, feed, [*loose, *unnamed])
    return rows, mirror.archive.delete(unused) if unused else 0


@dataclass(frozen=True, slots=True)
class ToLoad:
    """An image to load, with what is held of its record.

    Attributes:
        folder: where in the archive its bytes go.
        archive: whose folder it is.
        image: as the payload names it.
        held: in its place, under another token.
        known: blobs by hash that are held of the record: equal bytes are stored once.
        validators: of the bytes that are held in its place, when its address can be asked for
            others only.
        ways: how it may be loaded; the first one now, the others if that fails.
        from_object: its bytes come from GetObject and not from the address.
        keeps_held: what is held stays until newer bytes come: a website shows it meanwhile. Not
            so when the payload names it in another place.
        failed_before: the row of a way that failed, though it may not the next time.
    """

    folder: str
    archive: Archive
    image: Wanted
    held: Held | None
    known: Mapping[str, str]
    validators: Validators | None = None
    ways: tuple[str, ...] = ("url",)
    from_object: bool = False
    keeps_held: bool = False
    failed_before: FileRow | None = None

    @property
    def identity(self) -> tuple[str, str, str]:
        """Of the image within its feed."""
        return identity(self.image)

    @property
    def url(self) -> str:
        """Where it is; nothing when nobody has said so."""
        return self.image.url or ""

    def by_the_next_way(self, failed: FileRow | None) -> ToLoad:
        """The same without its first way, which failed so."""
        before = failed if failed is not None and failed["state"] == "failed" else None
        return replace(self, ways=self.ways[1:], failed_before=before or self.failed_before)

    def stored(self, received: Received, picture: Picture) -> FileRow:
        """Blob first; the row, which the caller writes, second."""
        key = self.known.get(picture.content_hash)
        if key is None:
            key = self._key(picture)
            self.archive.put(
                key,
                received.content(),
                content_type=picture.kind.content_type,
                cache_control=_CACHE_CONTROL,
            )
        return media.row_of(
            self.image,
            state="stored",
            blob_key=key,
            content_hash=picture.content_hash,
            content_type=picture.kind.content_type,
            bytes=picture.bytes,
            width=picture.width,
            height=picture.height,
            source_url=None if self.from_object else self.url,
            etag=received.etag,
            last_modified=received.last_modified,
            stored_at=_now(),
        )

    def _key(self, picture: Picture) -> str:
        record = safe_segment(self.image.record_key)
        return f"{self.folder}{record}/{picture.content_hash}.{picture.kind.extension}"

    def postponed(self) -> FileRow | None:
        """A failure, when another way is left to go; else what the ways before this one said."""
        if self.ways[1:]:
            # An interrupted run writes it as it is.
            return self._row_of_failure("failed", f"{place_of(self.url)}: left alone for now")
        return self.failed_before

    def failed(self, error: Exception) -> FileRow:
        """A state rather than an exception.

        Raises:
            Exception: the error itself, when it is none of an image.
        """
        if isinstance(error, ImageUnchanged) and self.held is not None:
            return _row_of_held(self.image, self.held)
        if isinstance(error, ImageAbsent):
            # Whoever could not answer may have it.
            return self.failed_before or self._row_of_failure("absent", str(error))
        if isinstance(error, ImageRefused):
            return self._row_of_failure("failed", str(error), error.retry_after)
        if isinstance(error, NotAnImage):
            return self._row_of_failure("failed", f"{place_of(self.url)}: {error}")
        raise error

    def _row_of_failure(self, state: str, reason: str, retry_after: float | None = None) -> FileRow:
        attempts = self.image.attempts + 1
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(attempts - 1, 16))
        # Not all at once: what failed together need not come back together.
        delay *= random.uniform(0.9, 1.1)
        # Nor when a host says so, who may mean the year 9999.
        asked = timedelta(seconds=min(retry_after or 0.0, _LONGEST_DELAY.total_seconds()))
        stays = self.held is not None and self.keeps_held and state == "failed"
        return media.row_of(
            self.image,
            **(self.held.row if stays and self.held is not None else {}),
            state=state,
            reason=printable(reason),
            attempts=attempts,
            next_attempt=_now() + max(delay, asked),
        )


class _Loading:
    """The images of one run: moved or loaded, and their rows written.

    While some load, the next records are prepared, and rows are written, on this thread.
    """

    def __init__(
        self, mirror: Mirror, resource: Resource, counts: ImageCounts, loose: list[str]
    ) -> None:
        self._mirror = mirror
        self._resource = resource
        self._feed = mirror.feed.name
        self._folder = f"images/{self._feed}/{named_images(resource).folder}"
        # GetObject knows photos of listings; what names others names their address.
        self._ways = mirror.feed.photos.strategies if resource is LISTINGS else ("url",)
        self._phase = action(resource, _ACTION)
        self._counts = counts
        self._loose = loose
        self._connection = lock(mirror)
        self._done = 0
        self._passed_over = 0
        self._started = _now()
        self._objects = Objects(mirror)
        self._under_way: dict[tuple[str, str, str], ToLoad] = {}
        self._again: list[ToLoad] = []
        self._unwritten: list[FileRow] = []
        self._written_at = time.monotonic()

    def all_of(self, lacking: list[Wanted]) -> None:
        """Move what is held already, load the rest."""
        photos, counts = self._mirror.feed.photos, self._counts
        with Transfer(photos, self._mirror.feed.user_agent) as transfer:
            try:
                while lacking:
                    counts.wanted += len(lacking)
                    self._mirror.progress(self._phase, self._done, counts.wanted)
                    self._exchange(transfer, _by_record(lacking, _RECORDS))
                    lacking = self._beyond(transfer, lacking[-1].record_key)
            except BaseException:
                # What has come is kept, so that nobody has to ask for it again.
                self._unwritten += transfer.end()
                with contextlib.suppress(sa.exc.SQLAlchemyError):
                    self._write()
                raise
            finally:
                counts.requests = transfer.requests + self._objects.requests
                counts.postponed += transfer.postponed
            alone = transfer.hosts_left_alone
        if alone:
            logger.warning("feed %s: left alone for now: %s", self._feed, ", ".join(alone))

    def _beyond(self, transfer: Transfer, record_key: str) -> list[Wanted]:
        """As many further images as were left for another run: one host must not starve others."""
        passed_over, self._passed_over = self._passed_over, transfer.postponed
        more = self._passed_over - passed_over
        if not more or self._has_done_enough():
            return []
        sizes = self._mirror.feed.photos.sizes
        with transaction(self._connection) as connection:
            return media.wanted(
                connection, self._feed, sizes, _now(), more, self._resource, beyond=record_key
            )

    def _exchange(self, transfer: Transfer, pages: Iterator[list[Wanted]]) -> None:
        counts = self._counts
        more = True
        while more or transfer.waiting or self._again or self._unwritten:
            while more and transfer.waiting < _AHEAD:
                page = next(pages, None)
                more = page is not None
                self._load(transfer, self._moved(page or []))
            self._settle(transfer, _ROWS_SECONDS)
            again, self._again = self._again, []
            self._load(transfer, again)
            if (more or transfer.waiting or self._again) and self._has_done_enough():
                counts.postponed += transfer.drop() + sum(map(len, pages)) + len(self._again)
                self._again = []
                more = False

    def _load(self, transfer: Transfer, tasks: list[ToLoad]) -> None:
        """Each by the first of its ways."""
        if not tasks:
            return
        direct = [task for task in tasks if task.ways[0] == "url"]
        self._under_way |= {task.identity: task for task in direct if task.ways[1:]}
        transfer.give(direct)
        for way in ("location", "object"):
            some = {task.identity: task for task in tasks if task.ways[0] == way}
            if some:
                self._by_object(transfer, some, location=way == "location")

    def _by_object(
        self, transfer: Transfer, tasks: Mapping[tuple[str, str, str], ToLoad], *, location: bool
    ) -> None:
        images = [task.image for task in tasks.values()]
        if self._has_done_enough():
            self._counts.postponed += len(images)
            return
        for number, (image, found) in enumerate(self._objects.ask(images, location=location)):
            if self._has_done_enough():
                self._counts.postponed += len(images) - number
                return
            self._answered(transfer, tasks[identity(image)], found)
            waited = time.monotonic() - self._written_at
            if len(self._unwritten) >= _ROWS or waited >= _ROWS_SECONDS:
                self._settle(transfer, 0.0)

    def _answered(self, transfer: Transfer, task: ToLoad, found: RetsObject | Exception) -> None:
        """What GetObject has said of an image."""
        if isinstance(found, ImagePostponed):
            if task.ways[1:]:
                self._again.append(task.by_the_next_way(None))
            elif task.failed_before is not None:
                self._unwritten.append(task.failed_before)
            else:
                self._counts.postponed += 1
            return
        self._under_way[task.identity] = task
        if isinstance(found, RetsObject) and found.location is not None:
            image = replace(task.image, url=found.location)
            transfer.give([replace(task, image=image, validators=None)])
        else:
            self._finish(_row_of_object(task, found))

    def _settle(self, transfer: Transfer, seconds: float) -> None:
        """Write what is done; wait so long at most until there is enough of it."""
        for row in transfer.take(_ROWS, seconds):
            self._finish(row)
        self._write()
        self._mirror.progress(self._phase, self._done, self._counts.wanted)

    def _finish(self, row: FileRow) -> None:
        """What failed and has another way is to go it; all else is to be written."""
        place = (row["resource_record_key"], row["media_key"], row["size"])
        task = self._under_way.pop(place, None)
        if task is not None and task.ways[1:] and row["state"] != "stored":
            self._again.append(task.by_the_next_way(row))
        else:
            self._unwritten.append(row)

    def _has_done_enough(self) -> bool:
        if self._counts.bytes >= self._mirror.feed.photos.bytes_per_run:
            return True
        # The first ones always: every run comes nearer.
        return self._done >= _ROWS and self._mirror.is_late(TIME_TO_LOAD)

    def _moved(self, images: list[Wanted]) -> list[ToLoad]:
        """Photos that changed places keep their bytes.

        Returns:
            What has to be downloaded.
        """
        if not images:
            return []
        to_load: list[ToLoad] = []
        moved: list[FileRow] = []
        with transaction(self._connection) as connection:
            records = sorted({image.record_key for image in images})
            held = media.held(connection, self._feed, records, self._resource)
            names = media.names(connection, self._feed, records, self._resource)
            for record, some in groupby(images, key=lambda image: image.record_key):
                here = held.get(record, [])
                known = {item.content_hash: item.row["blob_key"] for item in here}
                for image in some:
                    same = same_photo(image, here, names)
                    if same is None:
                        to_load.append(self._to_load(image, here, known, names))
                    else:
                        moved.append(_row_of_held(image, same))
            self._loose += media.record(connection, self._feed, moved, self._resource)
        self._counts.moved += len(moved)
        self._done += len(moved)
        self._unwritten += [task.failed(ImageRefused(_NO_WAY)) for task in to_load if not task.ways]
        return [task for task in to_load if task.ways]

    def _to_load(
        self,
        image: Wanted,
        here: list[Held],
        known: dict[str, str],
        names: Mapping[tuple[str, str], int],
    ) -> ToLoad:
        place = (image.media_key, image.size)
        held = next((item for item in here if (item.media_key, item.size) == place), None)
        ways = self._ways
        return ToLoad(
            self._folder,
            self._mirror.archive,
            image,
            held,
            known,
            validators=None if held is None else self._validators(image, held),
            ways=ways if image.url else tuple(way for way in ways if way != "url"),
            keeps_held=held is not None
            and (
                held.held_token == image.change_token
                or not names[image.record_key, held.held_token]
            ),
        )

    def _validators(self, image: Wanted, held: Held) -> Validators | None:
        """Of the bytes in its place, when they are another version of what the address names."""
        source_url, etag = held.row["source_url"], held.row["etag"]
        if source_url is None or image.url is None:
            return None
        if source_url == image.url:
            return Validators(etag, held.row["last_modified"])
        plain = self._mirror.source.without_version
        if plain(source_url) != plain(image.url):
            return None
        # A weak tag, or a time, may be the same for other bytes.
        return Validators(etag) if etag and not etag.startswith("W/") else None

    def _write(self) -> None:
        rows = self._unwritten
        self._written_at = time.monotonic()
        if not rows:
            return
        with transaction(self._connection) as connection:
            loose = media.record(connection, self._feed, rows, self._resource)
        # Not before: who is interrupted within the transaction writes them at the end.
        self._unwritten = []
        self._loose += loose
        self._done += len(rows)
        self._count(rows)

    def _count(self, rows: Iterable[FileRow]) -> None:
        counts = self._counts
        for row in rows:
            if row["state"] == "stored" and row["stored_at"] < self._started:
                counts.unchanged += 1
                continue
            if row["state"] == "stored":
                counts.bytes += row["bytes"]
            setattr(counts, row["state"], getattr(counts, row["state"]) + 1)


def same_photo(
    image: Wanted, held: list[Held], names: Mapping[tuple[str, str], int]
) -> Held | None:
    """The photo under its token, unless the token may mean two different ones.

    Args:
        image: that the payload names.
        held: of the image's record.
        names: how many images of a record the payload names with a token.
    """
    same = [
        item for item in held if item.size == image.size and item.held_token == image.change_token
    ]
    if names[image.record_key, image.change_token] > len(same):
        return None  # a new photo under the token of another one
    return same[0] if len({item.content_hash for item in same}) == 1 else None


def identity(image: Wanted) -> tuple[str, str, str]:
    """Record, image and size."""
    return image.record_key, image.media_key, image.size


def _row_of_object(task: ToLoad, found: RetsObject | Exception) -> FileRow:
    if isinstance(found, Exception):
        return task.failed(found)
    with Received(found.data) as received:
        try:
            return replace(task, from_object=True).stored(received, received.picture())
        except NotAnImage as error:
            return task.failed(ImageRefused(f"GetObject: {error}"))


def _row_of_held(image: Wanted, held: Held) -> FileRow:
    return media.row_of(image, state="stored", **held.row)


def _by_record(images: list[Wanted], records: int) -> Iterator[list[Wanted]]:
    """The images of so many records at a time; those of one record are never parted."""
    groups = groupby(images, key=lambda image: image.record_key)
    while group := [image for _, some in islice(groups, records) for image in some]:
        yield group


def _now() -> datetime:
    return datetime.now(UTC)
