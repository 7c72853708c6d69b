"""Listings into the tables, together with the ledger's rows.

What belongs here: the rules of order (a later pull wins), of equal content, and of replacement
(children with their parent, in one transaction). What does not: parsing, and which pull is next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Protocol

import sqlalchemy as sa

from rets_pipeline.warehouse import bulk, history, ledgers, quarantine, rules, tables
from rets_pipeline.warehouse.pulls import Pull
from rets_pipeline.warehouse.quarantine import ProblemLike
from rets_pipeline.warehouse.rules import HeadLike, Held
from rets_pipeline.warehouse.shared import SharedRows

#: keys named in one statement; databases limit its parameters
_KEYS_AT_ONCE = 500

Row = dict[str, Any]


class ListingLike(Protocol):
    """A listing as rows by table name, without the column ``feed``."""

    payload_timestamp: datetime | None
    content_hash: str
    rows: dict[str, list[Row]]

    @property
    def key(self) -> str: ...  # noqa: D102

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
class Refused:
    """A record that cannot become rows.

    Attributes:
        key: None when not even the key could be read.
    """

    key: str | None
    problem: ProblemLike


def loaded_hashes(connection: sa.Connection, feed: str, keys: Iterable[str]) -> dict[str, str]:
    """The hashes of what is held, by key; those of other states are left out.

    They are good for a guess only: what counts is what the ledger says when a record is loaded.
    """
    sync = ledgers.listing_sync
    every, found = list(keys), {}
    for start in range(0, len(every), _KEYS_AT_ONCE):
        some = every[start : start + _KEYS_AT_ONCE]
        rows = connection.execute(
            sa.select(sync.c.listing_key, sync.c.content_hash).where(
                sync.c.feed == feed,
                bulk.among(connection, sync.c.listing_key, some),
                sync.c.state == "loaded",
            )
        )
        found.update({key: held for key, held in rows if held is not None})
    return found


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
        self._shared = SharedRows(connection, pull)
        self._looked_up: dict[str, Held] = {}
        self._now = now or datetime.now(UTC)

    def known(self, heads: Sequence[HeadLike]) -> set[str]:
        """Take note of records that need not be read, in one statement for all.

        Args:
            heads: of records that come next; those that are not known are loaded by one of the next
                calls of :meth:`batch`, before their keys come again.

        Returns:
            The keys that are done: what they say is there already, or a later pull said more.
        """
        held = self._held(list({head.key for head in heads if head.key is not None}))
        superseded, equal = rules.settled(heads, held, self._pull.pull_id, replay=self._replay)
        self.counts.superseded += len(superseded)
        self.counts.unchanged += len(equal)
        self._write_ledger(equal, held)
        done = {head.key for head in (*superseded, *equal) if head.key is not None}
        self._answered |= done
        self._looked_up |= {key: found for key, found in held.items() if key not in done}
        return done

    def batch(self, listings: Iterable[ListingLike], refused: Sequence[Refused] = ()) -> None:
        """Load some listings of the pull; a few hundred at a time keep memory flat."""
        latest = list({listing.key: listing for listing in listings}.values())
        for start in range(0, len(latest), _KEYS_AT_ONCE):
            self._load(latest[start : start + _KEYS_AT_ONCE])
        self._looked_up = {}
        for start in range(0, len(refused), _KEYS_AT_ONCE):
            some = refused[start : start + _KEYS_AT_ONCE]
            held = self._held([item.key for item in some if item.key is not None])
            self._answered.update(held)
            for record in some:
                self._refuse(record, held.get(record.key or "", Held()))

    def _load(self, listings: list[ListingLike]) -> None:
        held = self._held([listing.key for listing in listings])
        self._answered.update(held)
        wanted = [item for item in listings if not self._is_superseded(held[item.key])]
        equal = [item for item in wanted if self._is_equal(item, held)]
        self.counts.superseded += len(listings) - len(wanted)
        self.counts.unchanged += len(equal)
        self._write([item for item in wanted if not self._is_equal(item, held)], held)
        self._write_ledger(equal, held)

    def finish(self) -> Counts:
        """Note the keys that were asked for and not returned. Call it once, after all batches."""
        missing = [key for key in self._asked if key not in self._answered]
        for start in range(0, len(missing), _KEYS_AT_ONCE):
            keys = missing[start : start + _KEYS_AT_ONCE]
            held = self._held(keys)
            for key in keys:
                self._note_attempt(key, "not_returned", held[key])
        return self.counts

    def _held(self, keys: Sequence[str]) -> dict[str, Held]:
        """What the ledgers say of those keys, unless it was looked up for the next load already."""
        found = {key: self._looked_up[key] for key in keys if key in self._looked_up}
        missing = [key for key in keys if key not in found]
        for start in range(0, len(missing), _KEYS_AT_ONCE):
            found.update(self._look_up(missing[start : start + _KEYS_AT_ONCE]))
        return found

    def _look_up(self, keys: Sequence[str]) -> dict[str, Held]:
        sync, tomb, listing = ledgers.listing_sync, ledgers.tombstone, tables.property_
        gone: dict[str, str] = {
            row.listing_key: row.master_pull_id
            for row in self._connection.execute(
                sa.select(tomb.c.listing_key, tomb.c.master_pull_id).where(
                    tomb.c.feed == self._feed, self._among(tomb, keys)
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
            .where(sync.c.feed == self._feed, self._among(sync, keys))
        )  # fmt: skip
        held = {key: Held(gone_by=gone.get(key)) for key in keys}
        for key, pull_id, content_hash, state, attempts, live in rows:
            held[key] = Held(pull_id, content_hash, state, attempts, live, gone.get(key))
        return held

    def _among(self, table: sa.Table, keys: Sequence[str]) -> sa.ColumnElement[bool]:
        return bulk.among(self._connection, table.c.listing_key, keys)

    def _is_superseded(self, held: Held) -> bool:
        return rules.is_superseded(held, self._pull.pull_id)

    def _is_equal(self, listing: ListingLike, held: dict[str, Held]) -> bool:
        before = held[listing.key]
        return not self._replay and rules.is_equal(before, listing.content_hash)

    def _write(self, listings: list[ListingLike], held: dict[str, Held]) -> None:
        """Write together; when the database refuses, find the one that it refuses."""
        if not listings:
            return
        try:
            with self._connection.begin_nested():
                self._replace(listings, held)
        except (sa.exc.StatementError, OverflowError, UnicodeEncodeError) as error:
            self._shared.forget()
            if not rules.is_about_the_row(error):
                raise
            if len(listings) > 1:
                for listing in listings:
                    self._write([listing], held)
                return
            key = listings[0].key
            self._refuse(Refused(key, rules.refusal(error)), held[key])
            return
        for listing in listings:
            if held[listing.key].live:
                self.counts.changed += 1
            else:
                self.counts.new += 1
            self.counts.value_problems += len(listing.problems)

    def _replace(self, listings: list[ListingLike], held: dict[str, Held]) -> None:
        # Of a key that the books do not know there is nothing to delete. Should there be something
        # all the same, the database refuses; then each listing comes here alone.
        before = [
            listing.key for listing in listings if len(listings) == 1 or held[listing.key] != Held()
        ]
        with history.recorded(self._connection, self._pull, self._observations(listings, held)):
            for name in tables.LISTING_TABLES:
                table = tables.named(name)
                self._delete(table, before)
                rows = [row for listing in listings for row in listing.rows.get(name, ())]
                bulk.insert(self._connection, table, rows, {"feed": self._feed})
        self._shared.write(listings)
        self._delete(ledgers.tombstone, before)
        self._write_problems(
            [(item.key, problem) for item in listings for problem in item.problems], before
        )
        self._write_ledger(listings, held)

    def _observations(
        self, listings: list[ListingLike], held: dict[str, Held]
    ) -> list[history.Observation]:
        """For the history: without what this very pull has loaded before, in a replay say."""
        found = []
        for listing in listings:
            before = held[listing.key]
            again = before.state == "loaded" and before.pull_id == self._pull.pull_id
            if not (before.live and again):
                found.append(
                    history.Observation(
                        listing.key,
                        listing.rows,
                        listing.payload_timestamp,
                        "live" if before.live else "gone" if before.gone_by else "unknown",
                    )
                )
        return found

    def _delete(self, table: sa.Table, keys: Sequence[str]) -> None:
        if keys:
            self._connection.execute(
                sa.delete(table).where(table.c.feed == self._feed, self._among(table, keys))
            )

    def _write_problems(
        self, problems: list[tuple[str | None, ProblemLike]], keys: Sequence[str]
    ) -> None:
        quarantine.replace(self._connection, self._pull, "Property", problems, keys, self._now)

    def _write_ledger(
        self, records: Sequence[ListingLike | HeadLike], held: Mapping[str, Held]
    ) -> None:
        """Note what is held of those records now."""
        every = {"pull_id": self._pull.pull_id, "state": "loaded", "attempts": 0}
        new: list[Row] = []
        known: list[Row] = []
        for record in records:
            key = record.key
            assert key is not None
            row = {
                "listing_key": key,
                "master_timestamp": self._asked.get(key, record.payload_timestamp),
                "payload_timestamp": record.payload_timestamp,
                "content_hash": record.content_hash,
            }
            (new if held[key].pull_id is None else known).append(row)
        feed = {"feed": self._feed}
        bulk.insert(self._connection, ledgers.listing_sync, new, {**feed, **every})
        bulk.update(
            self._connection,
            ledgers.listing_sync,
            "listing_key",
            known,
            {**every, "next_attempt": None},
            feed,
        )

    def _refuse(self, record: Refused, held: Held) -> None:
        if record.key is None:
            self._note_without_key(record.problem)
        elif self._is_superseded(held):
            self.counts.superseded += 1
            return
        else:
            self._write_problems([(record.key, record.problem)], [record.key])
            self._note_attempt(record.key, "quarantined", held)
            return
        self.counts.quarantined += 1

    def _note_without_key(self, problem: ProblemLike) -> None:
        if not self._noted_without_key:
            quarantine.forget_without_key(self._connection, self._pull)
            self._noted_without_key = True
        self._write_problems([(None, problem)], [])

    def _note_attempt(self, key: str, state: str, held: Held) -> None:
        """An attempt in vain: the next one later each time, and at once when the key changes."""
        if self._is_superseded(held) or (self._replay and held.pull_id == self._pull.pull_id):
            self.counts.superseded += 1
            return
        if state == "quarantined":
            self.counts.quarantined += 1
        else:
            self.counts.not_returned += 1
        attempts = held.attempts + 1
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
                    "next_attempt": rules.next_attempt(attempts, self._now),
                }
            ],
        )
