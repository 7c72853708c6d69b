"""Every name that Dagster knows of a feed, derived in one place.

What belongs here: keys, groups, pools, tags, job names. What does not: definitions.
"""

from __future__ import annotations

import dagster as dg

from rets_pipeline.warehouse.resources import MEMBERS, OFFICES, OTHERS, Resource

FEED_TAG = "rets/feed"
#: runs of photos and addresses; `dagster.yaml` limits how many there are of all feeds together
BESIDE_TAG = "rets/beside_syncs"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"

MASTER_LIST = "listing_master_list"
CHANGES = "listing_changes"
RAW = "raw_listings"
LISTINGS = "listings"
DELETED = "deleted_listings"
IMAGES = "listing_images"
ADDRESSES = "geocoded_addresses"
AUDITS = "listing_audits"
RETENTION = "retention"

#: the only asset of a feed whose entry in feeds.yaml cannot be used
SETTINGS = "settings"

#: the assets of a sync, in the order of the flow
SYNC_ASSETS = (MASTER_LIST, CHANGES, RAW, LISTINGS, DELETED)


#: checks of ``listings`` that read whole tables: no part of a sync, but of the night's reconcile
NIGHTLY_CHECKS = ("coordinates_in_province", "no_orphan_children", "null_shares")


#: likewise of ``geocoded_addresses``
NIGHTLY_CHECKS_OF_ADDRESSES = ("geocodes_plausible",)


def nightly_checks(feed: str) -> dg.AssetSelection:
    """The checks of a feed that belong to the night."""
    checks = ((LISTINGS, NIGHTLY_CHECKS), (ADDRESSES, NIGHTLY_CHECKS_OF_ADDRESSES))
    return dg.AssetSelection.checks(
        *(
            dg.AssetCheckKey(asset_key(feed, asset), name)
            for asset, names in checks
            for name in names
        )
    )


def master_list(resource: Resource) -> str:
    """The asset of a resource's keys."""
    return resource.master_list_folder


def raw(resource: Resource) -> str:
    """The asset of a resource's pages."""
    return f"raw_{resource.kind}"


_IMAGES_OF_OTHERS = {MEMBERS.name: "member_images", OFFICES.name: "office_logos"}


def images(resource: Resource) -> str:
    """The asset of a resource's images."""
    return _IMAGES_OF_OTHERS.get(resource.name, IMAGES)


#: the assets of members and offices
PEOPLE_ASSETS = tuple(
    name for resource in OTHERS for name in (master_list(resource), raw(resource), resource.kind)
)


def asset_key(feed: str, name: str) -> dg.AssetKey:
    """The key of a feed's asset."""
    return dg.AssetKey([feed, name])


def op_name(feed: str, name: str) -> str:
    """What run configuration calls the asset."""
    return f"{feed}__{name}"


def mirror_resource(feed: str) -> str:
    """The resource that opens the feed's mirror."""
    return f"mirror_{feed}"


def io_manager(feed: str) -> str:
    """The I/O manager of a feed's assets."""
    return f"io_manager_{feed}"


#: where long steps tell how far they are
PROGRESS = "progress"


def rets_pool(feed: str) -> str:
    """Whatever talks RETS or writes listings: one run at a time."""
    return f"rets_{feed}"


def images_pool(feed: str) -> str:
    """Image runs of the feed: one at a time, beside its syncs."""
    return f"images_{feed}"


#: address runs of all feeds: they share the answers, and the geocoders' budgets
ADDRESSES_POOL = "addresses"


def sync_job(feed: str) -> str:
    """The job that converges listings."""
    return f"{feed}_sync"


def members_job(feed: str) -> str:
    """The job that converges members and offices."""
    return f"{feed}_members_and_offices"


def images_job(feed: str) -> str:
    """The job that converges images."""
    return f"{feed}_images"


def addresses_job(feed: str) -> str:
    """The job that converges coordinates."""
    return f"{feed}_addresses"


def backfill_job(feed: str) -> str:
    """The job that fetches and loads chosen days."""
    return f"{feed}_backfill"


def replay_job(feed: str) -> str:
    """The job that loads the archived pulls of chosen days again."""
    return f"{feed}_replay"


def reconcile_job(feed: str) -> str:
    """The nightly sync with audits."""
    return f"{feed}_reconcile"


def retention_job(feed: str) -> str:
    """The job that removes what nobody needs any more."""
    return f"{feed}_retention"


#: the job that prunes Dagster's event log, for all feeds
EVENT_LOG_JOB = "retention"


def sync_schedule(feed: str) -> str:
    """The schedule of the sync."""
    return f"{feed}_sync_schedule"


def members_schedule(feed: str) -> str:
    """The schedule of members and offices."""
    return f"{feed}_members_and_offices_schedule"


def schedule_of(job: str) -> str:
    """The schedule of a job."""
    return f"{job}_schedule"
