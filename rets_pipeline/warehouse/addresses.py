"""The ledgers of addresses.

What belongs here: which listings and addresses lack something, and the statements that write
``address_sync``, ``geocode``, ``geocode_answer`` and ``geocode_provider``. What does not:
normalizing and asking (``geocoding``), and their order (``sync.addresses``).

A listing's coordinates are right when they are its payload's, unless those were refused, or else
those of the address that it has now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from rets_pipeline.warehouse import bulk, ledgers, tables

#: the columns of a listing that an address is read from
ADDRESS_COLUMNS = (
    "street_number",
    "street_dir_prefix",
    "street_name",
    "street_suffix",
    "street_dir_suffix",
    "unit_number",
    "street_address",
    "city",
    "state_or_province",
    "postal_code",
)
#: what ``address_sync.seen`` is made of
_SEEN_COLUMNS = (*ADDRESS_COLUMNS, "latitude", "longitude")
_AT_ONCE = 500


def seen(alias: str) -> str:
    """SQL for what ``address_sync.seen`` holds, from the columns of ``property``.

    Args:
        alias: of the table in the statement.
    """
    parts = (f"COALESCE(CAST({alias}.{name} AS TEXT), '')" for name in _SEEN_COLUMNS)
    return " || '|'\n        || ".join(parts)


@dataclass(frozen=True, slots=True)
class Listing:
    """A listing whose address or coordinates were not seen as they are now.

    Attributes:
        seen: what the database makes of them, to be written back.
        address: the columns of :data:`ADDRESS_COLUMNS`.
    """

    listing_key: str
    seen: str
    address: Mapping[str, str | None]
    latitude: Decimal | None
    longitude: Decimal | None


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A listing with its row of ``address_sync``."""

    listing: Listing
    address_hash: str
    payload_coordinates: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A row of ``geocode_answer``."""

    address_hash: str
    provider: str
    state: str
    latitude: float | None
    longitude: float | None
    precision: str | None
    confidence: float | None
    matched_text: str | None
    reason: str | None
    answered_at: datetime
    attempts: int
    next_attempt: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A row of ``geocode_provider``."""

    day: date
    requests: int
    faults: int
    resting_until: datetime | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Located:
    """Live listings by where their coordinates come from."""

    listings: int
    by_payload: int
    by_geocoder: int


def unseen(connection: sa.Connection, feed: str, limit: int) -> list[Listing]:
    """Listings that are new, or whose address or coordinates have changed."""
    listing = tables.property_.alias("p")
    columns = [listing.c[name] for name in (*ADDRESS_COLUMNS, "latitude", "longitude")]
    rows = connection.execute(
        _lacking(
            feed, sa.select(listing.c.listing_key, sa.literal_column(seen("p")), *columns), listing
        ).limit(limit)
    )
    return [_listing(row) for row in rows]


def _listing(row: Sequence[Any]) -> Listing:
    """From its key, what was seen, the columns of its address, and its coordinates."""
    key, seen_now, *address, latitude, longitude = row
    columns = dict(zip(ADDRESS_COLUMNS, address, strict=True))
    return Listing(key, seen_now, columns, latitude, longitude)


def record_listings(
    connection: sa.Connection, feed: str, rows: Sequence[dict[str, Any]], texts: Mapping[str, str]
) -> set[str]:
    """Write what listings were seen with, and make a place for each address that has none.

    Args:
        rows: of ``address_sync``, without ``feed``.
        texts: the addresses to ask for, by hash.

    Returns:
        The hashes among them whose answer is known already.
    """
    bulk.upsert(connection, ledgers.address_sync, [{"feed": feed, **row} for row in rows])
    table = tables.geocode
    known: dict[str, str] = {}
    hashes = sorted(texts)
    for start in range(0, len(hashes), _AT_ONCE):
        found = connection.execute(
            sa.select(table.c.address_hash, table.c.state).where(
                bulk.among(connection, table.c.address_hash, hashes[start : start + _AT_ONCE])
            )
        )
        known |= {row.address_hash: row.state for row in found}
    new = [
        {"address_hash": key, "address": texts[key], "state": "pending"}
        for key in hashes
        if key not in known
    ]
    bulk.insert(connection, table, new)
    return {key for key, state in known.items() if state == "found"}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A row of ``address_judgement``: how far a feed's coordinates are judged by its settings.

    Attributes:
        judged_by: the settings of what was judged before.
        judging_by: those that are wanted now.
        judged_until: listings up to this key are judged by these; None: none is yet.
    """

    judged_by: str
    judging_by: str
    judged_until: str | None = None


def judgement(connection: sa.Connection, feed: str) -> Judgement | None:
    """By which settings the feed's coordinates were judged; None: it has none yet."""
    table = ledgers.address_judgement
    row = connection.execute(sa.select(table).where(table.c.feed == feed)).one_or_none()
    return Judgement(row.judged_by, row.judging_by, row.judged_until) if row else None


def record_judgement(connection: sa.Connection, feed: str, now: Judgement) -> None:
    """Write how far they are judged."""
    values = {name: getattr(now, name) for name in Judgement.__slots__}
    bulk.upsert(connection, ledgers.address_judgement, [{"feed": feed, **values}])


def looked_at(connection: sa.Connection, feed: str, after: str, limit: int) -> list[LookedAt]:
    """Listings whose address was seen as it is now, in the order of their keys.

    Args:
        after: a listing key.
    """
    listing, ledger = tables.property_.alias("p"), ledgers.address_sync
    columns = [listing.c[name] for name in (*ADDRESS_COLUMNS, "latitude", "longitude")]
    rows = connection.execute(
        sa.select(
            ledger.c.listing_key, ledger.c.seen, *columns,
            ledger.c.address_hash, ledger.c.payload_coordinates, ledger.c.reason,
        )
        .join(
            listing,
            sa.and_(listing.c.feed == feed, listing.c.listing_key == ledger.c.listing_key),
        )
        .where(
            ledger.c.feed == feed,
            ledger.c.listing_key > after,
            ledger.c.seen == sa.literal_column(seen("p")),
        )
        .order_by(ledger.c.listing_key)
        .limit(limit)
    )  # fmt: skip
    return [LookedAt(_listing(row[:-3]), *row[-3:]) for row in rows]


def wanted(
    connection: sa.Connection,
    feed: str,
    askable: Sequence[str],
    enough: Sequence[str],
    now: datetime,
    limit: int,
) -> dict[str, dict[str, str | None]]:
    """Addresses that the feed's listings need a better answer for, by hash.

    Args:
        askable: geocoders that may be asked now.
        enough: precisions that need no better answer.
        now: answers that have expired by then are asked for again.
    """
    if not askable:
        return {}
    listing = tables.property_
    first = _needed(feed, askable, enough, now).limit(limit).subquery()
    rows = connection.execute(
        sa.select(first.c.address_hash, *(listing.c[name] for name in ADDRESS_COLUMNS)).join(
            listing,
            sa.and_(listing.c.feed == feed, listing.c.listing_key == first.c.listing_key),
        )
    )
    return {row[0]: dict(zip(ADDRESS_COLUMNS, row[1:], strict=True)) for row in rows}


def backlog(
    connection: sa.Connection,
    feed: str,
    askable: Sequence[str],
    enough: Sequence[str],
    now: datetime,
    bound: int | None = None,
) -> int:
    """Listings that were not looked at as they are now, rows of gone ones, addresses to ask for.

    Args:
        askable: see :func:`wanted`; also the others.
        bound: each of the three is counted no further; None: to the end.
    """
    listing = tables.property_.alias("p")
    waiting = [_lacking(feed, sa.select(listing.c.listing_key), listing), _gone(feed)]
    if askable:
        waiting.append(_needed(feed, askable, enough, now))
    counts = [
        sa.select(sa.func.count()).select_from(query.limit(bound).subquery()).scalar_subquery()
        for query in waiting
    ]
    return sum(connection.execute(sa.select(*counts)).one())


def last_due(connection: sa.Connection, now: datetime) -> datetime | None:
    """When an answer expired for the last time: it moves whenever another one has."""
    due = ledgers.geocode_answer.c.next_attempt
    found: datetime | None = connection.execute(
        sa.select(sa.func.max(due)).where(due <= now)
    ).scalar_one()
    return found


def located(connection: sa.Connection, feed: str) -> Located:
    """Count the live listings that have right coordinates."""
    listing, ledger, geocode = tables.property_.alias("p"), ledgers.address_sync, tables.geocode
    by_payload = ledger.c.payload_coordinates == "accepted"
    row = connection.execute(
        sa.select(
            sa.func.count().label("listings"),
            sa.func.count(sa.case((by_payload, 1))).label("by_payload"),
            sa.func.count(sa.case((~by_payload, geocode.c.latitude))).label("by_geocoder"),
        )
        .select_from(
            listing.outerjoin(
                ledger,
                sa.and_(
                    ledger.c.feed == feed,
                    ledger.c.listing_key == listing.c.listing_key,
                    ledger.c.seen == sa.literal_column(seen("p")),
                ),
            ).outerjoin(geocode, geocode.c.address_hash == ledger.c.address_hash)
        )
        .where(listing.c.feed == feed)
    ).one()
    return Located(row.listings, row.by_payload, row.by_geocoder)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the places that geocoders found in one postal area lie apart, in degrees.

    Attributes:
        province: as listings write it.
        area: the first three characters of their postal codes.
        listings: with such a place.
    """

    province: str | None
    area: str | None
    listings: int
    south: float
    north: float
    west: float
    east: float


def reaches(connection: sa.Connection, feed: str) -> list[Reach]:
    """The places of the feed's listings that geocoders found, by postal area."""
    listing, latitude, longitude = tables.property_, *_PLACE
    columns = (listing.c.state_or_province, _AREA)
    rows = connection.execute(
        _found_by_geocoders(
            feed,
            *columns,
            sa.func.count().label("listings"),
            sa.func.min(latitude),
            sa.func.max(latitude),
            sa.func.min(longitude),
            sa.func.max(longitude),
        ).group_by(*columns)
    )
    return [Reach(*row[:3], *map(float, row[3:])) for row in rows]


def places_in(
    connection: sa.Connection, feed: str, reach: Reach
) -> Iterator[tuple[str, float, float]]:
    """Each of those: listing key, latitude and longitude."""
    listing = tables.property_
    rows = connection.execute(
        _found_by_geocoders(feed, listing.c.listing_key, *_PLACE)
        .where(
            listing.c.state_or_province.is_not_distinct_from(reach.province),
            _AREA.is_not_distinct_from(reach.area),
        )
        .order_by(listing.c.listing_key)
    )
    return ((key, float(latitude), float(longitude)) for key, latitude, longitude in rows)


_PLACE = tables.geocode.c.latitude, tables.geocode.c.longitude
_AREA = sa.func.upper(
    sa.func.substr(sa.func.replace(tables.property_.c.postal_code, " ", ""), 1, 3)
)


def _found_by_geocoders(feed: str, *columns: Any) -> sa.Select[Any]:
    listing, ledger, geocode = tables.property_, ledgers.address_sync, tables.geocode
    return (
        sa.select(*columns)
        .select_from(listing)
        .join(
            ledger,
            sa.and_(ledger.c.feed == feed, ledger.c.listing_key == listing.c.listing_key),
        )
        .join(geocode, geocode.c.address_hash == ledger.c.address_hash)
        .where(
            listing.c.feed == feed,
            ledger.c.payload_coordinates != "accepted",
            geocode.c.latitude.is_not(None),
        )
    )


def answers(connection: sa.Connection, hashes: Sequence[str]) -> dict[str, dict[str, Answer]]:
    """What is remembered, by hash and geocoder."""
    table = ledgers.geocode_answer
    found: dict[str, dict[str, Answer]] = {key: {} for key in hashes}
    for start in range(0, len(hashes), _AT_ONCE):
        some = bulk.among(connection, table.c.address_hash, hashes[start : start + _AT_ONCE])
        for row in connection.execute(sa.select(table).where(some)):
            found[row.address_hash][row.provider] = _answer(row)
    return found


def record_answers(
    connection: sa.Connection,
    given: Iterable[Answer],
    best: Mapping[str, Answer | None],
    unknown: Collection[str],
) -> None:
    """Write answers, and which one counts for each address.

    Args:
        best: by hash; None: no geocoder has found the place.
        unknown: hashes of which a geocoder has yet to say whether it knows the place.
    """
    names = [column.name for column in ledgers.geocode_answer.columns]
    bulk.upsert(
        connection,
        ledgers.geocode_answer,
        [{name: getattr(answer, name) for name in names} for answer in given],
    )
    rows = [
        _best_row(key, answer, "pending" if key in unknown else "not_found")
        for key, answer in sorted(best.items())
    ]
    # In the order of the hashes: runs of other feeds may write the same ones.
    bulk.update(connection, tables.geocode, "address_hash", rows, {}, {})


def remove_gone(connection: sa.Connection, feed: str, limit: int) -> int:
    """Remove rows of listings that are gone; what is known of their addresses stays.

    Returns:
        How many.
    """
    ledger = ledgers.address_sync
    gone = list(connection.execute(_gone(feed).limit(limit)).scalars())
    for start in range(0, len(gone), _AT_ONCE):
        some = bulk.among(connection, ledger.c.listing_key, gone[start : start + _AT_ONCE])
        connection.execute(sa.delete(ledger).where(ledger.c.feed == feed, some))
    return len(gone)


def standing(connection: sa.Connection) -> dict[str, Standing]:
    """The geocoders that were ever asked, by name."""
    rows = connection.execute(sa.select(ledgers.geocode_provider))
    return {
        row.provider: Standing(row.day, row.requests, row.faults, row.resting_until, row.reason)
        for row in rows
    }


def record_standing(connection: sa.Connection, provider: str, now: Standing) -> None:
    """Write how a geocoder stands."""
    values = {name: getattr(now, name) for name in Standing.__slots__}
    bulk.upsert(connection, ledgers.geocode_provider, [{"provider": provider, **values}])


def _lacking(feed: str, query: sa.Select[Any], listing: sa.FromClause) -> sa.Select[Any]:
    ledger = ledgers.address_sync
    same = sa.exists().where(
        ledger.c.feed == feed,
        ledger.c.listing_key == listing.c.listing_key,
        ledger.c.seen == sa.literal_column(seen("p")),
    )
    return query.where(listing.c.feed == feed, ~same)


def _gone(feed: str) -> sa.Select[Any]:
    ledger, listing = ledgers.address_sync, tables.property_
    alive = sa.exists().where(listing.c.feed == feed, listing.c.listing_key == ledger.c.listing_key)
    return sa.select(ledger.c.listing_key).where(ledger.c.feed == feed, ~alive)


def _needed(
    feed: str, askable: Sequence[str], enough: Sequence[str], now: datetime
) -> sa.Select[Any]:
    """Each address once, with one of its listings."""
    ledger, geocode, answer = ledgers.address_sync, tables.geocode, ledgers.geocode_answer
    settled = (
        sa.select(sa.func.count())
        .where(
            answer.c.address_hash == geocode.c.address_hash,
            answer.c.provider.in_(askable),
            sa.or_(answer.c.next_attempt.is_(None), answer.c.next_attempt > now),
        )
        .scalar_subquery()
    )
    alive = sa.exists().where(
        tables.property_.c.feed == feed,
        tables.property_.c.listing_key == ledger.c.listing_key,
    )
    return (
        sa.select(geocode.c.address_hash, sa.func.min(ledger.c.listing_key).label("listing_key"))
        .join(ledger, ledger.c.address_hash == geocode.c.address_hash)
        .where(
            ledger.c.feed == feed,
            ledger.c.payload_coordinates != "accepted",
            alive,
            sa.or_(geocode.c.precision.is_(None), geocode.c.precision.not_in(enough)),
            settled < len(askable),
        )
        .group_by(geocode.c.address_hash)
        # Those of new listings do not wait for better answers of others.
        .order_by(geocode.c.state != "pending", geocode.c.address_hash)
    )


def _best_row(key: str, answer: Answer | None, otherwise: str) -> dict[str, Any]:
    return {
        "address_hash": key,
        "latitude": answer.latitude if answer else None,
        "longitude": answer.longitude if answer else None,
        "provider": answer.provider if answer else None,
        "precision": answer.precision if answer else None,
        "confidence": answer.confidence if answer else None,
        "matched_text": answer.matched_text if answer else None,
        "geocoded_at": answer.answered_at if answer else None,
        "state": "found" if answer else otherwise,
    }


def _answer(row: sa.Row[Any]) -> Answer:
    values = row._asdict()
    for name in ("latitude", "longitude", "confidence"):
        values[name] = None if values[name] is None else float(values[name])
    return Answer(**values)
