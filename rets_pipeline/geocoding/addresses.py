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
_VERSION = "2"
_POSTAL_CODE = re.compile(r"([ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z])(\d[ABCEGHJ-NPRSTV-Z]\d)?")
_NUMBER = re.compile(r"\d+[a-z]?")
_TWO_NUMBERS = re.compile(r"(#?)([\da-z]+)\s*[-–]\s*(\d+[a-z]?)")
_WORD = re.compile(r"[^\s,;|]+")
_DASH = re.compile(r"\s+[-–—]\s+(?=([^\W_]*))")
#: a unit with the house behind it, and perhaps with the number of the street behind that
_UNIT_AND_HOUSE = re.compile(r"#?[\da-z]+[-–](\d+[a-z]?(?:–\d+\w*)?)", re.IGNORECASE)
#: ``10234 - 100``, which may be a house and a numbered street
_HOUSE_AND_STREET = re.compile(r"(\d+[a-z]?)–(\d+\w*)", re.IGNORECASE)
_HALF = re.compile(r"\s*[¼-¾⅐-⅟↉]|(?<=\d)[\s-]+\d\s*[/⁄]\s*\d(?!\d)")
#: what the post calls a place where it leaves letters, folded
_DELIVERY = re.compile(
    r"(?:(?:rr|rural route|route rurale|po box|post office box|cp|case postale) \w+"
    r"|general delivery|poste restante)(?: (?:rr|po box|site|comp|station|stn|succ) \w+)*"
)
#: types whose name is a number that may be written ``#7``
_NUMBERED = frozenset(("autoroute", "highway", "route"))
#: likewise, where no name stands before them: ``Line #5``, but unit 5 of ``Maple Line #5``
_NUMBERED_ALONE = frozenset(("concession", "line", "rang", "road", "sideroad"))
_OF_THE_COUNTRY = frozenset(
    ("concession", "country", "county", "district", "municipal", "provincial", "range")
).union(("regional", "rge", "rural", "secondary", "side", "township", "twp"))
#: a unit that needs no number
_BASEMENT = "bsmt"
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
    """Until nothing changes: what was one word may be a unit in the next reading."""
    number = _house_number_once(text)
    while (again := _house_number_once(number)) != number:
        number = again
    return number


def _house_number_once(text: str) -> str:
    """``1203-1255`` is unit 1203 of house 1255; ``1255-1259`` is a building with three numbers."""
    text = _HALF.sub("", text)  # a fold would make 1231 2 of 123½
    text = " ".join(_without_units(_words_of(text))) or text
    both = _TWO_NUMBERS.fullmatch(text.strip().casefold())
    if both is None:
        return fold(text)
    sign, first, second = both.groups()
    if not sign and first.isdigit() and second.isdigit() and int(first) >= _LARGE:
        return first if 0 < int(second) - int(first) < _SPAN else second
    return second


def _read_line(text: str, unit: str) -> tuple[str, list[str]]:
    """The house's number and the other words of a line, without the unit."""
    words = _without_half(_without_units(_words_of(_without_delivery(text))))
    number, words = _read_words(words, unit)
    return number, [word.replace("–", "-") for word in words]


def _read_words(words: list[str], unit: str) -> tuple[str, list[str]]:
    both = _HOUSE_AND_STREET.fullmatch(words[0]) if words else None
    if both and _is_numbered_street(both[2], words[1:]):
        return "" if unit == fold(both[1]) else fold(both[1]), [both[2], *words[1:]]
    if words and (_TWO_NUMBERS.fullmatch(words[0].casefold())):
        return _house_number(words[0]), words[1:]
    if _is_unit_before_number(words, unit):
        words = _without_half(words[1:])
    if words and _NUMBER.fullmatch(fold(words[0])):
        return fold(words[0]), words[1:]
    return "", words


def _words_of(text: str) -> list[str]:
    """Numbers with a spaced dash between them are one word, with a dash that tells it."""
    return _WORD.findall(_DASH.sub(_joint, re.sub(r"#\s+", "#", text)))


def _joint(dash: re.Match[str]) -> str:
    """For a dash: what stands between ``12 - 123``, ``Saint - Denis`` and ``St - Unit 12``."""
    following = fold(dash[1])
    if following[:1].isdigit():
        return "–"
    names = dash.string[dash.start() - 2 : dash.start()].isalpha() and following not in UNITS
    return "-" if names and following else " "


def _without_delivery(text: str) -> str:
    """Without ``RR 2`` and ``PO Box 5``, if a street is named besides."""
    parts = re.split(r"[,;|]", text)
    kept = [part for part in parts if not _DELIVERY.fullmatch(fold(part))]
    return "|".join(kept) if any(_is_name(word) for part in kept for word in part.split()) else text


def _without_half(words: list[str]) -> list[str]:
    """Not the half of the house's number, which is the first word."""
    if len(words) > 2 and _HALF.sub("", " ".join(words[:2])) == words[0]:
        words = [words[0], *words[2:]]
    return [_HALF.sub("", word) or word for word in words[:1]] + words[1:]


def _without_units(words: list[str]) -> list[str]:
    """Without ``UNIT 7``, ``app. 5`` and ``#12``; of ``UNIT 12 - 123`` the house remains."""
    kept: list[str] = []
    position = 0
    while position < len(words):
        word, behind = words[position], words[position + 1 :]
        position += 1
        if fold(word) == _BASEMENT and not kept and not _is_unit_before_number(behind, ""):
            continue
        if fold(word) in UNITS and _names_a_unit(behind[0] if behind else ""):
            position += 1
            if not kept and (house := _house_behind_unit(behind)):
                kept.append(house)
        elif fold(word) != _BASEMENT and not _is_unit_sign(word, kept):
            kept.append(word)
    return kept


def _house_behind_unit(words: list[str]) -> str:
    """Of ``12-123 Main St`` 123, but none of ``4-5 123 Main St``."""
    both = _UNIT_AND_HOUSE.fullmatch(words[0])
    return both[1] if both and not _is_unit_before_number(["1", *words[1:]], "") else ""


def _is_unit_sign(word: str, before: list[str]) -> bool:
    """``#12``, but not of ``Highway #12``."""
    if not word.startswith("#") or len(word) == 1 or "-" in word or "–" in word:
        return False
    street_type = STREET_TYPES.get(fold(before[-1])) if before else None
    name = fold(before[-2]) if len(before) > 1 else ""
    alone = not _is_name(name) or name in _OF_THE_COUNTRY
    return not (street_type in _NUMBERED or (street_type in _NUMBERED_ALONE and alone))


def _is_name(word: str) -> bool:
    return bool(re.search("[a-z]{2}", fold(word)))


def _is_numbered_street(number: str, words: list[str]) -> bool:
    """``100 St NW`` and ``4th``, but not ``100 St Clair Ave``."""
    if not _NUMBER.fullmatch(fold(number)):
        return True
    known = [fold(word) for word in words]
    return known[:1] != [] and known[0] in STREET_TYPES and all(w in DIRECTIONS for w in known[1:])


def _names_a_unit(word: str) -> bool:
    folded = fold(word)
    return len(folded) == 1 or any(letter.isdigit() for letter in folded)


def _is_unit_before_number(words: list[str], unit: str) -> bool:
    """``1203 1255 Main St`` has a unit; ``10234 100 Street`` has a numbered street."""
    if len(words) < 2:
        return False
    first, second = fold(words[0]), fold(_HALF.sub("", words[1]))
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
        name = _without_unit_behind(name or "")
        given = [part.strip() for part in (prefix, name, suffix, dir_suffix) if part]
        self.written = " ".join(" ".join(given).split())
        self.street_type = STREET_TYPES.get(_one_word(suffix), "")
        before, after = (DIRECTIONS.get(_one_word(part), "") for part in (prefix, dir_suffix))
        self.direction = after or before
        # Fields that tell nothing known, and a second direction, are part of the name.
        words = [
            *([] if before and not after else fold(prefix or "").split()),
            *fold(name).split(),
            *([] if self.street_type else fold(suffix or "").split()),
            *([] if after else fold(dir_suffix or "").split()),
        ]
        self._words = _joined_directions(words)
        self._read()
        self.name = " ".join(map(_street_word, self._words))

    def _read(self) -> None:
        count = 0
        while count != len(self._words):  # the one may stand before the other
            count = len(self._words)
            self._drop_unit()
            self._take_direction()
            if not self.street_type:
                self._take_type()
            elif len(self._words) > 1:
                self._trim()

    def _drop_unit(self) -> None:
        *name, kind, last = ["", "", *self._words]
        if any(name) and kind in UNITS and _names_a_unit(_street_word(last)):
            del self._words[-2:]

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


def _without_unit_behind(name: str) -> str:
    """A street's name as it was written, without ``Unit 12`` or ``#12`` at its end."""
    words = _WORD.findall(re.sub(r"#\s+", "#", name))
    if len(words) > 1 and _is_unit_sign(words[-1], words[:-1]):
        rest = words[:-1]
    elif len(words) > 2 and fold(words[-2]) in UNITS and _names_a_unit(words[-1]):
        rest = words[:-2]
    else:
        return name
    return " ".join(rest).rstrip(" -–")


def _street_word(word: str) -> str:
    """As ``name_word``, and ``1ère`` is ``1re``."""
    return name_word(re.sub(r"(?<=\d)ere$", "re", word))


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
