"""Faults that people can cause: one line on standard error, a status, no traceback, no secret.

The last two are looked for in every command's output, see ``conftest.Project.finish``.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from rets_pipeline.commands.instance import PROCESS_TAG
from rets_pipeline.warehouse import ledgers
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.locks import RunLock
from rets_pipeline_tests.commands.conftest import Project
from rets_pipeline_tests.conftest import Backend
from rets_pipeline_tests.end_to_end.harness import FEED, Server
from rets_pipeline_tests.patience import PATIENCE
from rets_pipeline_tests.services.postgres import PostgresServer

_CLOSED = "http://127.0.0.1:9/Login.svc/Login"

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.mark.parametrize(
    "words",
    [
        ("sync", "nope"),
        ("backfill", "nope", "--from", "2026-11-01", "--to", "2026-11-02"),
        ("status", "nope"),
    ],
    ids=lambda words: words[0],
)
def test_an_unknown_feed(words: tuple[str, ...], project: Project) -> None:
    done = project.run(*words)
    assert done.status == 2
    assert done.fault() == "error: feed 'nope' is not in feeds.yaml (it has: board)"
    assert done.stdout == ""


def test_a_wrong_password(project: Project) -> None:
    done = project.run("sync", FEED, BOARD_PASSWORD="correct-horse")
    assert done.status == 2
    assert done.fault().startswith("error: 127.0.0.1:")
    assert "user name, password or client were not accepted" in done.fault()
    assert done.stdout == ""
    _assert_nowhere(project, b"correct-horse")


def test_check_names_a_wrong_password_and_goes_on(project: Project, feed: dict[str, Any]) -> None:
    wrong = {**feed, "password_variable": "WRONG_PASSWORD"}
    unset = {**feed, "password_variable": "UNSET_PASSWORD"}
    project.write_feeds({"wrong": wrong, "unset": unset, FEED: feed})
    done = project.run("check", WRONG_PASSWORD="correct-horse")
    assert done.status == 2
    first, second = done.stderr.splitlines()
    assert first.startswith("error  feed wrong: 127.0.0.1:")
    assert first.endswith("were not accepted (HTTP status 401)")
    assert second.startswith("error  feed unset: ")
    assert "UNSET_PASSWORD is not set" in second
    works = done.stdout.splitlines()
    assert [line.split()[1].rstrip(":") for line in works] == ["warehouse", "archive", "feed"]
    assert works[2].startswith(f"works  feed {FEED}: ")


@pytest.mark.parametrize("command", ["sync", "check"])
def test_an_unreachable_host(command: str, project: Project, feed: dict[str, Any]) -> None:
    project.write_feeds({FEED: {**feed, "login_url": _CLOSED}})
    done = project.run(command, FEED)
    assert done.status == 2
    assert done.fault().endswith("127.0.0.1:9: Login: the connection was refused")


def test_a_name_that_does_not_exist(project: Project, feed: dict[str, Any]) -> None:
    project.write_feeds({FEED: {**feed, "login_url": "http://board.invalid/Login"}})
    done = project.run("check", FEED)
    assert done.status == 2
    assert "board.invalid: Login: " in done.fault()


def test_a_server_that_speaks_no_rets(project: Project, feed: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        project.write_feeds({FEED: {**feed, "login_url": f"http://127.0.0.1:{port}/"}})
        process = project.start("sync", FEED)
        listener.settimeout(60)
        listener.accept()[0].makefile("wb").write(b"220 mail.example.com ESMTP\r\n")
        listener.close()
        done = project.finish(process)
    assert done.status in (1, 2)
    assert done.fault().startswith(f"error: 127.0.0.1:{port}: Login: ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("feeds: [", "feeds.yaml: is not YAML"),
        ("feeds: {}\nfeed: {}\n", "feeds.yaml: unknown setting"),
        ("- board\n", "feeds.yaml: must hold `feeds:`"),
        ("feeds:\n  board:\n    source: ddf\n", "feeds.yaml: feed 'board': login_url: "),
        (
            "feeds:\n  board:\n    source: ddf\n    login_url: ${NO_SUCH_ADDRESS}\n",
            "feeds.yaml: feed 'board': the environment has no variable NO_SUCH_ADDRESS",
        ),
    ],
)
def test_a_malformed_feeds_file(text: str, told: str, empty_project: Project) -> None:
    (empty_project.folder / "feeds.yaml").write_text(text, encoding="utf-8")
    done = empty_project.run("sync", FEED)
    assert done.status == 2
    assert done.fault().startswith(f"error: {told}")


@pytest.mark.parametrize("words", [("status",), ("check",), ("demo",), ("dev",)])
def test_no_feeds_file(words: tuple[str, ...], empty_project: Project) -> None:
    done = empty_project.run(*words)
    assert done.status == 2
    assert done.fault() == "error: feeds.yaml: cannot be read (No such file or directory)"


def test_a_password_inside_an_address_is_not_repeated(
    project: Project, feed: dict[str, Any]
) -> None:
    address = "http://agent:correct-horse@127.0.0.1/Login"
    project.write_feeds({FEED: {**feed, "login_url": address}})
    done = project.run("check")
    assert done.status == 2
    assert "must not hold a user name or password" in done.fault()


@pytest.mark.parametrize(("command", "value"), [("sync", None), ("images", "")])
def test_a_missing_variable(command: str, value: str | None, project: Project) -> None:
    del project.environ["BOARD_PASSWORD"]
    done = project.run(command, FEED, **({} if value is None else {"BOARD_PASSWORD": value}))
    assert done.status == 2
    assert done.fault() == (
        "error: feed 'board': the variable BOARD_PASSWORD is not set (put it into the environment "
        "or into .env)"
    )


@pytest.mark.parametrize("command", ["sync", "status", "check"])
def test_a_database_that_does_not_answer(command: str, project: Project) -> None:
    url = "postgresql://rets:secret-of-database@127.0.0.1:9/rets"
    done = project.run(command, *([FEED] if command == "sync" else []), DATABASE_URL=url)
    assert done.status == 2
    faults = done.stderr.splitlines()
    assert "127.0.0.1:9/rets" in faults[0]
    assert "refused" in faults[0]
    assert len(faults) == (2 if command == "check" else 1), "the feed needs it for its lock"


def test_a_database_that_refuses_the_password(
    project: Project, postgres_server: PostgresServer
) -> None:
    with postgres_server.database() as url:
        wrong = sa.make_url(url).set(password="secret-of-database")
        done = project.run("status", DATABASE_URL=wrong.render_as_string(hide_password=False))
    assert done.status == 2
    assert "password authentication failed" in done.fault()


@pytest.mark.parametrize("command", ["sync", "check"])
def test_a_bucket_that_does_not_exist(
    command: str, project: Project, request: pytest.FixtureRequest
) -> None:
    s3 = request.getfixturevalue("s3_server")
    done = project.run(command, FEED, ARCHIVE_URI="s3://no-such-bucket/mirror", **s3.environ)
    assert done.status == 2
    assert "no-such-bucket" in done.fault()
    for secret in s3.environ.values():
        if len(secret) > 16 and "://" not in secret:
            assert secret not in done.stdout + done.stderr


def test_a_home_that_cannot_be_made(project: Project) -> None:
    (project.folder / "file").write_text("", encoding="utf-8")
    done = project.run("sync", FEED, RETS_PIPELINE_HOME=str(project.folder / "file"))
    assert done.status == 2
    assert "file" in done.fault()


def test_an_instance_at_a_relative_place(project: Project) -> None:
    done = project.run("sync", FEED, DAGSTER_HOME="dagster")
    assert done.status == 2
    assert done.fault() == "error: DAGSTER_HOME: 'dagster' must be an absolute path"


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        ("2026-11-10", "2026-11-01", "the first day 2026-11-10 comes after the last one"),
        ("2020-01-01", "2026-11-01", "feed 'board' has days from "),
        ("2026-11-01", "2999-01-01", "feed 'board' has days from "),
    ],
)
def test_days_that_cannot_be(first: str, last: str, told: str, project: Project) -> None:
    done = project.run("backfill", FEED, "--from", first, "--to", last)
    assert done.status == 2
    assert done.fault().startswith(f"error: {told}")


def test_words_that_the_command_line_does_not_know(project: Project) -> None:
    for words in (
        ("nonsense",),
        ("sync",),
        ("sync", FEED, "--allow-deletions", "-1"),
        ("backfill", FEED, "--from", "yesterday", "--to", "2026-11-01"),
        ("demo", "--listings", "many"),
    ):
        done = project.run(*words)
        assert done.status == 2
        assert done.stdout == ""
        assert "Usage: rets-pipeline" in done.stderr


@pytest.mark.slow
class TestOneRunAtATime:
    @pytest.mark.nightly  # by day, the tests of locks do so without the command line
    def test_the_second_one_names_the_first_and_gives_up(
        self, project: Project, server: Server, backend: Backend, in_background: Start
    ) -> None:
        project.environ |= backend.environ
        first = _slow_sync(project, server, in_background, backend)

        done = project.run("sync", FEED)

        assert done.status == 3
        holder = f"sync of feed board (process {first.pid} on {socket.gethostname()})"
        assert done.stderr.splitlines() == [
            f"feed board: waiting for {holder} to end",
            f"error: feed board is in use by {holder}",
        ]
        check = project.run("check", FEED)
        assert check.status == 2
        assert f"process {first.pid}" in check.stderr
        server.behave()
        assert project.finish(first).status == 0
        assert _dagsters_runs(project)[first.pid] is dg.DagsterRunStatus.SUCCESS
        assert server.statistics()["sessions_open_at_most"] == 1

    def test_a_killed_run_is_told_by_whoever_looks_and_stops_nobody(
        self, project: Project, server: Server, backend: Backend, in_background: Start
    ) -> None:
        project.environ |= backend.environ
        first = _slow_sync(project, server, in_background, backend)
        first.kill()
        first.wait()
        assert [row.result for row in _run_ledger(backend)] == [None]
        assert "killed" in project.run("status").stdout
        assert [row.result for row in _run_ledger(backend)] == ["killed"]
        server.behave()

        done = project.run("sync", FEED)

        assert done.status == 0, done.stderr
        assert [row.result for row in _run_ledger(backend)] == ["killed", "succeeded"]
        assert "succeeded" in project.run("status").stdout
        # Dagster, too, knows that the first one is over: it would keep the schedule from syncing.
        runs = _dagsters_runs(project)
        assert runs.pop(first.pid) is dg.DagsterRunStatus.FAILURE
        assert list(runs.values()) == [dg.DagsterRunStatus.SUCCESS]

    @pytest.mark.parametrize(
        ("number", "backend"),
        [
            pytest.param(signal.SIGINT, "embedded", marks=pytest.mark.nightly, id="SIGINT"),
            pytest.param(signal.SIGTERM, "services", id="SIGTERM"),
        ],
        indirect=["backend"],
    )
    def test_an_interrupted_run_closes_its_books(
        self,
        number: signal.Signals,
        project: Project,
        server: Server,
        backend: Backend,
        in_background: Start,
    ) -> None:
        project.environ |= backend.environ
        first = _slow_sync(project, server, in_background, backend)
        first.send_signal(number)
        done = project.finish(first)
        assert done.status == 130
        assert done.fault() == "error: interrupted; the next run goes on from here"
        assert [row.result for row in _run_ledger(backend)] == ["failed"]
        assert server.statistics()["sessions_open"] == 0


def _slow_sync(
    project: Project, server: Server, in_background: Start, backend: Backend
) -> subprocess.Popen[str]:
    """A sync that is talking to the server when this returns."""
    server.behave(latency=2)
    process = in_background("sync", FEED)
    deadline = time.monotonic() + PATIENCE
    while not server.statistics()["requests"]["Search"]:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return process


def _dagsters_runs(project: Project) -> dict[int, dg.DagsterRunStatus]:
    """What Dagster says of the runs, by their processes."""
    with dg.DagsterInstance.from_config(str(project.home / "dagster")) as instance:
        return {
            int(run.tags[PROCESS_TAG].partition("@")[0]): run.status for run in instance.get_runs()
        }


def _run_ledger(backend: Backend) -> list[sa.Row[Any]]:
    warehouse = Warehouse(backend.database_url)
    table = ledgers.run_ledger
    with warehouse.reading() as connection:
        found = list(
            connection.execute(
                sa.select(table).where(table.c.job == "sync").order_by(table.c.started_at)
            )
        )
    warehouse.close()
    return found


def _assert_nowhere(project: Project, secret: bytes) -> None:
    """Not in Dagster's records, the warehouse, the archive."""
    kept = [path for path in project.folder.rglob("*") if path.is_file()]
    assert len(kept) > 5
    for path in kept:
        assert secret not in path.read_bytes(), path


@pytest.mark.nightly  # by day, the tests of settings and of loading
def test_a_wrong_entry_is_told_and_stops_no_other_feed(
    project: Project, feed: dict[str, Any]
) -> None:
    project.write_feeds({"[red]east": {**feed, "cadence_minutes": 7}, FEED: feed})
    done = project.run("check")
    assert done.status == 2
    assert done.fault().startswith("error  feed [red]east: feeds.yaml: feed '[red]east': ")
    assert f"works  feed {FEED}: " in done.stdout
    done = project.run("sync", FEED)
    assert (done.status, done.stderr) == (0, "")
    done = project.run("status")
    assert done.status == 2
    assert "live listings" in done.stdout
    assert done.fault().startswith("error: feeds.yaml: feed '[red]east': ")
    assert project.run("status", FEED).status == 0


def test_a_key_that_nobody_knows_and_one_that_cannot_be(project: Project) -> None:
    done = project.run("show", FEED, "999")
    assert (done.status, done.stderr) == (1, "")
    assert "nowhere: Nobody knows it" in done.stdout
    done = project.run("fetch", FEED, "1 2")
    assert done.status == 2
    assert done.fault() == "error: feed 'board': '1 2' is not a DDF key"
    done = project.run("show", FEED, "1", "--resource", "Dog", "--offline", BOARD_PASSWORD="")
    assert done.fault() == (
        "error: feed 'board': no resource 'Dog' (it has: Property, Member, Office)"
    )


@pytest.mark.nightly
def test_retention_of_all_feeds_goes_on_after_one_that_is_in_use(
    project: Project, feed: dict[str, Any]
) -> None:
    project.write_feeds({"east": feed, "Bad": {**feed, "cadence_minutes": 7}, "west": feed})
    east = Warehouse.open(f"sqlite:///{project.home / 'warehouse.sqlite'}")
    lock = RunLock.acquire(east, "feed east", holder="the test", wait_seconds=0)
    done = project.run("retention")
    lock.release()
    east.close()
    assert done.status == 3
    assert "feed west\n  retention    nothing\nevent log: 0 rows removed\n" in done.stdout
    waited, broken, locked = done.stderr.splitlines()
    assert waited == "feed east: waiting for the test to end"
    assert broken.startswith("error: feeds.yaml: feed 'Bad': ")
    assert locked == "error: feed east is in use by the test"
