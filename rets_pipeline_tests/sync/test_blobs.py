"""Blobs against their rows: what is swept, and what is fetched again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from rets_pipeline.archive import Archive
from rets_pipeline.sync import blobs
from rets_pipeline.sync.blobs import BlobCounts
from rets_pipeline.warehouse import ledgers, media
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.sync.board import Board, Photo
from rets_pipeline_tests.sync.pieces import open_mirror
from rets_pipeline_tests.warehouse.builders import FEED
from rets_pipeline_tests.warehouse.databases import everything, rows

A, B, C = (Photo(str(number), name) for number, name in enumerate("abc", 1))
ORPHAN = f"images/{FEED}/1/{'0' * 64}.jpg"


class Killed(BaseException):
    """The process ends here."""


class Archived(Archive):
    """An archive at whose deletions the process dies."""

    def delete(self, keys: Iterable[str]) -> int:
        raise Killed


def after(**delta: float) -> datetime:
    """So much later."""
    return datetime.now(UTC) + timedelta(**delta)


def audit(board: Board, now: datetime | None = None) -> BlobCounts:
    """A night's audit, in a run of its own."""
    with open_mirror(board.warehouse, board.archive, job="reconcile") as mirror:
        return blobs.audit(mirror, now)


def end(board: Board) -> None:
    """The image run is over."""
    board.mirror.close(succeeded=True)


def assert_every_row_has_its_blob(board: Board) -> None:
    held = {row.blob_key for row in board.files().values()} - {None}
    assert held <= board.blobs().keys()


def test_orphans_go_when_they_are_a_day_old(board: Board) -> None:
    board.publish([A, B])
    board.run()
    end(board)
    board.archive.put(ORPHAN, b"put by a run that died before it wrote the row")
    size = sum(len(data) for data in board.blobs().values())

    for young in (after(), after(hours=23, minutes=58)):
        counts = audit(board, young)
        assert counts == BlobCounts(blobs=3, young=1, bytes=size)
        assert ORPHAN in board.blobs()

    counts = audit(board, after(hours=24, minutes=1))
    assert counts == BlobCounts(blobs=3, orphans=1, orphans_deleted=1, bytes=size)
    board.assert_equal([A, B])
    assert audit(board, after(days=9)) == BlobCounts(
        blobs=2, bytes=size - len(b"put by a run that died before it wrote the row")
    )


def test_blobs_that_vanished_are_fetched_again(board: Board) -> None:
    board.publish([A, Photo("4", "a"), B, C])
    board.run()
    end(board)
    shared = board.files()["1_1"].blob_key
    assert shared == board.files()["1_2"].blob_key
    board.archive.delete([shared, board.files()["1_3"].blob_key])

    told = []
    with open_mirror(board.warehouse, board.archive, job="reconcile") as mirror:
        mirror.progress = lambda *what: told.append(what)
        counts = blobs.audit(mirror)

    assert (counts.vanished, counts.images_to_fetch_again, counts.orphans) == (2, 3, 0)
    looked = [(done, of) for phase, done, of in told if phase == "looking for vanished blobs"]
    assert looked == [(0, 2), (1, 2), (2, 2)]
    assert ("sweeping orphan blobs", 0, 0) in told
    assert_every_row_has_its_blob(board)
    row = board.files()["1_1"]
    assert (row.state, row.blob_key, row.attempts) == ("vanished", None, 0)
    assert row.reason == "the blob was no longer in the archive"
    with board.warehouse.reading() as connection:
        assert media.completeness(connection, FEED, ["large"]).pending == 3

    board.server.asked.clear()
    assert board.run().stored == 3
    assert set(board.server.asked) == {A.path, "/TS4/a.jpg", B.path}
    board.assert_equal([A, Photo("4", "a"), B, C])
    end(board)
    assert audit(board).vanished == 0


def test_what_is_stored_while_the_archive_is_listed_has_not_vanished(board: Board) -> None:
    before = datetime.now(UTC)
    board.publish([A])
    board.run()
    end(board)
    board.archive.delete(board.blobs())
    assert audit(board, before).vanished == 0
    assert audit(board).vanished == 1


def test_a_run_that_dies_between_rows_and_blobs_leaves_orphans_only(
    board: Board, archive: Archive
) -> None:
    board.publish([A, B])
    board.run()
    left = board.blobs()
    board.withdraw_all()
    board.mirror.archive = Archived(archive._location)
    with pytest.raises(Killed):
        board.run()
    end(board)
    assert board.files() == {}
    assert board.blobs() == left, "rows first, blobs second"

    assert audit(board).orphans_deleted == 0, "they are young"
    assert board.blobs() == left
    assert audit(board, after(days=1, minutes=1)).orphans_deleted == 2
    assert board.blobs() == {}


def test_images_of_gone_listings_go_without_an_image_run(board: Board) -> None:
    board.publish([A, B])
    board.publish([C], "2")
    board.run()
    end(board)
    board.withdraw_all()
    assert audit(board).images_removed == 3
    assert (board.files(), board.blobs()) == ({}, {})


def test_an_active_image_run_is_left_alone(board: Board) -> None:
    board.publish([A, B])
    board.run()  # and holds the lock of images until it is closed
    board.archive.delete([board.files()["1_1"].blob_key])
    board.archive.put(ORPHAN, b"of another run")
    rows_before, blobs_before = board.files(), board.blobs()

    counts = audit(board, after(days=2))

    assert (counts.left_to_the_next, counts.vanished, counts.orphans) == (1, 1, 1)
    assert counts.orphans_deleted == counts.images_to_fetch_again == 0
    assert (board.files(), board.blobs()) == (rows_before, blobs_before)
    end(board)
    counts = audit(board, after(days=2))
    assert counts.left_to_the_next == 0
    assert counts.orphans_deleted == counts.images_to_fetch_again == 1


def test_a_row_that_came_after_the_comparison_keeps_its_blob(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An orphan's bytes may be stored again while the archive is listed."""
    board.publish([A])
    board.run()
    end(board)
    (key,) = board.blobs()
    found = blobs._compare

    def then_stored(*arguments: object) -> object:
        with board.warehouse.writing() as connection:
            held = connection.execute(sa.select(ledgers.media_file)).one()
            connection.execute(sa.delete(ledgers.media_file))
        result = found(*arguments)  # type: ignore[arg-type]
        with board.warehouse.writing() as connection:
            connection.execute(sa.insert(ledgers.media_file).values(**held._mapping))
        return result

    monkeypatch.setattr(blobs, "_compare", then_stored)
    counts = audit(board, after(days=2))
    assert (counts.orphans, counts.orphans_deleted) == (1, 0)
    assert set(board.blobs()) == {key}


def test_an_archive_of_another_warehouse_is_not_swept(
    board: Board, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(blobs, "_FEW", 1)
    board.publish([A])
    board.run()
    end(board)
    for number in range(2):
        board.archive.put(f"images/{FEED}/9/{number}.jpg", b"of another warehouse")
    assert audit(board, after(days=2)).orphans_deleted == 0
    assert "is this the right warehouse for this archive?" in caplog.text
    board.archive.delete([f"images/{FEED}/9/1.jpg"])
    assert audit(board, after(days=2)).orphans_deleted == 1


def test_a_night_is_bounded_and_the_next_one_goes_on(board: Board) -> None:
    end(board)
    for number in range(3):
        board.archive.put(f"images/{FEED}/9/{number}.jpg", b"orphan")
    photos = board.mirror.feed.photos.model_copy(update={"per_run": 2})
    feed = board.mirror.feed.model_copy(update={"photos": photos})
    for deleted in (2, 1, 0):
        with open_mirror(board.warehouse, board.archive, feed) as mirror:
            assert blobs.audit(mirror, after(days=2)).orphans_deleted == deleted


def test_without_images_nothing_is_touched(warehouse: Warehouse, archive: Archive) -> None:
    before = everything(warehouse, without=("run_ledger",))
    with open_mirror(warehouse, archive, job="reconcile") as mirror:
        assert blobs.audit(mirror) == BlobCounts()
    assert everything(warehouse, without=("run_ledger",)) == before
    (actions,) = rows(warehouse, sa.select(ledgers.run_ledger.c.actions))[0]
    assert [action["action"] for action in actions] == ["blobs"]


def test_on_s3(sqlite_warehouse: Warehouse, s3_archive_uri: str) -> None:
    archive = Archive.from_uri(s3_archive_uri)
    archive.put(ORPHAN, b"orphan")
    archive.put(f"images/other{FEED}/1/x.jpg", b"of another feed")
    for now, deleted in ((after(hours=23), 0), (after(hours=25), 1)):
        with open_mirror(sqlite_warehouse, archive) as mirror:
            assert blobs.audit(mirror, now).orphans_deleted == deleted
    assert [item.key for item in archive.list()] == [f"images/other{FEED}/1/x.jpg"]
