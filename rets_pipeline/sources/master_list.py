"""What sources make of a master list: Arrow batches, so that a million keys are no million objects.

What belongs here: the columns of such a batch. What does not: how a server writes them.

Arrow is slow to import, so sources import this module when they read a master list.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import pyarrow as pa

Batch: TypeAlias = pa.RecordBatch

#: the server's own key; its modification timestamp in UTC, NULL when the server's text of it could
#: not be read; and that text
SCHEMA = pa.schema(
    [
        pa.field("record_key", pa.string(), nullable=False),
        pa.field("modification_timestamp", pa.timestamp("us", tz="UTC")),
        pa.field("raw_timestamp", pa.string(), nullable=False),
    ]
)


def batch(keys: Sequence[str], moments: object, raw_timestamps: Sequence[str]) -> Batch:
    """Entries of a master list.

    Args:
        keys: the server's own keys, as text.
        moments: aware datetimes or None, or an Arrow array of the schema's type.
        raw_timestamps: as the server wrote them.
    """
    arrays = zip((keys, moments, raw_timestamps), SCHEMA, strict=True)
    return pa.RecordBatch.from_arrays(
        [
            column if isinstance(column, pa.Array) else pa.array(column, field.type)
            for column, field in arrays
        ],
        schema=SCHEMA,
    )
