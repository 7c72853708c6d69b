"""When an address is asked again, and which answer counts.

What belongs here: expiry, the best of several answers, and how long a geocoder that fails is left
alone. What does not: where answers are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, TypeVar

from rets_pipeline.geocoding.answers import Precision
from rets_pipeline.settings import AddressSettings

#: the next geocoder is asked unless the answer is as exact as one of these
ENOUGH = (Precision.ROOFTOP, Precision.STREET)
#: faults of a service in a run, one after another, after which it rests
FAULTS_IN_A_ROW = 3
_FIRST_REST = timedelta(minutes=15)
_LONGEST_REST = timedelta(days=1)


class State(StrEnum):
    """What became of asking."""

    FOUND = "found"
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    FAILED = "failed"


class Remembered(Protocol):
    """An answer that is kept."""

    @property
    def provider(self) -> str: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def precision(self) -> str | None: ...  # noqa: D102
    @property
    def next_attempt(self) -> datetime | None: ...  # noqa: D102


R = TypeVar("R", bound=Remembered)


def is_settled(answer: Remembered | None, now: datetime) -> bool:
    """Whether asking that provider again is of no use yet."""
    return answer is not None and (answer.next_attempt is None or answer.next_attempt > now)


def is_enough(answer: Remembered | None) -> bool:
    """Whether nobody else needs to be asked."""
    return answer is not None and answer.state == State.FOUND and answer.precision in ENOUGH


def next_attempt(
    state: State,
    precision: Precision | None,
    attempts: int,
    now: datetime,
    settings: AddressSettings,
) -> datetime | None:
    """When to ask the same provider for the same address again.

    Args:
        attempts: failures so far, one after another, this one included.

    Returns:
        None: never, it is as exact as a street.
    """
    if state is State.FOUND:
        return None if precision in ENOUGH else now + timedelta(days=settings.improve_days)
    if state is State.FAILED:
        return now + rest(attempts)
    return now + timedelta(days=settings.retry_days)


def rest(faults: int) -> timedelta:
    """How long to wait after so many faults: 15 minutes, then twice as long, at most a day."""
    return min(_LONGEST_REST, _FIRST_REST * (1 << min(max(faults, 1) - 1, 16)))


def is_open(answers: Iterable[Remembered]) -> bool:
    """Whether a geocoder has yet to say if there is such a place: the last time it failed."""
    return any(answer.state == State.FAILED for answer in answers)


def best(answers: Iterable[R], order: Sequence[str]) -> R | None:
    """The most exact answer; of equals that of the geocoder that the feed names first."""
    found = [answer for answer in answers if answer.state == State.FOUND and answer.precision]
    places = {name: place for place, name in enumerate(order)}
    return min(
        found,
        key=lambda answer: (
            Precision(answer.precision or "").rank,
            places.get(answer.provider, len(places)),
            answer.provider,
        ),
        default=None,
    )
