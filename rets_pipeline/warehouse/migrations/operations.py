"""Views in revisions: making and dropping them, and finding which of them differ.

What belongs here: what revisions call, and what Alembic calls to compare the database with our
views (``migrate.check``) and to write new revisions. What does not: the views themselves
(``rets_pipeline.warehouse.views``).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.autogenerate import comparators, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation
from alembic.operations.ops import MigrationScript, UpgradeOps
from alembic.runtime.migration import MigrationContext

from rets_pipeline.warehouse.types import metadata
from rets_pipeline.warehouse.views import VIEWS

#: a view of the session's own, by which Postgres tells how it would write a query down
_PROBE = "rets_pipeline_probe"


def create_view(name: str, query: str) -> None:
    """Make a view."""
    op.execute(_create(name, query))


def drop_view(name: str) -> None:
    """Drop a view."""
    op.execute(f"DROP VIEW {name}")


class CreateView(MigrateOperation):
    """What a comparison finds: the database lacks a view."""

    def __init__(self, name: str, query: str) -> None:
        self.name = name
        self.query = query

    def reverse(self) -> MigrateOperation:
        """For a revision's way down."""
        return DropView(self.name, self.query)

    def to_diff_tuple(self) -> tuple[str, str]:
        """For ``compare_metadata``."""
        return "add_view", self.name


class DropView(MigrateOperation):
    """What a comparison finds: the database has a view that we have otherwise."""

    def __init__(self, name: str, query: str) -> None:
        self.name = name
        self.query = query

    def reverse(self) -> MigrateOperation:
        """For a revision's way down."""
        return CreateView(self.name, self.query)

    def to_diff_tuple(self) -> tuple[str, str]:
        """For ``compare_metadata``."""
        return "remove_view", self.name


@renderers.dispatch_for(CreateView)
def _render_create(context: AutogenContext, operation: CreateView) -> str:
    context.imports.add(f"from {__package__} import operations")
    return f'operations.create_view(\n"{operation.name}",\n"""{operation.query}""",\n)'


@renderers.dispatch_for(DropView)
def _render_drop(context: AutogenContext, operation: DropView) -> str:
    context.imports.add(f"from {__package__} import operations")
    return f'operations.drop_view("{operation.name}")'


@comparators.dispatch_for("schema")
def _compare(context: AutogenContext, upgrade: UpgradeOps, _schemas: Any) -> None:
    connection = context.connection
    if context.metadata is not metadata or connection is None:
        return
    for name, query in VIEWS.items():
        present = _definition(connection, name)
        if present is None or present != _as_it_would_be(connection, query):
            if present is not None:
                upgrade.ops.append(DropView(name, present))
            upgrade.ops.append(CreateView(name, query))


def order(_context: MigrationContext, _revision: Any, directives: list[MigrationScript]) -> None:
    """Alembic's ``process_revision_directives``: views go before tables change, and come after."""
    places: dict[type[MigrateOperation], int] = {DropView: 1, CreateView: 3}
    for script in directives:
        for container in (*script.upgrade_ops_list, *script.downgrade_ops_list):
            container.ops.sort(key=lambda operation: places.get(type(operation), 2))


def _create(name: str, query: str, kind: str = "VIEW") -> str:
    return f"CREATE {kind} {name} AS {query}"


def _definition(connection: sa.Connection, name: str) -> str | None:
    """What the database says that a view is; None: there is none."""
    if connection.dialect.name == "postgresql":
        query = sa.text("SELECT pg_get_viewdef(to_regclass(:name))")
    else:
        query = sa.text("SELECT sql FROM sqlite_master WHERE type = 'view' AND name = :name")
    found: str | None = connection.execute(query, {"name": name}).scalar_one_or_none()
    return found and _words(found.removeprefix(_create(name, "")))


def _as_it_would_be(connection: sa.Connection, query: str) -> str | None:
    """What it would say of a query; None: it cannot be run, because a column is missing, say."""
    if connection.dialect.name != "postgresql":
        return _words(query)
    with connection.begin_nested() as attempt:
        try:
            connection.execute(sa.text(_create(_PROBE, query, "TEMPORARY VIEW")))
            return _definition(connection, _PROBE)
        except sa.exc.ProgrammingError:
            return None
        finally:
            attempt.rollback()


def _words(query: str) -> str:
    """Without line breaks: a revision's are not those of ``views``."""
    return " ".join(query.split())
