"""Questions of the nightly reconcile about keys.

What belongs here: which records are fetched again, what is held of them, and which keys the server
and the warehouse do not share. What does not: fetching, and blobs (``blobs``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from rets_pipeline.warehouse import bulk
from rets_pipeline.warehouse.difference import master_list
from rets_pipeline.warehouse.resources import Resource

#: keys named in one statement; databases limit its parameters
_KEYS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What the ledger says of a key that is held as the server has it.

    Attributes:
        master_timestamp: in the master list it was fetched by.
        payload_timestamp: in the record itself.
    """

    master_timestamp: datetime | None
    payload_timestamp: datetime | None
    content_hash: str | None
    pull_id: str


def sample(
    connection: sa.Connection, feed: str, resource: Resource, *, share: float, limit: int
) -> dict[str, Confirmed]:
    """The records whose last download is the longest ago (inside :func:`difference.loaded`).

    The sample rotates by itself and needs no books of its own: whatever is fetched again comes to
    the end of the queue. So every key is fetched at least once in ``1 / share`` nights, a night
    that failed is made up for, and no listing leans on a very old pull.

    Args:
        connection: in a transaction.
        feed: its name.
        resource: whose master list is loaded; only keys that it names are taken.
        share: of the records that are loaded.
        limit: the most to return.
    """
    held, key = resource.ledger, resource.key_in(resource.ledger)
    loaded = sa.and_(
        resource.rows_in(held, feed),
        held.c.state == "loaded",
        sa.exists().where(master_list.c.record_key == key),
    )
    every = connection.execute(
        sa.select(sa.func.count()).select_from(held).where(loaded)
    ).scalar_one()
    # The decimal that was written, not its binary neighbour.
    wanted = min(limit, math.ceil(Fraction(str(share)) * every))
    oldest = _query(resource).where(loaded).order_by(held.c.pull_id, key).limit(wanted)
    return _read(connection, oldest)


def confirmed(
    connection: sa.Connection, feed: str, resource: Resource, keys: Sequence[str]
) -> dict[str, Confirmed]:
    """What is held of those keys; those of other states than ``loaded`` are left out."""
    held, key = resource.ledger, resource.key_in(resource.ledger)
    found: dict[str, Confirmed] = {}
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        some = bulk.among(connection, key, keys[start : start + _KEYS_AT_ONCE])
        of_feed = resource.rows_in(held, feed)
        found |= _read(connection, _query(resource).where(of_feed, held.c.state == "loaded", some))
    return found


def keys_apart(
    connection: sa.Connection, feed: str, resource: Resource, limit: int
) -> tuple[list[str], list[str]]:
    """Keys that only one side has (inside :func:`difference.loaded`), the first of each.

    Args:
        connection: in a transaction.
        feed: its name.
        resource: whose master list is loaded.
        limit: the most to return of each.

    Returns:
        Those missing in the warehouse, without those that were asked for in vain or could not be
        understood; and those that the server lacks.
    """
    entry, held, live = master_list, resource.ledger, resource.table
    live_key, held_key = resource.key_in(live), resource.key_in(held)
    is_live = sa.exists().where(resource.rows_in(live, feed), live_key == entry.c.record_key)
    in_vain = sa.exists().where(
        resource.rows_in(held, feed),
        held_key == entry.c.record_key,
        held.c.state.in_(("not_returned", "quarantined")),
    )
    missing = sa.select(entry.c.record_key).where(~is_live, ~in_vain)
    surplus = sa.select(live_key).where(
        resource.rows_in(live, feed), ~sa.exists().where(entry.c.record_key == live_key)
    )
    return (
        list(connection.execute(missing.order_by(entry.c.record_key).limit(limit)).scalars()),
        list(connection.execute(surplus.order_by(live_key).limit(limit)).scalars()),
    )


def _query(resource: Resource) -> sa.Select[Any]:
    held = resource.ledger
    names = Confirmed.__dataclass_fields__
    return sa.select(resource.key_in(held), *(held.c[name] for name in names))


def _read(connection: sa.Connection, query: sa.Select[Any]) -> dict[str, Confirmed]:
    return {row[0]: Confirmed(*row[1:]) for row in connection.execute(query)}
