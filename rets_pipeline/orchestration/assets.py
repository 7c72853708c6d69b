"""The assets of a feed.

What belongs here: one small function for each asset that wires the mirror to a step of the sync
and reports what it did. What does not: the steps themselves.
"""

# No postponed annotations here: Dagster reads the types of `context` and `config` at once.
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from datetime import date
from enum import Enum
from typing import Any, cast

import dagster as dg
from pydantic import Field

from rets_pipeline.orchestration import metadata, naming, partitions
from rets_pipeline.orchestration.failures import as_failures
from rets_pipeline.orchestration.io_managers import Stream
from rets_pipeline.orchestration.resources import mirror_of
from rets_pipeline.settings import FeedConfig
from rets_pipeline.sync import apply, changes, delete, images, master, pull
from rets_pipeline.sync.days import DayRange
from rets_pipeline.sync.master import MasterList
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.warehouse import tables
from rets_pipeline.warehouse.load import Counts

_DOCUMENTATION = "See README.md, section *What the assets mean*."


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


class Kinds:
    """The tags that tell what an asset is made of.

    Args:
        database: ``postgres`` or ``sqlite``.
        archive: ``s3`` or ``file``.
    """

    def __init__(self, database: str, archive: str) -> None:
        self.database = database
        self.archive = archive


def feed_assets(feed: FeedConfig, kinds: Kinds) -> list[dg.AssetsDefinition]:
    """The assets of a feed, in the order of the flow."""
    return [
        _listing_master_list(feed, kinds),
        _listing_changes(feed, kinds),
        _raw_listings(feed, kinds),
        _listings(feed, kinds),
        _deleted_listings(feed, kinds),
        _listing_images(feed, kinds),
    ]


def _asset(
    feed: FeedConfig, name: str, pool: str, **own: Any
) -> Callable[[Callable[..., object]], dg.AssetsDefinition]:
    """``dg.asset`` with what all assets of a feed have in common."""
    with warnings.catch_warnings():
        # One run for a range of days needs this parameter, which still carries the mark.
        warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
        decorator = dg.asset(
            key=naming.asset_key(feed.name, name),
            group_name=feed.name,
            owners=list(feed.owners),
            pool=pool,
            required_resource_keys={naming.mirror_resource(feed.name), "progress"},
            tags={"rets/source": feed.source, "rets/protocol": feed.protocol},
            **own,
        )
    return cast("Callable[[Callable[..., object]], dg.AssetsDefinition]", decorator)


def _listing_master_list(feed: FeedConfig, kinds: Kinds) -> dg.AssetsDefinition:
    @_asset(
        feed,
        naming.MASTER_LIST,
        naming.rets_pool(feed.name),
        io_manager_key=naming.io_manager(feed.name, naming.MASTER_LIST),
        kinds={"rets", "xml", "parquet", kinds.archive},
        description=f"Every key that the server of `{feed.name}` offers now, with its "
        f"modification timestamp: complete, or the run fails. {_DOCUMENTATION}",
    )
    def listing_master_list(context: dg.AssetExecutionContext) -> Stream:
        mirror = mirror_of(context, feed.name)

        def chunks() -> Iterator[master.Chunk]:
            keys = unreadable = size = 0
            before, started = mirror.requests_made(), time.monotonic()
            with as_failures():
                for chunk in master.request(mirror):
                    keys += len(chunk.entries)
                    size += len(chunk.raw)
                    unreadable += sum(item.modification_timestamp is None for item in chunk.entries)
                    yield chunk
            context.add_asset_metadata(
                metadata.master_list(
                    keys=keys,
                    unreadable_timestamps=unreadable,
                    requests=mirror.requests_made() - before,
                    size=size,
                    seconds=time.monotonic() - started,
                )
            )

        return Stream(chunks())

    return listing_master_list


def _listing_changes(feed: FeedConfig, kinds: Kinds) -> dg.AssetsDefinition:
    @_asset(
        feed,
        naming.CHANGES,
        naming.rets_pool(feed.name),
        io_manager_key=naming.io_manager(feed.name, naming.CHANGES),
        ins={"master_list": dg.AssetIn(naming.asset_key(feed.name, naming.MASTER_LIST))},
        kinds={"parquet", kinds.database, kinds.archive},
        freshness_policy=partitions.freshness(feed),
        description="The master list compared with what the warehouse holds: keys that are new, "
        "changed (a timestamp that differs, backwards too), tried again, or gone. "
        f"{_DOCUMENTATION}",
    )
    def listing_changes(context: dg.AssetExecutionContext, master_list: MasterList) -> Stream:
        mirror = mirror_of(context, feed.name)

        def differences() -> Iterator[changes.Changes]:
            counts = changes.ChangeCounts()
            yield from changes.compare(mirror, master_list, counts)
            context.add_asset_metadata(metadata.change_set(counts))

        return Stream(differences())

    return listing_changes


def _raw_listings(feed: FeedConfig, kinds: Kinds) -> dg.AssetsDefinition:
    @_asset(
        feed,
        naming.RAW,
        naming.rets_pool(feed.name),
        io_manager_key=naming.io_manager(feed.name, naming.RAW),
        deps=[naming.asset_key(feed.name, naming.CHANGES)],
        partitions_def=partitions.daily(feed),
        backfill_policy=dg.BackfillPolicy.single_run(),
        kinds={"rets", "xml", kinds.archive},
        description="Pages of listings that the warehouse lacks or holds differently, byte for "
        "byte as received, grouped by the UTC day of their modification timestamp. "
        f"{_DOCUMENTATION}",
    )
    def raw_listings(context: dg.AssetExecutionContext, config: RawListingsConfig) -> Stream:
        mirror, days = mirror_of(context, feed.name), partitions.days_of(context)
        with as_failures():
            newest, fetched = master.fresh(mirror)
            plan = pull.plan(mirror, newest, None if config.scope is Scope.ALL else days)
        if fetched:
            _report_master_list(context, feed, newest)
        context.log.info(
            f"{plan.keys:,} listings to fetch {dict(plan.kinds)}, {plan.in_archive:,} are in the "
            f"archive already, {plan.left_over.total():,} are left for the next run"
        )

        def downloads() -> Iterator[pull.Download]:
            stored: dict[date, list[pull.Stored]] = defaultdict(list)
            with as_failures():
                for download in pull.fetch(mirror, plan):
                    yield download
                    assert download.stored is not None
                    stored[download.day].append(download.stored)
            done = {day: metadata.raw_day(stored[day]) for day in stored}
            _report(context, days, done, unfinished=plan.left_over.keys())
            _note_pulls(mirror, plan, stored)

        return Stream(downloads())

    return raw_listings


def _report_master_list(
    context: dg.AssetExecutionContext, feed: FeedConfig, found: MasterList
) -> None:
    """The upstream asset did not run, and its content is new all the same."""
    context.log_event(
        dg.AssetMaterialization(
            asset_key=naming.asset_key(feed.name, naming.MASTER_LIST),
            description=f"fetched by {naming.RAW}, since none was newer than the cadence",
            metadata=metadata.master_list(
                keys=found.pull.records or 0,
                unreadable_timestamps=found.unreadable_timestamps,
                requests=found.pull.requests or 0,
                size=found.pull.bytes or 0,
                seconds=0.0,
            ),
        )
    )


def _note_pulls(mirror: Mirror, plan: pull.Plan, stored: dict[date, list[pull.Stored]]) -> None:
    every = [item for items in stored.values() for item in items]
    mirror.note(
        "pulls",
        asked=plan.keys,
        listings=sum(item.records for item in every),
        requests=sum(item.requests for item in every),
        left_over=plan.left_over.total(),
    )


def _listings(feed: FeedConfig, kinds: Kinds) -> dg.AssetsDefinition:
    @_asset(
        feed,
        naming.LISTINGS,
        naming.rets_pool(feed.name),
        io_manager_key=naming.io_manager(feed.name, naming.LISTINGS),
        deps=[naming.asset_key(feed.name, naming.RAW)],
        partitions_def=partitions.daily(feed),
        backfill_policy=dg.BackfillPolicy.single_run(),
        kinds={"sqlalchemy", kinds.database},
        metadata={
            "dagster/column_schema": metadata.column_schema(tables.property_),
            "dagster/table_name": tables.property_.name,
        },
        description="Listings in the warehouse, typed and named after the RESO Data Dictionary: "
        f"{metadata.tables_of_listings()}. Each pull is loaded in one transaction together with "
        f"its ledger rows. {_DOCUMENTATION}",
    )
    def listings(context: dg.AssetExecutionContext, config: ListingsConfig) -> Stream:
        mirror, days = mirror_of(context, feed.name), partitions.days_of(context)
        with as_failures():
            due = apply.in_archive(mirror, days) if config.replay else apply.due(mirror)

        def parsed_pulls() -> Iterator[apply.ParsedPull]:
            applied: dict[date, list[apply.ParsedPull]] = defaultdict(list)
            with as_failures():
                for parsed in apply.parse(mirror, due, replay=config.replay):
                    yield parsed
                    applied[parsed.day].append(parsed)
            _report(context, days, {day: _of_day(applied[day]) for day in applied})
            _finish(mirror, [parsed for day in applied.values() for parsed in day])

        return Stream(parsed_pulls())

    return listings


def _of_day(pulls: list[apply.ParsedPull]) -> metadata.Metadata:
    counts = Counts()
    for parsed in pulls:
        counts.add(parsed.counts or Counts())
    return metadata.listings_day(counts, len(pulls), sum(item.counts is None for item in pulls))


def _finish(mirror: Mirror, pulls: list[apply.ParsedPull]) -> None:
    """The books, and the failure of pulls that could not be applied once the others are."""
    counts = Counts()
    for parsed in pulls:
        counts.add(parsed.counts or Counts())
    mirror.note(
        "listings", pulls=len(pulls), **{name: getattr(counts, name) for name in Counts.__slots__}
    )
    reasons = [parsed.reason for parsed in pulls if parsed.reason is not None]
    if reasons:
        raise dg.Failure(
            description=f"feed {mirror.feed.name!r}: {len(reasons)} of {len(pulls)} pulls could "
            f"not be applied, the others are: {reasons[0]}",
            allow_retries=False,
        )


def _report(
    context: dg.AssetExecutionContext,
    days: DayRange,
    found: dict[date, metadata.Metadata],
    unfinished: Collection[date] = (),
) -> None:
    """Metadata for each of the run's days, and materializations of other days it completed."""
    empty = (
        metadata.raw_day([])
        if context.asset_key.path[-1] == naming.RAW
        else metadata.listings_day(Counts(), 0, 0)
    )
    for day in days:
        context.add_asset_metadata(found.get(day, empty), partition_key=day.isoformat())
    for day in sorted(found):
        if day not in days and day not in unfinished:
            context.log_event(
                dg.AssetMaterialization(
                    asset_key=context.asset_key, partition=day.isoformat(), metadata=found[day]
                )
            )


def _deleted_listings(feed: FeedConfig, kinds: Kinds) -> dg.AssetsDefinition:
    @_asset(
        feed,
        naming.DELETED,
        naming.rets_pool(feed.name),
        deps=[naming.asset_key(feed.name, naming.CHANGES)],
        kinds={kinds.database},
        description="Listings that the newest complete master list lacks leave the tables, and a "
        f"tombstone with keys and times remains. The guard: {feed.deletion_guard.keys} listings "
        f"and {feed.deletion_guard.share:.0%}; beyond both nothing is deleted. {_DOCUMENTATION}",
    )
    def deleted_listings(
        context: dg.AssetExecutionContext, config: DeletedListingsConfig
    ) -> dg.MaterializeResult[None]:
        with as_failures():
            deleted = delete.delete_gone(
                mirror_of(context, feed.name), allowed=config.allow_deletions
            )
        return dg.MaterializeResult(metadata=metadata.deletions(deleted))

    return deleted_listings


def _listing_images(feed: FeedConfig, kinds: Kinds) -> dg.AssetsDefinition:
    @_asset(
        feed,
        naming.IMAGES,
        naming.images_pool(feed.name),
        deps=[naming.asset_key(feed.name, naming.LISTINGS)],
        kinds={"jpeg", kinds.archive, kinds.database},
        description="Photos in step with the payloads: a bounded batch of images that are "
        f"missing, changed or gone. Needs no RETS session. {_DOCUMENTATION}",
    )
    def listing_images(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        with as_failures():
            counts = images.mirror_images(mirror_of(context, feed.name))
        return dg.MaterializeResult(metadata=metadata.images(counts))

    return listing_images
