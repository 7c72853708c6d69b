"""A RETS client: sessions, and search answers as streams with a proof of completeness.

What belongs here: the RETS protocol over HTTP and bytes. What does not: what any one server means
by its data, databases, and Dagster. It is a library of its own::

    from rets_pipeline.rets import Session

    with Session(login_url, username, password, user_agent="my-client/1.0") as session:
        arguments = {"SearchType": "Property", "Class": "Property", "QueryType": "DMQL2",
                     "Format": "STANDARD-XML", "Query": "(ID=*)", "Count": "1"}
        for record in session.search(arguments, record="Property"):
            print(record.get("ID"))

The modules, from the bottom: ``redaction``, ``errors``, ``reply_codes``, ``envelope`` (the opening
of an answer), ``standard_xml`` (search answers), ``capabilities``, ``authentication``,
``transport`` (HTTP), ``session``.
"""

from rets_pipeline.rets.capabilities import Capabilities
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
from rets_pipeline.rets.session import Session
from rets_pipeline.rets.standard_xml import SearchAnswer, read_search
from rets_pipeline.rets.transport import RequestReport, SessionStatistics

__all__ = [
    "Capabilities",
    "ConfigurationFault",
    "CountMismatch",
    "CredentialsRefused",
    "DataBroken",
    "NotLoggedIn",
    "NotRets",
    "QueryRefused",
    "RequestReport",
    "RetryLater",
    "RetsError",
    "SearchAnswer",
    "Session",
    "SessionStatistics",
    "SplitRequest",
    "Truncated",
    "read_search",
]
