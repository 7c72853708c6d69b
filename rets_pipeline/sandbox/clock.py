"""The sandbox's own time, and the ways in which DDF writes a time.

What belongs here: the clock, and conversions from seconds since 1970 (UTC, whole) and .NET ticks
(100 ns since the year 1) to text. What does not: deciding what changes when.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY = 86_400
TICKS_PER_SECOND = 10_000_000
#: .NET ticks of 1970-01-01
_TICKS_AT_EPOCH = 621_355_968_000_000_000
_EASTERN = ZoneInfo("America/Toronto")
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


@dataclass(slots=True)
class Clock:
    """A clock that stands still until it is moved.

    Attributes:
        today: the real day that the sandbox's past is counted from.
        days: how many days before the start the first listing was updated.
        lead_days: how many days before ``today`` the clock starts: room to age.
        first: the earliest time of a listing; seconds since 1970, UTC.
        start: where the clock started.
        now: where it stands.
        day: how often :meth:`next_day` was called.
    """

    today: date
    days: int
    lead_days: int
    first: int = field(init=False)
    start: int = field(init=False)
    now: int = field(init=False)
    day: int = 0

    def __post_init__(self) -> None:
        midnight = datetime(self.today.year, self.today.month, self.today.day, tzinfo=UTC)
        self.start = int((midnight - timedelta(days=self.lead_days)).timestamp())
        self.first = self.start - self.days * DAY
        self.now = self.start

    def tick(self) -> int:
        """Let a minute pass, so that a single change has a time of its own; the new time."""
        self.now += 60
        return self.now

    def next_day(self) -> tuple[int, int]:
        """Let a day pass; its first and last second."""
        begin = self.now
        self.now += DAY
        self.day += 1
        return begin + 1, self.now


def iso(seconds: int) -> str:
    """ISO 8601 with an offset of zero."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def seconds_of(text: str) -> int:
    """The reverse of :func:`iso`; a text without an offset, or a bare date, is UTC.

    Raises:
        ValueError: it is no ISO 8601 date or time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp())


def rfc1123(seconds: int) -> str:
    """As DDF writes every trustworthy time: ``Wed, 13 Mar 2024 14:33:02 GMT``."""
    day, rest = divmod(seconds, DAY)
    minutes, second = divmod(rest, 60)
    hour, minute = divmod(minutes, 60)
    return f"{_rfc1123_day(day)} {hour:02}:{minute:02}:{second:02} GMT"


@lru_cache(maxsize=10_000)
def _rfc1123_day(day: int) -> str:
    # Names of our own: strftime would follow the locale.
    moment = datetime.fromtimestamp(day * DAY, UTC)
    weekday, month = _WEEKDAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{weekday}, {moment.day:02} {month} {moment.year}"


def ticks(seconds: int, fraction: int = 0) -> int:
    """.NET ticks, UTC, of a second and a fraction of it in units of 100 ns."""
    return _TICKS_AT_EPOCH + seconds * TICKS_PER_SECOND + fraction


def ticks_to_seconds(value: int) -> int:
    """The whole second that UTC ticks lie in."""
    return (value - _TICKS_AT_EPOCH) // TICKS_PER_SECOND


def eastern_ticks(value: int) -> int:
    """UTC ticks as DDF's addresses of photos count them: Eastern time, the fraction kept."""
    offset = _eastern(ticks_to_seconds(value)).utcoffset() or timedelta()
    return value + int(offset.total_seconds()) * TICKS_PER_SECOND


def swapped(seconds: int) -> int:
    """The time that DDF shows as ``PropertyPhoto/LastUpdated``: day and month exchanged.

    DDF: the server prints Eastern time as dd/MM/yyyy and reads it back as MM/dd/yyyy. Days
    above 12 cannot be read that way and stay right.
    """
    local = _eastern(seconds)
    if local.day > 12:
        return seconds
    return int(local.replace(day=local.month, month=local.day).timestamp())


def local_time(moment: datetime) -> str:
    """As DDF writes open houses: ``17/03/2024 02:00:00 PM``, local, without a zone."""
    half = "AM" if moment.hour < 12 else "PM"
    return f"{moment:%d/%m/%Y} {(moment.hour - 1) % 12 + 1:02}:{moment:%M:%S} {half}"


def eastern_day_first(seconds: int) -> str:
    """As DDF wrote photos' times in 2019: ``22/01/2019 05:17:29 PM``, Eastern, without a zone."""
    return local_time(_eastern(seconds))


def eastern_year_first(seconds: int) -> str:
    """As DDF wrote logos' times in 2019: ``2019-02-21 6:40:20 PM``, Eastern, without a zone."""
    moment = _eastern(seconds)
    half = "AM" if moment.hour < 12 else "PM"
    return f"{moment:%Y-%m-%d} {(moment.hour - 1) % 12 + 1}:{moment:%M:%S} {half}"


def _eastern(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, _EASTERN)
