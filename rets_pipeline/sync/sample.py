"""Some records fetched again, to find content that changed under an equal timestamp.

What belongs here: the rotating sample of the reconcile, and what it found. What does not: which
records are due (``warehouse.audits``), and the load itself: the sample is a pull like any other,
kept in the archive and loaded by the same rules.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date

from rets_pipeline.sync import apply, pull
from rets_pipeline.sync import master as masters
from rets_pipeline.sync.apply import ParsedPull
from rets_pipeline.sync.days import day_of, today
from rets_pipeline.sync.mirror import Mirror, action
from rets_pipeline.warehouse import audits, difference
from rets_pipeline.warehouse.audits import Confirmed
from rets_pipeline.warehouse.engine import transaction
from rets_pipeline.warehouse.resources import LISTINGS, Resource

#: drifted keys that the run ledger names
KEYS_TOLD = 100


@dataclass(slots=True)
class Sampled:
    """What a sample found, in keys.

    Attributes:
        sampled: fetched again.
        moved: whose timestamp is another one now; no drift, the server has changed them since.
        in_vain: not returned, or not understood.
        drifted: whose content is another one under the same timestamp, in order.
        pulls: what was loaded, together with whatever else waited in the archive.
    """

    sampled: int = 0
    moved: int = 0
    in_vain: int = 0
    drifted: list[str] = field(default_factory=list)
    pulls: list[ParsedPull] = field(default_factory=list)


def refetch(mirror: Mirror, resource: Resource = LISTINGS) -> Sampled:
    """Fetch a sample again, load it, and tell what had drifted. Drift is repaired by that.

    A run that dies in between leaves a pull that the next load applies; the drift in it is
    repaired then, too, but not told.

    Raises:
        RetsError: the server refused or answered nonsense.
    """
    before = _chosen(mirror, resource)
    for download in pull.fetch(mirror, _plan(mirror, resource, before)):
        pull.store(mirror, download)
    found = Sampled(sampled=len(before))
    if before:
        for parsed in apply.parse(mirror, apply.due(mirror, resource), resource):
            apply.apply(mirror, parsed)
            found.pulls.append(parsed)
        with transaction(mirror.connection) as connection:
            after = audits.confirmed(connection, mirror.feed.name, resource, list(before))
        _compare(before, after, found)
    mirror.note(
        action(resource, "sample"),
        sampled=found.sampled,
        drifted=len(found.drifted),
        moved=found.moved,
        in_vain=found.in_vain,
        drifted_keys=found.drifted[:KEYS_TOLD],
    )
    return found


def _chosen(mirror: Mirror, resource: Resource) -> dict[str, Confirmed]:
    master = masters.newest(mirror, resource)
    if master is None or not mirror.feed.reconcile.sample:
        return {}
    with (
        transaction(mirror.connection) as connection,
        difference.loaded(connection, master.batches(mirror.archive)),
    ):
        return audits.sample(
            connection,
            mirror.feed.name,
            resource,
            share=mirror.feed.reconcile.sample,
            limit=mirror.feed.listings_per_run,
        )


def _plan(mirror: Mirror, resource: Resource, chosen: dict[str, Confirmed]) -> pull.Plan:
    days: dict[date | None, pull.Keys] = {}
    for key, held in chosen.items():
        day = None
        if resource.by_day:
            day = day_of(held.master_timestamp, first_day=mirror.feed.first_day, today=today())
        days.setdefault(day, {})[key] = held.master_timestamp
    kinds = Counter({"sample": len(chosen)})
    return pull.Plan(days, kinds, in_archive=0, left_over=Counter(), resource=resource)


def _compare(before: dict[str, Confirmed], after: dict[str, Confirmed], found: Sampled) -> None:
    for key, held in sorted(before.items()):
        now = after.get(key)
        if now is None or now.pull_id == held.pull_id:
            found.in_vain += 1  # the latter: its pull could not be applied
        elif now.payload_timestamp != held.payload_timestamp:
            found.moved += 1
        elif now.content_hash != held.content_hash:
            found.drifted.append(key)
