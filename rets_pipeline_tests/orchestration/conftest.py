"""Settings without a server behind them, and end-to-end's mirror of a sandbox."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from rets_pipeline.settings import FeedConfig, Settings

# Fixtures by their names: a sandbox, a feed of it on both backends, and the mirror.
from rets_pipeline_tests.end_to_end.conftest import (  # noqa: F401
    databases,
    instance,
    pipeline,
    server,
    settings,
)
from rets_pipeline_tests.warehouse.databases import (  # noqa: F401
    postgres_warehouse_url,
    postgres_with_tables,
    sqlite_template,
    sqlite_warehouse,
    sqlite_warehouse_url,
)


def feed(name: str, **more: object) -> FeedConfig:
    """A feed of a server that does not exist."""
    return FeedConfig.model_validate(
        {
            "name": name,
            "source": "ddf",
            "login_url": "https://rets.invalid/Login.svc/Login",
            "username_variable": f"{name.upper()}_USERNAME",
            "password_variable": f"{name.upper()}_PASSWORD",
            "first_day": date(2026, 6, 1),
            **more,
        }
    )


@pytest.fixture
def two_feeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Two feeds that differ, on Postgres and S3, with schedules that run by default."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://rets:secret-of-database@db.invalid/rets")
    feeds = [
        feed("east"),
        feed(
            "west",
            first_day=date(2025, 1, 1),
            cadence_minutes=60,
            owners=("team:west", "west@example.com"),
        ),
    ]
    return Settings(
        feeds={item.name: item for item in feeds},
        database_url="postgresql://rets:secret-of-database@db.invalid/rets",
        archive_uri="s3://bucket/mirror",
        home=tmp_path,
        automation=True,
    )
