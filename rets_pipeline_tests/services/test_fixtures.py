"""The fixtures of ``conftest.py``: what they promise to the other tests."""

from __future__ import annotations

import os

import pytest
import sqlalchemy as sa

from rets_pipeline.archive import Archive
from rets_pipeline_tests.conftest import Backend


def test_backend(backend: Backend) -> None:
    engine = sa.create_engine(backend.database_url)
    with engine.begin() as connection:
        # Each test has a database and an archive of its own, so this never meets an older one.
        connection.execute(sa.text("CREATE TABLE listing (listing_key TEXT)"))
        assert not connection.execute(sa.text("SELECT * FROM listing")).all()
    engine.dispose()
    assert engine.dialect.name == {"embedded": "sqlite", "services": "postgresql"}[backend.name]
    archive = Archive.from_uri(backend.archive_uri, backend.environ)
    assert list(archive.list()) == []
    archive.put("a", b"1")
    archive.check()
    assert backend.environ["DATABASE_URL"] == backend.database_url
    assert backend.environ["ARCHIVE_URI"] == backend.archive_uri
    if backend.name == "services":
        assert {name: os.environ[name] for name in backend.environ if name.startswith("AWS_")}
        assert backend.environ["AWS_SECRET_ACCESS_KEY"] not in repr(backend)
        assert engine.url.password not in repr(backend)


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_starts_with_nothing(
    turn: int, sqlite_url: str, postgres_url: str, s3_archive_uri: str
) -> None:
    for url in (sqlite_url, postgres_url):
        engine = sa.create_engine(url)
        assert sa.inspect(engine).get_table_names() == []
        with engine.begin() as connection:
            connection.execute(sa.text(f"CREATE TABLE turn_{turn} (i INT)"))
        engine.dispose()
    archive = Archive.from_uri(s3_archive_uri)
    assert list(archive.list()) == []
    archive.put(f"turn/{turn}", b"x")
