"""``rets-pipeline dev``: the Dagster UI and its daemon on this machine.

What belongs here: starting and stopping the processes. What does not: a deployment.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from rets_pipeline.commands.demo import last_world
from rets_pipeline.commands.faults import FAILED, RunFailed
from rets_pipeline.commands.sandbox_process import ACCOUNT, running
from rets_pipeline.settings import Settings, SettingsError


def dev(console: Console, *, port: int) -> None:
    """Run until one of the processes ends or somebody presses Ctrl-C.

    The sandbox of the last demo runs along, as it was at the demo's end.

    Raises:
        SettingsError: there is no workspace.yaml here, or the port is in use.
        SandboxError: the sandbox did not start.
        RunFailed: one of the processes has ended by itself.
    """
    if not Path("workspace.yaml").is_file():
        raise SettingsError("workspace.yaml is not in this folder; start from the project's")
    _check_port(port)
    settings = Settings.from_env()
    from rets_pipeline.commands.instance import open_instance, prepare_home  # imports Dagster

    prepare_home(settings)
    open_instance(settings).dispose()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    processes: dict[str, subprocess.Popen[bytes]] = {}
    with ExitStack() as stack:
        world = last_world(settings.home)
        if world is not None:
            stack.enter_context(running(world))
            os.environ.update({**ACCOUNT, "SANDBOX_LOGIN_URL": world.login_url})
            console.print(f"The demo's server answers on {world.url}")
        for program, *words in (
            ("dagster-webserver", "-h", "127.0.0.1", "-p", str(port), "-w", "workspace.yaml"),
            ("dagster-daemon", "run", "-w", "workspace.yaml"),
        ):
            processes[program] = _start(program, words)
            stack.callback(_stop, processes[program])
        console.print(f"[bold]The Dagster UI opens on http://127.0.0.1:{port}[/] (Ctrl-C ends it)")
        _wait(processes)


def _check_port(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise SettingsError(
            f"port {port} cannot be used for the UI ({reason}); --port takes another one"
        ) from None


def _start(program: str, words: list[str]) -> subprocess.Popen[bytes]:
    path = Path(sys.executable).with_name(program)
    return subprocess.Popen([str(path), *words])  # noqa: S603 (our own words)


def _wait(processes: dict[str, subprocess.Popen[bytes]]) -> None:
    try:
        while True:
            for name, process in processes.items():
                status = process.poll()
                if status is not None:
                    raise RunFailed(f"{name} has ended with status {status}", FAILED)
            time.sleep(0.5)
    except KeyboardInterrupt:
        return


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
