"""``rets-pipeline db``, as people see it."""

from __future__ import annotations

import sqlalchemy as sa

from rets_pipeline.warehouse import migrate
from rets_pipeline_tests.commands.conftest import Project

_HEAD = migrate.head()


def test_a_databases_way(empty_project: Project) -> None:
    """No file, then tables, then a stray column; on SQLite, where looking must not make a file."""
    empty_project.write_feeds({})
    path = empty_project.home / "warehouse.sqlite"
    where = f"sqlite:///{path}"

    done = empty_project.run("db", "current")
    newest = f"`rets-pipeline db upgrade` brings it to {_HEAD}"
    assert (done.status, done.stdout) == (0, f"{where}: no tables yet; {newest}\n")
    done = empty_project.run("db", "check")
    told = f"{where}: no tables yet; `rets-pipeline db upgrade` makes them"
    assert (done.status, done.stdout, done.fault()) == (1, "", told)
    assert not path.exists()

    done = empty_project.run("db", "upgrade")
    told = f"{where}: upgraded from no tables yet to revision {_HEAD}\n"
    assert (done.status, done.stdout, done.stderr) == (0, told, "")
    assert empty_project.run("db", "upgrade").stdout == f"{where}: at revision {_HEAD}\n"
    assert empty_project.run("db", "current").stdout == f"{where}: revision {_HEAD}\n"
    done = empty_project.run("db", "check")
    told = f"{where}: revision {_HEAD}, every table and view as it should be\n"
    assert (done.status, done.stdout, done.stderr) == (0, told, "")

    with sa.create_engine(where).begin() as connection:
        connection.exec_driver_sql("ALTER TABLE property ADD COLUMN stray TEXT")
    done = empty_project.run("db", "check")
    assert (done.status, done.fault()) == (1, f"{where}: remove column: property stray")


def test_a_database_of_a_newer_version(empty_project: Project, postgres_url: str) -> None:
    empty_project.write_feeds({})
    engine = sa.create_engine(postgres_url)
    migrate.upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {migrate.VERSION_TABLE} SET version_num = '9999'")
    engine.dispose()
    empty_project.environ["DATABASE_URL"] = postgres_url
    done = empty_project.run("db", "upgrade")
    assert (done.status, done.stdout) == (2, "")
    assert done.fault().startswith("error: the warehouse postgresql+psycopg://")
    assert done.fault().endswith(
        f" is at revision 9999, which this version of rets-pipeline does not know (its newest "
        f"is {_HEAD}): use the version that brought it there, or a newer one"
    )
    done = empty_project.run("db", "current")
    assert done.status == 0
    assert f": revision 9999; this version of rets-pipeline knows {_HEAD} at most" in done.stdout


def test_a_database_out_of_reach(empty_project: Project) -> None:
    empty_project.write_feeds({})
    url = "postgresql://reader:secret-of-database@127.0.0.1:9/rets"
    done = empty_project.run("db", "check", DATABASE_URL=url)
    assert done.status == 2
    assert "127.0.0.1:9/rets cannot be opened: " in done.fault()
