"""Chosen records, fetched again now.

What belongs here: a pull of some keys, through archive and load as in every sync, and what became
of each. What does not: the steps themselves.

A key that a master list of just now lacks is not asked for: what came of it would be deleted by the
next sync.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from rets_pipeline.sync import apply, master, pull
from rets_pipeline.sync.mirror import Mirror, action
from rets_pipeline.sync.pull import Keys, Plan
from rets_pipeline.warehouse.engine import transaction
from rets_pipeline.warehouse.load import Counts
from rets_pipeline.warehouse.resources import Resource

_KEYS_AT_ONCE = 500

#: what may become of a key
OUTCOMES = {
    "new": "loaded, and not there before",
    "changed": "loaded, and something else than before",
    "unchanged": "the server says what was there already",
    "not offered": "the server's master list lacks it, so it was not asked for",
    "not returned": "asked for, and not in the answer; tried again later",
    "quarantined": "returned, and not understood; the quarantine tells why",
    "not loaded": "in the archive, and the pull could not be loaded",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of one key.

    Attributes:
        outcome: one of :data:`OUTCOMES`.
        reason: why a pull could not be loaded.
    """

    key: str
    outcome: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Held:
    pull_id: str
    content_hash: str | None
    state: str


def fetch(
    mirror: Mirror, resource: Resource, keys: Sequence[str], *, rewrite: bool = False
) -> list[Fetched]:
    """Fetch and load some records now, whatever the ledger says of them.

    Whatever else waits in the archive is loaded before, in the order of the requests.

    Args:
        keys: the server's own.
        rewrite: write the rows although the content is what was loaded before.

    Returns:
        One for each key, in the order given.

    Raises:
        ValueError: something among them cannot be a key.
        LockHeld: another run on the feed did not end in time.
        RetsError: the server refused or answered nonsense.
    """
    for key in keys:
        mirror.source_of(resource).detail_search([key])
    wanted = _offered(mirror, resource, keys)
    before = _held(mirror, resource, wanted)
    stored = {}
    for download in pull.fetch(mirror, _plan(mirror, resource, wanted)):
        found = pull.store(mirror, download)
        stored.update(dict.fromkeys(download.keys, found.pull.pull_id))
    mirror.note(action(resource, "pulls"), asked=len(wanted), pulls=len(set(stored.values())))
    reasons = _load(mirror, resource, set(stored.values()), rewrite=rewrite)
    after = _held(mirror, resource, wanted)
    return [
        _outcome(key, before.get(key), after.get(key), reasons.get(stored[key]))
        if key in stored
        else Fetched(key, "not offered")
        for key in dict.fromkeys(keys)
    ]


def _offered(mirror: Mirror, resource: Resource, keys: Iterable[str]) -> Keys:
    """The keys that the server offers, with their timestamps: from a new list if need be."""
    every = set(keys)
    listed, is_new = master.fresh(mirror, resource)
    found = _timestamps(mirror, resource, listed, every)
    if found.keys() != every and not is_new:
        listed = master.store(mirror, master.request(mirror, resource), resource)
        found = _timestamps(mirror, resource, listed, every)
    return found


def _timestamps(
    mirror: Mirror, resource: Resource, listed: master.MasterList, keys: set[str]
) -> Keys:
    wanted = pa.array(sorted(keys), pa.string())
    found: Keys = {}
    for batch in listed.batches(mirror.archive):
        named = batch.filter(pc.is_in(batch[resource.key], wanted))
        moments = named["modification_timestamp"].to_pylist()
        found.update(zip(named[resource.key].to_pylist(), moments, strict=True))
    return found


def _plan(mirror: Mirror, resource: Resource, keys: Keys) -> Plan:
    days: dict[date | None, Keys] = {}
    for key, at in keys.items():
        days.setdefault(pull.day_for(mirror, resource, at), {})[key] = at
    return Plan(days, Counter(chosen=len(keys)), 0, Counter(), resource)


def _load(
    mirror: Mirror, resource: Resource, ours: set[str], *, rewrite: bool
) -> dict[str, str | None]:
    """Load what waits.

    Returns:
        Why pulls could not be loaded, by their ids.
    """
    due = apply.due(mirror, resource)
    parts = (
        ([one for one in due if one.pull.pull_id not in ours], False),
        ([one for one in due if one.pull.pull_id in ours], rewrite),
    )
    loaded = []
    for manifests, replay in parts:
        for parsed in apply.parse(mirror, manifests, resource, replay=replay):
            apply.apply(mirror, parsed)
            loaded.append(parsed)
    counts = apply.total(loaded)
    mirror.note(
        resource.kind,
        pulls=len(loaded),
        **{name: getattr(counts, name) for name in Counts.__slots__},
    )
    return {one.manifest.pull.pull_id: one.reason for one in loaded}


def _held(mirror: Mirror, resource: Resource, keys: Iterable[str]) -> dict[str, _Held]:
    ledger, every = resource.ledger, list(keys)
    column = resource.key_in(ledger)
    found: dict[str, _Held] = {}
    with transaction(mirror.connection) as connection:
        for start in range(0, len(every), _KEYS_AT_ONCE):
            some = every[start : start + _KEYS_AT_ONCE]
            rows = connection.execute(
                sa.select(column, ledger.c.pull_id, ledger.c.content_hash, ledger.c.state).where(
                    resource.rows_in(ledger, mirror.feed.name), column.in_(some)
                )
            )
            found.update({key: _Held(*values) for key, *values in rows})
    return found


def _outcome(key: str, before: _Held | None, after: _Held | None, reason: str | None) -> Fetched:
    if reason is not None or after is None:
        return Fetched(key, "not loaded", reason)
    if after.state != "loaded":
        return Fetched(key, after.state.replace("_", " "))
    if before is None or before.content_hash is None:
        return Fetched(key, "new")
    same = before.state in ("loaded", "stale") and before.content_hash == after.content_hash
    return Fetched(key, "unchanged" if same else "changed")
