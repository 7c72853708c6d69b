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
from rets_pipeline.rets.attribute_answer import Columns
from rets_pipeline.sources import master_list
from rets_pipeline.sources.base import ResourceSource
from rets_pipeline.sync.mirror import Mirror, action
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
    entries: master_list.Batch


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

    def batches(self, archive: Archive) -> Iterator[master_list.Batch]:
        """The entries, some at a time."""
        file = pq.ParquetFile(pa.BufferReader(archive.get(self.parquet_key)))
        return file.iter_batches(batch_size=_BATCH)  # type: ignore[no-any-return]


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
    waiting: list[master_list.Batch] = []
    with mirror.session().search_attributes(
        search.arguments, record=search.record, names=search.attributes, sink=received.append
    ) as answer:
        for columns in answer.columns():
            waiting.append(_entries(mirror, source, columns))
            if sum(map(len, waiting)) >= _BATCH:
                mirror.progress("master list", answer.rows, answer.count)
                yield _chunk(received, waiting)
    yield _chunk(received, waiting)


def _chunk(received: list[bytes], waiting: list[master_list.Batch]) -> Chunk:
    """What came since the last one."""
    table = pa.Table.from_batches(waiting, master_list.SCHEMA).combine_chunks()
    entries = table.to_batches() or [master_list.batch([], [], [])]
    chunk = Chunk(b"".join(received), entries[0])
    received.clear()
    waiting.clear()
    return chunk


def _entries(mirror: Mirror, source: ResourceSource, columns: Columns) -> master_list.Batch:
    try:
        return source.master_list_entries(columns)
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
            parquet.write_batch(pa.RecordBatch.from_arrays(chunk.entries.columns, schema=schema))
            size += len(chunk.raw)
            records += len(chunk.entries)
            unreadable += chunk.entries["modification_timestamp"].null_count
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
    key, *others = master_list.SCHEMA
    return pa.schema([key.with_name(resource.key), *others])


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
