"""Asset checks: they report. What must not happen is refused in the asset before the commit.

What belongs here: comparisons of the mirror with the server's keys and with its own payloads, as
warnings. What does not: repairs.
"""

# No postponed annotations here: Dagster reads the type of `context` at once.
import dagster as dg

from rets_pipeline.orchestration import metadata, naming
from rets_pipeline.orchestration.people import people
from rets_pipeline.orchestration.quality_checks import quality_checks
from rets_pipeline.orchestration.resources import opened
from rets_pipeline.settings import FeedConfig
from rets_pipeline.sync import audit
from rets_pipeline.warehouse.resources import LISTINGS, Resource


def feed_checks(feed: FeedConfig) -> list[dg.AssetChecksDefinition]:
    """The checks of a feed."""
    return [
        *quality_checks(feed),
        _keys_match_server(feed, "keys_match_server", LISTINGS, naming.DELETED),
        _images_complete(feed),
        *(
            _keys_match_server(feed, f"{resource.kind}_match_server", resource)
            for resource in people(feed)
        ),
    ]


def _keys_match_server(
    feed: FeedConfig, name: str, resource: Resource, *after: str
) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name=name,
        asset=naming.asset_key(feed.name, resource.kind),
        additional_deps=[naming.asset_key(feed.name, other) for other in after],
        required_resource_keys={naming.mirror_resource(feed.name)},
        pool=naming.rets_pool(feed.name),
        description=f"Every key of the newest master list is one of the live {resource.kind}, "
        "and the reverse. Keys that the server names and does not return are counted apart.",
    )
    def keys_match_server(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        parity = audit.parity(opened(context, feed.name), resource)
        if parity is None:
            return dg.AssetCheckResult(
                passed=False,
                severity=dg.AssetCheckSeverity.WARN,
                description="no complete master list was seen yet",
            )
        return dg.AssetCheckResult(
            passed=parity.missing == 0 and parity.surplus == 0,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=metadata.numbers(
                on_server=parity.on_server,
                live=parity.live,
                missing=parity.missing,
                surplus=parity.surplus,
                not_returned=parity.not_returned,
                quarantined=parity.quarantined,
            ),
        )

    return keys_match_server


def _images_complete(feed: FeedConfig) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=naming.asset_key(feed.name, naming.IMAGES),
        required_resource_keys={naming.mirror_resource(feed.name)},
        description="Every photo that a payload names is stored as the payload names it now, or "
        "known to be absent on the server.",
    )
    def images_complete(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        mirror = opened(context, feed.name)
        images, reasons = audit.images(mirror), audit.image_reasons(mirror)
        numbers = metadata.numbers(
            named=images.named,
            stored=images.stored,
            pending=images.pending,
            absent=images.absent,
            failed=images.failed,
            older=images.older,
        )
        return dg.AssetCheckResult(
            passed=images.pending == 0 and images.failed == 0,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={**numbers, "reasons": dg.MetadataValue.json(reasons)},
        )

    return images_complete
