"""A bound on the time that a server may take for one answer.

What belongs here: cutting the connection of a server that sends byte after byte without an end,
each soon enough for the time-out of silence. What does not: that time-out.

The limit is kept by a thread, because whoever reads is inside the operating system meanwhile.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection

_current: ContextVar[TimeLimit | None] = ContextVar("_current", default=None)


class TimeLimit:
    """The time that one answer may still take; the caller's time in between does not count.

    Attributes:
        seconds: altogether.
        expired: the time was over, and the connection has been cut.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.expired = False
        self._left = seconds
        self._started: float | None = None
        self._socket: socket.socket | None = None
        self._guard = threading.Lock()
        self._done = threading.Event()
        name = "rets time limit"
        threading.Thread(target=self._keep, name=name, daemon=True).start()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Time counts inside; connections that send inside are the ones to cut."""
        token = _current.set(self)
        with self._guard:
            self._started = time.monotonic()
        try:
            yield
        finally:
            with self._guard:
                self._look()
                self._left -= time.monotonic() - (self._started or 0.0)
                self._started = None
            _current.reset(token)

    def watch(self, connection: socket.socket) -> None:
        """Tell which connection the answer comes from."""
        with self._guard:
            self._socket = connection

    def end(self) -> None:
        """The answer is over. It can be called again."""
        self._done.set()

    def _keep(self) -> None:
        interval = min(1.0, self.seconds / 10)
        while not self._done.wait(interval):
            with self._guard:
                self._look()
                if self.expired and self._socket is not None:
                    # Not the method of a TLS socket, which would wait for the reader.
                    with contextlib.suppress(OSError):
                        socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _look(self) -> None:
        if self._started is not None and time.monotonic() - self._started > self._left:
            self.expired = True


class _WatchedHttp(HTTPConnection):
    def request(self, *args: Any, **settings: Any) -> None:
        super().request(*args, **settings)
        _watch(self)


class _WatchedHttps(HTTPSConnection):
    def request(self, *args: Any, **settings: Any) -> None:
        super().request(*args, **settings)
        _watch(self)


def _watch(connection: HTTPConnection) -> None:
    limit = _current.get()
    if limit is not None and connection.sock is not None:
        limit.watch(connection.sock)


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _WatchedHttp


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedHttps


class WatchedAdapter(HTTPAdapter):
    """An adapter of ``requests`` whose connections a :class:`TimeLimit` can cut."""

    def init_poolmanager(self, *args: Any, **settings: Any) -> None:
        """Make the pools; called by ``requests``."""
        super().init_poolmanager(*args, **settings)
        _watched(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **settings: Any) -> ProxyManager:
        """Make the pools of a proxy; called by ``requests``."""
        manager: ProxyManager = super().proxy_manager_for(*args, **settings)
        _watched(manager)
        return manager


def _watched(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
