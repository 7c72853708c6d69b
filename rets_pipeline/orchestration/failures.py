"""Faults as Dagster sees them.

What belongs here: which errors become a :class:`dagster.Failure` with one plain line, and whether
a retry could help. What does not: retries themselves; transport retries are the client's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from rets_pipeline.archive import ArchiveError
from rets_pipeline.orchestration import naming
from rets_pipeline.rets import DataBroken, RetryLater, RetsError
from rets_pipeline.settings import SettingsError
from rets_pipeline.sync.delete import GuardTripped
from rets_pipeline.sync.master import BrokenMasterList
from rets_pipeline.sync.pull import BrokenPull
from rets_pipeline.warehouse.engine import WarehouseError
from rets_pipeline.warehouse.locks import LockHeld
from rets_pipeline.warehouse.resources import LISTINGS

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
            metadata={CAUSE: type(error).__name__, **_help_with(error)},
            allow_retries=isinstance(error, (RetryLater, DataBroken, ArchiveError, WarehouseError)),
        ) from error


def _help_with(error: Exception) -> dict[str, Any]:
    """Of a guard that tripped: the numbers, and what to paste into the UI's launchpad."""
    if not isinstance(error, GuardTripped):
        return {}
    asset = naming.DELETED if error.resource is LISTINGS else error.resource.kind
    op = naming.op_name(error.feed, asset)
    configuration = f"ops:\n  {op}:\n    config:\n      allow_deletions: {error.gone.live}\n"
    return {
        "gone": error.gone.live,
        "live": error.gone.all_live,
        "to_let_them_go_once": dg.MetadataValue.md(
            f"Choose *Materialize*, *Open launchpad* on `{asset}`, with this configuration:\n\n"
            f"```yaml\n{configuration}```"
        ),
    }
