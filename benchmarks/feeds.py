"""Fifty feeds: from feeds.yaml to definitions whose every job is resolved.

The limit is 3 seconds of processor time, without the import of Dagster, which does not depend on
feeds. What the code server makes of them for the UI comes on top, and is told for information.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from benchmarks.measure import Figure

_FEEDS = 50
_SECONDS = 3.0
_ROUNDS = 3

#: what a code server does, in a process of its own: processor time, without the imports
_LOAD = """
import time
from dagster._core.remote_representation.external_data import RepositorySnap
import rets_pipeline.orchestration
started = time.process_time()
from rets_pipeline.definitions import defs
repository = defs.get_repository_def()
repository.load_all_definitions()
loaded = time.process_time()
RepositorySnap.from_def(repository, defer_snapshots=True)
print(loaded - started, time.process_time() - loaded)
"""


def feeds() -> list[Figure]:
    """The least of some processes."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "feeds.yaml"
        path.write_text(yaml.safe_dump({"feeds": dict(map(_feed, range(_FEEDS)))}))
        environ = {"RETS_PIPELINE_FEEDS": str(path), "RETS_PIPELINE_HOME": folder}
        rounds = [_round(environ) for _ in range(_ROUNDS)]
    loaded, shown = (min(found) for found in zip(*rounds, strict=True))
    return [
        Figure(
            f"{_FEEDS} feeds, feeds.yaml to resolved jobs",
            f"{loaded:.2f} s",
            f"{_SECONDS:g} s",
            loaded / _SECONDS,
            1.0,
            below=True,
        ),
        Figure(
            f"{_FEEDS} feeds, the code server's picture of them",
            f"{shown:.2f} s",
            f"{_SECONDS:g} s",
            shown / _SECONDS,
        ),
    ]


def _round(environ: dict[str, str]) -> tuple[float, float]:
    done = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-c", _LOAD],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    loaded, shown = map(float, done.stdout.split())
    return loaded, shown


def _feed(number: int) -> tuple[str, dict[str, str]]:
    return f"feed_{number}", {
        "source": "ddf",
        "login_url": f"https://board-{number}.example.com/Login",
        "username_variable": f"FEED_{number}_USERNAME",
        "password_variable": f"FEED_{number}_PASSWORD",
        "first_day": "2020-01-01",
    }
