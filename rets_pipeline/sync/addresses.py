"""Coordinates in step with the addresses.

What belongs here: which listings are looked at, which addresses are asked of whom, and in which
order. What does not: reading addresses and asking (``geocoding``), SQL (``warehouse.addresses``).

First the listings whose address or coordinates have changed are looked at: coordinates in the
payload that can be right are kept. Then the addresses of the others are asked for, each once,
whichever feeds and listings have it. Each step is written before the next one begins: a run that
is killed loses one answer at most, and never forgets a request that it has paid for.

Address runs hold one lock for all feeds: they share the answers, and the geocoders' budgets.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import sqlalchemy as sa

from rets_pipeline.geocoding import judge, policy
from rets_pipeline.geocoding.addresses import Address, normalize
from rets_pipeline.geocoding.answers import (
    AddressFault,
    Precision,
    ProviderFault,
    confidence_in,
)
from rets_pipeline.geocoding.policy import State
from rets_pipeline.geocoding.providers import Provider
from rets_pipeline.settings import AddressSettings, FeedConfig
from rets_pipeline.sync import rejudge
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.sync.rejudge import judged_again
from rets_pipeline.warehouse import addresses, backlog
from rets_pipeline.warehouse.addresses import Answer, Listing, Standing
from rets_pipeline.warehouse.backlog import Backlog
from rets_pipeline.warehouse.engine import transaction

logger = logging.getLogger(__name__)

#: one for all feeds: they share the answers and the geocoders' budgets
LOCK = "addresses"
#: listings looked at, and addresses answered without a request, in one transaction
_ROWS = 500


@dataclass(slots=True)
class AddressCounts:
    """What an address run did.

    Attributes:
        listings: looked at.
        payload_accepted: of them with coordinates in the payload that can be right.
        payload_refused: with such that cannot.
        cached: without any, whose address a geocoder has answered before.
        addresses: asked for.
        requests: sent to geocoders.
        improved: addresses whose answer is more exact than before.
        located: addresses that got their first answer.
        not_found: answers that there is no such place.
        refused: answers that cannot be right.
        failed: requests without an answer.
        rejudged: coordinates and answers with another verdict, since the settings have changed,
            and listings whose address has another hash, since it is normalized in another way.
        removed: listings that are gone.
        left: listings to look at, and addresses to ask for, in the next run.
        answered: answers that were believed, by geocoder.
    """

    listings: int = 0
    payload_accepted: int = 0
    payload_refused: int = 0
    cached: int = 0
    addresses: int = 0
    requests: int = 0
    located: int = 0
    improved: int = 0
    not_found: int = 0
    refused: int = 0
    failed: int = 0
    rejudged: int = 0
    removed: int = 0
    left: int = 0
    answered: dict[str, int] = field(default_factory=dict)

    def numbers(self) -> dict[str, int]:
        """All of them, those of the geocoders as ``answered_by_<name>``."""
        names = [name for name in self.__slots__ if name != "answered"]
        return {
            **{name: getattr(self, name) for name in names},
            **{f"answered_by_{name}": count for name, count in self.answered.items()},
        }


def mirror_addresses(mirror: Mirror) -> AddressCounts:
    """One bounded batch: ``addresses.per_run`` and ``seconds_per_run``; the next run goes on.

    Raises:
        SettingsError: a geocoder's key is not in the environment.
        LockHeld: another address run did not end in time.
    """
    feed, settings = mirror.feed.name, mirror.feed.addresses
    deadline = time.monotonic() + settings.seconds_per_run
    counts = AddressCounts(answered={geocoder.name: 0 for geocoder in settings.geocoders})
    with ExitStack() as stack:
        connection = mirror.lock(LOCK)
        # After the lock: their distance from the last request begins now.
        providers = [
            stack.enter_context(closing(Provider(geocoder, settings)))
            for geocoder in settings.geocoders
        ]
        counts.rejudged = judged_again(mirror, connection, deadline)
        _look(mirror, connection, counts, deadline)
        _Chain(mirror, connection, providers, counts, deadline).run()
    with transaction(connection):
        counts.removed = addresses.remove_gone(connection, feed, settings.per_run)
        counts.left = address_backlog(connection, mirror.feed)
    mirror.note("addresses", **counts.numbers())
    return counts


def waiting(feed: FeedConfig) -> Backlog:
    """What an address run would find to do, for whoever starts it."""

    def signal(connection: sa.Connection, now: datetime) -> str:
        seen = connection.execute(backlog.newest_change(feed.name)).one()
        due = addresses.last_due(connection, now)
        askable = ",".join(_askable(connection, feed, now))
        return f"{seen.applied_at} {seen.gone_at} {due} {askable} {rejudge.settings_of(feed)}"

    def count(connection: sa.Connection, now: datetime) -> int:
        return address_backlog(connection, feed, now=now, bound=backlog.BOUND)

    return Backlog(signal, count)


def address_backlog(
    connection: sa.Connection,
    feed: FeedConfig,
    *,
    now: datetime | None = None,
    bound: int | None = None,
) -> int:
    """How much an address run would find to do now; SQL only.

    Args:
        now: geocoders that rest, or whose budget is used up, count from their time on.
        bound: see :func:`addresses.backlog`.
    """
    now = now or _now()
    askable = _askable(connection, feed, now)
    found = addresses.backlog(connection, feed.name, askable, policy.ENOUGH, now, bound)
    return found + rejudge.is_due(connection, feed)


def _askable(connection: sa.Connection, feed: FeedConfig, now: datetime) -> list[str]:
    standing = addresses.standing(connection)
    return [
        geocoder.name
        for geocoder in feed.addresses.geocoders
        if geocoder.name == "offline"
        or _is_askable(standing.get(geocoder.name), geocoder.daily_requests, now)
    ]


def _look(
    mirror: Mirror, connection: sa.Connection, counts: AddressCounts, deadline: float
) -> None:
    """Read the addresses that were not seen as they are now, and judge their coordinates."""
    feed, settings = mirror.feed.name, mirror.feed.addresses
    while counts.listings < settings.per_run and time.monotonic() < deadline:
        limit = min(_ROWS, settings.per_run - counts.listings)
        with transaction(connection):
            found = addresses.unseen(connection, feed, limit)
            rows: list[dict[str, Any]] = []
            texts: dict[str, str] = {}
            for listing in found:
                address = normalize(**listing.address)
                row = _looked_at(listing, address, settings)
                rows.append(row)
                if row["payload_coordinates"] != "accepted":
                    texts[address.hash] = address.text
            known = addresses.record_listings(connection, feed, rows, texts)
        _count_rows(rows, known, counts)
        mirror.progress("listings", counts.listings, None)
        if len(found) < limit:
            return


def _looked_at(listing: Listing, address: Address, settings: AddressSettings) -> dict[str, Any]:
    state, reason = "absent", None
    if listing.latitude is not None and listing.longitude is not None:
        point = float(listing.latitude), float(listing.longitude)
        reason = judge.objection(*point, address, settings)
        state = "refused" if reason else "accepted"
    return {
        "listing_key": listing.listing_key,
        "seen": listing.seen,
        "address_hash": address.hash,
        "payload_coordinates": state,
        "reason": reason,
    }


def _count_rows(rows: list[dict[str, Any]], known: set[str], counts: AddressCounts) -> None:
    counts.listings += len(rows)
    for row in rows:
        state = row["payload_coordinates"]
        counts.payload_accepted += state == "accepted"
        counts.payload_refused += state == "refused"
        counts.cached += state != "accepted" and row["address_hash"] in known


class _Chain:
    """Geocoders asked one after another, within their budgets.

    Args:
        connection: that of the lock.
        providers: in the order of the settings.
        deadline: by the monotonic clock; nothing is asked after it.
    """

    def __init__(
        self,
        mirror: Mirror,
        connection: sa.Connection,
        providers: Sequence[Provider],
        counts: AddressCounts,
        deadline: float,
    ) -> None:
        self._mirror = mirror
        self._settings = mirror.feed.addresses
        self._connection = connection
        self._providers = providers
        self._order = [provider.name for provider in providers]
        self._counts = counts
        self._deadline = deadline
        self._standing: dict[str, Standing] = {}

    def run(self) -> None:
        """Ask for what the feed's listings need."""
        with transaction(self._connection):
            self._standing = addresses.standing(self._connection)
            wanted = addresses.wanted(
                self._connection,
                self._mirror.feed.name,
                [provider.name for provider in self._providers if self._may_ask(provider)],
                policy.ENOUGH,
                _now(),
                self._settings.per_run,
            )
        self._mirror.progress("addresses", 0, len(wanted))
        waiting = iter(wanted.items())
        while some := dict(islice(waiting, _ROWS)):
            if not self._several({key: normalize(**columns) for key, columns in some.items()}):
                return
            self._mirror.progress("addresses", self._counts.addresses, len(wanted))

    def _several(self, wanted: dict[str, Address]) -> bool:
        """Some addresses, of which those without a request are written together.

        Returns:
            Whether there is time for more.
        """
        with transaction(self._connection):
            remembered = addresses.answers(self._connection, list(wanted))
        unwritten: dict[str, list[Answer]] = {}
        for key, address in wanted.items():
            if time.monotonic() >= self._deadline:
                break
            if address.hash != key:
                # The listing has changed since it was looked at, or its address is normalized in
                # another way and there was no time yet to judge it again: the next run does.
                continue
            self._counts.addresses += 1
            requests = self._counts.requests
            for answer in self._ask_for(address, remembered[key]):
                unwritten.setdefault(key, []).append(answer)
                if self._counts.requests > requests:  # it was paid for
                    self._write(unwritten, remembered)
                    unwritten = {}
        self._write(unwritten, remembered)
        return time.monotonic() < self._deadline

    def _write(
        self, unwritten: dict[str, list[Answer]], remembered: dict[str, dict[str, Answer]]
    ) -> None:
        best: dict[str, Answer | None] = {}
        for key, given in unwritten.items():
            before = policy.best(remembered[key].values(), self._order)
            remembered[key] |= {answer.provider: answer for answer in given}
            best[key] = policy.best(remembered[key].values(), self._order)
            self._count_progress(before, best[key])
        if best:
            unknown = {key for key in best if policy.is_open(remembered[key].values())}
            with transaction(self._connection):
                given = [answer for some in unwritten.values() for answer in some]
                addresses.record_answers(self._connection, given, best, unknown)

    def _count_progress(self, before: Answer | None, now: Answer | None) -> None:
        if now is None:
            return
        if before is None:
            self._counts.located += 1
        elif Precision(now.precision or "").rank < Precision(before.precision or "").rank:
            self._counts.improved += 1

    def _ask_for(self, address: Address, remembered: dict[str, Answer]) -> Iterator[Answer]:
        """The answers of geocoders, until one of them is exact enough."""
        for provider in self._providers:
            answer = remembered.get(provider.name)
            if not policy.is_settled(answer, _now()):
                if not self._may_ask(provider) or time.monotonic() >= self._deadline:
                    continue  # a less exact one may answer meanwhile
                answer = self._ask(provider, address, answer)
                if answer is not None:
                    yield answer
            if policy.is_enough(answer):
                return

    def _ask(self, provider: Provider, address: Address, before: Answer | None) -> Answer | None:
        """One answer, or None when the geocoder answers nothing to anybody now."""
        if provider.remote and not address.line:
            return self._answer(provider, address, State.NOT_FOUND, reason="no street to ask for")
        self._spend(provider)
        try:
            found = provider.ask(address)
        except ProviderFault as fault:
            self._fault(provider, str(fault), at_once=True, rest=fault.rest)
            return None
        except AddressFault as fault:
            self._fault(provider, str(fault))
            attempts = (before.attempts if before else 0) + 1
            failed = self._answer(
                provider, address, State.FAILED, reason=str(fault), attempts=attempts
            )
            return _kept(before, failed)
        self._works(provider)
        if found is None:
            self._counts.not_found += 1
            return self._answer(provider, address, State.NOT_FOUND)
        reason = judge.objection(
            found.latitude, found.longitude, address, self._settings, province=found.province
        )
        if reason is None:
            self._counts.answered[provider.name] += 1
        else:
            self._counts.refused += 1
        answer = self._answer(
            provider,
            address,
            State.FOUND if reason is None else State.REFUSED,
            precision=found.precision,
            text=found.matched_text,
            reason=reason,
        )
        answer = replace(  # a refused place, too: it may be believed by other settings
            answer,
            latitude=found.latitude,
            longitude=found.longitude,
            confidence=confidence_in(found, address),
        )
        return answer if reason is None else _kept(before, answer)

    def _answer(
        self,
        provider: Provider,
        address: Address,
        state: State,
        *,
        precision: Precision | None = None,
        text: str | None = None,
        reason: str | None = None,
        attempts: int = 0,
    ) -> Answer:
        now = _now()
        return Answer(
            address_hash=address.hash,
            provider=provider.name,
            state=state.value,
            latitude=None,
            longitude=None,
            precision=precision.value if precision else None,
            confidence=None,
            matched_text=text,
            reason=reason,
            answered_at=now,
            attempts=attempts,
            next_attempt=policy.next_attempt(state, precision, attempts, now, self._settings),
        )

    def _may_ask(self, provider: Provider) -> bool:
        return not provider.remote or _is_askable(
            self._standing.get(provider.name), provider.daily_requests, _now()
        )

    def _spend(self, provider: Provider) -> None:
        """Count a request before it is sent: a run that is killed must not forget it."""
        if not provider.remote:
            return
        self._counts.requests += 1
        today = _now().date()
        before = self._standing.get(provider.name) or Standing(today, 0, 0, None, None)
        spent = before.requests if before.day == today else 0
        self._stand(provider, replace(before, day=today, requests=spent + 1))

    def _works(self, provider: Provider) -> None:
        before = self._standing.get(provider.name)
        if before is not None and (before.faults or before.reason):
            self._stand(provider, replace(before, faults=0, resting_until=None, reason=None))

    def _fault(
        self,
        provider: Provider,
        reason: str,
        *,
        at_once: bool = False,
        rest: timedelta | None = None,
    ) -> None:
        """Count it; a service that says so, or fails several times in a row, is left alone."""
        self._counts.failed += 1
        before = self._standing.get(provider.name) or Standing(_now().date(), 0, 0, None, None)
        faults, until = before.faults + 1, before.resting_until
        rests = faults if at_once else faults - policy.FAULTS_IN_A_ROW + 1
        if rests > 0:
            # A service that asks for less, or for nothing, would be asked in vain all day.
            rest = max(policy.rest(rests), rest or timedelta(0))
            until = _now() + rest
            logger.warning(
                "feed %s: geocoder %s: %s; it is not asked again for %s",
                self._mirror.feed.name, provider.name, reason, rest,
            )  # fmt: skip
        self._stand(provider, replace(before, faults=faults, resting_until=until, reason=reason))

    def _stand(self, provider: Provider, now: Standing) -> None:
        self._standing[provider.name] = now
        with transaction(self._connection):
            addresses.record_standing(self._connection, provider.name, now)


def _kept(before: Answer | None, now: Answer) -> Answer:
    """A place that was believed still is, when asking for a better one brought none."""
    if before is None or before.state != State.FOUND:
        return now
    return replace(before, reason=now.reason, attempts=now.attempts, next_attempt=now.next_attempt)


def _is_askable(standing: Standing | None, daily_requests: int, now: datetime) -> bool:
    if standing is None:
        return daily_requests > 0
    if standing.resting_until is not None and standing.resting_until > now:
        return False
    return standing.day != now.date() or standing.requests < daily_requests


def _now() -> datetime:
    return datetime.now(UTC)
