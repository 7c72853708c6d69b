"""Asset checks: they report. What must not happen is refused in the asset before the commit.

What belongs here: comparisons of the mirror with the server's keys, as warnings. What does not:
repairs, and checks that stand beside their assets (``quality_checks``, ``images``).
"""

# No postponed annotations here: Dagster reads the type of `context` at once.
import dagster as dg

from rets_pipeline.orchestration import metadata, naming
from rets_pipeline.orchestration.images import image_checks
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
        *image_checks(feed),
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
