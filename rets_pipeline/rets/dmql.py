"""Queries in DMQL2, put together from values rather than from text.

What belongs here: criteria and how they are written (RETS 1.7.2, section 7.7). What does not:
sending them, and percent-encoding, which every transaction needs (``percent_encoding``).

Whatever the values hold, they stay values: text that is more than a plain word is quoted. ::

    from rets_pipeline.rets import dmql

    price = dmql.field("ListPrice").between(300_000, 400_000)
    city = dmql.field("City").starts_with("North ")
    sold = dmql.field("Status").any_lookup("S", "SP")
    str(price & city & ~sold)
    # (ListPrice=300000-400000),(City="North "*),~(Status=|S,SP)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Final


class Moment(Enum):
    """Times that the server knows."""

    TODAY = "TODAY"
    NOW = "NOW"


TODAY: Final = Moment.TODAY
NOW: Final = Moment.NOW

#: What a field can be compared with. Datetimes with a zone are written in UTC; those without one
#: as they are, and the server takes them for its own time.
Value = str | int | float | Decimal | date | datetime | time | Moment

_FIELD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]{0,127}", re.ASCII)
# Servers have been seen failing on plain words that begin with a digit.
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*", re.ASCII)
_LOOKUP = re.compile(r"[A-Za-z0-9]+", re.ASCII)
_RESERVED: Final = frozenset({"AND", "OR", "NOT", "TODAY", "NOW"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Query:
    """A criterion, or several joined by ``&``, ``|`` and ``~``; ``str`` gives the DMQL2."""

    __slots__ = ()

    def __and__(self, other: Query) -> Query:
        return all_of((self, other))

    def __or__(self, other: Query) -> Query:
        return any_of((self, other))

    def __invert__(self) -> Query:
        return Not(self)


@dataclass(frozen=True, slots=True)
class And(Query):
    """All of them hold."""

    parts: tuple[Query, ...]

    def __str__(self) -> str:
        return ",".join(map(_element, self.parts))


@dataclass(frozen=True, slots=True)
class Or(Query):
    """At least one of them holds."""

    parts: tuple[Query, ...]

    def __str__(self) -> str:
        return "|".join(map(_element, self.parts))


@dataclass(frozen=True, slots=True)
class Not(Query):
    """It does not hold."""

    part: Query

    def __str__(self) -> str:
        # A second NOT would not be DMQL2 without brackets between them.
        inside = f"({self.part})" if isinstance(self.part, Not) else _element(self.part)
        return f"~{inside}"


class Comparison(Enum):
    """How a field is compared."""

    EQUAL = "equal"
    AT_LEAST = "at least"
    AT_MOST = "at most"
    BETWEEN = "between"
    CONTAINS = "contains"
    STARTS = "starts with"
    ENDS = "ends with"
    ANY_LOOKUP = "any lookup"
    ALL_LOOKUPS = "all lookups"
    NO_LOOKUP = "no lookup"
    ANYTHING = "anything"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Criterion(Query):
    """One field, compared with values. :func:`field` makes them.

    Attributes:
        name: the field's system name.
        comparison: how it is compared.
        values: with what.

    Raises:
        ValueError: the name or a value cannot be written in DMQL2.
    """

    name: str
    comparison: Comparison
    values: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        if not _FIELD.fullmatch(self.name):
            raise ValueError(f"{self.name!r} cannot be the name of a field")
        least, most = _OPERANDS.get(self.comparison, (1, 1))
        if len(self.values) < least or (most is not None and len(self.values) > most):
            raise ValueError(f"{self.name}: {len(self.values)} values for {self.comparison.value}")
        str(self)

    def __str__(self) -> str:
        return f"({self.name}={_WRITERS[self.comparison](*self.values)})"


@dataclass(frozen=True, slots=True)
class FieldName:
    """A field to be compared; see :func:`field`."""

    name: str

    def equals(self, *values: Value) -> Criterion:
        """It equals one of the values."""
        return Criterion(self.name, Comparison.EQUAL, values)

    def at_least(self, value: Value) -> Criterion:
        """It is the value or more."""
        return Criterion(self.name, Comparison.AT_LEAST, (value,))

    def at_most(self, value: Value) -> Criterion:
        """It is the value or less."""
        return Criterion(self.name, Comparison.AT_MOST, (value,))

    def between(self, first: Value, last: Value) -> Criterion:
        """It is one of the values or between them."""
        return Criterion(self.name, Comparison.BETWEEN, (first, last))

    def contains(self, *texts: str) -> Criterion:
        """One of the texts occurs in it."""
        return Criterion(self.name, Comparison.CONTAINS, texts)

    def starts_with(self, *texts: str) -> Criterion:
        """It starts with one of the texts."""
        return Criterion(self.name, Comparison.STARTS, texts)

    def ends_with(self, *texts: str) -> Criterion:
        """It ends with one of the texts. Not in the standard, but many servers know it."""
        return Criterion(self.name, Comparison.ENDS, texts)

    def any_lookup(self, *values: str | int) -> Criterion:
        """One of the lookup values is set."""
        return Criterion(self.name, Comparison.ANY_LOOKUP, values)

    def all_lookups(self, *values: str | int) -> Criterion:
        """All of the lookup values are set."""
        return Criterion(self.name, Comparison.ALL_LOOKUPS, values)

    def no_lookup(self, *values: str | int) -> Criterion:
        """None of the lookup values is set."""
        return Criterion(self.name, Comparison.NO_LOOKUP, values)

    def is_anything(self) -> Criterion:
        """Whatever it is; for searches of everything."""
        return Criterion(self.name, Comparison.ANYTHING)

    def is_empty(self) -> Criterion:
        """It has no value."""
        return Criterion(self.name, Comparison.EMPTY)


def field(name: str) -> FieldName:
    """A field, by its system name.

    Raises:
        ValueError: it cannot be the name of a field.
    """
    if not _FIELD.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a field")
    return FieldName(name)


def all_of(queries: Iterable[Query]) -> Query:
    """All of them hold.

    Raises:
        ValueError: there is none.
    """
    return _joined(And, queries)


def any_of(queries: Iterable[Query]) -> Query:
    """At least one of them holds.

    Raises:
        ValueError: there is none.
    """
    return _joined(Or, queries)


def quoted(text: str) -> str:
    """The text in quotes, those within it doubled.

    Raises:
        ValueError: it is empty or holds a control character.
    """
    if not text or _CONTROL.search(text):
        raise ValueError("DMQL2 has no form for empty text and control characters")
    escaped = text.replace('"', '""')
    return f'"{escaped}"'


def _joined(kind: type[And] | type[Or], queries: Iterable[Query]) -> Query:
    parts: list[Query] = []
    for query in queries:
        parts += query.parts if isinstance(query, kind) else (query,)
    if not parts:
        raise ValueError("a query needs at least one criterion")
    return parts[0] if len(parts) == 1 else kind(tuple(parts))


def _element(query: Query) -> str:
    """As an element of a larger query: only criteria and negations stand without brackets."""
    return str(query) if isinstance(query, Criterion | Not) else f"({query})"


def _text(value: str) -> str:
    if _WORD.fullmatch(value) and value.upper() not in _RESERVED:
        return value
    return quoted(value)


def _operand(value: Value) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Moment):
        return value.value
    if isinstance(value, datetime | time):
        return _moment(value)
    if isinstance(value, date):
        return f"{value.year:04}-{value.month:02}-{value.day:02}"
    return _number(value)


def _moment(value: datetime | time) -> str:
    """RETS 1.7.2, section 7.7.1: milliseconds at most; a zone only as Z, so that no sign can be
    taken for a range.
    """  # noqa: D205
    if value.microsecond % 1000:
        raise ValueError("DMQL2 knows times to the millisecond only")
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
        zone = "Z"
    elif value.tzinfo is not None:
        raise ValueError("DMQL2 knows no time of day with a zone")
    else:
        zone = ""
    return value.isoformat(timespec="milliseconds" if value.microsecond else "seconds") + zone


def _number(value: float | Decimal) -> str:
    if isinstance(value, bool):
        raise ValueError("a boolean is written as the server's own value, 1 or Y say")
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise ValueError("DMQL2 knows finite numbers only")
    text = format(number, "f")
    return "0" if text.strip("-0.") == "" else text


def _lookup(value: Value) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str):
        raise ValueError("a lookup value is text or a whole number")
    if _LOOKUP.fullmatch(text) and text.upper() not in _RESERVED:
        return text
    return quoted(text)


def _list(write: Callable[[Value], str], sign: str = "") -> Callable[..., str]:
    return lambda *values: sign + ",".join(map(write, values))


def _part(before: str, after: str) -> Callable[..., str]:
    def write(value: Value) -> str:
        if not isinstance(value, str):
            raise ValueError("only text has parts")
        return f"{before}{_text(value)}{after}"

    return _list(write)


def _between(first: Value, last: Value) -> str:
    return f"{_operand(first)}-{_operand(last)}"


_WRITERS: Final[dict[Comparison, Callable[..., str]]] = {
    Comparison.EQUAL: _list(_operand),
    Comparison.AT_LEAST: lambda value: f"{_operand(value)}+",
    Comparison.AT_MOST: lambda value: f"{_operand(value)}-",
    Comparison.BETWEEN: _between,
    Comparison.CONTAINS: _part("*", "*"),
    Comparison.STARTS: _part("", "*"),
    Comparison.ENDS: _part("*", ""),
    Comparison.ANY_LOOKUP: _list(_lookup, "|"),
    Comparison.ALL_LOOKUPS: _list(_lookup, "+"),
    Comparison.NO_LOOKUP: _list(_lookup, "~"),
    Comparison.ANYTHING: lambda: ".ANY.",
    Comparison.EMPTY: lambda: ".EMPTY.",
}
_LISTS: Final = (
    *(Comparison.EQUAL, Comparison.CONTAINS, Comparison.STARTS, Comparison.ENDS),
    *(Comparison.ANY_LOOKUP, Comparison.ALL_LOOKUPS, Comparison.NO_LOOKUP),
)
_OPERANDS: Final[dict[Comparison, tuple[int, int | None]]] = {
    **dict.fromkeys(_LISTS, (1, None)),
    Comparison.BETWEEN: (2, 2),
    Comparison.ANYTHING: (0, 0),
    Comparison.EMPTY: (0, 0),
}
