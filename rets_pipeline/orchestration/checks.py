"""Asset checks: they report. What must not happen is refused in the asset before the commit.

What belongs here: comparisons of the mirror with the server's keys and with its own payloads, as
warnings. What does not: repairs.
"""

# No postponed annotations here: Dagster reads the type of `context` at once.
from functools import partial

import dagster as dg

from rets_pipeline.orchestration import metadata, naming, signatures
from rets_pipeline.orchestration.people import people
from rets_pipeline.orchestration.quality_checks import (
    QUARANTINE,
    Check,
    checks_of,
    quality_checks,
)
from rets_pipeline.orchestration.resources import opened
from rets_pipeline.settings import FeedConfig
from rets_pipeline.sync import audit, quality
from rets_pipeline.warehouse.resources import LISTINGS, Resource


def feed_checks(feed: FeedConfig) -> list[dg.AssetChecksDefinition]:
    """The checks of a feed."""
    pool = naming.rets_pool(feed.name)
    return [
        *quality_checks(feed),
        checks_of(
            feed,
            naming.LISTINGS,
            "keys_match_server",
            {"keys_match_server": _keys_match_server(LISTINGS)},
            # A step of its own: a deletion guard that trips keeps it from running.
            after=naming.DELETED,
            pool=pool,
        ),
        _images_complete(feed),
        *(
            checks_of(
                feed,
                resource.kind,
                "checks",
                {
                    "quarantine_empty": (
                        QUARANTINE,
                        partial(quality.quarantine_empty, resource=resource),
                    ),
                    f"{resource.kind}_match_server": _keys_match_server(resource),
                },
                pool=pool,
            )
            for resource in people(feed)
        ),
    ]


def _keys_match_server(resource: Resource) -> Check:
    return (
        f"Every key of the newest master list is one of the live {resource.kind}, and the "
        "reverse. Keys that the server names and does not return are counted apart.",
        partial(audit.keys_match_server, resource=resource),
    )


def _images_complete(feed: FeedConfig) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=naming.asset_key(feed.name, naming.IMAGES),
        required_resource_keys={naming.mirror_resource(feed.name)},
        description="Every photo that a payload names is stored as the payload names it now, or "
        "known to be absent on the server.",
    )
    @signatures.kept
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
