"""Interrupts that are not lost.

What belongs here: sending again what Python swallowed. What does not: what an interrupted run still
does.

Dagster's handler of SIGINT and SIGTERM raises. Python ignores what is raised in a callback of a
weak reference, and a collection of garbage calls many: an interrupt that came at that moment would
be lost, and the run would go on to its end.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_INTERRUPTS = (dg.DagsterExecutionInterruptedError, KeyboardInterrupt)
#: until the callback, and the collection that called it, have ended; else it is sent once more
_SECONDS = 0.05


@contextmanager
def sent_again() -> Iterator[None]:
    """While this lasts, an interrupt that Python ignored is sent to the main thread again."""
    before = sys.unraisablehook
    pending: list[threading.Timer] = []

    def ignored(fault: "UnraisableHookArgs") -> None:
        if not isinstance(fault.exc_value, _INTERRUPTS):
            before(fault)
            return
        timer = threading.Timer(_SECONDS, _interrupt)
        timer.daemon = True
        pending.append(timer)
        timer.start()

    sys.unraisablehook = ignored
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in pending:
            timer.cancel()


def _interrupt() -> None:
    thread = threading.main_thread().ident
    if thread is not None:
        signal.pthread_kill(thread, signal.SIGINT)
