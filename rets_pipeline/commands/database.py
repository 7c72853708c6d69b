"""``rets-pipeline db …``: the warehouse's schema.

What belongs here: asking for the revision, comparing, upgrading, and telling about it. What does
not: the schema (``warehouse``).

Exit status: 0; 1 the schema is not what it should be; 2 the database cannot be used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Console

from rets_pipeline.settings import Settings

if TYPE_CHECKING:
    from rets_pipeline.warehouse.engine import Warehouse

app = typer.Typer(
    no_args_is_help=True,
    help="The schema of the warehouse. Whatever opens the warehouse upgrades it too.",
)
console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

_NONE = "no tables yet"


@app.command()
def upgrade() -> None:
    """Bring the tables and views to the newest revision."""
    from rets_pipeline.warehouse import migrate
    from rets_pipeline.warehouse.engine import Warehouse

    settings = Settings.from_env()
    before = _current(Warehouse(settings.database_url))
    Warehouse.open(settings.database_url).close()
    now = migrate.head()
    told = f"at revision {now}"
    if before != now:
        told = f"upgraded from {_said(before)} to revision {now}"
    console.print(f"{settings.database_description}: {told}", markup=False)


@app.command()
def current() -> None:
    """Show the revision."""
    from rets_pipeline.warehouse import migrate
    from rets_pipeline.warehouse.engine import Warehouse

    settings = Settings.from_env()
    found, newest = _current(Warehouse(settings.database_url)), migrate.head()
    told = _said(found)
    if found is not None and found not in migrate.revisions():
        told += f"; this version of rets-pipeline knows {newest} at most"
    elif found != newest:
        told += f"; `rets-pipeline db upgrade` brings it to {newest}"
    console.print(f"{settings.database_description}: {told}", markup=False)


@app.command()
def check() -> None:
    """Compare the database with the tables and views of this version; 1 when they differ."""
    from rets_pipeline.warehouse import migrate
    from rets_pipeline.warehouse.engine import Warehouse

    settings = Settings.from_env()
    warehouse = Warehouse(settings.database_url)
    if _current(warehouse) is None:
        found = [f"{_NONE}; `rets-pipeline db upgrade` makes them"]
    else:
        with warehouse.explained():
            found = migrate.check(warehouse.engine)
    for line in found:
        errors.print(f"{settings.database_description}: {line}", markup=False)
    if found:
        raise typer.Exit(1)
    told = f"revision {migrate.head()}, every table and view as it should be"
    console.print(f"{settings.database_description}: {told}", markup=False)


def _current(warehouse: Warehouse) -> str | None:
    from rets_pipeline.warehouse import migrate

    if warehouse.path is not None and not warehouse.path.exists():
        return None  # a look would make the file
    with warehouse.explained():
        return migrate.current(warehouse.engine)


def _said(revision: str | None) -> str:
    return _NONE if revision is None else f"revision {revision}"
