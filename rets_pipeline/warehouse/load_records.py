"""Members and offices from searches of their own into the tables, with the ledger's rows.

What belongs here: the statements of that load; its rules are those of listings (``rules``). What
does not: parsing, members and offices inside listings (``load``), and which pull is next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import sqlalchemy as sa

from rets_pipeline.warehouse import bulk, quarantine, rules, tables
from rets_pipeline.warehouse.load import Counts, Refused, Row
from rets_pipeline.warehouse.pulls import Pull
from rets_pipeline.warehouse.quarantine import ProblemLike
from rets_pipeline.warehouse.resources import Resource
from rets_pipeline.warehouse.rules import HeadLike, Held

#: keys named in one statement; databases limit its parameters
_KEYS_AT_ONCE = 500


class RecordLike(Protocol):
    """A record as rows by table name, without the columns ``feed`` and ``pull_id``."""

    key: str
    payload_timestamp: datetime | None
    content_hash: str
    rows: dict[str, list[Row]]

    @property
    def problems(self) -> Sequence[ProblemLike]: ...  # noqa: D102


class RecordLoad:
    """The application of one pull of members or offices, in a transaction of the caller's.

    Args:
        connection: in a transaction, of the holder of the feed's lock.
        pull: the pull that the records come from.
        resource: that they belong to.
        master_timestamps: what the pull asked for: key to timestamp in the master list.
        replay: load again what this very pull loaded before, although its content is equal.
        now: the time, for tests.
    """

    def __init__(
        self,
        connection: sa.Connection,
        pull: Pull,
        resource: Resource,
        master_timestamps: dict[str, datetime | None],
        *,
        replay: bool = False,
        now: datetime | None = None,
    ) -> None:
        self.counts = Counts()
        self._connection = connection
        self._pull = pull
        self._feed = pull.feed
        self._resource = resource
        self._shared = next(
            shared for shared in tables.SHARED_TABLES if shared.resource_name == resource.name
        )
        self._asked = master_timestamps
        self._answered: set[str] = set()
        self._replay = replay
        self._noted_without_key = False
        self._now = now or datetime.now(UTC)

    def known(self, heads: Sequence[HeadLike]) -> set[str]:
        """Take note of records that need not be read; see :meth:`load.Load.known`.

        Args:
            heads: of the next batch.
        """
        held = self._held(list({head.key for head in heads if head.key is not None}))
        superseded, equal = rules.settled(heads, held, self._pull.pull_id, replay=self._replay)
        self.counts.superseded += len(superseded)
        self.counts.unchanged += len(equal)
        self._write_ledger(equal)
        done = {head.key for head in (*superseded, *equal) if head.key is not None}
        self._answered |= done
        return done

    def batch(self, records: Iterable[RecordLike], refused: Sequence[Refused] = ()) -> None:
        """Load some records of the pull; a few hundred at a time keep memory flat."""
        latest = list({record.key: record for record in records}.values())
        for start in range(0, len(latest), _KEYS_AT_ONCE):
            self._load(latest[start : start + _KEYS_AT_ONCE])
        held = self._held([item.key for item in refused if item.key is not None])
        self._answered.update(held)
        for item in refused:
            self._refuse(item, held.get(item.key or "", Held()))

    def finish(self) -> Counts:
        """Note the keys that were asked for and not returned. Call it once, after all batches."""
        missing = [key for key in self._asked if key not in self._answered]
        held = self._held(missing)
        for key in missing:
            self._note_attempt(key, "not_returned", held[key])
        return self.counts

    def _load(self, records: list[RecordLike]) -> None:
        held = self._held([record.key for record in records])
        self._answered.update(held)
        wanted = [item for item in records if not self._is_superseded(held[item.key])]
        equal = [item for item in wanted if self._is_equal(item, held)]
        self.counts.superseded += len(records) - len(wanted)
        self.counts.unchanged += len(equal)
        self._write([item for item in wanted if not self._is_equal(item, held)], held)
        self._write_ledger(equal)

    def _held(self, keys: Sequence[str]) -> dict[str, Held]:
        found = {}
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            found.update(self._held_of(keys[start : start + _KEYS_AT_ONCE]))
        return found

    def _held_of(self, keys: Sequence[str]) -> dict[str, Held]:
        resource, feed = self._resource, self._feed
        ledger, tomb, table = resource.ledger, resource.tombstones, resource.table
        ledger_key, tomb_key = resource.key_in(ledger), resource.key_in(tomb)
        table_key = resource.key_in(table)
        gone: dict[str, str] = {
            row.record_key: row.master_pull_id
            for row in self._connection.execute(
                sa.select(tomb_key.label("record_key"), tomb.c.master_pull_id).where(
                    resource.rows_in(tomb, feed), tomb_key.in_(keys)
                )
            )
        }
        rows = self._connection.execute(
            sa.select(
                ledger_key.label("record_key"), ledger.c.pull_id, ledger.c.content_hash,
                ledger.c.state, ledger.c.attempts, table_key.is_not(None).label("live"),
            )
            .outerjoin(table, sa.and_(resource.rows_in(table, feed), table_key == ledger_key))
            .where(resource.rows_in(ledger, feed), ledger_key.in_(keys))
        )  # fmt: skip
        held = {key: Held(gone_by=gone.get(key)) for key in keys}
        for row in rows:
            held[row.record_key] = Held(
                row.pull_id, row.content_hash, row.state, row.attempts, row.live,
                gone.get(row.record_key),
            )  # fmt: skip
        return held

    def _is_superseded(self, held: Held) -> bool:
        return rules.is_superseded(held, self._pull.pull_id)

    def _is_equal(self, record: RecordLike, held: dict[str, Held]) -> bool:
        return not self._replay and rules.is_equal(held[record.key], record.content_hash)

    def _write(self, records: list[RecordLike], held: dict[str, Held]) -> None:
        """Write together; when the database refuses, find the one that it refuses."""
        if not records:
            return
        try:
            with self._connection.begin_nested():
                self._replace(records)
        except (sa.exc.StatementError, OverflowError, UnicodeEncodeError) as error:
            if not rules.is_about_the_row(error):
                raise
            if len(records) > 1:
                for record in records:
                    self._write([record], held)
                return
            key = records[0].key
            problem = rules.refusal(error, self._resource.name.lower())
            self._refuse(Refused(key, problem), held[key])
            return
        for record in records:
            if held[record.key].live:
                self.counts.changed += 1
            else:
                self.counts.new += 1
            self.counts.value_problems += len(record.problems)

    def _replace(self, records: list[RecordLike]) -> None:
        """The rows in place of those that are held, from a search or from inside a listing."""
        keys = [record.key for record in records]
        table = self._resource.table
        names = [column.name for column in table.columns]
        # Every column in every row: what is named no more must not stay.
        rows = [
            {**dict.fromkeys(names), **row, "pull_id": self._pull.pull_id}
            for row in self._rows(table.name, records)
        ]
        bulk.upsert(self._connection, table, rows)
        for dependent in map(tables.named, self._shared.dependents):
            self._delete(dependent, keys)
            bulk.insert(self._connection, dependent, self._rows(dependent.name, records))
        self._delete(self._resource.tombstones, keys)
        self._write_problems(
            [(item.key, problem) for item in records for problem in item.problems], keys
        )
        self._write_ledger(records)

    def _rows(self, name: str, records: Sequence[RecordLike]) -> list[Row]:
        return [
            {"feed": self._feed, **row} for record in records for row in record.rows.get(name, ())
        ]

    def _delete(self, table: sa.Table, keys: Sequence[str]) -> None:
        self._connection.execute(
            sa.delete(table).where(
                self._resource.rows_in(table, self._feed), self._resource.key_in(table).in_(keys)
            )
        )

    def _write_problems(
        self, problems: list[tuple[str | None, ProblemLike]], keys: Sequence[str]
    ) -> None:
        quarantine.replace(
            self._connection, self._pull, self._resource.name, problems, keys, self._now
        )

    def _write_ledger(self, records: Sequence[RecordLike | HeadLike]) -> None:
        self._note(
            {
                **self._resource.ledger_row(self._feed, record.key or ""),
                "master_timestamp": self._asked.get(record.key or "", record.payload_timestamp),
                "payload_timestamp": record.payload_timestamp,
                "content_hash": record.content_hash,
                "pull_id": self._pull.pull_id,
                "state": "loaded",
                "attempts": 0,
                "next_attempt": None,
            }
            for record in records
        )

    def _note(self, rows: Iterable[dict[str, Any]]) -> None:
        bulk.upsert(self._connection, self._resource.ledger, list(rows))

    def _refuse(self, refused: Refused, held: Held) -> None:
        key = refused.key
        if key is None:
            if not self._noted_without_key:
                quarantine.forget_without_key(self._connection, self._pull)
                self._noted_without_key = True
            self._write_problems([(None, refused.problem)], [])
            self.counts.quarantined += 1
        elif self._is_superseded(held):
            self.counts.superseded += 1
        else:
            self._write_problems([(key, refused.problem)], [key])
            self._note_attempt(key, "quarantined", held)

    def _note_attempt(self, key: str, state: str, held: Held) -> None:
        """An attempt in vain: the next one later each time, and at once when the key changes."""
        if self._is_superseded(held) or (self._replay and held.pull_id == self._pull.pull_id):
            self.counts.superseded += 1
            return
        setattr(self.counts, state, getattr(self.counts, state) + 1)
        attempts = held.attempts + 1
        self._note(
            [
                {
                    **self._resource.ledger_row(self._feed, key),
                    "master_timestamp": self._asked.get(key),
                    "pull_id": self._pull.pull_id,
                    "state": state,
                    "attempts": attempts,
                    "next_attempt": rules.next_attempt(attempts, self._now),
                }
            ]
        )
