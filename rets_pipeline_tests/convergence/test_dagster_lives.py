"""The same through Dagster: runs of the command line that are killed, and an instance that copes.

What belongs here: that a killed run leaves nothing behind in Dagster that is in the way of the
next one. What does not: the many moments at which a sync can die; runs without Dagster start in
a fraction of the time (``test_lives``).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from rets_pipeline.sandbox import running
from rets_pipeline_tests.conftest import Backend
from rets_pipeline_tests.convergence.command_line import CommandLine
from rets_pipeline_tests.convergence.life import Life, live_and_compare

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

#: pytest's ``record_property``
Record = Callable[[str, object], None]

_LIVES = max(1, int(os.environ.get("RETS_PIPELINE_LIVES", "8")) // 40)
_FIRST = int(os.environ.get("RETS_PIPELINE_FIRST_LIFE", "1"))


def test_a_life_through_dagster(backend: Backend, tmp_path: Path, record_property: Record) -> None:
    _live(9, backend, tmp_path, 1, record_property)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(_FIRST, _FIRST + _LIVES))
def test_more_lives_through_dagster(
    seed: int, backend: Backend, tmp_path: Path, record_property: Record
) -> None:
    _live(seed, backend, tmp_path, 8, record_property)


def _live(seed: int, backend: Backend, folder: Path, steps: int, record: Record) -> None:
    runs = CommandLine(folder)
    with running(listings=16, days=3, seed=seed, max_photos=2) as sandbox:
        life = Life(seed, sandbox, backend, runs=runs)
        life.server.behave(latency=0.15)  # so that a run is not over before anybody can kill it
        live_and_compare(life, steps, record)
    with dg.DagsterInstance.from_config(str(runs.home)) as instance:
        ended = [run.status for run in instance.get_runs()]
    assert set(ended) <= {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}
    # Not one for each that was killed: between a run's success and its process's end is a moment.
    assert dg.DagsterRunStatus.FAILURE in ended, "nobody was killed in the middle of a run"
    assert ended[0] is dg.DagsterRunStatus.SUCCESS
