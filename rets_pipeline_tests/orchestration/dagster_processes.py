"""A real Dagster web server and daemon, as a deployment runs them.

What belongs here: starting and stopping them, and asking them over GraphQL. What does not: what
they run.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from rets_pipeline_tests.patience import PATIENCE
from rets_pipeline_tests.services.processes import (
    Server,
    clean_environment,
    free_ports,
    temporary_folder,
)

_ROOT = Path(__file__).parents[2]
_LOCATION = {"repositoryLocationName": "rets_pipeline", "repositoryName": "__repository__"}


class Dagster:
    """Both processes, on one instance.

    Args:
        home: the instance's folder, with its ``dagster.yaml``.
        environ: what the processes need besides.
    """

    def __init__(self, home: Path, environ: Mapping[str, str]) -> None:
        self._environ = clean_environment(
            HOME=str(home),
            PYTHONPATH=str(_ROOT),  # the code beside this test, whatever is installed
            DAGSTER_HOME=str(home),
            DAGSTER_DISABLE_TELEMETRY="yes",
            **environ,
        )
        (self._port,) = free_ports(1)
        self._servers: list[Server] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            for server in self._servers:  # pytest shows it below the failure
                print(f"--- {server.name} ---\n{server.log(200)}")
        self._stack.close()

    @property
    def url(self) -> str:
        """Where the UI answers."""
        return f"http://127.0.0.1:{self._port}"

    def start_webserver(self) -> None:
        """Until it has loaded the definitions."""
        server = self._start("dagster-webserver", "-h", "127.0.0.1", "-p", str(self._port))
        server.wait_until(self._loaded, PATIENCE)

    def start_daemon(self) -> None:
        """Schedules, the queue and backfills begin to move."""
        self._start("dagster-daemon", "run")

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The only field of a GraphQL answer; its error is an error here."""
        answer = requests.post(
            f"{self.url}/graphql",
            json={"query": query, "variables": variables},
            timeout=PATIENCE,
        )
        document = answer.json()
        assert "errors" not in document, document["errors"]
        (found,) = document["data"].values()
        assert not str(found.get("__typename", "")).endswith("Error"), found
        result: dict[str, Any] = found
        return result

    def backfill_assets(self, keys: list[list[str]], partitions: list[str]) -> str:
        """What the UI's button for a range of partitions does.

        Returns:
            The backfill's id.
        """
        found = self.ask(
            "mutation ($parameters: LaunchBackfillParams!) {"
            " launchPartitionBackfill(backfillParams: $parameters) { __typename"
            " ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }",
            parameters={
                "assetSelection": [{"path": key} for key in keys],
                "partitionNames": partitions,
            },
        )
        return str(found["backfillId"])

    def backfill_status(self, backfill: str) -> str:
        """Dagster's word for it."""
        found = self.ask(
            "query ($id: String!) { partitionBackfillOrError(backfillId: $id) { __typename"
            " ... on PartitionBackfill { status error { message } }"
            " ... on PythonError { message } } }",
            id=backfill,
        )
        assert found["error"] is None, found["error"]
        return str(found["status"])

    def launch_job(self, job: str, config: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """What the launchpad does.

        Returns:
            The run's id.
        """
        found = self.ask(
            "mutation ($parameters: ExecutionParams!) {"
            " launchRun(executionParams: $parameters) { __typename"
            " ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }"
            " ... on RunConfigValidationInvalid { errors { message } } } }",
            parameters={
                "selector": {**_LOCATION, "pipelineName": job},
                "runConfigData": config,
                "mode": "default",
                "executionMetadata": {
                    "tags": [{"key": name, "value": value} for name, value in tags.items()]
                },
            },
        )
        assert found["__typename"] == "LaunchRunSuccess", found
        return str(found["run"]["runId"])

    def stop_schedule(self, name: str) -> None:
        """What the switch in the UI does."""
        state = self.ask(
            "query ($selector: ScheduleSelector!) { scheduleOrError(scheduleSelector: $selector) {"
            " __typename ... on Schedule { scheduleState { id } } } }",
            selector={**_LOCATION, "scheduleName": name},
        )
        found = self.ask(
            "mutation ($id: String!) { stopRunningSchedule(id: $id) { __typename"
            " ... on ScheduleStateResult { scheduleState { status } }"
            " ... on PythonError { message } } }",
            id=state["scheduleState"]["id"],
        )
        assert found["scheduleState"]["status"] == "STOPPED"

    def wait(self, what: str, ready: Callable[[], bool]) -> None:
        """Until it is so, or the time is over, or a process has ended."""
        deadline = time.monotonic() + PATIENCE
        while not ready():
            for server in self._servers:
                assert server.process.poll() is None, f"{server.name} has ended"
            assert time.monotonic() < deadline, f"not within {PATIENCE:.0f} s: {what}"
            time.sleep(0.5)

    def _start(self, program: str, *words: str) -> Server:
        folder = temporary_folder(program, None)
        shutil.copyfile(_ROOT / "workspace.yaml", folder / "workspace.yaml")
        binary = Path(sys.executable).with_name(program)
        command = [str(binary), *words, "-w", str(folder / "workspace.yaml")]
        server = Server(program, folder, command, self._environ)
        self._stack.callback(server.stop)
        self._servers.append(server)
        return server

    def _loaded(self) -> None:
        found = self.ask(
            "query { workspaceOrError { __typename ... on Workspace { locationEntries {"
            " loadStatus locationOrLoadError { __typename"
            " ... on PythonError { message } } } } } }"
        )
        (location,) = found["locationEntries"]
        assert location["loadStatus"] == "LOADED"
        assert location["locationOrLoadError"]["__typename"] == "RepositoryLocation", location
