"""A process that loads a pull and stops in the middle, to be killed there.

What belongs here: that process. It is started by ``test_apply``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from rets_pipeline.archive import Archive
from rets_pipeline.sync import apply
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.sync.pieces import open_mirror


def main() -> None:
    """Load one page of the first pull that is due, say so, and wait."""
    warehouse = Warehouse(os.environ["DATABASE_URL"])
    with open_mirror(warehouse, Archive.from_uri(os.environ["ARCHIVE_URI"])) as mirror:
        apply.RECORDS_AT_ONCE = 1  # a page
        parsed = next(apply.parse(mirror, apply.due(mirror)))
        parsed.batches = _slowly(parsed.batches)
        apply.apply(mirror, parsed)
    print("applied", flush=True)


def _slowly(batches: Iterator[apply.Batch]) -> Iterator[apply.Batch]:
    for number, batch in enumerate(batches):
        if number:
            print("half", flush=True)
            sys.stdin.readline()
        yield batch


if __name__ == "__main__":
    main()
