"""``rets-pipeline dev``: the Dagster UI and its daemon on this machine.

What belongs here: starting and stopping the processes. What does not: a deployment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from rets_pipeline.commands.demo import last_world
from rets_pipeline.commands.instance import open_instance, prepare_home
from rets_pipeline.commands.sandbox_process import ACCOUNT, running
from rets_pipeline.settings import Settings, SettingsError


def dev(console: Console, *, port: int) -> None:
    """Run until one of the processes ends or somebody presses Ctrl-C.

    The sandbox of the last demo runs along, as it was at the demo's end.

    Raises:
        SettingsError: there is no workspace.yaml here.
        SandboxError: the sandbox did not start.
    """
    if not Path("workspace.yaml").is_file():
        raise SettingsError("workspace.yaml is not in this folder; start from the project's")
    settings = Settings.from_env()
    prepare_home(settings)
    open_instance(settings).dispose()
    with ExitStack() as stack:
        world = last_world(settings.home)
        if world is not None:
            stack.enter_context(running(world))
            os.environ.update({**ACCOUNT, "SANDBOX_LOGIN_URL": world.login_url})
            console.print(f"The demo's server answers on {world.url}")
        for command in (
            ["dagster-webserver", "-h", "127.0.0.1", "-p", str(port), "-w", "workspace.yaml"],
            ["dagster-daemon", "run", "-w", "workspace.yaml"],
        ):
            stack.callback(_stop, _start(command))
        console.print(f"[bold]The Dagster UI opens on http://127.0.0.1:{port}[/] (Ctrl-C ends it)")
        _wait(stack)


_started: list[subprocess.Popen[bytes]] = []


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    program = Path(sys.executable).with_name(command[0])
    process = subprocess.Popen([str(program), *command[1:]])  # noqa: S603 (our own words)
    _started.append(process)
    return process


def _wait(stack: ExitStack) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while all(process.poll() is None for process in _started):
            time.sleep(0.5)
    except KeyboardInterrupt:
        return


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
