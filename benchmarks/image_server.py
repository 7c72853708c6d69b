"""A server of one photo, as fast as a few lines allow, in a process of its own.

What belongs here: that server. What does not: who asks it.
"""

from __future__ import annotations

import io
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

PHOTO_BYTES = 100_000
_END = b"\r\n\r\n"


def photo() -> bytes:
    """A whole JPEG of 100 KB, with bytes as various as a real photo's."""
    noise = random.Random(5)
    written = io.BytesIO()
    Image.linear_gradient("L").resize((1024, 768)).convert("RGB").save(written, "JPEG")
    data = written.getvalue()
    comments = b""
    while (left := PHOTO_BYTES - len(data) - len(comments)) > 0:
        size = min(left, 60_000)
        comments += b"\xff\xfe" + (size - 2).to_bytes(2, "big") + noise.randbytes(size - 4)
    return data[:2] + comments + data[2:]


@contextmanager
def running(latency: float = 0.0) -> Iterator[int]:
    """The port of a server that answers everything with the photo.

    Args:
        latency: seconds that each answer waits.
    """
    command = [sys.executable, "-m", "benchmarks.image_server", str(latency)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def _answer(connection: socket.socket, answer: bytes, latency: float) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    waiting = b""
    while received := connection.recv(65_536):
        waiting += received
        while _END in waiting:
            _, _, waiting = waiting.partition(_END)
            if latency:
                time.sleep(latency)
            connection.sendall(answer)


def _serve(latency: float) -> None:
    body = photo()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}"
    answer = head.encode() + _END + body
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            arguments = (connection, answer, latency)
            threading.Thread(target=_answer, args=arguments, daemon=True).start()


if __name__ == "__main__":
    _serve(float(sys.argv[1]))
