"""Definitions from settings.

What belongs here: putting a feed's definitions together, for the code location, the command line
and tests. What does not: the definitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import dagster as dg

from rets_pipeline.orchestration import naming
from rets_pipeline.orchestration.alerts import alerts_sensor
from rets_pipeline.orchestration.assets import feed_assets
from rets_pipeline.orchestration.broken import broken_feeds
from rets_pipeline.orchestration.checks import feed_checks
from rets_pipeline.orchestration.event_log import event_log_job
from rets_pipeline.orchestration.feed_asset import Deployment
from rets_pipeline.orchestration.geocoding import addresses_job, geocoded_addresses
from rets_pipeline.orchestration.images import image_assets
from rets_pipeline.orchestration.io_managers import io_manager
from rets_pipeline.orchestration.jobs import feed_jobs
from rets_pipeline.orchestration.nightly import event_log_schedule, nightly_schedules
from rets_pipeline.orchestration.people import people_assets
from rets_pipeline.orchestration.reconcile import reconcile_assets
from rets_pipeline.orchestration.resources import LoggedProgress, mirror_resource
from rets_pipeline.orchestration.schedules import feed_schedules
from rets_pipeline.orchestration.sensors import feed_sensors
from rets_pipeline.settings import FeedConfig, Settings


def build_defs(
    settings: Settings, *, resource_overrides: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """All definitions of all feeds. Those that cannot be used say why, and stop no other.

    Steps run in the process of their run: an RETS account has one session, and a step in a
    process of its own would log in anew.

    Args:
        settings: the feeds and where their data goes.
        resource_overrides: replace resources by key, such as ``progress``.
    """
    feeds = list(settings.feeds.values())
    deployment = Deployment.of(settings)
    shared = {naming.PROGRESS: LoggedProgress(), **(resource_overrides or {})}
    # Wrapped once: Dagster takes what it wraps for each feed anew for different resources.
    wrapped = {name: _as_definition(resource) for name, resource in shared.items()}
    parts = [_Part.of(feed, deployment, wrapped) for feed in feeds]
    broken = list(broken_feeds(settings.broken, set(settings.feeds)))
    return dg.Definitions(
        assets=[
            *(asset for part in parts for asset in part.assets),
            *(feed.asset() for feed in broken),
        ],
        asset_checks=[check for part in parts for check in part.checks],
        jobs=[
            *(job for part in parts for job in part.jobs),
            *(feed.job() for feed in broken),
            event_log_job(settings.event_log_days),
        ],
        schedules=[
            *(
                schedule
                for feed in feeds
                for schedule in (
                    *feed_schedules(feed, running=settings.automation),
                    *nightly_schedules(feed, running=settings.automation),
                )
            ),
            *(feed.schedule(running=settings.automation) for feed in broken),
            event_log_schedule(running=settings.automation),
        ],
        sensors=[
            alerts_sensor(settings),
            *(sensor for feed in feeds for sensor in feed_sensors(feed, settings)),
        ],
        executor=dg.in_process_executor,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """Assets, checks and jobs of one feed."""

    assets: list[dg.AssetsDefinition]
    checks: list[dg.AssetChecksDefinition]
    jobs: list[dg.JobDefinition]

    @classmethod
    def of(cls, feed: FeedConfig, deployment: Deployment, shared: Mapping[str, Any]) -> Self:
        """Jobs are resolved, and resources bound, among the feed's own assets.

        Among those of all feeds, Dagster looks at every asset for every job: with fifty feeds
        that alone takes seconds. Resources of all feeds would be part of every job, too.
        """
        alone = dg.Definitions(
            assets=[
                *feed_assets(feed, deployment),
                geocoded_addresses(feed, deployment),
                *people_assets(feed, deployment),
                *image_assets(feed, deployment),
                *reconcile_assets(feed, deployment),
            ],
            asset_checks=feed_checks(feed),
            jobs=(jobs := [*feed_jobs(feed), addresses_job(feed)]),
            resources={
                naming.mirror_resource(feed.name): mirror_resource(deployment.settings, feed),
                naming.io_manager(feed.name): io_manager(feed.name),
                **shared,
            },
            executor=dg.in_process_executor,
        ).get_repository_def()
        return cls(
            # A definition with several keys stands there under each of them.
            assets=list(dict.fromkeys(alone.assets_defs_by_key.values())),
            checks=list(dict.fromkeys(alone.asset_checks_defs_by_key.values())),
            jobs=[alone.get_job(job.name) for job in jobs],
        )


def _as_definition(resource: Any) -> dg.ResourceDefinition:
    if isinstance(resource, dg.ResourceDefinition):
        return resource
    return dg.ResourceDefinition.hardcoded_resource(resource)
