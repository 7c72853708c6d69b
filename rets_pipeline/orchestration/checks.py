"""Asset checks: they report. What must not happen is refused in the asset before the commit.

What belongs here: comparisons of the mirror with the server's keys, as warnings. What does not:
repairs, and checks that stand beside their assets (``quality_checks``, ``images``).
"""

# No postponed annotations here: Dagster reads the type of `context` at once.
from functools import partial

import dagster as dg

from rets_pipeline.orchestration import naming
from rets_pipeline.orchestration.images import image_checks
from rets_pipeline.orchestration.people import people
from rets_pipeline.orchestration.quality_checks import (
    QUARANTINE,
    Check,
    checks_of,
    quality_checks,
)
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
        *image_checks(feed),
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
