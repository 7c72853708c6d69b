"""The operator's page says what is so: its statements run, and what it names exists.

What belongs here: docs/operations.md. What does not: whether the answers are right, which the
tests of the tables, commands and assets show.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer
from pydantic import BaseModel

import rets_pipeline.warehouse.ledgers
import rets_pipeline.warehouse.tables  # noqa: F401  (so that the metadata knows them)
from rets_pipeline.cli import app
from rets_pipeline.settings import FeedConfig
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.types import metadata
from rets_pipeline_tests.warehouse.databases import (  # noqa: F401
    postgres_warehouse_url,
    postgres_with_tables,
    sqlite_template,
    sqlite_warehouse_url,
    warehouse,
    warehouse_url,
)

_ROOT = Path(__file__).parents[1]
_PAGE = (_ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
_STATEMENTS = re.findall(r"^```sql\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)
_PROSE = re.sub(r"^```.*?^```$", "", _PAGE, flags=re.MULTILINE | re.DOTALL)
_CODE = re.findall(r"`([^`]+)`", _PROSE)
_GRAPH = _ROOT / "rets_pipeline_tests" / "orchestration" / "graphs" / "shipped.json"
_COMMANDS = sorted({text for text in _CODE if text.startswith("rets-pipeline ")})
#: what the page calls a name and is none of ours
_WORDS = {
    "left alone for now: <host>",
    "killed",
    "fresh",
    "--offline",
    "--all",
    "--rewrite",
    "--replay",
    "kill -9",
}


def test_every_statement_runs(warehouse: Warehouse) -> None:  # noqa: F811
    assert len(_STATEMENTS) > 8
    with warehouse.reading() as connection:
        for statement in _STATEMENTS:
            if "-- Postgres" in statement and connection.dialect.name != "postgresql":
                continue
            connection.execute(sa.text(statement.replace(" :", " \\:").replace("::", "\\:\\:")))


@pytest.mark.parametrize("text", _COMMANDS)
def test_every_command_exists(text: str) -> None:
    command: Any = typer.main.get_command(app)
    words = text.split()[1:]
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, text
        command = command.commands[words.pop(0)]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_every_name_exists() -> None:
    known = {*_WORDS, *_of_graph(), *_of_tables(), *_of_settings(FeedConfig)}
    named = [text for text in _CODE if not text.startswith("rets-pipeline ")]
    variables = {text for text in named if text.isupper()}
    assert variables == {name for name in variables if name in _settings_text()}
    unknown = {
        text for text in set(named) - variables if text not in known and not (_ROOT / text).exists()
    }
    assert unknown == {"sandbox"}


def _of_graph() -> Iterator[str]:
    graph = json.loads(_GRAPH.read_text(encoding="utf-8"))
    for key in graph["assets"]:
        yield key.rpartition("/")[2]
    for key in graph["checks"]:
        yield key.rpartition(": ")[2]
    for kind in ("jobs", "schedules", "sensors"):
        yield from graph[kind]
    yield "settings"  # of a feed that is broken
    yield from ("allow_deletions", "go_on: true")  # in a run's configuration
    yield "left_over"  # in a run's metadata


def _of_tables() -> Iterator[str]:
    for table in metadata.sorted_tables:
        yield table.name
        for column in table.columns:
            yield column.name
            yield f"{table.name}.{column.name}"


def _of_settings(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _of_settings(field.annotation, f"{prefix}{name}.")


def _settings_text() -> str:
    return (_ROOT / "rets_pipeline" / "settings.py").read_text(encoding="utf-8")
