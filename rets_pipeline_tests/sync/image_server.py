"""A small server of images, which does to each path what a test wants.

What belongs here: the server. What does not: tests.
"""

from __future__ import annotations

import io
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image

#: bytes of a segment of JPEG's that a comment may have
_COMMENT = 60_000


@dataclass
class Answer:
    """What a path gets.

    Attributes:
        length: the Content-Length to claim; None is the body's, -1 names none.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None


class ImageServer(ThreadingHTTPServer):
    """Serves ``answers``, and counts what was asked for.

    Attributes:
        answers: by path; ``fallback`` makes those that are not there.
        asked: how often, by path.
        headers_seen: of the last request.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, Answer] = {}
        self.fallback: Callable[[str], Answer] = lambda path: Answer(status=404)
        self.asked: Counter[str] = Counter()
        self.headers_seen: dict[str, str] = {}
        self.guard = threading.Lock()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """The address of a path."""
        return f"http://{host}:{self.port}{path}"

    def handle_error(self, *_: object) -> None:
        """A client that goes away is nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    server: ImageServer

    def do_GET(self) -> None:
        with self.server.guard:
            self.server.asked[self.path] += 1
            self.server.headers_seen = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.answers.get(self.path) or self.server.fallback(self.path)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        length = len(answer.body) if answer.length is None else answer.length
        if length >= 0:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def image_server() -> Iterator[ImageServer]:
    """A server that answers as long as the block runs."""
    with ImageServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def jpeg(content: str) -> bytes:
    """A whole JPEG, with that text in its comments."""
    data = content.encode()
    pieces = [data[at : at + _COMMENT] for at in range(0, len(data), _COMMENT)]
    comments = b"".join(
        b"\xff\xfe" + (len(piece) + 2).to_bytes(2, "big") + piece for piece in pieces
    )
    plain = _plain_jpeg()
    return plain[:2] + comments + plain[2:]


def jpeg_of(size: int) -> bytes:
    """A whole JPEG of so many bytes, if there is room for a comment."""
    data = jpeg("x" * (size - len(_plain_jpeg())))
    return jpeg("x" * (2 * size - len(_plain_jpeg()) - len(data)))


@cache
def _plain_jpeg() -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (8, 6)).save(written, "JPEG")
    return written.getvalue()
