"""The server's own lists of lookup values, which tell where one value ends and the next begins.

What belongs here: asking for them now and then, keeping them, and teaching them to the source.
What does not: how a source splits texts.

They are kept in the archive, so that a replay knows them without the server.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rets_pipeline.archive import NotInArchive
from rets_pipeline.rets import Metadata, RetsError
from rets_pipeline.sync.mirror import Mirror

logger = logging.getLogger(__name__)

#: values are added a few times a year
MOST_AGE: Final = timedelta(days=1)

Lookups = Mapping[str, list[str]]


def refresh(mirror: Mirror, now: datetime | None = None) -> bool:
    """Ask the server, unless that was done within :data:`MOST_AGE`. One request (DDF: ``*``).

    A server that has no such metadata is no reason to fetch no listings: what the source knows by
    itself goes on to count.

    Args:
        now: the time, for tests.

    Returns:
        Whether the server answered.
    """
    now = now or datetime.now(UTC)
    kept = _kept(mirror)
    if kept is not None and now - datetime.fromisoformat(kept["checked_at"]) < MOST_AGE:
        return False
    try:
        document = mirror.session().get_metadata("METADATA-LOOKUP_TYPE", "*", "STANDARD-XML")
    except RetsError as error:
        logger.warning("feed %s: the lookups could not be asked for: %s", mirror.feed.name, error)
        return False
    found = _values(Metadata(document.tables, document.problems))
    content = {"checked_at": now.isoformat(), "lookups": found}
    mirror.archive.put(_key(mirror), json.dumps(content, indent=1, sort_keys=True).encode())
    return True


def teach(mirror: Mirror) -> None:
    """Let the mirror's source know what is kept."""
    kept = _kept(mirror)
    if kept is not None and kept["lookups"]:
        mirror.source = mirror.source.taught(kept["lookups"])


def kept(mirror: Mirror) -> Lookups:
    """What the server's lookups had when it was asked last; empty when it never was."""
    found = _kept(mirror)
    return found["lookups"] if found is not None else {}


def _values(metadata: Metadata) -> dict[str, list[str]]:
    """All values by lookup; resources that share a lookup's name share its values."""
    found: dict[str, list[str]] = {}
    for resource in metadata.resources.values():
        for lookup in resource.lookups.values():
            texts = found.setdefault(lookup.name, [])
            new = (value.long_value for value in lookup.values)
            texts += [text for text in new if text and text not in texts]
    return found


def _kept(mirror: Mirror) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(mirror.archive.get(_key(mirror)))
    except NotInArchive:
        return None
    return content


def _key(mirror: Mirror) -> str:
    return f"metadata/{mirror.feed.name}/lookups.json"
