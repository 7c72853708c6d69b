"""How much memory a load takes, and how long an import.

The memory is the peak of a process of its own that reads pages from disk, parses and loads them in
one transaction, over that of an interpreter that has imported nothing.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import postgres
from benchmarks.listings_data import DAY, FEED, Listings, keys_of, renamed
from benchmarks.measure import Figure, megabytes
from rets_pipeline import collector
from rets_pipeline.sources.ddf import DdfSource
from rets_pipeline.sync.pages import Page
from rets_pipeline.sync.reading import read_record
from rets_pipeline.warehouse import pulls
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.load import Load

_FEW, _MANY = 1_000, 100_000
_RATIO = 1.2
_IMPORT_SECONDS = 0.25
_IMPORTS = 7
_MODULES = (
    "rets_pipeline.rets",
    "rets_pipeline.sources.registry",
    "rets_pipeline.sources.ddf",
    "rets_pipeline.warehouse.engine",
    "rets_pipeline.warehouse.load",
)


def memory() -> list[Figure]:
    """A hundred times as many listings."""
    used = {}
    with TemporaryDirectory() as folder, postgres.warehouse() as warehouse:
        for number, page in enumerate(Listings(_FEW).pages()):
            (Path(folder) / f"{number}.xml").write_bytes(page)
        for number in (_FEW, _MANY):
            postgres.empty(warehouse)
            arguments = (postgres.url_of(warehouse), folder, str(number // _FEW))
            used[number] = megabytes("benchmarks.listings_memory", "load_many", *arguments)
    value = f"{used[_MANY]:.0f} MB"
    name = f"peak memory, {_MANY:,} listings, parse and load"
    limit = f"the same with {_FEW:,}, {used[_FEW]:.0f} MB"
    return [Figure(name, value, limit, used[_MANY] / used[_FEW], _RATIO, below=True)]


def load_many(url: str, folder: str, turns: str) -> None:
    """Load the folder's pages so many times, with other keys each time. For a process of its own.

    It goes through the calls of a load one by one, because the keys of a pull are part of its
    manifest, and so of the memory that grows with it.
    """
    source, warehouse = DdfSource(), Warehouse(url)
    for turn in range(int(turns)):
        with warehouse.writing() as connection, collector.paused():
            pull = pulls.begin(connection, FEED, "listings", prefix="x", day=DAY)
            into = Load(connection, pull, {})
            for path in sorted(Path(folder).iterdir()):
                data = renamed(path.read_bytes(), turn)
                page = Page(data, source.detail_record)
                heads = [source.head(record) for record in page.records]
                known = into.known(heads)
                listings = [
                    read_record(source, page, record, head)
                    for record, head in zip(page.records, heads, strict=True)
                    if head.key not in known
                ]
                into.batch(listings)  # type: ignore[arg-type]
                if into.counts.new % len(keys_of(data)):
                    raise AssertionError(f"not all listings are new: {into.counts}")
    warehouse.close()


def imports() -> list[Figure]:
    """What a program pays that wants the libraries and no Dagster."""
    code = (
        "import sys, time\nstarted = time.process_time()\n"
        + "".join(f"import {module}\n" for module in _MODULES)
        + "print(time.process_time() - started)\nassert 'dagster' not in sys.modules\n"
    )
    found = [
        float(
            subprocess.run(  # noqa: S603 - this very interpreter
                [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
            ).stdout
        )
        for _ in range(_IMPORTS)
    ]
    seconds = statistics.median(found)
    name = "import of the protocol, source and warehouse packages"
    return [Figure(name, f"{seconds:.2f} s", "seconds", seconds, _IMPORT_SECONDS, below=True)]
