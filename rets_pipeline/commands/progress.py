"""Progress bars.

What belongs here: a bar for each long phase on a terminal, lines elsewhere (if
``RETS_PIPELINE_LOG`` asks for them). What does not: what the phases do.
"""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self

import dagster as dg
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as Bars,
)

from rets_pipeline.logs import event
from rets_pipeline.sync.mirror import Progress
from rets_pipeline.sync.progress import PacedProgress

logger = logging.getLogger(__name__)


class TerminalProgress:
    """The resource ``progress`` of a run in this process: bars on a terminal, else lines."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description:12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def of(self, context: dg.AssetExecutionContext) -> Progress:
        """A bar for each phase that an asset's run tells of, or now and then a line."""
        if self._bars.disable:
            return PacedProgress(lambda _, fields: event(logger, **fields))
        return self.tell

    def tell(self, phase: str, done: int, total: int | None) -> None:
        """Move the phase's bar."""
        if phase not in self._tasks:
            self._tasks[phase] = self._bars.add_task(phase, total=total)
        self._bars.update(self._tasks[phase], completed=done, total=total)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.stop()
