"""A feed whose listings have photos, on a server of images; for tests of images and blobs.

What belongs here: that feed, and its fixtures. What does not: tests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
import sqlalchemy as sa

from rets_pipeline.archive import Archive
from rets_pipeline.settings import FeedConfig
from rets_pipeline.sources.base import ParsedListing, Row
from rets_pipeline.sync import hosts, images
from rets_pipeline.sync.images import ImageCounts
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.warehouse import deletion, ledgers, media, pulls
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.sync.image_server import Answer, ImageServer, image_server, jpeg
from rets_pipeline_tests.sync.pieces import open_mirror
from rets_pipeline_tests.warehouse.builders import FEED, apply, begin, holding
from rets_pipeline_tests.warehouse.databases import rows

SERIAL = count(1)


@dataclass(frozen=True)
class Photo:
    """A photo at the server: its token, and what it shows."""

    token: str
    shows: str

    @property
    def path(self) -> str:
        """Where it is, as with DDF: the token is part of it."""
        return f"/TS{self.token}/{self.shows}.jpg"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ImageServer]:
    monkeypatch.setattr(hosts, "FIRST_PAUSE", 0.001)
    with image_server() as found:
        found.fallback = lambda path: Answer(jpeg(path.rpartition("/")[2]))
        yield found


@dataclass
class Board:
    """A feed whose listings have photos, and the run that mirrors them."""

    server: ImageServer
    mirror: Mirror
    warehouse: Warehouse
    archive: Archive

    def publish(self, photos: Sequence[Photo], key: str = "1") -> None:
        """The listing has those photos now, in this order."""
        with self.warehouse.writing() as connection:
            pull = begin(connection, next(SERIAL))
        media_rows: list[Row] = [
            {
                "listing_key": key,
                "media_key": f"{key}_{number}",
                "order": number,
                "change_token": photo.token,
                "media_url": self.server.url(photo.path),
            }
            for number, photo in enumerate(photos, 1)
        ]
        item = ParsedListing(
            key, None, pull.pull_id, {"property": [{"listing_key": key}], "media": media_rows}
        )
        apply(self.warehouse, pull, [item])
        with self.warehouse.writing() as connection:
            pulls.applied(connection, pull)

    def withdraw_all(self) -> None:
        """A master list without any listing."""
        with self.warehouse.writing() as connection, holding(connection, []):
            master = begin(connection, next(SERIAL), kind="master_list")
            deletion.remove(connection, master)

    def run(self) -> ImageCounts:
        """One image run."""
        return images.mirror_images(self.mirror)

    def blobs(self) -> dict[str, bytes]:
        """What the archive holds."""
        return {item.key: self.archive.get(item.key) for item in self.archive.list("images/")}

    def files(self) -> dict[str, sa.Row[tuple[object, ...]]]:
        """The rows of ``media_file``."""
        return {row.media_key: row for row in rows(self.warehouse, sa.select(ledgers.media_file))}

    def assert_equal(self, photos: Sequence[Photo], key: str = "1") -> None:
        """Every photo's bytes are held in its place, and no other row or blob exists."""
        files = self.files()
        assert files.keys() == {f"{key}_{number}" for number in range(1, len(photos) + 1)}
        blobs = self.blobs()
        assert blobs.keys() == {row.blob_key for row in files.values()}
        for number, photo in enumerate(photos, 1):
            row = files[f"{key}_{number}"]
            data = jpeg(f"{photo.shows}.jpg")
            assert (row.state, row.change_token) == ("stored", photo.token)
            assert blobs[row.blob_key] == data
            assert row.content_hash == hashlib.sha256(data).hexdigest()
            assert (row.bytes, row.content_type) == (len(data), "image/jpeg")
            assert row.blob_key == f"images/{FEED}/{key}/{row.content_hash}.jpg"

    def assert_complete(self) -> None:
        """Nothing is wanted and nothing pending."""
        with self.warehouse.reading() as connection:
            found = media.completeness(connection, FEED, ["large"])
        assert found.named == found.stored
        assert self.run() == ImageCounts()

    def make_due(self) -> None:
        """The time of every next attempt has come."""
        with self.warehouse.writing() as connection:
            connection.execute(
                sa.update(ledgers.media_file).values(
                    next_attempt=datetime.now(UTC) - timedelta(seconds=1)
                )
            )


@pytest.fixture
def open_board(
    server: ImageServer, archive: Archive
) -> Iterator[Callable[[Warehouse, FeedConfig | None], Board]]:
    opened: list[Mirror] = []

    def make(warehouse: Warehouse, feed: FeedConfig | None = None) -> Board:
        mirror = open_mirror(warehouse, archive, feed, job="images")
        opened.append(mirror)  # type: ignore[arg-type]
        return Board(server, mirror.__enter__(), warehouse, archive)

    yield make
    for mirror in opened:
        mirror.__exit__(None, None, None)


@pytest.fixture
def board(
    warehouse: Warehouse, open_board: Callable[[Warehouse, FeedConfig | None], Board]
) -> Board:
    return open_board(warehouse, None)
