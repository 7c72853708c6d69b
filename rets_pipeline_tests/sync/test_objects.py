"""Ways to a photo, in order: the payload's address, GetObject's address, GetObject's bytes."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from rets_pipeline.archive import Archive
from rets_pipeline.sandbox import RunningSandbox
from rets_pipeline.sandbox.photos import Studio
from rets_pipeline.sync import hosts, images
from rets_pipeline.sync.images import ImageCounts
from rets_pipeline.sync.run import sync
from rets_pipeline.warehouse import ledgers, tables
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.sync.pieces import feed_of, open_mirror
from rets_pipeline_tests.warehouse.databases import rows


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "FIRST_PAUSE", 0.001)


def behave(sandbox: RunningSandbox, **switches: Any) -> None:
    sandbox.world.behaviour.update(switches)


class Mirrored:
    """A sandbox's listings without photos; then photos by some ways."""

    def __init__(self, sandbox: RunningSandbox, warehouse: Warehouse, archive: Archive) -> None:
        self.sandbox, self.warehouse, self.archive = sandbox, warehouse, archive
        with open_mirror(warehouse, archive, feed_of(sandbox), sandbox) as mirror:
            sync(mirror)

    def run(self, *strategies: str, **more: Any) -> ImageCounts:
        photos = {
            "hosts": ["127.0.0.1"],
            "allow_private_addresses": True,
            "strategies": strategies,
            **more,
        }
        feed = feed_of(self.sandbox, photos=photos)
        with open_mirror(self.warehouse, self.archive, feed, self.sandbox, job="images") as mirror:
            return images.mirror_images(mirror)

    def lose_addresses(self) -> None:
        """Every address of the payloads leads nowhere."""
        with self.warehouse.writing() as connection:
            connection.execute(sa.update(tables.media).values(media_url=self.sandbox.url + "/no"))

    def asked(self) -> int:
        """How many GetObject requests the server has seen."""
        return self.sandbox.world.statistics.requests["GetObject"]

    def assert_equal(self) -> None:
        """What is held is what the server has, byte for byte."""
        truth = requests.get(f"{self.sandbox.url}/_sandbox/truth?images=large", timeout=60).json()
        expected = {
            f"{key}_{photo['sequence']}": photo["sha256"]["large"]
            for key, listing in truth["listings"].items()
            for photo in listing["photos"]
        }
        held = {
            row.media_key: hashlib.sha256(self.archive.get(row.blob_key)).hexdigest()
            for row in rows(self.warehouse, sa.select(ledgers.media_file))
        }
        assert held == expected


@pytest.fixture
def mirrored(sandbox: RunningSandbox, sqlite_warehouse: Warehouse, archive: Archive) -> Mirrored:
    return Mirrored(sandbox, sqlite_warehouse, archive)


@pytest.mark.parametrize("way", ["url", "location", "object"])
def test_every_way_leads_to_the_same_photos(mirrored: Mirrored, way: str) -> None:
    behave(mirrored.sandbox, serves_objects="locations")
    counts = mirrored.run(way)
    assert counts.stored == counts.wanted > 12
    assert mirrored.asked() == (0 if way == "url" else 12)
    mirrored.assert_equal()
    assert mirrored.run(way) == ImageCounts()


def test_many_listings_in_one_request(mirrored: Mirrored) -> None:
    behave(mirrored.sandbox, serves_objects="bytes")
    counts = mirrored.run("object", listings_per_object_request=5)
    assert counts.stored == counts.wanted
    assert mirrored.asked() == counts.requests == 3  # twelve listings
    mirrored.assert_equal()


def test_what_fails_one_way_goes_the_next(mirrored: Mirrored) -> None:
    """The addresses lead nowhere, and the server knows no Location."""
    behave(mirrored.sandbox, serves_objects="bytes")
    mirrored.lose_addresses()
    counts = mirrored.run("url", "location", "object")
    assert (counts.stored, counts.failed, counts.absent) == (counts.wanted, 0, 0)
    mirrored.assert_equal()


def test_what_works_goes_no_further(mirrored: Mirrored) -> None:
    behave(mirrored.sandbox, serves_objects="bytes")
    counts = mirrored.run("url", "object")
    assert (counts.stored, mirrored.asked()) == (counts.wanted, 0)


def test_when_no_way_leads_there(mirrored: Mirrored) -> None:
    """As with DDF since July 2020: GetObject has nothing; the last reason is told."""
    mirrored.lose_addresses()
    counts = mirrored.run("url", "object")
    assert (counts.stored, counts.absent) == (0, counts.wanted)
    reasons = {row.reason for row in rows(mirrored.warehouse, sa.select(ledgers.media_file))}
    assert reasons == {"GetObject: the server did not send it"}


def test_a_server_that_refuses_is_left_alone(mirrored: Mirrored) -> None:
    behave(mirrored.sandbox, serves_objects="bytes")
    counts = mirrored.run("location")
    assert mirrored.asked() == 3
    assert counts.failed > 0
    assert counts.failed + counts.postponed == counts.wanted
    assert mirrored.run("object").stored == counts.postponed


def test_other_bytes_than_an_image(mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch) -> None:
    behave(mirrored.sandbox, serves_objects="bytes")
    plain = Studio.photo

    def cut(self: Studio, key: int, *more: Any) -> bytes:
        data = plain(self, key, *more)
        return data[: len(data) // 2] if key % 2 else data

    monkeypatch.setattr(Studio, "photo", cut)
    counts = mirrored.run("object")
    assert counts.failed > 0 < counts.stored
    failed = rows(
        mirrored.warehouse, sa.select(ledgers.media_file).where(sa.text("state = 'failed'"))
    )
    assert all("cut off after" in row.reason for row in failed)
