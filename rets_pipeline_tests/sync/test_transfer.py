"""Many images at once: what happens when the work around them fails."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rets_pipeline.settings import PhotoSettings
from rets_pipeline.sync import received, transfer
from rets_pipeline.sync.downloads import Validators
from rets_pipeline.sync.received import Picture, Received
from rets_pipeline.sync.transfer import Transfer
from rets_pipeline.warehouse.media import FileRow
from rets_pipeline_tests.patience import PATIENCE
from rets_pipeline_tests.sync.image_server import Answer, ImageServer, jpeg

PHOTOS = PhotoSettings(hosts=("127.0.0.1",), allow_private_addresses=True, connections=4)


@dataclass
class Task:
    """An image whose storing does what a test wants."""

    url: str
    store: Any = None
    validators: Validators | None = None

    def stored(self, received: Received, picture: Picture) -> FileRow:
        if self.store is not None:
            self.store()
        return {"url": self.url, "hash": picture.content_hash}

    def failed(self, error: Exception) -> FileRow:
        raise error


class Told(Task):
    """Its failure is a row."""

    def failed(self, error: Exception) -> FileRow:
        return {"url": self.url, "error": type(error).__name__}


@pytest.fixture
def urls(server: ImageServer) -> list[str]:
    server.fallback = lambda path: Answer(jpeg(path))
    return [server.url(f"/{number}.jpg") for number in range(40)]


def test_everything_comes_once(urls: list[str]) -> None:
    with Transfer(PHOTOS, "tests/1.0") as given:
        given.give(map(Task, urls[:25]))
        rows = given.take(10, 30)
        given.give(map(Task, urls[25:]))
        while given.waiting:
            rows += given.take(10, 30)
        assert given.take(10, 30) == []
    assert sorted(row["url"] for row in rows) == sorted(urls)
    assert len({row["hash"] for row in rows}) == 40


def test_what_is_under_way_at_the_end_is_handed_over(urls: list[str]) -> None:
    with Transfer(PHOTOS, "tests/1.0") as given:
        given.give(map(Task, urls))
        taken = given.take(1, 30)
        rest = given.end()
    assert len(taken) == 1
    assert len(rest) < len(urls) - 1, "nothing new begins"
    assert not {row["url"] for row in taken} & {row["url"] for row in rest}
    assert not any(thread.name.startswith("images") for thread in threading.enumerate())


def test_what_takes_too_long_at_the_end_is_given_up(
    server: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_GRACE_SECONDS", 0.1)
    never = threading.Event()

    def silent(path: str) -> Answer:
        never.wait(20)
        return Answer(status=404)

    server.fallback = silent
    with Transfer(PHOTOS, "tests/1.0") as given:
        given.give([Task(server.url("/1.jpg"))])
        while not server.asked:
            never.wait(0.01)
        assert given.end() == []
    never.set()


def test_no_more_bodies_wait_for_the_archive_than_may(urls: list[str]) -> None:
    gate, guard, most = threading.Event(), threading.Lock(), [0]

    def store() -> None:
        with guard:
            most[0] += 1
        assert gate.wait(20)

    with Transfer(PHOTOS, "tests/1.0") as given:
        given.give(Task(url, store) for url in urls)
        assert given.take(1, 0.3) == []
        assert given.requests <= 3 * PHOTOS.connections
        gate.set()
        rows: list[FileRow] = []
        while given.waiting:
            rows += given.take(100, 30)
    assert len(rows) == len(urls)


@pytest.mark.parametrize(("quick", "threads"), [(0.0, 4), (PATIENCE, transfer._FEW)])
def test_an_archive_gets_a_thread_for_each_if_it_is_slow_and_few_if_quick(
    urls: list[str], monkeypatch: pytest.MonkeyPatch, quick: float, threads: int
) -> None:
    """What is slow must not wait for the others; those that are quick only wait for one another."""
    monkeypatch.setattr(transfer, "_QUICK_SECONDS", quick)  # whatever this machine is
    monkeypatch.setattr(transfer, "_LONGEST_WAIT", PATIENCE)
    guard, now, most = threading.Lock(), [0], [0]

    def store() -> None:
        with guard:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with guard:
            now[0] -= 1

    with Transfer(PHOTOS, "tests/1.0") as given:
        given._seconds_to_store = 0.0
        given.give(Task(url, store) for url in urls)
        while given.waiting:
            given.take(100, PATIENCE)
    assert most[0] == threads


def test_nobody_who_waits_for_room_is_forgotten(server: ImageServer, urls: list[str]) -> None:
    """A download that finds room must not take away the turn of those that found none."""
    room = 2 * PHOTOS.connections
    first, second, stores = threading.Event(), threading.Event(), threading.Semaphore(0)

    def answer(path: str) -> Answer:
        if first.is_set():
            assert second.wait(PATIENCE)
        elif path == "/3.jpg":
            assert first.wait(PATIENCE)
        return Answer(jpeg(path))

    def store() -> None:
        assert stores.acquire(timeout=PATIENCE)

    server.fallback = answer
    with Transfer(PHOTOS, "tests/1.0") as given:
        given.give(Task(url, store) for url in urls)
        until(lambda: given._is_full and given.requests == given._storing + 1)
        stores.release(given._storing - room + 2)
        until(lambda: given._storing == room - 2)
        first.set()  # the fourth comes, finds room, and asks for another one
        until(lambda: given.requests == len(server.asked) and given._storing == room - 1)
        stores.release(len(urls))
        until(lambda: given._storing == 0)
        second.set()
        while given.waiting:
            assert given.take(100, PATIENCE), "somebody waits for ever"


def test_an_archive_that_turns_slow_gets_more_threads(urls: list[str]) -> None:
    guard, gate, now = threading.Lock(), threading.Event(), [0]

    def store() -> None:
        with guard:
            now[0] += 1
        assert gate.wait(PATIENCE)

    with Transfer(PHOTOS, "tests/1.0") as given:
        given._seconds_to_store = 0.0
        given.give(Task(url, store) for url in urls)
        until(lambda: now[0] == PHOTOS.connections)
        gate.set()
        assert len(given.take(100, PATIENCE)) == len(urls)


def test_a_thread_that_cannot_be_started_yet(
    urls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that could be started goes on, and no image is forgotten."""
    submit, starts = transfer.ThreadPoolExecutor.submit, [0]
    gate = threading.Event()

    def sometimes(*arguments: Any) -> Any:
        starts[0] += 1
        if starts[0] > 1 and not gate.is_set():
            raise RuntimeError("can't start new thread")
        return submit(*arguments)

    monkeypatch.setattr(transfer.ThreadPoolExecutor, "submit", sometimes)
    with Transfer(PHOTOS, "tests/1.0") as given:
        given.give(Task(url, lambda: gate.wait(PATIENCE)) for url in urls)
        until(lambda: starts[0] > 10)
        gate.set()
        assert len(given.take(100, PATIENCE)) == len(urls)


def test_no_thread_can_be_started(urls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(transfer.ThreadPoolExecutor, "submit", never)
    with Transfer(PHOTOS, "tests/1.0") as given:
        given.give(map(Task, urls))
        with pytest.raises(RuntimeError, match="new thread"):
            given.take(100, PATIENCE)


def test_an_image_that_its_disk_had_no_room_for_ends_nothing(
    urls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was left in its buffer cannot be written when the file is closed either."""
    monkeypatch.setattr(received, "IN_MEMORY", 10)
    full = partial(Path("/dev/full").open, "w+b", buffering=1 << 20)
    monkeypatch.setattr(received.tempfile, "TemporaryFile", full)
    with Transfer(PHOTOS, "tests/1.0") as given:
        given.give(Told(url) for url in urls)
        rows = given.take(100, PATIENCE)
    assert [row["error"] for row in rows] == ["NoRoom"] * len(urls)


def test_a_panic_in_the_archive_ends_the_run(urls: list[str]) -> None:
    class Panic(BaseException):
        """As obstore's, which is no Exception."""

    def store() -> None:
        raise Panic("at the disco")

    with Transfer(PHOTOS, "tests/1.0") as given:
        given.give(Task(url, store) for url in urls)
        with pytest.raises(Panic):
            given.take(100, PATIENCE)


def test_after_the_end_nothing_is_asked_for(urls: list[str]) -> None:
    gate = threading.Event()
    with Transfer(PHOTOS, "tests/1.0") as given:
        given.give(Task(url, lambda: gate.wait(PATIENCE)) for url in urls)
        until(lambda: given._is_full and given.requests == given._storing)
        asked = given.requests
        ending = threading.Thread(target=given.end)
        ending.start()
        until(lambda: given._ended)
        gate.set()
        ending.join()
        assert given.requests == asked


def test_a_fault_that_is_no_images_ends_everything(urls: list[str]) -> None:
    def store() -> None:
        raise RuntimeError("the disk is full")

    with Transfer(PHOTOS, "tests/1.0") as given:
        given.give(Task(url, store) for url in urls)
        with pytest.raises(RuntimeError, match="disk is full"):
            given.take(100, 30)


def test_what_was_done_before_such_a_fault_is_handed_over_first(urls: list[str]) -> None:
    stored, broken = threading.Barrier(4), threading.Event()

    def fail() -> None:
        stored.wait(20)
        assert broken.wait(20)
        raise RuntimeError("the disk is full")

    with Transfer(PHOTOS, "tests/1.0") as given:
        given.give([*(Task(url, lambda: stored.wait(20)) for url in urls[:3]), Task(urls[3], fail)])
        while len(given._done) < 3:
            time.sleep(0.005)
        broken.set()
        while len(given._done) < 4:
            time.sleep(0.005)
        assert len(given.take(100, 30)) == 3
        with pytest.raises(RuntimeError, match="disk is full"):
            given.take(100, 30)


def test_such_a_fault_is_told_at_once(urls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def store() -> None:
        raise RuntimeError("the disk is full")

    never = threading.Event()
    with Transfer(PHOTOS, "tests/1.0") as given:
        given.give([Task(urls[0], store), Task(urls[1], lambda: never.wait(PATIENCE))])
        until(lambda: len(given._done) == 1)
        monkeypatch.setattr(given._enough, "wait", lambda _: pytest.fail("it waits"))
        with pytest.raises(RuntimeError, match="disk is full"):
            given.take(100, PATIENCE)
        never.set()


def test_a_loop_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def runner() -> asyncio.Runner:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(asyncio, "Runner", runner)
    with pytest.raises(OSError, match="Too many open files"), Transfer(PHOTOS, "tests/1.0"):
        pytest.fail("there is no loop")


def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < PATIENCE
        time.sleep(0.005)
