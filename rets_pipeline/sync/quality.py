"""Whether the mirrored data is as an operator expects: verdicts that change nothing.

What belongs here: what is too much or too strange, in words. What does not: the queries
(``warehouse.quality``), parity with the server (``audit``), and repairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rets_pipeline.archive import NotInArchive
from rets_pipeline.geocoding import judge
from rets_pipeline.geocoding.addresses import normalize
from rets_pipeline.geocoding.provinces import Box
from rets_pipeline.sync import changes, delete, notes
from rets_pipeline.sync import master as masters
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.warehouse import addresses, deletion, difference, preview, quality
from rets_pipeline.warehouse.deletion import Gone
from rets_pipeline.warehouse.engine import transaction
from rets_pipeline.warehouse.resources import LISTINGS, Resource

#: in dollars, of a sale or of a lease: below, a placeholder was typed; above, zeros too many
LOWEST_PRICE, HIGHEST_PRICE = 1, 500_000_000
#: how many runs a share of nulls is compared with
RUNS = 30
#: a share that rises by this much over the median of those runs is told
RISE = 0.05
#: with fewer rows shares jump about
_FEWEST_ROWS = 20
_NULL_SHARES = "null_shares"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found.

    Attributes:
        passed: nothing is to be told.
        message: one sentence; what is wrong, or what was looked at.
        numbers: for plots: the same ones every time.
        cases: some examples in words, as a table: column to value.
    """

    passed: bool
    message: str
    numbers: Mapping[str, int | float]
    cases: list[dict[str, Any]] = field(default_factory=list)


def quarantine_empty(mirror: Mirror, resource: Resource = LISTINGS) -> Verdict:
    """Everything that the server sent was understood."""
    with mirror.warehouse.reading() as connection:
        found = quality.quarantined(connection, mirror.feed.name, resource)
    passed = found.records == 0 and found.values == 0
    return Verdict(
        passed,
        f"all of the {resource.kind} were understood"
        if passed
        else f"{found.records:,} {resource.kind} could not be read, {found.values:,} values of "
        "others were left out; the table `quarantine` has their texts",
        {"records": found.records, "values": found.values},
        [
            {"element": one.field or "the whole record", "why": one.reason, "entries": one.entries}
            for one in found.reasons
        ],
    )


def prices_in_bounds(mirror: Mirror) -> Verdict:
    """No asking price that somebody must have mistyped."""
    with mirror.warehouse.reading() as connection:
        found = quality.prices(connection, mirror.feed.name, LOWEST_PRICE, HIGHEST_PRICE)
    bounds = f"${LOWEST_PRICE:,} to ${HIGHEST_PRICE:,}"
    count = found.below + found.above
    return Verdict(
        count == 0,
        f"listings with an asking price outside {bounds}: {count:,}"
        if count
        else f"all asking prices lie in {bounds}",
        {"below": found.below, "above": found.above},
        [{"listing": key, "price": f"{price:,}"} for key, price in found.examples],
    )


def coordinates_in_province(mirror: Mirror) -> Verdict:
    """Listings stand where their province is. Reads every listing."""
    feed = mirror.feed.name
    located = unknown = outside = 0
    cases = []
    with mirror.warehouse.reading() as connection:
        for reach in quality.extremes(connection, feed):
            located += reach.located
            known = mirror.source.bounds(reach.province)
            if known is None:
                unknown += reach.located
            elif not _holds(known[1], reach):
                box = known[1]
                found = quality.outside(connection, feed, reach.province, box[:2], box[2:])
                outside += found.listings
                cases.append(
                    {
                        "province": reach.province,
                        "outside": found.listings,
                        "listings": ", ".join(found.examples),
                    }
                )
    return Verdict(
        outside == 0,
        f"{outside:,} of {located:,} listings with coordinates stand outside their province"
        if outside
        else f"all {located:,} listings with coordinates stand in their province",
        {"located": located, "outside": outside, "province_unknown": unknown},
        cases,
    )


def geocodes_plausible(mirror: Mirror) -> Verdict:
    """What geocoders found lies in its province, and no farther off than the settings allow.

    Nothing else is stored; what lies farther was judged by other settings, and the next address
    run judges it again. The outermost places of each postal area tell of all others in it.
    """
    feed, settings = mirror.feed.name, mirror.feed.addresses
    located = outside = 0
    cases: list[dict[str, Any]] = []
    with mirror.warehouse.reading() as connection:
        for reach in addresses.reaches(connection, feed):
            located += reach.listings
            address = normalize(state_or_province=reach.province, postal_code=reach.area)
            corners = product((reach.south, reach.north), (reach.west, reach.east))
            if not any(judge.objection(*corner, address, settings) for corner in corners):
                continue
            for key, latitude, longitude in addresses.places_in(connection, feed, reach):
                reason = judge.objection(latitude, longitude, address, settings)
                if reason is not None:
                    outside += 1
                    cases.append({"listing": key, "why": reason})
    return Verdict(
        outside == 0,
        f"{outside:,} of {located:,} listings were put where they cannot be; the next address run "
        "judges them again"
        if outside
        else f"all {located:,} places that geocoders found can be right",
        {"located": located, "outside": outside},
        cases[: quality.EXAMPLES],
    )


def _holds(box: Box, reach: quality.Extremes) -> bool:
    """Whether all listings that reach so far lie in the box."""
    south, north = float(reach.south), float(reach.north)
    west, east = float(reach.west), float(reach.east)
    return box.holds(south, west) and box.holds(north, east)


def no_orphan_children(mirror: Mirror) -> Verdict:
    """Rooms, photos, phones and so on belong to rows that exist. Reads every child."""
    with mirror.warehouse.reading() as connection:
        found = quality.orphans(connection, mirror.feed.name)
    total = sum(found.values())
    return Verdict(
        total == 0,
        f"{total:,} rows belong to nothing"
        if total
        else "every row belongs to a listing, a member or an office that exists",
        found,
    )


def null_shares(
    mirror: Mirror, resource: Resource = LISTINGS, *, now: datetime | None = None
) -> Verdict:
    """No column says much less than it used to. Reads every row, and remembers what it found.

    A column is told when its share of nulls rises by more than :data:`RISE` over the median of the
    last :data:`RUNS` runs, or when it says nothing at all though it did in most of them. So a loss
    is told until it has lasted half as many runs.

    Args:
        now: the time, for tests.
    """
    table = resource.table
    with mirror.warehouse.reading() as connection:
        rows, nulls = quality.nulls(connection, mirror.feed.name, table)
    shares = {name: round(count / rows, 4) if rows else 1.0 for name, count in nulls.items()}
    kept = notes.read(mirror, _NULL_SHARES)
    before = [run["shares"] for run in kept.get(table.name, [])]
    worse = list(_worse(shares, before)) if rows >= _FEWEST_ROWS else []
    if rows >= _FEWEST_ROWS:
        run = {"at": (now or datetime.now(UTC)).isoformat(), "rows": rows, "shares": shares}
        kept[table.name] = [*kept.get(table.name, []), run][-RUNS:]
        notes.write(mirror, _NULL_SHARES, kept)
    return Verdict(
        not worse,
        f"{', '.join(case['column'] for case in worse)}: said less often than before"
        if worse
        else f"{len(shares)} columns compared with the last {len(before)} runs",
        {
            "rows": rows,
            "columns": len(shares),
            "columns_worse": len(worse),
            "runs_compared": len(before),
            "mean_share_of_nulls": round(sum(shares.values()) / len(shares), 4),
        },
        worse,
    )


def _worse(
    shares: Mapping[str, float], before: list[Mapping[str, float]]
) -> Iterable[dict[str, Any]]:
    for name, share in shares.items():
        past = [run[name] for run in before if name in run]
        usual = median(past) if past else share
        if share > usual + RISE or (share == 1 and usual < 1):
            yield {"column": name, "NULL now": f"{share:.1%}", "NULL usually": f"{usual:.1%}"}


def deletion_guard(mirror: Mirror, resource: Resource = LISTINGS) -> Verdict:
    """Not so many keys are gone that nothing may be deleted."""
    gone = _gone(mirror, resource)
    guard = mirror.feed.deletion_guard
    tripped = delete.refuses(guard, gone, 0)
    return Verdict(
        not tripped,
        str(delete.GuardTripped(mirror.feed, gone, resource))
        if tripped
        else f"{gone.live:,} of {gone.all_live:,} live {resource.kind} are gone; the guard stops "
        f"more than {guard.keys:,} and {guard.share:.0%}",
        {"gone": gone.live, "live": gone.all_live, "guard_keys": guard.keys,
         "guard_share": guard.share},
    )  # fmt: skip


def _gone(mirror: Mirror, resource: Resource) -> Gone:
    feed = mirror.feed.name
    with mirror.warehouse.reading() as connection:
        live = preview.rows_of(connection, feed, resource)
    if resource is LISTINGS:
        keys = _gone_in_change_set(mirror)
        if keys <= mirror.feed.deletion_guard.keys:
            return Gone(keys, keys, live)  # the master list need not be read once more
    master = masters.newest(mirror, resource)
    if master is None:
        return Gone(0, 0, live)
    with (
        transaction(mirror.connection) as connection,
        difference.loaded(connection, master.batches(mirror.archive)),
    ):
        return deletion.count(connection, feed, resource)


def _gone_in_change_set(mirror: Mirror) -> int:
    """The gone keys in the newest change set; without one, more than any guard lets pass."""
    found = changes.newest(mirror)
    try:
        data = mirror.archive.get(found.parquet_key) if found else None
    except NotInArchive:
        data = None
    if data is None:
        return 1 << 62
    kinds = pq.read_table(pa.BufferReader(data), columns=["kind"])["kind"].value_counts()
    return sum(kind["counts"] for kind in kinds.to_pylist() if kind["values"] == "gone")
