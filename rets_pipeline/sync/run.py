"""A whole sync without an orchestrator.

What belongs here: the steps in their order, for tests and for people without Dagster. What does
not: anything that the Dagster assets do otherwise; they make the same calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from rets_pipeline.sync import apply, delete, master, pull
from rets_pipeline.sync.days import DayRange
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.warehouse.load import Counts
from rets_pipeline.warehouse.resources import LISTINGS, Resource


class PullsFailed(Exception):
    """Some pulls could not be applied; the others are."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did."""

    keys: int
    fetched: int
    counts: Counts
    deleted: int


def sync(
    mirror: Mirror,
    resource: Resource = LISTINGS,
    *,
    days: DayRange | None = None,
    allow_deletions: int = 0,
) -> SyncReport:
    """Converge once.

    Args:
        resource: what converges.
        days: only listings whose timestamp belongs to one of them; None means all.
        allow_deletions: the largest number of gone records that passes the guard.

    Raises:
        RetsError: the server refused or answered nonsense.
        GuardTripped: too many records are gone; everything else was done.
        PullsFailed: a pull could not be applied; everything else was done.
    """
    found = master.store(mirror, master.request(mirror, resource), resource)
    for download in pull.fetch(mirror, pull.plan(mirror, found, days)):
        pull.store(mirror, download)
    counts, fetched, reasons = Counts(), 0, []
    parse = apply.parse(mirror, apply.due(mirror, resource), resource)
    for parsed in chain(parse, apply.replays(mirror) if resource is LISTINGS else ()):
        apply.apply(mirror, parsed)
        fetched += parsed.manifest.pull.records or 0
        if parsed.counts is None:
            reasons.append(parsed.reason)
        else:
            counts.add(parsed.counts)
    deleted = delete.delete_gone(mirror, resource, allowed=allow_deletions)
    if reasons:
        raise PullsFailed(f"feed {mirror.feed.name!r}: {reasons[0]}")
    return SyncReport(found.pull.records or 0, fetched, counts, deleted.keys)
