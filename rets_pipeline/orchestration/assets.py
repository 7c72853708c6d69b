"""The assets of a feed's listings.

What belongs here: one small function for each asset that wires the mirror to a step of the sync
and reports what it did. What does not: the steps themselves.
"""

# No postponed annotations here: Dagster reads the types of `context` and `config` at once.
import time
from collections import defaultdict
from collections.abc import Collection, Container, Iterator
from datetime import date
from enum import Enum
from itertools import chain

import dagster as dg
from pydantic import Field

from rets_pipeline.orchestration import columns, metadata, naming, partitions, steps
from rets_pipeline.orchestration.failures import as_failures
from rets_pipeline.orchestration.feed_asset import Deployment, feed_asset
from rets_pipeline.orchestration.io_managers import Stream
from rets_pipeline.orchestration.resources import mirror_of
from rets_pipeline.settings import FeedConfig
from rets_pipeline.sources.registry import source_for
from rets_pipeline.sync import apply, changes, delete, master, pull, shown
from rets_pipeline.sync.days import DayRange
from rets_pipeline.sync.master import MasterList
from rets_pipeline.warehouse.resources import LISTINGS

#: empty days that one run materializes, the latest first
_EMPTY_DAYS_PER_RUN = 400


class Scope(Enum):
    """Which listings a run is about."""

    ALL = "all"
    PARTITIONS = "partitions"


class RawListingsConfig(dg.Config):
    """What to fetch."""

    scope: Scope = Field(
        default=Scope.PARTITIONS,
        description="`ALL`: the whole change set (a sync); `PARTITIONS`: only listings whose "
        "timestamp belongs to the chosen days (a backfill). A backfill that leaves some of them "
        "fails, and its days do not look complete; a sync is followed by the next one.",
    )


class ListingsConfig(dg.Config):
    """What to load."""

    scope: Scope = Field(
        default=Scope.PARTITIONS,
        description="`PARTITIONS`: fail when pulls of the chosen days are left (a backfill); "
        "`ALL`: leave them to the next run (a sync).",
    )
    replay: bool = Field(
        default=False,
        description="Load the archived pulls of the chosen days again; needs no server. "
        "It never replaces the result of a later pull and never brings a gone listing back. "
        "What the run's time does not suffice for is loaded by the syncs that follow.",
    )
    go_on: bool = Field(
        default=False,
        description="With `replay`: load what earlier replays have left, of whatever days, and "
        "ask for no more.",
    )


class DeletedListingsConfig(dg.Config):
    """How many listings may go."""

    allow_deletions: int = Field(
        default=0,
        ge=0,
        description="The largest number of listings that this run may delete although the "
        "deletion guard trips.",
    )


def feed_assets(feed: FeedConfig, deployment: Deployment) -> list[dg.AssetsDefinition]:
    """The assets of a feed's listings, in the order of the flow."""
    return [
        _listing_master_list(feed, deployment),
        _listing_changes(feed, deployment),
        _raw_listings(feed, deployment),
        _listings(feed, deployment),
        _deleted_listings(feed, deployment),
    ]


def _listing_master_list(feed: FeedConfig, deployment: Deployment) -> dg.AssetsDefinition:
    @feed_asset(
        feed,
        deployment,
        naming.MASTER_LIST,
        naming.rets_pool(feed.name),
        io_manager_key=naming.io_manager(feed.name),
        kinds={"rets", "xml", "parquet", deployment.archive},
        description=f"Every key that the server of `{feed.name}` offers now, with its "
        f"modification timestamp: complete, or the run fails.",
    )
    def listing_master_list(context: dg.AssetExecutionContext) -> Stream:
        return Stream(steps.master_list(context, mirror_of(context, feed.name), LISTINGS))

    return listing_master_list


def _listing_changes(feed: FeedConfig, deployment: Deployment) -> dg.AssetsDefinition:
    @feed_asset(
        feed,
        deployment,
        naming.CHANGES,
        naming.rets_pool(feed.name),
        io_manager_key=naming.io_manager(feed.name),
        ins={"master_list": dg.AssetIn(naming.asset_key(feed.name, naming.MASTER_LIST))},
        kinds={"parquet", deployment.database, deployment.archive},
        freshness_policy=partitions.freshness(feed.cadence_minutes),
        description="The master list compared with what the warehouse holds: keys that are new, "
        "changed (a timestamp that differs, backwards too), tried again, or gone. ",
    )
    def listing_changes(context: dg.AssetExecutionContext, master_list: MasterList) -> Stream:
        mirror = mirror_of(context, feed.name)

        def differences() -> Iterator[changes.Changes]:
            counts, started = changes.ChangeCounts(), time.monotonic()
            yield from changes.compare(mirror, master_list, counts)
            context.add_asset_metadata(
                metadata.change_set(
                    counts,
                    on_server=master_list.pull.records or 0,
                    seconds=time.monotonic() - started,
                )
            )

        return Stream(differences())

    return listing_changes


def _raw_listings(feed: FeedConfig, deployment: Deployment) -> dg.AssetsDefinition:
    @feed_asset(
        feed,
        deployment,
        naming.RAW,
        naming.rets_pool(feed.name),
        io_manager_key=naming.io_manager(feed.name),
        deps=[naming.asset_key(feed.name, naming.CHANGES)],
        partitions_def=partitions.daily(feed),
        backfill_policy=dg.BackfillPolicy.single_run(),
        kinds={"rets", "xml", deployment.archive},
        metadata=columns.raw_columns(source_for(feed.source)),
        description="Pages of listings that the warehouse lacks or holds differently, byte for "
        "byte as received, grouped by the UTC day of their modification timestamp. ",
    )
    def raw_listings(context: dg.AssetExecutionContext, config: RawListingsConfig) -> Stream:
        mirror, days = mirror_of(context, feed.name), partitions.days_of(context)
        started = time.monotonic()
        with as_failures():
            newest, fetched = master.fresh(mirror)
            plan = pull.plan(mirror, newest, None if config.scope is Scope.ALL else days)
        if fetched:
            steps.report_master_list(context, feed.name, newest)
        steps.planned(context, plan)
        planning = time.monotonic() - started

        def downloads() -> Iterator[pull.Download]:
            stored: dict[date, list[pull.Stored]] = defaultdict(list)
            seconds: dict[date, float] = {}
            with as_failures():
                fetched = pull.fetch(mirror, plan)
                for download in steps.timed(fetched, seconds, lambda item: item.day):
                    yield download
                    assert download.stored is not None
                    assert download.day is not None
                    stored[download.day].append(download.stored)
            done = {
                day: metadata.raw(stored[day], planning=planning, fetching=seconds.get(day, 0))
                for day in stored
            }
            empty = metadata.raw([], planning=planning)
            of_run, left = metadata.left_over(plan), plan.left_over
            failing = _must_fail(config, days, left)
            steps.note_pulls(mirror, plan, chain.from_iterable(stored.values()))
            _report(context, days, done, empty, left, of_run, failing=failing)
            if failing:
                steps.fail_for_days(mirror, left, left.total(), "listings")
            if config.scope is Scope.ALL and not left:
                _mark_empty_days(context, feed, days, done, {**empty, **of_run})

        return Stream(downloads())

    return raw_listings


def _listings(feed: FeedConfig, deployment: Deployment) -> dg.AssetsDefinition:
    @feed_asset(
        feed,
        deployment,
        naming.LISTINGS,
        naming.rets_pool(feed.name),
        io_manager_key=naming.io_manager(feed.name),
        deps=[naming.asset_key(feed.name, naming.RAW)],
        partitions_def=partitions.daily(feed),
        backfill_policy=dg.BackfillPolicy.single_run(),
        kinds={"sqlalchemy", deployment.database},
        metadata=columns.loaded_columns(feed.name, LISTINGS, source_for(feed.source)),
        description="Listings in the warehouse, typed and named after the RESO Data Dictionary: "
        f"{metadata.tables_of_listings()}. Each pull is loaded in one transaction together with "
        f"its ledger rows.",
    )
    def listings(context: dg.AssetExecutionContext, config: ListingsConfig) -> Stream:
        mirror, days = mirror_of(context, feed.name), partitions.days_of(context)
        if config.replay:
            steps.not_again(context)
        with as_failures():
            if config.replay and not config.go_on:
                apply.ask_for_replay(mirror, days)
            due = [] if config.replay else apply.due(mirror)

        def parsed_pulls() -> Iterator[apply.ParsedPull]:
            applied: dict[date, list[apply.ParsedPull]] = defaultdict(list)
            seconds: dict[date, float] = {}
            with as_failures():
                parse = chain(apply.parse(mirror, due), apply.replays(mirror))
                for parsed in steps.timed(parse, seconds, lambda item: item.day):
                    yield parsed
                    applied[parsed.day].append(parsed)
            rows = shown.rows(mirror)
            done = {
                day: metadata.loads(applied[day], rows=rows, loading=seconds.get(day, 0))
                for day in applied
            }
            every = [parsed for day in applied.values() for parsed in day]
            left, empty = apply.waiting(mirror), metadata.loads([], rows=rows)
            of_run = metadata.pulls_left(left)
            failing = _must_fail(config, days, left.unloaded)
            broken = {parsed.day for parsed in every if parsed.reason is not None}
            _report(
                context, days, done, empty, broken | left.unloaded.keys(), of_run, failing=failing
            )
            steps.note_load(mirror, LISTINGS, every, replays_left=left.again)
            steps.fail_for(mirror, every)
            if failing:
                steps.fail_for_days(mirror, left.unloaded, left.unloaded.total(), "pulls")
            context.add_asset_metadata(
                metadata.listings_shown(shown.listings(mirror), shown.new_on_map(mirror, every)),
                partition_key=days.last.isoformat(),
            )
            if config.scope is Scope.ALL and not left.unloaded and steps.fetched_everything(mirror):
                _mark_empty_days(context, feed, days, done, {**empty, **of_run})

        return Stream(parsed_pulls())

    return listings


def _report(
    context: dg.AssetExecutionContext,
    days: DayRange,
    found: dict[date, metadata.Metadata],
    empty: metadata.Metadata,
    unfinished: Container[date | None],
    of_run: metadata.Metadata,
    *,
    failing: bool,
) -> None:
    """Metadata for each of the run's days, and materializations of other days it completed.

    Args:
        found: by day.
        empty: of a day on which nothing was done.
        unfinished: days of which something is left for the next run.
        of_run: what belongs to no day; each gets it.
        failing: the run will fail, so that Dagster materializes none of its days; those that are
            complete are, all the same.
    """
    for day in () if failing else days:
        context.add_asset_metadata(
            {**found.get(day, empty), **of_run}, partition_key=day.isoformat()
        )
    completed = sorted({*found, *days} if failing else set(found).difference(days))
    for day in completed:
        if day not in unfinished:
            _materialize(context, day, {**found.get(day, empty), **of_run})


def _must_fail(
    config: RawListingsConfig | ListingsConfig, days: DayRange, left: Collection[date | None]
) -> bool:
    """Whether a run leaves something of its days that no run after it is bound to do.

    Dagster takes each day of a run that succeeds for complete. The syncs that go on with a replay
    load the same days once more.
    """
    replay = isinstance(config, ListingsConfig) and config.replay
    backfill = config.scope is Scope.PARTITIONS and not replay
    return backfill and any(day is not None and day in days for day in left)


def _mark_empty_days(
    context: dg.AssetExecutionContext,
    feed: FeedConfig,
    days: DayRange,
    found: Collection[date],
    empty: metadata.Metadata,
) -> None:
    """Materialize days that have no listings: a run that leaves nothing has completed them, too.

    Each costs some hundredths of a second, and which are missing is a question to the whole event
    log. So it is done once a night, and when a run has completed other days than its own.

    Args:
        days: of the run; Dagster materializes them.
        found: days that the run has materialized.
    """
    others = set(found).difference(days)
    if not others and context.run.job_name != naming.reconcile_job(feed.name):
        return
    for day in partitions.missing(context, feed)[:_EMPTY_DAYS_PER_RUN]:
        if day not in days and day not in others:
            _materialize(context, day, empty)


def _materialize(context: dg.AssetExecutionContext, day: date, found: metadata.Metadata) -> None:
    """Tell Dagster of a day that it does not expect of this run."""
    context.log_event(
        dg.AssetMaterialization(
            asset_key=context.asset_key, partition=day.isoformat(), metadata=found
        )
    )


def _deleted_listings(feed: FeedConfig, deployment: Deployment) -> dg.AssetsDefinition:
    @feed_asset(
        feed,
        deployment,
        naming.DELETED,
        naming.rets_pool(feed.name),
        deps=[naming.asset_key(feed.name, naming.CHANGES)],
        kinds={deployment.database},
        freshness_policy=partitions.freshness(feed.cadence_minutes),
        description="Listings that the newest complete master list lacks leave the tables, and a "
        f"tombstone with keys and times remains. The guard: {feed.deletion_guard.keys} listings "
        f"and {feed.deletion_guard.share:.0%}; beyond both nothing is deleted.",
    )
    def deleted_listings(
        context: dg.AssetExecutionContext, config: DeletedListingsConfig
    ) -> dg.MaterializeResult[None]:
        started = time.monotonic()
        with as_failures():
            deleted = delete.delete_gone(
                mirror_of(context, feed.name), allowed=config.allow_deletions
            )
        return dg.MaterializeResult(
            metadata=metadata.deletions(deleted, time.monotonic() - started)
        )

    return deleted_listings
