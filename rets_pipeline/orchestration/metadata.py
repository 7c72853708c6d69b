"""What the UI shows of a materialization.

What belongs here: metadata from counts, the same keys on every run (0 rather than absent) so that
the UI can plot them. What does not: counting.

Days carry no ``dagster/partition_row_count``: they tell what a run did, and the next run, which
finds nothing to do, would set the day's rows to 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import dagster as dg
import sqlalchemy as sa

from rets_pipeline.sync import apply
from rets_pipeline.sync.changes import ChangeCounts
from rets_pipeline.sync.delete import Deleted
from rets_pipeline.sync.images import ImageCounts
from rets_pipeline.sync.pull import Plan, Stored
from rets_pipeline.warehouse import tables
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


def change_set(counts: ChangeCounts) -> Metadata:
    """Of one comparison, with a table of its days."""
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
        **numbers(**{kind: counts.kinds[kind] for kind in kinds}),
        "dagster/row_count": counts.kinds.total(),
        "days": dg.MetadataValue.md("\n".join(lines) if counts.days else "nothing differs"),
    }


def raw(pulls: list[Stored], resource: Resource = LISTINGS) -> Metadata:
    """Of some pulls: those of one day, or of one run."""
    return {
        **numbers(
            pulls=len(pulls),
            **{resource.kind: sum(stored.records for stored in pulls)},
            not_returned=sum(stored.not_returned for stored in pulls),
            requests=sum(stored.requests for stored in pulls),
            bytes=sum(stored.size for stored in pulls),
        ),
        "archive": ", ".join(stored.pull.archive_prefix for stored in pulls) or "nothing to fetch",
    }


def left_over(plan: Plan) -> Metadata:
    """Of one run: keys of all days that its budgets have left for the next one."""
    return numbers(left_over=plan.left_over.total())


def loads(pulls: list[apply.ParsedPull]) -> Metadata:
    """Of some loads: those of one day, or of one run."""
    counts = apply.total(pulls)
    return numbers(
        pulls=len(pulls),
        pulls_failed=sum(parsed.counts is None for parsed in pulls),
        new=counts.new,
        changed=counts.changed,
        unchanged=counts.unchanged,
        superseded=counts.superseded,
        quarantined=counts.quarantined,
        not_returned=counts.not_returned,
        value_problems=counts.value_problems,
    )


def deletions(deleted: Deleted) -> Metadata:
    """Of one deletion."""
    return numbers(gone=deleted.keys, live_before=deleted.live_before)


def images(counts: ImageCounts) -> Metadata:
    """Of one image run."""
    return numbers(**{name: getattr(counts, name) for name in ImageCounts.__slots__})


@cache
def column_schema(table: sa.Table) -> dg.TableSchema:
    """The columns of a table with their RESO names."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=str(column.type.compile(dialect=_POSTGRES)),
                description=column.comment,
                constraints=dg.TableColumnConstraints(nullable=bool(column.nullable), unique=False),
            )
            for column in table.columns
        ]
    )


_POSTGRES = sa.dialects.postgresql.dialect()  # type: ignore[no-untyped-call]


def tables_of_listings() -> str:
    """The tables that a load writes, for the asset's description."""
    names = [*tables.LISTING_TABLES, *(shared.name for shared in tables.SHARED_TABLES)]
    return ", ".join(f"`{name}`" for name in names)
