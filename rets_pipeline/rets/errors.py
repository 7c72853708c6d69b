"""What can go wrong, arranged by what the caller should do about it.

What belongs here: the exceptions, and the one place that words them. What does not: the table of
RETS reply codes (``reply_codes``) and the decision to try again (``session``).

Every message is one plain line that names the server, the transaction and the reply code. Text of
the server in it is redacted and at most 200 characters long.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from rets_pipeline.rets.redaction import Redactor


class RetsError(Exception):
    """A RETS transaction failed.

    Attributes:
        server: host, and port if the address named one.
        transaction: ``Login``, ``Search``, ``Logout`` and so on.
        reply_code: RETS's own, or None when the answer was no RETS document.
        reply_text: the server's words for it, redacted.
        http_status: or None when there was no answer at all.
        rows: whole records that were delivered before the error.
    """

    def __init__(
        self,
        message: str,
        *,
        server: str = "",
        transaction: str = "",
        reply_code: int | None = None,
        reply_text: str | None = None,
        http_status: int | None = None,
        rows: int = 0,
    ) -> None:
        super().__init__(message)
        self.server = server
        self.transaction = transaction
        self.reply_code = reply_code
        self.reply_text = reply_text
        self.http_status = http_status
        self.rows = rows


class RetryLater(RetsError):
    """The server is busy, silent or out of reach: the same request may succeed later.

    Attributes:
        retry_after: seconds that the server asked to wait, or None.
    """

    retry_after: float | None = None


class NotLoggedIn(RetsError):
    """The session is gone, and a new login did not bring it back."""


class CredentialsRefused(RetsError):
    """User name, password, user agent or RETS version are not accepted: an operator must act.

    Trying again is harmful, because servers lock accounts.
    """


class ConfigurationFault(RetsError):
    """The server offers no such transaction, or only at an address that is not safe to use."""


class QueryRefused(RetsError):
    """The server understood the request and will never answer it: the query is wrong."""


class SplitRequest(RetsError):
    """The request asks for more than the server gives at once: ask for less, more often."""


class DataBroken(RetsError):
    """The answer is damaged or contradicts itself; nothing in it is proved."""


class Truncated(DataBroken):
    """The answer ended before its closing tag; ``rows`` records had arrived whole."""


class CountMismatch(DataBroken):
    """The records that arrived are not as many as the server said."""


class NotRets(DataBroken):
    """The answer is no RETS document: an HTML page or plain text, say."""


class BodyFault(Exception):
    """The bytes of an answer stopped coming.

    Internal: the reader of the body knows what had arrived, and turns it into a
    :class:`RetsError`.

    Attributes:
        kind: the exception that the caller shall see.
        reason: why, in plain words.
    """

    def __init__(self, kind: type[RetsError], reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


_Kind = TypeVar("_Kind", bound=RetsError)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, as far as messages need to know them.

    Attributes:
        server: host, and port if the address named one; a name for archived bytes.
        transaction: RETS's name of it.
        http_status: of the answer, or None.
        redactor: knows the secrets of the session.
    """

    server: str
    transaction: str
    http_status: int | None = None
    redactor: Redactor = field(default_factory=Redactor, repr=False)

    def error(
        self,
        kind: type[_Kind],
        reason: str,
        *,
        reply_code: int | None = None,
        reply_text: str | None = None,
        rows: int = 0,
    ) -> _Kind:
        """An exception about this exchange.

        Args:
            kind: its class.
            reason: what happened, in this package's own words (they are not redacted).
            reply_code: RETS's.
            reply_text: the server's words.
            rows: whole records delivered before.
        """
        text = None if reply_text is None else self.redactor.quote(reply_text)
        return kind(
            self._line(reason, reply_code, text),
            server=self.server,
            transaction=self.transaction,
            reply_code=reply_code,
            reply_text=text,
            http_status=self.http_status,
            rows=rows,
        )

    def _line(self, reason: str, reply_code: int | None, text: str | None) -> str:
        facts = []
        if reply_code is not None:
            facts.append(f"reply code {reply_code}" + (f" {text!r}" if text else ""))
        if self.http_status is not None and not (200 <= self.http_status < 300):
            facts.append(f"HTTP status {self.http_status}")
        suffix = f" ({', '.join(facts)})" if facts else ""
        return f"{self.server}: {self.transaction}: {reason}{suffix}"

    def quote(self, data: bytes) -> str:
        """The beginning of an answer, redacted, fit for a message."""
        head = data[:4096]
        text = head.decode("utf-8", "replace")
        return self.redactor.quote(text, cut=len(data) > len(head))
