"""The schema's revisions, on both databases."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import event

from rets_pipeline.warehouse import migrate
from rets_pipeline.warehouse.types import metadata
from rets_pipeline.warehouse.views import VIEWS
from rets_pipeline_tests.patience import PATIENCE


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(request.param)


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


def names(engine: sa.Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names())


def views(engine: sa.Engine) -> set[str]:
    return set(sa.inspect(engine).get_view_names())


def test_head_is_what_alembic_says():
    assert ScriptDirectory.from_config(migrate.config()).get_current_head() == migrate.head()


def test_up_and_down_and_up_again(engine):
    assert migrate.current(engine) is None
    migrate.upgrade(engine)
    assert migrate.current(engine) == migrate.head()
    assert names(engine) == {*metadata.tables, migrate.VERSION_TABLE}
    assert views(engine) == set(VIEWS)
    migrate.downgrade(engine, "base")
    assert migrate.current(engine) is None
    assert names(engine) == {migrate.VERSION_TABLE}
    assert views(engine) == set()
    migrate.upgrade(engine)
    assert migrate.check(engine) == []


def test_the_tables_are_what_the_revisions_make(engine):
    migrate.upgrade(engine)
    assert migrate.check(engine) == []


def test_a_difference_is_said_in_words(engine):
    migrate.upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE property ADD COLUMN stray TEXT")
        connection.exec_driver_sql("DROP TABLE geocode_provider")
        connection.exec_driver_sql("DROP INDEX ix_property_list_price")
    found = "\n".join(migrate.check(engine))
    assert "add table: geocode_provider" in found
    assert "remove column: property stray" in found
    assert "add index: ix_property_list_price" in found


def test_a_view_that_is_missing_or_other_is_seen(engine):
    migrate.upgrade(engine)
    name = "current_listings"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP VIEW {name}")
        connection.exec_driver_sql("CREATE VIEW of_others AS SELECT city FROM property")
    assert migrate.check(engine) == [f"add view: {name}"]
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE VIEW {name} AS SELECT city FROM property")
    assert migrate.check(engine) == [f"remove view: {name}", f"add view: {name}"]
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP VIEW {name}")
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {VIEWS[name]}")
    assert migrate.check(engine) == []


def test_a_view_that_cannot_be_made_is_seen(engine):
    migrate.upgrade(engine)
    name = "current_listings"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP VIEW {name}")
        connection.exec_driver_sql(f"CREATE VIEW {name} AS SELECT 1 AS feed")
        connection.exec_driver_sql("ALTER TABLE property DROP COLUMN public_remarks")
    assert migrate.check(engine) == [
        f"remove view: {name}",
        f"add view: {name}",
        "add column: property public_remarks",
    ]


def test_a_new_revision_is_written_with_its_views(engine, monkeypatch, tmp_path):
    """Dropped before the tables change, made after; and the other way round on the way down."""
    migrate.upgrade(engine)
    name = "current_listings"
    other = "SELECT feed, listing_key FROM property"
    monkeypatch.setitem(VIEWS, name, other)
    before = migrate.config()
    folder = tmp_path / "migrations"
    shutil.copytree(before.get_main_option("script_location"), folder)
    configuration = migrate.config()
    configuration.set_main_option("script_location", str(folder))
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE geocode_provider")
    with engine.begin() as connection:
        configuration.attributes["connection"] = connection
        command.revision(configuration, "Another view", autogenerate=True, rev_id="0002")
    text = (folder / "versions" / "0002_another_view.py").read_text()
    up, down = text.split("def downgrade")
    calls = ["operations.drop_view(", "op.create_table(", "operations.create_view("]
    assert [up.index(call) for call in calls] == sorted(up.index(call) for call in calls)
    calls[1] = "op.drop_table("
    assert [down.index(call) for call in calls] == sorted(down.index(call) for call in calls)
    with engine.begin() as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "0002")
        assert list(sa.inspect(connection).get_columns(name))[-1]["name"] == "listing_key"
        command.downgrade(configuration, "0001")
    monkeypatch.undo()
    assert not [line for line in migrate.check(engine) if name in line]


@pytest.mark.parametrize(
    "work", [migrate.upgrade, migrate.check, lambda engine: migrate.downgrade(engine, "base")]
)
def test_a_database_that_is_newer_than_the_software_is_left_alone(engine, work):
    migrate.upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {migrate.VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(migrate.UnknownRevision, match="9999, which this version of rets-pipeline"):
        work(engine)
    assert names(engine) == {*metadata.tables, migrate.VERSION_TABLE}


def test_a_database_without_tables_is_not_well(engine):
    assert migrate.check(engine)[0] == (
        f"the database is at revision None, the software at {migrate.head()}"
    )


def test_a_comment_that_differs_is_seen_where_the_database_keeps_comments(postgres_url):
    engine = sa.create_engine(postgres_url)
    migrate.upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("COMMENT ON COLUMN property.city IS 'Town'")
        query = sa.text("SELECT col_description('property'::regclass, 1)")
        assert "feeds.yaml" in connection.execute(query).scalar_one()
    assert migrate.check(engine) == ["modify comment: property city Town City"]
    engine.dispose()


def test_tables_of_others_are_left_alone(engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('of_dagster')")
        connection.exec_driver_sql("CREATE TABLE runs (id INTEGER PRIMARY KEY)")
    migrate.upgrade(engine)
    assert migrate.check(engine) == []
    migrate.downgrade(engine, "base")
    with engine.connect() as connection:
        query = sa.text("SELECT version_num FROM alembic_version")
        assert connection.execute(query).scalar_one() == "of_dagster"
    assert "runs" in names(engine)


def test_many_that_start_at_once(url):
    engines = [sa.create_engine(url) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(migrate.upgrade, engines))
    assert migrate.check(engines[0]) == []
    for engine in engines:
        engine.dispose()


def test_processes_that_start_at_once(url):
    code = (
        "import sys, sqlalchemy as sa\n"
        "from rets_pipeline.warehouse import migrate\n"
        "migrate.upgrade(sa.create_engine(sys.argv[1]))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(3)]
    assert [process.wait(PATIENCE) for process in running] == [0, 0, 0]
    engine = sa.create_engine(url)
    assert migrate.check(engine) == []
    engine.dispose()


def test_an_upgrade_that_breaks_off_leaves_nothing(engine):
    seen = []

    @event.listens_for(engine, "before_cursor_execute")
    def stop(connection, cursor, statement, *rest):
        if "CREATE TABLE" in statement.upper():
            seen.append(statement)
            if len(seen) == 8:
                raise RuntimeError("the plug is pulled")

    with pytest.raises(RuntimeError, match="plug"):
        migrate.upgrade(engine)
    event.remove(engine, "before_cursor_execute", stop)
    assert names(engine) == set()
    migrate.upgrade(engine)
    assert migrate.check(engine) == []


def test_it_works_with_an_engine_that_begins_by_itself(sqlite_url):
    """SQLAlchemy's recipe for honest transactions on SQLite."""
    engine = sa.create_engine(sqlite_url)

    @event.listens_for(engine, "connect")
    def no_begin(connection, record):
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection):
        connection.exec_driver_sql("BEGIN")

    migrate.upgrade(engine)
    assert migrate.check(engine) == []
    engine.dispose()


def test_nothing_to_do_is_quick(url):
    engine = sa.create_engine(url)
    migrate.upgrade(engine)
    engine.dispose()
    code = (
        "import sys, sqlalchemy as sa\n"
        "from rets_pipeline.warehouse import migrate\n"
        "migrate.upgrade(sa.create_engine(sys.argv[1]))\n"
        "sys.exit('alembic' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, url], timeout=PATIENCE).returncode == 0


def test_every_revision_is_shipped_with_the_package():
    folder = Path(migrate.__file__).parent / "migrations"
    assert (folder / "env.py").is_file()
    assert (folder / "script.py.mako").is_file()
    scripts = ScriptDirectory.from_config(migrate.config())
    assert [script.revision for script in scripts.walk_revisions()][-1] == "0001"
