"""Where an asset is explained, and where its code is.

What belongs here: links from assets to the documents of the repository and to its code. What does
not: what the documents and the descriptions say.

The repository's address is a setting: nothing in the project knows where a deployment's copy is
kept. Without it, the documents are named, and code references name the files of this machine.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, cast

import dagster as dg

import rets_pipeline
from rets_pipeline.orchestration import naming
from rets_pipeline.settings import Settings
from rets_pipeline.warehouse.resources import LISTINGS, OTHERS

#: title, file and the heading's anchor in it
Document = tuple[str, str, str]

ASSETS: Document = ("What the assets mean", "README.md", "what-the-assets-mean")
WAREHOUSE: Document = ("The warehouse", "README.md", "the-warehouse")
MAPPING: Document = ("Where every element of a record goes", "docs/mapping-ddf.md", "")
SERVERS: Document = ("What real servers do wrong", "docs/rets.md", "")

_LOADED = (ASSETS, WAREHOUSE, MAPPING)
_FETCHED = (ASSETS, SERVERS)
#: what explains an asset, by its name; all others have the first document only
DOCUMENTS: Mapping[str, tuple[Document, ...]] = {
    **{resource.kind: _LOADED for resource in (LISTINGS, *OTHERS)},
    **{naming.raw(resource): _FETCHED for resource in (LISTINGS, *OTHERS)},
    **{naming.master_list(resource): _FETCHED for resource in (LISTINGS, *OTHERS)},
}


def explained(
    assets: Sequence[dg.AssetsDefinition], settings: Settings
) -> Sequence[dg.AssetsDefinition]:
    """The assets with links to what explains them and to their code."""
    if settings.repository_url:
        assets = _linked(assets, settings)

    def described(spec: dg.AssetSpec) -> dg.AssetSpec:
        documents = DOCUMENTS.get(spec.key.path[-1], (ASSETS,))
        links = " · ".join(link(document, settings) for document in documents)
        return spec.replace_attributes(description=f"{spec.description}\n\n{links}")

    return list(dg.map_asset_specs(described, assets))


def _linked(
    assets: Sequence[dg.AssetsDefinition], settings: Settings
) -> Sequence[dg.AssetsDefinition]:
    """References to code as addresses in the repository."""
    with warnings.catch_warnings():
        # References to code are marked as beta; what they show is no part of any run.
        warnings.filterwarnings("ignore", category=dg.BetaWarning)
        linked = dg.link_code_references_to_git(
            assets,
            git_url=settings.repository_url,
            git_branch=settings.repository_branch,
            platform=_platform(settings.repository_url),
            file_path_mapping=dg.AnchorBasedFilePathMapping(
                # The package, wherever it is installed: a checkout or a wheel.
                local_file_anchor=Path(rets_pipeline.__file__).parent,
                file_anchor_path_in_repository=rets_pipeline.__name__,
            ),
        )
    return cast("Sequence[dg.AssetsDefinition]", linked)


def link(document: Document, settings: Settings) -> str:
    """A document in Markdown: a link when the repository's address is known, else its name."""
    title, file, anchor = document
    url = settings.repository_url
    if not url:
        return f"{file}, *{title}*"
    pages = "/-/blob/" if _platform(url) == "gitlab" else "/blob/"
    place = f"{url}{pages}{settings.repository_branch}/{file}"
    return f"[{title}]({place}{'#' if anchor else ''}{anchor})"


def _platform(url: str) -> Literal["github", "gitlab"]:
    """Whose addresses the repository's host has; most others have GitHub's."""
    return "gitlab" if "gitlab" in url else "github"
