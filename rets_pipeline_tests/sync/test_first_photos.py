"""A first load of photos, whole and interrupted half-way: each is fetched once, and right."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from rets_pipeline.archive import Archive
from rets_pipeline.sandbox import RunningSandbox, running
from rets_pipeline.sync import images
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.sync.run import sync
from rets_pipeline.warehouse import ledgers
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.sync.pieces import feed_of, open_mirror
from rets_pipeline_tests.warehouse.databases import rows

#: listings, and the most photos of each: half of it on average
SMALL = (20, 20)
LARGE = (2_000, 40)
NIGHTLY = [pytest.mark.nightly, pytest.mark.timeout(3_600)]
#: where it is interrupted; 2: nowhere
HALF_WAY, NOWHERE = 0.5, 2.0


@pytest.fixture
def archive(request: pytest.FixtureRequest, warehouse_url: str, archive_folder: Path) -> Archive:
    """S3 beside Postgres, a folder beside SQLite."""
    is_postgres = warehouse_url.startswith("postgresql")
    uri = request.getfixturevalue("s3_archive_uri") if is_postgres else str(archive_folder)
    return Archive.from_uri(uri)


class Steps:
    """The progress that a run told of, and what is to happen at some number of photos."""

    def __init__(self, at: float, then: Callable[[], None]) -> None:
        self.seen: list[tuple[int, int]] = []
        self._at, self._then = at, then

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        if phase == "images" and total:
            self.seen.append((done, total))
            if done >= self._at * total:
                self._then()


def interrupt() -> None:
    raise KeyboardInterrupt


def load(mirror: Mirror, steps: Steps) -> images.ImageCounts:
    mirror.progress = steps
    return images.mirror_images(mirror)


def assert_right(sandbox: RunningSandbox, warehouse: Warehouse, archive: Archive) -> None:
    address = f"{sandbox.url}/_sandbox/truth?images=large"
    truth = requests.get(address, timeout=1_800).json()["listings"]
    expected = {
        f"{key}_{photo['sequence']}": photo["sha256"]["large"]
        for key, listing in truth.items()
        for photo in listing["photos"]
    }
    files = rows(warehouse, sa.select(ledgers.media_file))
    assert {row.media_key: row.content_hash for row in files} == expected
    blobs = {stored.key: stored.bytes for stored in archive.list("images")}
    assert blobs == {row.blob_key: row.bytes for row in files}
    for row in files:
        assert hashlib.sha256(archive.get(row.blob_key)).hexdigest() == row.content_hash
        assert row.width
        assert row.height


@pytest.mark.parametrize(
    ("listings", "max_photos", "stopped_at"),
    [
        (*SMALL, HALF_WAY),
        pytest.param(*LARGE, HALF_WAY, marks=NIGHTLY),
        pytest.param(*LARGE, NOWHERE, marks=NIGHTLY),
    ],
)
def test_a_first_load(
    listings: int,
    max_photos: int,
    stopped_at: float,
    warehouse: Warehouse,
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(images, "_ROWS", 100 if listings > 100 else 20)
    with running(listings=listings, max_photos=max_photos, days=60, seed=7) as sandbox:
        with open_mirror(warehouse, archive, feed_of(sandbox), sandbox) as mirror:
            sync(mirror)
        first, second = Steps(stopped_at, interrupt), Steps(NOWHERE, interrupt)
        done = 0
        if stopped_at != NOWHERE:
            with (
                pytest.raises(KeyboardInterrupt),
                open_mirror(warehouse, archive, feed_of(sandbox), sandbox) as mirror,
            ):
                load(mirror, first)
            done = len(rows(warehouse, sa.select(ledgers.media_file)))
            assert first.seen[-1][1] / 2 <= done < first.seen[-1][1]
        with open_mirror(warehouse, archive, feed_of(sandbox), sandbox) as mirror:
            counts = load(mirror, second)
        named = done + counts.wanted
        assert counts.stored == counts.wanted == second.seen[-1][0] == second.seen[-1][1]
        assert [step for step, _ in second.seen] == sorted(step for step, _ in second.seen)
        assert named > listings * max_photos / 3
        assert_right(sandbox, warehouse, archive)
        statistics = sandbox.world.statistics
        assert statistics.images["served"] == named
        assert set(statistics.images_by_url.values()) == {1}
