"""DMQL2, as far as the generic server knows it (RETS 1.7.2, section 7.7).

What belongs here: reading a query, and whether a row fits. What does not: pages and columns.

Known are ``,`` ``|`` and ``~`` between and before conditions in brackets; and as a condition's
value ``*``, lists, ranges (``a-b``, ``a+``, ``a-``), lookups (``|a,b``, ``+a,b``, ``~a,b``), texts
with ``*`` and ``?``, texts in quotes, ``.EMPTY.`` and ``.ANY.``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fnmatch import translate

from rets_pipeline.sandbox.generic.columns import BY_NAME, Column, Value
from rets_pipeline.sandbox.generic.listings import Listings

_NUMBERS = frozenset({"Tiny", "Small", "Int", "Long", "Decimal"})
_MOMENTS = frozenset({"Date", "DateTime", "Time"})
_NUMBER = r"-?\d+(?:\.\d+)?"
_MOMENT = r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?)?|\d\d:\d\d(?::\d\d)?"
_ITEM = re.compile(r'"(?:[^"]|"")*"|[^,"]*')
_NAME = re.compile(r"\(([A-Za-z_][A-Za-z0-9_]*)=")
_Fits = Callable[[Value], bool]
_Rows = Callable[[int], bool]


class DmqlError(ValueError):
    """A query that is not understood.

    Args:
        text: what is wrong.
        unknown_field: it is only that a field does not exist.
    """

    def __init__(self, text: str, *, unknown_field: bool = False) -> None:
        super().__init__(text)
        self.unknown_field = unknown_field


@dataclass(slots=True)
class Query:
    """A query that is understood.

    Attributes:
        fits: whether a row is found.
        keys: when the query is nothing but a list of keys, these.
        first: the smallest key that can be found, when the query says so.
    """

    fits: _Rows
    keys: tuple[int, ...] | None = None
    first: int | None = None
    everything: bool = False

    def rows(self, listings: Listings) -> list[int] | range:
        """The numbers of the rows that are found, in order."""
        if self.everything:
            return range(listings.count)
        if self.keys is not None:
            found = {listings.number(key) for key in self.keys}
            return sorted(number for number in found if number is not None)
        begin = 0 if self.first is None else listings.numbers_from(self.first)
        return [number for number in range(begin, listings.count) if self.fits(number)]


def read(text: str, listings: Listings) -> Query:
    """The query of a text.

    Raises:
        DmqlError: it is not understood.
    """
    reader = _Reader(text, listings)
    fits = reader.alternatives()
    if reader.position != len(text):
        raise DmqlError(f"unexpected text at {reader.position}")
    query = Query(fits)
    match = re.fullmatch(r"\(ListingKey=(?:\*|(\d+)\+|(\d+(?:,\d+)*))\)", text, re.IGNORECASE)
    if match and match[2]:
        query.keys = tuple(int(key) for key in match[2].split(","))
    elif match:
        query.first = int(match[1] or 0)
        query.everything = query.first == 0
    return query


class _Reader:
    def __init__(self, text: str, listings: Listings) -> None:
        self.text, self.position, self._listings = text, 0, listings

    def alternatives(self) -> _Rows:
        terms = [self._together()]
        while self._skip("|"):
            terms.append(self._together())
        return terms[0] if len(terms) == 1 else lambda row: any(term(row) for term in terms)

    def _together(self) -> _Rows:
        terms = [self._term()]
        while self._skip(","):
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else lambda row: all(term(row) for term in terms)

    def _term(self) -> _Rows:
        if self._skip("~"):
            term = self._term()
            return lambda row: not term(row)
        match = _NAME.match(self.text, self.position)
        if match:
            return self._condition(match)
        if not self._skip("("):
            raise DmqlError(f"a bracket is missing at {self.position}")
        inside = self.alternatives()
        if not self._skip(")"):
            raise DmqlError(f"a closing bracket is missing at {self.position}")
        return inside

    def _condition(self, match: re.Match[str]) -> _Rows:
        column = BY_NAME.get(match[1].lower())
        if column is None:
            raise DmqlError(f"unknown field {match[1]}", unknown_field=True)
        begin = self.position = match.end()
        quoted = False
        while self.position < len(self.text) and (quoted or self.text[self.position] != ")"):
            quoted ^= self.text[self.position] == '"'
            self.position += 1
        value = self.text[begin : self.position]
        if not self._skip(")"):
            raise DmqlError("a closing bracket is missing at the end")
        fits = _condition(column, value)
        listings = self._listings
        return lambda row: fits(listings.value(row, column))

    def _skip(self, mark: str) -> bool:
        found = self.text.startswith(mark, self.position)
        self.position += found
        return found


def _condition(column: Column, text: str) -> _Fits:
    if text == "*" or text.upper() == ".ANY.":
        return lambda value: True
    if text.upper() == ".EMPTY.":
        return lambda value: value is None
    if not text or text != text.strip():
        raise DmqlError(f"{column.name}: a value is missing, or blanks stand around it")
    if column.lookup:
        return _lookups(column, text)
    if column.type in _NUMBERS:
        return _numbers(text)
    if column.type in _MOMENTS:
        return _moments(text)
    if column.type == "Boolean":
        return _booleans(text)
    return _texts(text)


def _lookups(column: Column, text: str) -> _Fits:
    mark = text[0] if text[0] in "|+~" else ""
    codes = list(_items(text.removeprefix(mark)))
    names = {column.long_value(code) for code in codes}
    if None in names:
        raise DmqlError(f"{column.name}: unknown lookup value")

    def fits(value: Value) -> bool:
        held = set(value) if isinstance(value, tuple) else {value}
        if mark == "+":
            return names <= held
        return bool(names & held) is (mark != "~")

    return fits


def _numbers(text: str) -> _Fits:
    least, most, several = _range(text, _NUMBER)
    try:
        low = None if least is None else Decimal(least)
        high = None if most is None else Decimal(most)
        known = {Decimal(item) for item in several}
    except InvalidOperation:
        raise DmqlError(f"{text} is no number") from None

    def fits(value: Value) -> bool:
        if value is None:
            return False
        number = Decimal(str(value))
        if known:
            return number in known
        return (low is None or number >= low) and (high is None or number <= high)

    return fits


def _moments(text: str) -> _Fits:
    least, most, several = _range(text, _MOMENT)
    for item in (least, most, *several):
        if item is not None and not re.fullmatch(_MOMENT, item):
            raise DmqlError(f"{text} is no date or time")
    # All times of the server are UTC and written alike, so their texts are in order.
    low = None if least is None else _moment(least)
    high = None if most is None else _moment(most)
    known = {_moment(item) for item in several}

    def fits(value: Value) -> bool:
        if value is None:
            return False
        moment = str(value).removesuffix("Z")
        if known:
            return moment in known
        return (low is None or moment >= low) and (high is None or moment <= high)

    return fits


def _moment(text: str) -> str:
    return re.sub(r"\.\d+", "", text).removesuffix("Z").removesuffix("+00:00")


def _booleans(text: str) -> _Fits:
    if text not in ("0", "1"):
        raise DmqlError("a boolean is 0 or 1")
    wanted = text == "1"
    return lambda value: value is wanted


def _texts(text: str) -> _Fits:
    patterns = [
        re.compile(translate(item.replace("[", "[[]")), re.IGNORECASE) for item in _items(text)
    ]
    return lambda value: value is not None and any(p.match(str(value)) for p in patterns)


def _range(text: str, form: str) -> tuple[str | None, str | None, list[str]]:
    """The ends of a range, or the items of a list."""
    match = re.fullmatch(f"({form})([+-])", text)
    if match:
        return (match[1], None, []) if match[2] == "+" else (None, match[1], [])
    match = re.fullmatch(f"({form})-({form})", text)
    if match:
        return match[1], match[2], []
    return None, None, list(_items(text))


def _items(text: str) -> Iterator[str]:
    position = 0
    while position <= len(text):
        match = _ITEM.match(text, position)
        assert match is not None
        item = match[0]
        if item.startswith('"'):
            item = item[1:-1].replace('""', '"')
        if not item:
            raise DmqlError("an item of a list is missing")
        yield item
        position = match.end()
        if position < len(text) and text[position] != ",":
            raise DmqlError(f"unexpected text behind {item}")
        position += 1
