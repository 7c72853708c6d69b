"""What the assets of every resource do alike.

What belongs here: streams that count what passes, and the books and reports of a step. What does
not: assets, and the steps of the sync themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import date
from typing import Any, TypeVar

import dagster as dg

from rets_pipeline.orchestration import active_runs, metadata, naming
from rets_pipeline.orchestration.failures import as_failures
from rets_pipeline.sync import apply, master, pull
from rets_pipeline.sync.master import MasterList
from rets_pipeline.sync.mirror import Mirror, action
from rets_pipeline.warehouse.load import Counts
from rets_pipeline.warehouse.resources import Resource


def master_list(
    context: dg.AssetExecutionContext, mirror: Mirror, resource: Resource
) -> Iterator[master.Chunk]:
    """A resource's master list as it arrives, reported at its end."""
    keys = unreadable = size = 0
    before, started = mirror.requests_made(), time.monotonic()
    with as_failures():
        for chunk in master.request(mirror, resource):
            keys += len(chunk.entries)
            size += len(chunk.raw)
            unreadable += chunk.entries["modification_timestamp"].null_count
            yield chunk
    context.add_asset_metadata(
        metadata.master_list(
            keys=keys,
            unreadable_timestamps=unreadable,
            requests=mirror.requests_made() - before,
            size=size,
            seconds=time.monotonic() - started,
        )
    )


_Item = TypeVar("_Item")


def timed(
    items: Iterable[_Item], seconds: dict[Any, float], key: Callable[[_Item], object]
) -> Iterator[_Item]:
    """The same items; the seconds until the next one is asked for are added up by their keys.

    Whoever draws an item does the work: an I/O manager fetches, reads and writes what is in it.
    """
    for item in items:
        started = time.monotonic()
        yield item
        whose = key(item)
        seconds[whose] = seconds.get(whose, 0.0) + time.monotonic() - started


def planned(context: dg.AssetExecutionContext, plan: pull.Plan) -> None:
    """Tell in the run's log what is asked for."""
    context.log.info(
        f"{plan.keys:,} {plan.resource.kind} to fetch {dict(plan.kinds)}, {plan.in_archive:,} are "
        f"in the archive already, {plan.left_over.total():,} are left for the next run"
    )


def report_master_list(context: dg.AssetExecutionContext, feed: str, found: MasterList) -> None:
    """The upstream asset did not run, and its content is new all the same."""
    resource = found.resource
    context.log_event(
        dg.AssetMaterialization(
            asset_key=naming.asset_key(feed, naming.master_list(resource)),
            description=f"fetched by {naming.raw(resource)}, since none was newer than the cadence",
            metadata=metadata.master_list(
                keys=found.pull.records or 0,
                unreadable_timestamps=found.unreadable_timestamps,
                requests=found.pull.requests or 0,
                size=found.pull.bytes or 0,
                seconds=0.0,
            ),
        )
    )


def note_pulls(mirror: Mirror, plan: pull.Plan, stored: Iterable[pull.Stored]) -> None:
    """The books of what was fetched."""
    every = list(stored)
    mirror.note(
        action(plan.resource, "pulls"),
        asked=sum(item.asked for item in every),
        **{plan.resource.kind: sum(item.records for item in every)},
        requests=sum(item.requests for item in every),
        left_over=plan.left_over.total(),
    )


def note_load(
    mirror: Mirror, resource: Resource, pulls: list[apply.ParsedPull], **more: int
) -> None:
    """The books of what was loaded."""
    counts = apply.total(pulls)
    mirror.note(
        resource.kind,
        pulls=len(pulls),
        **{name: getattr(counts, name) for name in Counts.__slots__},
        **more,
    )


def fetched_everything(mirror: Mirror) -> bool:
    """Whether this run has fetched all listings that it planned to, and left none."""
    planned = [noted for noted in mirror.actions if noted["action"] == "pulls"]
    return bool(planned) and planned[-1]["left_over"] == 0


def not_again(context: dg.AssetExecutionContext) -> None:
    """No retry of a run that crashes: the syncs go on with its replay.

    The job says the same; runs that the UI makes from assets have no tags of a job.
    """
    context.instance.add_run_tags(context.run.run_id, {active_runs.RETRIES_TAG: "0"})


def fail_for_days(mirror: Mirror, left: Collection[date | None], number: int, what: str) -> None:
    """The failure of a backfill that could not do all of its days, once it did what it could.

    Args:
        left: days of which something is left.
        number: how much is left.
        what: is left.
    """
    days = sorted(day for day in left if day is not None)
    raise dg.Failure(
        description=f"feed {mirror.feed.name!r}: the run's time or its budget was over: "
        f"{number:,} {what} of {len(days):,} days are left, {days[0]} to {days[-1]}. "
        "What was fetched is in the archive, and every sync goes on from here; so does this run "
        "when it is started again",
        allow_retries=False,
    )


def fail_for(mirror: Mirror, pulls: list[apply.ParsedPull]) -> None:
    """The failure of pulls that could not be applied, once the others are."""
    reasons = [parsed.reason for parsed in pulls if parsed.reason is not None]
    if reasons:
        raise dg.Failure(
            description=f"feed {mirror.feed.name!r}: {len(reasons)} of {len(pulls)} pulls could "
            f"not be applied, the others are: {reasons[0]}",
            allow_retries=False,
        )
