"""Deletions, and the guard before them.

What belongs here: whether the newest master list may delete. What does not: the statements.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from rets_pipeline.settings import DeletionGuard, FeedConfig
from rets_pipeline.sync import master as masters
from rets_pipeline.sync.mirror import Mirror, action
from rets_pipeline.warehouse import deletion, difference
from rets_pipeline.warehouse.deletion import Gone
from rets_pipeline.warehouse.engine import transaction
from rets_pipeline.warehouse.resources import LISTINGS, Resource


class GuardTripped(Exception):
    """So many records are gone that the server may have lost them; nothing was deleted.

    Attributes:
        feed: its name.
        gone: the numbers.
        resource: that they are of.
    """

    def __init__(self, feed: FeedConfig, gone: Gone, resource: Resource = LISTINGS) -> None:
        guard = feed.deletion_guard
        command = "sync" if resource is LISTINGS else "members"
        super().__init__(
            f"feed {feed.name!r}: {gone.live} of {gone.all_live} {resource.kind} are missing from "
            f"the master list, more than the deletion guard lets pass ({guard.keys}, and "
            f"{guard.share * 100:g} % of them); nothing was deleted, and all else goes on. If the "
            "server has lost them by mistake, do nothing: its next complete list has them again. "
            f"If they are really gone, run once with allow_deletions: {gone.live}, as in: "
            f"rets-pipeline {command} {feed.name} "
            f"--allow-deletions {gone.live}"
        )
        self.feed = feed.name
        self.gone = gone
        self.resource = resource


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a deletion did."""

    keys: int
    live_before: int


def refuses(guard: DeletionGuard, gone: Gone, allowed: int) -> bool:
    """Whether the guard trips: the gone records exceed **both** its numbers.

    Args:
        allowed: the largest number that the operator allows for this run.
    """
    # The decimal that was written, not its binary neighbour: exactly the share is no excess.
    over_share = gone.live > Fraction(str(guard.share)) * gone.all_live
    return gone.live > allowed and gone.live > guard.keys and over_share


def delete_gone(mirror: Mirror, resource: Resource = LISTINGS, *, allowed: int = 0) -> Deleted:
    """Remove what the newest complete master list lacks. Without such a list, nothing.

    Raises:
        GuardTripped: too many are gone; nothing was deleted.
    """
    master = masters.newest(mirror, resource)
    if master is None:
        return Deleted(0, 0)
    with (
        transaction(mirror.connection) as connection,
        difference.loaded(connection, master.batches(mirror.archive)),
    ):
        gone = deletion.count(connection, mirror.feed.name, resource)
        if refuses(mirror.feed.deletion_guard, gone, allowed):
            raise GuardTripped(mirror.feed, gone, resource)
        removed = deletion.remove(connection, master.pull, resource)
    mirror.note(action(resource, "deletions"), gone=removed)
    return Deleted(removed, gone.all_live)
