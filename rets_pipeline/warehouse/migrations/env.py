"""Alembic's environment: how a revision meets the database.

What belongs here: handing the open connection and the tables to Alembic. What does not: opening
connections, locks, transactions (``rets_pipeline.warehouse.migrate``).
"""

from __future__ import annotations

from alembic import context

from rets_pipeline.warehouse.migrate import environment_options
from rets_pipeline.warehouse.migrations import operations

with_connection = context.config.attributes["connection"]
context.configure(
    connection=with_connection,
    process_revision_directives=operations.order,
    **environment_options(with_connection),
)
with context.begin_transaction():
    context.run_migrations()
