"""What runs at night: the reconcile, retention, and the pruning of Dagster's event log."""

# No postponed annotations here: Dagster reads the type of `context` at once.
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable

from rets_pipeline.orchestration import build_defs, event_log, naming, partitions
from rets_pipeline.orchestration.assets import Scope
from rets_pipeline.orchestration.jobs import sync_config
from rets_pipeline.settings import Settings
from rets_pipeline.sync.days import DayRange
from rets_pipeline.warehouse import ledgers
from rets_pipeline_tests.end_to_end.harness import (
    FEED,
    QUIET,
    Pipeline,
    Server,
    assert_equal_images,
    assert_equal_listings,
)
from rets_pipeline_tests.orchestration.conftest import feed

Result = dg.ExecuteInProcessResult
_ON_ONE = pytest.mark.parametrize("backend", ["embedded"], indirect=True)


def run(pipeline: Pipeline, job: str, config: dict[str, Any], *, days: bool = False) -> Result:
    """A job, as its schedule starts it."""
    latest = partitions.latest(pipeline.feed, datetime.now(UTC))
    return pipeline.defs.resolve_job_def(job).execute_in_process(
        run_config={**config, **QUIET},
        instance=pipeline.instance,
        tags=partitions.range_tags(latest) if days else None,
        raise_on_error=False,
    )


def reconcile(pipeline: Pipeline) -> Result:
    return run(pipeline, naming.reconcile_job(FEED), sync_config(FEED), days=True)


def metadata_of(result: Result, asset: str) -> dict[str, Any]:
    """What an asset's materialization says."""
    (event,) = result.asset_materializations_for_node(naming.op_name(FEED, asset))
    return {name: value.value for name, value in event.metadata.items()}


def checks_of(result: Result) -> dict[str, dg.AssetCheckEvaluation]:
    return {item.check_name: item for item in result.get_asset_check_evaluations()}


def test_a_night(server: Server, pipeline: Pipeline) -> None:
    """Drift, a blob that vanished, an orphan that is young, and a listing that is gone."""
    pipeline.settings.feeds[FEED] = pipeline.feed.model_copy(
        update={"reconcile": pipeline.feed.reconcile.model_copy(update={"sample": 1.0})}
    )
    pipeline.defs = build_defs(pipeline.settings)
    assert pipeline.sync().success
    assert pipeline.images().success
    keys = sorted(server.truth())
    server.change("price", keys[2], keep_timestamp=True)
    server.change("removed", keys[0])
    lost = pipeline.rows(
        sa.select(ledgers.media_file.c.blob_key).where(
            ledgers.media_file.c.resource_name == "Property",
            ledgers.media_file.c.resource_record_key != keys[0],
        )
    )[0].blob_key
    pipeline.archive.delete([lost])
    pipeline.archive.put(f"images/{FEED}/1/orphan.jpg", b"young")

    result = reconcile(pipeline)

    assert result.success
    assert_equal_listings(pipeline, server.truth())
    told = metadata_of(result, naming.AUDITS)
    assert told["listings_sampled"] == len(keys) - 1
    assert told["listings_drifted"] == 1
    assert f"listings that had drifted: `{keys[2]}`" in told["keys"]
    assert (told["vanished"], told["orphans"], told["young"]) == (1, 0, 1)
    assert told["images_removed"] > 0
    checks = checks_of(result)
    assert checks["keys_match_server"].passed
    assert not checks["no_drift"].passed
    assert keys[2] in (checks["no_drift"].description or "")
    assert pipeline.images().success
    assert_equal_images(pipeline, server.truth_with_images())

    again = reconcile(pipeline)
    assert again.success
    assert checks_of(again)["no_drift"].passed
    quiet = metadata_of(again, naming.AUDITS)
    assert quiet.keys() == told.keys(), "the same numbers on every run"
    assert (quiet["listings_drifted"], quiet["keys"]) == (0, "no findings")
    assert server.statistics()["sessions_open"] == 0
    jobs = pipeline.rows(sa.select(ledgers.run_ledger.c.job, ledgers.run_ledger.c.result))
    assert ("reconcile", "succeeded") in [tuple(row) for row in jobs]


@_ON_ONE
def test_a_guard_that_trips_tells_the_operator_what_to_do(
    server: Server, pipeline: Pipeline
) -> None:
    """The reason and the way out are in the failure; the audits run all the same."""
    pipeline.sync()
    server.behave(drop_from_master_list=10)

    result = reconcile(pipeline)

    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_key == naming.op_name(FEED, naming.DELETED)
    told = failed.step_failure_data.user_failure_data
    assert told is not None
    assert "10 of 60 listings are missing from the master list" in str(told.description)
    assert f"rets-pipeline sync {FEED} --allow-deletions 10" in str(told.description)
    assert (told.metadata["gone"].value, told.metadata["live"].value) == (10, 60)
    assert metadata_of(result, naming.AUDITS)["listings_surplus"] == 10

    # Pasted as it stands into the launchpad of that asset.
    advice = str(told.metadata["to_let_them_go_once"].value)
    config = yaml.safe_load(advice.partition("```yaml\n")[2].partition("```")[0])
    job = pipeline.defs.resolve_implicit_global_asset_job_def()
    allowed = job.execute_in_process(
        asset_selection=[naming.asset_key(FEED, naming.DELETED)],
        instance=pipeline.instance,
        run_config={**config, **QUIET},
    )
    assert allowed.success
    assert len(pipeline.tombstones()) == 10


@_ON_ONE
def test_retention_as_a_job(pipeline: Pipeline) -> None:
    pipeline.sync()
    with pipeline.warehouse.writing() as connection:
        table = ledgers.pull
        connection.execute(
            sa.update(table)
            .where(table.c.kind == "master_list")
            .values(requested_at=datetime.now(UTC) - timedelta(days=2_000))
        )
    pipeline.sync()
    result = run(pipeline, naming.retention_job(FEED), {})
    assert result.success
    assert metadata_of(result, naming.RETENTION) == {
        "master_lists": 1,
        "pulls": 0,
        "objects": 3,
        "tombstones": 0,
        "kept_for_live": 0,
        "runs": 0,
    }


# When ---------------------------------------------------------------------------------------------


def test_the_nightly_schedules(two_feeds: Settings) -> None:
    night = feed("east").reconcile.model_copy(update={"hour": 22})
    two_feeds.feeds["east"] = two_feeds.feeds["east"].model_copy(update={"reconcile": night})
    for automation in (True, False):
        defs = build_defs(two_feeds.model_copy(update={"automation": automation}))
        lines = {}
        for job in ("east_reconcile", "west_reconcile", "east_retention", "retention"):
            schedule = defs.resolve_schedule_def(naming.schedule_of(job))
            assert schedule.job_name == job
            assert schedule.execution_timezone == "UTC"
            assert (schedule.default_status is dg.DefaultScheduleStatus.RUNNING) is automation
            lines[job] = schedule.cron_schedule
        assert lines == {
            "east_reconcile": "8 22 * * *",
            "west_reconcile": "8 3 * * *",
            "east_retention": "38 22 * * *",
            "retention": "52 4 * * *",
        }


def test_a_nightly_tick_asks_for_what_a_sync_does(
    two_feeds: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("EAST_USERNAME", "EAST_PASSWORD", "WEST_USERNAME", "WEST_PASSWORD"):
        monkeypatch.setenv(name, "x")
    defs = build_defs(two_feeds)
    schedule = defs.resolve_schedule_def(naming.schedule_of(naming.reconcile_job("east")))
    moment = datetime(2026, 11, 20, 3, 8, tzinfo=UTC)
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_schedule_context(instance, moment, repository_def=defs.get_repository_def()) as at,
    ):
        (request,) = schedule.evaluate_tick(at).run_requests or ()
    assert request.run_key is None
    days = DayRange(moment.date() - timedelta(days=1), moment.date())
    assert partitions.range_tags(days).items() <= request.tags.items()
    job = defs.resolve_job_def(naming.reconcile_job("east"))
    plan = dg.validate_run_config(job, request.run_config)
    assert plan["ops"]["east__raw_listings"]["config"]["scope"] == Scope.ALL.value


# Dagster's event log ------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgres"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance on either of the databases that Dagster keeps events in."""
    overrides: dict[str, Any] = {"telemetry": {"enabled": False}}
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url").replace("+psycopg", "+psycopg2")
        overrides["storage"] = {"postgres": {"postgres_url": url}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as found:
        yield found


@dg.asset(
    partitions_def=dg.StaticPartitionsDefinition(["a", "b", "c"]),
    check_specs=[dg.AssetCheckSpec("fine", asset="counted")],
)
def counted(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """An asset that logs, reports and checks itself."""
    context.log.info("a line of log")
    if context.partition_key == "c":
        raise dg.Failure("c is never counted")
    return dg.MaterializeResult(
        metadata={"rows": 3}, check_results=[dg.AssetCheckResult(passed=True, check_name="fine")]
    )


def everything_shown(storage: dg.DagsterInstance) -> dict[str, Any]:
    """What asset pages, partition pages, checks and the list of runs read."""
    key = counted.key
    runs = storage.get_run_records()
    latest = storage.get_latest_materialization_event(key)
    checks = storage.event_log_storage.get_latest_asset_check_execution_by_key(
        [dg.AssetCheckKey(key, "fine")]
    )
    failures = [
        record.event_log_entry.get_dagster_event().step_failure_data.user_failure_data
        for run_record in runs
        for record in storage.get_records_for_run(
            run_record.dagster_run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE
        ).records
    ]
    return {
        "runs": [(item.dagster_run.run_id, item.dagster_run.status) for item in runs],
        "times": [(item.start_time, item.end_time) for item in runs],
        "partitions": storage.get_materialized_partitions(key),
        "materializations": storage.fetch_materializations(key, limit=99).records,
        "planned": storage.event_log_storage.get_latest_storage_id_by_partition(
            key, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
        ),
        "latest": latest,
        "checks": checks,
        "failures": [str(item.description) for item in failures if item],
    }


def rows_of(storage: dg.DagsterInstance) -> int:
    """How many rows the event log has, of all runs."""
    count = sa.select(sa.func.count()).select_from(SqlEventLogStorageTable)
    events: Any = storage.event_log_storage
    sharded = [item.dagster_run.run_id for item in storage.get_run_records()]
    runs = sharded if events.is_run_sharded else [None]
    total = 0
    for run_id in runs:
        with events.run_connection(run_id) as connection:
            total += connection.execute(count).scalar_one()
    return total


def make_old(storage: dg.DagsterInstance) -> None:
    """As if nobody had written to the files of runs for two days."""
    for path in Path(storage.root_directory).rglob("*.db"):
        moment = (datetime.now(UTC) - timedelta(days=2)).timestamp()
        os.utime(path, (moment, moment))


def test_the_event_log_loses_what_only_a_run_of_today_needs(storage: dg.DagsterInstance) -> None:
    for partition in "abc":
        dg.materialize(
            [counted], partition_key=partition, instance=storage, raise_on_error=False,
            run_config={"loggers": QUIET["loggers"]},
        )  # fmt: skip
    before, rows = everything_shown(storage), rows_of(storage)
    assert before["partitions"] == {"a", "b"}
    assert before["failures"] == ["c is never counted"]

    make_old(storage)
    assert event_log.prune(storage, datetime.now(UTC) - timedelta(days=1)).rows == 0
    assert rows_of(storage) == rows, "rows that are young stay"

    pruned = event_log.prune(storage, datetime.now(UTC) + timedelta(seconds=1))

    assert everything_shown(storage) == before
    assert rows_of(storage) == rows - pruned.rows
    assert pruned.rows > rows / 2
    assert not [
        entry
        for run_id, _ in before["runs"]
        for entry in storage.all_logs(run_id)
        if not entry.is_dagster_event
    ]
    assert event_log.prune(storage, datetime.now(UTC) + timedelta(seconds=1)).rows == 0
    # And the instance goes on: the next run finds everything in its place.
    assert dg.materialize(
        [counted], partition_key="b", instance=storage, run_config={"loggers": QUIET["loggers"]}
    ).success


def test_the_job_prunes_by_the_settings_age(two_feeds: Settings) -> None:
    defs = build_defs(two_feeds)
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def(naming.EVENT_LOG_JOB).execute_in_process(
            instance=instance, run_config=QUIET
        )
        assert result.success
        (output,) = [event for event in result.all_events if event.is_successful_output]
        found = output.step_output_data.metadata
        assert (found["rows"].value, found["databases"].value) == (0, 1)
