"""Opening a warehouse, and its transactions."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from rets_pipeline.warehouse import engine, ledgers, migrate
from rets_pipeline.warehouse.engine import Warehouse, WarehouseError, transaction
from rets_pipeline_tests.services.postgres import PostgresServer
from rets_pipeline_tests.warehouse.builders import at

SECRET = "hunter2"


def message(url: str) -> str:
    with pytest.raises(WarehouseError) as caught:
        Warehouse.open(url).close()
    text = str(caught.value)
    assert SECRET not in text
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://user:{SECRET}@127.0.0.1:1/mirror",
        f"postgresql://127.0.0.1:1/mirror?password={SECRET}&user=somebody",
        f"postgresql://user:half@{SECRET}@127.0.0.1:1/mirror",
        f"postgresql://user:{SECRET}@127.0.0.1:port/mirror",
        f"postgresql://user:half/{SECRET}@127.0.0.1:1/mirror",
        SECRET,
        f"//user:{SECRET}@host/mirror",
    ],
)
def test_what_cannot_be_opened_is_said_without_the_password(address: str) -> None:
    message(address)


def test_a_wrong_password_is_said_in_one_line(postgres_server: PostgresServer) -> None:
    port = postgres_server.port
    text = message(f"postgresql://postgres:{SECRET}@127.0.0.1:{port}/postgres")
    assert f"127.0.0.1:{port}/postgres" in text
    assert "password authentication failed" in text


def test_a_database_that_does_not_exist_is_named(postgres_server: PostgresServer) -> None:
    assert '"no_such_database" does not exist' in message(postgres_server.url("no_such_database"))


def test_a_database_that_is_newer_than_the_software(warehouse_url: str) -> None:
    engine = sa.create_engine(warehouse_url)
    table = migrate.VERSION_TABLE
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {table} SET version_num = '9999'")
    with pytest.raises(
        WarehouseError, match=r"^the warehouse .* is at revision 9999, which"
    ) as told:
        Warehouse.open(warehouse_url)
    assert "\n" not in str(told.value)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {table} SET version_num = '{migrate.head()}'")
    engine.dispose()
    Warehouse.open(warehouse_url).close()


def test_a_server_that_never_answers_is_given_up_in_time_for_a_sensor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A sensor is stopped after a minute, and what it had to tell is not told."""
    assert engine._SECONDS_TO_CONNECT <= 20
    monkeypatch.setattr(engine, "_SECONDS_TO_CONNECT", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        text = message(f"postgresql://user:{SECRET}@127.0.0.1:{port}/mirror")
        assert "timeout" in text
        # What an address says counts.
        patient = Warehouse(f"postgresql://127.0.0.1:{port}/mirror?connect_timeout=3").engine
        assert patient.url.query["connect_timeout"] == "3"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    text = message(f"sqlite:///{tmp_path}/file/warehouse.sqlite")
    assert "cannot be opened: " in text


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.sqlite"
    path.write_text("this is no database at all, however long it may be" * 100)
    assert "not a database" in message(f"sqlite:///{path}")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_sqlite_needs_a_file(url: str) -> None:
    assert "needs a file" in message(url)


def test_the_folder_of_a_new_database_is_made(tmp_path: Path) -> None:
    Warehouse.open(f"sqlite:///{tmp_path}/a/b/warehouse.sqlite").close()
    assert (tmp_path / "a" / "b" / "warehouse.sqlite").is_file()


def test_any_spelling_of_a_driver_becomes_ours(tmp_path: Path) -> None:
    for scheme, driver in (
        ("postgres", "psycopg"),
        ("postgresql", "psycopg"),
        ("postgresql+psycopg2", "psycopg"),
    ):
        assert Warehouse(f"{scheme}://127.0.0.1/mirror").engine.driver == driver
    assert Warehouse(f"sqlite+other:///{tmp_path}/w").engine.driver == "pysqlite"


def test_an_error_of_the_database_holds_no_values(warehouse: Warehouse) -> None:
    """Dagster keeps what a failed step says, long after the listing in it is gone."""
    with warehouse.writing() as connection:
        _note(connection, SECRET)
    with pytest.raises(sa.exc.IntegrityError) as told, warehouse.writing() as connection:
        _note(connection, SECRET)
    assert "INSERT INTO run_ledger" in str(told.value)
    assert SECRET not in str(told.value).replace(str(told.value.orig), "")


def _note(connection: sa.Connection, run_id: str) -> None:
    connection.execute(
        sa.insert(ledgers.run_ledger).values(
            run_id=run_id, feed="f", job="j", software_version="1", started_at=at(0), actions=[]
        )
    )


def _noted(warehouse: Warehouse) -> list[str]:
    with warehouse.reading() as connection:
        return sorted(connection.execute(sa.select(ledgers.run_ledger.c.run_id)).scalars())


def test_a_transaction_is_all_or_nothing(warehouse: Warehouse) -> None:
    def fail(connection: sa.Connection) -> None:
        with transaction(connection):
            _note(connection, "lost")
            raise ZeroDivisionError

    with warehouse.engine.connect() as connection:
        with transaction(connection):
            _note(connection, "kept")
        with pytest.raises(ZeroDivisionError):
            fail(connection)
        with transaction(connection):
            _note(connection, "kept too")
    assert _noted(warehouse) == ["kept", "kept too"]


def test_a_reader_sees_one_state(warehouse: Warehouse) -> None:
    with warehouse.reading() as reader:
        count = sa.select(sa.func.count()).select_from(ledgers.run_ledger)
        assert reader.execute(count).scalar_one() == 0
        with warehouse.writing() as writer:
            _note(writer, "meanwhile")
        assert reader.execute(count).scalar_one() == 0
    assert _noted(warehouse) == ["meanwhile"]


def test_writers_on_sqlite_wait_for_one_another(sqlite_warehouse: Warehouse) -> None:
    """Each reads before it writes; with a lock taken late the second would fail or lose."""
    table = ledgers.run_ledger
    with sqlite_warehouse.writing() as connection:
        _note(connection, "shared")
        connection.execute(sa.update(table).values(actions=[0]))
    faults: list[BaseException] = []

    def add() -> None:
        try:
            for _ in range(20):
                with sqlite_warehouse.writing() as connection:
                    (number,) = connection.execute(sa.select(table.c.actions)).scalar_one()
                    connection.execute(sa.update(table).values(actions=[number + 1]))
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=add) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    with sqlite_warehouse.reading() as connection:
        assert connection.execute(sa.select(table.c.actions)).scalar_one() == [60]
