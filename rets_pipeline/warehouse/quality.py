"""Questions about the mirrored data whose answers an operator is warned of.

What belongs here: one bounded query for each. What does not: what is too much
(``sync.quality``), and comparisons with the server's keys (``difference``) or photos (``media``).

``quarantined`` and ``prices`` read an index. ``orphans``, ``extremes`` and ``nulls`` read whole
tables: they are for the night.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa

from rets_pipeline.warehouse import ledgers, tables
from rets_pipeline.warehouse.resources import LISTINGS, Resource

#: how many cases a warning names
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is in the quarantine, and how often."""

    field: str
    reason: str
    entries: int


@dataclass(frozen=True, slots=True)
class Quarantined:
    """What of a resource was not understood.

    Attributes:
        records: that could not be read at all.
        values: that were left out of records that landed.
        reasons: the most frequent ones.
    """

    records: int
    values: int
    reasons: list[Reason]


def quarantined(connection: sa.Connection, feed: str, resource: Resource = LISTINGS) -> Quarantined:
    """The quarantine of a resource in numbers."""
    table = ledgers.quarantine
    entries = sa.func.count().label("entries")
    rows = connection.execute(
        sa.select(table.c.field, table.c.reason, entries)
        .where(table.c.feed == feed, table.c.resource_name == resource.name)
        .group_by(table.c.field, table.c.reason)
        .order_by(entries.desc(), table.c.field, table.c.reason)
    ).all()
    return Quarantined(
        records=sum(row.entries for row in rows if not row.field),
        values=sum(row.entries for row in rows if row.field),
        reasons=[Reason(row.field, row.reason, row.entries) for row in rows[:EXAMPLES]],
    )


@dataclass(frozen=True, slots=True)
class Prices:
    """Asking prices beyond bounds.

    Attributes:
        examples: key and price of some of them.
    """

    below: int
    above: int
    examples: list[tuple[str, Decimal]]


def prices(connection: sa.Connection, feed: str, lowest: int, highest: int) -> Prices:
    """Live listings whose asking price, of a sale or a lease, lies beyond the bounds."""
    table = tables.property_
    price = table.c.list_price
    below, above = price < lowest, price > highest

    def count(beyond: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).where(table.c.feed == feed, beyond)
        return connection.execute(query).scalar_one()

    found = Prices(count(below), count(above), [])
    if found.below or found.above:
        query = sa.select(table.c.listing_key, price).where(table.c.feed == feed)
        some = query.where(sa.or_(below, above)).order_by(table.c.listing_key).limit(EXAMPLES)
        found.examples.extend((row.listing_key, row.list_price) for row in connection.execute(some))
    return found


def orphans(connection: sa.Connection, feed: str) -> dict[str, int]:
    """Rows of each child table without the row that they belong to."""
    found = {}
    parent = tables.property_
    for name in tables.LISTING_TABLES[1:]:
        child = tables.named(name)
        found[name] = _without(
            connection, feed, child, parent, child.c.listing_key == parent.c.listing_key
        )
    for shared in tables.SHARED_TABLES:
        parent = tables.named(shared.name)
        for name in shared.dependents:
            child = tables.named(name)
            whose = child.c.resource_record_key == parent.c[shared.key]
            of_resource = child.c.resource_name == shared.resource_name
            alone = _without(connection, feed, child, parent, whose, of_resource)
            found[name] = found.get(name, 0) + alone
    return found


def _without(
    connection: sa.Connection,
    feed: str,
    child: sa.Table,
    parent: sa.Table,
    whose: sa.ColumnElement[bool],
    *which: sa.ColumnElement[bool],
) -> int:
    """How many children have no parent."""
    exists = sa.exists().where(parent.c.feed == child.c.feed, whose)
    return connection.execute(
        sa.select(sa.func.count()).select_from(child).where(child.c.feed == feed, *which, ~exists)
    ).scalar_one()


@dataclass(frozen=True, slots=True)
class Extremes:
    """The outermost coordinates of a province's listings, in degrees.

    Attributes:
        province: in the source's words.
        located: its listings with coordinates.
    """

    province: str | None
    located: int
    south: Decimal
    north: Decimal
    west: Decimal
    east: Decimal


def extremes(connection: sa.Connection, feed: str) -> list[Extremes]:
    """How far each province's listings reach."""
    table = tables.property_
    latitude, longitude = table.c.latitude, table.c.longitude
    rows = connection.execute(
        sa.select(
            table.c.state_or_province,
            sa.func.count().label("located"),
            sa.func.min(latitude),
            sa.func.max(latitude),
            sa.func.min(longitude),
            sa.func.max(longitude),
        )
        .where(table.c.feed == feed, latitude.is_not(None), longitude.is_not(None))
        .group_by(table.c.state_or_province)
        .order_by(table.c.state_or_province)
    )
    return [Extremes(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Outside:
    """Listings of a province that stand elsewhere.

    Attributes:
        examples: keys of some of them.
    """

    listings: int
    examples: list[str]


def outside(
    connection: sa.Connection,
    feed: str,
    province: str | None,
    latitudes: tuple[float, float],
    longitudes: tuple[float, float],
) -> Outside:
    """The listings of a province beyond the lines, in degrees."""
    table = tables.property_
    beyond = sa.or_(
        table.c.latitude < Decimal(str(latitudes[0])),
        table.c.latitude > Decimal(str(latitudes[1])),
        table.c.longitude < Decimal(str(longitudes[0])),
        table.c.longitude > Decimal(str(longitudes[1])),
    )
    where = (table.c.feed == feed, table.c.state_or_province == province, beyond)
    count = connection.execute(
        sa.select(sa.func.count()).select_from(table).where(*where)
    ).scalar_one()
    some = sa.select(table.c.listing_key).where(*where).order_by(table.c.listing_key)
    return Outside(count, list(connection.execute(some.limit(EXAMPLES)).scalars()))


def nulls(connection: sa.Connection, feed: str, table: sa.Table) -> tuple[int, dict[str, int]]:
    """The number of rows, and of those that say nothing in each column that may be NULL."""
    names = [column.name for column in table.columns if column.nullable]
    row = connection.execute(
        sa.select(sa.func.count(), *(sa.func.count(table.c[name]) for name in names)).where(
            table.c.feed == feed
        )
    ).one()
    rows = int(row[0])
    return rows, {name: rows - held for name, held in zip(names, row[1:], strict=True)}
