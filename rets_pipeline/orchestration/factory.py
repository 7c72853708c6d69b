"""Definitions from settings.

What belongs here: putting a feed's definitions together, for the code location, the command line
and tests. What does not: the definitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from rets_pipeline.orchestration import naming
from rets_pipeline.orchestration.assets import feed_assets
from rets_pipeline.orchestration.checks import feed_checks
from rets_pipeline.orchestration.feed_asset import Kinds
from rets_pipeline.orchestration.geocoding import addresses_job, geocoded_addresses
from rets_pipeline.orchestration.io_managers import io_managers
from rets_pipeline.orchestration.jobs import feed_jobs
from rets_pipeline.orchestration.people import people, people_assets
from rets_pipeline.orchestration.resources import LoggedProgress, mirror_resource
from rets_pipeline.orchestration.schedules import feed_schedules
from rets_pipeline.settings import Settings


def build_defs(
    settings: Settings, *, resource_overrides: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """All definitions of all feeds.

    Steps run in the process of their run: an RETS account has one session, and a step in a
    process of its own would log in anew.

    Args:
        settings: the feeds and where their data goes.
        resource_overrides: replace resources by key, such as ``progress``.
    """
    feeds = list(settings.feeds.values())
    kinds = Kinds(
        database="sqlite" if settings.database_url.startswith("sqlite") else "postgres",
        archive="s3" if settings.archive_uri.startswith("s3:") else "file",
    )
    resources: dict[str, Any] = {"progress": LoggedProgress()}
    for feed in feeds:
        resources[naming.mirror_resource(feed.name)] = mirror_resource(settings, feed)
        resources |= io_managers(feed.name, people(feed))
    return dg.Definitions(
        assets=[
            asset
            for feed in feeds
            for asset in (
                *feed_assets(feed, kinds),
                geocoded_addresses(feed, kinds),
                *people_assets(feed, kinds),
            )
        ],
        asset_checks=[check for feed in feeds for check in feed_checks(feed)],
        jobs=[job for feed in feeds for job in (*feed_jobs(feed), addresses_job(feed))],
        schedules=[
            schedule
            for feed in feeds
            for schedule in feed_schedules(feed, running=settings.automation)
        ],
        resources={**resources, **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )
