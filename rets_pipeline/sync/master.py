"""The master list: every key that the server offers now.

What belongs here: asking for it, keeping it, reading it again. What does not: the comparison.

In the archive, below ``raw/<feed>/listing_master_list/<pull>/``: ``master_list.xml.zst`` as
received, ``master_list.parquet`` as read, and ``manifest.json``, written last.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from rets_pipeline import __version__
from rets_pipeline.archive import Archive, BinaryWriter, ZstdWriter
from rets_pipeline.sources.base import MasterListEntry
from rets_pipeline.sync.mirror import Mirror, attributes_of
from rets_pipeline.warehouse import pulls
from rets_pipeline.warehouse.engine import transaction
from rets_pipeline.warehouse.pulls import Pull

_BATCH = 10_000
_SCHEMA = pa.schema(
    [
        pa.field("listing_key", pa.string(), nullable=False),
        pa.field("modification_timestamp", pa.timestamp("us", tz="UTC")),
        pa.field("raw_timestamp", pa.string(), nullable=False),
    ]
)


class BrokenMasterList(Exception):
    """An entry of the master list cannot be used, so nothing can be concluded from the list."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of the answer: its bytes, and the entries that they completed."""

    raw: bytes
    entries: list[MasterListEntry]


@dataclass(frozen=True, slots=True)
class MasterList:
    """A complete master list in the archive."""

    pull: Pull
    unreadable_timestamps: int = 0

    @property
    def parquet_key(self) -> str:
        """Where the entries are."""
        return f"{self.pull.archive_prefix}/master_list.parquet"

    def entries(self, archive: Archive) -> Iterator[tuple[str, datetime | None, str]]:
        """Key, timestamp and the server's text of it, in constant memory."""
        file = pq.ParquetFile(pa.BufferReader(archive.get(self.parquet_key)))
        for batch in file.iter_batches(batch_size=_BATCH):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    def timestamps(self, archive: Archive) -> Iterator[tuple[str, datetime | None]]:
        """Key and timestamp."""
        return ((key, timestamp) for key, timestamp, _ in self.entries(archive))


def request(mirror: Mirror) -> Iterator[Chunk]:
    """Ask the server for every key.

    Yields:
        The answer as it arrives. When the iteration ends well the answer was complete: closing
        tag, and as many entries as COUNT says.

    Raises:
        RetsError: the server refused, or the answer is not whole.
        BrokenMasterList: an entry has no key.
    """
    search = mirror.source.master_list_search()
    received: list[bytes] = []
    entries: list[MasterListEntry] = []
    with mirror.session().search(
        search.arguments, record=search.record, sink=received.append
    ) as answer:
        for element in answer:
            entries.append(_entry(mirror, element))
            if len(entries) >= _BATCH:
                mirror.progress("master list", answer.rows, answer.count)
                yield Chunk(b"".join(received), entries)
                received.clear()
                entries = []
    yield Chunk(b"".join(received), entries)


def _entry(mirror: Mirror, element: Any) -> MasterListEntry:
    try:
        return mirror.source.master_list_entry(attributes_of(element))
    except ValueError as error:
        raise BrokenMasterList(f"feed {mirror.feed.name!r}: {error}") from None


def store(mirror: Mirror, chunks: Iterable[Chunk]) -> MasterList:
    """Keep an answer; it counts only from the moment its manifest is written."""
    feed = mirror.feed.name
    with transaction(mirror.connection) as connection:
        pull = pulls.begin(
            connection, feed, "master_list", prefix=f"raw/{feed}/listing_master_list"
        )
    before = mirror.requests_made()
    records = size = unreadable = 0
    prefix = pull.archive_prefix
    with (
        mirror.archive.writer(f"{prefix}/master_list.xml.zst") as raw_file,
        ZstdWriter(raw_file) as raw,
        mirror.archive.writer(f"{prefix}/master_list.parquet") as parquet_file,
        pq.ParquetWriter(ParquetSink(parquet_file), _SCHEMA, compression="zstd") as parquet,
    ):
        for chunk in chunks:
            raw.write(chunk.raw)
            parquet.write_batch(_batch(chunk.entries))
            size += len(chunk.raw)
            records += len(chunk.entries)
            unreadable += sum(entry.modification_timestamp is None for entry in chunk.entries)
    requests = mirror.requests_made() - before
    manifest = {
        "format": 1,
        "feed": feed,
        "kind": "master_list",
        "pull_id": pull.pull_id,
        "requested_at": pull.requested_at.isoformat(),
        "software_version": __version__,
        "records": records,
        "bytes": size,
    }
    mirror.archive.put(f"{prefix}/manifest.json", json.dumps(manifest, indent=1).encode())
    with transaction(mirror.connection) as connection:
        pulls.complete(connection, pull, records=records, size=size, requests=requests)
        complete = cast("Pull", pulls.find(connection, feed, pull.pull_id))
    mirror.note("master list", pull_id=pull.pull_id, keys=records, unreadable=unreadable)
    return MasterList(complete, unreadable)


def newest(mirror: Mirror) -> MasterList | None:
    """The newest complete master list, if there is any."""
    with transaction(mirror.connection) as connection:
        pull = pulls.newest_master_list(connection, mirror.feed.name)
    return MasterList(pull) if pull else None


def fresh(mirror: Mirror) -> tuple[MasterList, bool]:
    """The newest master list, a new one when that is older than the feed's cadence.

    Returns:
        The list, and whether it was fetched just now.
    """
    found = newest(mirror)
    oldest = datetime.now(UTC) - timedelta(minutes=mirror.feed.cadence_minutes)
    if found is not None and found.pull.requested_at >= oldest:
        return found, False
    return store(mirror, request(mirror)), True


def _batch(entries: list[MasterListEntry]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [
            pa.array([entry.listing_key for entry in entries], pa.string()),
            pa.array(
                [entry.modification_timestamp for entry in entries], pa.timestamp("us", tz="UTC")
            ),
            pa.array([entry.raw_timestamp for entry in entries], pa.string()),
        ],
        schema=_SCHEMA,
    )


class ParquetSink(io.RawIOBase):
    """An archive writer as a file that only grows, which is all that Parquet needs."""

    def __init__(self, writer: BinaryWriter) -> None:
        super().__init__()
        self._writer = writer
        self._position = 0

    def write(self, data: Any, /) -> int:
        """Hand the bytes on."""
        written = self._writer.write(bytes(data))
        self._position += written
        return written

    def tell(self) -> int:
        """How many bytes there are."""
        return self._position

    def writable(self) -> bool:
        """Always."""
        return True
