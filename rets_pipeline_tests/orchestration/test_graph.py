"""The graph as it was agreed on: any change shows in a review as a change of a JSON file.

After a change that is meant, write the files anew and look at the difference::

    REWRITE_GRAPHS=yes .venv/bin/pytest -n0 rets_pipeline_tests/orchestration/test_graph.py
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import dagster as dg
import pytest

from rets_pipeline.orchestration import build_defs
from rets_pipeline.settings import Settings
from rets_pipeline_tests.orchestration.conftest import feed
from rets_pipeline_tests.orchestration.graph import graph_of, resources_of

_ROOT = Path(__file__).parents[2]
_GRAPHS = Path(__file__).parent / "graphs"


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """What a fresh clone has."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return Settings.from_env(
        {"RETS_PIPELINE_FEEDS": str(_ROOT / "feeds.yaml"), "RETS_PIPELINE_HOME": str(tmp_path)}
    )


@pytest.mark.parametrize("name", ["shipped", "two_feeds"])
def test_the_graph_is_the_agreed_one(name: str, request: pytest.FixtureRequest) -> None:
    settings = request.getfixturevalue(name)
    present = json.dumps(graph_of(build_defs(settings)), indent=2) + "\n"
    path = _GRAPHS / f"{name}.json"
    if os.environ.get("REWRITE_GRAPHS"):
        path.write_text(present, encoding="utf-8")
    assert present.splitlines() == path.read_text(encoding="utf-8").splitlines()


def test_a_feed_of_its_own_stands_apart(two_feeds: Settings) -> None:
    """Nothing of one feed depends on, or waits for, anything of another one."""
    graph = graph_of(build_defs(two_feeds))
    for name, asset in graph["assets"].items():
        feed, other = ("east", "west") if name.startswith("east/") else ("west", "east")
        assert asset["group"] == feed
        assert other not in json.dumps(asset).replace("team:west", "").replace("west@", "")


def test_everything_is_described(two_feeds: Settings) -> None:
    repository = build_defs(two_feeds).get_repository_def()
    graph = repository.asset_graph
    described = {
        **{str(key): graph.get(key).description for key in graph.get_all_asset_keys()},
        **{str(key): graph.get(key).description for key in graph.asset_check_keys},
        **{job.name: job.description for job in repository.get_all_jobs() if job.name[0] != "_"},
        **{schedule.name: schedule.description for schedule in repository.schedule_defs},
    }
    assert {name for name, text in described.items() if not text} == set()
    for asset in graph.assets_defs:
        for name, field in getattr(asset.op.config_schema.config_type, "fields", {}).items():
            assert field.description, name


def test_every_column_of_listings_has_its_reso_name_in_the_ui(shipped: Settings) -> None:
    graph = build_defs(shipped).get_repository_def().asset_graph
    metadata = graph.get(dg.AssetKey(["sandbox", "listings"])).metadata
    schema = metadata["dagster/column_schema"]
    named = {column.name: column.description for column in schema.columns}
    assert named["list_price"].startswith("ListPrice; ")
    assert named["modification_timestamp"] == "ModificationTimestamp ← @LastUpdated"
    assert named["property_rooms.room_type"] == "RoomType ← Building/Rooms/Room/Type"
    assert all(column.type for column in schema.columns)


@pytest.mark.parametrize(
    ("strategies", "pool"),
    [(["url"], "images_east"), (["url", "object"], "rets_east"), (["location"], "rets_east")],
)
def test_photos_by_getobject_wait_for_the_accounts_session(
    tmp_path: Path, strategies: list[str], pool: str
) -> None:
    settings = Settings(
        feeds={"east": feed("east", photos={"strategies": strategies})},
        database_url=f"sqlite:///{tmp_path / 'warehouse.sqlite'}",
        archive_uri=str(tmp_path),
        home=tmp_path,
    )
    graph = build_defs(settings).get_repository_def().asset_graph
    for name in ("listing_images", "member_images", "office_logos"):
        assert graph.get(dg.AssetKey(["east", name])).pools == {pool}  # one run for all of them


def test_no_secret_is_part_of_the_definitions(
    two_feeds: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The UI shows the configuration of resources to whoever opens it."""
    monkeypatch.setenv("EAST_PASSWORD", "secret-of-account")
    defs = build_defs(two_feeds)
    assert defs.get_repository_def().get_top_level_resources() == {}
    resources = resources_of(defs)
    assert {"mirror_east", "mirror_west"} < resources.keys()
    for resource in resources.values():
        schema = resource.config_schema
        text = f"{schema.default_value if schema.default_provided else ''} {resource!r}"
        assert "secret-of" not in text
    assert "EAST_PASSWORD" in str(resources["mirror_east"].config_schema.default_value)
    # Accounts are read by the run itself, so that one that is not set is its fault, and no crash.
    assert set(graph_of(defs)["environment"]) == {"DATABASE_URL"}
