"""Many images at once: from their hosts into the archive, beside whoever keeps the books.

What belongs here: the thread and the event loop of a run's downloads, the threads that store, and
the order of work between them. What does not: which images, one download (``downloads``), and SQL.

Downloads share one event loop, so that a photo costs little processor time; it also hashes them,
since handing a photo to another thread costs more than its hash. Threads put them into the archive
one after another, so that the next ones come meanwhile: as many threads as downloads if that takes
time, and two if it is quick, since to wake a thread costs as much as a file, and threads that write
into one folder wait for one another. Whoever takes what is done is woken for a hundred, not for
each, and so are downloads that wait for room.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rets_pipeline.settings import PhotoSettings
from rets_pipeline.sync.downloads import Downloader, ImagePostponed, Validators
from rets_pipeline.sync.received import Picture, Received
from rets_pipeline.warehouse.media import FileRow

#: how long an interrupted run waits for what is under way: it would be asked for again
_GRACE_SECONDS = 10.0
#: an archive that takes less for an image needs few threads
_QUICK_SECONDS = 0.002
_FEW = 2
#: of what it took lately, each image counts so much
_SHARE = 1 / 16
#: an image that waits longer for a thread shows that the archive is not quick any more
_LONGEST_WAIT = 0.1


class Task(Protocol):
    """One image to load."""

    @property
    def url(self) -> str:
        """Where it is."""
        ...

    @property
    def validators(self) -> Validators | None:
        """Of the bytes that are held and came from there."""
        ...

    def stored(self, received: Received, picture: Picture) -> FileRow:
        """Put the bytes into the archive; on any thread."""
        ...

    def postponed(self) -> FileRow | None:
        """What is to be made of it when its host is left alone; None: it is for another run."""
        ...

    def failed(self, error: Exception) -> FileRow:
        """What is to be written instead of bytes.

        Raises:
            Exception: the error itself, when it is none of an image.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Arrived:
    """An image that is here; what it shows, if that was looked at; and when it came."""

    task: Task
    received: Received
    picture: Picture | None
    at: float


@dataclass(frozen=True, slots=True)
class _Broken:
    """The whole run cannot go on."""

    error: BaseException


class Transfer:
    """Loads and stores images until it is left; one thread gives and takes.

    Args:
        photos: the feed's.
        user_agent: of the requests.

    Attributes:
        waiting: images that were given and not taken back.
        postponed: of those taken, how many were left for another run.
    """

    def __init__(self, photos: PhotoSettings, user_agent: str) -> None:
        self.waiting = 0
        self.postponed = 0
        self._photos = photos
        self._downloader = Downloader(photos, user_agent)
        self._tasks: deque[Task] = deque()
        self._ended = False
        self._done: deque[FileRow | _Broken | None] = deque()
        self._unfinished = 0
        self._most = 1
        self._enough = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._wake: asyncio.Event
        self._room: asyncio.Event
        self._guard = threading.Lock()
        self._to_store: deque[_Arrived] = deque()
        self._storing = 0  # images, those that wait for a thread included
        self._at_work = 0  # threads that store
        self._is_told = False  # a look at what has come is due
        self._seconds_to_store = 5 * _QUICK_SECONDS  # lately
        self._is_full = False
        self._is_broken = False
        self._main: asyncio.Task[None] | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="images", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._main is None:  # no loop could be made: too many open files, say
            self._thread.join()
            self._note(self._done.popleft(), [])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def requests(self) -> int:
        """How many were sent."""
        return self._downloader.requests

    @property
    def hosts_left_alone(self) -> list[str]:
        """Hosts that were unwell, or asked to be left in peace."""
        return self._downloader.hosts_left_alone

    def give(self, tasks: Iterable[Task]) -> None:
        """Add images to load."""
        given = list(tasks)
        self.waiting += len(given)
        with self._guard:
            self._unfinished += len(given)
        self._tasks.extend(given)
        self._call(self._wake.set)

    def take(self, most: int, seconds: float) -> list[FileRow]:
        """What is done: waits until so much is, or all.

        Args:
            most: rows at once.
            seconds: to wait at most; then fewer are taken, or none.

        Raises:
            Exception: storing failed for a reason that is not an image's.
        """
        self._most = most
        self._enough.clear()
        if self.waiting and not self._has_enough():
            self._enough.wait(seconds)
        rows: list[FileRow] = []
        while self._done and len(rows) < most:
            if rows and isinstance(self._done[0], _Broken):
                break  # the next call tells: what came before it must not be lost
            self._note(self._done.popleft(), rows)
        return rows

    def _has_enough(self) -> bool:
        return len(self._done) >= self._most or not self._unfinished or self._is_broken

    def drop(self) -> int:
        """Forget the images that no download has begun for; returns how many."""
        dropped = 0
        while self._tasks:
            try:
                self._tasks.pop()
            except IndexError:  # the loop took the last one
                break
            dropped += 1
        self.waiting -= dropped
        with self._guard:
            self._unfinished -= dropped
        return dropped

    def end(self) -> list[FileRow]:
        """Begin nothing more, let finish what is under way; returns what was done and not taken.

        What takes too long is given up.
        """
        self.drop()
        self._ended = True
        if self._thread.is_alive():
            for event in (self._wake, self._room):
                self._call(event.set)
            self._thread.join(_GRACE_SECONDS)
            if self._main is not None:
                self._call(self._main.cancel)
            self._thread.join()
        rows: list[FileRow] = []
        while self._done:
            item = self._done.popleft()
            if not isinstance(item, _Broken):
                self._note(item, rows)
        return rows

    def _call(self, function: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function)  # type: ignore[arg-type]
        except RuntimeError:  # the loop has ended by itself
            return

    def _note(self, item: FileRow | _Broken | None, rows: list[FileRow]) -> None:
        self.waiting -= 1
        if isinstance(item, _Broken):
            raise item.error
        if item is None:
            self.postponed += 1
        else:
            rows.append(item)

    # --- on the loop's thread -------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                self._loop = runner.get_loop()
                self._wake, self._room = asyncio.Event(), asyncio.Event()
                runner.run(self._serve())
        except (asyncio.CancelledError, KeyboardInterrupt):
            pass  # given up by end()
        except BaseException as error:
            self._finish(_Broken(error))
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._main = asyncio.current_task()
        width = self._photos.connections
        with ThreadPoolExecutor(width, thread_name_prefix="images") as threads:
            attendant = asyncio.create_task(self._attend(threads))
            try:
                async with self._downloader, asyncio.TaskGroup() as group:
                    self._ready.set()
                    for _ in range(width):
                        group.create_task(self._load(threads))
            finally:
                attendant.cancel()
                self._hand_over(threads, quickly=False)

    async def _attend(self, threads: ThreadPoolExecutor) -> None:
        """Set more threads to work when those at work do not get on."""
        while True:
            await asyncio.sleep(_LONGEST_WAIT)
            with self._guard:
                oldest = self._to_store[0].at if self._to_store else None
            if oldest is not None and time.perf_counter() - oldest > _LONGEST_WAIT:
                self._hand_over(threads, quickly=False)

    async def _load(self, threads: ThreadPoolExecutor) -> None:
        while True:
            await self._has_room()
            task = await self._next()
            if task is None:
                return
            try:
                received = await self._downloader.get(task.url, task.validators)
            except ImagePostponed:
                self._finish(task.postponed())
            except Exception as error:
                self._finish(_failed(task, error))
            else:
                self._arrived(threads, task, received)

    def _arrived(self, threads: ThreadPoolExecutor, task: Task, received: Received) -> None:
        picture = None
        if received.is_in_memory:
            try:
                picture = received.picture()
            except Exception as error:
                self._finish(_failed(task, error))
                return
        with self._guard:
            self._storing += 1
            self._to_store.append(_Arrived(task, received, picture, time.perf_counter()))
        if not self._is_told:
            self._is_told = True
            self._loop.call_soon(self._hand_over, threads)

    def _hand_over(self, threads: ThreadPoolExecutor, *, quickly: bool = True) -> None:
        """Set threads to work for what has come: few, if so asked and the archive is quick."""
        self._is_told = False
        is_quick = quickly and self._seconds_to_store < _QUICK_SECONDS
        most = _FEW if is_quick else self._photos.connections
        with self._guard:
            more = min(1 if is_quick else len(self._to_store), most - self._at_work)
        for _ in range(more):
            with self._guard:
                self._at_work += 1
            try:
                threads.submit(self._store_all)
            except RuntimeError as error:  # no thread can be started; those at work go on
                with self._guard:
                    self._at_work -= 1
                    is_anybody = self._at_work > 0
                if not is_anybody:
                    self._finish(_Broken(error))
                return

    async def _has_room(self) -> None:
        """Wait while twice as many bodies are to be stored as may load: all are in memory.

        Who waits is woken when half of them are stored: to wake the loop costs as much as a
        request, and the archive has enough to do meanwhile.
        """
        while True:
            with self._guard:
                if self._ended or self._storing < 2 * self._photos.connections:
                    return
                self._is_full = True
                self._room.clear()
            await self._room.wait()

    async def _next(self) -> Task | None:
        """The next image; None when there will be none."""
        while not self._ended:
            try:
                return self._tasks.popleft()
            except IndexError:
                self._wake.clear()
            # Looked at once more: something may have come before the event was cleared.
            if not self._tasks and not self._ended:
                await self._wake.wait()
        return None

    def _store_all(self) -> None:
        """One after another, until none is left."""
        while (arrived := self._next_to_store()) is not None:
            started = time.perf_counter()
            self._store(arrived.task, arrived.received, arrived.picture)
            took = time.perf_counter() - started
            # Threads may overwrite one another's: it is a rough figure.
            self._seconds_to_store += (took - self._seconds_to_store) * _SHARE

    def _next_to_store(self) -> _Arrived | None:
        with self._guard:
            if self._to_store:
                return self._to_store.popleft()
            self._at_work -= 1
            return None

    def _store(self, task: Task, received: Received, picture: Picture | None) -> None:
        row: FileRow | _Broken
        try:
            with received:
                row = task.stored(received, picture or received.picture())
        except Exception as error:
            row = _failed(task, error)
        except BaseException as error:  # a panic in a library of another language
            row = _Broken(error)
        self._finish(row)
        with self._guard:
            self._storing -= 1
            has_room = self._is_full and self._storing <= self._photos.connections
            if has_room:
                self._is_full = False
        if has_room:
            self._call(self._room.set)

    def _finish(self, item: FileRow | _Broken | None) -> None:
        with self._guard:
            self._done.append(item)
            self._unfinished -= 1
            self._is_broken = self._is_broken or isinstance(item, _Broken)
            enough = self._has_enough()
        if enough:
            self._enough.set()


def _failed(task: Task, error: Exception) -> FileRow | _Broken:
    try:
        return task.failed(error)
    except Exception as fault:
        return _Broken(fault)
