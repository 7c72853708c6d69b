"""The quarantine: what could not be understood, by resource and key.

What belongs here: the statements on the table ``quarantine``. What does not: what is understood.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import sqlalchemy as sa

from rets_pipeline.warehouse import bulk, ledgers
from rets_pipeline.warehouse.pulls import Pull


class ProblemLike(Protocol):
    """A value or a record that could not be understood."""

    @property
    def field(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102
    @property
    def raw(self) -> str: ...  # noqa: D102


def replace(
    connection: sa.Connection,
    pull: Pull,
    resource_name: str,
    problems: Sequence[tuple[str | None, ProblemLike]],
    keys: Sequence[str],
    now: datetime,
) -> None:
    """Note what a pull could not say, in place of what was noted of those keys before.

    Args:
        connection: in a transaction.
        pull: that the records came by.
        problems: by key; a record without a readable one has None.
        keys: whose entries are replaced.
        now: the time of the entries.
    """
    table = ledgers.quarantine
    if keys:
        connection.execute(
            sa.delete(table).where(
                table.c.feed == pull.feed,
                table.c.resource_name == resource_name,
                table.c.resource_record_key.in_(keys),
            )
        )
    bulk.insert(
        connection,
        table,
        [
            {
                "feed": pull.feed,
                "resource_name": resource_name,
                "resource_record_key": key,
                "pull_id": pull.pull_id,
                "field": _storable(problem.field),
                "reason": _storable(problem.reason),
                "raw": _storable(problem.raw),
                "noted_at": now,
            }
            for key, problem in problems
        ],
    )


def forget_without_key(connection: sa.Connection, pull: Pull) -> None:
    """Nothing but the pull identifies records without a key: loaded again, it notes them anew."""
    table = ledgers.quarantine
    connection.execute(
        sa.delete(table).where(
            table.c.feed == pull.feed,
            table.c.resource_record_key.is_(None),
            table.c.pull_id == pull.pull_id,
        )
    )


def _storable(text: str) -> str:
    """Text that every database takes: Postgres stores no NUL."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
