"""Ways to a photo, in order: the payload's address, GetObject's address, GetObject's bytes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from rets_pipeline.archive import Archive
from rets_pipeline.sandbox import RunningSandbox, ddf_objects
from rets_pipeline.sandbox.changes import Change
from rets_pipeline.sandbox.generic.objects import Multipart
from rets_pipeline.sandbox.photos import Studio
from rets_pipeline.sync import hosts, images
from rets_pipeline.sync.images import ImageCounts
from rets_pipeline.sync.objects import Objects
from rets_pipeline.sync.run import sync
from rets_pipeline.warehouse import ledgers, tables
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.patience import PATIENCE
from rets_pipeline_tests.services.processes import free_ports
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
        truth = requests.get(
            f"{self.sandbox.url}/_sandbox/truth?images=large", timeout=PATIENCE
        ).json()
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
    # Another way is another setting, under which what failed is asked for at once.
    assert mirrored.run("object").stored == counts.wanted


def test_where_the_host_is_down_the_server_is_asked(mirrored: Mirrored) -> None:
    """For those photos too that the host, left alone by then, was not asked for."""
    behave(mirrored.sandbox, serves_objects="bytes")
    (port,) = free_ports(1)
    with mirrored.warehouse.writing() as connection:
        connection.execute(sa.update(tables.media).values(media_url=f"http://127.0.0.1:{port}/x"))
    counts = mirrored.run("url", "object")
    assert counts.stored == counts.wanted > 30
    mirrored.assert_equal()


def test_a_run_that_is_interrupted_between_two_ways_forgets_no_photo(
    mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its host was not asked for is written with all that has come by then."""
    (port,) = free_ports(1)
    with mirrored.warehouse.writing() as connection:
        connection.execute(sa.update(tables.media).values(media_url=f"http://127.0.0.1:{port}/x"))

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(images, "_ROWS", 1)
        patch.setattr(Objects, "ask", interrupted)
        with pytest.raises(KeyboardInterrupt):
            mirrored.run("url", "object")
    files = rows(mirrored.warehouse, sa.select(ledgers.media_file))
    assert files
    assert all(row.next_attempt is not None for row in files)


def test_what_fails_one_way_and_cannot_be_asked_for_by_the_next_is_told(mirrored: Mirrored) -> None:
    behave(mirrored.sandbox, serves_objects="bytes")
    with mirrored.warehouse.writing() as connection:
        page = mirrored.sandbox.url + "/_sandbox/truth?keys=0"
        connection.execute(sa.update(tables.media).values(media_url=page))
    counts = mirrored.run("url", "location")
    assert (counts.failed, counts.postponed) == (counts.wanted, 0)
    assert mirrored.run("url", "location") == ImageCounts()


@pytest.mark.parametrize("way", ["location", "object"])
def test_payloads_that_name_no_addresses(
    sandbox: RunningSandbox, sqlite_warehouse: Warehouse, archive: Archive, way: str
) -> None:
    behave(sandbox, serves_objects="locations", photo_addresses=False)
    mirrored = Mirrored(sandbox, sqlite_warehouse, archive)
    media = rows(sqlite_warehouse, sa.select(tables.media))
    assert {(row.media_url, row.medium_url, row.thumbnail_url) for row in media} == {(None,) * 3}

    counts = mirrored.run("url")  # nobody can know where they are
    assert (counts.failed, counts.requests) == (counts.wanted, 0) == (len(media), 0)
    (reason,) = {row.reason for row in rows(sqlite_warehouse, sa.select(ledgers.media_file))}
    assert reason == "the payload names no address, and photos.strategies no other way"

    with sqlite_warehouse.writing() as connection:
        connection.execute(sa.update(ledgers.media_file).values(next_attempt=datetime.now(UTC)))
    counts = mirrored.run("url", way)
    assert (counts.stored, mirrored.asked()) == (len(media), 12)
    mirrored.assert_equal()
    assert mirrored.run("url", way) == ImageCounts()

    key = Counter(row.listing_key for row in media).most_common(1)[0][0]
    for kind in ("photo_replaced", "photos_reordered", "photo_removed"):
        sandbox.world.change(Change(kind=kind, listing_key=int(key)))
        with open_mirror(sqlite_warehouse, archive, feed_of(sandbox), sandbox) as mirror:
            sync(mirror)
        assert mirrored.run("url", way).requests <= 2 * len(media)
        mirrored.assert_equal()


def test_a_way_that_may_work_the_next_time_is_not_forgotten(mirrored: Mirrored) -> None:
    """The host is unwell, and GetObject has nothing: that is not to say that there is no photo."""
    with mirrored.warehouse.writing() as connection:
        first = sa.select(sa.func.min(tables.media.c.media_key)).scalar_subquery()
        address = mirrored.sandbox.url + "/listings/unwell"
        connection.execute(
            sa.update(tables.media)
            .where(tables.media.c.media_key == first)
            .values(media_url=address)
        )
    behave(mirrored.sandbox, image_status={"/listings/unwell": 503})
    counts = mirrored.run("url", "location", "object")
    assert (counts.failed, counts.absent, counts.stored) == (1, 0, counts.wanted - 1)
    (row,) = rows(
        mirrored.warehouse, sa.select(ledgers.media_file).where(sa.text("state = 'failed'"))
    )
    assert row.reason.endswith("/listings/unwell: HTTP 503")


def test_an_answer_that_ends_early_does_not_say_that_photos_are_absent(
    mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut between two parts it looks whole, but for the closing boundary."""

    def cut(parts: list[Any]) -> Multipart:
        return Multipart(parts[:-1], closed=False)

    behave(mirrored.sandbox, serves_objects="bytes")
    monkeypatch.setattr(ddf_objects, "Multipart", cut)
    counts = mirrored.run("object")
    assert (counts.absent, counts.failed + counts.stored) == (0, counts.wanted)
    assert counts.failed > 0 < counts.stored
    monkeypatch.undo()
    with mirrored.warehouse.writing() as connection:
        connection.execute(sa.update(ledgers.media_file).values(next_attempt=datetime.now(UTC)))
    mirrored.run("object")
    mirrored.assert_equal()


def test_numbers_that_name_no_single_photo(mirrored: Mirrored) -> None:
    """One photo without a number, and two with one, do not keep the others from being asked for."""
    behave(mirrored.sandbox, serves_objects="bytes")
    order = tables.media.c.order
    with mirrored.warehouse.writing() as connection:
        for number, other in ((2, None), (3, 1)):
            connection.execute(sa.update(tables.media).where(order == number).values(order=other))
    counts = mirrored.run("object")
    bad = [row for row in rows(mirrored.warehouse, sa.select(ledgers.media_file)) if row.reason]
    assert {row.media_key.partition("_")[2]: row.reason for row in bad} == {
        "2": "GetObject: the payload gives it no number",
        "3": "GetObject: the payload gives its number to another too",
    }
    assert (counts.failed, counts.stored) == (len(bad), counts.wanted - len(bad))


def test_objects_over_the_limit_are_refused(mirrored: Mirrored) -> None:
    behave(mirrored.sandbox, serves_objects="bytes")
    counts = mirrored.run("object", max_bytes=1_000)
    assert counts.failed == counts.wanted
    reasons = {row.reason for row in rows(mirrored.warehouse, sa.select(ledgers.media_file))}
    assert reasons == {"GetObject: larger than 1000 bytes"}


def test_an_interrupt_keeps_the_objects_that_have_come(
    mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch
) -> None:
    behave(mirrored.sandbox, serves_objects="bytes")
    plain = Objects.ask

    def interrupted(self: Objects, *arguments: Any, **named: Any) -> Iterator[Any]:
        yield from islice(plain(self, *arguments, **named), 7)
        raise KeyboardInterrupt

    monkeypatch.setattr(Objects, "ask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mirrored.run("object")
    assert len(rows(mirrored.warehouse, sa.select(ledgers.media_file))) == 7


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
