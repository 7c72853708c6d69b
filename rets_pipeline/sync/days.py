"""The UTC days that listings are grouped by.

What belongs here: which day a timestamp belongs to. What does not: Dagster's partitions, and any
decision what to fetch; days serve backfill, replay and display only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta


@dataclass(frozen=True, slots=True)
class DayRange:
    """Days from ``first`` to ``last``, both included."""

    first: date
    last: date

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    def __iter__(self) -> Iterator[date]:
        return (
            self.first + timedelta(days=number)
            for number in range((self.last - self.first).days + 1)
        )


def today(now: datetime | None = None) -> date:
    """The present UTC day."""
    return (now or datetime.now(UTC)).astimezone(UTC).date()


def day_of(timestamp: datetime | None, *, first_day: date, today: date) -> date:
    """The day that a listing's timestamp belongs to.

    Timestamps before the feed's first day belong to that, those after today and those that could
    not be read to today: every listing has a day that exists.
    """
    if timestamp is None:
        return today
    return min(max(timestamp.astimezone(UTC).date(), first_day), today)
