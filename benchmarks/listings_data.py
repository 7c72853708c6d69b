"""Pages of listings from the sandbox's generator, and archives that hold them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime

from rets_pipeline.archive import Archive
from rets_pipeline.sandbox import search
from rets_pipeline.sandbox.world import Sandbox
from rets_pipeline.settings import FeedConfig
from rets_pipeline.sync import pull
from rets_pipeline.sync.mirror import Credentials, Mirror
from rets_pipeline.warehouse.engine import Warehouse

#: as many as make a listing of some 10 KB, half of what DDF's largest hold
MOST_PHOTOS = 24
DAY = date(2026, 3, 1)
_START = datetime(2026, 3, 1, 12, tzinfo=UTC)
_KEY = re.compile(rb'(<PropertyDetails ID=")([0-9]+)"')
#: the name of the feed
FEED = "benchmark"


class Listings:
    """The listings of an invented board, which can be sent again.

    Args:
        number: how many.
    """

    def __init__(self, number: int) -> None:
        self._world = Sandbox(number, 60, 7, max_photos=MOST_PHOTOS, today=date(2026, 3, 1))
        self.keys = list(self._world.listings)

    def pages(self) -> list[bytes]:
        """All listings as DDF answers with them, a hundred a page."""
        return list(search.pages(self._world))

    def send_again(self) -> None:
        """Every listing is written anew: its own date moves, and those of its offices."""
        for key, state in self._world.listings.items():
            self._world.listings[key] = state._replace(updated=state.updated + 3_600)

    def change(self, every: int) -> None:
        """The price of one in so many listings changes."""
        for key in self.keys[::every]:
            state = self._world.listings[key]
            changed = state._replace(price_version=state.price_version + 1)
            self._world.listings[key] = changed


def keys_of(page: bytes) -> list[str]:
    """The keys of a page's listings."""
    return [match[2].decode() for match in _KEY.finditer(page)]


def renamed(page: bytes, turn: int) -> bytes:
    """The same page with other keys: many listings from few."""
    return _KEY.sub(lambda match: b'%b%b%02d"' % (match[1], match[2], turn), page)


@contextmanager
def mirror(warehouse: Warehouse, archive: Archive) -> Iterator[Mirror]:
    """A run on a feed whose server nobody needs."""
    feed = FeedConfig.model_validate(
        {
            "name": FEED,
            "source": "ddf",
            "login_url": "http://127.0.0.1:1/Login.svc/Login",
            "username_variable": "NOBODY",
            "password_variable": "NOTHING",
            "first_day": DAY,
        }
    )
    nobody = Credentials("nobody", "nothing")
    with Mirror(feed, warehouse, archive, nobody, job="benchmark") as found:
        yield found


def archived(found: Mirror, pages: list[bytes]) -> None:
    """Keep pages as complete pulls, each of as many pages as a sync's."""
    for at in range(0, len(pages), pull.REQUESTS_PER_PULL):
        some = pages[at : at + pull.REQUESTS_PER_PULL]
        keys = {key: _START for page in some for key in keys_of(page)}
        answers = (pull.Page(page, keys_of(page), keys_of(page)) for page in some)
        pull.store(found, pull.Download(DAY, dict(keys), answers))
