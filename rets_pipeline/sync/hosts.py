"""How hosts of images are treated: politely, and not for ever.

What belongs here: how many requests a host gets at a time and a second, how long one waits after
a refusal, and when a host is left alone. What does not: the requests.

Everything here is for one event loop; no other thread may use it.
"""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: so many failures in a row, whatever was asked for, mean that the host is unwell
FAILURES_IN_A_ROW = 20
#: the longest that a run waits for a host; who asks for more is left for another run
LONGEST_PAUSE = 60.0
#: seconds before the first repetition; doubled for each further one
FIRST_PAUSE = 0.5


class Host:
    """One host during one run.

    Args:
        connections: requests under way at a time.
        requests_per_second: that begin in a second, evenly spread; None: no limit.
    """

    def __init__(self, connections: int, requests_per_second: float | None) -> None:
        self._places = asyncio.Semaphore(connections)
        self._interval = 1 / requests_per_second if requests_per_second else 0.0
        self._next_start = 0.0
        self._failures = 0
        self._left_alone = False

    @property
    def left_alone(self) -> bool:
        """Nothing more is asked of it in this run."""
        return self._left_alone

    async def __aenter__(self) -> Host:
        await self._places.acquire()
        try:
            while (wait := self._next_start - time.monotonic()) > 0 and not self._left_alone:
                await asyncio.sleep(wait)
        except BaseException:
            self._places.release()
            raise
        self._next_start = max(self._next_start, time.monotonic()) + self._interval
        return self

    async def __aexit__(self, *_: object) -> None:
        self._places.release()

    def succeeded(self) -> None:
        """It answered; what it said does not matter."""
        self._failures = 0

    def failed(self, retry_after: float | None) -> None:
        """It did not answer, or with a fault of its own.

        Args:
            retry_after: seconds that it wants to be left in peace: by every request.
        """
        self._failures += 1
        if retry_after is not None and retry_after > LONGEST_PAUSE:
            self._left_alone = True
        elif retry_after is not None:
            self._next_start = max(self._next_start, time.monotonic() + retry_after)
        if self._failures >= FAILURES_IN_A_ROW:
            self._left_alone = True


def pause_before(repetition: int) -> float:
    """Seconds to wait before a request is repeated: doubled each time, and not all at once.

    Args:
        repetition: 1 for the first.
    """
    return FIRST_PAUSE * 2.0 ** (repetition - 1) * random.uniform(0.5, 1.5)


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for (RFC 9110, 10.2.3); None without a time.

    Args:
        value: of the header: seconds, or a date.
        now: the time; the clock's without.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):  # the last for a year of twenty digits
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
