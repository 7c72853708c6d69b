"""I/O managers: they draw a stream and put it where it belongs.

What belongs here: the last step from an asset's stream into the archive or the warehouse, and
references to what lies there for assets downstream. What does not: counts (the asset reports
them) and whole feeds in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import dagster as dg

from rets_pipeline.orchestration import naming
from rets_pipeline.orchestration.failures import as_failures
from rets_pipeline.orchestration.resources import opened
from rets_pipeline.sync import apply, changes, master, pull
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.warehouse.resources import LISTINGS, OTHERS, Resource


@dataclass(frozen=True, slots=True)
class Stream:
    """What an asset returns: items that are made when they are drawn.

    Dagster takes a generator for several outputs, and no generic class for a type, so the
    iterator travels inside this.
    """

    items: Iterator[Any]


class Place(NamedTuple):
    """Where the stream of an asset goes.

    Attributes:
        store: draws the stream and keeps its items.
        load: the reference that assets downstream get.
    """

    store: Callable[[Mirror, Iterator[Any]], object]
    load: Callable[[Mirror], object]


class StreamIOManager(dg.IOManager):
    """Draws the streams of a feed's assets, each in its place of the archive or the warehouse.

    Args:
        mirror: the run's mirror.
    """

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def handle_output(self, context: dg.OutputContext, obj: Stream) -> None:
        """Keep everything; one stream may serve several partitions."""
        with as_failures():
            PLACES[context.asset_key.path[-1]].store(self._mirror, obj.items)

    def load_input(self, context: dg.InputContext) -> object:
        """A reference, never the content."""
        with as_failures():
            return PLACES[context.asset_key.path[-1]].load(self._mirror)


def _store_master_list(resource: Resource, mirror: Mirror, chunks: Iterator[master.Chunk]) -> None:
    master.store(mirror, chunks, resource)


def _store_pulls(mirror: Mirror, downloads: Iterator[pull.Download]) -> None:
    for download in downloads:
        pull.store(mirror, download)


def _apply_pulls(mirror: Mirror, pulls: Iterator[apply.ParsedPull]) -> None:
    for parsed in pulls:
        apply.apply(mirror, parsed)


def _newest_master_list(mirror: Mirror, resource: Resource = LISTINGS) -> master.MasterList:
    found = master.newest(mirror, resource)
    if found is None:
        raise dg.Failure(
            description=f"feed {mirror.feed.name!r}: no complete master list was fetched yet; "
            f"materialize {naming.master_list(resource)} first",
            allow_retries=False,
        )
    return found


def _nothing(mirror: Mirror) -> None:
    """Listings are read from the warehouse with SQL, and pulls by their manifests."""


#: by the asset's name, without its feed
PLACES: Mapping[str, Place] = {
    naming.MASTER_LIST: Place(master.store, _newest_master_list),
    naming.CHANGES: Place(changes.store, changes.newest),
    naming.RAW: Place(_store_pulls, _nothing),
    naming.LISTINGS: Place(_apply_pulls, _nothing),
    **{
        name: place
        for resource in OTHERS
        for name, place in (
            (
                naming.master_list(resource),
                Place(
                    partial(_store_master_list, resource),
                    partial(_newest_master_list, resource=resource),
                ),
            ),
            (naming.raw(resource), Place(_store_pulls, _nothing)),
            (resource.kind, Place(_apply_pulls, _nothing)),
        )
    },
}


def io_manager(feed: str) -> dg.IOManagerDefinition:
    """The I/O manager of a feed's assets.

    Args:
        feed: its name.
    """

    @dg.io_manager(required_resource_keys={naming.mirror_resource(feed)})
    def stream_io_manager(context: dg.InitResourceContext) -> StreamIOManager:
        return StreamIOManager(opened(context, feed))

    return stream_io_manager
