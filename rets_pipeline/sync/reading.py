"""Reading pages: heads first, and records as rows.

What belongs here: from the bytes of a page to heads and parsed records, in this process or in one
beside it. What does not: where pages lie (``pull``), and what is loaded (``apply``).

A large load keeps two processors busy: one process reads while the other one loads. The process
beside this one is a plain child with pipes. It knows no address and no password; it ends when its
input ends, however this process ended; and when it dies, the run fails and says so.
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from rets_pipeline.rets import RetsError
from rets_pipeline.sources.base import (
    ParsedListing,
    ParsedRecord,
    Problem,
    RecordHead,
    ResourceSource,
    UnparsedListing,
    UnparsedRecord,
)
from rets_pipeline.sources.plain import NotPlain
from rets_pipeline.sync.pages import Page

logger = logging.getLogger(__name__)

Parsed = ParsedListing | ParsedRecord
Unparsed = UnparsedListing | UnparsedRecord
#: a record's head, and the record itself unless it is known
Read = tuple[RecordHead, Parsed | Unparsed | None]

#: pages that wait for the other process, or for this one: more than are loaded together, since
#: the one process reads while the other one loads
_PAGES_AHEAD = 8
#: before each reply, the number of its bytes
_SIZE = struct.Struct("<Q")
_MODULE = "rets_pipeline.sync.reading"
#: what the process gets of the environment: nothing secret
_VARIABLES = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONHASHSEED")


class ReaderDied(Exception):
    """The process that reads pages ended by itself."""


def read_record(
    source: ResourceSource, page: Page, record: bytes, head: RecordHead
) -> Parsed | Unparsed:
    """A record of a page as rows; a fault in a mapping costs that record and no other.

    Raises:
        RetsError: the page is damaged.
    """
    record = page.readable(record)
    try:
        try:
            return source.parse(record, head.content_hash)
        except NotPlain:
            return source.parse(page.repaired(record), head.content_hash)
    except RetsError:
        raise
    except Exception as error:
        logger.exception("record %s cannot be parsed", head.key)
        raw = record.decode(errors="replace")
        return UnparsedRecord(head.key, Problem("", f"the mapping failed: {error!r}", raw))


class Reader:
    """A process that reads pages. Also a context manager, which ends it.

    Args:
        source: of the records.
    """

    def __init__(self, source: ResourceSource) -> None:
        self._source = source
        self._process: subprocess.Popen[bytes] | None = None
        self._replies: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(
        self, pages: Sequence[Any], get: Any, held: Mapping[str, str]
    ) -> Iterator[list[Read] | None]:
        """The records of pages, one page after another.

        Args:
            pages: what they are called.
            get: gives a page's bytes; called in another thread, some pages ahead.
            held: the hash of what is held, by key; records that say the same are not read.

        Yields:
            None for a page that cannot be read there: reading it here will tell why.

        Raises:
            ReaderDied: the process ended.
        """
        process = self._running()
        assert process.stdin is not None
        feeder = _Feeder(process.stdin, pages, get, held)
        finished = False
        try:
            feeder.start()
            for _ in pages:
                reply = self._reply(process, feeder)
                feeder.go_on()
                yield (
                    reply
                    if reply is None
                    else [
                        (head, _unpacked(item) if item is not None else None)
                        for head, item in reply
                    ]
                )
            finished = True
        finally:
            feeder.stop()
            if not finished:
                self.close()  # whatever it still says belongs to nobody

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue  # what was left to be written is of no use

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            environ = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
            path = os.pathsep.join(entry for entry in sys.path if entry)
            self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
                [sys.executable, "-m", _MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # an interrupt from the keyboard is for this process
                env={**environ, "PYTHONPATH": path},
            )
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._replies = queue.SimpleQueue()
            threading.Thread(
                target=_take,
                args=(self._process.stdout, self._replies),
                name="records",
                daemon=True,
            ).start()
            _send(self._process.stdin, self._source)
        return self._process

    def _reply(self, process: subprocess.Popen[bytes], feeder: _Feeder) -> Any:
        reply = self._replies.get()
        if reply:
            return pickle.loads(reply)  # noqa: S301 - from our own process
        feeder.raise_fault()
        status = process.wait()
        raise ReaderDied(f"the process that reads pages ended with status {status}")


class _Feeder(threading.Thread):
    """Fetches pages and hands them to the process, a few ahead of what was taken."""

    def __init__(
        self, pipe: IO[bytes], pages: Sequence[Any], get: Any, held: Mapping[str, str]
    ) -> None:
        super().__init__(name="pages", daemon=True)
        self._pipe = pipe
        self._pages = pages
        self._get = get
        self._held = held
        self._ahead = threading.Semaphore(_PAGES_AHEAD)
        self._stopped = False
        self._fault: BaseException | None = None

    def run(self) -> None:
        try:
            _send(self._pipe, dict(self._held))
            for page in self._pages:
                self._ahead.acquire()
                if self._stopped:
                    return
                _send(self._pipe, self._get(page))
        except BaseException as error:
            self._fault = error
            self._close()

    def go_on(self) -> None:
        """A page was taken."""
        self._ahead.release()

    def stop(self) -> None:
        """No page is wanted any more."""
        self._stopped = True
        self._ahead.release()

    def raise_fault(self) -> None:
        """Raise what went wrong with fetching, if anything did."""
        if self._fault is not None and not isinstance(self._fault, BrokenPipeError):
            raise self._fault

    def _close(self) -> None:
        """Let the process end, and with it the wait for its answer."""
        try:
            self._pipe.close()
        except OSError:
            return


def _take(pipe: IO[bytes], replies: queue.SimpleQueue[bytes]) -> None:
    """Replies as they come, so that the process goes on while this one loads; nothing at the end.

    No more come than pages were handed over, and they stay as bytes until they are asked for.
    """
    try:
        while len(head := pipe.read(_SIZE.size)) == _SIZE.size:
            (size,) = _SIZE.unpack(head)
            reply = pipe.read(size)
            if len(reply) < size:
                break
            replies.put(reply)
    except (OSError, ValueError):  # closed
        pass
    replies.put(b"")


def _send(pipe: IO[bytes], what: Any) -> None:
    pickle.dump(what, pipe, pickle.HIGHEST_PROTOCOL)
    pipe.flush()


def _reply(pipe: IO[bytes], what: Any) -> None:
    data = pickle.dumps(what, pickle.HIGHEST_PROTOCOL)
    pipe.write(_SIZE.pack(len(data)))
    pipe.write(data)
    pipe.flush()


# How records travel: names of columns once, and the values of each row ---------------------------

_names: dict[tuple[str, ...], tuple[str, ...]] = {}


def _packed(record: Parsed | Unparsed) -> Any:
    if not isinstance(record, ParsedListing):
        return record
    tables = []
    for name, rows in record.rows.items():
        columns = tuple(rows[0]) if rows else ()
        if not all(tuple(row) == columns for row in rows):
            return record
        tables.append(
            (name, _names.setdefault(columns, columns), [(*row.values(),) for row in rows])
        )
    head = (record.listing_key, record.payload_timestamp, record.content_hash)
    return (*head, tables, record.problems)


def _unpacked(packed: Any) -> Parsed | Unparsed:
    if not isinstance(packed, tuple):
        record: Parsed | Unparsed = packed
        return record
    key, timestamp, content_hash, tables, problems = packed
    rows = {
        name: [dict(zip(columns, values, strict=True)) for values in several]
        for name, columns, several in tables
    }
    return ParsedListing(key, timestamp, content_hash, rows, problems)


# The process ------------------------------------------------------------------------------------


def main() -> None:
    """Read pages until the input ends."""
    pages, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anything prints must not get into the replies
    gc.disable()
    held: dict[str, str] = {}
    try:
        source: ResourceSource = pickle.load(pages)  # noqa: S301 - from our own process
        while True:
            task = pickle.load(pages)  # noqa: S301
            if isinstance(task, dict):
                held = task
            else:
                _reply(replies, _replies(source, task, held))
    except (EOFError, BrokenPipeError):
        return


def _replies(source: ResourceSource, data: bytes, held: Mapping[str, str]) -> Any:
    try:
        page = Page(data, source.detail_record)
        found = []
        for record in page.records:
            head = source.head(record)
            known = head.key is not None and held.get(head.key) == head.content_hash
            found.append(
                (head, None if known else _packed(read_record(source, page, record, head)))
            )
    except RetsError:
        return None
    return found


if __name__ == "__main__":
    # Under its own name, so that what it sends is known by the same name on the other side.
    from rets_pipeline.sync.reading import main as main_of_module

    main_of_module()
