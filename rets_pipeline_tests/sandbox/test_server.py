from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys

import pytest
import requests

from rets_pipeline.sandbox import Sandbox, running
from rets_pipeline_tests.patience import PATIENCE
from rets_pipeline_tests.sandbox.client import Client, control

COMMAND = [sys.executable, "-m", "rets_pipeline.sandbox"]


def test_the_command_line_serves_an_aged_world() -> None:
    command = [*COMMAND, "--listings", "60", "--port", "0", "--advance", "2", "--seed", "9"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            url = re.match(r"(http://127\.0\.0\.1:\d+)/Login.svc/Login with \d+ listings", line)
            assert url is not None, line
            truth = requests.get(f"{url[1]}/_sandbox/truth").json()
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    with running(listings=60, seed=9, advance=2) as sandbox:
        assert control(sandbox, "truth") == truth


def test_bad_arguments_are_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for wrong in (["--listings", "-1"], ["--port", port], ["--port", "99999"]):
            done = subprocess.run(
                [*COMMAND, *wrong], capture_output=True, text=True, timeout=PATIENCE
            )
            assert done.returncode == 2
            assert done.stderr.startswith("sandbox: ")
            assert done.stderr.count("\n") == 1


def test_it_stops_with_its_block() -> None:
    with running(listings=1) as sandbox:
        url = sandbox.url
        assert control(sandbox, "statistics")["logins"] == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(url)


def test_a_world_of_ones_own() -> None:
    world = Sandbox(5, username="me", password="mine")
    with running(world) as sandbox:
        assert sandbox.world is world
        assert (sandbox.username, sandbox.password) == ("me", "mine")
        assert len(Client(sandbox).master_list()) == 5


def test_an_empty_world_answers() -> None:
    with running(listings=0) as sandbox:
        assert b'ReplyCode="20201"' in Client(sandbox).search("(ID=*)").content


def test_a_hundred_thousand_listings() -> None:
    with running(listings=100_000) as sandbox:
        client = Client(sandbox)
        keys = list(client.master_list())
        assert len(set(keys)) == 100_000
        assert len(client.details(keys[:100])) == 100
        changes = requests.post(f"{sandbox.url}/_sandbox/advance").json()["changes"]
        assert len(changes["removed"]) == 1000
        assert len(client.master_list()) == 100_000
