"""UTC days as partitions.

What belongs here: the partitions of a feed, and ranges of them. What does not: which day a listing
belongs to (``sync.days``).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import dagster as dg

from rets_pipeline.orchestration import naming
from rets_pipeline.settings import FeedConfig
from rets_pipeline.sync.days import DayRange, today


def daily(feed: FeedConfig) -> dg.DailyPartitionsDefinition:
    """From the feed's first day to the present, unfinished one (hence the offset)."""
    return dg.DailyPartitionsDefinition(
        start_date=feed.first_day.isoformat(), timezone="UTC", end_offset=1
    )


def latest(feed: FeedConfig, moment: datetime) -> DayRange:
    """Yesterday and today as seen at a moment, as far as the feed has them."""
    last = max(today(moment), feed.first_day)
    return DayRange(max(last - timedelta(days=1), feed.first_day), last)


def range_tags(days: DayRange) -> dict[str, str]:
    """The tags by which a run covers several partitions."""
    return {
        naming.RANGE_START_TAG: days.first.isoformat(),
        naming.RANGE_END_TAG: days.last.isoformat(),
    }


def missing(context: dg.AssetExecutionContext, feed: FeedConfig) -> list[date]:
    """The feed's days, the latest first, of which the asset has no materialization."""
    known = context.instance.get_materialized_partitions(context.asset_key)
    keys = daily(feed).get_partition_keys()
    return [date.fromisoformat(key) for key in reversed(keys) if key not in known]


def days_of(context: dg.AssetExecutionContext) -> DayRange:
    """The days that a run covers."""
    keys = [datetime.fromisoformat(key).date() for key in context.partition_keys]
    return DayRange(min(keys), max(keys))


def freshness(cadence_minutes: int) -> dg.FreshnessPolicy:
    """Late after two missed runs; failing when the 24-hour duty is at stake."""
    late = timedelta(minutes=max(2 * cadence_minutes + 5, 10))
    return dg.FreshnessPolicy.time_window(
        fail_window=max(timedelta(hours=24), 2 * late), warn_window=late
    )
