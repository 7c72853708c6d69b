"""Invented answers for the benchmarks, the same in every run."""

from __future__ import annotations

import random
from collections.abc import Iterator

WIDTH = 150

_NAMES = (
    "Detached House Ottawa Residential Street Avenue ON K1A0B1 Brick Forced air Gas Full Yes "
    "Central Hardwood Carpet Ceramic Attached Garage Public sewer Municipal water"
)
_WORDS = _NAMES.split()
_TEXT = (
    "bright spacious home close to schools transit and parks with a large kitchen three bedrooms "
    "two baths finished basement private yard new roof and a double garage"
)
_PROSE = _TEXT.split()

#: Column types, repeated over the columns: RETS's DataType, and Interpretation.
TYPES = (
    ("Int", ""),
    ("Character", ""),
    ("Character", "Lookup"),
    ("Decimal", ""),
    ("Boolean", ""),
    ("Character", "LookupMulti"),
    ("Date", ""),
    ("Character", ""),
    ("DateTime", ""),
    ("Character", "Lookup"),
)
REMARKS = 71  # the column with a paragraph of prose

COLUMNS = tuple(f"Field{position:03d}" for position in range(WIDTH))


def type_of(position: int) -> tuple[str, str]:
    """DataType and Interpretation of a column."""
    return ("Character", "") if position == REMARKS else TYPES[position % len(TYPES)]


def rows(number: int, seed: int = 7) -> Iterator[tuple[str, ...]]:
    """Rows of cells as a server's database holds them; four of ten cells are empty."""
    chance = random.Random(seed)
    for key in range(number):
        cells = [_cell(chance, position) for position in range(WIDTH)]
        cells[0] = str(10_000_000 + key)
        cells[REMARKS] = _remarks(chance)
        yield tuple(cells)


def _remarks(chance: random.Random) -> str:
    prose = " ".join(chance.choices(_PROSE, k=75))
    # An ampersand in one of three, and a letter beyond ASCII in one of ten.
    prose += " Kitchen & bath renewed." if chance.random() < 1 / 3 else ""
    return prose + (" Près du métro." if chance.random() < 1 / 10 else "")


def _cell(chance: random.Random, position: int) -> str:
    if chance.random() < 0.4:
        return ""
    kind, interpretation = type_of(position)
    if interpretation == "Lookup":
        return chance.choice(_WORDS)
    if interpretation == "LookupMulti":
        return ",".join(chance.sample(_WORDS[:8], k=chance.randint(1, 3)))
    if kind == "Int":
        return str(chance.randint(0, 5000))
    if kind == "Decimal":
        return f"{chance.randint(0, 2_000_000)}.{chance.randint(0, 99):02d}"
    if kind == "Boolean":
        return chance.choice("01")
    day = f"20{chance.randint(10, 25)}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"
    if kind == "Date":
        return day
    if kind == "DateTime":
        return f"{day}T{chance.randint(0, 23):02d}:{chance.randint(0, 59):02d}:07"
    return " ".join(chance.choices(_WORDS, k=chance.randint(1, 2)))


def compact(listed: list[tuple[str, ...]]) -> bytes:
    """A COMPACT-DECODED answer."""
    return b"".join(_compact(iter(listed), len(listed)))


def compact_chunks(number: int) -> Iterator[bytes]:
    """A COMPACT-DECODED answer of many rows, made while it is read."""
    some = list(rows(500))
    return _compact((some[at % len(some)] for at in range(number)), number)


def _compact(listed: Iterator[tuple[str, ...]], number: int) -> Iterator[bytes]:
    columns = "\t".join(COLUMNS)
    yield (
        '<?xml version="1.0" encoding="utf-8"?>\r\n<RETS ReplyCode="0" ReplyText="Success">\n'
        f'<COUNT Records="{number}"/>\n<DELIMITER value="09"/>\n<COLUMNS>\t{columns}\t</COLUMNS>\n'
    ).encode()
    for row in listed:
        text = "\t".join(row).replace("&", "&amp;")
        yield f"<DATA>\t{text}\t</DATA>\n".encode()
    yield b"</RETS>\n"


def _moment(key: int) -> str:
    """Spread over the seconds of a day."""
    hours, seconds = divmod(key * 7919 % 86_400, 3600)
    return f"Wed, 13 Mar 2024 {hours:02}:{seconds // 60:02}:{seconds % 60:02} GMT"


def master_list_chunks(number: int) -> Iterator[bytes]:
    """DDF's answer to a query for all keys, made while it is read."""
    yield (
        '<?xml version="1.0" encoding="utf-8"?><RETS ReplyCode="0" ReplyText="Success">'
        f'<COUNT Records="{number}" /><RETS-RESPONSE xmlns="urn:CREA.Search.Property"><Pagination>'
        f"<TotalRecords>{number}</TotalRecords><Limit>0</Limit><Offset>1</Offset><TotalPages>1"
        f"</TotalPages><RecordsReturned>{number}</RecordsReturned></Pagination>"
    ).encode()
    for start in range(0, number, 1000):
        yield "".join(
            f'<Property ID="{20_000_000 + key}" LastUpdated="{_moment(key)}" />'
            for key in range(start, min(start + 1000, number))
        ).encode()
    yield b"</RETS-RESPONSE></RETS>"


def portions(body: bytes, size: int = 64 * 1024) -> list[bytes]:
    """The body as a connection would bring it."""
    return [body[at : at + size] for at in range(0, len(body), size)]
