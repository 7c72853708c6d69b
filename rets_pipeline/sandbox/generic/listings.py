"""The listings of the generic server: nothing is stored, each is made from its number.

What belongs here: keys, values and texts of rows. What does not: which rows a search finds
(``dmql``), and the form of an answer (``search``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

from rets_pipeline.sandbox.generic.columns import (
    BY_NAME,
    COLUMNS,
    VARIANTS,
    Column,
    Value,
    escaped,
    variants,
)

_FIRST_KEY: Final = 10_000_000
_STEP: Final = 7
_FIRST_MOMENT: Final = datetime(2023, 1, 1, tzinfo=UTC)
_MASK: Final = VARIANTS - 1
_PLACE: Final = {column.name: place for place, column in enumerate(COLUMNS)}
_MADE: Final = tuple(
    _PLACE[name] for name in ("ListingKey", "ListingID", "ModificationTimestamp", "PhotosCount")
)
_REMARKS: Final = _PLACE["PublicRemarks"]


class Listings:
    """All rows of Property:RES, by number from 0, in the order of their keys.

    Args:
        seed: everything follows from it.
        count: how many there are.
    """

    def __init__(self, seed: int, count: int) -> None:
        self.seed, self.count = seed, count
        self._values = [variants(seed, column) for column in COLUMNS]
        self._texts = {
            decoded: [
                [escaped(column.text(value, decoded=decoded)) for value in values]
                for column, values in zip(COLUMNS, self._values, strict=True)
            ]
            for decoded in (False, True)
        }

    def key(self, number: int) -> int:
        """The ListingKey of a row."""
        return _FIRST_KEY + _STEP * number

    def number(self, key: int) -> int | None:
        """The row with that key, or None."""
        number, rest = divmod(key - _FIRST_KEY, _STEP)
        return number if rest == 0 and 0 <= number < self.count else None

    def numbers_from(self, key: int) -> int:
        """The first row whose key is that, or larger."""
        return min(self.count, max(0, -((_FIRST_KEY - key) // _STEP)))

    def modified(self, number: int) -> datetime:
        """The ModificationTimestamp of a row, UTC."""
        # The rows are spread over some two years, in no order.
        return _FIRST_MOMENT + timedelta(seconds=number * 7_919_017 % 60_000_000)

    def photos(self, number: int) -> int:
        """How many photos a listing has."""
        return self.key(number) % 6

    def value(self, number: int, column: Column) -> Value:
        """A value as its type has it."""
        place = _PLACE[column.name]
        made = self._made(number)
        if place in made:
            return made[place]
        value = self._values[place][self._digest(number)[place] & _MASK]
        if column.name == "PublicRemarks":
            return f"{value or ''} No. {self.key(number)}".strip()
        return value

    def texts(self, number: int, places: Sequence[int], *, decoded: bool) -> list[str]:
        """The escaped texts of some columns.

        Args:
            number: of the row.
            places: of the columns among all.
            decoded: long values of lookups instead of their codes.
        """
        digest, known = self._digest(number), self._texts[decoded]
        made = self._made(number)
        remarks = f"{known[_REMARKS][digest[_REMARKS] & _MASK]} No. {made[0]}"
        made[_REMARKS] = remarks.strip()
        return [
            str(made[place]) if place in made else known[place][digest[place] & _MASK]
            for place in places
        ]

    def truth(self, keys: Iterable[int]) -> dict[str, dict[str, Any]]:
        """The plain values of rows by key, for tests to compare with; unknown keys are left out.

        Numbers and booleans are JSON's, decimal numbers, dates and times texts, several lookup
        values a list of long values, and nothing is null.
        """
        found = {}
        for key in keys:
            number = self.number(key)
            if number is not None:
                found[str(key)] = {
                    column.name: _plain(self.value(number, column)) for column in COLUMNS
                }
        return found

    def _made(self, number: int) -> dict[int, int | str]:
        """The values that follow from the number alone, by the column's place."""
        key = self.key(number)
        moment = f"{self.modified(number).isoformat()[:19]}Z"
        return dict(zip(_MADE, (key, f"R{key}", moment, self.photos(number)), strict=True))

    def _digest(self, number: int) -> bytes:
        return blake2b(b"%d:%d" % (self.seed, number), digest_size=64).digest()


def places_of(select: str) -> list[int]:
    """The places of the columns that a Select names; all of them when it is empty.

    Raises:
        KeyError: a column is unknown.
    """
    names = [name.strip() for name in select.split(",") if name.strip()]
    columns = [BY_NAME[name.lower()] for name in names] or COLUMNS
    return [_PLACE[column.name] for column in columns]


def _plain(value: Value) -> Any:
    return list(value) if isinstance(value, tuple) else value
