"""HTTP for RETS: one request, its challenge and its answer, with every byte accounted for.

What belongs here: connections, headers, cookies, answering challenges, redirects, time-outs, and
turning their failures into this package's errors. What does not: what an answer says (``envelope``)
and trying again (``session``).
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.auth import AuthBase

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
from rets_pipeline.rets.redaction import Redactor, server_name

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

    def header(self, name: str) -> str:
        """The header's value, several joined by commas, or nothing."""
        return self._response.headers.get(name, "")

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
        pieces = self._response.iter_content(_CHUNK)
        while True:
            started = time.monotonic()
            chunk, fault = _next_chunk(pieces)
            self.seconds += time.monotonic() - started
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
        user_agent: str,
        rets_version: str,
        timeout: tuple[float, float],
        on_request: Callable[[RequestReport], None] | None,
    ) -> None:
        self.statistics = SessionStatistics()
        self.redactor = Redactor((username, password), ((username, password),))
        self._timeout = timeout
        self._on_request = on_request
        self._authentication = Authentication(username, password)
        # Once credentials went over TLS they never go without it.
        self._secure = False
        self._http = requests.Session()
        self._http.auth = _Signature(self._authentication)
        self._http.headers.update(
            {
                "User-Agent": user_agent,
                "RETS-Version": rets_version,
                "Accept": "*/*",
                "Accept-Encoding": "gzip",
            }
        )

    def request(
        self,
        transaction: str,
        method: str,
        url: str,
        fields: Mapping[str, str] | None = None,
        *,
        timeout: tuple[float, float] | None = None,
    ) -> HttpAnswer:
        """Send a request, answer a challenge, follow redirects within the server.

        Args:
            transaction: RETS's name.
            method: ``GET`` or ``POST``.
            url: absolute.
            fields: a form to post.
            timeout: seconds to connect and of silence; by default the session's.

        Returns:
            The answer, whatever its status. It must be closed.

        Raises:
            RetryLater: no answer came.
            ConfigurationFault: the address, or one that the server redirects to, cannot be used.
        """
        challenges = redirects = 0
        while True:
            answer = self._send(transaction, method, url, fields, timeout or self._timeout)
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
            self._http.headers["RETS-Version"] = version

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
        timeout: tuple[float, float],
    ) -> HttpAnswer:
        exchange = Exchange(server_name(url), transaction, redactor=self.redactor)
        secure = urlsplit(url).scheme == "https"
        if self._secure and not secure:
            raise exchange.error(
                ConfigurationFault, "the address is http, but credentials went over https before"
            )
        self._secure = secure
        started = time.monotonic()
        try:
            response = self._http.request(
                method,
                url,
                data=None if fields is None else dict(fields),
                stream=True,
                allow_redirects=False,
                timeout=timeout,
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            kind, reason = _what_failed(error)
        else:
            seconds = time.monotonic() - started
            answered = Exchange(
                exchange.server, transaction, response.status_code, redactor=self.redactor
            )
            return HttpAnswer(response, url, answered, seconds, self._report)
        # Raised out here, so that no traceback shows the library's own error with its address.
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

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        value = self._authentication.header(request.method or "GET", request.url or "")
        if value is not None:
            # As bytes, because names beyond Latin-1 are sent in UTF-8.
            request.headers["Authorization"] = value.encode()  # type: ignore[assignment]
        return request


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


def _next_chunk(pieces: Iterator[bytes]) -> tuple[bytes | None, BodyFault | None]:
    try:
        return next(pieces, None), None
    except requests.exceptions.ContentDecodingError:
        return None, BodyFault(DataBroken, "the compression of the answer is damaged")
    except requests.exceptions.ChunkedEncodingError:
        return None, BodyFault(Truncated, "the connection broke before the answer's end")
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError):
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
