"""A receiver of alerts over real HTTP.

What belongs here: the server. What does not: tests.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: the part of the address that nobody may see
SECRET = "T0SECRET/B0SECRET"


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent.

    Attributes:
        status: what it answers.
        headers: of its answers.
        pause: seconds between the bytes of an answer.
        documents: what came, under any status.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.headers: dict[str, str] = {}
        self.pause = 0.0
        self.documents: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        """Its address, with the secret in it."""
        return f"http://127.0.0.1:{self.server_address[1]}/services/{SECRET}"

    def lines(self) -> list[str]:
        """What a chat would show, and forget it."""
        found = [line for document in self.documents for line in document["text"].split("\n")]
        self.documents.clear()
        return found


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def log_message(self, *_: object) -> None:
        """Quietly."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/json"
        self.server.documents.append(json.loads(body))
        self.server.paths.append(self.path)
        lines = [f"HTTP/1.1 {self.server.status} X", "Connection: close", "Content-Length: 2"]
        lines += [f"{name}: {value}" for name, value in self.server.headers.items()]
        answer = "\r\n".join([*lines, "", "ok"]).encode()
        if not self.server.pause:
            self.wfile.write(answer)
            return
        for byte in answer:
            if self.server.ended.wait(self.server.pause):
                return
            try:
                self.wfile.write(bytes([byte]))
            except OSError:
                return


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that runs."""
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
