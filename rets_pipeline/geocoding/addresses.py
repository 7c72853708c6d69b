"""One spelling for each place.

What belongs here: reading the fields of a Canadian address, English or French, and the hash by
which its answers are remembered. What does not: the words themselves (``words``), and asking.

The unit is read and left out: all units of a building are one place, asked for once.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from rets_pipeline.geocoding.provinces import province_code
from rets_pipeline.geocoding.words import (
    DIRECTIONS,
    PARTICLES,
    STREET_TYPES,
    TYPES_BEFORE,
    UNITS,
    fold,
    name_word,
    place_name,
)

#: goes into the hash: another way to normalize is another key
_VERSION = "1"
_POSTAL_CODE = re.compile(r"([ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z])(\d[ABCEGHJ-NPRSTV-Z]\d)?")
_NUMBER = re.compile(r"\d+[a-z]?")
_TWO_NUMBERS = re.compile(r"(#?)([\da-z]+)\s*[-–]\s*(\d+[a-z]?)")
_WORD = re.compile(r"[^\s,;|]+")
#: two numbers from here on that differ by less than the other are those of one building
_LARGE, _SPAN = 1000, 40
#: types that may stand on either side: ``Avenue Road`` is a road
_BOTH_LANGUAGES = TYPES_BEFORE & set(STREET_TYPES.values())


@dataclass(frozen=True, slots=True)
class Address:
    """A place as it is compared, and as it is asked for.

    Attributes:
        number: of the house; empty when there is none. So are the others.
        direction: ``n``, ``sw`` and so on, wherever it stood.
        name: of the street, folded.
        street_type: one of the types of ``words``.
        city: folded.
        province: two letters.
        postal_code: six characters, or the first three, without a blank.
        line: number and street as they were written, without the unit.
        town: the city as it was written.
    """

    number: str = ""
    direction: str = ""
    name: str = ""
    street_type: str = ""
    city: str = ""
    province: str = ""
    postal_code: str = ""
    line: str = field(default="", compare=False)
    town: str = field(default="", compare=False)

    @property
    def postal_area(self) -> str:
        """Canada Post's forward sortation area: the first three characters."""
        return self.postal_code[:3]

    @property
    def hash(self) -> str:
        """The key of the place, the same in every feed and process."""
        parts = (
            _VERSION, self.number, self.direction, self.name, self.street_type, self.city,
            self.province, self.postal_code,
        )  # fmt: skip
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()

    @property
    def text(self) -> str:
        """In one line, as geocoders are asked."""
        code = self.postal_code
        spaced = f"{code[:3]} {code[3:]}" if len(code) == 6 else code
        end = " ".join(part for part in (self.province, spaced) if part)
        return ", ".join(part for part in (self.line, self.town, end, "Canada") if part)


def normalize(
    *,
    street_number: str | None = None,
    street_dir_prefix: str | None = None,
    street_name: str | None = None,
    street_suffix: str | None = None,
    street_dir_suffix: str | None = None,
    unit_number: str | None = None,
    street_address: str | None = None,
    city: str | None = None,
    state_or_province: str | None = None,
    postal_code: str | None = None,
) -> Address:
    """Read an address, named by RESO's fields; without a street's name from its whole line.

    Args:
        street_address: number, street and unit in one text; ``|`` separates lines (DDF).

    Returns:
        The same address for every spelling of a place. Normalizing its own fields changes nothing.
    """
    if (street_name or "").strip():
        number = _house_number(street_number or "")
        street = _Street(street_name, street_dir_prefix, street_suffix, street_dir_suffix)
    else:
        number, words = _read_line(street_address or "", fold(unit_number or ""))
        number = number or _house_number(street_number or "")
        street = _Street(" ".join(words))
    code = _POSTAL_CODE.fullmatch(re.sub(r"[\W_]", "", postal_code or "").upper())
    return Address(
        number=number,
        direction=street.direction,
        name=street.name,
        street_type=street.street_type,
        city=place_name(city or ""),
        province=province_code(state_or_province) or "",
        postal_code=code.group() if code else "",
        line=" ".join(part for part in (number.upper(), street.written) if part),
        town=(city or "").partition("(")[0].strip(),
    )


def _house_number(text: str) -> str:
    """``1203-1255`` is unit 1203 of house 1255; ``1255-1259`` is a building with three numbers."""
    both = _TWO_NUMBERS.fullmatch(text.strip().casefold())
    if both is None:
        return fold(text)
    sign, first, second = both.groups()
    if not sign and first.isdigit() and second.isdigit() and int(first) >= _LARGE:
        return first if 0 < int(second) - int(first) < _SPAN else second
    return second


def _read_line(text: str, unit: str) -> tuple[str, list[str]]:
    """The house's number and the other words of a line, without the unit."""
    words = _without_units(_WORD.findall(text.replace(" - ", "-")))
    if words and (_TWO_NUMBERS.fullmatch(words[0].casefold())):
        return _house_number(words[0]), words[1:]
    if len(words) > 1 and _is_unit_before_number(words, unit):
        words = words[1:]
    if words and _NUMBER.fullmatch(fold(words[0])):
        return fold(words[0]), words[1:]
    return "", words


def _without_units(words: list[str]) -> list[str]:
    """Without ``UNIT 7``, ``app. 5`` and ``#12``."""
    kept: list[str] = []
    skip = False
    for position, word in enumerate(words):
        following = words[position + 1] if position + 1 < len(words) else ""
        if skip:
            skip = False
        elif fold(word) in UNITS and _names_a_unit(following):
            skip = True
        elif not (word.startswith("#") and len(word) > 1 and "-" not in word):
            kept.append(word)
    return kept


def _names_a_unit(word: str) -> bool:
    folded = fold(word)
    return len(folded) == 1 or any(letter.isdigit() for letter in folded)


def _is_unit_before_number(words: list[str], unit: str) -> bool:
    """``1203 1255 Main St`` has a unit; ``10234 100 Street`` has a numbered street."""
    first, second = fold(words[0]), fold(words[1])
    if not _NUMBER.fullmatch(second):
        return False
    if unit and first == unit:
        return True
    third = fold(words[2]) if len(words) > 2 else ""
    numbered_street = third in STREET_TYPES or third in DIRECTIONS
    return bool(_NUMBER.fullmatch(first)) and bool(third) and not numbered_street


class _Street:
    """A street's name, type and direction, read from words in any order that is in use.

    What fields of their own tell is not looked for in the name.
    """

    def __init__(
        self,
        name: str | None,
        prefix: str | None = None,
        suffix: str | None = None,
        dir_suffix: str | None = None,
    ) -> None:
        given = [part.strip() for part in (prefix, name, suffix, dir_suffix) if part]
        self.written = " ".join(" ".join(given).split())
        self.street_type = STREET_TYPES.get(_one_word(suffix), "")
        before, after = (DIRECTIONS.get(_one_word(part), "") for part in (prefix, dir_suffix))
        self.direction = after or before
        # Fields that tell nothing known, and a second direction, are part of the name.
        words = [
            *([] if before and not after else fold(prefix or "").split()),
            *fold(name or "").split(),
            *([] if self.street_type else fold(suffix or "").split()),
            *([] if after else fold(dir_suffix or "").split()),
        ]
        self._words = _joined_directions(words)
        self._read()
        self.name = " ".join(map(name_word, self._words))

    def _read(self) -> None:
        self._take_direction()
        if not self.street_type:
            self._take_type()
        count = 0
        while count != len(self._words):  # the one may stand before the other
            count = len(self._words)
            self._take_direction()
            if len(self._words) > 1 and self.street_type:
                self._trim()

    def _trim(self) -> None:
        """Not ``de la`` before the name, and not the type again after it."""
        if self._words[0] in PARTICLES:
            self._words.pop(0)
        elif STREET_TYPES.get(self._words[-1]) == self.street_type:
            self._words.pop()

    def _take_direction(self) -> None:
        """From the end or else from the start, as long as a name remains: not of ``North St``."""
        if self.direction:
            return
        for place, rest in ((-1, self._words[:-1]), (0, self._words[1:])):
            if not rest or self._words[place] not in DIRECTIONS:
                continue
            # Before another direction ``St`` is a saint.
            names = map(name_word, rest) if place else rest
            if self.street_type or any(word not in STREET_TYPES for word in names):
                self.direction, self._words = DIRECTIONS[self._words[place]], rest
                return

    def _take_type(self) -> None:
        """Of ``Main Street``, ``rue Main`` or ``rue Main Street``; a name always remains."""
        if len(self._words) < 2:
            return
        first, last = self._words[0], self._words[-1]
        if first in TYPES_BEFORE and (last not in STREET_TYPES or first not in _BOTH_LANGUAGES):
            self.street_type = STREET_TYPES[first]
            self._words.pop(0)
        elif last in STREET_TYPES:
            self.street_type = STREET_TYPES[last]
            self._words.pop()


def _one_word(text: str | None) -> str:
    return fold(text or "").replace(" ", "")


def _joined_directions(words: list[str]) -> list[str]:
    """``nord est`` at an end of the name is one direction."""
    for start in (len(words) - 2, 0):
        if 0 <= start < len(words) - 1:
            joined = words[start] + words[start + 1]
            if joined in DIRECTIONS and len(joined) > 2:
                return [*words[:start], joined, *words[start + 2 :]]
    return words
