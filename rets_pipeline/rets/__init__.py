"""A RETS client: sessions, and search answers as streams with a proof of completeness.

What belongs here: the RETS protocol over HTTP and bytes. What does not: what any one server means
by its data, databases, and Dagster. It is a library of its own::

    from rets_pipeline.rets import Session

    with Session(login_url, username, password, user_agent="my-client/1.0") as session:
        arguments = {"SearchType": "Property", "Class": "Property", "QueryType": "DMQL2",
                     "Format": "STANDARD-XML", "Query": "(ID=*)", "Count": "1"}
        for record in session.search(arguments, record="Property"):
            print(record.get("ID"))

The modules, from the bottom: ``redaction``, ``errors``, ``reply_codes``, ``encodings`` and
``repair`` (bytes), ``envelope`` (the opening of an answer), ``search_answer`` with
``standard_xml``, ``attribute_answer`` and ``compact`` (search answers), ``paging`` (several of
them as one), ``capabilities``, ``authentication``, ``transport`` (HTTP), ``session``. Beside them
``metadata`` with
``metadata_reading``, ``metadata_loading`` and ``metadata_cache``, ``decoding`` (typed values),
``multipart``, ``images`` and ``objects``, ``dmql`` (queries).
"""

import importlib
from typing import TYPE_CHECKING, Any

from rets_pipeline.rets import dmql
from rets_pipeline.rets.attribute_answer import AttributeAnswer, read_attributes
from rets_pipeline.rets.capabilities import Capabilities
from rets_pipeline.rets.compact import CompactAnswer, QuarantinedRow, read_compact
from rets_pipeline.rets.decoding import CellFault, TableDecoder
from rets_pipeline.rets.errors import (
    ConfigurationFault,
    CountMismatch,
    CredentialsRefused,
    DataBroken,
    NotLoggedIn,
    NotRets,
    QueryRefused,
    RetryLater,
    RetsError,
    SplitRequest,
    Truncated,
)
from rets_pipeline.rets.metadata import (
    ALL_TYPES,
    Field,
    Lookup,
    Metadata,
    MetadataDocument,
    MetadataTable,
    Resource,
    ResourceClass,
)
from rets_pipeline.rets.metadata_cache import CachedMetadata, MetadataCache
from rets_pipeline.rets.metadata_loading import load_all_at_once, load_metadata
from rets_pipeline.rets.objects import ObjectAnswer, RetsObject
from rets_pipeline.rets.paging import search_all, search_keys, search_ranges
from rets_pipeline.rets.percent_encoding import percent_encode
from rets_pipeline.rets.standard_xml import SearchAnswer, read_search
from rets_pipeline.rets.user_agent import UserAgentAuthorization, UserAgentForm

if TYPE_CHECKING:
    from rets_pipeline.rets.session import Session
    from rets_pipeline.rets.session_state import SessionState
    from rets_pipeline.rets.transport import Cookie, RequestReport, SessionStatistics

__all__ = [
    "ALL_TYPES",
    "AttributeAnswer",
    "CachedMetadata",
    "Capabilities",
    "CellFault",
    "CompactAnswer",
    "ConfigurationFault",
    "Cookie",
    "CountMismatch",
    "CredentialsRefused",
    "DataBroken",
    "Field",
    "Lookup",
    "Metadata",
    "MetadataCache",
    "MetadataDocument",
    "MetadataTable",
    "NotLoggedIn",
    "NotRets",
    "ObjectAnswer",
    "QuarantinedRow",
    "QueryRefused",
    "RequestReport",
    "Resource",
    "ResourceClass",
    "RetryLater",
    "RetsError",
    "RetsObject",
    "SearchAnswer",
    "Session",
    "SessionState",
    "SessionStatistics",
    "SplitRequest",
    "TableDecoder",
    "Truncated",
    "UserAgentAuthorization",
    "UserAgentForm",
    "dmql",
    "load_all_at_once",
    "load_metadata",
    "percent_encode",
    "read_attributes",
    "read_compact",
    "read_search",
    "search_all",
    "search_keys",
    "search_ranges",
]

# An HTTP library is slow to import, and whoever reads archived answers needs none.
_WITH_HTTP = {
    "Cookie": "transport",
    "RequestReport": "transport",
    "Session": "session",
    "SessionState": "session_state",
    "SessionStatistics": "transport",
}


def __getattr__(name: str) -> Any:
    """Import what needs HTTP when it is asked for (PEP 562)."""
    if name not in _WITH_HTTP:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WITH_HTTP[name]}"), name)
