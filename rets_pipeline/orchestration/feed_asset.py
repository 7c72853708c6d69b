"""What all assets of a feed have in common.

What belongs here: the decorator that names, groups, tags and explains them. What does not: assets.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, cast

import dagster as dg

from rets_pipeline.orchestration import documentation, naming, signatures
from rets_pipeline.settings import FeedConfig, Settings


@dataclass(frozen=True, slots=True)
class Deployment:
    """What assets tell of the place where they run.

    Attributes:
        database: ``postgres`` or ``sqlite``, the tag of what is kept in the warehouse.
        archive: ``s3`` or ``file``, the tag of what is kept in the archive.
        settings: where documents and code are shown.
    """

    database: str
    archive: str
    settings: Settings

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """By the addresses of the warehouse and of the archive."""
        return cls(
            database="sqlite" if settings.database_url.startswith("sqlite") else "postgres",
            archive="s3" if settings.archive_uri.startswith("s3:") else "file",
            settings=settings,
        )


def feed_asset(
    feed: FeedConfig, deployment: Deployment, name: str, pool: str, *, description: str, **own: Any
) -> Callable[[Callable[..., object]], dg.AssetsDefinition]:
    """``dg.asset`` with what all assets of a feed have in common.

    Everything is said at once: each change of a definition that Dagster has made is a new
    definition, and with fifty feeds there are hundreds.
    """
    metadata = own.pop("metadata", {})
    settings = deployment.settings

    def decorate(function: Callable[..., object]) -> dg.AssetsDefinition:
        references = documentation.code_references(
            function.__code__, settings.repository_url, settings.repository_branch
        )
        with warnings.catch_warnings():
            # One run for a range of days needs this parameter, which still carries the mark.
            warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
            decorator = dg.asset(
                key=naming.asset_key(feed.name, name),
                group_name=feed.name,
                owners=list(feed.owners),
                pool=pool,
                required_resource_keys={naming.mirror_resource(feed.name), naming.PROGRESS},
                tags={"rets/source": feed.source, "rets/protocol": feed.protocol},
                description=documentation.explained(name, description, settings),
                metadata={**metadata, **references},
                **own,
            )
        return cast("dg.AssetsDefinition", decorator(signatures.kept(function)))

    return decorate
