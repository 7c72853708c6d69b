"""RETS reply codes and what each asks of the caller.

What belongs here: one table from reply code to meaning and to the exception's class (RETS 1.7.2,
the reply code tables of each transaction; RETS 1.8 adds a few). What does not: HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rets_pipeline.rets.errors import (
    CredentialsRefused,
    NotLoggedIn,
    QueryRefused,
    RetryLater,
    RetsError,
    SplitRequest,
)

SUCCESS: Final = 0

#: "No records found": an empty answer, not an error.
NO_RECORDS_FOUND: Final = 20201

#: "No object found": nothing is there, which is no failure.
NO_OBJECT_FOUND: Final = 20403

#: "No metadata found": the class has no such metadata, say.
NO_METADATA_FOUND: Final = 20503

#: What says that there is nothing, by transaction: an empty answer, not an error.
NOTHING_FOUND: Final[Mapping[str, int]] = {
    "Search": NO_RECORDS_FOUND,
    "GetObject": NO_OBJECT_FOUND,
    "GetMetadata": NO_METADATA_FOUND,
}

#: A server that refuses one format of the metadata so may still offer the other.
OTHER_METADATA_FORMAT: Final = frozenset({20501, 20502, 20506, 20513, 20514})

#: "Maximum Records Exceeded": by RETS 1.7.2 a success that was cut; many servers refuse with it.
MAXIMUM_EXCEEDED: Final = 20208

#: "Not logged in".
NOT_LOGGED_IN: Final = 20701

#: These mean that the account's only session is in use: waiting must be longer.
SESSION_IN_USE: Final = frozenset({20022, 20210, 20412, 20512})

_RETRY_LATER: Mapping[int, str] = {
    20022: "another login of this account is not permitted now",
    20050: "the server is temporarily disabled",
    20209: "the query took the server too long",
    20210: "too many queries of this account are outstanding",
    20211: "the query is too much for the server now",
    20408: "the resource is not available now",
    20409: "the object is not available now",
    20411: "the request timed out on the server",
    20412: "too many requests of this account are outstanding",
    20508: "the resource is not available now",
    20509: "the metadata is not available now",
    20511: "the request timed out on the server",
    20512: "too many requests of this account are outstanding",
}

_NOT_LOGGED_IN: Mapping[int, str] = {
    20037: "the server no longer knows who asks",
    20701: "the session is not logged in",
}

_CREDENTIALS: Mapping[int, str] = {
    20003: "the account has no balance left",
    20012: "the broker's code is required",
    20013: "the broker's code is not valid",
    20036: "the login failed at the server; some mean the RETS version by it",
    20041: "the user agent must be authorized",
    20140: "the password is not secure enough",
    20141: "the password is the same as the one before",
    20142: "the encrypted user name is not valid",
}

_SPLIT: Mapping[int, str] = {
    20208: "the answer would hold more records than the server gives at once",
    20410: "the request holds more objects than the server gives at once",
    20510: "the request asks for more metadata than the server gives at once",
}

_QUERY: Mapping[int, str] = {
    20200: "a field of the query is unknown",
    20202: "Select names a field that is unknown",
    20203: "the server could not search",
    20206: "the query's syntax is wrong",
    20207: "the query is not authorized for this account",
    20400: "the resource is unknown",
    20401: "the object type is unknown",
    20402: "the object identifier is wrong",
    20403: "there is no such object",
    20406: "the MIME type is not offered",
    20407: "the object is not authorized for this account",
    20413: "the server could not deliver the object",
    20500: "the resource is unknown",
    20501: "the metadata type is unknown",
    20502: "the metadata identifier is wrong",
    20503: "there is no such metadata",
    20506: "the MIME type is not offered",
    20507: "the metadata is not authorized for this account",
    20513: "the server could not deliver the metadata",
    20514: "the version of the metadata's format is not offered",
}

_TABLES: tuple[tuple[type[RetsError], Mapping[int, str]], ...] = (
    (RetryLater, _RETRY_LATER),
    (NotLoggedIn, _NOT_LOGGED_IN),
    (CredentialsRefused, _CREDENTIALS),
    (SplitRequest, _SPLIT),
    (QueryRefused, _QUERY),
)


def classify(reply_code: int, transaction: str) -> tuple[type[RetsError], str]:
    """What a reply code other than success asks of the caller.

    Args:
        reply_code: not 0.
        transaction: an unknown code means wrong credentials at ``Login``, where trying again
            could lock the account, and a wrong query elsewhere.

    Returns:
        The exception's class, and what the code means in plain words.
    """
    login = transaction == "Login"
    for kind, table in _TABLES:
        if reply_code in table and not (login and kind is NotLoggedIn):
            return kind, table[reply_code]
    if login and reply_code == NOT_LOGGED_IN:
        # Nobody is logged in during a login: DDF's sample server is known for it, and recovers.
        return RetryLater, "the server could not open a session"
    if login:
        return CredentialsRefused, "the login was refused"
    return QueryRefused, "the server refused the request"
