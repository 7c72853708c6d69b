"""What DDF's texts mean: each converter takes one text and returns one typed value.

What belongs here: converters and what they know (units, months, lookup values with commas). What
does not: which element gets which converter (``mapping``), and elements (``parse``).

Every converter takes a stripped text that is not empty. It returns the value, or
``Inexact(value)`` when the value does not say all that the text said (the caller keeps the text),
or raises :class:`ConversionError`. It raises nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

Converter = Callable[[str], Any]
Measure = tuple[Decimal, str | None]


class ConversionError(ValueError):
    """The text is not what its element should hold; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Inexact:
    """A value that does not say all that the text said."""

    value: Any


# Numbers --------------------------------------------------------------------------------------

_INTEGER = re.compile(r"([+-]?[0-9]{1,10})(\.0*)?")
_NUMBER = re.compile(
    r"[+-]?(?:(?:[0-9]{1,30}|[0-9]{1,3}(?:,[0-9]{3}){1,9})(?:\.[0-9]{0,30})?|\.[0-9]{1,30})"
)
_INTEGER_LIMIT = 2**31


def integer(text: str) -> int:
    """A whole number that fits the database's integer: ``3``, ``-1``, ``2.00``."""
    match = _INTEGER.fullmatch(text)
    if match is None:
        raise ConversionError("not a whole number")
    value = int(match.group(1))
    if not -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
        raise ConversionError("a whole number that is too large")
    return value


def _decimal(text: str, precision: int, scale: int) -> Decimal | Inexact:
    """A number as ``numeric(precision, scale)`` holds it; more decimals are rounded, inexactly."""
    if _NUMBER.fullmatch(text) is None:
        raise ConversionError("not a number")
    exact = Decimal(text.replace(",", ""))
    value = exact.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP) if _fits(exact) else exact
    if value.adjusted() >= precision - scale and value:
        raise ConversionError("a number that is too large")
    return value if value == exact else Inexact(value)


def _fits(number: Decimal) -> bool:
    return number.adjusted() < 16  # quantize needs room in the context of 28 digits


def money(text: str) -> Decimal | Inexact:
    """An amount as ``numeric(14, 2)``: ``699000.00``, ``1,250``."""
    return _decimal(text, 14, 2)


def coordinate(text: str) -> Decimal | Inexact:
    """Degrees as ``numeric(13, 8)``."""
    value = _decimal(text, 13, 8)
    degrees = value.value if isinstance(value, Inexact) else value
    if abs(degrees) > 180:
        raise ConversionError("not an angle of 180 degrees at most")
    return value


def stories(text: str) -> Decimal | Inexact:
    """A number of stories as ``numeric(6, 2)``: ``1.5``. DDF documents a double."""
    return _decimal(text, 6, 2)


_YEAR = re.compile(r"([12][0-9]{3})(?:\.0*)?")
_YEAR_FIRST = re.compile(r"([12][0-9]{3})[-/][0-9]{1,2}(?:[-/][0-9]{1,2})?(?:[T ].*)?", re.DOTALL)
_YEAR_LAST = re.compile(r"[0-9]{1,2}[-/](?:[0-9]{1,2}[-/])?([12][0-9]{3})(?: .*)?", re.DOTALL)
# English and French, in full or cut: "June 2021", "Sept. 3, 2021", "février 2021"
_YEAR_AND_MONTH = re.compile(
    r"(?:jan|feb|fév|fev|mar|apr|avr|may|mai|jun|juin|jul|juil|aug|aoû|aou|sep|oct|nov|dec|déc)"
    r"[a-zéû]*\.?(?: [0-9]{1,2})?,? ([12][0-9]{3})",
    re.IGNORECASE,
)


def year(text: str) -> int | Inexact:
    """A year, 1000 to 2999: ``1996``, or inexactly the year of a date: ``1996-05-01``."""
    match = _YEAR.fullmatch(text)
    if match is not None:
        return int(match.group(1))
    forms = (_YEAR_FIRST, _YEAR_LAST, _YEAR_AND_MONTH)
    match = next(filter(None, (form.fullmatch(text) for form in forms)), None)
    if match is None:
        raise ConversionError("not a year")
    return Inexact(int(match.group(1)))


def boolean(text: str) -> bool:
    """``True``, ``False`` in any case. An empty element never gets here: it means unknown."""
    lowered = text.lower()
    if lowered == "true":
        return True
    if lowered == "false":
        return False
    raise ConversionError("neither true nor false")


# Measures -------------------------------------------------------------------------------------

#: words for units as DDF writes them → RESO's AreaUnits, LinearUnits, LotSizeUnits
UNITS: Mapping[str, str] = {
    "sqft": "Square Feet",
    "sq ft": "Square Feet",
    "sq. ft.": "Square Feet",
    "ft2": "Square Feet",
    "square feet": "Square Feet",
    "sqm": "Square Meters",
    "sq m": "Square Meters",
    "m2": "Square Meters",
    "square meters": "Square Meters",
    "square metres": "Square Meters",
    "ac": "Acres",
    "acre": "Acres",
    "acres": "Acres",
    "ha": "Hectares",
    "hectare": "Hectares",
    "hectares": "Hectares",
    "ft": "Feet",
    "foot": "Feet",
    "feet": "Feet",
    "m": "Meters",
    "meter": "Meters",
    "meters": "Meters",
    "metre": "Meters",
    "metres": "Meters",
}
_INCHES = frozenset({"in", "in.", "inch", "inches"})

_MEASURE = re.compile(r"([+-]?[0-9.,]+)\s*([^\W\d_]+(?:[. ]{1,3}[^\W\d_]+)*[23]?\.?)?")
_FEET_AND_INCHES = re.compile(
    r"([0-9]{1,9})\s*(?:ft\.?|feet|')\s*"
    r"(?:,?\s*([0-9]{1,4}(?:\.[0-9]{1,6})?)\s*(?:in|inches|\"|'')\.?)?",
    re.IGNORECASE,
)


def measure(text: str) -> Measure:
    """A number and its unit: ``2732 sqft``, ``1838.0000`` (no unit), ``46 ft ,2 in``.

    The number is a ``numeric(14, 4)``, rounded without notice: whoever maps a measure keeps its
    text. The unit is RESO's word, the text's own word when RESO has none, or None.
    """
    inches = _FEET_AND_INCHES.fullmatch(text)
    if inches is not None:
        feet = Decimal(inches.group(1)) + Decimal(inches.group(2) or 0) / 12
        return _as_measure(feet), "Feet"
    match = _MEASURE.fullmatch(text)
    if match is None:
        raise ConversionError("not a number with a unit")
    number = _decimal(match.group(1), 14, 4)
    value = number.value if isinstance(number, Inexact) else number
    unit = match.group(2)
    if unit is None:
        return value, None
    if unit.lower() in _INCHES:
        return _as_measure(value / 12), "Feet"
    return value, UNITS.get(unit.lower(), unit)


def _as_measure(number: Decimal) -> Decimal:
    return number.quantize(Decimal("0.0001"), ROUND_HALF_UP)


#: one of each unit in square metres, or in metres: exact by definition
_SQUARE_METERS: Mapping[str, Decimal] = {
    "Square Feet": Decimal("0.09290304"),
    "Square Meters": Decimal(1),
    "Acres": Decimal("4046.8564224"),
    "Hectares": Decimal(10_000),
}
_METERS: Mapping[str, Decimal] = {"Feet": Decimal("0.3048"), "Meters": Decimal(1)}


def converted(number: Decimal | None, unit: str | None, wanted: str) -> Decimal | None:
    """A measure in another unit, as ``numeric(14, 4)``.

    Args:
        number: None where nothing is known.
        unit: RESO's word, as :func:`measure` gives it, or any other.
        wanted: the same.

    Returns:
        None when either unit is not known, they measure different things, or it is too large.
    """
    if number is None or unit is None:
        return None
    if unit == wanted:
        return number
    for sizes in (_SQUARE_METERS, _METERS):
        if unit in sizes and wanted in sizes:
            value = number * sizes[unit] / sizes[wanted]
            return _as_measure(value) if value.adjusted() < 10 else None
    return None


# Moments and days -----------------------------------------------------------------------------

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_RFC_1123 = re.compile(
    r"(?:[A-Za-z]{3,9},\s*)?([0-9]{1,2}) ([A-Za-z]{3})[a-z]* ([0-9]{4})"
    r" ([0-9]{2}):([0-9]{2}):([0-9]{2}) (?:GMT|UTC|Z|([+-])([0-9]{2})([0-9]{2}))"
)
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_ISO_TWELVE_HOURS = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2}) ([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?"
    r" ?([AaPp])\.?[Mm]\.?"
)
_LOCAL = re.compile(
    r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4}) ([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?"
    r"(?: ?([AaPp])\.?[Mm]\.?)?"
)
_ISO_DAY = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T00:00:00)?")


_GMT_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9] GMT")
_DAYS_SEEN: dict[str, str] = {}
_MOST_DAYS = 5_000


def utc_timestamp(text: str) -> datetime:
    """A moment in UTC: ``Wed, 13 Mar 2024 14:33:02 GMT``, ISO 8601, or Eastern with AM or PM.

    DDF: RFC 1123, always GMT. In 2019 some dates came as its servers print them, in Eastern time:
    ``2019-02-21 6:40:20 PM``, ``22/01/2019 05:17:29 PM``. ISO 8601 is UTC when it names no zone
    (RETS 1.7.2, section 7).
    """
    day_known = _DAYS_SEEN.get(text[:17])
    if day_known is not None and _GMT_TIME.fullmatch(text, 17) is not None:
        return datetime.fromisoformat(f"{day_known}T{text[17:25]}+00:00")
    match = _RFC_1123.fullmatch(text)
    if match is None:
        return _eastern_timestamp(text) or _iso_timestamp(text)
    day, month, year, hour, minute, second, sign, off_hours, off_minutes = match.groups()
    try:
        moment = datetime(
            int(year), _MONTHS[month.lower()], int(day), int(hour), int(minute), int(second), 0, UTC
        )
        if sign is None:
            _remember_day(text, moment)
            return moment
        offset = timedelta(hours=int(off_hours), minutes=int(off_minutes))
        return moment - offset if sign == "+" else moment + offset
    except (ValueError, KeyError, OverflowError):
        raise ConversionError("not a date and time that exists") from None


def _remember_day(text: str, moment: datetime) -> None:
    """Most moments of a feed lie in a few days, written in one way."""
    if _GMT_TIME.fullmatch(text, 17) is not None:
        if len(_DAYS_SEEN) >= _MOST_DAYS:
            _DAYS_SEEN.clear()
        _DAYS_SEEN[text[:17]] = moment.date().isoformat()


@cache
def _eastern() -> ZoneInfo:
    return ZoneInfo("America/Toronto")


def _eastern_timestamp(text: str) -> datetime | None:
    """A moment that names the half of the day, as no standard does; None when it does not."""
    moment = _twelve_hours(text)
    if moment is None:
        return None
    try:
        return moment.replace(tzinfo=_eastern()).astimezone(UTC)
    except OverflowError:
        raise ConversionError("not a date and time that exists") from None


def _twelve_hours(text: str) -> datetime | None:
    """``22/01/2019 05:17:29 PM``, ``2019-02-21 6:40:20 PM``: day first, or year first."""
    match = _LOCAL.fullmatch(text)
    if match is not None:
        day, month, year, hour, minute, second, half = match.groups()
    else:
        match = _ISO_TWELVE_HOURS.fullmatch(text)
        if match is None:
            return None
        year, month, day, hour, minute, second, half = match.groups()
    if half is None:
        return None
    try:
        return datetime(
            int(year), int(month), int(day), _hour(int(hour), half), int(minute), int(second or 0)
        )
    except ValueError:
        raise ConversionError("not a date and time that exists") from None


def _iso_timestamp(text: str) -> datetime:
    match = _ISO.fullmatch(text)
    if match is None:
        raise ConversionError("not a date and time (RFC 1123 or ISO 8601)")
    try:
        moment = datetime.fromisoformat(text)
        if match.group(1) is None:
            return moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConversionError("not a date and time that exists") from None


def local_timestamp(text: str) -> datetime:
    """A moment local to the property, without a zone: ``17/03/2024 02:00:00 PM``.

    DDF: open houses; day before month. ISO without a zone is read too.
    """
    moment = _twelve_hours(text)
    if moment is not None:
        return moment
    match = _LOCAL.fullmatch(text)
    if match is None:
        return _iso_local(text)
    day, month, year, hour, minute, second, _ = match.groups()
    try:
        return datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0))
    except ValueError:
        raise ConversionError("not a date and time that exists") from None


def _hour(hour: int, half: str) -> int:
    if not 1 <= hour <= 12:
        raise ValueError
    return hour % 12 + (12 if half in "Pp" else 0)


def _iso_local(text: str) -> datetime:
    match = _ISO.fullmatch(text)
    if match is None or match.group(1) is not None:
        raise ConversionError("not a local date and time (dd/MM/yyyy hh:mm:ss AM)")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ConversionError("not a date and time that exists") from None


def event_time(text: str) -> datetime | Inexact:
    """A moment of an event: ``17/03/2024 02:00:00 PM``, local to the property.

    DDF: open houses are local (:func:`local_timestamp`). How live streams write theirs has not
    been seen: a text that names its zone is taken by its word, and kept.
    """
    zoned = _ISO.fullmatch(text)
    if _RFC_1123.fullmatch(text) or (zoned is not None and zoned.group(1)):
        return Inexact(utc_timestamp(text))
    return local_timestamp(text)


def iso_date(text: str) -> date:
    """A day: ``2024-03-13``."""
    match = _ISO_DAY.fullmatch(text)
    if match is None:
        raise ConversionError("not a day (yyyy-MM-dd)")
    try:
        return date.fromisoformat(match.group(1))
    except ValueError:
        raise ConversionError("not a day that exists") from None


def rfc_1123(moment: datetime) -> str:
    """A moment as DDF writes it: ``Wed, 13 Mar 2024 14:33:02 GMT``."""
    moment = moment.astimezone(UTC)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[moment.weekday()]
    month = tuple(_MONTHS)[moment.month - 1].title()
    return f"{day}, {moment.day:02} {month} {moment.year:04} {moment:%H:%M:%S} GMT"


# Lookups --------------------------------------------------------------------------------------

#: DDF joins the values of a lookup with a comma and a space, and 16 values, of 10 lookups, hold a
#: comma themselves. These seven are established. Names of boards (DDF sends a board's number) and a
#: designation of agents (which has an element of its own) are among the others, and are never
#: joined. What the server's metadata knows beyond these is added by ``mapping.taught``.
LOOKUP_VALUES_WITH_COMMAS: Mapping[str, tuple[str, ...]] = {
    "BasementDevelopment": ("Other, See Remarks",),
    "BusinessType": ("Agriculture, Forestry, Fishing and Hunting",),
    "LeaseType": ("Other, See Remarks",),
    "MaintenanceFeeType": ("Other, See Remarks",),
    "OwnershipType": ("Other, See Remarks",),
    "RoomType": ("Recreational, Games room",),
    "WaterFrontType": ("Waterfront, Road Between",),
}

_BASEMENT = re.compile(r"([^()]+?) \(([^()]*)\)")


def lookup_values(lookup: str, known: Mapping[str, tuple[str, ...]] | None = None) -> Converter:
    """A converter from DDF's joined text to the list of the values of ``lookup``.

    Args:
        lookup: DDF's name of the lookup.
        known: values that hold commas, by lookup; default :data:`LOOKUP_VALUES_WITH_COMMAS`. The
            longest that fits wins.
    """
    whole = (LOOKUP_VALUES_WITH_COMMAS if known is None else known).get(lookup, ())
    if not whole:
        return _plain_values
    longest_first = sorted(whole, key=len, reverse=True)
    item = re.compile(
        "(" + "|".join(re.escape(value) for value in longest_first) + r"|.*?)(?:, |\Z)", re.DOTALL
    )

    def values(text: str) -> list[str] | Inexact:
        return _without_empty(_items(item, text))

    return values


def _items(item: re.Pattern[str], text: str) -> list[str]:
    found, position = [], 0
    while True:
        match = item.match(text, position)
        assert match is not None  # `.*?` followed by the end always matches
        found.append(match.group(1))
        if match.end() == len(text):
            if match.end() > match.end(1):  # the text ends with a separator
                found.append("")
            return found
        position = match.end()


def _plain_values(text: str) -> list[str] | Inexact:
    if ", " not in text:
        return [text]
    return _without_empty(text.split(", "))


def _without_empty(values: list[str]) -> list[str] | Inexact:
    if "" in values:
        return Inexact([value for value in values if value])
    return values


def values_with_commas(
    lookups: Mapping[str, Iterable[str]],
) -> Mapping[str, tuple[str, ...]]:
    """The values that a plain split would break, for :func:`lookup_values`.

    Args:
        lookups: name to all values, as METADATA-LOOKUP_TYPE has them (``LongValue``).

    Returns:
        Those with a comma and a space inside, with :data:`LOOKUP_VALUES_WITH_COMMAS`.
    """
    found = {name: list(known) for name, known in LOOKUP_VALUES_WITH_COMMAS.items()}
    for name, some in lookups.items():
        known = found.setdefault(name, [])
        known += [value for value in some if ", " in value and value not in known]
    return {name: tuple(known) for name, known in found.items() if known}


def basement_types(text: str) -> list[str] | Inexact:
    """The types out of ``Full (Unfinished), Crawl space (Other, See Remarks)``.

    DDF: the server composes each value as type and development; the development has an element of
    its own beside it.
    """
    items = re.split(r", (?![^(]*\))", text)
    types = []
    for item in items:
        match = _BASEMENT.fullmatch(item)
        types.append(item if match is None else match.group(1))
    values = [value for value in types if value]
    return values if values == items else Inexact(values)


def basement_developments(text: str) -> list[str]:
    """The developments in the brackets of ``Full (Unfinished), Crawl space``, each once."""
    matches = map(_BASEMENT.fullmatch, re.split(r", (?![^(]*\))", text))
    return list(dict.fromkeys(match.group(2) for match in matches if match and match.group(2)))


# Photos ---------------------------------------------------------------------------------------

_TICKS = re.compile(r"/TS([0-9]+)/")


def change_token(
    url: str | None, photo_last_updated: str | None, other_date: str | None = None
) -> str:
    """What changes when a photo's bytes do.

    DDF: the number behind ``TS`` in the address is the photo's time of change in full resolution;
    older payloads have no addresses, but ``PhotoLastUpdated``. The other date is wrong at the
    source, but changes. Nothing at all: a photo of which nobody can tell whether it changed.
    """
    ticks = _TICKS.search(url) if url else None
    if ticks is not None:
        return ticks.group(1)
    return photo_last_updated or url or other_date or ""
