"""What people see of a load: some listings, and where the new ones stand.

What belongs here: choosing a bounded number of each. What does not: queries
(``warehouse.preview``), and how they are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from rets_pipeline.geocoding.provinces import Box
from rets_pipeline.sync.apply import ParsedPull
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.warehouse import preview
from rets_pipeline.warehouse.preview import Point, Preview
from rets_pipeline.warehouse.resources import LISTINGS, Resource

#: listings in a preview
LISTINGS_SHOWN = 5
#: keys of a run's pulls that are looked up for the map, and listings that stand behind them in grey
_KEYS, _OTHERS = 2_000, 3_000


@dataclass(frozen=True, slots=True)
class Area:
    """A province with new listings."""

    name: str
    bounds: Box


@dataclass(frozen=True, slots=True)
class Map:
    """New listings on the map.

    Attributes:
        new: where those stand that are shown: with coordinates, and in their province.
        listings: how many are new altogether.
        others: where some of all listings stand.
        areas: the provinces of the new ones.
    """

    new: list[Point]
    listings: int
    others: list[Point]
    areas: list[Area]


def rows(mirror: Mirror, resource: Resource = LISTINGS) -> int:
    """How many rows the resource's table has now."""
    with mirror.warehouse.reading() as connection:
        return preview.rows_of(connection, mirror.feed.name, resource)


def listings(mirror: Mirror) -> list[Preview]:
    """The listings that changed last."""
    with mirror.warehouse.reading() as connection:
        return preview.newest(connection, mirror.feed.name, LISTINGS_SHOWN)


def new_on_map(mirror: Mirror, pulls: Sequence[ParsedPull]) -> Map:
    """Where the listings stand that those loads brought for the first time.

    Of large loads a part is looked up, the same number of keys of each pull.
    """
    loaded = [parsed for parsed in pulls if _new(parsed)]
    if not loaded:
        return Map([], 0, [], [])
    feed, of_each = mirror.feed.name, max(1, _KEYS // len(loaded))
    found: list[Point] = []
    with mirror.warehouse.reading() as connection:
        for parsed in loaded[:_KEYS]:
            keys = list(islice(parsed.manifest.keys, of_each))
            found += preview.new_points(connection, feed, parsed.manifest.pull.pull_id, keys)
        others = preview.points(connection, feed, _OTHERS) if found else []
    areas: dict[str, Area] = {}
    shown = []
    for point in found:
        known = mirror.source.bounds(point.province)
        if known is not None and not known[1].holds(point.latitude, point.longitude):
            continue  # the check of coordinates tells of it
        shown.append(point)
        if known is not None:
            areas.setdefault(known[0], Area(*known))
    new = sum(_new(parsed) for parsed in loaded)
    return Map(shown, new, others, [areas[name] for name in sorted(areas)])


def _new(parsed: ParsedPull) -> int:
    return parsed.counts.new if parsed.counts is not None else 0
