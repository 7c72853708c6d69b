"""Which source a feed's ``source`` setting names.

What belongs here: the list of sources. What does not: the sources.
"""

from __future__ import annotations

from rets_pipeline.sources.base import Source
from rets_pipeline.sources.ddf import DdfSource


def source_for(feed_source: str, *, culture: str | None = None) -> Source:
    """The source of that name.

    Args:
        feed_source: ``source`` in ``feeds.yaml``.
        culture: the language of texts, where a source has several.

    Raises:
        ValueError: there is none of that name.
    """
    if feed_source == "ddf":
        return DdfSource(culture)
    raise ValueError(f"no source is named {feed_source!r} (there is: ddf)")
