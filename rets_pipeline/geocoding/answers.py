"""What a geocoder answered, in the same terms for all of them.

What belongs here: precisions, answers, and the faults that are no answers. What does not: where
they come from (``providers``), and whether they are believed (``judge``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from rets_pipeline.geocoding.addresses import Address, normalize
from rets_pipeline.geocoding.words import fold

_DIGITS = re.compile(r"[0-9]{1,9}")


class Precision(StrEnum):
    """How near an answer is to the house, the nearest first."""

    ROOFTOP = "rooftop"
    STREET = "street"
    POSTAL_CODE = "postal_code"
    FSA = "fsa"
    CITY = "city"

    @property
    def rank(self) -> int:
        """0 is the nearest."""
        return list(Precision).index(self)


@dataclass(frozen=True, slots=True)
class Answer:
    """A place that a provider found.

    Attributes:
        latitude: in degrees.
        longitude: in degrees.
        matched_text: the address that the provider understood.
        confidence: 0 to 1, as far as the provider tells; see :func:`confidence_in`.
        province: where the provider says that the place lies, as two letters; ``""`` for a place
            outside Canada, None when it does not tell.
        house: its number, as the provider tells it; empty: it does not. So is the street.
    """

    latitude: float
    longitude: float
    precision: Precision
    matched_text: str
    confidence: float | None = None
    province: str | None = None
    house: str = ""
    street: str = ""


class AddressFault(Exception):
    """This address could not be asked for now; another one may be. The message says why."""


class ProviderFault(Exception):
    """The provider answers nothing for a while; the message says why.

    Attributes:
        rest: how long to leave it alone; None: the caller decides.
    """

    def __init__(self, reason: str, rest: timedelta | None = None) -> None:
        super().__init__(reason)
        self.rest = rest


def precision_in(answer: Answer, address: Address) -> Precision:
    """How near it is to the house that was asked for: another house, or street, is no rooftop."""
    if answer.street and not _is_street(answer.street, address):
        nearest = Precision.CITY
    elif answer.house and not _is_house(answer.house, address):
        nearest = Precision.STREET
    else:
        return answer.precision
    return max(answer.precision, nearest, key=lambda precision: precision.rank)


def _is_street(told: str, address: Address) -> bool:
    """In one of its languages, with or without a first name, a particle or a blank.

    Of ``County Rd 12`` and ``Range Road 5`` the number suffices.
    """
    asked = address.name.split()
    for part in told.split("/"):
        found = normalize(street_name=part).name.split()
        both = set(asked) & set(found)
        if both in (set(asked), set(found)) or "".join(asked) == "".join(found):
            return True
        if any(word.isdigit() for word in both):
            return True
    return False


def _is_house(told: str, address: Address) -> bool:
    """Without letters: ``1255-1259`` and ``1255A`` are 1255."""
    asked, found = (
        [int(number) for number in _DIGITS.findall(text)] for text in (address.number, told)
    )
    if not asked or not found:
        return not found
    return asked[0] in found or (len(found) == 2 and found[0] <= asked[0] <= found[1])


def confidence_in(answer: Answer, address: Address) -> float:
    """0 to 1: the provider's own figure, or else the share of the address that it repeats."""
    if answer.confidence is not None:
        return min(1.0, max(0.0, answer.confidence))
    matched = fold(answer.matched_text).split()
    joined = "".join(matched)
    parts = [
        part
        for part in (address.number, address.name, address.city, address.postal_code.lower())
        if part
    ]
    found = sum(part in matched or part.replace(" ", "") in joined for part in parts)
    return round(found / len(parts), 4) if parts else 0.0
