"""Starting and stopping the server.

What belongs here: sockets, uvicorn, a thread for tests and the demo. What does not: the
application, and the command line.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import uvicorn

from rets_pipeline.sandbox.application import create_app
from rets_pipeline.sandbox.generic.server import LOGIN_PATH
from rets_pipeline.sandbox.world import Sandbox

_START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A sandbox that answers.

    Attributes:
        url: scheme, host and port.
        world: what it serves.
    """

    url: str
    world: Sandbox

    @property
    def login_url(self) -> str:
        """Where a client logs in."""
        return f"{self.url}/Login.svc/Login"

    @property
    def generic_login_url(self) -> str:
        """Where a client of the generic server logs in, with the same account."""
        return f"{self.url}{LOGIN_PATH}"

    @property
    def username(self) -> str:
        """Of the only account."""
        return self.world.username

    @property
    def password(self) -> str:
        """Likewise."""
        return self.world.password


def serve(
    world: Sandbox,
    host: str = "127.0.0.1",
    port: int = 8642,
    *,
    ready: Callable[[RunningSandbox], None] | None = None,
    log_level: str = "critical",
) -> None:
    """Serve until the process is told to stop (SIGINT, SIGTERM).

    Args:
        world: what is served.
        host: to bind to.
        port: likewise; 0 takes a free one.
        ready: called once, when the port is bound.
        log_level: uvicorn's; below ``critical`` it also reports connections that the sandbox
            breaks off on command.

    Raises:
        OSError: the port cannot be bound.
    """
    with socket.create_server((host, port)) as bound:
        if ready is not None:
            ready(RunningSandbox(_url(bound), world))
        # uvicorn raises SIGINT again when it has finished.
        with suppress(KeyboardInterrupt):
            _server(world, log_level).run(sockets=[bound])


@contextmanager
def running(
    world: Sandbox | None = None, *, host: str = "127.0.0.1", port: int = 0, **options: Any
) -> Iterator[RunningSandbox]:
    """A sandbox on a thread of this process, as long as the block runs.

    Args:
        world: what is served; made from ``options`` when it is None.
        host: to bind to.
        port: likewise; 0 takes a free one.
        options: of :class:`Sandbox`.

    Raises:
        OSError: the port cannot be bound.
        RuntimeError: the server does not start.
    """
    served = Sandbox(**options) if world is None else world
    with socket.create_server((host, port)) as bound:
        server = _server(served, "critical")
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [bound]}, name="sandbox", daemon=True
        )
        thread.start()
        _await_start(server, thread)
        try:
            yield RunningSandbox(_url(bound), served)
        finally:
            server.should_exit = True
            thread.join(_START_SECONDS)


def _server(world: Sandbox, log_level: str) -> uvicorn.Server:
    config = uvicorn.Config(
        create_app(world),
        log_level=log_level,
        access_log=False,
        server_header=False,
        lifespan="off",
        # As long as IIS waits: a client may think for a while between two requests.
        timeout_keep_alive=120,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    pause = threading.Event()
    for _ in range(_START_SECONDS * 100):
        if server.started:
            return
        if not thread.is_alive():
            break
        pause.wait(0.01)
    raise RuntimeError("the sandbox did not start")


def _url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://{host}:{port}"
