"""Small documents about a feed that outlive runs.

What belongs here: keeping a JSON document in the archive, below ``metadata/<feed>/``. What does
not: what stands in it.

They are in the archive and not in Dagster's event log, which is pruned, nor in a table: nothing
asks for a part of them.
"""

from __future__ import annotations

import json
from typing import Any

from rets_pipeline.archive import NotInArchive
from rets_pipeline.sync.mirror import Mirror


def read(mirror: Mirror, name: str) -> dict[str, Any]:
    """The document of that name; empty when there is none, or none that can be read."""
    try:
        found = json.loads(mirror.archive.get(_key(mirror, name)))
    except (NotInArchive, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(mirror: Mirror, name: str, content: dict[str, Any]) -> None:
    """Keep a document in place of the one before."""
    data = json.dumps(content, ensure_ascii=False, sort_keys=True).encode()
    mirror.archive.put(_key(mirror, name), data)


def _key(mirror: Mirror, name: str) -> str:
    return f"metadata/{mirror.feed.name}/{name}.json"
