"""The assets of a feed's listings.

What belongs here: one small function for each asset that wires the mirror to a step of the sync
and reports what it did. What does not: the steps themselves.
"""

# No postponed annotations here: Dagster reads the types of `context` and `config` at once.
import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import date
from enum import Enum
from itertools import chain
from types import MappingProxyType

import dagster as dg
from pydantic import Field

from rets_pipeline.orchestration import columns, metadata, naming, partitions, steps
from rets_pipeline.orchestration.failures import as_failures
from rets_pipeline.orchestration.feed_asset import Deployment, feed_asset
from rets_pipeline.orchestration.io_managers import Stream
from rets_pipeline.orchestration.resources import mirror_of
from rets_pipeline.settings import FeedConfig
from rets_pipeline.sources.registry import source_for
from rets_pipeline.sync import apply, changes, delete, images, master, pull, shown
from rets_pipeline.sync.days import DayRange
from rets_pipeline.sync.master import MasterList
from rets_pipeline.warehouse.resources import LISTINGS


class Scope(Enum):
    """Which listings a run of ``raw_listings`` asks for."""

    ALL = "all"
    PARTITIONS = "partitions"


class RawListingsConfig(dg.Config):
    """What to fetch."""

    scope: Scope = Field(
        default=Scope.PARTITIONS,
        description="`ALL`: the whole change set (a sync); `PARTITIONS`: only listings whose "
        "timestamp belongs to the chosen days (a backfill).",
    )


class ListingsConfig(dg.Config):
    """What to load."""

    replay: bool = Field(
        default=False,
        description="Load the archived pulls of the chosen days again; needs no server. "
        "It never replaces the result of a later pull and never brings a gone listing back.",
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
        _listing_images(feed, deployment),
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
            _report(
                context,
                days,
                done,
                empty,
                unfinished=plan.left_over.keys(),
                of_run=metadata.left_over(plan),
            )
            steps.note_pulls(mirror, plan, chain.from_iterable(stored.values()))

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
        with as_failures():
            due = apply.in_archive(mirror, days) if config.replay else apply.due(mirror)

        def parsed_pulls() -> Iterator[apply.ParsedPull]:
            applied: dict[date, list[apply.ParsedPull]] = defaultdict(list)
            seconds: dict[date, float] = {}
            with as_failures():
                parse = apply.parse(mirror, due, replay=config.replay)
                for parsed in steps.timed(parse, seconds, lambda item: item.day):
                    yield parsed
                    applied[parsed.day].append(parsed)
            rows = shown.rows(mirror)
            done = {
                day: metadata.loads(applied[day], rows=rows, loading=seconds.get(day, 0))
                for day in applied
            }
            _report(context, days, done, metadata.loads([], rows=rows))
            every = [parsed for day in applied.values() for parsed in day]
            context.add_asset_metadata(
                metadata.listings_shown(shown.listings(mirror), shown.new_on_map(mirror, every)),
                partition_key=days.last.isoformat(),
            )
            steps.note_load(mirror, LISTINGS, every)
            steps.fail_for(mirror, every)

        return Stream(parsed_pulls())

    return listings


def _report(
    context: dg.AssetExecutionContext,
    days: DayRange,
    found: dict[date, metadata.Metadata],
    empty: metadata.Metadata,
    unfinished: Collection[date | None] = (),
    of_run: metadata.Metadata = MappingProxyType({}),
) -> None:
    """Metadata for each of the run's days, and materializations of other days it completed.

    Args:
        found: by day.
        empty: of a day on which nothing was done.
        unfinished: days of which something is left for the next run.
        of_run: what belongs to no day; each gets it.
    """
    for day in days:
        context.add_asset_metadata(
            {**found.get(day, empty), **of_run}, partition_key=day.isoformat()
        )
    for day in sorted(found):
        if day not in days and day not in unfinished:
            context.log_event(
                dg.AssetMaterialization(
                    asset_key=context.asset_key,
                    partition=day.isoformat(),
                    metadata={**found[day], **of_run},
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


def _listing_images(feed: FeedConfig, deployment: Deployment) -> dg.AssetsDefinition:
    by_address = set(feed.photos.strategies) == {"url"}

    @feed_asset(
        feed,
        deployment,
        naming.IMAGES,
        # GetObject needs the account's only session.
        naming.images_pool(feed.name) if by_address else naming.rets_pool(feed.name),
        deps=[naming.asset_key(feed.name, naming.LISTINGS)],
        kinds={"jpeg", deployment.archive, deployment.database},
        description="Photos in step with the payloads: a bounded batch of images that are "
        f"missing, changed or gone. Needs {'no' if by_address else 'the'} RETS session.",
    )
    def listing_images(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        started = time.monotonic()
        with as_failures():
            counts = images.mirror_images(mirror_of(context, feed.name))
        return dg.MaterializeResult(metadata=metadata.images(counts, time.monotonic() - started))

    return listing_images
