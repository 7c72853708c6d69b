"""A RETS session: login, search, logout, and what to do when one of them fails.

What belongs here: the order of transactions, the single new login, waiting and trying again. What
does not: HTTP (``transport``), and reading answers (``envelope``, ``standard_xml``).
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, TypeVar
from urllib.parse import urlsplit

from rets_pipeline.rets.capabilities import Capabilities
from rets_pipeline.rets.envelope import Envelope, read_document, refusal
from rets_pipeline.rets.errors import (
    BodyFault,
    ConfigurationFault,
    CredentialsRefused,
    DataBroken,
    Exchange,
    NotLoggedIn,
    RetryLater,
    RetsError,
)
from rets_pipeline.rets.redaction import server_name
from rets_pipeline.rets.reply_codes import NO_RECORDS_FOUND, SESSION_IN_USE
from rets_pipeline.rets.standard_xml import Expectation, SearchAnswer
from rets_pipeline.rets.transport import (
    HttpAnswer,
    RequestReport,
    SessionStatistics,
    Transport,
)

logger = logging.getLogger("rets_pipeline.rets")

_LOGIN_LIMIT: Final = 1024 * 1024
# Seconds before the second attempt; each further wait is twice as long.
_FIRST_WAIT: Final = 1.0
# A session that is still in use on the server needs longer to go away.
_FIRST_WAIT_FOR_SESSION: Final = 10.0
_LONGEST_WAIT: Final = 120.0
# Who closes a session does not want to wait for a server that hangs.
_LOGOUT_SECONDS: Final = 15.0

_Result = TypeVar("_Result")


class Session:
    """One account on one RETS server. Not for use by several threads at once.

    It logs in when first needed, answers Digest and Basic, keeps cookies, and when the server has
    forgotten the session logs in again once and repeats the request. As a context manager it logs
    out at the end.

    Args:
        login_url: absolute http(s) address, without user name and password.
        username: of the account.
        password: of the account.
        user_agent: sent with every request; some servers know their clients by it.
        rets_version: sent with every request, until the server answers with its own.
        timeout: seconds to connect, and seconds of silence on a connection.
        on_request: called after each HTTP request.
        retries: how often to try again what the server refused for the moment.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        login_url: str,
        username: str,
        password: str,
        *,
        user_agent: str,
        rets_version: str = "RETS/1.7.2",
        timeout: tuple[float, float] = (10, 120),
        on_request: Callable[[RequestReport], None] | None = None,
        retries: int = 3,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        _check(login_url, user_agent, rets_version)
        self._login_url = login_url
        self._timeout = timeout
        self._retries = retries
        self._sleep = sleep
        self._capabilities: Capabilities | None = None
        self._refused: CredentialsRefused | None = None
        self._transport = Transport(
            username,
            password,
            user_agent=user_agent,
            rets_version=rets_version,
            timeout=timeout,
            on_request=on_request,
        )

    def __repr__(self) -> str:
        state = "logged in" if self._capabilities is not None else "not logged in"
        return f"<Session {server_name(self._login_url)}, {state}>"

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def statistics(self) -> SessionStatistics:
        """Requests, bytes, logins and seconds so far."""
        return self._transport.statistics

    def login(self) -> Capabilities:
        """Log in, unless that is done already.

        Returns:
            What the server offers.

        Raises:
            CredentialsRefused: the account is not accepted. The session then asks no more,
                because servers lock accounts.
            RetryLater: the server is out of reach or busy, after all retries.
            RetsError: the answer cannot be understood.
        """
        if self._refused is not None:
            raise self._refused
        if self._capabilities is not None:
            return self._capabilities
        try:
            capabilities = self._retrying(self._login_once)
        except CredentialsRefused as error:
            self._refused = error
            raise
        self._capabilities = capabilities
        self.statistics.logins += 1
        self._fetch_action(capabilities)
        return capabilities

    def search(
        self,
        arguments: Mapping[str, str],
        *,
        record: str,
        sink: Callable[[bytes], None] | None = None,
    ) -> SearchAnswer:
        """Search (RETS 1.7.2, section 7), posted as a form.

        The opening of the answer is judged before this returns. Until then a lost session is
        renewed once, and what the server refuses for the moment is tried again; afterwards
        nothing is repeated.

        Args:
            arguments: SearchType, Class, Query, Format and so on. With ``Count=1`` an answer
                without COUNT is refused.
            record: the local name of the elements that are records, in any namespace.
            sink: gets the bytes of the answer as they arrive, decompressed and otherwise
                untouched. Bytes of refusals do not reach it.

        Returns:
            The records; iterate or close it.

        Raises:
            QueryRefused: the query is wrong.
            SplitRequest: it asks for too much at once.
            NotLoggedIn: the session was lost again after a new login.
            CredentialsRefused: the new login was refused.
            RetryLater: the server is out of reach or busy, after all retries.
            DataBroken: the opening of the answer cannot be understood.
            ConfigurationFault: the server offers no search at a safe address.
        """
        fields = dict(arguments)
        return self._logged_in(lambda: self._search_once(fields, record, sink))

    def logout(self) -> None:
        """Log out, if logged in. What the server says to it does not matter."""
        capabilities, self._capabilities = self._capabilities, None
        if capabilities is None:
            return
        try:
            url = capabilities.urls.get("Logout")
            if url is not None:
                timeout = (
                    min(self._timeout[0], _LOGOUT_SECONDS),
                    min(self._timeout[1], _LOGOUT_SECONDS),
                )
                answer = self._transport.request("Logout", "GET", url, timeout=timeout)
                self._open(answer)
                answer.drain()
        except RetsError as error:
            logger.debug("ignored: %s", error)
        finally:
            self._transport.forget()

    def close(self) -> None:
        """Log out and close all connections."""
        try:
            self.logout()
        finally:
            self._transport.close()

    def _login_once(self) -> Capabilities:
        self._transport.forget()
        answer = self._transport.request("Login", "GET", self._login_url)
        fault = None
        try:
            root = read_document(self._open(answer), _LOGIN_LIMIT)
        except BodyFault as error:
            fault = answer.exchange.error(error.kind, error.reason)
        finally:
            answer.close()
        if fault is not None:
            raise fault
        self._transport.adopt_version(answer)
        if urlsplit(answer.url).scheme != urlsplit(self._login_url).scheme:
            # The server redirects http to https: the next login goes there directly.
            self._login_url = answer.url
        return Capabilities.parse("\n".join(map(str, root.itertext())), answer.url)

    def _fetch_action(self, capabilities: Capabilities) -> None:
        """Fetch the Action address, as RETS 1.7.2, section 4 demands; its content is for people."""
        url = capabilities.urls.get("Action")
        if url is None:
            return
        try:
            self._transport.request("Action", "GET", url).drain()
        except RetsError as error:
            logger.debug("ignored: %s", error)

    def _search_once(
        self,
        fields: Mapping[str, str],
        record: str,
        sink: Callable[[bytes], None] | None,
    ) -> SearchAnswer:
        answer = self._transport.request("Search", "POST", self._url("Search"), fields)
        return SearchAnswer(
            self._open(answer),
            record=record,
            expectation=Expectation.of(fields),
            sink=sink,
            on_close=answer.close,
        )

    def _url(self, transaction: str) -> str:
        assert self._capabilities is not None
        url = self._capabilities.urls.get(transaction)
        if url is None:
            exchange = Exchange(server_name(self._login_url), transaction)
            raise exchange.error(ConfigurationFault, "the server's login answer does not offer it")
        return url

    def _open(self, answer: HttpAnswer) -> Envelope:
        """The answer's envelope, if it is a success.

        A RETS document decides before the HTTP status: servers send refusals under 200 and
        successes under 4xx.

        Raises:
            RetsError: it is no success; then the answer is closed.
        """
        error: RetsError | None
        try:
            envelope = Envelope(answer.chunks(), answer.exchange)
        except BodyFault as fault:
            error = _error_of_status(answer) or answer.exchange.error(fault.kind, fault.reason)
        except DataBroken as broken:
            error = _error_of_status(answer) or broken
        else:
            answer.reply_code = envelope.opening.reply_code
            error = _error_of_reply(answer, envelope)
            if error is None:
                return envelope
        answer.drain()
        if isinstance(error, RetryLater):
            error.retry_after = answer.retry_after
        raise error

    def _logged_in(self, action: Callable[[], _Result]) -> _Result:
        """Do it with a session; if the server has lost the session, once more with a new one."""
        self.login()
        try:
            return self._retrying(action)
        except NotLoggedIn as error:
            logger.debug("logging in again: %s", error)
        self._capabilities = None
        self.login()
        return self._retrying(action)

    def _retrying(self, action: Callable[[], _Result]) -> _Result:
        """Do it, and do it again after a while as long as the server refuses for the moment."""
        for attempt in range(self._retries):
            try:
                return action()
            except RetryLater as error:
                seconds = _seconds_to_wait(error, attempt)
                if seconds is None:
                    raise
                logger.debug("trying again in %.1f s: %s", seconds, error)
            self._sleep(seconds)
        return action()


def _error_of_status(answer: HttpAnswer) -> RetsError | None:
    """What the HTTP status of an answer without a RETS document means; None: nothing special."""
    status, exchange = answer.status, answer.exchange
    login = exchange.transaction == "Login"
    if login and status in (401, 403, 412):
        return exchange.error(CredentialsRefused, _why_refused(answer))
    if status in (401, 412):
        return exchange.error(NotLoggedIn, "the session is no longer accepted")
    if status == 429 or status >= 500:
        return exchange.error(RetryLater, "the server cannot answer now")
    return None


def _why_refused(answer: HttpAnswer) -> str:
    if answer.status == 401 and not answer.header("WWW-Authenticate"):
        return "the login was refused, and the server names no way to authenticate"
    return "user name, password or client were not accepted"


def _error_of_reply(answer: HttpAnswer, envelope: Envelope) -> RetsError | None:
    opening, exchange = envelope.opening, answer.exchange
    if opening.reply_code == NO_RECORDS_FOUND and exchange.transaction == "Search":
        return None
    error = refusal(exchange, opening.reply_code, opening.reply_text)
    if error is None and answer.status in (401, 412):
        # Lost sessions have been seen answering with a body that looks like success.
        return _error_of_status(answer)
    return error


def _seconds_to_wait(error: RetryLater, attempt: int) -> float | None:
    """How long to wait; None when the server wants more than anybody should wait here."""
    first = _FIRST_WAIT_FOR_SESSION if error.reply_code in SESSION_IN_USE else _FIRST_WAIT
    # Some of it by chance, so that several clients do not come back together.
    seconds = min(_LONGEST_WAIT, first * 2.0**attempt) * random.uniform(0.5, 1.0)
    if error.retry_after is None:
        return seconds
    if error.retry_after > _LONGEST_WAIT:
        return None
    return error.retry_after + min(seconds, 1.0)


def _check(login_url: str, user_agent: str, rets_version: str) -> None:
    """Refuse what could never work; the messages do not repeat the values."""
    parts = urlsplit(login_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("login_url must be an absolute http or https address")
    if "@" in parts.netloc:
        raise ValueError("login_url must not hold a user name or password")
    if not re.fullmatch(r"[\x20-\x7e]*[\x21-\x7e]", user_agent):
        raise ValueError("user_agent must be one line of ASCII text")
    if not re.fullmatch(r"RETS/\d+(\.\d+)*", rets_version):
        raise ValueError("rets_version must look like RETS/1.7.2")
