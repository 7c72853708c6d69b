"""Complete pulls into the warehouse.

What belongs here: which pulls are due, and parsing them as a stream. What does not: the rules of
order and replacement (``warehouse.load``).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from lxml import etree

from rets_pipeline.rets import RetsError, read_search
from rets_pipeline.sources.base import ParsedListing, Problem, UnparsedListing
from rets_pipeline.sync import lookups
from rets_pipeline.sync.days import DayRange
from rets_pipeline.sync.mirror import Mirror, attributes_of
from rets_pipeline.sync.pull import BrokenPull, Manifest, read_manifest, read_page
from rets_pipeline.warehouse import pulls
from rets_pipeline.warehouse.engine import transaction
from rets_pipeline.warehouse.load import Counts, Load, Refused
from rets_pipeline.warehouse.pulls import Pull

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Batch:
    """Some records of a pull: those that are listings, and those that could not be read."""

    listings: list[ParsedListing] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


@dataclass(slots=True)
class ParsedPull:
    """A complete pull that is being read.

    Attributes:
        batches: a page's records each; parsed when drawn.
        counts: set by :func:`apply`.
        reason: set by :func:`apply` when the pull could not be applied.
    """

    manifest: Manifest
    batches: Iterator[Batch]
    replay: bool = False
    counts: Counts | None = None
    reason: str | None = None

    @property
    def day(self) -> date:
        """The day that the pull belongs to."""
        assert self.manifest.pull.day is not None
        return self.manifest.pull.day


def due(mirror: Mirror) -> list[Manifest]:
    """Complete pulls that are not applied, in the order of their requests.

    A pull whose run died before the manifest was written is abandoned; one whose run died just
    after is complete, whatever the ledger says. One with a broken manifest is here too, so that
    its failure is told like every other one.
    """
    found = []
    with transaction(mirror.connection) as connection:
        for pull in pulls.in_state(connection, mirror.feed.name, "requested", "complete"):
            manifest = _manifest(mirror, pull)
            if manifest is None:
                pulls.abandoned(connection, pull)
            else:
                found.append(manifest)
    return found


def in_archive(mirror: Mirror, days: DayRange) -> list[Manifest]:
    """Complete pulls of those days, in the order of their requests, for a replay."""
    feed = mirror.feed.name
    found = []
    for day in days:
        for stored in mirror.archive.list(f"raw/{feed}/listings/{day.isoformat()}/"):
            prefix, _, name = stored.key.rpartition("/")
            pull = _pull_at(feed, day, prefix)
            manifest = _manifest(mirror, pull) if pull and name == "manifest.json" else None
            if manifest is not None:
                found.append(manifest)
    with transaction(mirror.connection) as connection:
        for manifest in found:
            if pulls.find(connection, feed, manifest.pull.pull_id) is None:
                pulls.adopt(connection, manifest.pull)  # a warehouse rebuilt from its archive
    return sorted(found, key=lambda manifest: manifest.pull.pull_id)


def _pull_at(feed: str, day: date, prefix: str) -> Pull | None:
    """What the place of a pull says of it; None when it is no place of a pull."""
    pull_id = prefix.rpartition("/")[2]
    try:
        requested_at = pulls.moment_of(pull_id)
    except ValueError:
        logger.warning("feed %s: %s is no pull; left alone", feed, prefix)
        return None
    return Pull(feed, pull_id, "listings", "complete", day, prefix, requested_at)


def _manifest(mirror: Mirror, pull: Pull) -> Manifest | None:
    try:
        return read_manifest(mirror.archive, pull.feed, pull.archive_prefix)
    except BrokenPull as error:
        return Manifest(pull, {}, [], broken=str(error))


def parse(
    mirror: Mirror, manifests: list[Manifest], *, replay: bool = False
) -> Iterator[ParsedPull]:
    """The pulls as rows. Draw a pull's batches before the next pull."""
    lookups.teach(mirror)
    for number, manifest in enumerate(manifests):
        mirror.progress("loading", number, len(manifests))
        yield ParsedPull(manifest, _batches(mirror, manifest), replay)
    mirror.progress("loading", len(manifests), len(manifests))


def apply(mirror: Mirror, parsed: ParsedPull) -> None:
    """Load one pull in one transaction, together with its ledger rows.

    A pull that cannot be applied is marked as failed with the reason, and is no exception: the
    others go on. A fault of the database itself ends the run.
    """
    pull = parsed.manifest.pull
    try:
        with transaction(mirror.connection) as connection:
            load = Load(connection, pull, parsed.manifest.keys, replay=parsed.replay)
            for batch in parsed.batches:
                load.batch(batch.listings, batch.refused)
            parsed.counts = load.finish()
            pulls.applied(connection, pull)
    except (BrokenPull, RetsError) as error:
        parsed.counts, parsed.reason = None, str(error)
        logger.error("feed %s: pull %s: %s", pull.feed, pull.pull_id, error)
        with transaction(mirror.connection) as connection:
            pulls.failed(connection, pull, parsed.reason)


def _batches(mirror: Mirror, manifest: Manifest) -> Iterator[Batch]:
    if manifest.broken is not None:
        raise BrokenPull(manifest.broken)
    for page in manifest.pages:
        data = read_page(mirror.archive, manifest.pull, page)
        batch = Batch()
        with read_search([data], record=mirror.source.detail_record) as answer:
            for element in answer:
                _add(batch, _parsed(mirror, element), manifest)
        yield batch


def _parsed(mirror: Mirror, element: Any) -> ParsedListing | UnparsedListing:
    """A record as rows; a fault in a mapping costs that record and no other."""
    try:
        return mirror.source.parse(element)
    except Exception as error:
        key = mirror.source.detail_key(attributes_of(element))
        logger.exception("feed %s: listing %s cannot be parsed", mirror.feed.name, key)
        raw = etree.tostring(element, encoding="unicode")
        return UnparsedListing(key, Problem("", f"the mapping failed: {error!r}", raw))


def _add(batch: Batch, result: ParsedListing | UnparsedListing, manifest: Manifest) -> None:
    key = result.listing_key
    if key is not None and key not in manifest.keys:
        logger.warning(
            "feed %s: listing %s was returned though nobody asked for it; left in the archive",
            manifest.pull.feed,
            key,
        )
    elif isinstance(result, UnparsedListing):
        batch.refused.append(Refused(key, result.problem))
    else:
        if manifest.keys[result.listing_key] is None:
            result.problems.append(
                Problem("LastUpdated", "the master list's timestamp could not be read", "")
            )
        batch.listings.append(result)
