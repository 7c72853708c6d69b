"""Columns of assets: their types, their RESO names, and which element of the payload feeds which.

What belongs here: Dagster's table schemas and column lineage, from the tables of the warehouse and
from the rules of a source. What does not: the rules and the tables.

Both stand in the definitions, not in materializations: they change with the software, and would
fill the event log with the same hundred kilobytes on every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import dagster as dg
import sqlalchemy as sa

from rets_pipeline.orchestration import naming
from rets_pipeline.sources.base import ResourceSource, SourceElement
from rets_pipeline.warehouse import tables
from rets_pipeline.warehouse.resources import LISTINGS, Resource

_POSTGRES = sa.dialects.postgresql.dialect()  # type: ignore[no-untyped-call]


def raw_columns(source: ResourceSource) -> dict[str, Any]:
    """The elements of a server's records, as the columns of the asset that holds its pages."""
    return {"dagster/column_schema": _elements(tuple(source.elements()))}


def loaded_columns(feed: str, resource: Resource, source: ResourceSource) -> dict[str, Any]:
    """The tables that a resource's load writes, and what feeds their columns.

    Args:
        feed: its name.
        resource: whose load it is.
        source: how its records are read.
    """
    return {
        "dagster/column_schema": _schema(tables_of(resource), tuple(source.elements())),
        "dagster/column_lineage": _lineage(
            naming.asset_key(feed, naming.raw(resource)), resource, source.elements()
        ),
        "dagster/table_name": resource.table.name,
    }


def tables_of(resource: Resource) -> tuple[sa.Table, ...]:
    """The tables that a resource's load writes, its own first."""
    if resource is LISTINGS:
        shared = (table for one in tables.SHARED_TABLES for table in (one.name, *one.dependents))
        names = [*tables.LISTING_TABLES, *shared]
    else:
        names = next(
            [one.name, *one.dependents]
            for one in tables.SHARED_TABLES
            if one.name == resource.table.name
        )
    return tuple(tables.named(name) for name in dict.fromkeys(names))


@cache
def _elements(elements: tuple[SourceElement, ...]) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(element.path, "xml", description=_destinations(element))
            for element in elements
        ]
    )


def _destinations(element: SourceElement) -> str:
    if not element.columns:
        return "becomes a row"
    return ", ".join(f"{table}.{column}" for table, column in element.columns)


@cache
def _schema(every: tuple[sa.Table, ...], elements: tuple[SourceElement, ...]) -> dg.TableSchema:
    """The columns of the first table by their names, of the others behind the table's name.

    The open-source UI draws no lineage of columns, so their descriptions name the elements, too.
    """
    feeding: dict[tuple[str, str], list[str]] = {}
    for element in elements:
        for place in element.columns:
            feeding.setdefault(place, []).append(element.path.partition("/")[2])
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=_name(every[0], table.name, column.name),
                type=str(column.type.compile(dialect=_POSTGRES)),
                description=_description(column, feeding.get((table.name, column.name), [])),
                constraints=dg.TableColumnConstraints(nullable=bool(column.nullable), unique=False),
            )
            for table in every
            for column in table.columns
        ]
    )


def _description(column: sa.Column[Any], elements: list[str]) -> str | None:
    if not elements or column.name in ("source_fields", "uncompared_fields"):
        return column.comment
    return f"{column.comment} ← {', '.join(elements)}"


def _name(own: sa.Table, table: str, column: str) -> str:
    return column if table == own.name else f"{table}.{column}"


def _lineage(
    raw: dg.AssetKey, resource: Resource, elements: Sequence[SourceElement]
) -> dg.TableColumnLineage:
    feeding: dict[str, list[dg.TableColumnDep]] = {}
    for element in elements:
        source = dg.TableColumnDep(asset_key=raw, column_name=element.path)
        for table, column in element.columns:
            feeding.setdefault(_name(resource.table, table, column), []).append(source)
    return dg.TableColumnLineage(feeding)
