"""A project's folder with its own feeds.yaml, and ``rets-pipeline`` run in it as people do."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rets_pipeline.sandbox import running
from rets_pipeline_tests.end_to_end.harness import FEED, Server
from rets_pipeline_tests.patience import PATIENCE
from rets_pipeline_tests.services.processes import clean_environment

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("rets-pipeline")

#: whatever must never be printed
SECRETS = ("correct-horse", "sandbox-password", "secret-of-database")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int
    stdout: str
    stderr: str

    def fault(self) -> str:
        """The one line on standard error, of a command that told of one fault."""
        assert self.stderr.endswith("\n"), self.stderr
        (line,) = self.stderr.splitlines()
        return line


@dataclass
class Project:
    """A folder in which commands run.

    Attributes:
        environ: added to an otherwise empty environment.
    """

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """Where commands keep what they make."""
        return self.folder / ".rets_pipeline"

    def write_feeds(self, feeds: Mapping[str, Mapping[str, Any]]) -> None:
        """A new feeds.yaml."""
        text = yaml.safe_dump({"feeds": dict(feeds)}, sort_keys=False)
        (self.folder / "feeds.yaml").write_text(text, encoding="utf-8")

    def start(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        """Begin a command, in a process group of its own."""
        return subprocess.Popen(
            [str(PROGRAM), *words],
            cwd=self.folder,
            env=clean_environment(
                HOME=str(self.folder),
                PYTHONPATH=str(ROOT),  # the code beside this test, whatever is installed
                **{**self.environ, **environ},
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> Done:
        """Its end, with what holds for every command: no traceback, no secret, no colours."""
        try:
            stdout, stderr = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            stdout, stderr = process.communicate()
            raise AssertionError(f"it did not end:\n{stdout}\n{stderr}") from None
        for text in (stdout, stderr):
            assert "Traceback" not in text, text
            assert not _CONTROL.search(text), repr(text)
            assert not [secret for secret in SECRETS if secret in text], text
        return Done(process.returncode, stdout, stderr)

    def run(self, *words: str, **environ: str) -> Done:
        """A command from its start to its end."""
        return self.finish(self.start(*words, **environ))


@pytest.fixture
def server() -> Iterator[Server]:
    """A DDF server with few listings."""
    with running(listings=30, days=20, seed=11) as sandbox:
        yield Server(sandbox.url, sandbox.login_url)


@pytest.fixture
def feed(server: Server) -> dict[str, Any]:
    """The settings of a feed of that server."""
    return {
        "source": "ddf",
        "login_url": server.login_url,
        "username_variable": "BOARD_USERNAME",
        "password_variable": "BOARD_PASSWORD",
        "first_day": (datetime.now(UTC) - timedelta(days=30)).date(),
        "lock_wait_seconds": 1,
        "photos": {"hosts": ["127.0.0.1"], "allow_private_addresses": True},
    }


@pytest.fixture
def empty_project(tmp_path: Path) -> Project:
    """A folder with Dagster's files, and no feeds."""
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    return Project(tmp_path, {"BOARD_USERNAME": "sandbox", "BOARD_PASSWORD": "sandbox-password"})


@pytest.fixture
def project(empty_project: Project, feed: dict[str, Any], dagster_template: Path) -> Project:
    """With one feed that works, and without a run."""
    empty_project.write_feeds({FEED: feed})
    shutil.copytree(dagster_template, empty_project.home / "dagster")
    return empty_project


@pytest.fixture
def in_background(project: Project) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Commands that are killed at the end of the test, if they still run."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str, **environ: str) -> subprocess.Popen[str]:
        started.append(project.start(*words, **environ))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
