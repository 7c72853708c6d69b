"""Where an asset is explained, and where its code is.

What belongs here: links from assets to the documents of the repository and to its code. What does
not: what the documents and the descriptions say.

The repository's address is a setting: nothing in the project knows where a deployment's copy is
kept. Without it, the documents are named, and code references name the files of this machine.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any, Literal

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


def explained(name: str, description: str, settings: Settings) -> str:
    """An asset's description, with links to the documents that explain it.

    Args:
        name: the asset's, without its feed.
        description: what it is.
        settings: where the repository is shown.
    """
    documents = DOCUMENTS.get(name, (ASSETS,))
    return f"{description}\n\n{' · '.join(link(document, settings) for document in documents)}"


@cache
def code_references(code: CodeType, url: str, branch: str) -> Mapping[str, Any]:
    """Where an asset's function is: in the repository, or, when it is shown nowhere, in a file.

    Dagster's ``with_source_code_references`` and ``link_code_references_to_git`` find the same,
    reading and parsing the file for each asset of each feed.

    Args:
        code: the function's.
        url: where the repository is shown to people; empty: nowhere.
        branch: the one that is deployed.
    """
    with warnings.catch_warnings():
        # References to code are marked as beta; what they show is no part of any run.
        warnings.filterwarnings("ignore", category=dg.BetaWarning)
        place: dg.LocalFileCodeReference | dg.UrlCodeReference
        if url:
            # The package, wherever it is installed: a checkout or a wheel.
            file = Path(code.co_filename).relative_to(Path(rets_pipeline.__file__).parents[1])
            pages = _pages("tree", url, branch)
            place = dg.UrlCodeReference(url=f"{pages}/{file.as_posix()}#L{code.co_firstlineno}")
        else:
            place = dg.LocalFileCodeReference(
                file_path=code.co_filename, line_number=code.co_firstlineno
            )
        references = dg.CodeReferencesMetadataValue(code_references=[place])
        return {"dagster/code_references": references}


def link(document: Document, settings: Settings) -> str:
    """A document in Markdown: a link when the repository's address is known, else its name."""
    title, file, anchor = document
    url = settings.repository_url
    if not url:
        return f"{file}, *{title}*"
    place = f"{_pages('blob', url, settings.repository_branch)}/{file}"
    return f"[{title}]({place}{'#' if anchor else ''}{anchor})"


def _pages(kind: Literal["blob", "tree"], url: str, branch: str) -> str:
    """Where files of a branch are shown: GitLab's addresses, or GitHub's, as most others have."""
    return f"{url}{'/-' if 'gitlab' in url else ''}/{kind}/{branch}"
