"""Many feeds in one code location, and feeds among them that cannot be used."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.tags import TagConcurrencyLimitsCounter

from rets_pipeline.orchestration import build_defs, naming, signatures
from rets_pipeline.orchestration.broken import broken_feeds
from rets_pipeline.settings import Settings
from rets_pipeline_tests.end_to_end.harness import QUIET
from rets_pipeline_tests.orchestration.conftest import feed

_ROOT = Path(__file__).parents[2]
FAULT = "feeds.yaml: feed 'East Side': cadence_minutes: must divide an hour"


def settings_of(folder: Path, feeds: int, *, automation: bool = False) -> Settings:
    """Feeds of servers that do not exist."""
    return Settings(
        feeds={name: feed(name) for name in (f"feed_{number}" for number in range(feeds))},
        database_url=f"sqlite:///{folder / 'warehouse.sqlite'}",
        archive_uri=str(folder),
        home=folder,
        automation=automation,
        broken={"East Side": FAULT},
    )


def load(settings: Settings) -> dg.Definitions:
    """Every asset and every job, as the code server checks them."""
    defs = build_defs(settings)
    dg.Definitions.validate_loadable(defs)
    return defs


def test_jobs_and_resources_of_a_feed_know_no_other_feed(tmp_path: Path) -> None:
    repository = load(settings_of(tmp_path, 5)).get_repository_def()
    for number in range(5):
        name = f"feed_{number}"
        job = repository.get_job(naming.sync_job(name))
        mirrors = {key for key in job.resource_defs if key.startswith("mirror_")}
        assert mirrors == {naming.mirror_resource(name)}
        assert {key.path[0] for key in job.asset_layer.selected_asset_keys} == {name}


def test_a_feed_more_costs_what_the_first_ones_did(tmp_path: Path) -> None:
    """`python -m benchmarks feeds` tells seconds; this finds what grows with feeds times feeds."""

    def least(feeds: int) -> float:
        found = []
        for _ in range(2):
            started = time.process_time()
            load(settings_of(tmp_path, feeds))
            found.append(time.process_time() - started)
        return min(found)

    load(settings_of(tmp_path, 1))  # what is imported and cached once
    assert least(16) < 3 * 4 * least(4)


def test_functions_of_one_text_share_their_signature_and_nothing_else() -> None:
    def made(feed: str) -> Callable[[int], str]:
        @signatures.kept
        def step(count: int) -> str:
            return feed * count

        return step

    east, west = made("east"), made("west")
    assert inspect.signature(east) is inspect.signature(west)
    assert list(inspect.signature(east).parameters) == ["count"]
    assert (east(1), west(1)) == ("east", "west")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def test_photos_and_addresses_of_many_feeds_leave_room_for_syncs(tmp_path: Path) -> None:
    """By the queue's own rules: long runs of a few feeds must not fill every place."""
    settings = settings_of(tmp_path, 4)
    repository = build_defs(settings).get_repository_def()
    (tmp_path / "dagster.yaml").write_bytes((_ROOT / "dagster.yaml").read_bytes())
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        queue = made.get_concurrency_config().run_queue_config
    assert queue is not None
    counter = TagConcurrencyLimitsCounter(queue.tag_concurrency_limits, [])
    launched = []
    for name in settings.feeds:
        for job in (naming.images_job, naming.addresses_job):
            run = dg.DagsterRun(job_name=job(name), tags=repository.get_job(job(name)).run_tags)
            if not counter.is_blocked(run):
                counter.update_counters_with_launched_item(run)
                launched.append(run)
    assert 0 < len(launched) <= queue.max_concurrent_runs // 2
    for job in (naming.sync_job, naming.backfill_job, naming.retention_job):
        tags = repository.get_job(job("feed_3")).run_tags
        assert not counter.is_blocked(dg.DagsterRun(job_name="any", tags=tags))


def test_a_feed_that_cannot_be_used_is_seen_and_stops_no_other(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    defs = load(settings_of(tmp_path, 1, automation=True))
    graph = defs.get_repository_def().asset_graph
    key = naming.asset_key("east_side", naming.SETTINGS)
    assert naming.asset_key("feed_0", naming.LISTINGS) in graph.get_all_asset_keys()
    assert FAULT in (graph.get(key).description or "")
    assert {node.group_name for node in graph.asset_nodes} == {"feed_0", "east_side"}

    schedule = defs.get_repository_def().get_schedule_def("east_side_settings_schedule")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    result = defs.resolve_job_def(schedule.job_name).execute_in_process(
        instance=instance, run_config=QUIET, raise_on_error=False
    )
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    told = failed.step_failure_data.user_failure_data
    assert not result.success
    assert told is not None
    assert told.description == FAULT


def test_names_are_made_fit_and_never_meet() -> None:
    names = ["East", "east", "é", "", "1 st", "good", "Good", "x" * 50, "x" * 60]
    found = [item.name for item in broken_feeds(dict.fromkeys(names, "fault"), {"good"})]
    assert found == [
        "east", "east_2", "_", "feed", "1_st", "good_2", "good_3", "x" * 40, "x" * 40 + "_2",
    ]  # fmt: skip
