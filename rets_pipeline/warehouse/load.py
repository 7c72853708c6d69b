"""Listings into the tables, together with the ledger's rows.

What belongs here: the rules of order (a later pull wins), of equal content, and of replacement
(children with their parent, in one transaction). What does not: parsing, and which pull is next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import sqlalchemy as sa

from rets_pipeline.warehouse import bulk, history, ledgers, tables
from rets_pipeline.warehouse.pulls import Pull

#: the wait after the first attempt in vain; it doubles with each further one
FIRST_DELAY = timedelta(minutes=15)
LONGEST_DELAY = timedelta(days=1)

#: keys named in one statement; databases limit its parameters
_KEYS_AT_ONCE = 500

Row = dict[str, Any]


class ProblemLike(Protocol):
    """A value or a record that could not be understood."""

    @property
    def field(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102
    @property
    def raw(self) -> str: ...  # noqa: D102


class ListingLike(Protocol):
    """A listing as rows by table name, without the column ``feed``."""

    listing_key: str
    payload_timestamp: datetime | None
    content_hash: str
    rows: dict[str, list[Row]]

    @property
    def problems(self) -> Sequence[ProblemLike]: ...  # noqa: D102


@dataclass(slots=True)
class Counts:
    """What a load did, in listings unless said otherwise."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    superseded: int = 0  # a later pull's result stands, or the listing is gone
    quarantined: int = 0
    not_returned: int = 0
    value_problems: int = 0  # values left NULL

    def add(self, other: Counts) -> None:
        """Add the other's numbers to these."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


@dataclass(frozen=True, slots=True)
class _Held:
    """What the ledgers say of a key."""

    pull_id: str | None = None
    content_hash: str | None = None
    state: str | None = None
    attempts: int = 0
    live: bool = False
    gone_by: str | None = None  # the master list that lacked it


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that cannot be a listing.

    Attributes:
        listing_key: None when not even the key could be read.
    """

    listing_key: str | None
    problem: ProblemLike


class Load:
    """The application of one pull, in a transaction of the caller's.

    Args:
        connection: in a transaction, of the holder of the feed's lock.
        pull: the pull that the listings come from.
        master_timestamps: what the pull asked for: key to timestamp in the master list.
        replay: load again what this very pull loaded before, although its content is equal.
        now: the time, for tests.
    """

    def __init__(
        self,
        connection: sa.Connection,
        pull: Pull,
        master_timestamps: dict[str, datetime | None],
        *,
        replay: bool = False,
        now: datetime | None = None,
    ) -> None:
        self.counts = Counts()
        self._connection = connection
        self._pull = pull
        self._feed = pull.feed
        self._asked = master_timestamps
        self._answered: set[str] = set()
        self._replay = replay
        self._noted_without_key = False
        self._now = now or datetime.now(UTC)

    def batch(self, listings: Iterable[ListingLike], refused: Sequence[Refused] = ()) -> None:
        """Load some listings of the pull; a few hundred at a time keep memory flat."""
        latest = list({listing.listing_key: listing for listing in listings}.values())
        for start in range(0, len(latest), _KEYS_AT_ONCE):
            self._load(latest[start : start + _KEYS_AT_ONCE])
        for start in range(0, len(refused), _KEYS_AT_ONCE):
            some = refused[start : start + _KEYS_AT_ONCE]
            held = self._held([item.listing_key for item in some if item.listing_key is not None])
            self._answered.update(held)
            for record in some:
                self._refuse(record, held.get(record.listing_key or "", _Held()))

    def _load(self, listings: list[ListingLike]) -> None:
        held = self._held([listing.listing_key for listing in listings])
        self._answered.update(held)
        wanted = [item for item in listings if not self._is_superseded(held[item.listing_key])]
        equal = [item for item in wanted if self._is_equal(item, held)]
        self.counts.superseded += len(listings) - len(wanted)
        self.counts.unchanged += len(equal)
        self._write([item for item in wanted if not self._is_equal(item, held)], held)
        self._write_ledger(equal)

    def finish(self) -> Counts:
        """Note the keys that were asked for and not returned. Call it once, after all batches."""
        missing = [key for key in self._asked if key not in self._answered]
        for start in range(0, len(missing), _KEYS_AT_ONCE):
            keys = missing[start : start + _KEYS_AT_ONCE]
            held = self._held(keys)
            for key in keys:
                self._note_attempt(key, "not_returned", held[key])
        return self.counts

    def _held(self, keys: Sequence[str]) -> dict[str, _Held]:
        sync, tomb, listing = ledgers.listing_sync, ledgers.tombstone, tables.property_
        gone: dict[str, str] = {
            row.listing_key: row.master_pull_id
            for row in self._connection.execute(
                sa.select(tomb.c.listing_key, tomb.c.master_pull_id).where(
                    tomb.c.feed == self._feed, tomb.c.listing_key.in_(keys)
                )
            )
        }
        rows = self._connection.execute(
            sa.select(
                sync.c.listing_key, sync.c.pull_id, sync.c.content_hash, sync.c.state,
                sync.c.attempts, listing.c.listing_key.is_not(None).label("live"),
            )
            .outerjoin(
                listing,
                sa.and_(
                    listing.c.feed == sync.c.feed, listing.c.listing_key == sync.c.listing_key
                ),
            )
            .where(sync.c.feed == self._feed, sync.c.listing_key.in_(keys))
        )  # fmt: skip
        held = {key: _Held(gone_by=gone.get(key)) for key in keys}
        for row in rows:
            held[row.listing_key] = _Held(
                row.pull_id, row.content_hash, row.state, row.attempts, row.live,
                gone.get(row.listing_key),
            )  # fmt: skip
        return held

    def _is_superseded(self, held: _Held) -> bool:
        """Order is the order of observation, whatever the timestamps say."""
        later = held.pull_id is not None and held.pull_id > self._pull.pull_id
        return later or (held.gone_by is not None and held.gone_by > self._pull.pull_id)

    def _is_equal(self, listing: ListingLike, held: dict[str, _Held]) -> bool:
        before = held[listing.listing_key]
        return (
            not self._replay
            and before.live
            and before.state == "loaded"
            and before.content_hash == listing.content_hash
        )

    def _write(self, listings: list[ListingLike], held: dict[str, _Held]) -> None:
        """Write together; when the database refuses, find the one that it refuses."""
        if not listings:
            return
        try:
            with self._connection.begin_nested():
                self._replace(listings, held)
        except (sa.exc.StatementError, OverflowError, UnicodeEncodeError) as error:
            if not _is_about_the_row(error):
                raise
            if len(listings) > 1:
                for listing in listings:
                    self._write([listing], held)
                return
            key = listings[0].listing_key
            self._refuse(Refused(key, _refusal(error)), held[key])
            return
        for listing in listings:
            if held[listing.listing_key].live:
                self.counts.changed += 1
            else:
                self.counts.new += 1
            self.counts.value_problems += len(listing.problems)

    def _replace(self, listings: list[ListingLike], held: dict[str, _Held]) -> None:
        keys = [listing.listing_key for listing in listings]
        with history.recorded(self._connection, self._pull, self._observations(listings, held)):
            for name in tables.LISTING_TABLES:
                table = tables.named(name)
                self._delete(table, keys)
                bulk.insert(self._connection, table, self._rows(name, listings))
        self._write_shared(listings)
        self._delete(ledgers.tombstone, keys)
        self._write_problems(
            [(item.listing_key, problem) for item in listings for problem in item.problems], keys
        )
        self._write_ledger(listings)

    def _observations(
        self, listings: list[ListingLike], held: dict[str, _Held]
    ) -> list[history.Observation]:
        """For the history: without what this very pull has loaded before, in a replay say."""
        found = []
        for listing in listings:
            before = held[listing.listing_key]
            again = before.state == "loaded" and before.pull_id == self._pull.pull_id
            if not (before.live and again):
                state: Any = "live" if before.live else "gone" if before.gone_by else "unknown"
                found.append(
                    history.Observation(
                        listing.listing_key,
                        listing.rows,
                        listing.payload_timestamp,
                        state,
                    )
                )
        return found

    def _rows(self, name: str, listings: Sequence[ListingLike]) -> list[Row]:
        return [
            {"feed": self._feed, **row}
            for listing in listings
            for row in listing.rows.get(name, ())
        ]

    def _write_shared(self, listings: list[ListingLike]) -> None:
        """Members and offices, unless their own search or a later pull told of them."""
        for shared in tables.SHARED_TABLES:
            table, key = tables.named(shared.name), shared.key
            latest = {row[key]: row for row in self._rows(table.name, listings)}
            if not latest:
                continue
            better = set(
                self._connection.execute(
                    sa.select(table.c[key]).where(
                        table.c.feed == self._feed,
                        table.c[key].in_(list(latest)),
                        sa.or_(
                            table.c.observed_in != "Property",
                            table.c.pull_id > self._pull.pull_id,
                        ),
                    )
                ).scalars()
            )
            rows = [
                {**row, "observed_in": "Property", "pull_id": self._pull.pull_id}
                for found, row in latest.items()
                if found not in better
            ]
            bulk.upsert(self._connection, table, _whole(table, rows))
            self._replace_dependents(shared, [row[key] for row in rows], listings)

    def _replace_dependents(
        self, shared: tables.SharedTable, keys: list[str], listings: list[ListingLike]
    ) -> None:
        wanted = set(keys)
        for dependent in map(tables.named, shared.dependents):
            self._connection.execute(
                sa.delete(dependent).where(
                    dependent.c.feed == self._feed,
                    dependent.c.resource_name == shared.resource_name,
                    dependent.c.resource_record_key.in_(keys),
                )
            )
            # One person stands in many listings: the last one's rows count, as with the person.
            latest: dict[str, list[Row]] = {}
            for listing in listings:
                own: dict[str, list[Row]] = {}
                for row in self._rows(dependent.name, [listing]):
                    if row["resource_name"] == shared.resource_name:
                        own.setdefault(row["resource_record_key"], []).append(row)
                present = {row[shared.key] for row in self._rows(shared.name, [listing])}
                latest.update({key: own.get(key, []) for key in present & wanted})
            rows = [row for key in latest for row in latest[key]]
            bulk.insert(self._connection, dependent, rows)

    def _delete(self, table: sa.Table, keys: Sequence[str]) -> None:
        self._connection.execute(
            sa.delete(table).where(table.c.feed == self._feed, table.c.listing_key.in_(keys))
        )

    def _write_problems(
        self, problems: list[tuple[str | None, ProblemLike]], keys: Sequence[str]
    ) -> None:
        if keys:
            self._delete(ledgers.quarantine, keys)
        bulk.insert(
            self._connection,
            ledgers.quarantine,
            [
                {
                    "feed": self._feed,
                    "listing_key": key,
                    "pull_id": self._pull.pull_id,
                    "field": _storable(problem.field),
                    "reason": _storable(problem.reason),
                    "raw": _storable(problem.raw),
                    "noted_at": self._now,
                }
                for key, problem in problems
            ],
        )

    def _write_ledger(self, listings: Sequence[ListingLike]) -> None:
        bulk.upsert(
            self._connection,
            ledgers.listing_sync,
            [
                {
                    "feed": self._feed,
                    "listing_key": listing.listing_key,
                    "master_timestamp": self._asked.get(
                        listing.listing_key, listing.payload_timestamp
                    ),
                    "payload_timestamp": listing.payload_timestamp,
                    "content_hash": listing.content_hash,
                    "pull_id": self._pull.pull_id,
                    "state": "loaded",
                    "attempts": 0,
                    "next_attempt": None,
                }
                for listing in listings
            ],
        )

    def _refuse(self, record: Refused, held: _Held) -> None:
        if record.listing_key is None:
            self._note_without_key(record.problem)
        elif self._is_superseded(held):
            self.counts.superseded += 1
            return
        else:
            self._write_problems([(record.listing_key, record.problem)], [record.listing_key])
            self._note_attempt(record.listing_key, "quarantined", held)
            return
        self.counts.quarantined += 1

    def _note_without_key(self, problem: ProblemLike) -> None:
        """Nothing but the pull identifies such records: loaded again, it notes them anew."""
        if not self._noted_without_key:
            table = ledgers.quarantine
            self._connection.execute(
                sa.delete(table).where(
                    table.c.feed == self._feed,
                    table.c.listing_key.is_(None),
                    table.c.pull_id == self._pull.pull_id,
                )
            )
            self._noted_without_key = True
        self._write_problems([(None, problem)], [])

    def _note_attempt(self, key: str, state: str, held: _Held) -> None:
        """An attempt in vain: the next one later each time, and at once when the key changes."""
        if self._is_superseded(held) or (self._replay and held.pull_id == self._pull.pull_id):
            self.counts.superseded += 1
            return
        if state == "quarantined":
            self.counts.quarantined += 1
        else:
            self.counts.not_returned += 1
        attempts = held.attempts + 1
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(attempts - 1, 16))
        bulk.upsert(
            self._connection,
            ledgers.listing_sync,
            [
                {
                    "feed": self._feed,
                    "listing_key": key,
                    "master_timestamp": self._asked.get(key),
                    "pull_id": self._pull.pull_id,
                    "state": state,
                    "attempts": attempts,
                    "next_attempt": self._now + delay,
                }
            ],
        )


@dataclass(frozen=True, slots=True)
class _DatabaseProblem:
    field: str
    reason: str
    raw: str


def _is_about_the_row(error: Exception) -> bool:
    """Whether other rows may fare better: not with a full disk, a lost connection, a deadlock."""
    if not isinstance(error, sa.exc.DBAPIError):
        return True  # a value that could not even be sent
    if isinstance(error, (sa.exc.IntegrityError, sa.exc.DataError)):
        return not error.connection_invalidated
    # Postgres, class 54: too long for an index, say.
    return str(getattr(error.orig, "sqlstate", None) or "").startswith("54")


def _refusal(error: Exception) -> _DatabaseProblem:
    cause = error.orig if isinstance(error, sa.exc.StatementError) else error
    lines = str(cause).strip().splitlines() or ["unknown"]
    return _DatabaseProblem("", f"the database refused the listing: {lines[0]}", "")


def _storable(text: str) -> str:
    """Text that every database takes: Postgres stores no NUL."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _whole(table: sa.Table, rows: list[Row]) -> list[Row]:
    """Every column in every row: what is named no more must not stay."""
    return [{column.name: row.get(column.name) for column in table.columns} for row in rows]
