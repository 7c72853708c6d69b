"""Images in step with the payloads, against a server of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rets_pipeline.archive import Archive, ArchiveError
from rets_pipeline.settings import FeedConfig
from rets_pipeline.sync import images
from rets_pipeline.sync.images import ImageCounts
from rets_pipeline.warehouse import ledgers, media, tables
from rets_pipeline.warehouse.engine import Warehouse, transaction
from rets_pipeline.warehouse.resources import LISTINGS
from rets_pipeline_tests.sync.board import Board, Photo
from rets_pipeline_tests.sync.image_server import Answer, ImageServer, image_server, jpeg
from rets_pipeline_tests.sync.pieces import feed_of, open_mirror
from rets_pipeline_tests.warehouse.builders import FEED
from rets_pipeline_tests.warehouse.databases import rows

A, B, C, D = (Photo(str(number), name) for number, name in enumerate("abcd", 1))


def test_photos_are_loaded_once(board: Board) -> None:
    board.publish([A, B, C])
    counts = board.run()
    assert (counts.wanted, counts.stored, counts.requests, counts.moved) == (3, 3, 3, 0)
    assert counts.bytes == 3 * len(jpeg("a.jpg"))
    board.assert_equal([A, B, C])
    board.assert_complete()
    assert set(board.server.asked.values()) == {1}


# What changes -------------------------------------------------------------------------------------

#: photos by number; each has a token of its own, and some show the same
SCENES = st.lists(st.integers(0, 7), unique=True, max_size=6)


def scene(numbers: Sequence[int]) -> list[Photo]:
    return [Photo(f"{number}00", "xyz"[number % 3] + str(number // 6)) for number in numbers]


def check_scenes(board: Board, scenes: Sequence[Sequence[int]]) -> None:
    """Whatever is added, removed, replaced and reordered, only what is new is loaded."""
    before: set[int] = set()
    for numbers in [*scenes, []]:
        board.server.asked.clear()
        board.publish(scene(numbers))
        counts = board.run()
        new = set(numbers) - before
        assert board.server.asked.total() == counts.requests == counts.stored == len(new)
        assert set(board.server.asked) == {photo.path for photo in scene(sorted(new))}
        board.assert_equal(scene(numbers))
        before = set(numbers)
    board.assert_complete()
    assert board.blobs() == {}


@given(scenes=st.lists(SCENES, min_size=1, max_size=4))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_change_of_photos_on_sqlite(
    sqlite_warehouse: Warehouse, server: ImageServer, archive: Archive, scenes: list[list[int]]
) -> None:
    with open_mirror(sqlite_warehouse, archive, job="images") as mirror:
        check_scenes(Board(server, mirror, sqlite_warehouse, archive), scenes)


@given(scenes=st.lists(SCENES, min_size=1, max_size=3))
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_change_of_photos_on_postgres(
    postgres_warehouse: Warehouse, server: ImageServer, archive: Archive, scenes: list[list[int]]
) -> None:
    with open_mirror(postgres_warehouse, archive, job="images") as mirror:
        check_scenes(Board(server, mirror, postgres_warehouse, archive), scenes)


def test_a_reordering_copies_nothing(board: Board) -> None:
    photos = [A, B, C, D]
    board.publish(photos)
    board.run()
    blobs = {stored.key: stored.modified for stored in board.archive.list("images/")}
    for order in ([D, C, B, A], [B, D, A, C], [A, B, C, D]):
        board.publish(order)
        counts = board.run()
        assert (counts.requests, counts.stored, counts.blobs_deleted) == (0, 0, 0)
        assert counts.moved == counts.wanted > 0
        board.assert_equal(order)
    assert {stored.key: stored.modified for stored in board.archive.list("images/")} == blobs


def test_a_reordering_of_many_listings_among_new_ones(
    open_board: Callable[[Warehouse, FeedConfig | None], Board],
    sqlite_warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The images of a listing are handled together, however many there are."""
    monkeypatch.setattr(images, "_RECORDS", 2)
    board = open_board(sqlite_warehouse, None)
    for key in "24":
        board.publish([A, B, C], key)
    board.run()
    for key in "12345":
        board.publish([C, A, B, D] if key in "24" else [A], key)
    counts = board.run()
    assert (counts.moved, counts.stored) == (6, 5)
    assert len(board.blobs()) == 2 * 4 + 3


def test_equal_photos_share_a_blob_until_the_last_one_goes(board: Board) -> None:
    twin, other = Photo("1", "same"), Photo("2", "same")
    board.publish([twin, other, C])
    assert board.run().stored == 3
    board.assert_equal([twin, other, C])
    assert len(board.blobs()) == 2

    board.publish([other, C])
    assert board.run().blobs_deleted == 0
    board.assert_equal([other, C])

    board.publish([C])
    assert board.run().blobs_deleted == 1
    board.assert_equal([C])


def test_equal_photos_of_two_listings_are_two_blobs(board: Board) -> None:
    board.publish([A], "1")
    board.publish([A], "2")
    board.run()
    assert len(board.blobs()) == 2


def test_a_token_that_several_photos_share_is_not_guessed(board: Board) -> None:
    """Two photos of one instant: whose bytes are whose only a download can tell."""
    first, second = Photo("1", "a"), Photo("1", "b")
    board.publish([first])
    board.run()
    board.publish([first, second])  # a new photo under the token of another one
    counts = board.run()
    assert (counts.moved, counts.stored) == (0, 1)
    board.assert_equal([first, second])

    # Both move on. The second place keeps its token, which is all that a payload tells of a
    # change; for the third either photo could be meant, so it is loaded.
    board.publish([C, first, second])
    counts = board.run()
    assert (counts.moved, counts.stored) == (0, 2)
    assert board.blobs()[board.files()["1_3"].blob_key] == jpeg("b.jpg")


def test_photos_that_share_token_and_bytes_may_move(board: Board) -> None:
    twin = Photo("1", "same")
    board.publish([twin, twin])
    board.run()
    board.publish([C, twin, twin])
    counts = board.run()
    assert (counts.moved, counts.stored) == (1, 1)
    board.assert_equal([C, twin, twin])


def test_a_new_token_for_the_same_bytes_is_asked_for_conditionally(board: Board) -> None:
    """An address without a token in it: what is held has a version that the server can compare."""

    def publish(photo: Photo) -> None:
        board.publish([photo])
        with board.warehouse.writing() as connection:
            connection.execute(sa.update(tables.media).values(media_url=board.server.url("/1.jpg")))

    body = jpeg("a.jpg")
    board.server.answers["/1.jpg"] = Answer(body, headers={"ETag": '"7"'})
    publish(A)
    assert board.run().stored == 1

    board.server.answers["/1.jpg"] = Answer(status=304)
    publish(Photo("2", "a"))
    counts = board.run()
    assert (counts.unchanged, counts.stored, counts.failed, counts.bytes) == (1, 0, 0, 0)
    assert board.server.headers_seen["if-none-match"] == '"7"'
    board.assert_equal([Photo("2", "a")])
    board.assert_complete()


@pytest.mark.parametrize(
    ("etag", "shows", "asked_with"),
    [('"7"', "a", '"7"'), ('W/"7"', "a", None), ('"7"', "b", None)],
)
def test_a_new_version_of_an_address_is_asked_for_conditionally(
    open_board: Callable[[Warehouse, FeedConfig | None], Board],
    sqlite_warehouse: Warehouse,
    etag: str,
    shows: str,
    asked_with: str | None,
) -> None:
    """DDF's addresses hold the token: without it they name one resource, unless they do not."""
    board = open_board(sqlite_warehouse, None)
    dated = {"ETag": etag, "Last-Modified": "Sun, 01 Mar 2026 12:00:00 GMT"}
    old, new = Photo("1", "a"), Photo("2", shows)
    board.server.answers[old.path] = Answer(jpeg("a.jpg"), headers=dated)
    board.publish([old])
    board.run()
    if asked_with is not None:
        board.server.answers[new.path] = Answer(status=304)
    board.publish([new])
    counts = board.run()
    assert board.server.headers_seen.get("if-none-match") == asked_with
    assert "if-modified-since" not in board.server.headers_seen
    assert (counts.unchanged, counts.stored) == ((0, 1) if asked_with is None else (1, 0))
    board.assert_equal([new])


def test_what_the_bytes_are_is_written_down(board: Board) -> None:
    board.server.answers[A.path] = Answer(
        jpeg("a.jpg"), headers={"ETag": '"7"', "Last-Modified": "Sun, 01 Mar 2026 12:00:00 GMT"}
    )
    board.publish([A])
    board.run()
    (row,) = board.files().values()
    assert (row.width, row.height, row.etag) == (8, 6, '"7"')
    assert row.last_modified == "Sun, 01 Mar 2026 12:00:00 GMT"
    assert row.source_url == board.server.url(A.path)


def test_equal_bytes_are_put_once(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    board.publish([Photo("1", "same"), B])
    board.run()
    monkeypatch.setattr(board.archive, "put", lambda *_, **__: pytest.fail("put again"))
    board.publish([Photo("7", "same"), B])  # a new token, and the bytes that are held
    assert board.run().stored == 1
    board.assert_equal([Photo("7", "same"), B])


def test_a_run_after_one_that_found_nothing_compares_nothing(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless anything may have changed, whatever it is."""
    compared = []
    plain = media.wanted

    def watched(*arguments: Any) -> list[media.Wanted]:
        compared.append(arguments)
        return plain(*arguments)

    monkeypatch.setattr(media, "wanted", watched)

    def run() -> tuple[int, ImageCounts]:
        compared.clear()
        counts = board.run()
        return len(compared), counts

    board.publish([A, B])
    assert run()[0] == 1
    assert run() == (1, ImageCounts())
    assert run() == (0, ImageCounts())
    board.publish([A, C])
    assert run()[1].stored == 1
    board.run()
    assert run() == (0, ImageCounts())
    with board.warehouse.writing() as connection:
        connection.execute(sa.delete(ledgers.media_file).where(sa.text("media_key = '1_1'")))
    assert run()[1].stored == 1
    board.run()
    assert run() == (0, ImageCounts())
    board.withdraw_all()
    assert run()[1].removed == 2


# What goes ----------------------------------------------------------------------------------------


def test_images_go_with_their_listing(board: Board) -> None:
    board.publish([A, B])
    board.run()
    board.withdraw_all()
    counts = board.run()
    assert (counts.removed, counts.blobs_deleted, counts.requests) == (2, 2, 0)
    assert (board.files(), board.blobs()) == ({}, {})


def test_a_listing_that_goes_while_its_photos_load(board: Board) -> None:
    """Blob first, row second, and only while the listing is live."""
    board.publish([A, B])
    plain = board.server.fallback

    def gone_meanwhile(path: str) -> Answer:
        with board.server.guard:
            if board.server.asked.total() == 1 or rows(
                board.warehouse, sa.select(tables.property_)
            ):
                board.withdraw_all()
        return plain(path)

    board.server.fallback = gone_meanwhile
    counts = board.run()
    assert counts.stored == 2
    assert (board.files(), board.blobs()) == ({}, {})
    assert counts.blobs_deleted == 2


def test_a_photo_that_is_replaced_while_it_loads(board: Board) -> None:
    board.publish([A])
    plain = board.server.fallback
    newer = Photo("9", "newer")

    def replaced_meanwhile(path: str) -> Answer:
        if path == A.path:
            board.publish([newer])
        return plain(path)

    board.server.fallback = replaced_meanwhile
    board.run()
    assert (board.files(), board.blobs()) == ({}, {})
    board.run()
    board.assert_equal([newer])


def test_a_payload_that_changes_before_anything_is_moved(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    board.publish([A, B])
    board.run()
    board.publish([B, A])
    with transaction(board.mirror.lock(f"images of feed {FEED}")) as connection:
        lacking = media.wanted(connection, FEED, ["large"], datetime.now(UTC), 10)
    board.publish([A, C])
    loose: list[str] = []
    assert images._Loading(board.mirror, LISTINGS, ImageCounts(), loose)._moved(lacking) == []
    board.run()
    board.assert_equal([A, C])


# What fails ---------------------------------------------------------------------------------------


def test_failures_are_tried_later_and_later(board: Board) -> None:
    board.publish([A, B, C])
    board.server.answers = {A.path: Answer(status=404), B.path: Answer(b"text under HTTP 200")}
    delays = []
    for attempt in range(1, 4):
        started = datetime.now(UTC)
        counts = board.run()
        assert (counts.absent, counts.failed) == (1, 1)
        files = board.files()
        assert (files["1_1"].state, files["1_2"].state) == ("absent", "failed")
        assert files["1_1"].attempts == files["1_2"].attempts == attempt
        assert "HTTP 404" in files["1_1"].reason
        assert "not an image" in files["1_2"].reason
        assert files["1_1"].blob_key is None
        delays.append(files["1_1"].next_attempt - started)
        assert board.run() == ImageCounts()  # not before it is due
        board.make_due()
    assert timedelta(minutes=13) < delays[0] < delays[1] < delays[2] < timedelta(minutes=67)
    assert board.server.asked[C.path] == 1

    board.server.answers = {}
    board.run()
    board.assert_equal([A, B, C])
    files = board.files()
    assert (files["1_1"].attempts, files["1_1"].reason, files["1_1"].next_attempt) == (
        0,
        None,
        None,
    )


def shown(board: Board) -> dict[str, tuple[str, int]]:
    """What a website shows of the photos: the blob, and whether it is the present version."""
    query = sa.text("SELECT media_key, blob_key, is_current FROM listing_photos")
    return {row.media_key: (row.blob_key, row.is_current) for row in rows(board.warehouse, query)}


def first_shown(board: Board) -> str | None:
    (row,) = rows(board.warehouse, sa.text("SELECT * FROM current_listings"))
    return row.first_image_blob_key  # type: ignore[no-any-return]


def test_what_is_held_stays_while_newer_bytes_fail(board: Board) -> None:
    """A host that is unwell takes no photo from a website."""
    board.publish([A, B])
    board.run()
    (old,) = {row.blob_key for key, row in board.files().items() if key == "1_1"}
    newer = Photo("9", "newer")
    board.server.answers = {newer.path: Answer(status=500)}
    board.publish([newer, B])
    for attempt in (1, 2):
        counts = board.run()
        assert (counts.failed, counts.bytes, counts.blobs_deleted) == (1, 0, 0)
        row = board.files()["1_1"]
        assert (row.state, row.attempts, row.blob_key) == ("failed", attempt, old)
        assert (row.change_token, row.held_token) == ("9", "1")
        assert "HTTP 500" in row.reason
        assert row.next_attempt > datetime.now(UTC)
        assert board.blobs()[old] == jpeg("a.jpg")
        assert shown(board)["1_1"] == (old, 0)
        assert shown(board)["1_2"][1] == 1
        assert first_shown(board) == old
        with board.warehouse.reading() as connection:
            found = media.completeness(connection, FEED, ["large"])
        assert found == media.Completeness(named=2, stored=1, absent=0, failed=1, older=1)
        board.make_due()
    board.server.answers = {}
    counts = board.run()
    assert (counts.stored, counts.blobs_deleted) == (1, 1)
    board.assert_equal([newer, B])
    assert {is_current for _, is_current in shown(board).values()} == {1}


def test_a_payload_that_takes_its_change_back_needs_no_request(board: Board) -> None:
    board.publish([A])
    board.run()
    board.server.answers = {B.path: Answer(status=500)}
    board.publish([B])
    board.run()
    board.publish([A])
    counts = board.run()
    assert (counts.moved, counts.requests) == (1, 0)
    board.assert_equal([A])


def test_what_the_server_no_longer_has_does_not_stay(board: Board) -> None:
    board.publish([A, B])
    board.run()
    board.server.answers = {C.path: Answer(status=404)}
    board.publish([C, B])
    assert board.run().absent == 1
    assert (board.files()["1_1"].state, board.files()["1_1"].blob_key) == ("absent", None)
    assert [*board.blobs().values()] == [jpeg("b.jpg")]


def test_what_moved_elsewhere_does_not_stay_in_its_old_place(board: Board) -> None:
    """It would be shown twice, once under another photo's words."""
    board.publish([A, B])
    board.run()
    board.server.answers = {C.path: Answer(status=500)}
    board.publish([C, A])
    assert (board.run().failed, board.files()["1_1"].blob_key) == (1, None)
    assert [*board.blobs().values()] == [jpeg("a.jpg")]


def test_no_host_has_a_photo_forgotten(board: Board) -> None:
    """Whenever it wants to be asked again, and however it writes that."""
    board.publish([A])
    busy = [
        Answer(status=503),
        Answer(status=503),
        Answer(status=503, headers={"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}),
    ]
    board.server.fallback = lambda path: busy.pop(0)
    assert board.run().failed == 1
    assert board.files()["1_1"].next_attempt < datetime.now(UTC) + timedelta(days=3)


def test_what_settings_refused_is_asked_for_when_they_allow_it(
    warehouse: Warehouse, open_board: Callable[[Warehouse, FeedConfig | None], Board]
) -> None:
    """An operator who has mended them does not wait for the next attempt, which may take days."""
    allowed = {"hosts": ["127.0.0.1"], "allow_private_addresses": True}
    board = open_board(warehouse, feed_of(photos={**allowed, "hosts": ["images.example.com"]}))
    board.publish([A, B])
    assert board.run().failed == 2
    assert board.run() == ImageCounts()
    assert "not among photos.hosts" in board.files()["1_1"].reason

    board.mirror.feed = feed_of(photos=allowed)
    board.server.answers = {B.path: Answer(status=404)}
    counts = board.run()
    assert (counts.stored, counts.absent) == (1, 1)
    assert board.run() == ImageCounts(), "once, under the new settings"

    board.mirror.feed = feed_of(photos={**allowed, "per_run": 10})
    assert board.run() == ImageCounts(), "which images fail does not depend on this one"


def test_what_a_host_sends_beside_its_bytes_ends_no_run(board: Board) -> None:
    """Bytes in a header that are no text, which databases refuse."""
    board.server.answers = {
        A.path: Answer(jpeg("a.jpg"), headers={"ETag": '"\xe9"', "Last-Modified": "\xe9t\xe9"}),
        B.path: Answer(status=302, headers={"Location": "/\xe9\x7f.jpg"}),
        C.path: Answer(status=302, headers={"Location": "http://\xe9.example.com/\xe9"}),
    }
    plain = board.server.fallback
    board.server.fallback = lambda path: Answer(status=500) if "%" in path else plain(path)
    board.publish([A, B, C])
    counts = board.run()
    assert (counts.stored, counts.failed) == (1, 2)
    files = board.files()
    assert (files["1_1"].etag, files["1_1"].last_modified) == (None, None)
    assert all(row.reason.isprintable() for row in files.values() if row.reason)


def test_a_new_token_is_due_at_once(board: Board) -> None:
    board.publish([A])
    board.server.answers = {A.path: Answer(status=500)}
    board.run()
    board.publish([B])
    assert board.run().stored == 1
    board.assert_equal([B])


def test_one_impossible_address_does_not_stop_the_others(board: Board) -> None:
    board.publish([A, B])
    with board.warehouse.writing() as connection:
        table = tables.media
        connection.execute(
            sa.update(table).where(table.c.media_key == "1_1").values(media_url="http://[x/1.jpg")
        )
    counts = board.run()
    assert (counts.failed, counts.stored) == (1, 1)


def test_a_run_is_bounded_and_the_next_one_goes_on(
    warehouse: Warehouse, open_board: Callable[[Warehouse, FeedConfig | None], Board]
) -> None:
    photos = {"hosts": ["127.0.0.1"], "allow_private_addresses": True, "per_run": 2}
    board = open_board(warehouse, feed_of(photos=photos))
    board.publish([A, B, C, D])
    assert [board.run().stored for _ in range(3)] == [2, 2, 0]
    board.assert_equal([A, B, C, D])


def test_a_run_loads_no_more_bytes_than_it_shall(
    sqlite_warehouse: Warehouse,
    open_board: Callable[[Warehouse, FeedConfig | None], Board],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(images, "_ROWS", 5)
    photos = [Photo(str(number), f"p{number}") for number in range(60)]
    settings = {
        "hosts": ["127.0.0.1"],
        "allow_private_addresses": True,
        "bytes_per_run": 10 * len(jpeg("p1.jpg")),
        "connections": 2,
    }
    board = open_board(sqlite_warehouse, feed_of(photos=settings))
    board.publish(photos)
    counts = board.run()
    assert 10 <= counts.stored < 60
    assert counts.stored + counts.postponed == counts.wanted == 60
    while board.run().stored:
        pass
    board.assert_equal(photos)
    assert set(board.server.asked.values()) == {1}


def test_a_host_that_fails_ends_the_run_well_and_the_next_goes_on(
    sqlite_warehouse: Warehouse,
    open_board: Callable[[Warehouse, FeedConfig | None], Board],
    caplog: pytest.LogCaptureFixture,
) -> None:
    photos = [Photo(str(number), f"p{number}") for number in range(60)]
    board = open_board(sqlite_warehouse, None)
    board.publish(photos)
    plain, board.server.fallback = board.server.fallback, lambda path: Answer(status=503)
    counts = board.run()
    assert counts.requests < 60
    assert counts.postponed > 20
    assert counts.failed + counts.postponed == 60
    assert "left alone for now: 127.0.0.1" in caplog.text
    board.server.fallback = plain
    board.make_due()
    assert board.run().stored == 60
    board.assert_equal(photos)


@pytest.mark.parametrize("failing", [Answer(status=500), Answer(jpeg("cut"), length=99_999)])
def test_photos_that_always_fail_are_in_nobodys_way(board: Board, failing: Answer) -> None:
    """They make the host look unwell, while all the others on it would come."""
    plain = board.server.fallback
    board.server.fallback = lambda path: failing if "bad" in path else plain(path)
    board.publish([Photo(str(number), f"bad{number}") for number in range(20)], "0")
    good = [Photo(str(number), f"good{number}") for number in range(40)]
    board.publish(good, "9")
    counts = board.run()
    assert counts.failed >= 10, "whatever was asked for is told"
    for _ in range(2):
        board.run()
    states = Counter(row.state for row in board.files().values())
    assert states == {"stored": 40, "failed": 20}


def test_a_host_that_is_down_starves_no_other(
    warehouse: Warehouse, open_board: Callable[[Warehouse, FeedConfig | None], Board]
) -> None:
    """However many of its images stand before those of others."""
    photos = {
        "hosts": ["127.0.0.1", "localhost"],
        "allow_private_addresses": True,
        "per_run": 100,
        "connections": 4,
    }
    board = open_board(warehouse, feed_of(photos=photos))
    for key in range(5):
        board.publish([Photo(str(number), f"down{number}") for number in range(90)], f"1{key}")
    board.server.fallback = lambda path: Answer(status=503)
    with image_server() as healthy:
        healthy.fallback = lambda path: Answer(jpeg("a"))
        board.server, down = healthy, board.server
        board.publish([A], "9")
        counts = board.run()
    assert counts.stored == 1
    assert 5 <= counts.failed < 30, "of those that were asked for"
    assert counts.failed + counts.stored + counts.postponed == counts.wanted > 200
    assert sum(down.asked.values()) < 30


def test_a_host_that_sends_everybody_to_one_that_is_down_is_not_asked_on(board: Board) -> None:
    with image_server() as down:
        down.fallback = lambda path: Answer(status=503, headers={"Retry-After": "3600"})
        board.server.fallback = lambda path: Answer(
            status=302, headers={"Location": down.url(path)}
        )
        photos = [Photo(str(number), f"sent{number}") for number in range(200)]
        board.publish(photos)
        counts = board.run()
    assert counts.failed + counts.postponed == 200
    assert sum(board.server.asked.values()) < 60


def test_a_host_that_is_left_in_peace_is_asked_no_sooner_by_the_next_run(board: Board) -> None:
    board.publish([A])
    board.server.answers = {A.path: Answer(status=503, headers={"Retry-After": "3600"})}
    before = datetime.now(UTC)
    assert board.run().failed == 1
    row = board.files()["1_1"]
    assert "HTTP 503" in row.reason
    assert row.next_attempt >= before + timedelta(hours=1)
    assert board.server.asked[A.path] == 1
    assert board.run() == ImageCounts()


def test_an_interrupted_run_keeps_what_has_come(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is fetched twice, as long as the process itself may end what it does."""
    monkeypatch.setattr(images, "_ROWS", 5)
    photos = [Photo(str(number), f"p{number}") for number in range(60)]
    board.publish(photos)

    def interrupt(phase: str, done: int, total: int | None) -> None:
        if done >= 20:
            raise KeyboardInterrupt

    monkeypatch.setattr(board.mirror, "progress", interrupt)
    with pytest.raises(KeyboardInterrupt):
        board.run()
    assert 20 <= len(board.files()) == board.server.asked.total() <= 60
    monkeypatch.undo()
    board.run()
    board.assert_equal(photos)
    assert set(board.server.asked.values()) == {1}


def test_rows_that_an_interrupt_met_within_their_transaction_are_written(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = [Photo(str(number), f"p{number}") for number in range(8)]
    board.publish(photos)
    plain, interrupts = media.record, [KeyboardInterrupt()]

    def interrupted(*arguments: Any) -> list[str]:
        loose = plain(*arguments)
        if arguments[2] and interrupts:
            raise interrupts.pop()
        return loose

    monkeypatch.setattr(media, "record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        board.run()
    assert len(board.files()) == 8
    board.run()
    assert set(board.server.asked.values()) == {1}


def test_an_archive_that_refuses_ends_the_run(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    board.publish([A, B])

    def full(*_: object, **__: object) -> None:
        raise ArchiveError("the bucket is full")

    monkeypatch.setattr(board.archive, "put", full)
    with pytest.raises(ArchiveError, match="full"):
        board.run()
    assert board.files() == {}
    monkeypatch.undo()
    board.run()
    board.assert_equal([A, B])


def test_more_images_than_one_transaction_takes(
    open_board: Callable[[Warehouse, FeedConfig | None], Board], sqlite_warehouse: Warehouse
) -> None:
    photos = [Photo(str(number), f"p{number}") for number in range(230)]
    board = open_board(sqlite_warehouse, None)
    board.publish(photos)
    assert board.run().stored == 230
    board.assert_equal(photos)


def test_a_key_from_a_server_is_made_safe(board: Board) -> None:
    board.publish([A], "../x/é")
    board.run()
    (key,) = board.blobs()
    assert key.startswith(f"images/{FEED}/!2E.!2Fx!2F!C3!A9/")
