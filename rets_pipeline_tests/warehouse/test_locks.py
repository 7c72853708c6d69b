"""The run lock, between real processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from rets_pipeline.warehouse import ledgers
from rets_pipeline.warehouse.engine import Warehouse, transaction
from rets_pipeline.warehouse.locks import LockHeld, LockLost, RunLock, describe_holder
from rets_pipeline_tests.services.postgres import PostgresServer
from rets_pipeline_tests.warehouse.builders import at

HOLDER = """
import os, sys
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.locks import RunLock, describe_holder
warehouse = Warehouse(os.environ["URL"])
lock = RunLock.acquire(warehouse, sys.argv[1], holder=describe_holder(sys.argv[2]), wait_seconds=0)
print("held", flush=True)
sys.stdin.readline()
lock.release()
print("released", flush=True)
sys.stdin.readline()
"""


@contextlib.contextmanager
def another_process(
    url: str, name: str = "feed board", what: str = "sync of feed board"
) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until it gets a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, name, what],
        env={**os.environ, "URL": url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def acquire(warehouse: Warehouse, name: str = "feed board", *, wait: float = 0.0) -> RunLock:
    return RunLock.acquire(warehouse, name, holder="the test", wait_seconds=wait)


def test_another_process_is_named_and_waited_for(warehouse: Warehouse, warehouse_url: str) -> None:
    told: list[str] = []
    with another_process(warehouse_url) as process:
        started = time.monotonic()
        with pytest.raises(LockHeld) as caught:
            RunLock.acquire(
                warehouse,
                "feed board",
                holder="the test",
                wait_seconds=1.2,
                on_wait=told.append,
            )
        assert time.monotonic() - started > 1.1

    holder = caught.value.holder
    assert told == [holder]  # once, before the waiting
    assert holder.startswith(f"sync of feed board (process {process.pid} on ")
    assert str(caught.value) == f"feed board is in use by {holder}"


def test_without_patience_nobody_waits(warehouse: Warehouse, warehouse_url: str) -> None:
    told: list[str] = []
    with another_process(warehouse_url), pytest.raises(LockHeld):
        RunLock.acquire(
            warehouse, "feed board", holder="the test", wait_seconds=0, on_wait=told.append
        )
    assert told == []


def test_a_killed_process_holds_nothing(warehouse: Warehouse, warehouse_url: str) -> None:
    with another_process(warehouse_url) as process:
        process.kill()
        process.wait()
        lock = acquire(warehouse, wait=10)
    with pytest.raises(LockHeld, match="feed board is in use by the test"):
        acquire(warehouse)
    lock.release()


def test_a_holder_whose_machine_is_gone_is_given_up_soon(postgres_warehouse: Warehouse) -> None:
    """It sends no word of its end; by itself the server would keep its lock for two hours."""
    lock = acquire(postgres_warehouse)
    names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")
    with transaction(lock.connection) as connection:
        idle, interval, count = (
            int(connection.execute(sa.text(f"SHOW {name}")).scalar_one()) for name in names
        )
    assert 0 < idle + interval * count <= 120
    lock.release()


def test_whoever_waits_gets_it_when_it_is_released(
    warehouse: Warehouse, warehouse_url: str
) -> None:
    with another_process(warehouse_url) as process:
        assert process.stdin is not None

        def release(holder: str) -> None:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()

        lock = RunLock.acquire(
            warehouse, "feed board", holder="the test", wait_seconds=20, on_wait=release
        )
        assert process.poll() is None  # it lives on and has let go
        lock.release()
    acquire(warehouse).release()


def test_locks_of_other_names_do_not_meet(warehouse: Warehouse, warehouse_url: str) -> None:
    with another_process(warehouse_url, "images of feed board"):
        acquire(warehouse, "feed board").release()
        acquire(warehouse, "images of feed other").release()
        with pytest.raises(LockHeld):
            acquire(warehouse, "images of feed board")


def test_warehouses_on_one_server_do_not_meet(
    postgres_warehouse: Warehouse, postgres_warehouse_url: str, postgres_server: PostgresServer
) -> None:
    """And each names its own holder, although the server lists the locks of all databases."""
    with postgres_server.database() as other_url:
        other = Warehouse(other_url)
        held = RunLock.acquire(other, "feed board", holder="somebody else", wait_seconds=0)
        with another_process(postgres_warehouse_url), pytest.raises(LockHeld) as caught:
            acquire(postgres_warehouse)
        held.release()
        other.close()
    assert caught.value.holder.startswith("sync of feed board (process ")


def test_one_file_is_one_warehouse_whatever_its_name(
    sqlite_warehouse: Warehouse, sqlite_warehouse_url: str, tmp_path: Path
) -> None:
    link = tmp_path / "elsewhere" / "link.sqlite"
    link.parent.mkdir()
    link.symlink_to(sqlite_warehouse_url.removeprefix("sqlite:///"))
    with another_process(f"sqlite:///{link}"), pytest.raises(LockHeld):
        acquire(sqlite_warehouse)


def test_a_failed_attempt_leaves_nothing_behind(warehouse: Warehouse, warehouse_url: str) -> None:
    with another_process(warehouse_url):
        for _ in range(3):
            with pytest.raises(LockHeld):
                acquire(warehouse)
        pool = warehouse.engine.pool
        assert isinstance(pool, sa.QueuePool)
        assert pool.checkedout() == 0


def _note(connection: sa.Connection, run_id: str) -> None:
    connection.execute(
        sa.insert(ledgers.run_ledger).values(
            run_id=run_id, feed="f", job="j", software_version="1", started_at=at(0), actions=[]
        )
    )


def _terminate(warehouse: Warehouse, connection: sa.Connection) -> None:
    process = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
    with warehouse.engine.connect() as other:
        other.execute(sa.text("SELECT pg_terminate_backend(:process)"), {"process": process})
    time.sleep(0.1)


@pytest.mark.parametrize("inside_a_transaction", [True, False])
def test_a_lost_connection_writes_nothing_more(
    postgres_warehouse: Warehouse, postgres_warehouse_url: str, inside_a_transaction: bool
) -> None:
    """SQLAlchemy would make a new connection, which has no lock."""
    lock = acquire(postgres_warehouse)
    connection = lock.connection
    with transaction(connection):
        _note(connection, "before")

    def write() -> None:
        if not inside_a_transaction:
            _terminate(postgres_warehouse, connection)
        with transaction(connection):
            if inside_a_transaction:
                _note(connection, "in between")
                _terminate(postgres_warehouse, connection)
            _note(connection, "with the lock lost")

    with pytest.raises(sa.exc.OperationalError):
        write()

    with another_process(postgres_warehouse_url):  # the lock is free for others
        for _ in range(3):
            with pytest.raises(LockLost, match="feed board: the conn"), transaction(connection):
                _note(connection, "without the lock")
        lock.release()
        with pytest.raises(LockHeld):
            acquire(postgres_warehouse)

    with postgres_warehouse.reading() as reader:
        noted = set(reader.execute(sa.select(ledgers.run_ledger.c.run_id)).scalars())
    assert noted == {"before"}


def test_a_connection_that_was_replaced_is_noticed(postgres_warehouse: Warehouse) -> None:
    lock = acquire(postgres_warehouse)
    lock.connection.invalidate()
    assert lock.connection.connection.driver_connection is not None  # SQLAlchemy made a new one
    with pytest.raises(LockLost), transaction(lock.connection):
        _note(lock.connection, "without the lock")
    lock.release()


def test_the_holder_says_which_process_it_is() -> None:
    assert describe_holder("sync of feed x").startswith(
        f"sync of feed x (process {os.getpid()} on "
    )


def test_a_long_or_foreign_name_of_a_holder(warehouse: Warehouse) -> None:
    holder = "é" * 100
    lock = RunLock.acquire(warehouse, "feed board", holder=holder, wait_seconds=0)
    with pytest.raises(LockHeld) as caught:
        acquire(warehouse)
    assert caught.value.holder
    if warehouse.path is not None:
        assert caught.value.holder == holder
    lock.release()
