"""Listings before and after a load, compared.

What belongs here: what is compared, the statements that find differences without moving rows out
of the database, and values as text in one form. What does not: what a difference means
(``history``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache, cached_property, partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from rets_pipeline.warehouse import tables
from rets_pipeline.warehouse.types import UtcTimestamp

#: a value, from Python or as JSON has it, as text; None stays None
Canonical = Callable[[Any], str | None]
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Field:
    """Something that is compared.

    Attributes:
        name: of a column of ``property``, or of a child table.
        field_name: RESO's FieldName; of what RESO does not know, the name in RESO's form.
        type: of its values; of a child table's, when their number is compared, None.
    """

    name: str
    field_name: str
    type: TypeEngine[Any] | None

    @cached_property
    def text(self) -> Canonical:
        """A value as text."""
        return str if self.type is None else canonical(self.type)


@dataclass(frozen=True)
class Child(Field):
    """The rows of a listing in another table.

    Attributes:
        table: where they are.
        telling: the column that says most of them; None: their number does.
        ordered: they have an order; otherwise their values are compared sorted.
    """

    table: sa.Table
    telling: str | None
    ordered: bool

    def value(self, rows: Rows) -> Any:
        """What is compared: the number, or the values in their order, as the database says it."""
        if self.telling is None:
            return len(rows)
        if self.ordered and len(rows) > 1:
            rows = sorted(rows, key=lambda row: row["order"])
        return [row.get(self.telling) for row in rows]

    def text_of(self, value: Any) -> str | None:
        """It as text."""
        if self.telling is None:
            return str(value)
        values = [self.text(item) for item in value]
        if not self.ordered:
            values.sort(key=lambda text: text or "")
        return _document_text(values) if values else None


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one listing that differs."""

    listing_key: str
    field: Field
    previous: str | None
    new: str | None


#: RESO's names of the collections
_COLLECTIONS = {"property_rooms": "Rooms", "media": "Media", "open_house": "OpenHouse"}
#: the column that says most of a child table's rows; of the others their number is compared
_TELLING = {"property_member": "member_key", "open_house": "open_house_start_local"}
_UNCOMPARED = tables.UNCOMPARED_COLUMNS["property"] | {"feed", "listing_key"}


# What is compared ---------------------------------------------------------------------------------


@cache
def columns() -> tuple[Field, ...]:
    """The columns of ``property`` that are compared, in their order."""
    return tuple(
        Field(column.name, _field_name(column), column.type)
        for column in tables.property_.columns
        if column.name not in _UNCOMPARED
    )


@cache
def children() -> tuple[Child, ...]:
    """The tables whose rows belong to a listing."""
    return tuple(map(_child, tables.LISTING_TABLES[1:]))


@cache
def column(name: str) -> Field:
    """The column of that name."""
    (found,) = (field for field in columns() if field.name == name)
    return found


def _field_name(column: sa.Column[Any]) -> str:
    """By the column's comment, see ``tables``."""
    name = (column.comment or "").partition(";")[0].removeprefix("DDF Web API: ")
    return _pascal_case(column.name) if not name or ":" in name else name


def _child(name: str) -> Child:
    table, telling = tables.named(name), _TELLING.get(name)
    return Child(
        name=name,
        field_name=_COLLECTIONS.get(name, _pascal_case(name)),
        type=table.c[telling].type if telling else None,
        table=table,
        telling=telling,
        ordered="order" in table.primary_key.columns,
    )


def _pascal_case(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


# Values as text -----------------------------------------------------------------------------------


def canonical(kind: TypeEngine[Any]) -> Canonical:
    """How values of a type become text."""
    convert = _converter(kind)
    return lambda value: None if value is None else convert(value)


def _converter(kind: TypeEngine[Any]) -> Callable[[Any], str]:
    if isinstance(kind, sa.Numeric):
        return partial(_number_text, kind.scale)
    converters: tuple[tuple[type[Any], Callable[[Any], str]], ...] = (
        (sa.Boolean, lambda value: "true" if value else "false"),
        (sa.JSON, _document_text),
        (UtcTimestamp, _moment_text),
        (sa.DateTime, lambda value: _moment(value).isoformat()),
    )
    return next((convert for known, convert in converters if isinstance(kind, known)), str)


def _number_text(scale: int | None, value: Decimal | float) -> str:
    """Without trailing zeros; rounded to the column's scale as Postgres does."""
    number = Decimal(str(value))
    if scale is not None:
        number = number.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
    return format(number.normalize() + 0, "f")


#: made once: json.dumps with options makes one each time
_document_text = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=float
).encode


def _moment_text(value: str | datetime) -> str:
    moment = _moment(value)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.isoformat().replace("+00:00", "Z")


def _moment(value: str | datetime) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


# Statements ---------------------------------------------------------------------------------------


class Remembered:
    """Live listings as they are now, to be compared with what a load makes of them.

    Their rows of ``property`` stay in the database, in the session's own table.

    Args:
        connection: in a transaction; its end, or the next object, forgets the rows.
        keys: of live listings.
    """

    def __init__(self, connection: sa.Connection, feed: str, keys: Sequence[str]) -> None:
        self._connection = connection
        self._statements = _statements(connection.dialect.name)
        prepare(connection, _before())
        given = list(keys) if connection.dialect.name == "postgresql" else json.dumps(list(keys))
        connection.execute(sa.text(self._statements.keep), {"feed": feed, "keys": given})
        summaries = connection.exec_driver_sql(self._statements.summaries)
        self._children = {
            listing_key: [_decoded(value) for value in values] for listing_key, *values in summaries
        }

    def in_columns(self) -> Iterator[Difference]:
        """What differs in the columns of ``property`` between then and now."""
        known = columns()
        found = self._connection.exec_driver_sql(self._statements.differences)
        for listing_key, pieces in found:
            for number, old, new in json.loads(f"[{pieces[1:]}]", parse_float=Decimal):
                field = known[number]
                previous, present = field.text(old), field.text(new)
                # Documents that differ in the order of names only: SQLite compares them as text.
                if previous != present:
                    yield Difference(listing_key, field, previous, present)

    def in_children(self, listing_key: str, rows: Mapping[str, Rows]) -> Iterator[Difference]:
        """What differs in the child tables between then and these rows.

        Args:
            rows: of the listing, by table.
        """
        for child, before in zip(children(), self._children[listing_key], strict=True):
            now = child.value(rows.get(child.name, ()))
            if before == now:
                continue
            previous, present = child.text_of(before), child.text_of(now)
            if previous != present:
                yield Difference(listing_key, child, previous, present)


def prepare(connection: sa.Connection, table: sa.Table) -> None:
    """Make the session's own table unless it is there, and empty it."""
    for statement in _preparing(connection.dialect.name, table):
        connection.exec_driver_sql(statement)


@cache
def _preparing(name: str, table: sa.Table) -> tuple[str, str]:
    empty = "TRUNCATE" if name == "postgresql" else "DELETE FROM"
    create = sa.schema.CreateTable(table, if_not_exists=True)
    return _text(name, create), f"{empty} {table.name}"


def _decoded(value: Any) -> Any:
    """SQLite gives JSON as text, Postgres nothing for the values of no rows."""
    if isinstance(value, str):
        return json.loads(value)
    return [] if value is None else value


@dataclass(frozen=True, slots=True)
class _Statements:
    """In the database's own words: to build and to name them anew each time takes longer."""

    keep: str
    summaries: str
    differences: str


#: one parameter, so that the statement is the same for any number of keys
_AMONG = {
    "postgresql": " = ANY(:keys)",
    "sqlite": " IN (SELECT value FROM json_each(:keys))",
}


@cache
def _statements(name: str) -> _Statements:
    before = _before()
    names = ", ".join(f'"{column.name}"' for column in before.columns)
    keep = (
        f"INSERT INTO {before.name} ({names}) SELECT {names} FROM property"  # noqa: S608
        f" WHERE feed = :feed AND listing_key{_AMONG[name]}"
    )
    return _Statements(
        keep=keep,
        summaries=_text(
            name, sa.select(before.c.listing_key, *(_summary(name, child) for child in children()))
        ),
        differences=_text(name, _differences(name)),
    )


def _text(name: str, statement: sa.ClauseElement) -> str:
    dialect: sa.Dialect = sa.make_url(f"{name}://").get_dialect()()
    return str(statement.compile(dialect=dialect))


@cache
def _before() -> sa.Table:
    return sa.Table(
        "listing_before",
        sa.MetaData(),
        sa.Column("feed", sa.Text),
        sa.Column("listing_key", sa.Text),
        *(sa.Column(field.name, field.type) for field in columns()),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DELETE ROWS",
    )


def _summary(dialect: str, child: Child) -> sa.ScalarSelect[Any]:
    before, rows = _before(), child.table
    of_listing = sa.and_(rows.c.feed == before.c.feed, rows.c.listing_key == before.c.listing_key)
    if child.telling is None:
        return sa.select(sa.func.count()).select_from(rows).where(of_listing).scalar_subquery()
    telling, order = rows.c[child.telling], [rows.c.order] if child.ordered else []
    if dialect == "postgresql":
        values = sa.func.json_agg(telling)
        ordered = values.aggregate_order_by(*order) if order else values
        return sa.select(ordered).where(of_listing).scalar_subquery()
    # Older SQLites have no order within a function; the rows that it gets have one.
    some = sa.select(telling).where(of_listing).order_by(*order).correlate(before).subquery()
    return sa.select(sa.func.json_group_array(some.c[child.telling])).scalar_subquery()


def _differences(dialect: str) -> sa.Select[Any]:
    """The query for each listing's differences, as pieces ``,[number, old, new]`` of JSON."""
    before, listing = _before(), tables.property_
    empty, comma = sa.literal_column("''", sa.Text), sa.literal_column("','", sa.Text)
    text: sa.ColumnElement[str] = empty
    for number, field in enumerate(columns()):
        old, new = before.c[field.name], listing.c[field.name]
        piece = _json_array(dialect, sa.literal_column(str(number)), old, new)
        text = text + sa.case((old.is_distinct_from(new), comma + piece), else_=empty)
    same = sa.and_(listing.c.feed == before.c.feed, listing.c.listing_key == before.c.listing_key)
    return sa.select(before.c.listing_key, text).join_from(before, listing, same)


def _json_array(dialect: str, *items: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    if dialect == "postgresql":
        return sa.cast(sa.func.json_build_array(*items), sa.Text)
    # SQLite keeps documents as text; so told, it takes them for what they are.
    parts = [sa.func.json(item) if isinstance(item.type, sa.JSON) else item for item in items]
    return sa.func.json_array(*parts, type_=sa.Text)
