"""How fast search answers are read, and in how much memory.

The limits: for rows, splitting the same text, ready in memory, into rows and cells and nothing
else; for keys, expat with empty Python handlers.
"""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any
from xml.parsers import expat

from benchmarks import rets_data, rets_peers
from benchmarks.measure import Figure, Work, megabytes, seconds
from rets_pipeline.rets import CompactAnswer, Session, read_search
from rets_pipeline.rets.compact import read_compact
from rets_pipeline.rets.decoding import TableDecoder
from rets_pipeline.rets.metadata import Field
from rets_pipeline.rets.names import Names
from rets_pipeline.sources.ddf import DdfSource

_ROWS = 20_000
_KEYS = 1_000_000
_MANY_ROWS = 200_000
_ROUNDS = 7
_MEGABYTES = 150


def _drop(items: Iterable[object]) -> None:
    deque(items, maxlen=0)


def compact(peers: Path) -> list[Figure]:
    """COMPACT to rows of text and to rows of values."""
    listed = list(rets_data.rows(_ROWS))
    body = rets_data.compact(listed)
    chunks = rets_data.portions(body)
    text = "\n".join("\t".join(row) for row in listed)
    if list(read_compact(chunks)) != listed:
        raise AssertionError("the rows are not those that were written")
    del listed
    decoder = _decoder()
    works: dict[str, Work] = {
        "split, kept": lambda: [line.split("\t") for line in text.split("\n")],
        "rows, kept": lambda: list(read_compact(chunks)),
        "split, dropped": lambda: _drop(line.split("\t") for line in text.split("\n")),
        "rows, dropped": lambda: _drop(read_compact(chunks)),
        "typed, dropped": lambda: _drop(decoder.decode_all(read_compact(chunks))),
        **_peers_of_compact(peers, body),
    }
    taken = seconds(works, _ROUNDS)
    size = len(body) / 1e6
    print(f"COMPACT-DECODED, {_ROWS} rows of {rets_data.WIDTH} columns, {size:.0f} MB")

    def figure(work: str, limit: str, target: float | None = None) -> Figure:
        value = f"{_ROWS / taken[work]:,.0f} rows/s"
        return Figure(f"COMPACT to {work}", value, limit, taken[limit] / taken[work], target)

    figures = [
        figure("rows, kept", "split, kept", 0.85),
        figure("rows, dropped", "split, dropped"),
        figure("typed, dropped", "split, dropped"),
    ]
    for limit, work, target in (
        ("rets-python, typed", "typed, dropped", 5),
        ("rets-python, rows", "rows, dropped", None),
        ("rets-continued, rows", "rows, dropped", None),
    ):
        if limit in taken:
            figures.append(figure(work, limit, target))
    return figures


def _decoder() -> TableDecoder:
    fields = {}
    for position, name in enumerate(rets_data.COLUMNS):
        kind, interpretation = rets_data.type_of(position)
        described = {"SystemName": name, "DataType": kind, "Interpretation": interpretation}
        fields[name] = Field(Names(described))
    return TableDecoder(rets_data.COLUMNS, fields, lambda name: None)


def _peers_of_compact(folder: Path, body: bytes) -> dict[str, Work]:
    works: dict[str, Work] = {}
    modules = rets_peers.load(
        folder, "rets-python", "rets.http.parsers.parse", "rets.client.decoder"
    )
    if modules is not None:
        parse: Any = modules[0].parse_search
        table = [
            dict(zip(("DataType", "Interpretation"), rets_data.type_of(position), strict=True))
            | {"SystemName": name}
            for position, name in enumerate(rets_data.COLUMNS)
        ]
        decode: Any = modules[1].RecordDecoder(table).decode
        works["rets-python, rows"] = lambda: parse(rets_peers.response(body)).data
        works["rets-python, typed"] = lambda: decode(parse(rets_peers.response(body)).data)
    modules = rets_peers.load(folder, "rets-continued", "rets.parsers.search")
    if modules is not None:
        cursor: Any = modules[0].OneXSearchCursor
        works["rets-continued, rows"] = lambda: _drop(cursor().generator(rets_peers.response(body)))
    return works


def master_list() -> list[Figure]:
    """A million keys, with the proof that they are all."""
    chunks = list(rets_data.master_list_chunks(_KEYS))
    taken = seconds({"expat": lambda: _expat(chunks), "keys": lambda: _keys(chunks)}, 3)
    value = f"{_KEYS / taken['keys']:,.0f} keys/s"
    ratio = taken["expat"] / taken["keys"]
    return [Figure("master list, 1,000,000 keys", value, "expat, empty handlers", ratio, 0.5)]


def _expat(chunks: Iterable[bytes]) -> None:
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: None
    parser.EndElementHandler = lambda name: None
    parser.CharacterDataHandler = lambda text: None
    for chunk in chunks:
        parser.Parse(chunk, False)
    parser.Parse(b"", True)


def _keys(chunks: Iterable[bytes]) -> None:
    number = 0
    for record in read_search(chunks, record="Property"):
        record.get("ID")
        record.get("LastUpdated")
        number += 1
    if number != _KEYS:
        raise AssertionError("keys are missing")


def memory() -> list[Figure]:
    """Peaks of processes of their own that search the sandbox over HTTP, in a third process."""
    figures = []
    with _sandbox() as login_url:
        generic_url = login_url.replace("/Login.svc/Login", "/rets/login")
        for name, work, url, number in (
            (f"{_KEYS:,} keys", "read_many_keys", login_url, _KEYS),
            (f"{_MANY_ROWS:,} COMPACT rows", "read_many_rows", generic_url, _MANY_ROWS),
            (f"{_MANY_ROWS:,} COMPACT rows, typed", "read_many_values", generic_url, _MANY_ROWS),
        ):
            used = megabytes("benchmarks.rets_search", work, url, str(number))
            limit = "the interpreter's start, MB"
            figures.append(
                Figure(f"memory: {name}", f"{used:.0f} MB", limit, used, _MEGABYTES, True)
            )
    return figures


@contextmanager
def _sandbox() -> Iterator[str]:
    """A sandbox with very many listings; its login's address."""
    command = [sys.executable, "-m", "rets_pipeline.sandbox", "--port", "0"]
    command += ["--listings", str(_KEYS), "--generic-listings", str(_MANY_ROWS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            assert process.stdout is not None
            yield process.stdout.readline().partition(" ")[0]
        finally:
            process.kill()


def _session(login_url: str) -> Session:
    return Session(login_url, "sandbox", "sandbox-password", user_agent="benchmark/1.0")


def read_many_keys(login_url: str, expected: str) -> None:
    """For a process of its own."""
    search = DdfSource().master_list_search()
    with _session(login_url) as session:
        _check(sum(1 for _ in session.search(search.arguments, record=search.record)), expected)


def _rows_of(session: Session) -> CompactAnswer:
    return session.search_compact(
        {
            "SearchType": "Property",
            "Class": "RES",
            "QueryType": "DMQL2",
            "Query": "(ListPrice=0+)",
            "Format": "COMPACT-DECODED",
            "Count": "1",
            "Limit": "NONE",
        }
    )


def read_many_rows(login_url: str, expected: str) -> None:
    """For a process of its own."""
    with _session(login_url) as session:
        _check(sum(1 for _ in _rows_of(session)), expected)


def read_many_values(login_url: str, expected: str) -> None:
    """For a process of its own."""
    with _session(login_url) as session:
        answer = _rows_of(session)
        fields = {
            name: Field(Names({"SystemName": name, "DataType": kind}))
            for name, kind in zip(answer.columns, cycle(("Character", "Int")), strict=False)
        }
        decoder = TableDecoder(answer.columns, fields, lambda name: None)
        _check(sum(1 for _ in decoder.decode_all(answer)), expected)


def _check(number: int, expected: str) -> None:
    if number != int(expected):
        raise AssertionError(f"{number} records instead of {expected}")
