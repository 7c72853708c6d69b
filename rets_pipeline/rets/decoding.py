"""Values by their types: what the cells of a COMPACT answer mean.

What belongs here: converting text by what the metadata say of its field (RETS 1.7.2, sections 11.3
and 13). What does not: reading answers and metadata, and what a source's fields mean.

A column is decoded at a time, because that is several times faster than cell by cell. Nothing is
ever raised for a value: what does not convert is None, and its text is among the faults; what has a
type that nobody knows stays text, with a warning.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, tzinfo
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Final

from rets_pipeline.rets.metadata import Field, Lookup, Resource

#: What a cell can become. Several lookup values are a tuple.
Value = str | int | Decimal | bool | date | datetime | time | tuple[str, ...] | None

Convert = Callable[[str], Value]

# So many different texts of a column are remembered at a time.
_REMEMBERED: Final = 1_000
# So many faults are kept; the rest is only counted.
_KEPT_FAULTS: Final = 10_000

_INTEGER = re.compile(r"[+-]?[0-9]+(?:\.0*)?", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)", re.ASCII)
_DECIMAL_LETTERS = re.compile(r"[0-9.+-]*", re.ASCII)
_TRUE: Final = frozenset({"1", "y", "yes", "t", "true"})
_FALSE: Final = frozenset({"0", "n", "no", "f", "false"})


@dataclass(frozen=True, slots=True)
class CellFault:
    """A cell that does not convert.

    Attributes:
        row: its number, from 0 for the first row that was ever decoded.
        column: its name.
        text: what it holds.
        reason: in plain words.
    """

    row: int
    column: str
    text: str = field(repr=False)
    reason: str = ""


class _Failure:
    """Stands in a column for a text that does not convert."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


class _Memory(dict[str, "Value | _Failure"]):
    """Texts and what they became: most columns hold few different ones.

    Attributes:
        failed: one of them did not convert.
    """

    def __init__(self, convert: Convert) -> None:
        super().__init__()
        self.failed = False
        self._convert = convert

    def __missing__(self, text: str) -> Value | _Failure:
        value: Value | _Failure
        bare = text.strip()
        try:
            value = self._convert(bare) if bare else None
        except ValueError as error:
            value = _Failure(str(error))
            self.failed = True
        if len(self) >= _REMEMBERED:
            self.clear()
        self[text] = value
        return value


class ColumnDecoder:
    """Converts the cells of one column.

    Attributes:
        name: of the column.
        data_type: that is applied, in the words of RETS.
        unknown_values: of lookups, that the metadata do not have; they stay as they are.
    """

    def __init__(
        self,
        name: str,
        data_type: str,
        convert: Convert | None,
        *,
        whole: Callable[[Sequence[str]], list[Value] | None] | None = None,
        unknown_values: set[str] | None = None,
    ) -> None:
        """Used by :class:`TableDecoder`.

        Args:
            name: of the column.
            data_type: in the words of RETS.
            convert: one text that is not empty; None leaves text alone.
            whole: all cells at once, or None when one of them needs a closer look.
            unknown_values: filled by ``convert``.
        """
        self.name = name
        self.data_type = data_type
        self.unknown_values = unknown_values if unknown_values is not None else set()
        self._memory = None if convert is None else _Memory(convert)
        self._whole = whole

    def __repr__(self) -> str:
        return f"<ColumnDecoder {self.name} {self.data_type}>"

    def decode(
        self, cells: Sequence[str], on_fault: Callable[[int, str, str], None]
    ) -> list[Value]:
        """The values of the cells; empty ones are None.

        Args:
            cells: of the column.
            on_fault: told number, text and reason of each cell that does not convert.
        """
        memory = self._memory
        if memory is None:
            return [cell or None for cell in cells]
        values = self._whole(cells) if self._whole is not None else None
        if values is not None:
            return values
        found = list(map(memory.__getitem__, cells))
        if memory.failed:
            for number, value in enumerate(found):
                if isinstance(value, _Failure):
                    on_fault(number, cells[number], value.reason)
                    found[number] = None
        return found  # type: ignore[return-value]


class TableDecoder:
    """Converts rows of a COMPACT answer.

    Attributes:
        columns: decoders, in the order of the columns.
        warnings: about columns: types or lookups that nobody knows, fields without metadata.
        faults: cells that did not convert, the first 10,000 of them.
        fault_count: how many did not convert.
        rows: decoded so far.
    """

    def __init__(
        self,
        columns: Iterable[str],
        fields: Mapping[str, Field],
        lookup: Callable[[str], Lookup | None],
        *,
        zone: tzinfo | None = None,
    ) -> None:
        """Prepare a converter for each column.

        Args:
            columns: names, as the answer has them.
            fields: what the metadata say, by system name.
            lookup: finds a lookup by name.
            zone: of datetimes that name none; without one they stay naive.
        """
        self.warnings: list[str] = []
        self.faults: list[CellFault] = []
        self.fault_count = 0
        self.rows = 0
        self._lookup = lookup
        self._zone = zone
        self.columns = tuple(self._decoder(name, fields.get(name)) for name in columns)

    @classmethod
    def of(
        cls,
        resource: Resource,
        class_name: str,
        columns: Iterable[str],
        *,
        zone: tzinfo | None = None,
    ) -> TableDecoder:
        """A decoder for a class of a resource.

        Raises:
            KeyError: there is no such class.
        """
        return cls(columns, resource.classes[class_name].fields, resource.lookup, zone=zone)

    @property
    def unknown_values(self) -> dict[str, set[str]]:
        """Values of lookups that the metadata do not have, by column."""
        return {item.name: item.unknown_values for item in self.columns if item.unknown_values}

    def decode_columns(self, rows: Sequence[Sequence[str]]) -> list[list[Value]]:
        """The values of each column.

        Args:
            rows: each as long as there are columns.

        Raises:
            ValueError: a row is not.
        """
        if not rows:
            return [[] for _ in self.columns]
        cells = list(zip(*rows, strict=True))
        if len(cells) != len(self.columns):
            raise ValueError(f"rows of {len(cells)} cells for {len(self.columns)} columns")
        values = [
            column.decode(texts, partial(self._note, column.name))
            for column, texts in zip(self.columns, cells, strict=True)
        ]
        self.rows += len(rows)
        return values

    def decode(self, rows: Sequence[Sequence[str]]) -> list[tuple[Value, ...]]:
        """The values of each row; see :meth:`decode_columns`."""
        return list(zip(*self.decode_columns(rows), strict=True))

    def decode_all(
        self, rows: Iterable[Sequence[str]], batch: int = 100
    ) -> Iterator[tuple[Value, ...]]:
        """The values of row after row, in constant memory.

        Args:
            rows: each as long as there are columns.
            batch: so many are decoded together; more leave the processor's cache, and are slower.
        """
        waiting: list[Sequence[str]] = []
        for row in rows:
            waiting.append(row)
            if len(waiting) >= batch:
                yield from self.decode(waiting)
                waiting = []
        yield from self.decode(waiting)

    def _note(self, column: str, number: int, text: str, reason: str) -> None:
        self.fault_count += 1
        if len(self.faults) < _KEPT_FAULTS:
            self.faults.append(CellFault(self.rows + number, column, text, reason))

    def _decoder(self, name: str, described: Field | None) -> ColumnDecoder:
        if described is None:
            self.warnings.append(f"{name}: the metadata do not know this column; it stays text")
            return ColumnDecoder(name, "Character", None)
        interpretation = described.interpretation.lower()
        if interpretation.startswith("lookup"):
            return self._lookup_decoder(name, described, interpretation)
        return self._typed_decoder(name, described.data_type)

    def _typed_decoder(self, name: str, data_type: str) -> ColumnDecoder:
        kind = data_type.strip().lower()
        if kind in _INTEGERS:
            return ColumnDecoder(name, data_type, _integer, whole=_integers)
        if kind in _DATETIMES:
            convert = partial(_datetime, self._zone)
            return ColumnDecoder(name, data_type, convert, whole=partial(_datetimes, self._zone))
        if kind in _CONVERTERS:
            return ColumnDecoder(name, data_type, _CONVERTERS[kind], whole=_WHOLE.get(kind))
        if kind not in _TEXTS:
            self.warnings.append(f"{name}: the type {data_type!r} is unknown; it stays text")
        return ColumnDecoder(name, data_type or "Character", None)

    def _lookup_decoder(self, name: str, described: Field, interpretation: str) -> ColumnDecoder:
        lookup = self._lookup(described.lookup_name) if described.lookup_name else None
        if lookup is None or not lookup.values:
            self.warnings.append(
                f"{name}: the metadata have no values of the lookup {described.lookup_name!r}"
            )
            lookup = Lookup(described.lookup_name, described.attributes, ())
        unknown: set[str] = set()
        make = _LOOKUPS.get(interpretation)
        if make is None:
            self.warnings.append(
                f"{name}: the interpretation {described.interpretation!r} is unknown; it stays text"
            )
            return ColumnDecoder(name, "Character", None)
        convert = make(lookup, unknown)
        return ColumnDecoder(name, described.interpretation, convert, unknown_values=unknown)


def _each(convert: Convert, cells: Sequence[str]) -> list[Value] | None:
    """For columns whose texts are mostly different ones."""
    try:
        return [convert(cell) if cell else None for cell in cells]
    except (ValueError, ArithmeticError):
        return None


# Types


def _integers(cells: Sequence[str]) -> list[Value] | None:
    digits = "".join(cells)
    # Only plain digits: int() itself takes underscores and the digits of all scripts.
    if not (digits.isdecimal() and digits.isascii()):
        return None
    return _each(int, cells)


def _decimals(cells: Sequence[str]) -> list[Value] | None:
    # Decimal() itself takes underscores, exponents and words too.
    return _each(Decimal, cells) if _DECIMAL_LETTERS.fullmatch("".join(cells)) else None


def _datetimes(zone: tzinfo | None, cells: Sequence[str]) -> list[Value] | None:
    found = _each(datetime.fromisoformat, cells)
    if found is None or zone is None:
        return found
    return [
        value.replace(tzinfo=zone)
        if isinstance(value, datetime) and value.tzinfo is None
        else value
        for value in found
    ]


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError("no whole number")
    return int(text.partition(".")[0])


def _decimal(text: str) -> Decimal:
    if not _DECIMAL.fullmatch(text):
        raise ValueError("no decimal number")
    return Decimal(text)


def _boolean(text: str) -> bool:
    word = text.lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("neither true nor false")


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        found = _datetime(None, text)
    if found.time() != time():
        raise ValueError("a date with a time of day")
    return found.date()


def _datetime(zone: tzinfo | None, text: str) -> datetime:
    """ISO 8601, or as HTTP writes it (RFC 1123), which cannot be mistaken either."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = _http_date(text.strip())
    return found if zone is None or found.tzinfo is not None else found.replace(tzinfo=zone)


def _http_date(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        with contextlib.suppress(ValueError, OverflowError, TypeError, IndexError):
            if re.match(r"[A-Za-z]{3,9},? ", text):
                return parsedate_to_datetime(text)
    raise ValueError("no date and time")


def _time(text: str) -> time:
    if ":" not in text:
        raise ValueError("no time of day")
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise ValueError("no time of day") from None


_INTEGERS: Final = frozenset({"int", "integer", "small", "tiny", "long"})
_DATETIMES: Final = frozenset({"datetime", "timestamp"})
_TEXTS: Final = frozenset({"character", "text", "string"})
_CONVERTERS: Final[Mapping[str, Convert]] = {
    "boolean": _boolean,
    "decimal": _decimal,
    "date": _date,
    "time": _time,
}
_WHOLE: Final[Mapping[str, Callable[[Sequence[str]], list[Value] | None]]] = {
    "decimal": _decimals,
    "date": partial(_each, date.fromisoformat),
}


# Lookups


def _named(lookup: Lookup) -> dict[str, str]:
    """What people read, by whatever an answer may hold for it, in lower case.

    COMPACT answers hold values, COMPACT-DECODED ones long values.
    """
    named: dict[str, str] = {}
    for texts in (
        [(item.value, item) for item in lookup.values],
        [(item.long_value, item) for item in lookup.values],
        [(item.short_value, item) for item in lookup.values],
    ):
        for text, item in texts:
            if text:
                named.setdefault(text.lower(), item.long_value or item.short_value or item.value)
    return named


def _single(lookup: Lookup, unknown: set[str]) -> Convert:
    named = _named(lookup)

    def convert(text: str) -> str:
        found = named.get(text.lower())
        if found is None and len(text) > 2 and text[0] == text[-1] == '"':
            text = text[1:-1].replace('""', '"')
            found = named.get(text.lower())
        if found is None:
            unknown.add(text)
            return text
        return found

    return convert


class _Pieces(dict[str, "str | None"]):
    """What stands between commas, and the value that it is.

    None is nothing at all; a piece that may be a part of a value with a comma inside is
    :data:`_PART`.
    """

    def __init__(self, named: Mapping[str, str], unknown: set[str]) -> None:
        super().__init__()
        self._named = named
        self._unknown = unknown
        self._beginnings = {text.partition(",")[0].strip() for text in named if "," in text}

    def __missing__(self, piece: str) -> str | None:
        if len(self) >= _REMEMBERED:
            self.clear()
        text = piece.strip()
        known = not text or text.lower() in self._named
        if self._beginnings and (not known or text.lower() in self._beginnings):
            self[piece] = _PART
        else:
            self[piece] = self.value_of(text)
        return self[piece]

    def value_of(self, text: str) -> str | None:
        if not text:
            return None
        known = self._named.get(text.lower())
        if known is None:
            self._unknown.add(text)
        return text if known is None else known


# No value looks like it, because values have no line breaks at their edges.
_PART: Final = "\n"


def _multi(lookup: Lookup, unknown: set[str]) -> Convert:
    named = _named(lookup)
    pieces = _Pieces(named, unknown)
    # Of several values with a comma inside that fit, the longest is meant.
    choices = "|".join(
        re.escape(text) for text in sorted(named, key=len, reverse=True) if "," in text
    )
    item = re.compile(
        rf'\s*(?:"((?:[^"]|"")*)"\s*(?=,|\Z)|({choices or "(?!)"})\s*(?=,|\Z)|([^,]*))(?:,|\Z)',
        re.IGNORECASE,
    )

    def convert(text: str) -> tuple[str, ...]:
        if '"' not in text:
            found = tuple(map(pieces.__getitem__, text.split(",")))
            if _PART not in found:
                return tuple(filter(None, found))
        values = []
        for match in item.finditer(text):
            quoted, with_comma, plain = match.groups()
            value = quoted.replace('""', '"') if quoted is not None else with_comma or plain
            values.append(pieces.value_of(value.strip()))
        return tuple(filter(None, values))

    return convert


def _bitstring(lookup: Lookup, unknown: set[str]) -> Convert:
    """The character at position n, from 1, stands for the value n."""
    named = _named(lookup)

    def convert(text: str) -> tuple[str, ...]:
        if not re.fullmatch(r"[01YNyn]+", text):
            raise ValueError("no string of bits")
        positions = (number for number, bit in enumerate(text, 1) if bit in "1Yy")
        return _of_numbers(positions, named, unknown)

    return convert


def _bitmask(lookup: Lookup, unknown: set[str]) -> Convert:
    """A number; its bits stand for the values 1, 2, 3, or 1, 2, 4 if the lookup is written so."""
    named = _named(lookup)
    numbers = [int(item.value) for item in lookup.values if item.value.isdecimal()]
    powers = all(number and not number & (number - 1) for number in numbers)

    def convert(text: str) -> tuple[str, ...]:
        mask = _integer(text)
        if mask < 0:
            raise ValueError("no mask of bits")
        bits = (place for place in range(mask.bit_length()) if mask >> place & 1)
        return _of_numbers((1 << bit if powers else bit + 1 for bit in bits), named, unknown)

    return convert


def _of_numbers(
    numbers: Iterable[int], named: Mapping[str, str], unknown: set[str]
) -> tuple[str, ...]:
    values = []
    for number in map(str, numbers):
        if number not in named:
            unknown.add(number)
        values.append(named.get(number, number))
    return tuple(values)


_LOOKUPS: Final[Mapping[str, Callable[[Lookup, set[str]], Convert]]] = {
    "lookup": _single,
    "lookupmulti": _multi,
    "lookupbitstring": _bitstring,
    "lookupbitmask": _bitmask,
}
