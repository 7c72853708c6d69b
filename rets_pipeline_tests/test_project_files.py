"""The files at the top of the repository: Dagster's, make's, and the pins."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from dagster import DagsterInstance
from dagster._config import process_config
from dagster._core.instance.config import PoolGranularity, dagster_instance_config_schema
from dagster._core.workspace.load import location_origins_from_yaml_paths
from packaging.requirements import Requirement

from rets_pipeline_tests.patience import PATIENCE

ROOT = Path(__file__).parents[1]

PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text(encoding="ascii").splitlines()
    if not line.startswith("#")
)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


class TestDagsterYaml:
    def test_it_is_valid(self) -> None:
        settings = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
        result = process_config(dagster_instance_config_schema(), settings)
        assert result.success, result.errors

    def test_it_means_what_it_says(self, tmp_path: Path) -> None:
        """Through Dagster's own eyes, in an empty folder: so it needs no server either."""
        (tmp_path / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
        with DagsterInstance.from_config(str(tmp_path)) as instance:
            assert not instance.telemetry_enabled
            assert not instance.nux_enabled
            assert instance.run_monitoring_enabled
            assert instance.run_monitoring_max_runtime_seconds == 3_600
            assert instance.run_retries_enabled
            assert instance.run_retries_max_retries == 2
            assert not instance.run_retries_retry_on_asset_or_op_failure
            concurrency = instance.get_concurrency_config()
            assert concurrency.pool_config.pool_granularity is PoolGranularity.RUN
            assert concurrency.run_queue_config is not None
            assert concurrency.run_queue_config.max_concurrent_runs == 4
            assert str(tmp_path) in instance.root_directory
            # What `make dev` does for each feed.
            instance.event_log_storage.set_concurrency_slots("rets_sandbox", 1)

    def test_it_names_no_storage(self) -> None:
        settings = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
        assert not settings.keys() & {
            "storage",
            "run_storage",
            "event_log_storage",
            "schedule_storage",
            "compute_logs",
            "local_artifact_storage",
            "run_launcher",
        }


def test_workspace_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (origin,) = location_origins_from_yaml_paths(["workspace.yaml"])
    pointer = origin.loadable_target_origin
    assert origin.location_name == "rets_pipeline"
    assert pointer.module_name == "rets_pipeline.definitions"
    assert Path(pointer.working_directory).resolve() == ROOT


class TestConstraints:
    def test_they_are_plain_pins(self) -> None:
        text = (ROOT / "constraints.txt").read_text(encoding="ascii")
        for line in text.splitlines():
            assert re.fullmatch(r"#.*|[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.]+", line), line
        assert "://" not in text

    def test_they_fit_what_the_project_asks_for(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = project["optional-dependencies"]
        pins = {normal(name): version for name, version in PINS.items()}
        asked = [
            Requirement(text)
            for text in [*project["dependencies"], *extras["dev"], *extras["test"]]
        ]
        for requirement in asked:
            if requirement.name != project["name"]:
                version = pins[normal(requirement.name)]
                assert requirement.specifier.contains(version), (requirement, version)

    def test_dagsters_family_is_one(self) -> None:
        family = {name: version for name, version in PINS.items() if name.startswith("dagster")}
        libraries = {family.pop(name) for name in list(family) if family[name].startswith("0.")}
        core = family["dagster"]
        assert set(family.values()) == {core}
        assert {version.rpartition(".")[2] for version in libraries} == {core.rpartition(".")[2]}


class TestMake:
    def run(self, *arguments: str) -> str:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        return subprocess.run(
            ["make", *arguments],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        ).stdout

    def test_help_is_the_default_and_names_every_target(self) -> None:
        shown = self.run()
        assert shown == self.run("help")
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
        assert re.findall(r"^  make ([a-z-]+) ", shown, re.MULTILINE) == phony.split()

    def test_ci_runs_what_a_developer_runs(self) -> None:
        script = ROOT / ".ci" / "run"
        assert os.access(script, os.X_OK)
        lines = script.read_text(encoding="utf-8").splitlines()
        assert "set -euo pipefail" in lines
        assert lines[-1] == "exec make test"

    def test_the_test_target_runs_every_check(self) -> None:
        steps = self.run("--dry-run", "--always-make", "test")
        wanted = [
            "ruff check .",
            "ruff format --check .",
            "mypy",
            "lint-imports",
            "dg check defs",
            "dagster definitions validate -w workspace.yaml",
            "-m pytest -n ",
        ]
        places = [steps.index(f".venv/bin/{step}") for step in wanted[:-1]]
        assert places == sorted(places)
        assert steps.index(wanted[-1]) > places[-1]
