"""What the UI shows of a materialization.

What belongs here: metadata from counts, the same keys on every run (0 rather than absent) so that
the UI can plot them. What does not: counting.

Days carry no ``dagster/partition_row_count``: they tell what a run did, and the next run, which
finds nothing to do, would set the day's rows to 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from rets_pipeline.orchestration import pictures
from rets_pipeline.sync import apply
from rets_pipeline.sync.changes import ChangeCounts
from rets_pipeline.sync.delete import Deleted
from rets_pipeline.sync.images import ImageCounts
from rets_pipeline.sync.pull import Plan, Stored
from rets_pipeline.sync.shown import Map
from rets_pipeline.warehouse import tables
from rets_pipeline.warehouse.preview import Preview
from rets_pipeline.warehouse.pulls import Waiting
from rets_pipeline.warehouse.resources import LISTINGS, Resource

Metadata = Mapping[str, Any]

_DAYS_SHOWN = 31


def numbers(**values: int | float) -> dict[str, Any]:
    """Numbers, typed as Dagster plots them."""
    return {
        name: dg.MetadataValue.float(value)
        if isinstance(value, float)
        else dg.MetadataValue.int(value)
        for name, value in values.items()
    }


def master_list(
    *, keys: int, unreadable_timestamps: int, requests: int, size: int, seconds: float
) -> Metadata:
    """Of one master list."""
    return {
        **numbers(
            keys=keys,
            unreadable_timestamps=unreadable_timestamps,
            requests=requests,
            bytes=size,
            seconds=round(seconds, 3),
        ),
        "dagster/row_count": keys,
    }


def change_set(counts: ChangeCounts, *, on_server: int, seconds: float) -> Metadata:
    """Of one comparison, with a table of its days.

    Args:
        on_server: keys in the master list.
        seconds: that it took.
    """
    kinds = ("new", "changed", "retry", "gone")
    shown = sorted(counts.days, reverse=True)[:_DAYS_SHOWN]
    lines = [
        "| day | " + " | ".join(kinds) + " |",
        "|---|" + "---:|" * len(kinds),
        *(
            f"| {day} | " + " | ".join(str(counts.days[day][kind]) for kind in kinds) + " |"
            for day in shown
        ),
    ]
    hidden = len(counts.days) - len(shown)
    if hidden > 0:
        lines.append(f"\n{hidden} more days")
    return {
        **numbers(
            **{kind: counts.kinds[kind] for kind in kinds},
            unchanged=max(0, on_server - sum(counts.kinds[kind] for kind in kinds[:3])),
            seconds=round(seconds, 3),
        ),
        "dagster/row_count": counts.kinds.total(),
        "days": dg.MetadataValue.md("\n".join(lines) if counts.days else "nothing differs"),
    }


def raw(
    pulls: list[Stored], resource: Resource = LISTINGS, *, planning: float = 0, fetching: float = 0
) -> Metadata:
    """Of some pulls: those of one day, or of one run.

    Args:
        planning: seconds until it was known what to ask for; of the whole run.
        fetching: seconds of the requests, and of writing their answers.
    """
    return {
        **numbers(
            pulls=len(pulls),
            **{resource.kind: sum(stored.records for stored in pulls)},
            not_returned=sum(stored.not_returned for stored in pulls),
            requests=sum(stored.requests for stored in pulls),
            bytes=sum(stored.size for stored in pulls),
            seconds_planning=round(planning, 3),
            seconds_fetching=round(fetching, 3),
        ),
        "archive": ", ".join(stored.pull.archive_prefix for stored in pulls) or "nothing to fetch",
    }


def left_over(plan: Plan) -> Metadata:
    """Of one run: keys of all days that its budgets have left for the next one."""
    return numbers(left_over=plan.left_over.total())


def pulls_left(left: Waiting) -> Metadata:
    """Of one run: pulls of all days that its time has left for the next one."""
    return numbers(pulls_left=left.unloaded.total(), replays_left=left.again)


def loads(pulls: list[apply.ParsedPull], *, rows: int, loading: float = 0) -> Metadata:
    """Of some loads: those of one day, or of one run.

    Args:
        rows: of the table, now.
        loading: seconds of reading and writing them.
    """
    counts = apply.total(pulls)
    found = numbers(
        pulls=len(pulls),
        pulls_failed=sum(parsed.counts is None for parsed in pulls),
        new=counts.new,
        changed=counts.changed,
        unchanged=counts.unchanged,
        superseded=counts.superseded,
        quarantined=counts.quarantined,
        not_returned=counts.not_returned,
        value_problems=counts.value_problems,
        seconds_loading=round(loading, 3),
    )
    return {**found, "dagster/row_count": rows}


def deletions(deleted: Deleted, seconds: float) -> Metadata:
    """Of one deletion, which took so many seconds."""
    return numbers(
        gone=deleted.keys, live_before=deleted.live_before, seconds_deleting=round(seconds, 3)
    )


def images(counts: ImageCounts, seconds: float) -> Metadata:
    """Of one image run, which took so many seconds."""
    found = {name: getattr(counts, name) for name in ImageCounts.__slots__}
    return numbers(**found, seconds=round(seconds, 3))


def listings_shown(listings: list[Preview], new: Map) -> Metadata:
    """What people look at: some listings, and the new ones on a map."""
    return {
        "preview": dg.MetadataValue.md(pictures.preview(listings)),
        "new_coordinates": dg.MetadataValue.md(pictures.map_of(new)),
    }


def tables_of_listings() -> str:
    """The tables that a load writes, for the asset's description."""
    names = [*tables.LISTING_TABLES, *(shared.name for shared in tables.SHARED_TABLES)]
    return ", ".join(f"`{name}`" for name in names)
