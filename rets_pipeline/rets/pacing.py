"""How fast one account may ask, over all its sessions in this process.

What belongs here: waiting for a turn. What does not: sending, and waiting after a refusal
(``session``).
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from typing import Final

#: who waits longer for a free place has met a bug: an answer that nobody closes, say
PATIENCE: Final = 600.0


class Pace:
    """The limits of one account; for use by several threads.

    Args:
        requests_per_second: at most so many requests begin in a second, evenly spread.
        concurrency: at most so many requests are under way, until their answers are closed.
    """

    def __init__(
        self, requests_per_second: float | None = None, concurrency: int | None = None
    ) -> None:
        self._condition = threading.Condition()
        self._interval = 0.0
        self._concurrency: int | None = None
        self._next_start = 0.0
        self._under_way = 0
        self.tighten(requests_per_second, concurrency)

    def tighten(self, requests_per_second: float | None, concurrency: int | None) -> None:
        """Apply further limits; of several, the strictest holds.

        Raises:
            ValueError: a limit is not above 0.
        """
        if requests_per_second is not None and not requests_per_second > 0:
            raise ValueError("requests_per_second must be above 0")
        if concurrency is not None and concurrency < 1:
            raise ValueError("concurrency must be at least 1")
        with self._condition:
            if requests_per_second is not None:
                self._interval = max(self._interval, 1 / requests_per_second)
            if concurrency is not None:
                self._concurrency = min(concurrency, self._concurrency or concurrency)

    def enter(
        self, sleep: Callable[[float], None] = time.sleep, patience: float = PATIENCE
    ) -> bool:
        """Wait for a free place, then for the time to begin.

        Args:
            sleep: waits so many seconds.
            patience: seconds to wait for a free place.

        Returns:
            Whether there was one. Then :meth:`leave` must be called.
        """
        with self._condition:
            if not self._condition.wait_for(self._has_room, patience):
                return False
            self._under_way += 1
            now = time.monotonic()
            start = max(now, self._next_start)
            self._next_start = start + self._interval
        if start > now:
            sleep(start - now)
        return True

    def leave(self) -> None:
        """Give the place back."""
        with self._condition:
            self._under_way -= 1
            self._condition.notify()

    def _has_room(self) -> bool:
        return self._concurrency is None or self._under_way < self._concurrency


_guard = threading.Lock()
_paces: weakref.WeakValueDictionary[tuple[str, str], Pace] = weakref.WeakValueDictionary()


def shared_pace(
    server: str, username: str, requests_per_second: float | None, concurrency: int | None
) -> Pace:
    """The pace of an account, one for all of its sessions in this process.

    Args:
        server: host, and port if the address names one.
        username: of the account.
        requests_per_second: a limit to apply, or None.
        concurrency: a limit to apply, or None.
    """
    with _guard:
        pace = _paces.get((server, username))
        if pace is None:
            pace = _paces[server, username] = Pace()
        pace.tighten(requests_per_second, concurrency)
        return pace
