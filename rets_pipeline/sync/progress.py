"""How far a long step is, told now and then.

What belongs here: done, total, rate and the time that is left, and how often they are told. What
does not: where they are shown (Dagster's log, the terminal).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

_Item = TypeVar("_Item")

#: a line in Dagster's log costs milliseconds, so at most one in ten seconds
SECONDS_BETWEEN_LINES = 10.0


def told(
    progress: Callable[[str, int, int | None], None], phase: str, items: Sequence[_Item]
) -> Iterator[_Item]:
    """The same items; before each one, and at the end, it is told how many are done."""
    for number, item in enumerate(items):
        progress(phase, number, len(items))
        yield item
    progress(phase, len(items), len(items))


class PacedProgress:
    """Progress as lines; the phases of a step are timed apart.

    Args:
        say: called with the line, and with its numbers.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        say: Callable[[str, dict[str, Any]], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._clock = clock
        self._last = clock()
        self._phase = ""
        self._started = self._last
        self._first = 0

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        """Told of a phase, what is done of it, and how much it is altogether."""
        now = self._clock()
        if phase != self._phase or done < self._first:
            # What was done before the first word is no part of the rate.
            self._phase, self._started, self._first = phase, now, done
        if now - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last = now
        seconds = now - self._started
        rate = (done - self._first) / seconds if seconds else 0.0
        left = (total - done) / rate if total is not None and rate else None
        fields = {
            "progress": phase,
            "done": done,
            "total": total,
            "per_second": round(rate, 1),
            "seconds_left": None if left is None else round(left),
        }
        self._say(line(phase, done, total, rate, left), fields)


def line(phase: str, done: int, total: int | None, rate: float, left: float | None) -> str:
    """The line for people.

    Args:
        rate: done in a second.
        left: seconds, when they are known.
    """
    of = "" if total is None else f" of {total:,}"
    told = f"{phase}: {done:,}{of} done, {rate:,.{1 if 0 < rate < 10 else 0}f} a second"
    return told if left is None else f"{told}, {_duration(left)} left"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours:,} h {minutes:02} min"
    return f"{minutes} min {whole % 60:02} s" if minutes else f"{whole} s"
