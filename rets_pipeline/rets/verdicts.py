"""What an answer means for the caller, and how long to wait before asking again.

What belongs here: judging HTTP status and reply code together (``reply_codes`` has the codes). What
does not: acting on it (``session``).
"""

from __future__ import annotations

import random
from typing import Final

from rets_pipeline.rets.envelope import Envelope, refusal
from rets_pipeline.rets.errors import (
    ConfigurationFault,
    CredentialsRefused,
    NotLoggedIn,
    RetryLater,
    RetsError,
)
from rets_pipeline.rets.reply_codes import MAXIMUM_EXCEEDED, NOTHING_FOUND, SESSION_IN_USE
from rets_pipeline.rets.transport import HttpAnswer

# Seconds before the second attempt; each further wait is twice as long.
_FIRST_WAIT: Final = 1.0
# A session that is still in use on the server needs longer to go away.
_FIRST_WAIT_FOR_SESSION: Final = 10.0
_LONGEST_WAIT: Final = 120.0


def error_of_status(answer: HttpAnswer) -> RetsError | None:
    """What the HTTP status of an answer without a RETS document means; None: nothing special."""
    status, exchange = answer.status, answer.exchange
    login = exchange.transaction == "Login"
    if login and status in (401, 403, 412):
        return exchange.error(CredentialsRefused, _why_refused(answer))
    if status in (401, 412):
        return exchange.error(NotLoggedIn, "the session is no longer accepted")
    if status == 429 or status >= 500:
        return exchange.error(RetryLater, "the server cannot answer now")
    if status in (403, 404, 405, 410):
        return exchange.error(ConfigurationFault, _WRONG_ADDRESS[status])
    return None


_WRONG_ADDRESS: Final = {
    403: "the server forbids this address",
    404: "there is nothing at this address; some servers take only GET, others only POST",
    405: "the server does not take this method here; some take only GET, others only POST",
    410: "there is nothing at this address any more",
}


def _why_refused(answer: HttpAnswer) -> str:
    if answer.status == 401 and not answer.header("WWW-Authenticate"):
        return "the login was refused, and the server names no way to authenticate"
    return "user name, password or client were not accepted"


def error_of_reply(answer: HttpAnswer, envelope: Envelope) -> RetsError | None:
    """What a RETS document that answers a transaction means; None: success."""
    opening, exchange = envelope.opening, answer.exchange
    if opening.reply_code == NOTHING_FOUND.get(exchange.transaction):
        return None
    if opening.reply_code == MAXIMUM_EXCEEDED and exchange.transaction == "Search":
        return None  # records may come with it: their reader finds out
    error = refusal(exchange, opening.reply_code, opening.reply_text)
    if error is None and answer.status in (401, 412):
        # Lost sessions have been seen answering with a body that looks like success.
        return error_of_status(answer)
    return error


def seconds_to_wait(error: RetryLater, attempt: int) -> float | None:
    """How long to wait; None when the server wants more than anybody should wait here."""
    first = _FIRST_WAIT_FOR_SESSION if error.reply_code in SESSION_IN_USE else _FIRST_WAIT
    # Some of it by chance, so that several clients do not come back together.
    seconds = min(_LONGEST_WAIT, first * 2.0**attempt) * random.uniform(0.5, 1.0)
    if error.retry_after is None:
        return seconds
    if error.retry_after > _LONGEST_WAIT:
        return None
    return error.retry_after + min(seconds, 1.0)
