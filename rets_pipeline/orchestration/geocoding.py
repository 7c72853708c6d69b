"""The asset and the job of a feed's addresses.

What belongs here: wiring the address run to Dagster, and its numbers. What does not: the run
(``sync.addresses``), and when it starts.
"""

# No postponed annotations here: Dagster reads the type of `context` at once.
from typing import Any

import dagster as dg

from rets_pipeline.orchestration import active_runs, metadata, naming
from rets_pipeline.orchestration.failures import as_failures
from rets_pipeline.orchestration.feed_asset import Deployment, feed_asset
from rets_pipeline.orchestration.resources import mirror_of
from rets_pipeline.settings import FeedConfig
from rets_pipeline.sync import addresses

#: after the images, which nobody pays for by the request
_PRIORITY = "-20"
#: beside the time that a run takes by its settings
_SECONDS_OF_BOOKS = 3600


def geocoded_addresses(feed: FeedConfig, deployment: Deployment) -> dg.AssetsDefinition:
    """The asset ``geocoded_addresses`` of a feed."""
    asked = ", ".join(f"`{geocoder.name}`" for geocoder in feed.addresses.geocoders)

    @feed_asset(
        feed,
        deployment,
        naming.ADDRESSES,
        naming.ADDRESSES_POOL,
        deps=[naming.asset_key(feed.name, naming.LISTINGS)],
        kinds={"geopy", deployment.database},
        description="Coordinates in step with the addresses: a bounded batch of listings whose "
        "payload has none that can be right. Each address is asked for once, of "
        f"{asked or 'nobody'}. Needs no RETS session.",
    )
    def geocoded_addresses(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        with as_failures():
            counts = addresses.mirror_addresses(mirror_of(context, feed.name))
        return dg.MaterializeResult(metadata=metadata.numbers(**counts.numbers()))

    return geocoded_addresses


def addresses_job(feed: FeedConfig) -> Any:
    """The job that materializes it."""
    seconds = int(feed.addresses.seconds_per_run) + _SECONDS_OF_BOOKS
    return dg.define_asset_job(
        naming.addresses_job(feed.name),
        selection=dg.AssetSelection.assets(naming.asset_key(feed.name, naming.ADDRESSES))
        - naming.nightly_checks(feed.name),
        tags={
            naming.FEED_TAG: feed.name,
            naming.BESIDE_TAG: "addresses",
            "dagster/priority": _PRIORITY,
            active_runs.LONGEST_TAG: str(seconds),
        },
        description="Bring the coordinates in step with the addresses. Runs beside syncs.",
    )
