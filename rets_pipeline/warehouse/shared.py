"""What listings tell of members and offices.

What belongs here: whose word counts, and writing only what is new. What does not: listings
themselves (``load``), and members and offices from searches of their own (``load_records``).

One agent stands in many listings, mostly in the same words. So what one pull has written once is
remembered, and compared before the database is asked; and what the database holds already in the
same words is not written again: only the pull that told it last moves on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa

from rets_pipeline.warehouse import bulk, tables
from rets_pipeline.warehouse.pulls import Pull

Row = dict[str, Any]
#: the table's resource and the key
Owner = tuple[str, str]

#: how many members and offices a pull remembers to have written
_REMEMBERED = 5_000
_DEPENDENTS = tuple(
    dict.fromkeys(name for shared in tables.SHARED_TABLES for name in shared.dependents)
)


class TellingLike(Protocol):
    """A listing, as far as it tells of others."""

    @property
    def rows(self) -> Mapping[str, Sequence[Row]]: ...  # noqa: D102


class _Told(NamedTuple):
    """What is told of one member or office: its row, and its dependents' rows by table."""

    row: Row
    dependents: dict[str, list[Row]]


class _Standing(NamedTuple):
    """What the database holds of one."""

    told: _Told
    observed_in: str
    pull_id: str | None


class SharedRows:
    """Members and offices that the listings of one pull tell of.

    Args:
        connection: in a transaction.
        pull: the pull that the listings come from.
    """

    def __init__(self, connection: sa.Connection, pull: Pull) -> None:
        self._connection = connection
        self._pull = pull
        self._written: dict[Owner, _Told] = {}

    def write(self, listings: Iterable[TellingLike]) -> None:
        """Write what the listings tell, unless an own search or a later pull told better.

        Of listings that tell differently the last one counts.
        """
        told: dict[Owner, _Told] = {}
        for listing in listings:
            told.update(_told(listing.rows))
        news = {owner: what for owner, what in told.items() if not self._is_written(owner, what)}
        for shared in tables.SHARED_TABLES:
            self._write_table(
                shared,
                {key: what for (name, key), what in news.items() if name == shared.resource_name},
            )

    def forget(self) -> None:
        """Forget what was written: it was rolled back."""
        self._written.clear()

    def _is_written(self, owner: Owner, what: _Told) -> bool:
        before = self._written.get(owner)
        return before is not None and _is_same(owner[0], before, what)

    def _write_table(self, shared: tables.SharedTable, told: Mapping[str, _Told]) -> None:
        if not told:
            return
        pull_id = self._pull.pull_id
        changed: list[str] = []
        equal: list[str] = []
        standing = self._standing(shared, list(told))
        for key, what in told.items():
            held = standing.get(key)
            if held is None:
                changed.append(key)
            elif held.observed_in != "Property" or (held.pull_id or "") > pull_id:
                continue
            elif not _is_same(shared.resource_name, held.told, what):
                changed.append(key)
            elif held.pull_id != pull_id:
                equal.append(key)
            self._remember((shared.resource_name, key), what)
        self._remove(shared, [key for key in changed if key in standing])
        self._insert(shared, [told[key] for key in changed])
        self._note_pull(shared, equal)

    def _remember(self, owner: Owner, what: _Told) -> None:
        if len(self._written) >= _REMEMBERED:
            self._written.clear()
        self._written[owner] = what

    def _standing(self, shared: tables.SharedTable, keys: list[str]) -> dict[str, _Standing]:
        table = tables.named(shared.name)
        rows = self._connection.execute(
            sa.select(table).where(
                table.c.feed == self._pull.feed,
                bulk.among(self._connection, table.c[shared.key], keys),
            )
        ).mappings()
        found = {
            row[shared.key]: _Standing(_Told(dict(row), {}), row["observed_in"], row["pull_id"])
            for row in rows
        }
        for dependent in map(tables.named, shared.dependents) if found else ():
            query = (
                sa.select(dependent)
                .where(self._of(shared, dependent, list(found)))
                .order_by(dependent.c.resource_record_key, dependent.c.order)
            )
            for row in self._connection.execute(query).mappings():
                rows_of_one = found[row["resource_record_key"]].told.dependents
                rows_of_one.setdefault(dependent.name, []).append(dict(row))
        return found

    def _of(
        self, shared: tables.SharedTable, dependent: sa.Table, keys: list[str]
    ) -> sa.ColumnElement[bool]:
        return sa.and_(
            dependent.c.feed == self._pull.feed,
            dependent.c.resource_name == shared.resource_name,
            bulk.among(self._connection, dependent.c.resource_record_key, keys),
        )

    def _remove(self, shared: tables.SharedTable, keys: list[str]) -> None:
        if not keys:
            return
        table = tables.named(shared.name)
        for dependent in map(tables.named, shared.dependents):
            self._connection.execute(sa.delete(dependent).where(self._of(shared, dependent, keys)))
        self._connection.execute(
            sa.delete(table).where(
                table.c.feed == self._pull.feed,
                bulk.among(self._connection, table.c[shared.key], keys),
            )
        )

    def _insert(self, shared: tables.SharedTable, told: list[_Told]) -> None:
        feed = {"feed": self._pull.feed}
        bulk.insert(
            self._connection,
            tables.named(shared.name),
            [{**what.row, "observed_in": "Property"} for what in told],
            {**feed, "pull_id": self._pull.pull_id},
        )
        for name in shared.dependents:
            rows = [row for what in told for row in what.dependents.get(name, ())]
            bulk.insert(self._connection, tables.named(name), rows, feed)

    def _note_pull(self, shared: tables.SharedTable, keys: list[str]) -> None:
        if not keys:
            return
        table = tables.named(shared.name)
        self._connection.execute(
            sa.update(table)
            .where(
                table.c.feed == self._pull.feed,
                bulk.among(self._connection, table.c[shared.key], keys),
            )
            .values(pull_id=self._pull.pull_id)
        )


def _told(rows: Mapping[str, Sequence[Row]]) -> dict[Owner, _Told]:
    """What one listing tells."""
    found = {
        (shared.resource_name, row[shared.key]): _Told(row, {})
        for shared in tables.SHARED_TABLES
        for row in rows.get(shared.name, ())
    }
    for name in _DEPENDENTS:
        for row in rows.get(name, ()):
            told = found.get((row["resource_name"], row["resource_record_key"]))
            if told is not None:
                told.dependents.setdefault(name, []).append(row)
    return found


_SHARED = {shared.resource_name: shared for shared in tables.SHARED_TABLES}
_UNCOMPARED = {
    shared.name: frozenset({"feed", "observed_in", *tables.UNCOMPARED_COLUMNS.get(shared.name, ())})
    for shared in tables.SHARED_TABLES
}


def _is_same(resource_name: str, held: _Told, told: _Told) -> bool:
    """Whether both say the same, as far as that is compared."""
    shared = _SHARED[resource_name]
    if not _agree(shared, held.row, told.row):
        return False
    for name in held.dependents.keys() | told.dependents.keys():
        before, now = held.dependents.get(name, ()), told.dependents.get(name, ())
        if len(before) != len(now):
            return False
        if not all(_agree(shared, one, other) for one, other in zip(before, now, strict=True)):
            return False
    return True


def _agree(shared: tables.SharedTable, one: Row, other: Row) -> bool:
    """Whether two rows, of one of its dependents too, hold the same; a lacking column is NULL."""
    if one.keys() == other.keys() and one == other:
        return True
    names = (one.keys() | other.keys()) - _UNCOMPARED[shared.name]
    return all(_part(shared, name, one) == _part(shared, name, other) for name in names)


def _part(shared: tables.SharedTable, name: str, row: Row) -> Any:
    return tables.compared(shared.name, name, row.get(name))
