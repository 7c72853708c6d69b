"""What revisions can do beside Alembic's own operations: make and drop views.

What belongs here: ``op.create_view`` and ``op.drop_view``, and finding which views differ, for
``migrate.check`` and for new revisions. What does not: the views (``rets_pipeline.warehouse.views``).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import comparators, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, Operations
from alembic.operations.ops import UpgradeOps

from rets_pipeline.warehouse.types import metadata
from rets_pipeline.warehouse.views import VIEWS

#: a view of the session's own, by which Postgres tells how it would write a query down
_PROBE = "rets_pipeline_probe"


@Operations.register_operation("create_view")
class CreateView(MigrateOperation):
    """Make a view."""

    def __init__(self, name: str, query: str) -> None:
        self.name = name
        self.query = query

    @classmethod
    def create_view(cls, operations: Operations, name: str, query: str) -> None:
        """As a revision calls it."""
        operations.invoke(cls(name, query))

    def reverse(self) -> MigrateOperation:
        """For a revision's way down."""
        return DropView(self.name, self.query)

    def to_diff_tuple(self) -> tuple[str, str]:
        """For a comparison."""
        return "add_view", self.name


@Operations.register_operation("drop_view")
class DropView(MigrateOperation):
    """Drop a view.

    Args:
        query: what it was, so that the way back is known.
    """

    def __init__(self, name: str, query: str = "") -> None:
        self.name = name
        self.query = query

    @classmethod
    def drop_view(cls, operations: Operations, name: str) -> None:
        """As a revision calls it."""
        operations.invoke(cls(name))

    def reverse(self) -> MigrateOperation:
        """For a revision's way down."""
        return CreateView(self.name, self.query)

    def to_diff_tuple(self) -> tuple[str, str]:
        """For a comparison."""
        return "remove_view", self.name


@Operations.implementation_for(CreateView)
def _create(operations: Operations, operation: CreateView) -> None:
    operations.execute(sa.text(_statement(operation.name, operation.query)))


@Operations.implementation_for(DropView)
def _drop(operations: Operations, operation: DropView) -> None:
    operations.execute(sa.text(f"DROP VIEW {operation.name}"))


@renderers.dispatch_for(CreateView)
def _render_create(_context: AutogenContext, operation: CreateView) -> str:
    return f'op.create_view(\n"{operation.name}",\n"""{operation.query}""",\n)'


@renderers.dispatch_for(DropView)
def _render_drop(_context: AutogenContext, operation: DropView) -> str:
    return f'op.drop_view("{operation.name}")'


@comparators.dispatch_for("schema")
def _compare(context: AutogenContext, operations: UpgradeOps, _schemas: Any) -> None:
    """Note which of our views the database lacks, or has otherwise."""
    connection = context.connection
    if context.metadata is not metadata or connection is None:
        return
    for name, query in VIEWS.items():
        present = _definition(connection, name)
        if present is not None and present == _as_it_would_be(connection, name, query):
            continue
        if present is not None:
            operations.ops.append(DropView(name, present))
        operations.ops.append(CreateView(name, query))


def _statement(name: str, query: str) -> str:
    return f"CREATE VIEW {name} AS {query}"


def _definition(connection: sa.Connection, name: str) -> str | None:
    """What the database says that a view is; None: there is none."""
    if connection.dialect.name == "postgresql":
        found = sa.text("SELECT pg_get_viewdef(to_regclass(:name))")
        return connection.execute(found, {"name": name}).scalar_one()
    found = sa.text("SELECT sql FROM sqlite_master WHERE type = 'view' AND name = :name")
    text = connection.execute(found, {"name": name}).scalar_one_or_none()
    return text and text.removeprefix(_statement(name, ""))


def _as_it_would_be(connection: sa.Connection, name: str, query: str) -> str | None:
    """What it would say of a query; None: it cannot be run, because a column is missing, say."""
    if connection.dialect.name != "postgresql":
        return query
    with connection.begin_nested() as attempt:
        try:
            connection.execute(sa.text(f"CREATE TEMPORARY VIEW {_PROBE} AS {query}"))
            return _definition(connection, _PROBE)
        except sa.exc.ProgrammingError:
            return None
        finally:
            attempt.rollback()
