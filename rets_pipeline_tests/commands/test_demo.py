"""The first thing that a stranger types."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest

from rets_pipeline.warehouse import pulls
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.commands.conftest import ROOT, Project
from rets_pipeline_tests.services.processes import free_ports


@pytest.fixture
def clone(tmp_path: Path) -> Project:
    """What a fresh clone has at its top, without an account in the environment."""
    for name in ("feeds.yaml", "dagster.yaml", "workspace.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    return Project(tmp_path)


@pytest.fixture
def port() -> str:
    return str(free_ports(1)[0])


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, pytest.param(2, marks=pytest.mark.nightly)])
def test_the_demo_and_again(clone: Project, port: str, times: int) -> None:
    """It may follow commands that loaded nothing; a second one starts anew, and gives the same."""
    assert clone.run("status").status == 0
    assert clone.run("check").status == 2, "there is no server yet"
    told = []
    for _ in range(times):
        done = clone.run("demo", "--listings", "50", "--days", "4", "--port", port)
        assert done.status == 0, done.stdout + done.stderr
        assert done.stderr == ""
        assert done.stdout.count("verified") == 4, "the first sync, and one for each of three days"
        assert "make dev" in done.stdout
        told.append(
            [
                line.rpartition("  (")[0]  # the seconds
                for line in done.stdout.splitlines()
                if "verified" in line
            ]
        )
    assert told == told[:1] * times, "equal seeds give equal servers"
    home = clone.home
    assert {path.name for path in home.iterdir()} >= {"warehouse.sqlite", "archive", "dagster"}
    assert json.loads((home / "demo.json").read_text())["advance"] == 3
    assert list((home / "archive" / "images").rglob("*.jpg"))
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(port))) != 0, "the server has ended with it"

    # A real feed that came later is not the demo's to delete.
    kept = home / "archive" / "raw" / "ddf" / "page"
    kept.parent.mkdir()
    kept.write_text("precious", encoding="utf-8")
    done = clone.run("demo", "--port", port)
    assert done.status == 2
    assert f"{home} holds what no demo made (ddf)" in done.fault()
    assert kept.read_text(encoding="utf-8") == "precious"


def test_it_leaves_the_databases_of_the_environment_alone(clone: Project, port: str) -> None:
    """It says so by not even trying to reach them; the fault is another one."""
    (clone.folder / "feeds.yaml").write_text("feeds: {}\n", encoding="utf-8")
    done = clone.run(
        "demo", "--port", port, DATABASE_URL="postgresql://rets:secret-of-database@127.0.0.1:9/x"
    )
    assert done.status == 2
    assert done.fault() == (
        "error: the demo needs the feed 'sandbox' that feeds.yaml was shipped with"
    )


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("warehouse.sqlite", "warehouse.sqlite"),
        ("archive/raw/ddf/page", "ddf"),
        ("archive/file", "file"),
        ("dagster/history/runs/0a1b-2c3d.db", "runs"),
    ],
)
def test_it_refuses_a_home_that_it_did_not_make(
    place: str, named: str, clone: Project, port: str
) -> None:
    kept = clone.home / place
    kept.parent.mkdir(parents=True)
    kept.write_text("precious", encoding="utf-8")
    done = clone.run("demo", "--port", port)
    assert done.status == 2
    assert done.fault() == (
        f"error: {clone.home} holds what no demo made ({named}); set RETS_PIPELINE_HOME to another "
        "folder"
    )
    assert kept.read_text(encoding="utf-8") == "precious"


def test_it_refuses_a_warehouse_with_pulls_of_its_own_feed(clone: Project, port: str) -> None:
    """Somebody synced from a sandbox without a demo."""
    clone.home.mkdir()
    warehouse = Warehouse.open(f"sqlite:///{clone.home / 'warehouse.sqlite'}")
    with warehouse.writing() as connection:
        pulls.begin(connection, "sandbox", "master_list", prefix="raw/sandbox/x")
    warehouse.close()
    done = clone.run("demo", "--port", port)
    assert done.status == 2
    assert "holds what no demo made (sandbox)" in done.fault()


def test_a_port_in_use_is_one_line(clone: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = clone.run("demo", "--listings", "60", "--port", port)
    assert done.status == 2
    assert "Address already in use" in done.fault()
    assert f"port {port}" in done.fault()
    assert done.stdout == ""
