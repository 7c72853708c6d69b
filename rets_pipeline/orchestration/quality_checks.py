"""Checks of the mirrored data, as warnings.

What belongs here: which verdict of ``sync.quality`` is a check of which asset. What does not: the
verdicts, and comparisons with the server (``checks``).

Checks of one asset share a step, since each step costs some hundredths of a second of events, and
some milliseconds whenever the code location is loaded. Those of listings only read, on a connection
of their own, so they wait for no pool.
"""

# No postponed annotations here: Dagster reads the type of `context` at once.
from collections.abc import Callable, Iterator, Mapping

import dagster as dg

from rets_pipeline.orchestration import metadata, naming, pictures, signatures
from rets_pipeline.orchestration.resources import opened
from rets_pipeline.settings import FeedConfig
from rets_pipeline.sync import quality, schema
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.sync.quality import Verdict

#: what a check says of itself, and what decides it
Check = tuple[str, Callable[[Mirror], Verdict]]

_GUARD = (
    "Fewer records are gone than the deletion guard stops: otherwise nothing is deleted until an "
    "operator allows it for one run (`allow_deletions`)."
)
QUARANTINE = "Everything that the server sent was understood; else the quarantine has its text."
_CHECKS: Mapping[str, Check] = {
    "quarantine_empty": (QUARANTINE, quality.quarantine_empty),
    "prices_in_bounds": (
        f"No asking price lies under ${quality.LOWEST_PRICE:,} or over ${quality.HIGHEST_PRICE:,}.",
        quality.prices_in_bounds,
    ),
    "schema_drift": (
        "No element without a rule, and no value that a lookup lacks or has just got, was seen for "
        f"the first time within {schema.NEW_FOR.days} day: among the {schema.SAMPLE} listings that "
        "changed last. Nothing of it is lost: `source_fields` holds it.",
        schema.drift,
    ),
}
_NIGHTLY: Mapping[str, Check] = {
    "coordinates_in_province": (
        "Every listing with coordinates stands in the box around its province.",
        quality.coordinates_in_province,
    ),
    "no_orphan_children": (
        "Every room, photo, open house, agent's entry, phone and website belongs to a row that "
        "exists.",
        quality.no_orphan_children,
    ),
    "null_shares": (
        f"No column's share of NULL rose by more than {quality.RISE:.0%} over the median of the "
        f"last {quality.RUNS} evaluations, or became the whole column.",
        quality.null_shares,
    ),
}
assert tuple(_NIGHTLY) == naming.NIGHTLY_CHECKS
_NIGHTLY_OF_ADDRESSES: Mapping[str, Check] = {
    "geocodes_plausible": (
        "Every place that a geocoder found lies in the box around its province, and no farther "
        "from the middle of its postal area than `addresses.kilometres` allows.",
        quality.geocodes_plausible,
    ),
}
assert tuple(_NIGHTLY_OF_ADDRESSES) == naming.NIGHTLY_CHECKS_OF_ADDRESSES


def quality_checks(feed: FeedConfig) -> list[dg.AssetChecksDefinition]:
    """The checks of the data of a feed's listings."""
    guard = {"deletion_guard": (_GUARD, quality.deletion_guard)}
    return [
        checks_of(feed, naming.CHANGES, "guard", guard),
        checks_of(feed, naming.LISTINGS, "checks", _CHECKS),
        checks_of(feed, naming.LISTINGS, "nightly_checks", _NIGHTLY),
        checks_of(feed, naming.ADDRESSES, "nightly_checks", _NIGHTLY_OF_ADDRESSES),
    ]


def checks_of(
    feed: FeedConfig,
    asset: str,
    name: str,
    checks: Mapping[str, Check],
    *,
    after: str | None = None,
    pool: str | None = None,
) -> dg.AssetChecksDefinition:
    """One step with some checks of an asset; each has its own name, verdict and numbers.

    Args:
        feed: whose.
        asset: the asset's name, without its feed.
        name: the step's.
        checks: by their names.
        after: another asset of the feed that goes before.
        pool: the one that the step waits for.
    """
    key = naming.asset_key(feed.name, asset)
    before = [naming.asset_key(feed.name, after)] if after else []

    @dg.multi_asset_check(
        name=naming.op_name(feed.name, f"{asset}_{name}"),
        specs=[
            dg.AssetCheckSpec(check, asset=key, description=description, additional_deps=before)
            for check, (description, _) in checks.items()
        ],
        required_resource_keys={naming.mirror_resource(feed.name)},
        can_subset=True,
        pool=pool,
    )
    @signatures.kept
    def quality_check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        mirror = opened(context, feed.name)
        for chosen in sorted(context.selected_asset_check_keys, key=lambda one: one.name):
            _, decide = checks[chosen.name]
            yield _result(chosen, decide(mirror))

    return quality_check


def _result(key: dg.AssetCheckKey, verdict: Verdict) -> dg.AssetCheckResult:
    shown = metadata.numbers(**verdict.numbers)
    if verdict.cases:
        shown["cases"] = dg.MetadataValue.md(pictures.table(verdict.cases))
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=verdict.message,
        metadata=shown,
    )
