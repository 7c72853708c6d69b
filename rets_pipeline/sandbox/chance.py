"""Where chance comes from: generators that depend on names, never on what was drawn before.

What belongs here: the one way to make a seeded generator. What does not: what is drawn with it.
"""

from __future__ import annotations

from random import Random


def chance(*name: object) -> Random:
    """A generator of its own for a named purpose; the same name gives the same numbers.

    Args:
        name: seed, key, purpose, version and the like; joined as text.
    """
    # Random hashes text by SHA-512, so that it does not depend on PYTHONHASHSEED.
    return Random(":".join(map(str, name)))
