"""``rets-pipeline status``: a feed in one column of a table.

What belongs here: how the numbers are shown. What does not: the numbers.
"""

from __future__ import annotations

from datetime import UTC, datetime

from rich.table import Table

from rets_pipeline.settings import FeedConfig
from rets_pipeline.warehouse import addresses, runs
from rets_pipeline.warehouse.addresses import Standing
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.media import Completeness
from rets_pipeline.warehouse.runs import PeopleStatus, Status


def table(warehouse: Warehouse, feeds: list[FeedConfig], *, now: datetime | None = None) -> Table:
    """The state of feeds, a column each."""
    now = now or datetime.now(UTC)
    runs.note_killed(warehouse)
    with warehouse.reading() as connection:
        states = [runs.status(connection, feed.name, feed.photos.sizes) for feed in feeds]
        standing = addresses.standing(connection)
    shown = Table(show_edge=False, pad_edge=False)
    shown.add_column("")
    for state in states:
        shown.add_column(state.feed, justify="right")
    columns = [
        _cells(state, now) | {"geocoders asked today": _asked(feed, standing, now)}
        for feed, state in zip(feeds, states, strict=True)
    ]
    for name in columns[0] if columns else ():
        shown.add_row(name, *(column[name] for column in columns))
    return shown


def _cells(state: Status, now: datetime) -> dict[str, str]:
    images, located = state.images, state.located
    return {
        "keys on the server": _number(state.server_keys),
        "  at the last look": _ago(state.server_seen_at, now),
        "live listings": _number(state.live_listings),
        "last sync": _ago(state.last_sync_at, now),
        "  its result": state.last_sync_result or "-",
        "images stored": f"{images.stored:,} of {images.named:,}",
        "images pending": _number(images.pending),
        "images absent on the server": _number(images.absent),
        "images failed": _number(images.failed),
        "  mostly because": next(iter(state.image_reasons), "-"),
        "images held as they were before": _number(images.older),
        **{f"images of {kind}": _held(it.images) for kind, it in state.people.items()},
        "located by their payload": f"{located.by_payload:,} of {located.listings:,}",
        "located by their address": _number(located.by_geocoder),
        "not returned": _number(state.not_returned),
        "not understood": _number(state.quarantined),
        "quarantine entries": _number(state.quarantine_entries),
        "tombstones": _number(state.tombstones),
        **_people_cells(state.people, now),
    }


def _held(images: Completeness) -> str:
    """How many of how many, and in what way the others are not."""
    parts = {"pending": images.pending, "absent": images.absent, "failed": images.failed}
    others = [f", {number:,} {name}" for name, number in parts.items() if number]
    return f"{images.stored:,} of {images.named:,}{''.join(others)}"


def _people_cells(people: dict[str, PeopleStatus], now: datetime) -> dict[str, str]:
    seen = [state.server_seen_at for state in people.values()]
    oldest = None if None in seen else min((moment for moment in seen if moment), default=None)
    in_vain = sum(state.not_returned + state.quarantined for state in people.values())
    return {
        **{kind: f"{it.live:,} of {_number(it.server_keys)}" for kind, it in people.items()},
        "  at the last look at both": _ago(oldest, now),
        "  not returned or not understood": _number(in_vain),
    }


def _asked(feed: FeedConfig, standing: dict[str, Standing], now: datetime) -> str:
    """What is left of the budgets: they are shared by all feeds."""
    told = []
    for geocoder in feed.addresses.geocoders:
        if geocoder.name == "offline":
            continue
        state = standing.get(geocoder.name)
        spent = state.requests if state and state.day == now.date() else 0
        text = f"{geocoder.name} {spent:,} of {geocoder.daily_requests:,}"
        if state and state.resting_until and state.resting_until > now:
            text += f", rests until {state.resting_until:%Y-%m-%d %H:%M} UTC: {state.reason}"
        told.append(text)
    return "\n".join(told) or "-"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "never"
    seconds = max(0, int((now - moment).total_seconds()))
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {name} ago"
    return f"{seconds} s ago"
