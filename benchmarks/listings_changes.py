"""From a master list of a million keys to the change set.

The limit is one pass of expat over the list's XML, in C alone, without any handler.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.parsers import expat

import sqlalchemy as sa

from benchmarks import postgres, rets_data
from benchmarks.change_set import change_set, pieces
from benchmarks.listings_data import FEED
from benchmarks.measure import Figure, Times, megabytes
from rets_pipeline.warehouse.engine import Warehouse

_KEYS = 1_000_000
_NEW, _CHANGED = 10_000, 20_000
_ROUNDS = 3
_FIRST = 20_000_000
_MEGABYTES = 120


def changes() -> list[Figure]:
    """A million keys on each side; some are new, some changed, some gone."""
    times = Times()
    with TemporaryDirectory() as folder, postgres.warehouse() as warehouse:
        path = Path(folder) / "master_list.xml"
        with path.open("wb") as file:
            file.writelines(rets_data.master_list_chunks(_KEYS))
        url = postgres.url_of(warehouse)
        _hold(warehouse)
        for _ in range(_ROUNDS):
            times.measure("expat", lambda: _raw_pass(path))
            times.measure("changes", lambda: _compare(url, path))
        used = megabytes("benchmarks.change_set", "change_set", url, str(path), FEED)
    value = f"{times['changes']:.1f} s"
    limit = f"one raw expat pass, {times['expat']:.2f} s"
    ratio = times["changes"] / times["expat"]
    name = "master list to change set, 1,000,000 keys"
    start = "the interpreter's start, MB"
    return [
        Figure(name, value, limit, ratio, 4.5, below=True),
        Figure(f"{name}, memory", f"{used:.0f} MB", start, used, _MEGABYTES, below=True),
    ]


def _hold(warehouse: Warehouse) -> None:
    """The ledger of a million keys, which lacks some of the list's and has some that it lacks."""
    sync = sa.text(
        "INSERT INTO listing_sync (feed, listing_key, master_timestamp, payload_timestamp,"
        " content_hash, pull_id, state, attempts)"
        " SELECT :feed, n::text, moment, moment, md5(n::text), 'x', 'loaded', 0 FROM ("
        "  SELECT n, CASE WHEN n < :changed THEN CAST(:earlier AS timestamptz)"
        "   ELSE CAST(:day AS timestamptz) END + make_interval("
        "   secs => ((n - CAST(:zero AS int))::bigint * 7919) % 86400) AS moment"
        "  FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS n) AS numbers"
    )
    day = datetime(2024, 3, 13, tzinfo=UTC)
    with warehouse.writing() as connection:
        connection.execute(
            sync,
            {
                "feed": FEED,
                "first": _FIRST + _NEW,
                "changed": _FIRST + _NEW + _CHANGED,
                "last": _FIRST + _NEW + _KEYS - 1,
                "zero": _FIRST,
                "day": day,
                "earlier": day.replace(year=2023),
            },
        )
    postgres.clean(warehouse)


def _compare(url: str, path: Path) -> None:
    keys, kinds = change_set(url, str(path), FEED)
    if (keys, kinds) != (_KEYS, Counter(new=_NEW, changed=_CHANGED, gone=_NEW)):
        raise AssertionError(f"another change set: {keys} keys, {kinds}")


def _raw_pass(path: Path) -> None:
    parser = expat.ParserCreate()
    for piece in pieces(str(path)):
        parser.Parse(piece, False)
    parser.Parse(b"", True)
