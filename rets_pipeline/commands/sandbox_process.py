"""The sandbox as a process of its own.

What belongs here: starting it and waiting until it answers, for the demo and for ``dev``. What does
not: the sandbox.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

DEFAULT_PORT = 8642
#: the sandbox's account; no secret
ACCOUNT = {"SANDBOX_USERNAME": "sandbox", "SANDBOX_PASSWORD": "sandbox-password"}


@dataclass(frozen=True, slots=True)
class World:
    """Which sandbox: equal numbers give an equal world.

    Attributes:
        advance: days that it has aged.
    """

    listings: int
    days: int
    seed: int
    port: int
    advance: int = 0

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def login_url(self) -> str:
        """Where a client logs in."""
        return f"{self.url}/Login.svc/Login"


class SandboxError(Exception):
    """The sandbox did not start; the message says why."""


@contextmanager
def running(world: World) -> Iterator[subprocess.Popen[str]]:
    """A sandbox as long as the block runs.

    Raises:
        SandboxError: it did not start, for want of its port for instance.
    """
    numbers = {
        "--listings": world.listings,
        "--days": world.days,
        "--seed": world.seed,
        "--port": world.port,
        "--advance": world.advance,
    }
    command = [sys.executable, "-m", "rets_pipeline.sandbox"]
    command += [word for name, value in numbers.items() for word in (name, str(value))]
    process = subprocess.Popen(  # noqa: S603 (our own words)
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        if not process.stdout.readline():  # it tells its address once the port is bound
            _, errors = process.communicate()
            reason = errors.strip().splitlines()[-1] if errors.strip() else "no reason given"
            raise SandboxError(f"{reason} (port {world.port}; SANDBOX_PORT takes another one)")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
