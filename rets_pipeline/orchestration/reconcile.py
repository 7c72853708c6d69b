"""What runs at night: the audits, and retention.

What belongs here: the assets of both, and what they report. What does not: the audits and the
rules of retention themselves (``sync``), and when they run (``nightly``).
"""

# No postponed annotations here: Dagster reads the type of `context` at once.
from dataclasses import asdict
from typing import Any

import dagster as dg

from rets_pipeline.orchestration import metadata, naming, steps
from rets_pipeline.orchestration.failures import as_failures
from rets_pipeline.orchestration.feed_asset import Deployment, feed_asset
from rets_pipeline.orchestration.people import people
from rets_pipeline.orchestration.resources import mirror_of
from rets_pipeline.settings import FeedConfig
from rets_pipeline.sync import reconcile, retention
from rets_pipeline.sync.reconcile import KEYS_SHOWN, Audits
from rets_pipeline.warehouse.resources import LISTINGS
from rets_pipeline.warehouse.runs import RUNS_KEPT

NO_DRIFT = "no_drift"


def reconcile_assets(feed: FeedConfig, deployment: Deployment) -> list[dg.AssetsDefinition]:
    """The assets of the nightly jobs."""
    return [_listing_audits(feed, deployment), _retention(feed, deployment)]


def _listing_audits(feed: FeedConfig, deployment: Deployment) -> dg.AssetsDefinition:
    key = naming.asset_key(feed.name, naming.AUDITS)

    @feed_asset(
        feed,
        deployment,
        naming.AUDITS,
        naming.rets_pool(feed.name),
        # Not on what is deleted: a guard that trips must not keep the audits from running.
        deps=[naming.asset_key(feed.name, naming.LISTINGS)],
        kinds={"rets", deployment.database, deployment.archive},
        check_specs=[
            dg.AssetCheckSpec(
                NO_DRIFT,
                asset=key,
                description="Nothing that was fetched again had changed under an equal "
                "timestamp. What had drifted is right again; a server on which that happens "
                "often wants a larger `reconcile.sample`.",
            )
        ],
        description=f"Audits after a sync: {feed.reconcile.sample:.2%} of the keys, those fetched "
        "the longest ago, are fetched and loaded again; every key is compared with the newest "
        "master lists; blobs that no row names go when they are older than a day, and photos "
        f"whose blobs have vanished are marked to be fetched again.",
    )
    # With checks Dagster takes the class for several outputs unless it is named without its type.
    def listing_audits(
        context: dg.AssetExecutionContext,
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        mirror = mirror_of(context, feed.name)
        with as_failures():
            found = reconcile.audit_everything(mirror)
        steps.fail_for(mirror, found.pulls)
        return dg.MaterializeResult(
            metadata=_numbers(feed, found), check_results=[_no_drift(found)]
        )

    return listing_audits


def _retention(feed: FeedConfig, deployment: Deployment) -> dg.AssetsDefinition:
    ages = feed.retention

    @feed_asset(
        feed,
        deployment,
        naming.RETENTION,
        naming.rets_pool(feed.name),
        kinds={deployment.database, deployment.archive},
        description="What nobody needs any more is gone: raw pulls that nothing live came from, "
        f"{ages.pull_days} days after the request, or {ages.gone_pull_days} days after their "
        "listings are gone; raw master lists but the newest, those of the last day, and one of "
        f"each of {ages.master_list_days} days; tombstones after {ages.tombstone_days} days; rows "
        f"of the run ledger after {ages.run_days} days, but each job's last {RUNS_KEPT}.",
    )
    def pruned(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        with as_failures():
            counts = retention.prune(mirror_of(context, feed.name))
        return dg.MaterializeResult(metadata=metadata.numbers(**asdict(counts)))

    return pruned


def _numbers(feed: FeedConfig, found: Audits) -> dict[str, Any]:
    """The same names on every run, so that the UI plots them."""
    numbers = asdict(found.blobs)
    told = []
    for kind in (LISTINGS.kind, *(resource.kind for resource in people(feed))):
        sampled, apart = found.samples[kind], found.keys.get(kind)
        numbers |= {
            f"{kind}_sampled": sampled.sampled,
            f"{kind}_drifted": len(sampled.drifted),
            f"{kind}_moved": sampled.moved,
            f"{kind}_in_vain": sampled.in_vain,
            f"{kind}_missing": apart.parity.missing if apart else 0,
            f"{kind}_surplus": apart.parity.surplus if apart else 0,
        }
        told += [
            _keys(f"{kind} that had drifted", sampled.drifted),
            _keys(f"{kind} that the warehouse lacks", apart.missing if apart else []),
            _keys(f"{kind} that the server lacks", apart.surplus if apart else []),
        ]
    findings = "\n".join(line for line in told if line)
    return {**metadata.numbers(**numbers), "keys": dg.MetadataValue.md(findings or "no findings")}


def _no_drift(found: Audits) -> dg.AssetCheckResult:
    drifted = {kind: sampled.drifted for kind, sampled in found.samples.items() if sampled.drifted}
    return dg.AssetCheckResult(
        check_name=NO_DRIFT,
        passed=not drifted,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(
            f"{len(keys):,} of {found.samples[kind].sampled:,} {kind} had changed under an equal "
            f"timestamp, and are right again: {_named(keys)}"
            for kind, keys in drifted.items()
        )
        or None,
    )


def _keys(title: str, keys: list[str]) -> str:
    return f"- {title}: {_named(keys)}" if keys else ""


def _named(keys: list[str]) -> str:
    # Keys come from a server: as code they are no markup.
    shown = ", ".join(f"`{key.replace('`', '')}`" for key in keys[:KEYS_SHOWN])
    return shown + (" and more" if len(keys) > KEYS_SHOWN else "")
