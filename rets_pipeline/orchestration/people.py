"""Members and offices as assets of their own.

What belongs here: the assets of resources that have a search beside that of listings; each has
the same three. What does not: the steps themselves.
"""

# No postponed annotations here: Dagster reads the types of `context` and `config` at once.
import time
from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from rets_pipeline.orchestration import columns, metadata, naming, partitions, steps
from rets_pipeline.orchestration.failures import as_failures
from rets_pipeline.orchestration.feed_asset import Deployment, feed_asset
from rets_pipeline.orchestration.io_managers import Stream
from rets_pipeline.orchestration.resources import mirror_of
from rets_pipeline.settings import FeedConfig
from rets_pipeline.sources.base import ResourceSource
from rets_pipeline.sources.registry import source_for
from rets_pipeline.sync import apply, delete, master, pull, shown
from rets_pipeline.sync.mirror import others_of
from rets_pipeline.warehouse.resources import Resource


class PeopleConfig(dg.Config):
    """What to load, and how many may go."""

    replay: bool = Field(
        default=False,
        description="Load every archived pull again; needs no server. It never replaces the "
        "result of a later pull and never brings back what is gone.",
    )
    allow_deletions: int = Field(
        default=0,
        ge=0,
        description="The largest number of rows that this run may delete although the deletion "
        "guard trips.",
    )


def people(feed: FeedConfig) -> list[Resource]:
    """The resources beside listings that the feed's source has searches for."""
    return others_of(source_for(feed.source, culture=feed.culture))


def _read(feed: FeedConfig, resource: Resource) -> ResourceSource:
    return source_for(feed.source, culture=feed.culture).others[resource.name]


def people_assets(feed: FeedConfig, deployment: Deployment) -> list[dg.AssetsDefinition]:
    """Master list, pulls and rows of each such resource, in the order of the flow."""
    return [
        make(feed, deployment, resource)
        for resource in people(feed)
        for make in (_master_list, _raw, _loaded)
    ]


def _master_list(
    feed: FeedConfig, deployment: Deployment, resource: Resource
) -> dg.AssetsDefinition:
    name = naming.master_list(resource)

    @feed_asset(
        feed,
        deployment,
        name,
        naming.rets_pool(feed.name),
        io_manager_key=naming.io_manager(feed.name),
        kinds={"rets", "xml", "parquet", deployment.archive},
        freshness_policy=partitions.freshness(feed.members_cadence_minutes),
        description=f"Every key of {resource.kind} that the server of `{feed.name}` offers now, "
        f"with its modification timestamp: complete, or the run fails.",
    )
    def people_master_list(context: dg.AssetExecutionContext) -> Stream:
        return Stream(steps.master_list(context, mirror_of(context, feed.name), resource))

    return people_master_list


def _raw(feed: FeedConfig, deployment: Deployment, resource: Resource) -> dg.AssetsDefinition:
    name = naming.raw(resource)

    @feed_asset(
        feed,
        deployment,
        name,
        naming.rets_pool(feed.name),
        io_manager_key=naming.io_manager(feed.name),
        deps=[naming.asset_key(feed.name, naming.master_list(resource))],
        kinds={"rets", "xml", deployment.archive},
        metadata=columns.raw_columns(_read(feed, resource)),
        description=f"Pages of {resource.kind} that the warehouse lacks or holds differently, "
        f"byte for byte as received.",
    )
    def raw_people(context: dg.AssetExecutionContext) -> Stream:
        mirror, started = mirror_of(context, feed.name), time.monotonic()
        with as_failures():
            newest, fetched = master.fresh(mirror, resource)
            plan = pull.plan(mirror, newest)
        if fetched:
            steps.report_master_list(context, feed.name, newest)
        steps.planned(context, plan)
        planning = time.monotonic() - started

        def downloads() -> Iterator[pull.Download]:
            stored: list[pull.Stored] = []
            seconds: dict[None, float] = {}
            with as_failures():
                for download in steps.timed(pull.fetch(mirror, plan), seconds, lambda _: None):
                    yield download
                    assert download.stored is not None
                    stored.append(download.stored)
            context.add_asset_metadata(
                {
                    **metadata.raw(
                        stored, resource, planning=planning, fetching=seconds.get(None, 0)
                    ),
                    **metadata.left_over(plan),
                }
            )
            steps.note_pulls(mirror, plan, stored)

        return Stream(downloads())

    return raw_people


def _loaded(feed: FeedConfig, deployment: Deployment, resource: Resource) -> dg.AssetsDefinition:
    @feed_asset(
        feed,
        deployment,
        resource.kind,
        naming.rets_pool(feed.name),
        io_manager_key=naming.io_manager(feed.name),
        deps=[naming.asset_key(feed.name, naming.raw(resource))],
        kinds={"sqlalchemy", deployment.database},
        freshness_policy=partitions.freshness(feed.members_cadence_minutes),
        metadata=columns.loaded_columns(feed.name, resource, _read(feed, resource)),
        description=f"Rows of `{resource.table.name}` with their phones and websites, typed and "
        "named after the RESO Data Dictionary. Each pull is loaded in one transaction together "
        "with its ledger rows; then what the newest complete master list lacks leaves the "
        "tables, unless the deletion guard trips. What a listing says of one never replaces "
        f"these rows.",
    )
    def loaded_people(context: dg.AssetExecutionContext, config: PeopleConfig) -> Stream:
        mirror = mirror_of(context, feed.name)
        if config.replay:
            steps.not_again(context)
        with as_failures():
            due = (
                apply.all_in_archive(mirror, resource)
                if config.replay
                else apply.due(mirror, resource)
            )

        def parsed_pulls() -> Iterator[apply.ParsedPull]:
            applied: list[apply.ParsedPull] = []
            seconds: dict[None, float] = {}
            with as_failures():
                parse = apply.parse(mirror, due, resource, replay=config.replay)
                for parsed in steps.timed(parse, seconds, lambda _: None):
                    yield parsed
                    applied.append(parsed)
                steps.note_load(mirror, resource, applied)
                started = time.monotonic()
                deleted = delete.delete_gone(mirror, resource, allowed=config.allow_deletions)
            deleting, rows = time.monotonic() - started, shown.rows(mirror, resource)
            context.add_asset_metadata(
                {
                    **metadata.loads(applied, rows=rows, loading=seconds.get(None, 0)),
                    **metadata.deletions(deleted, deleting),
                }
            )
            steps.fail_for(mirror, applied)

        return Stream(parsed_pulls())

    return loaded_people
