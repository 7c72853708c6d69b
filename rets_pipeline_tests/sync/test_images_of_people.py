"""Photos of members and logos of offices follow the rules of listings' photos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from rets_pipeline.settings import FeedConfig
from rets_pipeline.sync import blobs, images
from rets_pipeline.sync.images import ImageCounts
from rets_pipeline.warehouse import backlog, ledgers, media, pulls, record, tables
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.media import Completeness
from rets_pipeline.warehouse.resources import LISTINGS, MEMBERS, OFFICES, OTHERS, Resource
from rets_pipeline_tests.sync.board import SERIAL, Board, Photo
from rets_pipeline_tests.sync.image_server import Answer, jpeg
from rets_pipeline_tests.sync.pieces import feed_of
from rets_pipeline_tests.warehouse import people
from rets_pipeline_tests.warehouse.builders import FEED
from rets_pipeline_tests.warehouse.databases import rows

BOTH = pytest.mark.parametrize("resource", OTHERS, ids=lambda found: found.kind)
EVERY = (LISTINGS, *OTHERS)


@dataclass
class People:
    """Members and offices on a board, with their images."""

    board: Board

    def publish(self, resource: Resource, key: str, token: str, path: str) -> None:
        """Its own search names an image there now."""
        url, number = self.board.server.url(path), next(SERIAL)
        columns = {
            "Member": {"photo_url": url, "photo_change_token": token},
            "Office": {"logo_url": url, "logo_change_token": token},
        }[resource.name]
        pull = people.pull_of(self.board.warehouse, number, resource.kind)
        item = people.person(key, f"version {number}", resource, **columns)
        people.apply(self.board.warehouse, pull, [item], resource)
        with self.board.warehouse.writing() as connection:
            pulls.applied(connection, pull)

    def remove_all(self, resource: Resource) -> None:
        """Its master list is empty."""
        kind = resource.master_list_kind
        master = people.pull_of(self.board.warehouse, next(SERIAL), kind)
        people.remove(self.board.warehouse, master, [], resource)

    def run(self, resource: Resource) -> ImageCounts:
        """One image run."""
        return images.mirror_images(self.board.mirror, resource)

    def row(self, resource: Resource, key: str = "1") -> sa.Row[tuple[object, ...]]:
        """What is held of it."""
        file = ledgers.media_file
        (found,) = rows(
            self.board.warehouse,
            sa.select(file).where(
                file.c.resource_name == resource.name, file.c.resource_record_key == key
            ),
        )
        return found

    def held(self, resource: Resource, key: str = "1") -> bytes:
        """The bytes in the archive."""
        blob = self.row(resource, key)._mapping["blob_key"]
        assert isinstance(blob, str)
        return self.board.archive.get(blob)

    def complete(self, resource: Resource) -> Completeness:
        """How many are held."""
        with self.board.warehouse.reading() as connection:
            return media.completeness(connection, FEED, ["large"], resource)


@pytest.fixture
def at_both(board: Board) -> People:
    """On both databases."""
    return People(board)


@pytest.fixture
def at(
    sqlite_warehouse: Warehouse, open_board: Callable[[Warehouse, FeedConfig | None], Board]
) -> People:
    return People(open_board(sqlite_warehouse, None))


def test_equal_keys_of_three_resources_do_not_meet(at_both: People) -> None:
    at = at_both
    at.board.publish([Photo("7", "house")], key="1")
    at.publish(MEMBERS, "1", "7", "/TS7/face.jpg")
    at.publish(OFFICES, "1", "7", "/TS7/logo.jpg")

    for resource in EVERY:
        assert at.run(resource).stored == 1
        assert at.run(resource) == ImageCounts()
        assert at.complete(resource) == Completeness(named=1, stored=1, absent=0, failed=0)

    shown = {"Property": "house", "Member": "face", "Office": "logo"}
    for resource in EVERY:
        assert at.held(resource) == jpeg(f"{shown[resource.name]}.jpg")
        folder = "" if resource is LISTINGS else f"{resource.kind}/"
        key = at.row(resource)._mapping["blob_key"]
        assert str(key).startswith(f"images/{FEED}/{folder}1/")
    assert len(at.board.blobs()) == 3
    with at.board.warehouse.writing() as connection:
        media.note_base_url(connection, FEED, "https://cdn.example.com/")
        for resource, view in ((MEMBERS, "member_photos"), (OFFICES, "office_logos")):
            (row,) = connection.execute(sa.text(f"SELECT * FROM {view}")).mappings()
            assert (row["feed"], row[resource.key], row["is_current"]) == (FEED, "1", 1)
            blob = at.row(resource)._mapping["blob_key"]
            assert row["media_url_mirror"] == f"https://cdn.example.com/{blob}"
            (image,) = record.read(connection, FEED, resource, "1").images
            assert (image["named_token"], image["held_token"]) == ("7", "7")
            assert (image["state"], image["blob_key"]) == ("stored", blob)

    at.board.withdraw_all()
    counts = [at.run(resource) for resource in EVERY]
    assert [(one.removed, one.blobs_deleted) for one in counts] == [(1, 1), (0, 0), (0, 0)]
    assert at.held(MEMBERS) == jpeg("face.jpg")
    assert len(at.board.blobs()) == 2


@BOTH
def test_what_is_gone_leaves_neither_row_nor_blob(at_both: People, resource: Resource) -> None:
    at = at_both
    at.publish(resource, "1", "7", "/TS7/1.jpg")
    at.publish(resource, "2", "7", "/TS7/2.jpg")
    work = backlog.images(FEED, ("large",), [resource])
    assert at.run(resource).stored == 2
    before = look(at.board.warehouse, work)
    assert before[1] == 0

    at.remove_all(resource)

    # A master list alone may remove: the sensor must see it although nothing was loaded.
    signal, count = look(at.board.warehouse, work)
    assert (signal == before[0], count) == (False, 2)
    counts = at.run(resource)
    assert (counts.removed, counts.blobs_deleted) == (2, 2)
    assert at.board.files() == at.board.blobs() == {}
    assert rows(at.board.warehouse, sa.select(ledgers.resource_tombstone.c.gone_at))


def look(warehouse: Warehouse, work: backlog.Backlog) -> tuple[str, int]:
    now = datetime.now(UTC)
    with warehouse.reading() as connection:
        return work.signal(connection, now), work.count(connection, now)


def test_the_number_in_a_logos_address_is_no_news(at: People) -> None:
    at.publish(OFFICES, "1", "/logo.jpg", "/TS1/logo.jpg")
    at.run(OFFICES)
    at.publish(OFFICES, "1", "/logo.jpg", "/TS2/logo.jpg")

    assert at.run(OFFICES) == ImageCounts()
    assert at.board.server.asked.total() == 1


@BOTH
def test_a_new_token_asks_whether_the_bytes_are_others(at: People, resource: Resource) -> None:
    server = at.board.server
    server.answers["/TS1/1.jpg"] = Answer(jpeg("first"), headers={"ETag": '"a"'})
    at.publish(resource, "1", "one", "/TS1/1.jpg")
    at.run(resource)
    before = set(at.board.blobs())

    server.answers["/TS2/1.jpg"] = Answer(status=304)
    at.publish(resource, "1", "two", "/TS2/1.jpg")
    counts = at.run(resource)
    assert (counts.wanted, counts.unchanged, counts.bytes) == (1, 1, 0)
    assert server.headers_seen["if-none-match"] == '"a"'
    assert set(at.board.blobs()) == before
    assert at.row(resource)._mapping["change_token"] == "two"

    server.answers["/TS3/1.jpg"] = Answer(jpeg("second"))
    at.publish(resource, "1", "three", "/TS3/1.jpg")
    counts = at.run(resource)
    assert (counts.stored, counts.blobs_deleted) == (1, 1)
    assert at.held(resource) == jpeg("second")
    assert not before & set(at.board.blobs())


@BOTH
def test_failures_are_states_that_are_tried_again(at: People, resource: Resource) -> None:
    server = at.board.server
    server.answers["/TS1/1.jpg"] = Answer(status=404)
    server.answers["/TS1/2.jpg"] = Answer(b"<html>not an image</html>")
    at.publish(resource, "1", "t", "/TS1/1.jpg")
    at.publish(resource, "2", "t", "/TS1/2.jpg")

    counts = at.run(resource)

    assert (counts.absent, counts.failed) == (1, 1)
    assert at.complete(resource) == Completeness(named=2, stored=0, absent=1, failed=1)
    assert at.row(resource, "2")._mapping["attempts"] == 1
    with at.board.warehouse.reading() as connection:
        assert sum(media.reasons(connection, FEED, resource).values()) == 2
        assert media.reasons(connection, FEED, LISTINGS) == {}
    assert at.run(resource) == ImageCounts()
    server.answers.clear()
    at.board.make_due()
    assert at.run(resource).stored == 2


def test_blobs_that_vanished_are_fetched_again(at: People) -> None:
    for resource in OTHERS:
        at.publish(resource, "1", "7", f"/TS7/{resource.name}.jpg")
        at.run(resource)
    lost = at.row(MEMBERS)._mapping["blob_key"]
    at.board.archive.delete([str(lost)])
    at.remove_all(OFFICES)

    counts = blobs.audit(at.board.mirror)

    assert (counts.vanished, counts.images_to_fetch_again, counts.images_removed) == (1, 1, 1)
    assert at.run(MEMBERS).stored == 1
    assert at.held(MEMBERS) == jpeg("Member.jpg")
    assert len(at.board.blobs()) == 1


def test_getobject_is_for_listings(
    sqlite_warehouse: Warehouse,
    open_board: Callable[[Warehouse, FeedConfig | None], Board],
) -> None:
    photos = {"hosts": ["127.0.0.1"], "allow_private_addresses": True, "strategies": ["object"]}
    at = People(open_board(sqlite_warehouse, feed_of(photos=photos)))
    at.publish(MEMBERS, "1", "7", "/TS7/face.jpg")
    assert at.run(MEMBERS).stored == 1


def test_sizes_that_there_are(at: People) -> None:
    at.publish(MEMBERS, "1", "7", "/TS7/large.jpg")
    at.publish(OFFICES, "1", "7", "/TS7/logo.jpg")
    member = tables.member
    small = at.board.server.url("/TS7/small.jpg")
    with at.board.warehouse.writing() as connection:
        connection.execute(sa.update(member).values(photo_thumbnail_url=small))

    def wanted(resource: Resource, *sizes: str) -> list[tuple[str, str]]:
        with at.board.warehouse.reading() as connection:
            found = media.wanted(connection, FEED, sizes, datetime.now(UTC), 10, resource)
        return sorted((item.size, item.url.rpartition("/")[2]) for item in found)

    assert wanted(MEMBERS, "thumbnail", "large") == [
        ("large", "large.jpg"), ("thumbnail", "small.jpg"),
    ]  # fmt: skip
    assert wanted(MEMBERS, "medium") == [("large", "large.jpg")]
    assert wanted(OFFICES, "large", "medium") == [("thumbnail", "logo.jpg")]


def test_an_image_waits_for_nobody_who_notes_a_pull(postgres_warehouse: Warehouse) -> None:
    """A load of listings touches the rows of offices all along, and lasts for minutes."""
    pull = people.pull_of(postgres_warehouse, 1, "offices")
    item = people.person("1", "x", OFFICES, logo_url="http://x/1.jpg", logo_change_token="t")
    people.apply(postgres_warehouse, pull, [item], OFFICES)
    wanted = media.Wanted("1", "1", "thumbnail", "http://x/1.jpg", "t", 0, None, "Office")
    row = media.row_of(wanted, state="failed")
    with postgres_warehouse.writing() as load, postgres_warehouse.writing() as image:
        load.execute(sa.update(tables.office).values(pull_id="later"))
        image.execute(sa.text("SET LOCAL lock_timeout = '2s'"))
        assert media.record(image, FEED, [row], OFFICES) == []
    assert rows(postgres_warehouse, sa.select(ledgers.media_file.c.state))
