"""How commands fail.

What belongs here: exit statuses, and the faults of commands themselves. What does not: which fault
of other packages has which status (``cli``), and anything that is slow to import.
"""

from __future__ import annotations

#: exit status when a run failed, when nothing could run as configured, when a lock is held, and
#: the shell's own for Ctrl-C
FAILED, UNUSABLE, LOCKED, INTERRUPTED = 1, 2, 3, 130


class RunFailed(Exception):
    """A run failed; the message is one line.

    Attributes:
        status: the exit status that says of which kind the failure is.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class DemoFailed(Exception):
    """The mirror is not what the server has; the message says where."""
