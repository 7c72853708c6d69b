"""The accounts of feeds.

What belongs here: reading them from the environment, at the moment when they are needed. What does
not: what is done with them.
"""

from __future__ import annotations

import os

from rets_pipeline.settings import FeedConfig, SettingsError
from rets_pipeline.sync.mirror import Credentials


def credentials(feed: FeedConfig) -> Credentials:
    """The feed's account, from the environment.

    Raises:
        SettingsError: a variable is missing; the message names it.
    """
    found = []
    for name in (feed.username_variable, feed.password_variable):
        value = os.environ.get(name)
        if not value:
            raise SettingsError(
                f"feed {feed.name!r}: the variable {name} is not set (put it into the environment "
                "or into .env)"
            )
        found.append(value)
    return Credentials(*found)
