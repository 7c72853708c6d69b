"""Loading the definitions: everywhere, at once, and without touching anything.

What belongs here: processes as they start in a deployment. What does not: what the definitions are.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rets_pipeline_tests.patience import PATIENCE

_ROOT = Path(__file__).parents[2]
_BINARIES = Path(sys.executable).parent

#: what the operating system needs, and nothing of a developer's settings
_EMPTY = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}

_FLOORS_WITHOUT_DAGSTER = ("rets", "sources", "warehouse", "archive", "sync", "sandbox", "settings")

#: An audit hook sees every connection, whichever library makes it.
_WATCHED = """
import json, sys
seen = []
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "sqlite3.connect"):
        seen.append(f"{event} {arguments[-1]}")
sys.addaudithook(watch)
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from rets_pipeline.definitions import defs
    import dagster as dg
    dg.Definitions.validate_loadable(defs)
    defs.get_repository_def().load_all_definitions()
lifecycle = (dg.BetaWarning, dg.PreviewWarning, dg.SupersessionWarning, DeprecationWarning)
print(json.dumps({
    "seen": seen,
    "warned": [
        str(item.message) for item in caught
        if issubclass(item.category, lifecycle) and "rets_pipeline" in str(item.filename)
        or issubclass(item.category, lifecycle[:3])
    ],
    "assets": len(defs.resolve_all_asset_keys()),
}))
"""


def run(
    *words: str, cwd: Path = _ROOT, environ: dict[str, str] = _EMPTY
) -> subprocess.CompletedProcess[str]:
    """A process that inherits nothing."""
    return subprocess.run(
        words, cwd=cwd, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@pytest.mark.nightly  # by day make itself runs both
@pytest.mark.parametrize(
    "command",
    [("dg", "check", "defs"), ("dagster", "definitions", "validate", "-w", "workspace.yaml")],
    ids=lambda words: " ".join(words[:2]),
)
def test_dagsters_own_checks_pass_in_an_empty_environment(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    environ = {**_EMPTY, "HOME": str(tmp_path), "VIRTUAL_ENV": str(_BINARIES.parent)}
    done = run(str(_BINARIES / command[0]), *command[1:], environ=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout + done.stderr
    assert "Beta" not in told
    assert "Preview" not in told
    assert "Traceback" not in told


def test_loading_touches_nothing_needs_no_credentials_and_warns_of_nothing(
    tmp_path: Path,
) -> None:
    environ = {
        **_EMPTY,
        "RETS_PIPELINE_HOME": str(tmp_path / "home"),
        "DATABASE_URL": "postgresql://rets:nothing@db.invalid/rets",
        "ARCHIVE_URI": "s3://bucket/mirror",
    }
    done = run(sys.executable, "-c", _WATCHED, environ=environ)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == {"seen": [], "warned": [], "assets": 17}
    assert not (tmp_path / "home").exists()


def test_the_watch_sees_what_it_is_to_see(tmp_path: Path) -> None:
    """Otherwise the test above could not fail."""
    spy = _WATCHED.replace(
        "    import dagster as dg\n",
        "    import dagster as dg\n"
        "    import sqlite3, socket\n"
        f"    sqlite3.connect({str(tmp_path / 'x.sqlite')!r}).close()\n"
        "    socket.socket().connect_ex(('127.0.0.1', 9))\n"
        "    warnings.warn('spied', dg.BetaWarning)\n",
    )
    found = json.loads(run(sys.executable, "-c", spy).stdout)
    assert [line.partition(" ")[0] for line in found["seen"]] == [
        "sqlite3.connect",
        "socket.connect",
    ]
    assert found["warned"] == ["spied"]


@pytest.mark.parametrize("floor", _FLOORS_WITHOUT_DAGSTER)
def test_what_lies_below_orchestration_does_not_load_dagster(floor: str) -> None:
    """Every module of it, so that an import inside one is seen as well."""
    code = (
        "import importlib, pkgutil, sys\n"
        f"package = importlib.import_module('rets_pipeline.{floor}')\n"
        "names = [package.__name__]\n"
        "for found in pkgutil.walk_packages(getattr(package, '__path__', []),"
        " package.__name__ + '.'):\n"
        "    if '.migrations.env' not in found.name:\n"  # runs inside Alembic only
        "        importlib.import_module(found.name); names.append(found.name)\n"
        "print(len(names), 'dagster' in sys.modules)\n"
    )
    done = run(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    count, loaded = done.stdout.split()
    assert int(count) >= 1
    assert loaded == "False"


def test_the_command_line_loads_dagster_only_when_it_runs_something() -> None:
    told_first = "beforehand, demo, dev, lens, report, status"  # what is wrong, before a run
    done = run(
        sys.executable,
        "-c",
        f"import rets_pipeline.cli, sys; from rets_pipeline.commands import {told_first}\n"
        "print('dagster' in sys.modules)",
    )
    assert done.stdout.strip() == "False", done.stderr


def test_a_missing_feeds_file_is_told_by_dagster_in_one_plain_line(tmp_path: Path) -> None:
    environ = {**_EMPTY, "RETS_PIPELINE_FEEDS": str(tmp_path / "feeds.yaml")}
    done = run(sys.executable, "-c", "import rets_pipeline.definitions", environ=environ)
    assert done.returncode != 0
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .endswith(f"{tmp_path / 'feeds.yaml'}: cannot be read (No such file or directory)")
    )
