"""Runs as an operator starts them: a Dagster job in a process of ``rets-pipeline``.

What belongs here: that process, and whether its run has begun. What does not: when it is killed,
and what must hold afterwards.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import sqlalchemy as sa
import yaml

from rets_pipeline.warehouse import ledgers
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.convergence.process import FAILED, Place
from rets_pipeline_tests.services.processes import clean_environment

_ROOT = Path(__file__).parents[2]
#: the program's own: a run failed, or something cannot be used; both may be the server's fault
_FAULTS = (1, 2)


class CommandLineRun:
    """A process; the same face as that of ``multiprocessing``."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def exitcode(self) -> int | None:
        """The status in the words of ``process``; None while it runs."""
        status = self._process.poll()
        if status in _FAULTS:
            assert "Traceback" not in self._log.read_text(), self._log.read_text()
            return FAILED
        return status

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return

    def kill(self) -> None:
        """Without a word."""
        self._process.kill()


class CommandLine:
    """Starts runs, all on one Dagster instance.

    Args:
        folder: for the instance and the settings.
    """

    def __init__(self, folder: Path) -> None:
        self.home = folder / "dagster"
        self.home.mkdir()
        shutil.copyfile(_ROOT / "dagster.yaml", self.home / "dagster.yaml")
        self._folder = folder

    def start(self, place: Place, kind: str) -> CommandLineRun:
        """Begin a run, and return when it is at work: its start takes seconds, its work less."""
        began = self._runs(place)
        log = self._folder / "last.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "rets_pipeline.cli", kind, place.feed.name],
                cwd=self._folder,
                env=self._environ(place),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        while process.poll() is None and self._runs(place) == began:
            time.sleep(0.02)
        return CommandLineRun(process, log)

    def run(self, place: Place, kind: str) -> int:
        """One whole run; its exit status."""
        running = self.start(place, kind)
        running.join()
        assert running.exitcode is not None
        return running.exitcode

    def _runs(self, place: Place) -> int:
        warehouse = Warehouse(place.database_url)
        with warehouse.reading() as connection:
            query = sa.select(sa.func.count()).select_from(ledgers.run_ledger)
            found = connection.execute(query).scalar_one()
        warehouse.close()
        return found

    def _environ(self, place: Place) -> dict[str, str]:
        feed = place.feed.model_dump(mode="json", exclude_none=True, exclude={"name"})
        path = self._folder / "feeds.yaml"
        path.write_text(yaml.safe_dump({"feeds": {place.feed.name: feed}}), encoding="utf-8")
        return clean_environment(
            HOME=str(self._folder),
            PYTHONPATH=os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")])),
            DAGSTER_HOME=str(self.home),
            DAGSTER_DISABLE_TELEMETRY="yes",
            RETS_PIPELINE_FEEDS=str(path),
            RETS_PIPELINE_HOME=str(self._folder / "home"),
            **{
                place.feed.username_variable: place.username,
                place.feed.password_variable: place.password,
            },
            **place.environ,
        )
