"""A geocoder with moods, which remembers whom it has helped.

What belongs here: its answers, and how often it gave the same one. What does not: the server
(``geocoding.geocoder_server``), and what must hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from pypostalcode import PostalCodeDatabase

from rets_pipeline_tests.geocoding.geocoder_server import (
    GeocoderServer,
    Reply,
    geocoder_server,
    house,
)

#: in which it is of no help
_BAD_MOODS = (
    Reply(status=500),
    Reply(status=429, headers={"Retry-After": "3600"}),
    Reply(body=b"<html>Sorry</html>"),
    Reply([]),
    Reply([house(82.5, -62.3, address={"ISO3166-2-lvl4": "CA-NU"})]),
)


class MoodyGeocoder:
    """Knows every house, at the middle of its postal area.

    Attributes:
        behaves: whether it always answers as it should.
        helped: by place, how often.
    """

    def __init__(self, server: GeocoderServer, seed: int) -> None:
        self.behaves = False
        self.helped: Counter[tuple[str, ...]] = Counter()
        self._random = Random(seed)
        self._areas = PostalCodeDatabase()
        self._server = server
        server.fallback = self._answer

    @property
    def host(self) -> str:
        """For the settings."""
        return self._server.host

    @property
    def requests(self) -> int:
        """How many have come."""
        return len(self._server.asked)

    def in_vain(self) -> int:
        """How often a place was asked for again that it had told before."""
        return sum(times - 1 for times in self.helped.values())

    def point(self, postal_code: str) -> tuple[float, float]:
        """Where it has a house with that postal code."""
        area = self._areas[postal_code[:3]]
        return area.latitude, area.longitude

    def _answer(self, query: dict[str, str]) -> Reply:
        seconds = 0.0 if self.behaves else self._random.choice([0.0, 0.05, 0.1])
        if not self.behaves and self._random.random() < 0.3:
            return self._random.choice(_BAD_MOODS)
        place = tuple(query[part].casefold() for part in ("street", "city", "postalcode"))
        self.helped[place] += 1
        number, _, road = query["street"].partition(" ")
        here = {"ISO3166-2-lvl4": query["state"], "house_number": number, "road": road}
        where = house(*self.point(query["postalcode"]), address=here)
        return Reply([where], seconds=seconds)


@contextmanager
def moody_geocoder(seed: int) -> Iterator[MoodyGeocoder]:
    """One that answers as long as the block runs.

    Args:
        seed: of its moods.
    """
    with geocoder_server() as server:
        yield MoodyGeocoder(server, seed)
