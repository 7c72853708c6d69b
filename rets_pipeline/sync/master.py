"""A master list: every key of a resource that the server offers now.

What belongs here: asking for it, keeping it, reading it again. What does not: the comparison.

In the archive, below ``raw/<feed>/listing_master_list/<pull>/`` (``member_master_list``,
``office_master_list``): ``master_list.xml.zst`` as
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
from rets_pipeline.sources.base import MasterListEntry, ResourceSource
from rets_pipeline.sync.mirror import Mirror, action, attributes_of
from rets_pipeline.warehouse import pulls
from rets_pipeline.warehouse.engine import transaction
from rets_pipeline.warehouse.pulls import Pull
from rets_pipeline.warehouse.resources import LISTINGS, Resource

_BATCH = 10_000


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
    resource: Resource = LISTINGS

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


def request(mirror: Mirror, resource: Resource = LISTINGS) -> Iterator[Chunk]:
    """Ask the server for every key of a resource.

    Yields:
        The answer as it arrives. When the iteration ends well the answer was complete: closing
        tag, and as many entries as COUNT says.

    Raises:
        RetsError: the server refused, or the answer is not whole.
        BrokenMasterList: an entry has no key.
    """
    source = mirror.source_of(resource)
    search = source.master_list_search()
    received: list[bytes] = []
    entries: list[MasterListEntry] = []
    with mirror.session().search(
        search.arguments, record=search.record, sink=received.append
    ) as answer:
        for element in answer:
            entries.append(_entry(mirror, source, element))
            if len(entries) >= _BATCH:
                mirror.progress("master list", answer.rows, answer.count)
                yield Chunk(b"".join(received), entries)
                received.clear()
                entries = []
    yield Chunk(b"".join(received), entries)


def _entry(mirror: Mirror, source: ResourceSource, element: Any) -> MasterListEntry:
    try:
        return source.master_list_entry(attributes_of(element))
    except ValueError as error:
        raise BrokenMasterList(f"feed {mirror.feed.name!r}: {error}") from None


def store(mirror: Mirror, chunks: Iterable[Chunk], resource: Resource = LISTINGS) -> MasterList:
    """Keep an answer; it counts only from the moment its manifest is written."""
    feed = mirror.feed.name
    with transaction(mirror.connection) as connection:
        pull = pulls.begin(
            connection,
            feed,
            resource.master_list_kind,
            prefix=f"raw/{feed}/{resource.master_list_folder}",
        )
    before = mirror.requests_made()
    records = size = unreadable = 0
    prefix, schema = pull.archive_prefix, _schema(resource)
    with (
        mirror.archive.writer(f"{prefix}/master_list.xml.zst") as raw_file,
        ZstdWriter(raw_file) as raw,
        mirror.archive.writer(f"{prefix}/master_list.parquet") as parquet_file,
        pq.ParquetWriter(ParquetSink(parquet_file), schema, compression="zstd") as parquet,
    ):
        for chunk in chunks:
            raw.write(chunk.raw)
            parquet.write_batch(_batch(chunk.entries, schema))
            size += len(chunk.raw)
            records += len(chunk.entries)
            unreadable += sum(entry.modification_timestamp is None for entry in chunk.entries)
    requests = mirror.requests_made() - before
    manifest = {
        "format": 1,
        "feed": feed,
        "kind": resource.master_list_kind,
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
    mirror.note(
        action(resource, "master list"), pull_id=pull.pull_id, keys=records, unreadable=unreadable
    )
    return MasterList(complete, unreadable, resource)


def newest(mirror: Mirror, resource: Resource = LISTINGS) -> MasterList | None:
    """The resource's newest complete master list, if there is any."""
    with transaction(mirror.connection) as connection:
        pull = pulls.newest_master_list(connection, mirror.feed.name, resource)
    return MasterList(pull, resource=resource) if pull else None


def fresh(mirror: Mirror, resource: Resource = LISTINGS) -> tuple[MasterList, bool]:
    """The newest master list, a new one when that is older than the resource's cadence.

    Returns:
        The list, and whether it was fetched just now.
    """
    found = newest(mirror, resource)
    feed = mirror.feed
    minutes = feed.cadence_minutes if resource is LISTINGS else feed.members_cadence_minutes
    oldest = datetime.now(UTC) - timedelta(minutes=minutes)
    if found is not None and found.pull.requested_at >= oldest:
        return found, False
    return store(mirror, request(mirror, resource), resource), True


def _schema(resource: Resource) -> pa.Schema:
    return pa.schema(
        [
            pa.field(resource.key, pa.string(), nullable=False),
            pa.field("modification_timestamp", pa.timestamp("us", tz="UTC")),
            pa.field("raw_timestamp", pa.string(), nullable=False),
        ]
    )


def _batch(entries: list[MasterListEntry], schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [
            pa.array([entry.key for entry in entries], pa.string()),
            pa.array(
                [entry.modification_timestamp for entry in entries], pa.timestamp("us", tz="UTC")
            ),
            pa.array([entry.raw_timestamp for entry in entries], pa.string()),
        ],
        schema=schema,
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
