"""All that the warehouse knows of one record: of a listing, a member or an office.

What belongs here: the statements that read it. What does not: the comparison with the server.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from rets_pipeline.warehouse import ledgers, tables
from rets_pipeline.warehouse.named_images import named_images
from rets_pipeline.warehouse.resources import LISTINGS, Resource

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one key.

    Attributes:
        rows: of every table that holds the record, with its agents and offices, by table.
        ledger: what the sync holds of it: ``listing_sync`` or ``resource_sync``.
        tombstone: what remains of it when it is gone.
        history: its entries in ``history_transactional``, the oldest first.
        images: what the payload names, joined with what the archive holds; those held that no
            payload names any more come last.
        quarantine: its values and records that were not understood.
        pulls: the downloads that any of these name, the newest first.
    """

    rows: dict[str, list[Row]]
    ledger: Row | None
    tombstone: Row | None
    history: list[Row]
    images: list[Row]
    quarantine: list[Row]
    pulls: list[Row]

    @property
    def is_known(self) -> bool:
        """Whether anything at all is known of the key."""
        return any(
            (self.ledger, self.tombstone, self.history, self.quarantine, *self.rows.values())
        )

    @property
    def is_live(self) -> bool:
        """Whether it stands in the tables."""
        return any(self.rows.values())


def read(connection: sa.Connection, feed: str, resource: Resource, key: str) -> Record:
    """Everything of one key, as of one moment if the connection reads so."""
    rows = _rows(connection, feed, resource, key)
    ledger = _one(connection, feed, resource, resource.ledger, key)
    tombstone = _one(connection, feed, resource, resource.tombstones, key)
    history = _of_record(connection, tables.history_transactional, feed, resource, key)
    quarantine = _of_record(connection, ledgers.quarantine, feed, resource, key)
    named = [
        *(row["pull_id"] for row in (*history, *quarantine)),
        *([ledger["pull_id"]] if ledger else ()),
        *([tombstone["master_pull_id"], tombstone["last_pull_id"]] if tombstone else ()),
        *([row["pull_id"] for row in rows[resource.table.name] if "pull_id" in row]),
    ]
    return Record(
        rows=rows,
        ledger=ledger,
        tombstone=tombstone,
        history=history,
        images=_images(connection, feed, resource, key),
        quarantine=quarantine,
        pulls=_pulls(connection, feed, named),
    )


def pulls_with(connection: sa.Connection, feed: str, resource: Resource) -> list[Row]:
    """The resource's pulls whose pages should be in the archive, the newest first."""
    table = ledgers.pull
    return _all(
        connection,
        sa.select(table)
        .where(
            table.c.feed == feed,
            table.c.kind == resource.kind,
            table.c.state.in_(("complete", "applied", "failed")),
        )
        .order_by(table.c.pull_id.desc()),
    )


def _rows(
    connection: sa.Connection, feed: str, resource: Resource, key: str
) -> dict[str, list[Row]]:
    if resource is not LISTINGS:
        return {
            resource.table.name: _keyed(connection, resource.table, feed, resource.key, [key])
        } | {
            name: _dependents(connection, name, feed, resource.name, [key])
            for name in _shared(resource.name).dependents
        }
    found = {
        name: _keyed(connection, tables.named(name), feed, resource.key, [key])
        for name in tables.LISTING_TABLES
    }
    named = found["property_member"]
    for shared in tables.SHARED_TABLES:
        keys = {row[shared.key] for row in (*named, *found.get("member", ())) if row[shared.key]}
        found[shared.name] = _keyed(
            connection, tables.named(shared.name), feed, shared.key, sorted(keys)
        )
        for name in shared.dependents:
            rows = _dependents(connection, name, feed, shared.resource_name, sorted(keys))
            found[name] = [*found.get(name, ()), *rows]
    return found


def _shared(resource_name: str) -> tables.SharedTable:
    return next(item for item in tables.SHARED_TABLES if item.resource_name == resource_name)


def _keyed(
    connection: sa.Connection, table: sa.Table, feed: str, column: str, keys: Sequence[str]
) -> list[Row]:
    return _all(
        connection,
        sa.select(table)
        .where(table.c.feed == feed, table.c[column].in_(keys))
        .order_by(*table.primary_key.columns),
    )


def _dependents(
    connection: sa.Connection, name: str, feed: str, resource_name: str, keys: Sequence[str]
) -> list[Row]:
    table = tables.named(name)
    return _all(
        connection,
        sa.select(table)
        .where(
            table.c.feed == feed,
            table.c.resource_name == resource_name,
            table.c.resource_record_key.in_(keys),
        )
        .order_by(*table.primary_key.columns),
    )


def _one(
    connection: sa.Connection, feed: str, resource: Resource, table: sa.Table, key: str
) -> Row | None:
    found = _all(
        connection,
        sa.select(table).where(resource.rows_in(table, feed), resource.key_in(table) == key),
    )
    return found[0] if found else None


def _of_record(
    connection: sa.Connection, table: sa.Table, feed: str, resource: Resource, key: str
) -> list[Row]:
    moment = table.c["modification_timestamp" if "field_name" in table.c else "noted_at"]
    return _all(
        connection,
        sa.select(table)
        .where(
            table.c.feed == feed,
            table.c.resource_name == resource.name,
            table.c.resource_record_key == key,
        )
        .order_by(table.c.pull_id, moment, *table.primary_key.columns),
    )


def _images(connection: sa.Connection, feed: str, resource: Resource, key: str) -> list[Row]:
    """By size; an image of which nothing is held yet has NULL there."""
    where, file = named_images(resource), ledgers.media_file
    image = where.tokens(feed).where(where.table.c[where.record_key] == key).subquery()
    of_record = sa.and_(resource.rows_in(file, feed), file.c.resource_record_key == key)
    what_is_held = (
        file.c.size, file.c.state, file.c.held_token, file.c.blob_key,
        file.c.bytes, file.c.stored_at, file.c.attempts, file.c.next_attempt, file.c.reason,
    )  # fmt: skip
    named = (
        sa.select(
            image.c.media_key,
            image.c.order,
            image.c.change_token.label("named_token"),
            *what_is_held,
        )
        .outerjoin(file, sa.and_(of_record, file.c.media_key == image.c.media_key))
        .order_by(image.c.order, image.c.media_key, file.c.size)
    )
    found = _all(connection, named)
    known = {row["media_key"] for row in found}
    held = _all(
        connection,
        sa.select(
            file.c.media_key,
            sa.null().label("order"),
            sa.null().label("named_token"),
            *what_is_held,
        )
        .where(of_record)
        .order_by(file.c.media_key, file.c.size),
    )
    return [*found, *(row for row in held if row["media_key"] not in known)]


def _pulls(connection: sa.Connection, feed: str, pull_ids: Iterable[str | None]) -> list[Row]:
    table = ledgers.pull
    return _all(
        connection,
        sa.select(table)
        .where(table.c.feed == feed, table.c.pull_id.in_({item for item in pull_ids if item}))
        .order_by(table.c.pull_id.desc()),
    )


def _all(connection: sa.Connection, statement: sa.Select[Any]) -> list[Row]:
    return [dict(row._mapping) for row in connection.execute(statement)]
