"""``rets-pipeline rets …`` as real processes against the sandbox's generic server."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rets_pipeline.sandbox import RunningSandbox, running
from rets_pipeline_tests.patience import PATIENCE

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running(listings=10, generic_listings=120) as found:
        yield found


@pytest.fixture
def rets(sandbox: RunningSandbox, tmp_path: Path) -> Run:
    environ = {
        **os.environ,
        "RETS_LOGIN_URL": sandbox.generic_login_url,
        "RETS_USERNAME": sandbox.username,
        "RETS_PASSWORD": sandbox.password,
    }

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "rets_pipeline.cli", "rets", *words],
            cwd=tmp_path,
            env={**environ, **variables},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    return run


def test_login_shows_what_the_server_offers(rets: Run, sandbox: RunningSandbox) -> None:
    shown = rets("login")
    assert shown.returncode == 0, shown.stderr
    assert "MemberName" in shown.stdout
    assert "Search" in shown.stdout
    assert sandbox.password not in shown.stdout + shown.stderr


def test_metadata_as_a_tree_and_as_json(rets: Run) -> None:
    tree = rets("metadata")
    assert tree.returncode == 0, tree.stderr
    assert "class RES" in tree.stdout
    assert "ListPrice Decimal" in tree.stdout
    document = json.loads(rets("metadata", "--json").stdout)
    assert "RES" in json.dumps(document)


def test_count(rets: Run) -> None:
    shown = rets("count", "Property", "RES", "ListingKey=0+")
    assert (shown.returncode, shown.stdout) == (0, "120\n"), shown.stderr


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_search_in_pages_into_a_file(rets: Run, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"found.{kind}"
    done = rets(
        "search", "Property", "RES", "(ListingKey=0+)", "--page", "50", "--output", path.name
    )
    assert done.returncode == 0, done.stderr
    assert "120 records" in done.stdout
    if kind == "csv":
        rows = list(csv.DictReader(path.open(encoding="utf-8")))
    elif kind == "jsonl":
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    else:
        rows = pq.read_table(path).to_pylist()
    assert len({row["ListingKey"] for row in rows}) == 120
    assert list(tmp_path.iterdir()) == [path]  # nothing half is left


def test_a_search_on_the_terminal_with_a_limit(rets: Run) -> None:
    done = rets(
        "search", "Property", "RES", "(ListingKey=0+)", "--limit", "3", "--select", "ListingKey"
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 4
    assert done.stdout.startswith("ListingKey\n")


def test_standard_xml(rets: Run, tmp_path: Path) -> None:
    done = rets(
        "search", "Property", "RES", "(ListingKey=0+)", "--format", "STANDARD-XML",
        "--record", "ResidentialProperty", "--limit", "3", "--output", "found.jsonl",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert len(rows) == 3


def test_objects_into_a_folder(rets: Run, tmp_path: Path) -> None:
    listed = rets(
        "search", "Property", "RES", "(PhotosCount=2+)", "--limit", "1", "--select", "ListingKey"
    )
    key = listed.stdout.splitlines()[1]
    done = rets("object", "Property", "Photo", "1", key, "--output", "photos")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "1 Photo: the server has none\n"
    files = list((tmp_path / "photos").iterdir())
    assert files
    assert all(path.read_bytes().startswith(b"\xff\xd8\xff") for path in files)
    rets("object", "Property", "Photo", f"{key}:1", f"{key}:2", "--output", "two")
    assert len(list((tmp_path / "two").iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (("login",), {"RETS_PASSWORD": "no-such-password"}),
        (("login",), {"RETS_PASSWORD": ""}),
        (("login", "--url", "http://127.0.0.1:9/login"), {}),
        (("count", "Property", "NOPE", "(ListingKey=0+)"), {}),
        (("search", "Property", "RES", "(ListingKey=0+)", "--output", "found.txt"), {}),
    ],
    ids=["password", "no password", "no server", "no class", "no such kind of file"],
)
def test_what_people_get_wrong_is_one_line(
    rets: Run, words: tuple[str, ...], variables: dict[str, str]
) -> None:
    done = rets(*words, **variables)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert "password" not in done.stderr.replace("user name, password", "")
