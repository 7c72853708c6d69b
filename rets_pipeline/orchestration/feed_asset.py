"""What all assets of a feed have in common.

What belongs here: the decorator that names, groups and tags them. What does not: assets.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from types import CodeType
from typing import Any, cast

import dagster as dg

from rets_pipeline.orchestration import naming
from rets_pipeline.settings import FeedConfig


class Kinds:
    """The tags that tell what an asset is made of.

    Args:
        database: ``postgres`` or ``sqlite``.
        archive: ``s3`` or ``file``.
    """

    def __init__(self, database: str, archive: str) -> None:
        self.database = database
        self.archive = archive


def feed_asset(
    feed: FeedConfig, name: str, pool: str, **own: Any
) -> Callable[[Callable[..., object]], dg.AssetsDefinition]:
    """``dg.asset`` with what all assets of a feed have in common."""
    metadata = own.pop("metadata", {})

    def decorate(function: Callable[..., object]) -> dg.AssetsDefinition:
        with warnings.catch_warnings():
            # One run for a range of days needs this parameter, which still carries the mark.
            warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
            decorator = dg.asset(
                key=naming.asset_key(feed.name, name),
                group_name=feed.name,
                owners=list(feed.owners),
                pool=pool,
                required_resource_keys={naming.mirror_resource(feed.name), "progress"},
                tags={"rets/source": feed.source, "rets/protocol": feed.protocol},
                metadata={**metadata, **_code_reference(function.__code__)},
                **own,
            )
        return cast("dg.AssetsDefinition", decorator(function))

    return decorate


@cache
def _code_reference(code: CodeType) -> Mapping[str, Any]:
    """Where an asset's function is, for the UI.

    ``dg.with_source_code_references`` finds the same, and reads and parses the file for each asset
    of each feed.
    """
    with warnings.catch_warnings():
        # References to code are marked as beta; what they show is no part of any run.
        warnings.filterwarnings("ignore", category=dg.BetaWarning)
        place = dg.LocalFileCodeReference(
            file_path=code.co_filename, line_number=code.co_firstlineno
        )
        references = dg.CodeReferencesMetadataValue(code_references=[place])
        return {"dagster/code_references": references}
