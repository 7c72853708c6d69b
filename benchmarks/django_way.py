"""A save per row with Django, after ElementTree and nested dictionaries.

That is how the program works that this project takes the place of: every column is a text, every
row is an object of a model, and is saved by itself. Django is installed for the benchmark only:
``python -m benchmarks --install-peers``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import sqlalchemy as sa

from benchmarks import postgres
from benchmarks.measure import Figure
from rets_pipeline.sources.base import ParsedListing
from rets_pipeline.sources.ddf import DdfSource
from rets_pipeline.sync.pages import Page
from rets_pipeline.warehouse import tables

FOLDER = Path(__file__).parent / ".peers" / "django"
_TABLES = (
    *tables.LISTING_TABLES,
    *(shared.name for shared in tables.SHARED_TABLES),
    *tables.SHARED_TABLES[0].dependents,
)
_SOURCE = DdfSource()


def figures(pages: list[bytes], speed: float) -> list[Figure]:
    """Compare with our own listings a second; nothing when Django is not installed."""
    if not FOLDER.is_dir():
        print("Django is not installed: python -m benchmarks --install-peers")
        return []
    listings = [
        listing
        for page in pages
        for record in Page(page, _SOURCE.detail_record).records
        if isinstance(listing := _SOURCE.parse(record), ParsedListing)
    ]
    with _models() as models:
        started = time.perf_counter()
        for page in pages:
            _dictionary(ET.fromstring(page))  # noqa: S314 - of our own making
        for listing in listings:
            _save(models, listing)
        passed = time.perf_counter() - started
    theirs = len(listings) / passed
    limit = f"Django, a save per row, {theirs:,.0f} listings/s"
    name = "the same against a save per row"
    return [Figure(name, f"{speed:,.0f} listings/s", limit, speed / theirs, 40)]


def _dictionary(element: ET.Element) -> Any:
    """An element as nested dictionaries, as that program makes it."""
    if not len(element):
        return element.text
    found: dict[str, Any] = dict(element.attrib)
    for child in element:
        name = child.tag.rpartition("}")[2]
        value = _dictionary(child)
        if name in found:
            several = found[name] if isinstance(found[name], list) else [found[name]]
            found[name] = [*several, value]
        else:
            found[name] = value
    return found


def _save(models: dict[str, Any], listing: ParsedListing) -> None:
    from django.db import transaction

    with transaction.atomic():
        for name, rows in listing.rows.items():
            for row in rows:
                texts = {_field(column): _text(value) for column, value in row.items()}
                models[name](**texts).save()


def _field(column: str) -> str:
    return f"{column}_" if column in ("order", "feed") else column


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


@contextmanager
def _models() -> Iterator[dict[str, Any]]:
    """A model and a table for each of ours, in a database of their own."""
    sys.path.append(str(FOLDER))
    try:
        with postgres.warehouse() as warehouse:
            yield _prepared(warehouse.engine.url)
    finally:
        sys.path.remove(str(FOLDER))


def _prepared(url: sa.URL) -> dict[str, Any]:
    import django
    from django.conf import settings
    from django.db import connection, models

    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.database,
        "USER": url.username,
        "PASSWORD": url.password,
        "HOST": url.host,
        "PORT": url.port,
    }
    settings.configure(
        DATABASES={"default": database},
        INSTALLED_APPS=[],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()
    made = {}
    for name in _TABLES:
        fields = {
            _field(column.name): models.TextField(null=True)
            for column in tables.named(name).columns
            if column.name != "feed"
        }
        meta = type("Meta", (), {"app_label": "benchmark", "db_table": f"django_{name}"})
        made[name] = type(name, (models.Model,), {**fields, "Meta": meta, "__module__": __name__})
    with connection.schema_editor() as editor:
        for model in made.values():
            editor.create_model(model)
    return made
