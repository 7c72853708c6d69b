"""A sync in a process of its own, to be killed at any moment.

What belongs here: that process, and starting it quickly. What does not: when it is killed, and
what must hold afterwards.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess

from rets_pipeline.archive import Archive
from rets_pipeline.rets import RetsError
from rets_pipeline.settings import FeedConfig
from rets_pipeline.sync.addresses import mirror_addresses
from rets_pipeline.sync.delete import GuardTripped
from rets_pipeline.sync.images import mirror_images, with_images
from rets_pipeline.sync.mirror import Credentials, Mirror
from rets_pipeline.sync.run import PullsFailed, sync
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.resources import OTHERS

#: exit statuses: everything was done; the server's fault ended it
DONE, FAILED = 0, 4


def _members(mirror: Mirror) -> None:
    for resource in OTHERS:
        sync(mirror, resource)


def _images(mirror: Mirror) -> None:
    for resource in with_images(mirror):
        mirror_images(mirror, resource)


_STEPS: Mapping[str, Callable[[Mirror], object]] = {
    "sync": sync,
    "members": _members,
    "images": _images,
    "addresses": mirror_addresses,
}


@dataclass(frozen=True)
class Place:
    """What a run needs to know; it travels to another process."""

    feed: FeedConfig
    username: str
    password: str
    database_url: str
    archive_uri: str
    environ: Mapping[str, str]


def run(place: Place, kind: str) -> int:
    """One sync of listings, or of members and offices, or one batch of images or addresses.

    Args:
        kind: ``sync``, ``members``, ``images`` or ``addresses``.

    Returns:
        The exit status. Anything that a server's fault cannot explain is raised.
    """
    os.environ.update(place.environ)
    warehouse = Warehouse.open(place.database_url)
    archive = Archive.from_uri(place.archive_uri)
    account = Credentials(place.username, place.password)
    try:
        with Mirror(place.feed, warehouse, archive, account, job=kind) as mirror:
            _STEPS[kind](mirror)
    except (RetsError, PullsFailed, GuardTripped):
        return FAILED
    finally:
        warehouse.close()
    return DONE


def start(place: Place, kind: str) -> ForkServerProcess:
    """Begin a run. Its modules are imported once, by a server that it is forked from."""
    process = _context().Process(target=_main, args=(place, kind), daemon=True)
    process.start()
    return process


def _main(place: Place, kind: str) -> None:
    sys.exit(run(place, kind))


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context
