"""Comparisons that change nothing.

What belongs here: parity with the server's newest master list, completeness of images. What does
not: repairs.
"""

from __future__ import annotations

from rets_pipeline.sync import master as masters
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.warehouse import difference, media
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


def images(mirror: Mirror) -> Completeness:
    """What is held of the images that payloads name."""
    with mirror.warehouse.reading() as connection:
        return media.completeness(connection, mirror.feed.name, mirror.feed.photos.sizes)
