"""HTTP for RETS: one request, its challenge and its answer, with every byte accounted for.

What belongs here: connections, headers, cookies, answering challenges, redirects, time-outs, the
account's pace, and turning their failures into this package's errors. What does not: what an answer
says (``envelope``) and trying again (``session``).
"""

from __future__ import annotations

import logging
import re
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.auth import AuthBase
from requests.cookies import create_cookie

from rets_pipeline.rets.authentication import Authentication
from rets_pipeline.rets.envelope import read_head
from rets_pipeline.rets.errors import (
    BodyFault,
    ConfigurationFault,
    DataBroken,
    Exchange,
    RetryLater,
    RetsError,
    Truncated,
)
from rets_pipeline.rets.pacing import Pace
from rets_pipeline.rets.percent_encoding import with_arguments
from rets_pipeline.rets.redaction import Redactor, server_name
from rets_pipeline.rets.time_limit import TimeLimit, WatchedAdapter
from rets_pipeline.rets.user_agent import UserAgentAuthorization, session_id_of

logger = logging.getLogger("rets_pipeline.rets")

_CHUNK: Final = 64 * 1024
# So much of an answer that nobody wants is read, to keep the connection; RETS servers like one
# connection for a challenge and its answer.
_DRAIN: Final = 64 * 1024
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 5
_RETS_VERSION: Final = re.compile(r"RETS/\d+(\.\d+)*")


@dataclass(frozen=True, slots=True)
class RequestReport:
    """What one HTTP request came to. A challenge and its answer are two requests.

    Attributes:
        transaction: ``Login``, ``Search`` and so on.
        server: host, and port if the address named one.
        seconds: until the last byte that was read, without the time the caller took in between.
        bytes_received: of the body, after decompression.
        http_status: or None when there was no answer.
        reply_code: RETS's, of the opening tag, or None.
    """

    transaction: str
    server: str
    seconds: float
    bytes_received: int
    http_status: int | None
    reply_code: int | None


@dataclass(slots=True)
class SessionStatistics:
    """What a session has done so far.

    Attributes:
        requests: HTTP requests, challenges included.
        bytes_received: of bodies, after decompression.
        logins: that succeeded.
        seconds: of waiting for the server, by transaction.
    """

    requests: int = 0
    bytes_received: int = 0
    logins: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie of a session. Its value opens the session: keep it secret.

    Attributes:
        name: as the server wrote it.
        value: may be empty.
        domain: that it goes to.
        path: that it goes to.
        secure: goes over https only.
    """

    name: str
    value: str = field(repr=False)
    domain: str
    path: str = "/"
    secure: bool = False


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a server wants to be talked to.

    Attributes:
        user_agent: the ``User-Agent`` header.
        rets_version: the ``RETS-Version`` header, until the server answers with its own.
        timeout: seconds to connect, and seconds of silence on a connection.
        time_limit: seconds that the server may take for one whole answer, or None.
        sign_path_only: Digest signs the address without its query.
        session_cookies: names of the cookie that holds the session's id, the most likely first.
        user_agent_authorization: for servers that know their clients, or None.
    """

    user_agent: str
    rets_version: str
    timeout: tuple[float, float]
    time_limit: float | None = None
    sign_path_only: bool = False
    session_cookies: tuple[str, ...] = ("RETS-Session-ID",)
    user_agent_authorization: UserAgentAuthorization | None = None


class HttpAnswer:
    """An answer whose headers are here and whose body still streams.

    Attributes:
        status: of HTTP.
        url: that answered, after redirects.
        exchange: for messages.
        reply_code: to be set by who reads it, for the report.
    """

    def __init__(
        self,
        response: requests.Response,
        url: str,
        exchange: Exchange,
        seconds: float,
        on_close: Callable[[HttpAnswer], None],
        limit: TimeLimit | None,
        leave: Callable[[], None],
    ) -> None:
        self.status = response.status_code
        self.url = url
        self.exchange = exchange
        self.reply_code: int | None = None
        self.seconds = seconds
        self.bytes_received = 0
        self._response = response
        self._chunks = self._read()
        self._on_close: Callable[[HttpAnswer], None] | None = on_close
        self._limit = limit
        # The account's place becomes free even when nobody closes the answer.
        self._leave = weakref.finalize(self, leave)

    def header(self, name: str) -> str:
        """The header's value, several joined by commas, or nothing."""
        return self._response.headers.get(name, "")

    @property
    def headers(self) -> dict[str, str]:
        """All headers, by name in lower case."""
        return {name.lower(): value for name, value in self._response.headers.items()}

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to wait (``Retry-After``), or None."""
        return parse_retry_after(self.header("Retry-After"))

    def chunks(self) -> Iterator[bytes]:
        """What is left of the body, as it arrives, decompressed.

        Raises:
            BodyFault: it stopped coming.
        """
        return self._chunks

    def _read(self) -> Iterator[bytes]:
        while True:
            started = time.monotonic()
            with self._limit.running() if self._limit is not None else nullcontext():
                chunk, fault = _next_chunk(self._response)
            self.seconds += time.monotonic() - started
            if self._limit is not None and self._limit.expired and (fault or chunk):
                fault = BodyFault(RetryLater, _too_long(self._limit))
            if fault is not None:
                raise fault
            if chunk is None:
                return
            self.bytes_received += len(chunk)
            yield chunk

    def drain(self) -> None:
        """Read what is left if it is little, and close."""
        read_head(self.chunks(), _DRAIN)
        self.close()

    def close(self) -> None:
        """Give the connection back, and report. It can be called again."""
        self._response.close()
        self._leave()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close(self)


class Transport:
    """The connections, the cookies and the credentials of one session."""

    def __init__(
        self,
        username: str,
        password: str,
        *,
        behaviour: Behaviour,
        pace: Pace,
        sleep: Callable[[float], None],
        on_request: Callable[[RequestReport], None] | None,
    ) -> None:
        self.statistics = SessionStatistics()
        client = behaviour.user_agent_authorization
        client_passwords = (client.password,) if client is not None else ()
        self.redactor = Redactor((username, password, *client_passwords), ((username, password),))
        self._behaviour = behaviour
        self._pace = pace
        self._sleep = sleep
        self._on_request = on_request
        self._authentication = Authentication(
            username, password, sign_path_only=behaviour.sign_path_only
        )
        # Once credentials went over TLS they never go without it.
        self._secure = False
        self._http = requests.Session()
        for scheme in ("https://", "http://"):
            self._http.mount(scheme, WatchedAdapter())
        self._http.auth = _Signature(self._authentication, behaviour)
        self._http.headers.update(
            {
                "User-Agent": behaviour.user_agent,
                "RETS-Version": behaviour.rets_version,
                "Accept": "*/*",
                "Accept-Encoding": "gzip",
            }
        )

    @property
    def rets_version(self) -> str:
        """The version that is sent now."""
        return str(self._http.headers["RETS-Version"])

    @rets_version.setter
    def rets_version(self, version: str) -> None:
        self._http.headers["RETS-Version"] = version

    @property
    def cookies(self) -> tuple[Cookie, ...]:
        """The cookies that the server has set."""
        return tuple(
            Cookie(item.name, item.value or "", item.domain, item.path, item.secure)
            for item in self._http.cookies
        )

    @cookies.setter
    def cookies(self, cookies: Iterable[Cookie]) -> None:
        for item in cookies:
            self._http.cookies.set_cookie(
                create_cookie(  # type: ignore[no-untyped-call]
                    item.name, item.value, domain=item.domain, path=item.path, secure=item.secure
                )
            )

    def request(
        self,
        transaction: str,
        method: str,
        url: str,
        fields: Mapping[str, str] | None = None,
        *,
        accept: str | None = None,
        timeout: tuple[float, float] | None = None,
    ) -> HttpAnswer:
        """Send a request, answer a challenge, follow redirects within the server.

        Args:
            transaction: RETS's name.
            method: ``GET`` or ``POST``.
            url: absolute.
            fields: arguments; in the address for ``GET``, a form for ``POST``.
            accept: the ``Accept`` header; by default anything.
            timeout: seconds to connect and of silence; by default the session's.

        Returns:
            The answer, whatever its status. It must be closed.

        Raises:
            RetryLater: no answer came.
            ConfigurationFault: the address, or one that the server redirects to, cannot be used.
        """
        if method == "GET" and fields:
            url, fields = with_arguments(url, fields), None
        headers = {} if accept is None else {"Accept": accept}
        challenges = redirects = 0
        while True:
            answer = self._send(
                transaction, method, url, fields, headers, timeout or self._behaviour.timeout
            )
            if answer.status in _REDIRECTS and answer.header("Location"):
                answer.drain()
                url = self._redirected(answer, redirects)
                redirects += 1
                if answer.status == 303:
                    method, fields = "GET", None
            elif self._is_challenge(answer, challenges):
                answer.drain()
                challenges += 1
            else:
                return answer

    def adopt_version(self, answer: HttpAnswer) -> None:
        """Speak the RETS version that the server answered with."""
        version = answer.header("RETS-Version").strip()
        if _RETS_VERSION.fullmatch(version):
            self.rets_version = version

    def forget(self) -> None:
        """Drop cookies and challenges: the session they belong to is over."""
        self._http.cookies.clear()
        self._authentication.forget()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _send(
        self,
        transaction: str,
        method: str,
        url: str,
        fields: Mapping[str, str] | None,
        headers: Mapping[str, str],
        timeout: tuple[float, float],
    ) -> HttpAnswer:
        exchange = Exchange(server_name(url), transaction, redactor=self.redactor)
        secure = urlsplit(url).scheme == "https"
        if self._secure and not secure:
            raise exchange.error(
                ConfigurationFault, "the address is http, but credentials went over https before"
            )
        self._secure = secure
        if not self._pace.enter(self._sleep):
            raise exchange.error(
                RetryLater, "all connections that the account may have stayed in use"
            )
        seconds = self._behaviour.time_limit
        limit = None if seconds is None else TimeLimit(seconds)
        started = time.monotonic()
        try:
            with limit.running() if limit is not None else nullcontext():
                response = self._http.request(
                    method,
                    url,
                    data=None if fields is None else dict(fields),
                    headers=headers,
                    stream=True,
                    allow_redirects=False,
                    timeout=timeout,
                )
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as failure:
            kind, reason = _what_failed(failure)
        except BaseException:
            _leave(self._pace, limit)
            raise
        else:
            answered = Exchange(
                exchange.server, transaction, response.status_code, redactor=self.redactor
            )
            leave = partial(_leave, self._pace, limit)
            taken = time.monotonic() - started
            return HttpAnswer(response, url, answered, taken, self._report, limit, leave)
        # Raised out here, so that no traceback shows the library's own error with its address.
        _leave(self._pace, limit)
        if limit is not None and limit.expired:
            kind, reason = RetryLater, _too_long(limit)
        self._record(
            RequestReport(transaction, exchange.server, time.monotonic() - started, 0, None, None)
        )
        raise exchange.error(kind, reason)

    def _is_challenge(self, answer: HttpAnswer, answered: int) -> bool:
        """Whether the request shall be sent again with an answer to a challenge."""
        offers = answer.header("WWW-Authenticate")
        # Some servers challenge with 403.
        if answer.status not in (401, 403) or not offers:
            return False
        challenge = self._authentication.take(answer.url, [offers])
        if challenge is None:
            return False
        return answered == 0 or (answered == 1 and challenge.stale)

    def _redirected(self, answer: HttpAnswer, redirects: int) -> str:
        """The address to go to; never another host, because the credentials go there too."""
        url = urljoin(answer.url, answer.header("Location"))
        if redirects >= _MOST_REDIRECTS:
            raise answer.exchange.error(ConfigurationFault, "the server redirects without an end")
        if urlsplit(url).hostname != urlsplit(answer.url).hostname:
            raise answer.exchange.error(
                ConfigurationFault, f"the server redirects to another host, {server_name(url)}"
            )
        return url

    def _report(self, answer: HttpAnswer) -> None:
        self._record(
            RequestReport(
                transaction=answer.exchange.transaction,
                server=answer.exchange.server,
                seconds=answer.seconds,
                bytes_received=answer.bytes_received,
                http_status=answer.status,
                reply_code=answer.reply_code,
            )
        )

    def _record(self, report: RequestReport) -> None:
        statistics = self.statistics
        statistics.requests += 1
        statistics.bytes_received += report.bytes_received
        before = statistics.seconds.get(report.transaction, 0.0)
        statistics.seconds[report.transaction] = before + report.seconds
        logger.debug(
            "%s: %s took %.3f s, %d bytes, HTTP status %s, reply code %s",
            report.server,
            report.transaction,
            report.seconds,
            report.bytes_received,
            report.http_status,
            report.reply_code,
        )
        if self._on_request is not None:
            self._on_request(report)


class _Signature(AuthBase):
    """Signs each request; being there, it also keeps requests from looking into ``.netrc``."""

    def __init__(self, authentication: Authentication, behaviour: Behaviour) -> None:
        self._authentication = authentication
        self._client = behaviour.user_agent_authorization
        self._session_cookies = behaviour.session_cookies

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        value = self._authentication.header(request.method or "GET", request.url or "")
        if value is not None:
            # As bytes, because names beyond Latin-1 are sent in UTF-8.
            request.headers["Authorization"] = value.encode()  # type: ignore[assignment]
        if self._client is not None and self._client.password:
            self._authorize_client(request.headers, self._client)
        return request

    def _authorize_client(
        self, headers: MutableMapping[str, str], client: UserAgentAuthorization
    ) -> None:
        request_id = client.request_id() if client.request_id is not None else ""
        if request_id:
            headers["RETS-Request-ID"] = request_id
        headers["RETS-UA-Authorization"] = client.header(
            user_agent=headers["User-Agent"],
            request_id=request_id,
            session_id=session_id_of(headers.get("Cookie", ""), self._session_cookies),
            version=headers["RETS-Version"],
        )


def parse_retry_after(text: str, now: datetime | None = None) -> float | None:
    """Seconds of a ``Retry-After`` header: a number, or an HTTP date (RFC 9110, 10.2.3)."""
    text = text.strip()
    if re.fullmatch(r"\d{1,9}", text):
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())


def _leave(pace: Pace, limit: TimeLimit | None) -> None:
    """A request is over."""
    pace.leave()
    if limit is not None:
        limit.end()


def _too_long(limit: TimeLimit) -> str:
    return f"the answer was not over within {limit.seconds:g} seconds"


def _next_chunk(response: requests.Response) -> tuple[bytes | None, BodyFault | None]:
    """What has arrived, decompressed; None at the end. It waits only when nothing is here."""
    try:
        return response.raw.read1(_CHUNK, decode_content=True) or None, None
    except urllib3.exceptions.DecodeError:
        return None, BodyFault(DataBroken, "the compression of the answer is damaged")
    except urllib3.exceptions.ProtocolError:
        return None, BodyFault(Truncated, "the connection broke before the answer's end")
    except (urllib3.exceptions.HTTPError, OSError):
        return None, BodyFault(RetryLater, "the server fell silent before the answer's end")


def _what_failed(error: Exception) -> tuple[type[RetsError], str]:
    """The exception's class and the reason, without the library's words: they hold addresses."""
    if isinstance(error, requests.exceptions.SSLError):
        return ConfigurationFault, "the TLS certificate or connection is not acceptable"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return RetryLater, "no connection was made within the time-out"
    if isinstance(error, requests.Timeout):
        return RetryLater, "no answer came within the time-out"
    if isinstance(error, requests.ConnectionError):
        return RetryLater, _why_no_connection(error)
    if isinstance(error, ValueError):  # requests' errors about addresses and headers are among them
        return ConfigurationFault, "the address or a header cannot be sent"
    return RetryLater, "the request failed"


def _why_no_connection(error: BaseException) -> str:
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None:
            break
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
        if isinstance(cause, urllib3.exceptions.NameResolutionError):
            return "the host name is not known"
        reason = getattr(cause, "reason", None)
        first = cause.args[0] if cause.args else None
        following = (reason, first, cause.__cause__, cause.__context__)
        cause = next((item for item in following if isinstance(item, BaseException)), None)
    return "the connection failed"
