"""Pulls: records that the warehouse lacks or holds differently, byte for byte.

What belongs here: the plan, the requests, the pages in the archive. What does not: parsing.

In the archive, below ``raw/<feed>/listings/<day>/<pull>/`` (``raw/<feed>/members/<pull>/``,
``raw/<feed>/offices/<pull>/``): ``page-00001.xml.zst`` and so on, and ``manifest.json``, written
last: a pull without it does not exist.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from rets_pipeline import __version__
from rets_pipeline.archive import (
    Archive,
    CorruptData,
    NotInArchive,
    compress_stream,
    decompress_stream,
)
from rets_pipeline.rets import SplitRequest
from rets_pipeline.sync import lookups
from rets_pipeline.sync.days import DayRange, day_of, today
from rets_pipeline.sync.master import MasterList
from rets_pipeline.sync.mirror import TIME_TO_FETCH, Mirror, attributes_of
from rets_pipeline.warehouse import difference, pulls
from rets_pipeline.warehouse.difference import Difference
from rets_pipeline.warehouse.engine import transaction
from rets_pipeline.warehouse.pulls import Pull
from rets_pipeline.warehouse.resources import LISTINGS, Resource

logger = logging.getLogger(__name__)

#: requests of one pull: what a crash loses at most, and what one transaction loads
REQUESTS_PER_PULL = 50

Keys = dict[str, datetime | None]


class BrokenPull(Exception):
    """A pull in the archive cannot be read; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask for.

    Attributes:
        days: key and master timestamp, by day, the latest day first. What is not grouped by day
            stands under None.
        kinds: how many keys are new, changed, or tried again.
        in_archive: keys left out since a complete pull that waits in the archive has them.
        left_over: keys by day, left out since the run's budget of keys is spent, and those that
            :func:`fetch` leaves out since its time is; the next run goes on.
    """

    days: dict[date | None, Keys]
    kinds: Counter[str]
    in_archive: int
    left_over: Counter[date | None]
    resource: Resource = LISTINGS

    @property
    def keys(self) -> int:
        """How many keys are to be asked for."""
        return sum(len(keys) for keys in self.days.values())


def plan(mirror: Mirror, master: MasterList, days: DayRange | None = None) -> Plan:
    """Compare the master list with the ledger.

    Args:
        days: only keys whose timestamp belongs to one of them; None means every key.
    """
    feed, resource = mirror.feed, master.resource
    waiting = _waiting_keys(mirror, resource)
    wanted: dict[date | None, Keys] = {}
    kinds: Counter[str] = Counter()
    in_archive = 0
    left_over: Counter[date | None] = Counter()
    for item in _differences(mirror, master):
        day = day_for(mirror, resource, item.master_timestamp)
        if days is not None and day is not None and day not in days:
            continue
        if item.kind != "retry" and waiting.get(item.key, ()) == item.master_timestamp:
            in_archive += 1
        elif kinds.total() >= feed.listings_per_run:
            left_over[day] += 1
        else:
            kinds[item.kind] += 1
            wanted.setdefault(day, {})[item.key] = item.master_timestamp
    ordered = {
        day: wanted[day] for day in sorted(wanted, key=lambda day: day or date.max, reverse=True)
    }
    return Plan(ordered, kinds, in_archive, left_over, resource)


def day_for(mirror: Mirror, resource: Resource, timestamp: datetime | None) -> date | None:
    """The day that a record is grouped by; None when its resource knows no days."""
    if not resource.by_day:
        return None
    return day_of(timestamp, first_day=mirror.feed.first_day, today=today())


def _differences(mirror: Mirror, master: MasterList) -> Iterator[Difference]:
    """Keys to fetch, the latest timestamps first. The run's connection is in use meanwhile."""
    with (
        transaction(mirror.connection) as connection,
        difference.loaded(connection, master.batches(mirror.archive)),
    ):
        yield from difference.to_fetch(
            connection, mirror.feed.name, datetime.now(UTC), master.resource
        )


@dataclass(frozen=True, slots=True)
class Page:
    """One answer.

    Attributes:
        data: the body as received.
        asked: the keys in the request.
        returned: the keys in the answer.
    """

    data: bytes
    asked: list[str]
    returned: list[str]


@dataclass(slots=True)
class Download:
    """A pull that is being made.

    Attributes:
        keys: what is asked for: key and master timestamp.
        pages: the answers; each is requested when it is drawn.
        stored: set by :func:`store`.
    """

    day: date | None
    keys: Keys
    pages: Iterator[Page]
    stored: Stored | None = field(default=None)
    resource: Resource = LISTINGS


@dataclass(frozen=True, slots=True)
class Stored:
    """A complete pull in the archive."""

    pull: Pull
    records: int
    size: int
    requests: int
    not_returned: int
    asked: int


def fetch(mirror: Mirror, plan: Plan) -> Iterator[Download]:
    """The pulls of a plan, one after another. Draw a pull's pages before the next pull.

    When the time to fetch is over, what was not asked for is added to ``plan.left_over``. The
    first request is always made: every run comes nearer, however slow the server is.

    Raises:
        RetsError: while pages are drawn, when the server refuses or an answer is not whole.
    """
    done, resource = 0, plan.resource
    if plan.keys:
        lookups.refresh(mirror)
    for day, keys in plan.days.items():
        for part in _parts(list(keys), mirror.feed.listings_per_request * REQUESTS_PER_PULL):
            if done and mirror.is_late(TIME_TO_FETCH):
                plan.left_over[day] += len(part)
                continue
            asked = {key: keys[key] for key in part}
            pages = _told(mirror, plan, done, _pages(mirror, plan, day, part))
            yield Download(day, asked, pages, resource=resource)
            done += len(part)
    mirror.progress(resource.kind, done, plan.keys)


def store(mirror: Mirror, download: Download) -> Stored:
    """Keep a pull; it exists from the moment its manifest is written.

    It holds the keys that its pages were asked for, which may be fewer than were planned.
    """
    feed, kind = mirror.feed.name, download.resource.kind
    folder = f"raw/{feed}/{kind}"
    with transaction(mirror.connection) as connection:
        pull = pulls.begin(
            connection,
            feed,
            kind,
            prefix=f"{folder}/{download.day.isoformat()}" if download.day else folder,
            day=download.day,
            keys_asked=len(download.keys),
        )
    before = mirror.requests_made()
    pages: list[dict[str, Any]] = []
    asked: Keys = {}
    returned: set[str] = set()
    for number, page in enumerate(download.pages, start=1):
        name = f"page-{number:05}.xml.zst"
        data = b"".join(compress_stream([page.data]))
        mirror.archive.put(f"{pull.archive_prefix}/{name}", data)
        pages.append(
            {
                "name": name,
                "records": len(page.returned),
                "bytes": len(page.data),
                "sha256": hashlib.sha256(page.data).hexdigest(),
            }
        )
        asked.update((key, download.keys[key]) for key in page.asked)
        returned.update(page.returned)
    stored = Stored(
        pull,
        records=sum(page["records"] for page in pages),
        size=sum(page["bytes"] for page in pages),
        requests=mirror.requests_made() - before,
        not_returned=len(asked.keys() - returned),
        asked=len(asked),
    )
    _write_manifest(mirror.archive, stored, download.day, asked, pages)
    with transaction(mirror.connection) as connection:
        pulls.complete(
            connection,
            pull,
            records=stored.records,
            size=stored.size,
            requests=stored.requests,
            keys_asked=stored.asked,
        )
    download.stored = stored
    return stored


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a complete pull holds.

    Attributes:
        broken: why the manifest cannot be used; nothing else of it is known then.
    """

    pull: Pull
    keys: Keys
    pages: list[dict[str, Any]]
    broken: str | None = None


def read_manifest(
    archive: Archive, feed: str, prefix: str, resource: Resource = LISTINGS
) -> Manifest | None:
    """The manifest below a prefix; None when there is none, so no complete pull either.

    Raises:
        BrokenPull: it is there and cannot be read.
    """
    try:
        document = json.loads(archive.get(f"{prefix}/manifest.json"))
        pull = Pull(
            feed=feed,
            pull_id=prefix.rpartition("/")[2],
            kind=resource.kind,
            state="complete",
            day=date.fromisoformat(document["day"]) if resource.by_day else None,
            archive_prefix=prefix,
            requested_at=_aware(document["requested_at"]),
            keys_asked=len(document["keys"]),
            records=document["records"],
            bytes=document["bytes"],
            requests=document["requests"],
        )
        pulls.moment_of(pull.pull_id)
        found = (document["feed"], document["kind"], document["pull_id"])
        if found != (feed, pull.kind, pull.pull_id):
            raise ValueError("of another pull")
        keys = {str(key): _aware(at) if at else None for key, at in document["keys"]}
        pages = [
            {name: str(page[name]) for name in ("name", "sha256")} for page in document["pages"]
        ]
        return Manifest(pull, keys, pages)
    except NotInArchive:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenPull(f"feed {feed!r}: {prefix}/manifest.json: {error!r}") from None


def read_page(archive: Archive, pull: Pull, page: dict[str, Any]) -> bytes:
    """A page as it was received.

    Raises:
        BrokenPull: it is missing or was changed since.
    """
    key = f"{pull.archive_prefix}/{page['name']}"
    try:
        data = b"".join(decompress_stream([archive.get(key)]))
    except (NotInArchive, CorruptData) as error:
        raise BrokenPull(f"feed {pull.feed!r}: {key}: {error}") from None
    if hashlib.sha256(data).hexdigest() != page["sha256"]:
        raise BrokenPull(f"feed {pull.feed!r}: {key}: not the bytes that were received")
    return data


def _pages(mirror: Mirror, plan: Plan, day: date | None, keys: list[str]) -> Iterator[Page]:
    """The answers to requests for the keys, until all are asked for or the time is over."""
    size = mirror.feed.listings_per_request
    for start in range(0, len(keys), size):
        if start and mirror.is_late(TIME_TO_FETCH):
            plan.left_over[day] += len(keys) - start
            return
        yield from answers(mirror, plan.resource, keys[start : start + size])


def _told(mirror: Mirror, plan: Plan, done: int, pages: Iterator[Page]) -> Iterator[Page]:
    """The pages, with a word about the keys that are done before each request and at the end."""
    mirror.progress(plan.resource.kind, done, plan.keys)
    for page in pages:
        done += len(page.asked)
        mirror.progress(plan.resource.kind, done, plan.keys)
        yield page


def answers(mirror: Mirror, resource: Resource, keys: list[str]) -> Iterator[Page]:
    """One answer, or several when the server finds the request too large (20208).

    Args:
        keys: no more than one request takes (``listings_per_request``).

    Raises:
        RetsError: while they are drawn, when the server refuses or an answer is not whole.
    """
    source = mirror.source_of(resource)
    search = source.detail_search(keys)
    received: list[bytes] = []
    returned: list[str] = []
    try:
        with mirror.session().search(
            search.arguments, record=search.record, sink=received.append
        ) as answer:
            for element in answer:
                key = source.detail_key(attributes_of(element))
                if key is not None:
                    returned.append(key)
    except SplitRequest:
        if len(keys) == 1:
            raise
        middle = len(keys) // 2
        yield from answers(mirror, resource, keys[:middle])
        yield from answers(mirror, resource, keys[middle:])
        return
    yield Page(b"".join(received), keys, returned)


def _waiting_keys(mirror: Mirror, resource: Resource) -> Keys:
    """Keys of complete pulls that no load has applied yet: a run died in between.

    Those of a pull that cannot be read are asked for again.
    """
    with transaction(mirror.connection) as connection:
        waiting = pulls.in_state(
            connection, mirror.feed.name, "requested", "complete", kind=resource.kind
        )
    keys: Keys = {}
    for pull in waiting:
        with contextlib.suppress(BrokenPull):
            manifest = read_manifest(mirror.archive, pull.feed, pull.archive_prefix, resource)
            keys.update(manifest.keys if manifest is not None else {})
    return keys


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment


def _write_manifest(
    archive: Archive, stored: Stored, day: date | None, keys: Keys, pages: list[dict[str, Any]]
) -> None:
    pull = stored.pull
    manifest = {
        "format": 1,
        "feed": pull.feed,
        "kind": pull.kind,
        "pull_id": pull.pull_id,
        "day": day.isoformat() if day else None,
        "requested_at": pull.requested_at.isoformat(),
        "software_version": __version__,
        "records": stored.records,
        "bytes": stored.size,
        "requests": stored.requests,
        "keys": [[key, at.isoformat() if at else None] for key, at in keys.items()],
        "pages": pages,
    }
    archive.put(f"{pull.archive_prefix}/manifest.json", json.dumps(manifest, indent=1).encode())


def _parts(keys: list[str], size: int) -> Iterator[list[str]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))
