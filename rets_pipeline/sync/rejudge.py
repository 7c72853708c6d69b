"""Coordinates judged once more, when the settings have changed by which they were.

What belongs here: finding that out, and the verdicts that change. What does not: the rules
(``geocoding.judge``), and asking for what is refused now (``addresses``).

Another version of the program may normalize addresses in another way. Then they have other hashes,
under which nothing is known yet: the listings get theirs here, or nobody would ask for them.

Geocoders' answers are shared by all feeds. They are judged by the settings of the feed whose
settings changed last, or that asked for them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import sqlalchemy as sa

from rets_pipeline.geocoding import judge, policy
from rets_pipeline.geocoding.addresses import Address, normalize
from rets_pipeline.geocoding.answers import Precision
from rets_pipeline.geocoding.policy import State
from rets_pipeline.settings import AddressSettings, FeedConfig
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.warehouse import addresses
from rets_pipeline.warehouse.addresses import Answer, Judgement, LookedAt
from rets_pipeline.warehouse.engine import transaction

#: listings in one transaction
_ROWS = 500


def settings_of(feed: FeedConfig) -> str:
    """What the verdicts on a feed's coordinates depend on."""
    settings = feed.addresses
    # The hash of no address at all tells one way to normalize from another.
    way = Address().hash[:8]
    return f"{settings.kilometres:g} km, {settings.rural_kilometres:g} km rural, hashes {way}"


def is_due(connection: sa.Connection, feed: FeedConfig) -> bool:
    """Whether an address run would have to judge something once more."""
    found = addresses.judgement(connection, feed.name)
    return found is not None and found.judged_by != settings_of(feed)


def judged_again(mirror: Mirror, connection: sa.Connection, deadline: float) -> int:
    """Judge what was judged by other settings, as far as the time suffices; the next run goes on.

    Args:
        mirror: the run.
        connection: of the holder of the lock of addresses.
        deadline: by the monotonic clock.

    Returns:
        How many coordinates of payloads, and answers of geocoders, have another verdict now; with
        the listings whose address has another hash.
    """
    feed, wanted = mirror.feed.name, settings_of(mirror.feed)
    with transaction(connection):
        found = addresses.judgement(connection, feed) or Judgement(wanted, wanted)
        if found.judging_by != wanted:
            partly = f", partly {found.judging_by}" if found.judged_until else ""
            found = Judgement(found.judged_by + partly, wanted)
        addresses.record_judgement(connection, feed, found)
    changed = done = 0
    while found.judged_by != wanted and time.monotonic() < deadline:
        mirror.progress("judging again", done, None)
        with transaction(connection):
            rows = addresses.looked_at(connection, feed, found.judged_until or "", _ROWS)
            changed += _listings(connection, mirror.feed, rows)
            changed += _answers(connection, mirror.feed, rows)
            if rows:
                found = replace(found, judged_until=rows[-1].listing.listing_key)
            else:
                found = Judgement(wanted, wanted)
            addresses.record_judgement(connection, feed, found)
        done += len(rows)
    return changed


def _listings(connection: sa.Connection, feed: FeedConfig, rows: Sequence[LookedAt]) -> int:
    """The hashes of addresses, and the coordinates in payloads."""
    changed, texts = [], {}
    for row in rows:
        listing, state, reason = row.listing, row.payload_coordinates, row.reason
        address = normalize(**listing.address)
        if listing.latitude is not None and listing.longitude is not None:
            point = float(listing.latitude), float(listing.longitude)
            reason = judge.objection(*point, address, feed.addresses)
            state = "refused" if reason else "accepted"
        if (address.hash, reason) != (row.address_hash, row.reason):
            changed.append(
                {
                    "listing_key": listing.listing_key,
                    "seen": listing.seen,
                    "address_hash": address.hash,
                    "payload_coordinates": state,
                    "reason": reason,
                }
            )
            if state != "accepted":
                texts[address.hash] = address.text
    addresses.record_listings(connection, feed.name, changed, texts)
    return len(changed)


def _answers(connection: sa.Connection, feed: FeedConfig, rows: Sequence[LookedAt]) -> int:
    """The answers of geocoders to the addresses of those listings."""
    found = [normalize(**row.listing.address) for row in rows]
    asked = {address.hash: address for address in found}
    order = [geocoder.name for geocoder in feed.addresses.geocoders]
    changed: list[Answer] = []
    best: dict[str, Answer | None] = {}
    unknown: set[str] = set()
    for key, known in addresses.answers(connection, sorted(asked)).items():
        again = [_again(answer, asked[key], feed.addresses) for answer in known.values()]
        new = [answer for answer in again if answer != known[answer.provider]]
        if new:
            changed += new
            best[key] = policy.best(again, order)
            if policy.is_open(again):
                unknown.add(key)
    addresses.record_answers(connection, changed, best, unknown)
    return len(changed)


def _again(answer: Answer, address: Address, settings: AddressSettings) -> Answer:
    """An answer as it is judged now: one that was refused for its distance may be believed."""
    if answer.latitude is None or answer.longitude is None:
        return answer
    reason = judge.objection(answer.latitude, answer.longitude, address, settings)
    if answer.state == State.FOUND and reason is not None:
        state = State.REFUSED
    elif answer.state == State.REFUSED and judge.is_for_distance(answer.reason) and not reason:
        state = State.FOUND
    else:
        return answer
    precision, now = Precision(answer.precision or ""), datetime.now(UTC)
    due = policy.next_attempt(state, precision, 0, now, settings)
    return replace(answer, state=state.value, reason=reason, attempts=0, next_attempt=due)
