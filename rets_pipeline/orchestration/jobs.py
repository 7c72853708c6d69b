"""Jobs of a feed.

What belongs here: which assets run together, their configuration and tags. What does not: when.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from rets_pipeline.orchestration import active_runs, naming
from rets_pipeline.orchestration.assets import Scope
from rets_pipeline.orchestration.images import with_images
from rets_pipeline.orchestration.people import people
from rets_pipeline.settings import FeedConfig

#: a sync goes before backfills and images in the queue
_PRIORITY = {
    "sync": "10",
    "reconcile": "10",
    "retention": "5",
    "members_and_offices": "5",
    "backfill": "0",
    "replay": "0",
    "images": "-10",
}
#: those that do more than a sync have twice its time
_NIGHTLY = ("reconcile", "retention")


def feed_jobs(feed: FeedConfig) -> list[Any]:
    """All jobs of a feed; that for members and offices where the source has them."""
    name = feed.name
    return [
        *_members_job(feed),
        dg.define_asset_job(
            naming.sync_job(name),
            selection=_selection(name, *naming.SYNC_ASSETS),
            config=sync_config(name),
            tags=_tags(feed, "sync"),
            description="Converge: compare the server's master list with the warehouse and "
            "remove the difference. A run with nothing to do makes one request.",
        ),
        dg.define_asset_job(
            naming.reconcile_job(name),
            selection=_selection(name, *naming.SYNC_ASSETS, naming.AUDITS)
            | naming.nightly_checks(name),
            config=sync_config(name),
            tags=_tags(feed, "reconcile"),
            description="A sync, and audits after it: a rotating sample fetched again, parity "
            "key by key, orphan and vanished blobs, and the checks that read whole tables.",
        ),
        dg.define_asset_job(
            naming.retention_job(name),
            selection=_selection(name, naming.RETENTION),
            tags=_tags(feed, "retention"),
            description="Remove raw pulls, raw master lists, tombstones and rows of the run "
            "ledger that are old enough.",
        ),
        dg.define_asset_job(
            naming.images_job(name),
            selection=_selection(name, *map(naming.images, with_images(feed))),
            tags={**_tags(feed, "images"), naming.BESIDE_TAG: "images"},
            description="Bring photos and logos in step with the payloads. Runs beside syncs.",
        ),
        dg.define_asset_job(
            naming.backfill_job(name),
            selection=_selection(name, naming.RAW, naming.LISTINGS).without_checks(),
            tags=_tags(feed, "backfill"),
            description="Fetch and load chosen days only.",
        ),
        dg.define_asset_job(
            naming.replay_job(name),
            selection=_selection(name, naming.LISTINGS).without_checks(),
            config=replay_config(name),
            # Tried again it would begin at its beginning; the syncs go on where it ended.
            tags={**_tags(feed, "replay"), active_runs.RETRIES_TAG: "0"},
            description="Load the archived pulls of chosen days again; needs no server. What its "
            "time does not suffice for is loaded by the syncs that follow.",
        ),
    ]


def _members_job(feed: FeedConfig) -> list[Any]:
    if not people(feed):
        return []
    names = [
        asset
        for resource in people(feed)
        for asset in (naming.master_list(resource), naming.raw(resource), resource.kind)
    ]
    return [
        dg.define_asset_job(
            naming.members_job(feed.name),
            selection=_selection(feed.name, *names),
            config=members_config(feed),
            tags=_tags(feed, "members_and_offices"),
            description="Converge members and offices by searches of their own. A run with "
            "nothing to do makes one request for each.",
        )
    ]


def members_config(feed: FeedConfig, *, allow_deletions: int = 0) -> dict[str, Any]:
    """Run configuration of the job for members and offices."""
    return {
        "ops": {
            naming.op_name(feed.name, resource.kind): {
                "config": {"allow_deletions": allow_deletions}
            }
            for resource in people(feed)
        }
    }


def sync_config(feed: str, *, allow_deletions: int = 0) -> dict[str, Any]:
    """Run configuration of a sync."""
    return {
        "ops": {
            naming.op_name(feed, naming.RAW): {"config": {"scope": Scope.ALL.name}},
            naming.op_name(feed, naming.LISTINGS): {"config": {"scope": Scope.ALL.name}},
            naming.op_name(feed, naming.DELETED): {"config": {"allow_deletions": allow_deletions}},
        }
    }


def replay_config(feed: str, *, go_on: bool = False) -> dict[str, Any]:
    """Run configuration of a replay of ``listings``.

    Args:
        go_on: with what earlier replays have left.
    """
    config = {"replay": True, "go_on": go_on}
    return {"ops": {naming.op_name(feed, naming.LISTINGS): {"config": config}}}


def _selection(feed: str, *names: str) -> dg.AssetSelection:
    """The assets with their checks, but for those of the night."""
    assets = dg.AssetSelection.assets(*(naming.asset_key(feed, name) for name in names))
    return assets - naming.nightly_checks(feed)


def _tags(feed: FeedConfig, kind: str) -> dict[str, str]:
    """A run that is stuck must not silence its feed for hours, hence the longest time.

    One that works ends by itself before: it knows the tag, too (``resources``).
    """
    seconds = 60 * feed.runtime_minutes
    if kind in _NIGHTLY:
        seconds *= 2
    return {
        naming.FEED_TAG: feed.name,
        "dagster/priority": _PRIORITY[kind],
        active_runs.LONGEST_TAG: str(seconds),
    }
