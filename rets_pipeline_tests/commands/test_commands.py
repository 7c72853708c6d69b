"""Commands that go well, as people see them."""

from __future__ import annotations

import io
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from rich.console import Console

from rets_pipeline import __version__
from rets_pipeline.commands.report import tell
from rets_pipeline.commands.runs import Finished
from rets_pipeline_tests.commands.conftest import Project
from rets_pipeline_tests.conftest import Backend
from rets_pipeline_tests.end_to_end.harness import FEED, Server
from rets_pipeline_tests.patience import PATIENCE
from rets_pipeline_tests.services.processes import free_ports

Start = Callable[..., "subprocess.Popen[str]"]

_COMMANDS = [
    "demo",
    "dev",
    "sandbox",
    "check",
    "mapping",
    "status",
    "sync",
    "reconcile",
    "retention",
    "members",
    "images",
    "addresses",
    "show",
    "fetch",
    "backfill",
    "rets",
    "db",
]


def test_help_names_every_command(project: Project) -> None:
    done = project.run("--help")
    assert done.status == 0
    assert done.stderr == ""
    assert re.findall(r"^│ ([a-z]+) +[A-Z]", done.stdout, re.MULTILINE) == _COMMANDS
    assert project.run("-h") == done


@pytest.mark.parametrize("command", _COMMANDS)
def test_help_of_a_command(command: str, project: Project) -> None:
    done = project.run(command, "--help")
    assert done.status == 0
    assert f"Usage: rets-pipeline {command}" in done.stdout
    options = re.findall(r"^│ .*?--[a-z-]+.*$", done.stdout, re.MULTILINE)
    assert len(options) >= 1
    for line in options:
        assert re.search(r" [A-Z0-9][a-z]* [^│]*[.\]] +│$|│$", line), line


def test_version(project: Project) -> None:
    assert project.run("--version").stdout == f"{__version__}\n"


def test_without_a_command_it_shows_its_help(project: Project) -> None:
    done = project.run()
    assert "Usage: rets-pipeline" in done.stdout + done.stderr


@pytest.mark.slow
def test_a_day_with_the_command_line(project: Project, server: Server, backend: Backend) -> None:
    """Check, status, sync, images, status, a change, sync: on both backends."""
    project.environ |= backend.environ
    done = project.run("check")
    assert done.status == 0, done.stderr
    assert done.stderr == ""
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        "works  warehouse",
        "works  archive",
        f"works  feed {FEED}",
    ]
    assert server.statistics()["sessions_open"] == 0

    before = _status(project)
    assert before["keys on the server"] == "-"
    assert before["live listings"] == "0"
    assert before["last sync"] == "never", "a check is no sync"

    synced = project.run("sync", FEED)
    assert synced.status == 0, synced.stderr
    assert synced.stderr == ""
    assert "30 keys" in synced.stdout
    assert "30 new" in synced.stdout
    pictured = project.run("images", FEED)
    assert pictured.status == 0, pictured.stderr
    truth = server.truth()
    photos = sum(len(listing["photos"]) for listing in truth.values())
    assert f"{photos} stored" in pictured.stdout
    assert "office images " in pictured.stdout

    after = _status(project)
    assert after["keys on the server"] == after["live listings"] == "30"
    assert after["its result"] == "succeeded"
    assert after["images stored"] == f"{photos} of {photos}"
    assert after["images pending"] == "0"
    by_payload, of, listings = after["located by their payload"].split()
    assert (of, listings) == ("of", "30")
    assert int(by_payload) < 30, "no addresses yet"
    assert after["geocoders asked today"] == "-"

    server.change("price", sorted(truth)[0])
    server.reset_statistics()
    synced = project.run("sync", FEED)
    assert synced.status == 0, synced.stderr
    assert "1 changed" in synced.stdout
    assert server.statistics()["details_returned"] == 1


@pytest.mark.slow
@pytest.mark.nightly  # by day, the demo has members and addresses, and test_nightly the rest
def test_a_night_with_the_command_line(project: Project, server: Server, backend: Backend) -> None:
    """Addresses, members, images, status, an unseen change, reconcile, retention."""
    project.environ |= backend.environ
    assert project.run("sync", FEED).status == 0
    located = project.run("addresses", FEED)
    assert located.status == 0, located.stderr
    assert "30 listings" in located.stdout

    peopled = project.run("members", FEED)
    assert peopled.status == 0, peopled.stderr
    people = server.people()
    agents, offices = len(people["members"]), len(people["offices"])
    assert peopled.stdout.splitlines() == [
        f"members      {agents} keys, {agents} new",
        f"offices      {offices} keys, {offices} new",
    ]
    assert project.run("images", FEED).status == 0

    after = _status(project)
    assert after["members"] == f"{agents} of {agents}"
    assert after["offices"] == f"{offices} of {offices}"
    portraits = sum(told["photo"] is not None for told in people["members"].values())
    assert after["images of members"] == f"{portraits} of {portraits}"
    by_payload, of, listings = after["located by their payload"].split()
    assert (of, listings) == ("of", "30")
    assert int(by_payload) + int(after["located by their address"]) == 30

    server.change("remarks", min(server.truth()), keep_timestamp=True)
    nightly = project.run("reconcile", FEED)
    assert nightly.status == 0, nightly.stderr
    assert re.search(r"^sample +1 sampled", nightly.stdout, re.MULTILINE)
    # In the order that the database keeps.
    parity = r"^parity +(30 on server, 30 live|30 live, 30 on server)$"
    assert re.search(parity, nightly.stdout, re.MULTILINE)
    assert re.search(r"^blobs +\d+ blobs$", nightly.stdout, re.MULTILINE)
    pruned = project.run("retention", RETS_PIPELINE_EVENT_LOG_DAYS="1")
    assert pruned.status == 0, pruned.stderr
    assert pruned.stdout.splitlines() == [
        f"feed {FEED}",
        "  retention    nothing",
        "event log: 0 rows removed",
    ]


@pytest.mark.slow
@pytest.mark.nightly  # by day, the end-to-end tests do so without the command line
def test_a_backfill_and_its_replay_without_the_server(
    project: Project, server: Server, feed: dict[str, Any]
) -> None:
    today = datetime.now(UTC).date()
    days = ("--from", str(today - timedelta(days=20)), "--to", str(today - timedelta(days=5)))
    filled = project.run("backfill", FEED, *days)
    assert filled.status == 0, filled.stderr
    count = server.statistics()["details_returned"]
    assert 0 < count < 30
    assert f"{count} new" in filled.stdout
    assert _status(project)["live listings"] == str(count)

    for path in project.home.glob("warehouse.sqlite*"):
        path.unlink()
    project.write_feeds({FEED: {**feed, "login_url": "http://127.0.0.1:9/Login"}})
    replayed = project.run("backfill", FEED, *days, "--replay")
    assert replayed.status == 0, replayed.stderr
    assert f"{count} new" in replayed.stdout
    assert _status(project)["live listings"] == str(count)


@pytest.mark.slow
@pytest.mark.nightly  # by day the end-to-end tests show it without the command line
def test_deletions_that_the_guard_stops_and_an_operator_allows(
    project: Project, server: Server, feed: dict[str, Any]
) -> None:
    project.write_feeds({FEED: {**feed, "deletion_guard": {"keys": 2, "share": 0.1}}})
    assert project.run("sync", FEED).status == 0
    for key in sorted(server.truth())[:10]:
        server.change("removed", key)
    stopped = project.run("sync", FEED)
    assert stopped.status == 1
    assert "10 of 30 listings are missing from the master list" in stopped.fault()
    assert _status(project)["live listings"] == "30"
    allowed = project.run("sync", FEED, "--allow-deletions", "10")
    assert allowed.status == 0, allowed.stderr
    assert _status(project)["live listings"] == "20"


def test_variables_may_stand_in_a_file(project: Project) -> None:
    account = {name: project.environ.pop(name) for name in ("BOARD_USERNAME", "BOARD_PASSWORD")}
    text = "".join(f"{name}={value}\n" for name, value in account.items())
    (project.folder / ".env").write_text(text, encoding="utf-8")
    assert project.run("check").status == 0


@pytest.mark.nightly
def test_a_folder_without_dagsters_file_does(project: Project) -> None:
    """And Dagster stays silent there, and sends nothing."""
    (project.folder / "dagster.yaml").unlink()
    done = project.run("sync", FEED)
    assert done.status == 0, done.stderr
    assert "elemetry" not in done.stdout + done.stderr
    assert done.stderr == ""
    assert "enabled: false" in (project.home / "dagster" / "dagster.yaml").read_text()


@pytest.mark.nightly  # by day, the deployment's test has one
def test_an_instance_of_ones_own_is_left_as_it_is(project: Project) -> None:
    shutil.rmtree(project.home / "dagster")  # an empty one, to save time
    home = project.folder / "own"
    home.mkdir()
    text = "telemetry: {enabled: false}\n# mine\n"
    (home / "dagster.yaml").write_text(text)
    assert project.run("sync", FEED, DAGSTER_HOME=str(home)).status == 0
    assert (home / "dagster.yaml").read_text() == text
    assert (home / "history").is_dir()
    assert not (project.home / "dagster").exists()


class TestSandbox:
    def test_it_answers_and_ends_when_told(self, project: Project, in_background: Start) -> None:
        process = in_background("sandbox", "--listings", "20", "--port", "0", PYTHONUNBUFFERED="1")
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"(http://127\.0\.0\.1:\d+)/Login\.svc/Login with 20 listings\n", line)
        assert found, line
        truth = requests.get(f"{found[1]}/_sandbox/truth", timeout=PATIENCE).json()
        assert len(truth["listings"]) == 20
        process.terminate()
        done = project.finish(process)
        assert done.stderr == ""

    def test_a_port_in_use_is_one_line(self, project: Project) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            done = project.run("sandbox", "--listings", "20", "--port", port)
        assert done.status == 2
        assert "Address already in use" in done.fault()


class TestDev:
    def test_a_port_in_use_is_one_line(self, project: Project) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            done = project.run("dev", "--port", port)
        assert done.status == 2
        assert done.fault() == (
            f"error: port {port} cannot be used for the UI (Address already in use); "
            "--port takes another one"
        )

    def test_it_starts_in_the_projects_folder_only(self, project: Project) -> None:
        (project.folder / "workspace.yaml").unlink()
        done = project.run("dev")
        assert done.status == 2
        assert "workspace.yaml is not in this folder" in done.fault()

    @pytest.mark.slow
    def test_the_ui_opens_and_everything_ends_together(
        self, project: Project, in_background: Start
    ) -> None:
        (port,) = free_ports(1)
        process = in_background("dev", "--port", str(port))
        url = f"http://127.0.0.1:{port}"
        _until(process, lambda: requests.get(f"{url}/server_info", timeout=5).ok)
        page = requests.get(url, timeout=PATIENCE)
        assert "Dagster" in page.text
        query = {
            "query": "{ instance { daemonHealth { allDaemonStatuses { healthy required } } } }"
        }

        def healthy() -> bool:
            answer = requests.post(f"{url}/graphql", json=query, timeout=PATIENCE).json()
            states = answer["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]
            return all(state["healthy"] for state in states if state["required"])

        _until(process, healthy)
        process.terminate()
        stdout, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert f"http://127.0.0.1:{port}" in stdout
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=5)


def test_names_of_folders_are_no_markup(project: Project) -> None:
    """Rich would take ``[red]`` for a colour."""
    home = project.folder / "[red]home"
    done = project.run("check", RETS_PIPELINE_HOME=str(home))
    assert done.status == 0, done.stderr
    assert f"{home}/archive" in done.stdout


def test_image_runs_are_told_with_work_and_without() -> None:
    actions = [
        {"action": "images", "stored": 0, "settled": "what has been seen", "seconds": 1.5},
        {"action": "member images", "stored": 1_200, "failed": 0, "settled": None, "seconds": 2.5},
        {"action": "office pulls", "offices": 4, "left_over": 1, "seconds": 0.5},
        {"action": "office images", "removed": 3, "settled": None, "seconds": 0.5},
    ]
    console = Console(file=io.StringIO(), width=100)
    tell(console, Finished("run", actions, ["a warning"]))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "images       nothing",
        "member images 1,200 stored",
        "offices      1 left over",
        "office images 3 removed",
        "a warning",
    ]


def _status(project: Project) -> dict[str, str]:
    """The table of ``status``, by its first column."""
    done = project.run("status", FEED)
    assert done.status == 0, done.stderr
    lines = [line.split("│") for line in done.stdout.splitlines() if "│" in line]
    return {name.strip(): value.strip() for name, value in lines}


def _until(process: subprocess.Popen[str], ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        try:
            if ready():
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.3)
