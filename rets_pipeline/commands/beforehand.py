"""What can be told of a run before Dagster is imported, which takes a second or two.

What belongs here: the account and the warehouse that a run needs, and the days that were chosen for
it. What does not: runs, and anything that imports Dagster.
"""

from __future__ import annotations

from datetime import date

from rets_pipeline.settings import FeedConfig, Settings, SettingsError
from rets_pipeline.sync.accounts import credentials
from rets_pipeline.sync.days import DayRange, today
from rets_pipeline.warehouse.engine import Warehouse


def check(settings: Settings, feed: FeedConfig) -> None:
    """Try the account and the warehouse of a feed.

    Raises:
        SettingsError: a variable of the account is missing.
        WarehouseError: the warehouse cannot be opened.
    """
    credentials(feed)
    Warehouse.open(settings.database_url).close()


def days_of(feed: FeedConfig, first: date, last: date) -> DayRange:
    """Days to fetch or to replay.

    Raises:
        SettingsError: days that the feed does not have.
    """
    if first > last:
        raise SettingsError(f"the first day {first} comes after the last one {last}")
    latest = max(today(), feed.first_day)
    if first < feed.first_day or last > latest:
        raise SettingsError(
            f"feed {feed.name!r} has days from {feed.first_day} to {latest}, not {first} to {last}"
        )
    return DayRange(first, last)
