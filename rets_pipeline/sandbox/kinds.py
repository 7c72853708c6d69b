"""What changes of listings, agents and offices have in common.

What belongs here: the kinds that all of them have, and the refusal. What does not: any effect.
"""

from __future__ import annotations

#: kinds that need nobody, or one that is gone
ADDED, REMOVED, RESTORED = "added", "removed", "restored"


class ChangeError(ValueError):
    """The change cannot be made; the message says why."""
