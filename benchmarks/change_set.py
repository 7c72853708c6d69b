"""A master list compared with the ledger, in a process that imports nothing else.

What belongs here: the work whose time and memory ``listings_changes`` measures. What does not: its
data.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from rets_pipeline.rets import read_attributes
from rets_pipeline.sources.ddf import DdfSource
from rets_pipeline.warehouse import difference
from rets_pipeline.warehouse.engine import Warehouse

PIECE = 64 * 1024


def pieces(path: str) -> Iterator[bytes]:
    """A file as a connection would bring it."""
    with Path(path).open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def change_set(url: str, path: str, feed: str) -> tuple[int, Counter[str]]:
    """Read a list and compare it with the ledger.

    Returns:
        How many keys the list has, and how many differ by kind.
    """
    source = DdfSource()
    search = source.master_list_search()
    now = datetime.fromtimestamp(time.time(), UTC)
    warehouse = Warehouse(url)
    with (
        warehouse.writing() as connection,
        read_attributes(pieces(path), record=search.record, names=search.attributes) as answer,
    ):
        batches = map(source.master_list_entries, answer.columns())
        with difference.loaded(connection, batches) as keys:
            kinds = Counter(item.kind for item in difference.differences(connection, feed, now))
    warehouse.close()
    return keys, kinds
