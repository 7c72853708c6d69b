"""The change set: what a master list says is new, changed and gone.

What belongs here: the comparison as a stream, and its place in the archive
(``raw/<feed>/listing_changes/<pull of the master list>.parquet``). What does not: acting on it;
each step compares again under the lock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from rets_pipeline.sync.days import day_of, today
from rets_pipeline.sync.master import MasterList, ParquetSink
from rets_pipeline.sync.master import newest as newest_master_list
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.warehouse import difference
from rets_pipeline.warehouse.difference import Difference
from rets_pipeline.warehouse.engine import transaction
from rets_pipeline.warehouse.pulls import Pull

_BATCH = 10_000
_SCHEMA = pa.schema(
    [
        pa.field("listing_key", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("modification_timestamp", pa.timestamp("us", tz="UTC")),
        pa.field("day", pa.date32(), nullable=False),
    ]
)


@dataclass(slots=True)
class ChangeCounts:
    """How many keys differ, altogether and by day."""

    kinds: Counter[str] = field(default_factory=Counter)
    days: dict[date, Counter[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set in the archive."""

    parquet_key: str


@dataclass(frozen=True, slots=True)
class Changes:
    """Some differences, and the master list that they come from."""

    master: MasterList
    found: list[tuple[Difference, date]]


def compare(mirror: Mirror, master: MasterList, counts: ChangeCounts) -> Iterator[Changes]:
    """The differences in batches; the last one may be empty.

    The run's connection is in use until the last one is drawn.

    Args:
        counts: grows while batches are drawn.
    """
    batch: list[tuple[Difference, date]] = []
    for item in _differences(mirror, master):
        day = day_of(item.master_timestamp, first_day=mirror.feed.first_day, today=today())
        counts.kinds[item.kind] += 1
        counts.days.setdefault(day, Counter())[item.kind] += 1
        batch.append((item, day))
        if len(batch) >= _BATCH:
            yield Changes(master, batch)
            batch = []
    mirror.note("changes", **counts.kinds)
    yield Changes(master, batch)


def _differences(mirror: Mirror, master: MasterList) -> Iterator[Difference]:
    with (
        transaction(mirror.connection) as connection,
        difference.loaded(connection, master.batches(mirror.archive)),
    ):
        yield from difference.differences(connection, mirror.feed.name, datetime.now(UTC))


def store(mirror: Mirror, changes: Iterable[Changes]) -> ChangeSet | None:
    """Keep a change set in the archive."""
    stream = iter(changes)
    first = next(stream, None)
    if first is None:
        return None
    key = parquet_key(first.master.pull)
    with (
        mirror.archive.writer(key) as file,
        pq.ParquetWriter(ParquetSink(file), _SCHEMA, compression="zstd") as parquet,
    ):
        parquet.write_batch(_batch(first))
        for part in stream:
            parquet.write_batch(_batch(part))
    return ChangeSet(key)


def newest(mirror: Mirror) -> ChangeSet | None:
    """The change set of the newest master list."""
    master = newest_master_list(mirror)
    return ChangeSet(parquet_key(master.pull)) if master else None


def parquet_key(master_list: Pull) -> str:
    """Where the change set of a master list is in the archive."""
    return f"raw/{master_list.feed}/listing_changes/{master_list.pull_id}.parquet"


def _batch(changes: Changes) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [
            {
                "listing_key": item.key,
                "kind": item.kind,
                "modification_timestamp": item.master_timestamp,
                "day": day,
            }
            for item, day in changes.found
        ],
        schema=_SCHEMA,
    )
