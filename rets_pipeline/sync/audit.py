"""Comparisons that change nothing.

What belongs here: parity with the server's newest master list, completeness of images. What does
not: repairs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from rets_pipeline.sync import master as masters
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.sync.quality import Verdict
from rets_pipeline.warehouse import audits, difference, media
from rets_pipeline.warehouse.difference import Parity
from rets_pipeline.warehouse.engine import transaction
from rets_pipeline.warehouse.media import Completeness
from rets_pipeline.warehouse.resources import LISTINGS, Resource


def parity(mirror: Mirror, resource: Resource = LISTINGS) -> Parity | None:
    """The warehouse against the newest master list, key by key; None without such a list."""
    master = masters.newest(mirror, resource)
    if master is None:
        return None
    with (
        transaction(mirror.connection) as connection,
        difference.loaded(connection, master.batches(mirror.archive)),
    ):
        return difference.parity(connection, mirror.feed.name, resource)


def keys_match_server(mirror: Mirror, resource: Resource = LISTINGS) -> Verdict:
    """Whether the warehouse has the keys of the newest master list, and no others."""
    found = parity(mirror, resource)
    if found is None:
        return Verdict(False, "no complete master list was seen yet", {})
    passed = found.missing == 0 and found.surplus == 0
    return Verdict(
        passed,
        f"all {found.live:,} {resource.kind} of the warehouse are on the server, and the reverse"
        if passed
        else f"{found.missing:,} {resource.kind} of the server are missing, and {found.surplus:,} "
        "of the warehouse are not on the server",
        asdict(found),
    )


@dataclass(frozen=True, slots=True)
class KeyByKey:
    """Parity with the newest master list, and the first keys that only one side has.

    Attributes:
        missing: in the warehouse; neither asked for in vain nor quarantined.
        surplus: on no server.
    """

    parity: Parity
    missing: list[str]
    surplus: list[str]


def key_by_key(mirror: Mirror, resource: Resource = LISTINGS, *, shown: int) -> KeyByKey | None:
    """As :func:`parity`, with the first keys themselves.

    Args:
        mirror: the run.
        resource: whose keys.
        shown: the most keys of each side.
    """
    master = masters.newest(mirror, resource)
    if master is None:
        return None
    feed = mirror.feed.name
    with (
        transaction(mirror.connection) as connection,
        difference.loaded(connection, master.batches(mirror.archive)),
    ):
        found = difference.parity(connection, feed, resource)
        missing, surplus = audits.keys_apart(connection, feed, resource, shown)
    return KeyByKey(found, missing, surplus)


def images(mirror: Mirror, resource: Resource = LISTINGS) -> Completeness:
    """What is held of the images that a resource's payloads name."""
    sizes = mirror.feed.photos.sizes
    with mirror.warehouse.reading() as connection:
        return media.completeness(connection, mirror.feed.name, sizes, resource)


def image_reasons(mirror: Mirror, resource: Resource = LISTINGS) -> dict[str, int]:
    """Why images are not held, the commonest reasons first, with the number of images."""
    with mirror.warehouse.reading() as connection:
        return media.reasons(connection, mirror.feed.name, resource)
