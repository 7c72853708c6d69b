"""The images of listings, members and offices: their assets and their checks.

What belongs here: the asset of each resource's images, and whether they are complete. What does
not: how images are mirrored (``sync.images``), and what starts the runs (``sensors``).
"""

# No postponed annotations here: Dagster reads the types of `context` at once.
import time

import dagster as dg

from rets_pipeline.orchestration import metadata, naming, signatures
from rets_pipeline.orchestration.failures import as_failures
from rets_pipeline.orchestration.feed_asset import Deployment, feed_asset
from rets_pipeline.orchestration.people import people
from rets_pipeline.orchestration.resources import mirror_of, opened
from rets_pipeline.settings import FeedConfig
from rets_pipeline.sync import audit, images
from rets_pipeline.warehouse.resources import LISTINGS, MEMBERS, OFFICES, Resource

_THINGS = {
    LISTINGS.name: "photos",
    MEMBERS.name: "photos of members",
    OFFICES.name: "logos of offices",
}


def with_images(feed: FeedConfig) -> list[Resource]:
    """The resources whose images are mirrored."""
    return [LISTINGS, *people(feed)]


def image_assets(feed: FeedConfig, deployment: Deployment) -> list[dg.AssetsDefinition]:
    """The images of each resource; one job brings all in step."""
    return [_images(feed, deployment, resource) for resource in with_images(feed)]


def image_checks(feed: FeedConfig) -> list[dg.AssetChecksDefinition]:
    """Whether those of each resource are complete."""
    return [_images_complete(feed, resource) for resource in with_images(feed)]


def _images(feed: FeedConfig, deployment: Deployment, resource: Resource) -> dg.AssetsDefinition:
    by_address = set(feed.photos.strategies) == {"url"}
    things = _THINGS[resource.name]
    # A listing names its offices' logos, too.
    told_by = [resource, LISTINGS] if resource is OFFICES else [resource]

    @feed_asset(
        feed,
        deployment,
        naming.images(resource),
        # GetObject needs the account's only session.
        naming.images_pool(feed.name) if by_address else naming.rets_pool(feed.name),
        deps=[naming.asset_key(feed.name, other.kind) for other in told_by],
        kinds={"jpeg", deployment.archive, deployment.database},
        description=f"{things.capitalize()} in step with the payloads: a bounded batch of images "
        f"that are missing, changed or gone. Needs {'no' if by_address else 'the'} RETS session.",
    )
    def resource_images(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        started = time.monotonic()
        with as_failures():
            counts = images.mirror_images(mirror_of(context, feed.name), resource)
        return dg.MaterializeResult(metadata=metadata.images(counts, time.monotonic() - started))

    return resource_images


def _images_complete(feed: FeedConfig, resource: Resource) -> dg.AssetChecksDefinition:
    name = "images_complete" if resource is LISTINGS else f"{naming.images(resource)}_complete"

    @dg.asset_check(
        name=name,
        asset=naming.asset_key(feed.name, naming.images(resource)),
        required_resource_keys={naming.mirror_resource(feed.name)},
        description=f"All {_THINGS[resource.name]} that payloads name are stored as they are named "
        "now, or known to be absent on the server.",
    )
    @signatures.kept
    def images_complete(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        mirror = opened(context, feed.name)
        found, reasons = audit.images(mirror, resource), audit.image_reasons(mirror, resource)
        numbers = metadata.numbers(
            named=found.named,
            stored=found.stored,
            pending=found.pending,
            absent=found.absent,
            failed=found.failed,
            older=found.older,
        )
        return dg.AssetCheckResult(
            passed=found.pending == 0 and found.failed == 0,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={**numbers, "reasons": dg.MetadataValue.json(reasons)},
        )

    return images_complete
