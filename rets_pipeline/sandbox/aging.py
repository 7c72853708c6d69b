"""What a day does to the world.

What belongs here: how many listings, agents and offices change in which way, and which. What does
not: the effect of a change (``changes``, ``people_changes``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from functools import partial
from random import Random

from rets_pipeline.sandbox.kinds import ADDED, REMOVED, RESTORED

#: shares of all listings that a day changes, by kind: together about 4 %
_DAILY = {
    "price": 0.0100,
    "remarks": 0.0060,
    "open_house": 0.0060,
    "photo_replaced": 0.0025,
    "photo_added": 0.0025,
    "photo_removed": 0.0020,
    "photos_reordered": 0.0020,
    "status": 0.0020,
    "touched": 0.0040,
    "timestamp_backwards": 0.0015,
    "timestamp_long_ago": 0.0015,
}
_GONE = _NEW = 0.01
#: shares of all agents and of all offices; each kind happens to one at least
AGENT_SHARES = {
    "moved": 0.004,
    "phones": 0.004,
    "websites": 0.003,
    "designations": 0.003,
    "photo": 0.003,
    "touched": 0.003,
    "timestamp_long_ago": 0.001,
}
OFFICE_SHARES = {
    "renamed": 0.001,
    "moved": 0.001,
    "phones": 0.002,
    "websites": 0.002,
    "designation": 0.001,
    "logo": 0.002,
    "touched": 0.002,
    "timestamp_long_ago": 0.001,
}
#: agents and offices that leave and appear
_PEOPLE_GONE = _PEOPLE_NEW = 0.003
#: of those that leave, one in so many is still named by listings: real rosters are that untidy
_STILL_NAMED = 5
#: one comes back every so many days
_PEOPLE_BACK_DAYS = 4
#: of the listings that are gone, back on the market
_BACK = 0.05
#: below this many listings, not every kind happens every day
_ENOUGH = 50
#: what a timestamp that moves the wrong way brings along: one who looks for newer ones misses it
BROUGHT_ALONG = {"timestamp_backwards": "remarks", "timestamp_long_ago": "price"}

#: kind to listings; for ``added`` the number of listings
Plan = list[tuple[str, int]]


def plan(
    listings: Mapping[int, object],
    gone: Mapping[int, object],
    day: int,
    random: Random,
    possible: Callable[[str, int], bool],
) -> Plan:
    """What happens on a day: pairs of a kind and a key, each key once; for ``added`` the key is 0.

    Args:
        listings: the live ones.
        gone: those that left earlier.
        day: the number of the day.
        random: chance of the day.
        possible: whether a change of that kind can happen to that listing.
    """
    pool = deque(random.sample(list(listings), len(listings)))
    steps: Plan = []
    for kind, count in _counts(len(listings), day).items():
        steps.extend((kind, key) for key in _take(pool, kind, count, possible))
    steps.extend((RESTORED, key) for key in random.sample(list(gone), _back(len(gone))))
    steps.extend((ADDED, 0) for _ in range(_share(len(listings), _NEW)))
    return steps


def people_plan(
    live: Collection[int],
    gone: Collection[int],
    day: int,
    random: Random,
    shares: Mapping[str, float],
    possible: Callable[[str, int], bool],
    may_go: Callable[[bool, int], bool],
) -> Plan:
    """What happens to agents, or to offices, on a day; as :func:`plan`.

    Args:
        live: those that exist.
        gone: those that left earlier.
        day: the number of the day.
        random: chance of the day.
        shares: of those that change, by kind.
        possible: whether a change of that kind can happen to that one.
        may_go: whether that one can leave as one that listings (True) name, or do not (False).
    """
    pool = deque(random.sample(list(live), len(live)))
    steps: Plan = []
    for number in range(_share(len(live), _PEOPLE_GONE)):
        goes = partial(_goes, may_go, (day + number) % _STILL_NAMED == 0)
        steps.extend((REMOVED, key) for key in _take(pool, REMOVED, 1, goes))
    for kind, share in shares.items():
        count = _share(len(live), share)
        steps.extend((kind, key) for key in _take(pool, kind, count, possible))
    if gone and day % _PEOPLE_BACK_DAYS == 0:
        steps.append((RESTORED, random.choice(list(gone))))
    steps.extend((ADDED, 0) for _ in range(_share(len(live), _PEOPLE_NEW)))
    return steps


def _goes(may_go: Callable[[bool, int], bool], named: bool, _: str, key: int) -> bool:
    return may_go(named, key)


def _counts(size: int, day: int) -> dict[str, int]:
    shares = {REMOVED: _GONE, **_DAILY}
    if size >= _ENOUGH:
        return {kind: _share(size, share) for kind, share in shares.items()}
    # A small world: a few kinds a day, others on the next.
    kinds = list(shares)
    count = min(len(kinds), (size + 3) // 4)
    return {kinds[(day * count + number) % len(kinds)]: 1 for number in range(count)}


def _share(size: int, share: float) -> int:
    return max(1, round(size * share))


def _back(gone: int) -> int:
    return max(1, round(gone * _BACK)) if gone else 0


def _take(
    pool: deque[int], kind: str, count: int, possible: Callable[[str, int], bool]
) -> list[int]:
    taken: list[int] = []
    for _ in range(len(pool)):
        if len(taken) == count:
            break
        key = pool.popleft()
        if possible(kind, key):
            taken.append(key)
        else:
            pool.append(key)
    return taken
