"""Fifty feeds: from feeds.yaml to definitions whose every job is resolved.

The limit is 3 seconds of processor time, without the import of Dagster, which does not depend on
feeds. What the code server makes of them for the UI comes on top, and is told for information.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from dagster._core.remote_representation.external_data import RepositorySnap

from benchmarks.measure import Figure
from rets_pipeline.orchestration import build_defs
from rets_pipeline.settings import Settings

_FEEDS = 50
_SECONDS = 3.0
_ROUNDS = 3


def feeds() -> list[Figure]:
    """The least of some rounds, in which nothing is kept from the round before."""
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
    started = time.process_time()
    repository = build_defs(Settings.from_env(environ)).get_repository_def()
    repository.load_all_definitions()
    loaded = time.process_time()
    RepositorySnap.from_def(repository, defer_snapshots=True)
    return loaded - started, time.process_time() - loaded


def _feed(number: int) -> tuple[str, dict[str, str]]:
    return f"feed_{number}", {
        "source": "ddf",
        "login_url": f"https://board-{number}.example.com/Login",
        "username_variable": f"FEED_{number}_USERNAME",
        "password_variable": f"FEED_{number}_PASSWORD",
        "first_day": "2020-01-01",
    }
