"""A RETS session: login, search, metadata, objects, logout, and what to do when one of them fails.

What belongs here: the order of transactions, the single new login, waiting and trying again. What
does not: HTTP (``transport``), and reading answers (``envelope``, ``standard_xml``, ``metadata``,
``objects``).
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Final, Literal, TypeVar
from urllib.parse import urlsplit

from lxml import etree

from rets_pipeline.rets.attribute_answer import AttributeAnswer
from rets_pipeline.rets.capabilities import Capabilities
from rets_pipeline.rets.compact import CompactAnswer, QuarantinedRow
from rets_pipeline.rets.encodings import charset_of
from rets_pipeline.rets.envelope import Envelope, read_document
from rets_pipeline.rets.errors import (
    BodyFault,
    ConfigurationFault,
    CredentialsRefused,
    DataBroken,
    Exchange,
    NotLoggedIn,
    QueryRefused,
    RetryLater,
    RetsError,
)
from rets_pipeline.rets.metadata import MetadataDocument, MetadataFormat
from rets_pipeline.rets.metadata_reading import read_metadata
from rets_pipeline.rets.objects import (
    ObjectAnswer,
    ObjectIds,
    ObjectRequest,
    is_document,
    read_objects,
    read_success,
    sniff,
)
from rets_pipeline.rets.pacing import shared_pace
from rets_pipeline.rets.redaction import server_name
from rets_pipeline.rets.reply_codes import NO_METADATA_FOUND
from rets_pipeline.rets.session_state import SessionState
from rets_pipeline.rets.standard_xml import Expectation, SearchAnswer
from rets_pipeline.rets.transport import (
    Behaviour,
    HttpAnswer,
    RequestReport,
    SessionStatistics,
    Transport,
)
from rets_pipeline.rets.user_agent import UserAgentAuthorization
from rets_pipeline.rets.verdicts import error_of_reply, error_of_status, seconds_to_wait

logger = logging.getLogger("rets_pipeline.rets")

_LOGIN_LIMIT: Final = 1024 * 1024
_METADATA_LIMIT: Final = 256 * 1024 * 1024
# Who closes a session does not want to wait for a server that hangs.
_LOGOUT_SECONDS: Final = 15.0

_Result = TypeVar("_Result")

#: Taken before a login and given back after the logout: a context manager that can be entered
#: again, or something that makes one.
SessionLock = AbstractContextManager[object] | Callable[[], AbstractContextManager[object]]


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
        time_limit: seconds that the server may take for one whole answer, or None. It cuts off a
            server that sends byte after byte without an end.
        method: of the transactions with arguments. ``GET`` puts them into the address, fully
            percent-encoded.
        requests_per_second: of the account, over all of its sessions in this process; or None.
        concurrency: requests of the account under way at a time, over all of its sessions in this
            process, until their answers are closed; or None.
        lock: entered before a login and left after the logout, for accounts that may have one
            session only.
        capabilities: addresses by transaction, for servers that name wrong ones or none.
        user_agent_authorization: for servers that know their clients by a password.
        session_cookies: names of the cookie with the session's id, the most likely first. Only
            user-agent authorization needs them; every cookie is kept and sent.
        sign_path_only: Digest signs the address without its query.
        state: of an earlier session, to go on with it.
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
        time_limit: float | None = None,
        method: Literal["GET", "POST"] = "POST",
        requests_per_second: float | None = None,
        concurrency: int | None = None,
        lock: SessionLock | None = None,
        capabilities: Mapping[str, str] | None = None,
        user_agent_authorization: UserAgentAuthorization | None = None,
        session_cookies: Iterable[str] = ("RETS-Session-ID",),
        sign_path_only: bool = False,
        state: SessionState | None = None,
        on_request: Callable[[RequestReport], None] | None = None,
        retries: int = 3,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        _check(login_url, user_agent, rets_version, method)
        self._login_url = login_url
        self._timeout = timeout
        self._method = method
        self._retries = retries
        self._sleep = sleep
        self._lock = lock
        self._locked = ExitStack()
        self._has_lock = False
        self._known_better = dict(capabilities or {})
        Capabilities().with_addresses(self._known_better, login_url)  # to refuse them at once
        self._capabilities: Capabilities | None = None
        self._refused: CredentialsRefused | None = None
        self._transport = Transport(
            username,
            password,
            behaviour=Behaviour(
                user_agent=user_agent,
                rets_version=rets_version,
                timeout=timeout,
                time_limit=time_limit,
                sign_path_only=sign_path_only,
                session_cookies=tuple(session_cookies),
                user_agent_authorization=user_agent_authorization,
            ),
            pace=shared_pace(server_name(login_url), username, requests_per_second, concurrency),
            sleep=sleep,
            on_request=on_request,
        )
        self._resumed = state

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
        self._take_lock()
        if self._resumed is not None:
            return self._resume(self._resumed)
        try:
            capabilities = self._retrying(self._login_once)
        except BaseException as error:
            if isinstance(error, CredentialsRefused):
                self._refused = error
            self._locked.close()
            raise
        self._capabilities = capabilities
        self.statistics.logins += 1
        self._fetch_action(capabilities)
        return capabilities

    def state(self) -> SessionState | None:
        """What another process needs to go on with this session; None when there is none.

        Close with ``logout=False`` then, or the server ends it.
        """
        if self._capabilities is None:
            return None
        return SessionState(
            dict(self._capabilities.urls),
            dict(self._capabilities.information),
            self._transport.rets_version,
            self._transport.cookies,
        )

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

    def search_attributes(
        self,
        arguments: Mapping[str, str],
        *,
        record: str,
        names: Sequence[str],
        sink: Callable[[bytes], None] | None = None,
    ) -> AttributeAnswer:
        """Search for attributes of records, as columns: as :meth:`search`, for long lists of keys.

        Args:
            arguments: SearchType, Class, Query, Format and so on.
            record: the local name of the elements that are records, in any namespace.
            names: of the attributes wanted.
            sink: gets the bytes of the answer as they arrive.

        Raises:
            RetsError: as for :meth:`search`.
        """
        fields = dict(arguments)

        def once() -> AttributeAnswer:
            answer = self._ask("Search", fields)
            return AttributeAnswer(
                self._open(answer),
                record=record,
                names=names,
                expectation=Expectation.of(fields),
                sink=sink,
                on_close=answer.close,
            )

        return self._logged_in(once)

    def search_compact(
        self,
        arguments: Mapping[str, str],
        *,
        sink: Callable[[bytes], None] | None = None,
        on_quarantine: Callable[[QuarantinedRow], None] | None = None,
    ) -> CompactAnswer:
        """Search for rows: as :meth:`search`, with ``Format`` COMPACT or COMPACT-DECODED.

        Args:
            arguments: SearchType, Class, Query, Format and so on.
            sink: gets the bytes of the answer as they arrive.
            on_quarantine: takes the rows that do not fit the columns; without it the answer
                collects them.

        Returns:
            The rows; iterate or close it.

        Raises:
            RetsError: as for :meth:`search`.
        """
        fields = dict(arguments)

        def once() -> CompactAnswer:
            answer = self._ask("Search", fields)
            return CompactAnswer(
                self._open(answer),
                expectation=Expectation.of(fields),
                sink=sink,
                on_close=answer.close,
                on_quarantine=on_quarantine,
            )

        return self._logged_in(once)

    def get_metadata(
        self,
        metadata_type: str,
        identifier: str = "0",
        metadata_format: MetadataFormat = "COMPACT",
    ) -> MetadataDocument:
        """One GetMetadata (RETS 1.7.2, section 12). :func:`load_metadata` makes a tree of several.

        Args:
            metadata_type: ``METADATA-TABLE``, say.
            identifier: the place, ``Property:RES`` say; ``0`` for everywhere, and ``*`` for
                everything below as well.
            metadata_format: of the answer.

        Returns:
            What the answer holds; nothing when the server has no such metadata (20503).

        Raises:
            QueryRefused: the server does not know the type or the place, or not in this format.
            RetsError: as for :meth:`search`.
        """
        fields = {"Type": metadata_type, "ID": identifier, "Format": metadata_format}
        return self._logged_in(lambda: self._get_metadata_once(fields, identifier))

    def get_object(
        self,
        resource: str,
        object_type: str,
        objects: Mapping[str, ObjectIds] | str,
        *,
        location: bool = False,
        accept: str = "*/*",
        verify_images: bool = False,
    ) -> ObjectAnswer:
        """Objects of listings, photos say, as they arrive (RETS 1.7.2, section 5).

        Args:
            resource: ``Property``, say.
            object_type: ``Photo``, say.
            objects: by the key of each listing ``"*"`` for all of its objects, ``0`` for the
                preferred one, a number, a range ``"1-5"``, or several of them. A key alone means
                all of its objects. Some servers take one listing at a time only.
            location: ask for addresses instead of bytes. Servers may refuse that (20413), or send
                the bytes all the same.
            accept: MIME types that are wanted; text counts as an error unless it is named.
            verify_images: an object that is no whole image comes with an error.

        Returns:
            The objects; iterate or close it. It is empty when the server has none (20403).

        Raises:
            ValueError: the request makes no sense.
            QueryRefused: the server does not know the resource, the type or an identifier.
            RetsError: as for :meth:`search`.
        """
        request = ObjectRequest.of(resource, object_type, objects, location=location, accept=accept)
        return self._logged_in(lambda: self._get_object_once(request, verify_images))

    def logout(self) -> None:
        """Log out, if logged in. What the server says to it does not matter."""
        capabilities, self._capabilities = self._capabilities, None
        self._resumed = None
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
            self._locked.close()

    def close(self, *, logout: bool = True) -> None:
        """Log out and close all connections.

        Args:
            logout: False leaves the session open on the server, for another process that goes on
                with its :meth:`state`.
        """
        try:
            if logout:
                self.logout()
        finally:
            self._capabilities = None
            self._transport.close()
            self._locked.close()

    def _take_lock(self) -> None:
        """Enter the caller's lock, unless that is done."""
        lock = self._lock
        if lock is None or self._has_lock:
            return
        entered = lock if isinstance(lock, AbstractContextManager) else lock()
        self._locked.enter_context(entered)
        self._has_lock = True
        self._locked.callback(setattr, self, "_has_lock", False)

    def _resume(self, state: SessionState) -> Capabilities:
        """Go on with an earlier session; if it is gone, the next request will tell."""
        self._resumed = None
        self._transport.rets_version = state.rets_version
        self._transport.cookies = state.cookies
        self._capabilities = Capabilities(state.urls, state.information)
        return self._capabilities

    def _login_once(self) -> Capabilities:
        self._transport.forget()
        answer = self._transport.request("Login", "GET", self._login_url)
        root = self._document(answer, _LOGIN_LIMIT)
        self._transport.adopt_version(answer)
        if urlsplit(answer.url).scheme != urlsplit(self._login_url).scheme:
            # The server redirects http to https: the next login goes there directly.
            self._login_url = answer.url
        said = Capabilities.parse("\n".join(map(str, root.itertext())), answer.url)
        return said.with_addresses(self._known_better, self._login_url)

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
        answer = self._ask("Search", fields)
        return SearchAnswer(
            self._open(answer),
            record=record,
            expectation=Expectation.of(fields),
            sink=sink,
            on_close=answer.close,
        )

    def _get_metadata_once(self, fields: Mapping[str, str], identifier: str) -> MetadataDocument:
        answer = self._ask("GetMetadata", fields)
        try:
            root = self._document(answer, _METADATA_LIMIT)
        except QueryRefused as error:
            if error.reply_code != NO_METADATA_FOUND:
                raise
            return MetadataDocument(())
        return read_metadata(root, identifier)

    def _get_object_once(self, request: ObjectRequest, verify_images: bool) -> ObjectAnswer:
        answer = self._ask("GetObject", request.arguments, accept=request.accept)
        chunks: Iterator[bytes]
        try:
            head, chunks = sniff(answer.chunks())
        except BodyFault as fault:
            failed = error_of_status(answer) or answer.exchange.error(fault.kind, fault.reason)
            raise self._given_up(answer, failed) from None
        if answer.status >= 400 or is_document(answer.headers, head, request):
            return read_success(
                self._open(answer, chunks),
                answer.headers,
                request,
                url=answer.url,
                on_close=answer.close,
            )
        return read_objects(
            chunks,
            answer.headers,
            request,
            answer.exchange,
            url=answer.url,
            verify_images=verify_images,
            on_close=answer.close,
        )

    def _ask(
        self, transaction: str, fields: Mapping[str, str], *, accept: str | None = None
    ) -> HttpAnswer:
        url = self._url(transaction)
        return self._transport.request(transaction, self._method, url, fields, accept=accept)

    def _url(self, transaction: str) -> str:
        assert self._capabilities is not None
        url = self._capabilities.urls.get(transaction)
        if url is None:
            exchange = Exchange(server_name(self._login_url), transaction)
            raise exchange.error(ConfigurationFault, "the server's login answer does not offer it")
        return url

    def _document(self, answer: HttpAnswer, limit: int) -> etree._Element:
        """The whole of an answer that is a RETS document and a success."""
        fault = None
        try:
            return read_document(self._open(answer), limit)
        except BodyFault as error:
            fault = answer.exchange.error(error.kind, error.reason)
        finally:
            answer.close()
        raise fault

    def _open(self, answer: HttpAnswer, chunks: Iterable[bytes] | None = None) -> Envelope:
        """The answer's envelope, if it is a success.

        A RETS document decides before the HTTP status: servers send refusals under 200 and
        successes under 4xx.

        Args:
            answer: of HTTP.
            chunks: its body, if somebody has looked at it already.

        Raises:
            RetsError: it is no success; then the answer is closed.
        """
        error: RetsError | None
        try:
            envelope = Envelope(
                answer.chunks() if chunks is None else chunks,
                answer.exchange,
                charset=charset_of(answer.header("Content-Type")),
            )
        except BodyFault as fault:
            error = error_of_status(answer) or answer.exchange.error(fault.kind, fault.reason)
        except DataBroken as broken:
            error = error_of_status(answer) or broken
        else:
            answer.reply_code = envelope.opening.reply_code
            error = error_of_reply(answer, envelope)
            if error is None:
                return envelope
        raise self._given_up(answer, error)

    def _given_up(self, answer: HttpAnswer, error: RetsError) -> RetsError:
        answer.drain()
        if isinstance(error, RetryLater):
            error.retry_after = answer.retry_after
        return error

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
                seconds = seconds_to_wait(error, attempt)
                if seconds is None:
                    raise
                logger.debug("trying again in %.1f s: %s", seconds, error)
            self._sleep(seconds)
        return action()


def _check(login_url: str, user_agent: str, rets_version: str, method: str) -> None:
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
    if method not in ("GET", "POST"):
        raise ValueError("method must be GET or POST")
