"""``rets-pipeline show`` and ``fetch``: one record under the lens, and chosen records now.

What belongs here: opening what they need, and showing what they found. What does not: the
comparison and the fetching (``sync``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rets_pipeline.archive import Archive
from rets_pipeline.settings import FeedConfig, Settings, SettingsError
from rets_pipeline.sync import fetch as fetching
from rets_pipeline.sync import lens
from rets_pipeline.sync.accounts import credentials
from rets_pipeline.sync.fetch import OUTCOMES, Fetched
from rets_pipeline.sync.lens import VERDICTS, RowSeen, Seen
from rets_pipeline.sync.mirror import Credentials, Mirror
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.resources import LISTINGS, OTHERS, Resource

_MARKS = {"equal": " ", "differs": "≠", "masked": "~"}
_STATES = {
    "both": "",
    "server only": " [red](the server has it, the warehouse does not)[/]",
    "warehouse only": " [red](the warehouse has it, the server does not)[/]",
    "later": " [dim](not compared: its own search, or a later pull, said what stands here)[/]",
}
_IMAGES = ("order", "media_key", "size", "state", "bytes", "stored_at", "blob_key", "reason")
_HISTORY = ("modification_timestamp", "change_type", "field_name", "previous_value", "new_value",
            "pull_id")  # fmt: skip
_PULLS = ("pull_id", "kind", "state", "day", "records", "archive_prefix", "reason")
_QUARANTINE = ("noted_at", "field", "reason", "raw", "pull_id")


def show(settings: Settings, feed: FeedConfig, key: str, resource: str, *, offline: bool) -> Seen:
    """One record, from the server or the archive, and from the warehouse.

    Raises:
        SettingsError: the text cannot be a key, or the feed has no such resource.
    """
    with _mirror(settings, feed, "show", offline=offline) as mirror, _keys_explained(feed):
        return lens.look(mirror, _resource(mirror, resource), key, offline=offline)


def fetch(
    settings: Settings, feed: FeedConfig, keys: Sequence[str], resource: str, *, rewrite: bool
) -> list[Fetched]:
    """Fetch and load chosen records.

    Raises:
        SettingsError: a text cannot be a key, or the feed has no such resource.
    """
    with _mirror(settings, feed, "fetch", offline=False) as mirror, _keys_explained(feed):
        return fetching.fetch(mirror, _resource(mirror, resource), keys, rewrite=rewrite)


@contextmanager
def _mirror(settings: Settings, feed: FeedConfig, job: str, *, offline: bool) -> Iterator[Mirror]:
    account = Credentials("", "") if offline else credentials(feed)
    warehouse = Warehouse.open(settings.database_url)
    try:
        archive = Archive.from_uri(settings.archive_uri)
        with Mirror(feed, warehouse, archive, account, job=job) as mirror:
            yield mirror
    finally:
        warehouse.close()


@contextmanager
def _keys_explained(feed: FeedConfig) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise SettingsError(f"feed {feed.name!r}: {error}") from None


def _resource(mirror: Mirror, name: str) -> Resource:
    known = [LISTINGS, *(item for item in OTHERS if item.name in mirror.source.others)]
    found = next((item for item in known if item.name.lower() == name.lower()), None)
    if found is None:
        names = ", ".join(item.name for item in known)
        raise SettingsError(f"feed {mirror.feed.name!r}: no resource {name!r} (it has: {names})")
    return found


def as_json(seen: Seen) -> str:
    """Everything, for machines."""
    observed = seen.observed
    document = {
        "feed": seen.feed,
        "resource": seen.resource.name,
        "key": seen.key,
        "verdict": seen.verdict,
        "differences": seen.differences,
        "server": observed
        and {
            "pull_id": observed.pull_id,
            "requested_at": observed.requested_at,
            "returned": observed.result is not None,
            "problem": observed.problem,
            "content_hash": getattr(observed.result, "content_hash", None),
        },
        "rows": [
            {
                "table": row.table,
                "key": row.key,
                "state": row.state,
                "columns": {
                    item.column: {
                        "server": item.server,
                        "warehouse": item.warehouse,
                        "state": item.state,
                    }
                    for item in row.fields
                },
            }
            for row in seen.rows
        ],
        "warehouse": seen.record.rows,
        "ledger": seen.record.ledger,
        "tombstone": seen.record.tombstone,
        "history": seen.record.history,
        "images": seen.record.images,
        "quarantine": seen.record.quarantine,
        "pulls": seen.record.pulls,
    }
    return json.dumps(document, ensure_ascii=False, indent=1, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else str(value)


def tell(console: Console, seen: Seen, *, every: bool = False) -> None:
    """The same for people: what differs, or with ``every`` all values."""
    console.print(f"[bold]{seen.resource.name} {escape(seen.key)}[/] of feed {seen.feed}")
    for line in _heading(seen):
        console.print(line)
    for row in seen.rows:
        _tell_row(console, row, every=every)
    record = seen.record
    _facts(console, seen.resource.ledger.name, record.ledger)
    _facts(console, seen.resource.tombstones.name, record.tombstone)
    _rows(console, "history", record.history, _HISTORY)
    _rows(console, "images", record.images, _IMAGES)
    _rows(console, "quarantine", record.quarantine, _QUARANTINE)
    _rows(console, "pulls", record.pulls, _PULLS)


def _heading(seen: Seen) -> Iterator[str]:
    color = {"equal": "green", "differs": "red"}.get(seen.verdict, "yellow")
    count = f" Differences: {seen.differences}." if seen.verdict == "differs" else ""
    yield f"[{color}]{seen.verdict}[/]: {VERDICTS[seen.verdict]}{count}"
    observed = seen.observed
    if observed is None:
        yield "server: not asked, and no pull with this record is in the archive"
        return
    where = "asked just now" if observed.pull_id is None else f"pull {observed.pull_id}"
    what = "not returned" if observed.result is None else observed.problem or "returned"
    yield f"server: {where} ({_text(observed.requested_at)}): {escape(what)}"
    ledger = seen.record.ledger
    content = getattr(observed.result, "content_hash", None)
    if ledger is not None and content is not None and seen.verdict == "differs":
        if ledger["content_hash"] == content:
            yield (
                "The payload is the one that was loaded, so the mapping has changed since, or "
                "somebody wrote into the tables: replay its day, or `fetch --rewrite`."
            )
        else:
            yield "The payload has changed since it was loaded; the next sync or `fetch` loads it."


def _tell_row(console: Console, row: RowSeen, *, every: bool) -> None:
    shown = [item for item in row.fields if every or item.state != "equal"]
    if not shown or (row.state == "later" and not every):
        return
    console.print(f"\n[bold]{row.table}[/] {escape(row.key)}{_STATES[row.state]}")
    table = Table(show_edge=False, pad_edge=False)
    for name in ("", "column", "server", "warehouse"):
        table.add_column(name, overflow="fold")
    for item in shown:
        style = "red" if item.state == "differs" and row.state == "both" else ""
        table.add_row(
            _MARKS[item.state],
            item.column,
            escape(_text(item.server)),
            escape(_text(item.warehouse)),
            style=style,
        )
    console.print(table)


def _facts(console: Console, title: str, row: Mapping[str, Any] | None) -> None:
    if row is not None:
        console.print(f"\n[bold]{title}[/]")
        for name, value in row.items():
            if value is not None and name != "feed":
                console.print(f"  {name}: {escape(_text(value))}")


def _rows(
    console: Console, title: str, rows: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> None:
    console.print(f"\n[bold]{title}[/]: {len(rows) or 'none'}")
    if not rows:
        return
    table = Table(show_edge=False, pad_edge=False)
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")  # whole keys, to be copied
    for row in rows:
        table.add_row(*(escape(_text(row[name])) for name in names))
    console.print(table)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")
    return str(value)


def tell_fetched(console: Console, fetched: Sequence[Fetched]) -> None:
    """A line for each key."""
    for item in fetched:
        why = item.reason or OUTCOMES[item.outcome]
        console.print(f"{item.key}: {item.outcome} ({why})", markup=False, soft_wrap=True)


def fetched_as_json(fetched: Sequence[Fetched]) -> str:
    """The same for machines: an object for each key."""
    found = [{"key": item.key, "outcome": item.outcome, "reason": item.reason} for item in fetched]
    return json.dumps(found, ensure_ascii=False, indent=1)
