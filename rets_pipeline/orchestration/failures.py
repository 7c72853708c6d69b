"""Faults as Dagster sees them.

What belongs here: which errors become a :class:`dagster.Failure` with one plain line, and whether
a retry could help. What does not: retries themselves; transport retries are the client's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from rets_pipeline.archive import ArchiveError
from rets_pipeline.rets import DataBroken, RetryLater, RetsError
from rets_pipeline.settings import SettingsError
from rets_pipeline.sync.delete import GuardTripped
from rets_pipeline.sync.master import BrokenMasterList
from rets_pipeline.sync.pull import BrokenPull
from rets_pipeline.warehouse.engine import WarehouseError
from rets_pipeline.warehouse.locks import LockHeld

#: metadata of a failure: the error's class, for callers in the same process
CAUSE = "cause"

_EXPECTED = (
    RetsError,
    ArchiveError,
    WarehouseError,
    LockHeld,
    SettingsError,
    GuardTripped,
    BrokenMasterList,
    BrokenPull,
)


@contextmanager
def as_failures() -> Iterator[None]:
    """Turn the errors that the mirror expects into failures; others pass as they are."""
    try:
        yield
    except _EXPECTED as error:
        raise dg.Failure(
            description=str(error),
            metadata={CAUSE: type(error).__name__},
            allow_retries=isinstance(error, (RetryLater, DataBroken, ArchiveError, WarehouseError)),
        ) from error
