"""Forgetting what nobody needs any more.

What belongs here: the order in which pulls, master lists, tombstones and books go. What does not:
which ones (``warehouse.retention``), and images (an image run removes those of gone listings).

Objects first, the manifest before the pages: a pull without a manifest does not exist. The row of
the ledger last: a run that dies in between finds it again and goes on. Tombstones go after the
pulls that could bring their keys back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from rets_pipeline.archive import Archive
from rets_pipeline.sync import changes
from rets_pipeline.sync.mirror import Mirror, others_of
from rets_pipeline.sync.progress import told
from rets_pipeline.sync.pull import BrokenPull, read_manifest
from rets_pipeline.warehouse import retention, runs
from rets_pipeline.warehouse.engine import transaction
from rets_pipeline.warehouse.pulls import Pull
from rets_pipeline.warehouse.resources import LISTINGS, Resource

#: of each resource and kind in one run; the next one goes on
PULLS_PER_RUN = 10_000

_AT_ONCE = 200
#: beyond so many keys whose pull is not known, no pull goes
_UNCERTAIN = 10_000
_DAY = timedelta(days=1)


@dataclass(slots=True)
class Pruned:
    """What a retention run removed.

    Attributes:
        objects: in the archive, of pulls and master lists; change sets come on top.
        kept_for_live: pulls that would be old enough, and that hold the last good record of a
            live key whose later download failed.
        runs: rows of the run ledger.
    """

    master_lists: int = 0
    pulls: int = 0
    objects: int = 0
    tombstones: int = 0
    kept_for_live: int = 0
    runs: int = 0


def prune(mirror: Mirror, now: datetime | None = None) -> Pruned:
    """Remove old pulls, master lists, tombstones and books of a feed, by the ages in its settings.

    Args:
        mirror: the run; it takes the feed's lock.
        now: the time, for tests.
    """
    now = now or datetime.now(UTC)
    counts = Pruned()
    for resource in (LISTINGS, *others_of(mirror.source)):
        counts.master_lists += _remove(mirror, _master_lists(mirror, resource, now), counts)
        counts.pulls += _remove(mirror, _pulls(mirror, resource, now, counts), counts)
        with transaction(mirror.connection) as connection:
            counts.tombstones += retention.forget_tombstones(
                connection,
                mirror.feed.name,
                resource,
                now - timedelta(days=mirror.feed.retention.tombstone_days),
            )
    with transaction(mirror.connection) as connection:
        counts.runs = runs.forget(
            connection, mirror.feed.name, now - timedelta(days=mirror.feed.retention.run_days)
        )
    mirror.note("retention", **asdict(counts))
    return counts


def _master_lists(mirror: Mirror, resource: Resource, now: datetime) -> list[Pull]:
    with transaction(mirror.connection) as connection:
        found = retention.master_lists(
            connection,
            mirror.feed.name,
            resource,
            thin_before=now - _DAY,
            forget_before=now - timedelta(days=mirror.feed.retention.master_list_days),
        )
    return found[:PULLS_PER_RUN]


def _pulls(mirror: Mirror, resource: Resource, now: datetime, counts: Pruned) -> list[Pull]:
    ages = mirror.feed.retention
    with transaction(mirror.connection) as connection:
        found = retention.unneeded(
            connection,
            mirror.feed.name,
            resource,
            requested_before=now - timedelta(days=ages.pull_days),
            gone_before=now - timedelta(days=ages.gone_pull_days),
            limit=PULLS_PER_RUN,
        )
        uncertain = retention.uncertain(connection, mirror.feed.name, resource, _UNCERTAIN)
    unneeded = [
        item
        for item in told(mirror.progress, "reading manifests of old pulls", found)
        if uncertain is not None and not _holds(mirror.archive, item, resource, uncertain)
    ]
    counts.kept_for_live += len(found) - len(unneeded)
    return unneeded


def _holds(archive: Archive, pull: Pull, resource: Resource, keys: set[str]) -> bool:
    """Whether a pull may hold the record of one of the keys."""
    if not keys:
        return False
    try:
        manifest = read_manifest(archive, pull.feed, pull.archive_prefix, resource)
    except BrokenPull:
        return True  # nobody knows
    return manifest is not None and not keys.isdisjoint(manifest.keys)


def _remove(mirror: Mirror, pulls: Sequence[Pull], counts: Pruned) -> int:
    remaining = iter(pulls)
    done = 0
    while some := list(islice(remaining, _AT_ONCE)):
        mirror.progress("removing pulls", done, len(pulls))
        objects = [
            stored.key for item in some for stored in mirror.archive.list(item.archive_prefix)
        ]
        manifests = [key for key in objects if key.endswith("/manifest.json")]
        mirror.archive.delete(manifests)
        mirror.archive.delete(set(objects).difference(manifests))
        mirror.archive.delete(
            changes.parquet_key(item) for item in some if item.kind == LISTINGS.master_list_kind
        )
        with transaction(mirror.connection) as connection:
            retention.forget(connection, mirror.feed.name, some)
        counts.objects += len(objects)
        done += len(some)
    return done
