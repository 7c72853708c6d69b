"""When Python looks for cycles that nothing refers to.

What belongs here: doing so less often where it would find nothing and cost much. What does not:
what is done meanwhile.

What is no longer referred to is freed at once all the same; the search is for cycles only.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: new objects until the youngest are searched; how many times, until the older and the old are too
_SELDOM = (500_000, 50, 100)


@contextmanager
def paused() -> Iterator[None]:
    """Without a search: rows have no cycles, and it would look at each of them often."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def seldom() -> None:
    """For processes that make many objects which stay, as definitions do.

    Python searches all objects again whenever their number has grown by a quarter: while the
    definitions of fifty feeds are made, that is a quarter of the time. What is imported by now is
    never searched again.
    """
    gc.freeze()
    gc.set_threshold(*_SELDOM)
