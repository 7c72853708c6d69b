"""Runs that people start from assets in the UI, failures, and what a run reports.

What belongs here: what end-to-end tests of whole jobs do not show. What does not: syncs that go
well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from rich.console import Console

from rets_pipeline.commands import runs
from rets_pipeline.orchestration import active_runs, build_defs, naming, partitions
from rets_pipeline.orchestration.jobs import replay_config
from rets_pipeline.sandbox import running
from rets_pipeline.settings import PhotoSettings, Settings
from rets_pipeline.sync import apply
from rets_pipeline.sync.days import DayRange
from rets_pipeline.warehouse import ledgers, tables
from rets_pipeline_tests.conftest import Backend
from rets_pipeline_tests.end_to_end.harness import (
    FEED,
    QUIET,
    Pipeline,
    Server,
    assert_equal_listings,
)
from rets_pipeline_tests.orchestration.conftest import feed

Result = dg.ExecuteInProcessResult


#: a run whose time is over before it begins
HURRIED = {active_runs.LONGEST_TAG: "0.001"}


def materialize(
    pipeline: Pipeline,
    *names: str,
    days: DayRange | None = None,
    config: dict[str, Any] | None = None,
    tags: dict[str, str] | None = None,
) -> Result:
    """What the UI's *Materialize* does: chosen assets, no job, no tag and no setting of ours."""
    job = pipeline.defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        asset_selection=[naming.asset_key(FEED, name) for name in names],
        instance=pipeline.instance,
        run_config={**(config or {}), **QUIET},
        tags={**(partitions.range_tags(days) if days else {}), **(tags or {})},
        raise_on_error=False,
    )


def marked(pipeline: Pipeline, name: str) -> set[str]:
    """The days that look complete."""
    return pipeline.instance.get_materialized_partitions(naming.asset_key(FEED, name))


def failures(result: Result) -> dict[str, str]:
    """What each failed step tells, without the feed's name."""
    return {
        str(event.step_key).removeprefix(f"{FEED}__"): str(
            event.step_failure_data.user_failure_data.description
            if event.step_failure_data.user_failure_data
            else event.step_failure_data.error
        )
        for event in result.all_events
        if event.is_step_failure
    }


def materializations(result: Result) -> list[dg.AssetMaterialization]:
    return [
        event.step_materialization_data.materialization
        for event in result.all_events
        if event.is_step_materialization
    ]


def numbers_of(result: Result, name: str) -> dict[str | None, dict[str, float]]:
    """The numbers of an asset's materializations, by partition."""
    return {
        item.partition: {
            key: value.value
            for key, value in item.metadata.items()
            if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
            and value.value is not None
        }
        for item in materializations(result)
        if item.asset_key == naming.asset_key(FEED, name)
    }


def evaluations(result: Result) -> dict[str, dg.AssetCheckEvaluation]:
    """What the checks of a run found, by their names."""
    return {item.check_name: item for item in result.get_asset_check_evaluations()}


def everything_logged(instance: dg.DagsterInstance, run_id: str) -> str:
    """Whatever Dagster has written of a run."""
    run = instance.get_run_by_id(run_id)
    return "\n".join([repr(run), *(entry.to_json() for entry in instance.all_logs(run_id))])


def whole(pipeline: Pipeline) -> DayRange:
    return DayRange(*pipeline.every_day())


def day_of(listing: dict[str, Any]) -> date:
    return datetime.fromisoformat(listing["last_updated"]).astimezone(UTC).date()


class TestFromTheUI:
    def test_raw_listings_alone_fetches_a_master_list_itself(
        self, server: Server, pipeline: Pipeline
    ) -> None:
        truth = server.truth()
        days = sorted({day_of(listing) for listing in truth.values()})
        chosen = DayRange(days[2], days[5])

        result = materialize(pipeline, naming.RAW, days=chosen)

        assert result.success, failures(result)
        asked = server.statistics()
        assert asked["searches"]["master_list"] == 1
        expected = [listing for listing in truth.values() if day_of(listing) in chosen]
        assert 0 < len(expected) < len(truth)
        assert asked["details_returned"] == len(expected), "only listings of the chosen days"
        assert asked["sessions_open"] == 0
        assert pipeline.rows(sa.select(tables.property_)) == []

        # Within the feed's cadence that list is good enough.
        server.reset_statistics()
        again = materialize(pipeline, naming.RAW, days=chosen)
        assert again.success, failures(again)
        assert server.statistics()["logins"] == 0, "all of it waits in the archive already"

    def test_listings_alone_applies_what_waits_without_the_server(
        self, server: Server, pipeline: Pipeline
    ) -> None:
        truth = server.truth()
        assert materialize(pipeline, naming.RAW, days=whole(pipeline)).success
        server.reset_statistics()
        today = datetime.now(UTC).date()

        result = materialize(pipeline, naming.LISTINGS, days=DayRange(today, today))

        assert result.success, failures(result)
        assert server.statistics()["requests"]["Search"] == 0
        assert server.statistics()["logins"] == 0
        assert_equal_listings(pipeline, truth)
        found = numbers_of(result, naming.LISTINGS)
        assert sum(day["new"] for day in found.values()) == len(truth)
        assert today.isoformat() in found, "the chosen day is materialized, whatever came"

    def test_a_range_tells_of_each_day_by_itself(self, server: Server, pipeline: Pipeline) -> None:
        days = whole(pipeline)
        expected = dict.fromkeys([day.isoformat() for day in days], 0)
        for listing in server.truth().values():
            expected[day_of(listing).isoformat()] += 1

        result = materialize(pipeline, naming.RAW, naming.LISTINGS, days=days)

        assert result.success, failures(result)
        for name, number in ((naming.RAW, "listings"), (naming.LISTINGS, "new")):
            found = numbers_of(result, name)
            assert {day: found[day][number] for day in found} == expected
            assert expected.keys() <= pipeline.instance.get_materialized_partitions(
                naming.asset_key(FEED, name)
            )
        days_with_listings = sum(count > 0 for count in expected.values())
        assert 5 < days_with_listings < len(expected)

    @pytest.mark.parametrize("backend", ["embedded"], indirect=True)
    def test_days_of_which_something_is_left_do_not_look_complete(
        self, server: Server, pipeline: Pipeline
    ) -> None:
        with_listings = sorted({day_of(listing).isoformat() for listing in server.truth().values()})
        days = DayRange(*map(date.fromisoformat, (with_listings[-4], with_listings[-1])))
        every = {day.isoformat() for day in days}

        hurried = materialize(pipeline, naming.RAW, naming.LISTINGS, days=days, tags=HURRIED)

        assert "the run's time or its budget was over" in failures(hurried)[naming.RAW]
        left = set(with_listings[-4:-1])
        assert marked(pipeline, naming.RAW) == every - left
        assert marked(pipeline, naming.LISTINGS) == set()

        assert materialize(pipeline, naming.RAW, days=days).success
        assert marked(pipeline, naming.RAW) == every
        hurried = materialize(pipeline, naming.LISTINGS, days=days, tags=HURRIED)
        assert "3 pulls of 3 days are left" in failures(hurried)[naming.LISTINGS]
        assert marked(pipeline, naming.LISTINGS) == every - left

        assert materialize(pipeline, naming.LISTINGS, days=days).success
        assert marked(pipeline, naming.LISTINGS) == every

    @pytest.mark.nightly  # by day, the tests of a run's time do so without Dagster
    @pytest.mark.parametrize("backend", ["embedded"], indirect=True)
    def test_a_replay_is_a_part_of_one_and_the_syncs_go_on(
        self, server: Server, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert pipeline.sync().success
        latest = sorted({day_of(listing) for listing in server.truth().values()})[-3:]
        days, asked = DayRange(latest[0], latest[-1]), replay_config(FEED)
        replay = materialize(pipeline, naming.LISTINGS, days=days, config=asked, tags=HURRIED)
        assert replay.success, failures(replay)
        told = numbers_of(replay, naming.LISTINGS)[days.last.isoformat()]
        assert told["replays_left"] == 2
        run = pipeline.instance.get_run_by_id(replay.run_id)
        assert run is not None
        assert run.tags[active_runs.RETRIES_TAG] == "0"

        assert pipeline.sync().success
        replays = sa.select(ledgers.pull).where(ledgers.pull.c.replay_since.is_not(None))
        assert pipeline.rows(replays) == []

        # On the command line it goes on to the end by itself.
        monkeypatch.setattr(apply, "TIME_TO_REPLAY", 0)
        monkeypatch.setattr(runs, "open_instance", lambda _: nullcontext(pipeline.instance))
        console = Console(file=StringIO())
        done = runs.backfill(pipeline.settings, pipeline.feed, console, days, replay=True)
        left = [action["replays_left"] for action in done.actions]
        assert left == [2, 1, 0]
        assert_equal_listings(pipeline, server.truth())

    @pytest.mark.parametrize("backend", ["embedded"], indirect=True)
    def test_days_without_listings_are_complete_after_a_sync_that_leaves_nothing(
        self, pipeline: Pipeline
    ) -> None:
        every = {day.isoformat() for day in whole(pipeline)}
        assert pipeline.sync().success
        assert marked(pipeline, naming.RAW) == every
        assert marked(pipeline, naming.LISTINGS) == every

    def test_one_day(self, server: Server, pipeline: Pipeline) -> None:
        """A single partition has its own tag."""
        day = max(day_of(listing) for listing in server.truth().values())
        job = pipeline.defs.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(
            asset_selection=[
                naming.asset_key(FEED, name) for name in (naming.RAW, naming.LISTINGS)
            ],
            instance=pipeline.instance,
            run_config=QUIET,
            partition_key=day.isoformat(),
            raise_on_error=False,
        )
        assert result.success, failures(result)
        expected = {key for key, item in server.truth().items() if day_of(item) == day}
        held = {row.listing_key for row in pipeline.rows(sa.select(tables.property_.c.listing_key))}
        assert held == expected

    def test_changes_without_a_master_list_say_what_to_do(self, pipeline: Pipeline) -> None:
        result = materialize(pipeline, naming.CHANGES)
        assert not result.success
        assert failures(result) == {
            naming.CHANGES: f"feed '{FEED}': no complete master list was fetched yet; "
            "materialize listing_master_list first"
        }

    def test_deletions_without_a_master_list_delete_nothing(self, pipeline: Pipeline) -> None:
        result = materialize(pipeline, naming.DELETED)
        assert result.success, failures(result)
        assert numbers_of(result, naming.DELETED)[None]["gone"] == 0

    def test_each_unpartitioned_asset_by_itself_in_turn(
        self, server: Server, pipeline: Pipeline
    ) -> None:
        for name in (naming.MASTER_LIST, naming.CHANGES, naming.DELETED, naming.IMAGES):
            result = materialize(pipeline, name)
            assert result.success, failures(result)
        assert server.statistics()["requests"]["Search"] == 1
        changes = numbers_of(result := materialize(pipeline, naming.CHANGES), naming.CHANGES)
        assert result.success
        assert changes[None]["new"] == len(server.truth())

    def test_a_check_before_the_first_master_list_warns(self, pipeline: Pipeline) -> None:
        today = datetime.now(UTC).date()
        result = materialize(pipeline, naming.LISTINGS, days=DayRange(today, today))
        assert result.success, failures(result)
        evaluation = evaluations(result)["keys_match_server"]
        assert not evaluation.passed
        assert evaluation.severity is dg.AssetCheckSeverity.WARN
        assert evaluation.description == "no complete master list was seen yet"


class TestFailures:
    def test_a_pull_that_cannot_be_loaded_fails_the_run_and_stops_no_other(
        self, server: Server, pipeline: Pipeline
    ) -> None:
        truth = server.truth()
        assert materialize(pipeline, naming.RAW, days=whole(pipeline)).success
        (page, *_) = [
            stored.key
            for stored in pipeline.archive.list(f"raw/{FEED}/listings/")
            if stored.key.endswith(".xml.zst")
        ]
        pipeline.archive.put(page, b"the disk had other plans")
        manifest = json.loads(pipeline.archive.get(f"{page.rpartition('/')[0]}/manifest.json"))
        lost = {key for key, _ in manifest["keys"]}
        today = datetime.now(UTC).date()

        result = materialize(pipeline, naming.LISTINGS, days=DayRange(today, today))

        assert not result.success
        others = {day_of(item).isoformat() for item in truth.values()} - {manifest["day"]}
        assert marked(pipeline, naming.LISTINGS) == others - {today.isoformat()}
        told = failures(result)[naming.LISTINGS]
        assert page in told
        assert "1 of" in told
        assert "\n" not in told
        assert_equal_listings(
            pipeline, {key: item for key, item in truth.items() if key not in lost}
        )
        failed = ledgers.pull.c.state == "failed"
        (row,) = pipeline.rows(sa.select(ledgers.pull).where(failed))
        assert row.pull_id in page
        (run,) = pipeline.rows(
            sa.select(ledgers.run_ledger.c.result).where(
                ledgers.run_ledger.c.run_id == result.run_id
            )
        )
        assert run.result == "failed"

        healed = pipeline.sync()
        assert healed.success, healed.failures
        assert healed.counts["raw_listings"]["listings"] == len(lost)
        assert_equal_listings(pipeline, truth)

    @pytest.mark.parametrize("fault", ["password", "server"])
    def test_a_failure_is_one_line_without_the_password(
        self,
        fault: str,
        server: Server,
        pipeline: Pipeline,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Neither in the line nor anywhere in what Dagster keeps of the run."""
        secret = "correct-horse-battery"
        monkeypatch.setenv("BOARD_PASSWORD", secret)
        if fault == "server":
            nowhere = pipeline.feed.model_copy(
                update={"login_url": "http://127.0.0.1:9/Login.svc/Login"}
            )
            pipeline.defs = build_defs(
                pipeline.settings.model_copy(update={"feeds": {FEED: nowhere}})
            )

        result = materialize(pipeline, naming.MASTER_LIST, naming.CHANGES)

        assert not result.success
        told = failures(result)
        assert told.keys() == {naming.MASTER_LIST}, "what needs it does not start"
        (line,) = told.values()
        assert "\n" not in line
        assert {"password": "not accepted", "server": "refused"}[fault] in line
        logged = everything_logged(pipeline.instance, result.run_id)
        assert "Login" in logged
        assert secret not in logged
        assert pipeline.settings.database_url not in logged or "sqlite" in logged

    def test_gone_listings_go_although_others_cannot_be_loaded(
        self, server: Server, pipeline: Pipeline
    ) -> None:
        """Deletions have a day's time, whatever else is broken."""
        assert pipeline.sync().success
        before = {stored.key for stored in pipeline.archive.list(f"raw/{FEED}/listings/")}
        changed, gone, *_ = sorted(server.truth())
        server.change("price", changed)
        server.change("removed", gone)
        assert materialize(pipeline, naming.MASTER_LIST).success
        assert materialize(pipeline, naming.RAW, days=whole(pipeline)).success
        for stored in list(pipeline.archive.list(f"raw/{FEED}/listings/")):
            if stored.key not in before and stored.key.endswith(".zst"):
                pipeline.archive.put(stored.key, b"the disk had other plans")

        synced = pipeline.sync()

        assert synced.failures.keys() == {f"{FEED}__listings"}
        assert pipeline.listing(gone) is None
        assert pipeline.listing(changed) is not None
        assert pipeline.tombstones() == {gone}


class TestReports:
    def test_every_run_reports_the_same_numbers(self, server: Server, pipeline: Pipeline) -> None:
        """So that the UI can plot them: 0, not absent."""
        names = (*naming.SYNC_ASSETS, naming.IMAGES, "member_images", "office_logos")
        full, idle = self._runs(pipeline), self._runs(pipeline)
        for name in names:
            first, second = (
                [set(day) for result in runs for day in numbers_of(result, name).values()]
                for runs in (full, idle)
            )
            assert first, name
            assert second, name
            keys = first[0]
            assert all(found == keys for found in [*first, *second]), name
            assert len(keys) >= 2, name
        assert sum(day["new"] for day in numbers_of(full[0], naming.LISTINGS).values()) > 0
        assert sum(day["new"] for day in numbers_of(idle[0], naming.LISTINGS).values()) == 0
        self._assert_people_see(server, full[0], idle[0])

    def _runs(self, pipeline: Pipeline) -> list[Result]:
        now = partitions.latest(pipeline.feed, datetime.now(UTC))
        runs = [
            pipeline.defs.resolve_job_def(job).execute_in_process(
                instance=pipeline.instance,
                run_config={**config, **QUIET},
                tags=tags,
                raise_on_error=False,
            )
            for job, config, tags in (
                (
                    naming.sync_job(FEED),
                    {"ops": {f"{FEED}__raw_listings": {"config": {"scope": "ALL"}}}},
                    partitions.range_tags(now),
                ),
                (naming.images_job(FEED), {}, None),
            )
        ]
        assert all(run.success for run in runs)
        return runs

    def _assert_people_see(self, server: Server, *runs: Result) -> None:
        """Listings with photos, and on a map where the new ones stand: none in the second run."""
        first, second = (
            item.metadata
            for run in runs
            for item in materializations(run)
            if item.asset_key.path[-1] == naming.LISTINGS and "preview" in item.metadata
        )
        assert str(first["preview"].value).count("| ![](http") == 5
        new_coordinates = str(first["new_coordinates"].value)
        assert f"of {len(server.truth()):,} new listings" in new_coordinates
        assert "data:image/png;base64," in new_coordinates
        assert second["new_coordinates"].value == "no new coordinates"

    def test_a_check_tells_its_numbers(self, server: Server, pipeline: Pipeline) -> None:
        (run, pictured) = self._runs(pipeline)
        evaluation = evaluations(run)["keys_match_server"]
        count = len(server.truth())
        assert evaluation.metadata["on_server"].value == count
        assert evaluation.metadata["live"].value == count
        assert evaluation.description == (
            f"all {count:,} listings of the warehouse are on the server, and the reverse"
        )
        found = pictured.get_asset_check_evaluations()
        assert len(found) == 3
        for evaluation in found:
            assert evaluation.metadata["stored"].value == evaluation.metadata["named"].value


class TestTwoFeeds:
    @pytest.fixture
    def three(
        self, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Settings]:
        """One that works, one with a wrong password, one without its variables."""
        with running(listings=20, days=5, seed=3) as sandbox:
            shared: dict[str, Any] = {
                "login_url": sandbox.login_url,
                "first_day": (datetime.now(UTC) - timedelta(days=20)).date(),
                "photos": PhotoSettings(hosts=("127.0.0.1",), allow_private_addresses=True),
            }
            feeds = [feed(name, **shared) for name in ("good", "wrong", "unset")]
            for name in ("GOOD", "WRONG"):
                monkeypatch.setenv(f"{name}_USERNAME", sandbox.username)
            monkeypatch.setenv("GOOD_PASSWORD", sandbox.password)
            monkeypatch.setenv("WRONG_PASSWORD", "correct-horse-battery")
            yield Settings(
                feeds={item.name: item for item in feeds},
                database_url=backend.database_url,
                archive_uri=backend.archive_uri,
                home=tmp_path,
            )

    def test_the_troubles_of_one_are_not_the_others(
        self, three: Settings, instance: dg.DagsterInstance
    ) -> None:
        defs = build_defs(three)

        def sync(name: str) -> Result:
            return defs.resolve_job_def(naming.sync_job(name)).execute_in_process(
                instance=instance,
                run_config=QUIET,
                tags=partitions.range_tags(partitions.latest(three.feeds[name], datetime.now(UTC))),
                raise_on_error=False,
            )

        assert not sync("unset").success
        assert not sync("wrong").success
        good = sync("good")
        assert good.success
        found = {
            item.asset_key.path[-1]: item.metadata["keys"].value
            for item in materializations(good)
            if "keys" in item.metadata
        }
        assert found == {"listing_master_list": 20}
        images = defs.resolve_job_def(naming.images_job("good")).execute_in_process(
            instance=instance, run_config=QUIET, raise_on_error=False
        )
        assert images.success
