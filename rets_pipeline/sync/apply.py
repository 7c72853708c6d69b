"""Complete pulls into the warehouse.

What belongs here: which pulls are due, and parsing them as a stream. What does not: the rules of
order and replacement (``warehouse.load``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from itertools import islice
from typing import Any

import sqlalchemy as sa

from rets_pipeline import collector
from rets_pipeline.rets import RetsError
from rets_pipeline.sources.base import (
    ParsedListing,
    ParsedRecord,
    Problem,
    RecordHead,
    ResourceSource,
    UnparsedListing,
    UnparsedRecord,
)
from rets_pipeline.sync import lookups
from rets_pipeline.sync.days import DayRange
from rets_pipeline.sync.mirror import TIME_TO_LOAD, TIME_TO_REPLAY, Mirror
from rets_pipeline.sync.pages import Page
from rets_pipeline.sync.pull import BrokenPull, Manifest, read_manifest, read_page
from rets_pipeline.sync.reading import Parsed, Reader, Unparsed, read_record
from rets_pipeline.warehouse import pulls
from rets_pipeline.warehouse.engine import transaction
from rets_pipeline.warehouse.load import Counts, Load, Refused, loaded_hashes
from rets_pipeline.warehouse.load_records import RecordLoad
from rets_pipeline.warehouse.pulls import Pull, Waiting
from rets_pipeline.warehouse.resources import LISTINGS, Resource

logger = logging.getLogger(__name__)

#: records read and loaded together; so many fit into memory, whatever their number in all
RECORDS_AT_ONCE = 500

#: pages that are worth a process of their own to read them: its start takes as long as some
#: fifteen of them do
LARGE_LOAD = 60

#: manifests of a replay that are held at a time
_REPLAYS_AT_ONCE = 200

#: a record's head, and what reads it
_Waiting = tuple[RecordHead, Callable[[], Parsed | Unparsed]]


class Batch:
    """Some records of a pull, which are read only when their heads say something new.

    Args:
        read: the records of those places as rows, or why they cannot be.
        heads: of all records.
    """

    def __init__(
        self,
        heads: list[RecordHead],
        read: Callable[[Sequence[int]], Iterable[Parsed | Unparsed]],
    ) -> None:
        self.heads = heads
        self._read = read

    def read(self, known: Container[str]) -> tuple[list[Any], list[Refused]]:
        """The records that became rows, and those that could not be read.

        Args:
            known: keys whose records are left out.
        """
        places = [place for place, head in enumerate(self.heads) if head.key not in known]
        records, refused = [], []
        for result in self._read(places):
            if isinstance(result, UnparsedListing | UnparsedRecord):
                refused.append(Refused(result.key, result.problem))
            else:
                records.append(result)
        return records, refused


@dataclass(slots=True)
class ParsedPull:
    """A complete pull that is being read.

    Attributes:
        resource: that its records belong to.
        batches: some records each, in the order of the pages; read from the archive when drawn.
        counts: set by :func:`apply`.
        reason: set by :func:`apply` when the pull could not be applied.
    """

    manifest: Manifest
    batches: Iterator[Batch]
    replay: bool = False
    counts: Counts | None = None
    reason: str | None = None
    resource: Resource = LISTINGS

    @property
    def day(self) -> date:
        """The day that the pull belongs to; only listings are grouped by day."""
        assert self.manifest.pull.day is not None
        return self.manifest.pull.day


def due(mirror: Mirror, resource: Resource = LISTINGS) -> list[Manifest]:
    """Complete pulls that are not applied, in the order of their requests.

    A pull whose run died before the manifest was written is abandoned; one whose run died just
    after is complete, whatever the ledger says. One with a broken manifest is here too, so that
    its failure is told like every other one.
    """
    found = []
    with transaction(mirror.connection) as connection:
        for pull in pulls.in_state(
            connection, mirror.feed.name, "requested", "complete", kind=resource.kind
        ):
            manifest = _manifest(mirror, pull, resource)
            if manifest is None:
                pulls.abandoned(connection, pull)
            else:
                found.append(manifest)
    return found


def ask_for_replay(mirror: Mirror, days: DayRange) -> int:
    """Note that the pulls of some days are to be loaded again: all that the archive has.

    A replay may take hours, and a feed must not be silent for so long. So it is asked for first,
    and then every run that loads listings does a part of it (:func:`replays`).

    Returns:
        The number of pulls.
    """
    found = [manifest.pull.pull_id for manifest in in_archive(mirror, days)]
    with transaction(mirror.connection) as connection:
        pulls.ask_for_replay(connection, mirror.feed.name, found, datetime.now(UTC))
    return len(found)


def replays(mirror: Mirror) -> Iterator[ParsedPull]:
    """The pulls that a replay asked for and that no run has loaded again since.

    At least one, so that every run comes nearer to the end, and no more when the time for it is
    over: the next run goes on.
    """
    after = ""
    while True:
        with transaction(mirror.connection) as connection:
            asked = pulls.to_replay(connection, mirror.feed.name, after, _REPLAYS_AT_ONCE)
        found = [manifest for pull in asked if (manifest := _to_replay(mirror, pull)) is not None]
        if found:
            yield from parse(mirror, found, replay=True)
        if not asked or mirror.is_late(TIME_TO_REPLAY):
            return
        after = asked[-1].pull_id


def _to_replay(mirror: Mirror, pull: Pull) -> Manifest | None:
    manifest = _manifest(mirror, pull, LISTINGS)
    if manifest is None:
        logger.warning("feed %s: pull %s left the archive", pull.feed, pull.pull_id)
        with transaction(mirror.connection) as connection:
            pulls.not_to_replay(connection, pull)
    return manifest


def waiting(mirror: Mirror) -> Waiting:
    """What a run has left to the next one."""
    with transaction(mirror.connection) as connection:
        return pulls.waiting(connection, mirror.feed.name)


def in_archive(mirror: Mirror, days: DayRange) -> list[Manifest]:
    """Complete pulls of those days, in the order of their requests."""
    folder = f"raw/{mirror.feed.name}/{LISTINGS.kind}"
    found = [
        manifest
        for day in days
        for manifest in _manifests_below(mirror, LISTINGS, f"{folder}/{day.isoformat()}/", day)
    ]
    return _known(mirror, found)


def all_in_archive(mirror: Mirror, resource: Resource) -> list[Manifest]:
    """Every complete pull of a resource that knows no days, likewise for a replay."""
    folder = f"raw/{mirror.feed.name}/{resource.kind}/"
    return _known(mirror, _manifests_below(mirror, resource, folder, None))


def _manifests_below(
    mirror: Mirror, resource: Resource, folder: str, day: date | None
) -> Iterator[Manifest]:
    for stored in mirror.archive.list(folder):
        prefix, _, name = stored.key.rpartition("/")
        pull = _pull_at(mirror.feed.name, resource, day, prefix)
        manifest = _manifest(mirror, pull, resource) if pull and name == "manifest.json" else None
        if manifest is not None:
            yield manifest


def _known(mirror: Mirror, manifests: Iterable[Manifest]) -> list[Manifest]:
    """Those manifests in the order of their requests; what only the archive knew is noted."""
    found = sorted(manifests, key=lambda manifest: manifest.pull.pull_id)
    with transaction(mirror.connection) as connection:
        for manifest in found:
            if pulls.find(connection, mirror.feed.name, manifest.pull.pull_id) is None:
                pulls.adopt(connection, manifest.pull)  # a warehouse rebuilt from its archive
    return found


def _pull_at(feed: str, resource: Resource, day: date | None, prefix: str) -> Pull | None:
    """What the place of a pull says of it; None when it is no place of a pull."""
    pull_id = prefix.rpartition("/")[2]
    try:
        requested_at = pulls.moment_of(pull_id)
    except ValueError:
        logger.warning("feed %s: %s is no pull; left alone", feed, prefix)
        return None
    return Pull(feed, pull_id, resource.kind, "complete", day, prefix, requested_at)


def _manifest(mirror: Mirror, pull: Pull, resource: Resource) -> Manifest | None:
    try:
        return read_manifest(mirror.archive, pull.feed, pull.archive_prefix, resource)
    except BrokenPull as error:
        return Manifest(pull, {}, [], broken=str(error))


def parse(
    mirror: Mirror,
    manifests: list[Manifest],
    resource: Resource = LISTINGS,
    *,
    replay: bool = False,
) -> Iterator[ParsedPull]:
    """The pulls, to be read by and by. Draw a pull's batches before the next pull.

    When the time to load is over the rest stays in the archive; the next run loads it. A replay of
    members or offices goes to its end: they are few.
    """
    share = TIME_TO_REPLAY if replay else TIME_TO_LOAD
    may_end = resource is LISTINGS or not replay
    lookups.teach(mirror)
    source = mirror.source_of(resource)
    large = resource is LISTINGS and sum(len(one.pages) for one in manifests) >= LARGE_LOAD
    with Reader(source) as reader:
        done, total = 0, sum(len(one.keys) for one in manifests)
        for number, manifest in enumerate(manifests):
            if number and may_end and mirror.is_late(share):
                logger.info("feed %s: %d pulls wait", mirror.feed.name, len(manifests) - number)
                return
            if large and manifest.broken is None:
                batches = _batches_of(reader, mirror, manifest, source, replay)
            else:
                batches = _batches(mirror, manifest, source)
            told = _told(mirror, batches, done, total)
            yield ParsedPull(manifest, told, replay, resource=resource)
            done += len(manifest.keys)
    mirror.progress("loading", total, total)


def apply(mirror: Mirror, parsed: ParsedPull) -> None:
    """Load one pull in one transaction, together with its ledger rows.

    A pull that cannot be applied is marked as failed with the reason, and is no exception: the
    others go on. A fault of the database itself ends the run.
    """
    pull = parsed.manifest.pull
    try:
        with transaction(mirror.connection) as connection, collector.paused():
            load = _load(connection, parsed)
            _load_batches(load, parsed.batches)
            parsed.counts = load.finish()
            pulls.applied(connection, pull)
    except (BrokenPull, RetsError) as error:
        parsed.counts, parsed.reason = None, str(error)
        logger.error("feed %s: pull %s: %s", pull.feed, pull.pull_id, error)
        with transaction(mirror.connection) as connection:
            pulls.failed(connection, pull, parsed.reason)


def _load_batches(load: Load | RecordLoad, batches: Iterable[Batch]) -> None:
    """Load what is not known of some batches together: a load costs much, however few its records.

    A key that comes again is compared with what its first record left.
    """
    records: list[Any] = []
    refused: list[Refused] = []
    keys: set[str | None] = set()
    for batch in batches:
        if keys and not keys.isdisjoint(head.key for head in batch.heads):
            load.batch(records, refused)
            records, refused, keys = [], [], set()
        known = load.known(batch.heads)
        more, others = batch.read(known)
        records += more
        refused += others
        keys |= {head.key for head in batch.heads if head.key not in known}
        if len(keys) >= RECORDS_AT_ONCE:
            load.batch(records, refused)
            records, refused, keys = [], [], set()
    load.batch(records, refused)


def total(pulls: Iterable[ParsedPull]) -> Counts:
    """What some loads did together."""
    counts = Counts()
    for parsed in pulls:
        counts.add(parsed.counts or Counts())
    return counts


def _load(connection: sa.Connection, parsed: ParsedPull) -> Load | RecordLoad:
    pull, keys, replay = parsed.manifest.pull, parsed.manifest.keys, parsed.replay
    if parsed.resource is LISTINGS:
        return Load(connection, pull, keys, replay=replay)
    return RecordLoad(connection, pull, parsed.resource, keys, replay=replay)


def _batches(mirror: Mirror, manifest: Manifest, source: ResourceSource) -> Iterator[Batch]:
    """The records of a pull, read in this process: those that are known never."""
    if manifest.broken is not None:
        raise BrokenPull(manifest.broken)
    waiting: list[_Waiting] = []
    for page in manifest.pages:
        found = Page(_page(mirror, manifest, page), source.detail_record)
        for record in found.records:
            head = source.head(record)
            waiting.append((head, partial(read_record, source, found, record, head)))
        if len(waiting) >= RECORDS_AT_ONCE:
            yield _batch(waiting, manifest)
            waiting = []
    yield _batch(waiting, manifest)


def _batches_of(
    reader: Reader, mirror: Mirror, manifest: Manifest, source: ResourceSource, replay: bool
) -> Iterator[Batch]:
    """The records of a pull, read by another process while this one loads."""
    held = {} if replay else loaded_hashes(mirror.connection, mirror.feed.name, manifest.keys)
    get = partial(_page, mirror, manifest)
    waiting: list[_Waiting] = []
    pages = zip(manifest.pages, reader.read(manifest.pages, get, held), strict=True)
    for page, found in pages:
        if found is None:
            waiting += _read_here(source, get(page))
        else:
            for place, (head, record) in enumerate(found):
                again = partial(_again, source, get, page, place)
                waiting.append((head, again if record is None else partial(_itself, record)))
        if len(waiting) >= RECORDS_AT_ONCE:
            yield _batch(waiting, manifest)
            waiting = []
    yield _batch(waiting, manifest)


def _page(mirror: Mirror, manifest: Manifest, page: dict[str, Any]) -> bytes:
    return read_page(mirror.archive, manifest.pull, page)


def _read_here(source: ResourceSource, data: bytes) -> Iterator[_Waiting]:
    page = Page(data, source.detail_record)
    for record in page.records:
        head = source.head(record)
        yield head, partial(read_record, source, page, record, head)


def _again(
    source: ResourceSource, get: Callable[[dict[str, Any]], bytes], page: dict[str, Any], place: int
) -> Parsed | Unparsed:
    """A record that seemed to be known and is not: the pull itself has changed what is held."""
    _, read = next(islice(_read_here(source, get(page)), place, None))
    return read()


def _itself(record: Parsed | Unparsed) -> Parsed | Unparsed:
    return record


def _told(mirror: Mirror, batches: Iterator[Batch], done: int, total: int) -> Iterator[Batch]:
    """The batches, with a word about how many records are loaded, of so many asked for."""
    mirror.progress("loading", done, total)
    for batch in batches:
        yield batch
        done += len(batch.heads)
        mirror.progress("loading", min(done, total), total)


def _batch(waiting: list[_Waiting], manifest: Manifest) -> Batch:
    asked = [(head, read) for head, read in waiting if _is_asked_for(head, manifest)]

    def read(places: Sequence[int]) -> Iterator[Parsed | Unparsed]:
        for head, record in (asked[place] for place in places):
            result = record()
            if head.key is not None and manifest.keys[head.key] is None:
                _note_unread_timestamp(result)
            yield result

    return Batch([head for head, _ in asked], read)


def _is_asked_for(head: RecordHead, manifest: Manifest) -> bool:
    if head.key is None or head.key in manifest.keys:
        return True
    logger.warning(
        "feed %s: record %s was returned though nobody asked for it; left in the archive",
        manifest.pull.feed,
        head.key,
    )
    return False


def _note_unread_timestamp(result: Parsed | Unparsed) -> None:
    if isinstance(result, ParsedListing | ParsedRecord):
        result.problems.append(
            Problem("LastUpdated", "the master list's timestamp could not be read", "")
        )
