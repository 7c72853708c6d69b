"""Lines of runs: their form, and where they go."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rets_pipeline import logs
from rets_pipeline.sandbox import RunningSandbox
from rets_pipeline.settings import SettingsError, log_form
from rets_pipeline.sync import run as syncs
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline_tests.sync.conftest import (  # noqa: F401
    archive,
    archive_folder,
    run,
    sandbox,
    sqlite_template,
    sqlite_warehouse,
    sqlite_warehouse_url,
)

logger = logging.getLogger("rets_pipeline.test")


@pytest.fixture
def warehouse(sqlite_warehouse: Any) -> Any:  # noqa: F811
    """One database is enough for words."""
    return sqlite_warehouse


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger("rets_pipeline")
    level = root.level
    yield
    logs.configure(None)
    root.setLevel(level)


def read(line: str) -> dict[str, str]:
    """The fields of a line, as a program that knows the form reads them."""
    found = {}
    while line:
        name, _, line = line.partition("=")
        if line.startswith('"'):
            value, end = json.JSONDecoder().raw_decode(line)
            line = line[end:].removeprefix(" ")
        else:
            value, _, line = line.partition(" ")
        found[name] = value
    return found


@given(
    st.dictionaries(st.from_regex(r"[a-z_]+", fullmatch=True), st.one_of(st.integers(), st.text()))
)
def test_words_can_be_told_apart_again(fields: dict[str, Any]) -> None:
    text = logs.words(fields)
    assert "\n" not in text
    assert read(text) == {name: str(value) for name, value in fields.items()}


def test_lines_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    logs.event(logger, phase="pulls", feed="board", asked=3, nothing=None)
    logger.warning("waiting for %s", "é")
    try:
        raise ValueError("no")
    except ValueError:
        logger.exception("broken")
    first, second, third = map(json.loads, capsys.readouterr().err.splitlines())
    assert datetime.fromisoformat(first.pop("time")).utcoffset() is not None
    assert first == {
        "level": "info",
        "logger": "rets_pipeline.test",
        "phase": "pulls",
        "feed": "board",
        "asked": 3,
    }
    assert (second["level"], second["message"]) == ("warning", "waiting for é")
    assert third["exception"].endswith("ValueError: no")


def test_lines_for_people_and_none_twice(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("text")
    logs.configure("text")
    logs.event(logger, phase="pulls", asked=3, reason="two words")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.partition("Z ")[2] == 'INFO phase=pulls asked=3 reason="two words"'
    logs.configure(None)
    logs.event(logger, phase="more")
    logger.warning("waiting")
    assert capsys.readouterr().err == "waiting\n"


@pytest.mark.parametrize(("text", "form"), [("", None), ("JSON", "json"), (" text ", "text")])
def test_the_setting(text: str, form: str | None) -> None:
    assert log_form({"RETS_PIPELINE_LOG": text}) == form
    assert log_form({}) is None


def test_a_setting_that_is_neither() -> None:
    with pytest.raises(SettingsError, match="RETS_PIPELINE_LOG: 'yes' is neither text nor json"):
        log_form({"RETS_PIPELINE_LOG": "yes"})


def test_a_sync_says_a_line_for_each_phase(
    run: Mirror,  # noqa: F811
    sandbox: RunningSandbox,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("json")
    syncs.sync(run)
    run.close(succeeded=True)
    text = capsys.readouterr().err
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["phase"] for line in lines] == ["lock", "master_list", "deletions", "end"]
    for line in lines:
        assert (line["feed"], line["job"], line["run"]) == (run.feed.name, "sync", run.run_id)
        assert 0 <= line["seconds"] < 60
    assert lines[1]["keys"] == 12
    assert lines[-1]["result"] == "succeeded"
    assert sandbox.password not in text
