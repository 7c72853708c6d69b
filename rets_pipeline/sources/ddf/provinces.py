"""Where Canada's provinces and territories lie.

What belongs here: the outermost lines of each. What does not: zones of time (``zones``).

The lines are those of the Atlas of Canada's extreme points, rounded outwards to the next tenth of
a degree, islands included: a box around a province, so that a coordinate outside is surely wrong.
"""

from __future__ import annotations

from collections.abc import Mapping

from rets_pipeline.sources.base import Bounds
from rets_pipeline.sources.ddf.zones import province_code

_BOUNDS: Mapping[str, Bounds] = {
    "AB": Bounds(48.9, 60.1, -120.1, -109.9),
    "BC": Bounds(48.2, 60.1, -139.1, -113.9),
    "MB": Bounds(48.9, 60.1, -102.1, -88.9),
    "NB": Bounds(44.5, 48.1, -69.1, -63.7),
    "NL": Bounds(46.5, 60.5, -67.9, -52.5),
    "NS": Bounds(43.3, 47.3, -66.5, -59.6),
    "NT": Bounds(59.9, 78.9, -136.6, -101.9),
    "NU": Bounds(51.6, 83.2, -121.0, -60.9),
    "ON": Bounds(41.6, 57.0, -95.3, -74.2),
    "PE": Bounds(45.8, 47.2, -64.6, -61.8),
    "QC": Bounds(44.9, 62.7, -79.9, -57.0),
    "SK": Bounds(48.9, 60.1, -110.1, -101.3),
    "YT": Bounds(59.9, 69.8, -141.1, -123.7),
}


def bounds_of(province: str | None) -> tuple[str, Bounds] | None:
    """A province's letters and its box; None when the name is not one of Canada's."""
    code = province_code(province)
    return (code, _BOUNDS[code]) if code else None
