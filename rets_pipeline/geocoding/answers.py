"""What a geocoder answered, in the same terms for all of them.

What belongs here: precisions, answers, and the faults that are no answers. What does not: where
they come from (``providers``), and whether they are believed (``judge``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from rets_pipeline.geocoding.addresses import Address
from rets_pipeline.geocoding.words import fold


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
    """

    latitude: float
    longitude: float
    precision: Precision
    matched_text: str
    confidence: float | None = None
    province: str | None = None


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
