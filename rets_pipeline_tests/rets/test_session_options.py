"""What servers want to be done differently, over real HTTP."""

from __future__ import annotations

import gc
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

import pytest

from rets_pipeline.rets import (
    ConfigurationFault,
    CredentialsRefused,
    NotRets,
    RetryLater,
    Session,
    SessionState,
    UserAgentAuthorization,
    UserAgentForm,
)
from rets_pipeline.rets.pacing import Pace, shared_pace
from rets_pipeline.rets.user_agent import session_id_of
from rets_pipeline_tests.patience import PATIENCE

from .scripted_server import LOGIN, PASSWORD, Canned, Received, ScriptedServer, master_list, reply

SEARCH = "/Search.svc/Search"
LOGIN_PATH = "/Login.svc/Login"
LOGOUT = "/Logout.svc/Logout"
ARGUMENTS = {"SearchType": "Property", "Class": "Property", "Query": "(ID=1,2+)&é", "Count": "1"}

Open = Callable[..., Session]


def keys(session: Session) -> list[str | None]:
    with session.search(ARGUMENTS, record="Property") as answer:
        return [record.get("ID") for record in answer]


@pytest.fixture(autouse=True)
def one_record(server: ScriptedServer) -> None:
    server.searches(master_list([1]))


# GET and POST


def test_get_encodes_everything(server: ScriptedServer, open_session: Open) -> None:
    assert keys(open_session(method="GET")) == ["1"]
    (received,) = server.asked(SEARCH)
    assert received.method == "GET"
    assert received.form == ARGUMENTS
    assert "Query=%28ID%3D1%2C2%2B%29%26%C3%A9&" in received.query
    assert "content-type" not in received.headers


def test_get_keeps_the_addresss_own_arguments(server: ScriptedServer, open_session: Open) -> None:
    server.answers(
        LOGIN_PATH, LOGIN.replace(b"Search.svc/Search", b"Search.svc/Search?brand=a%20b")
    )
    assert keys(open_session(method="GET")) == ["1"]
    (received,) = server.asked(SEARCH)
    assert parse_qsl(received.query)[0] == ("brand", "a b")
    assert received.form == ARGUMENTS | {"brand": "a b"}


def test_get_is_redirected_without_doubling_its_arguments(
    server: ScriptedServer, open_session: Open
) -> None:
    server.searches(Canned(b"", 302, {"Location": "/Elsewhere?Query=x"}))
    server.answers("/Elsewhere", master_list([1]))
    assert keys(open_session(method="GET")) == ["1"]
    assert server.asked("/Elsewhere")[0].query == "Query=x"


@pytest.mark.parametrize("status", [404, 405])
def test_the_wrong_method_is_named(server: ScriptedServer, session: Session, status: int) -> None:
    server.searches(Canned(b"<html>No</html>", status))
    with pytest.raises(ConfigurationFault, match="GET") as caught:
        keys(session)
    assert caught.value.http_status == status


def test_only_get_and_post(open_session: Open) -> None:
    with pytest.raises(ValueError, match="GET or POST"):
        open_session(method="PUT")


# Digest


@pytest.mark.parametrize("qop", ["auth", None])
def test_digest_over_the_path_only(
    server: ScriptedServer, open_session: Open, qop: str | None
) -> None:
    server.qop, server.signs_path_only = qop, True
    assert keys(open_session(method="GET", sign_path_only=True)) == ["1"]
    other = open_session(f"{server.login_url}?a=b", method="GET")
    with pytest.raises(CredentialsRefused):
        other.login()


# Cookies and user-agent authorization


def expected_header(received: Received, product: str, password: str, session_id: str) -> str:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    request_id = received.headers.get("rets-request-id", "")
    version = received.headers["rets-version"]
    secret = md5(f"{product}:{password}")
    return f"Digest {md5(f'{secret}:{request_id}:{session_id}:{version}')}"


@pytest.mark.parametrize("form", list(UserAgentForm))
@pytest.mark.parametrize("request_id", [None, "counted"])
@pytest.mark.parametrize("value", ["abc", ""])
def test_user_agent_authorization(
    server: ScriptedServer,
    open_session: Open,
    form: UserAgentForm,
    request_id: str | None,
    value: str,
) -> None:
    server.cookie, server.cookie_value = "RETS-Session-ID", value
    server.answers(LOGIN_PATH, Canned(LOGIN, headers={"RETS-Version": "RETS/1.8"}))
    ids = iter(f"request-{number}" for number in range(100))
    authorization = UserAgentAuthorization(
        "client secret", form, None if request_id is None else lambda: next(ids)
    )
    keys(open_session(user_agent_authorization=authorization))
    product = "tests/1.0" if form is UserAgentForm.RETS else "tests"
    # Before the first answer there is no session; afterwards each request is signed anew.
    challenged, login, search = server.received
    for received, session_id in ((challenged, ""), (login, value), (search, value)):
        header = received.headers["rets-ua-authorization"]
        assert header == expected_header(received, product, "client secret", session_id)
    assert [item.headers["rets-version"] for item in server.received] == ["RETS/1.7.2"] * 2 + [
        "RETS/1.8"
    ]
    sent = [item.headers.get("rets-request-id") for item in server.received]
    assert sent == ([None] * 3 if request_id is None else ["request-0", "request-1", "request-2"])
    assert "secret" not in repr(authorization)


def test_no_user_agent_authorization_without_a_password(
    server: ScriptedServer, open_session: Open
) -> None:
    keys(open_session(user_agent_authorization=UserAgentAuthorization("", request_id=lambda: "x")))
    keys(open_session())
    for received in server.received:
        assert "rets-ua-authorization" not in received.headers
        assert "rets-request-id" not in received.headers


@pytest.mark.parametrize("cookie", ["ASP.NET_SessionId", "x-sessionid", "JSESSIONID"])
def test_any_session_cookie(server: ScriptedServer, open_session: Open, cookie: str) -> None:
    server.cookie, server.cookie_value = cookie, "12-ab"
    authorization = UserAgentAuthorization("pw")
    session = open_session(
        user_agent_authorization=authorization, session_cookies=["No", cookie.upper()]
    )
    keys(session)
    (received,) = server.asked(SEARCH)
    assert received.headers["cookie"] == f"{cookie}=12-ab"
    assert received.headers["rets-ua-authorization"] == expected_header(
        received, "tests/1.0", "pw", "12-ab"
    )


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("RETS-Session-ID=a; X=b", "a"),
        ("x=b; rets-session-id=a=b", "a=b"),
        ('RETS-Session-ID="q"', "q"),
        ("RETS-Session-ID=", ""),
        ("", ""),
        ("Other=a", ""),
    ],
)
def test_session_ids(header: str, found: str) -> None:
    assert session_id_of(header, ["None", "RETS-Session-ID"]) == found


def test_the_clients_password_is_a_secret(server: ScriptedServer, open_session: Open) -> None:
    server.searches(b"your client password is hush-hush, and yours " + PASSWORD.encode())
    session = open_session(user_agent_authorization=UserAgentAuthorization("hush-hush"))
    with pytest.raises(NotRets) as caught:
        keys(session)
    assert "hush" not in str(caught.value)
    assert PASSWORD not in str(caught.value)


# Capabilities


def test_addresses_of_the_configuration(server: ScriptedServer, open_session: Open) -> None:
    server.answers(LOGIN_PATH, LOGIN.replace(b"Search=/Search.svc/Search\n", b"Search=/wrong\n"))
    session = open_session(
        capabilities={"search": "/Search.svc/Search", "GetObject": "//media.example.com/o"}
    )
    assert keys(session) == ["1"]
    assert session.login().urls["GetObject"] == "http://media.example.com/o"
    assert session.login().information["MemberName"] == "Somebody"


@pytest.mark.parametrize("addresses", [{"Serch": "/a"}, {"Search": "ftp://a/b"}, {"Search": ""}])
def test_addresses_that_make_no_sense(open_session: Open, addresses: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"no transaction|not an http"):
        open_session(capabilities=addresses)


def test_a_login_without_a_response_element(server: ScriptedServer, session: Session) -> None:
    body = LOGIN.replace(b"<RETS-RESPONSE>\n", b"").replace(b"</RETS-RESPONSE>\n", b"")
    server.answers(LOGIN_PATH, body.replace(b"Search=", b"SEARCH = "))
    assert keys(session) == ["1"]


# The account's pace


def test_the_rate_is_the_accounts(
    server: ScriptedServer, open_session: Open, waits: list[float]
) -> None:
    first = open_session(requests_per_second=1)
    second = open_session()  # the same account: the same limit
    keys(first)
    keys(second)
    assert len(waits) == len(server.received) - 1
    assert all(0 < wait <= len(server.received) for wait in waits)
    assert waits == sorted(waits)  # nobody really waited, so that the queue grew
    other = open_session(username="somebody else")
    with pytest.raises(CredentialsRefused):
        other.login()
    assert len(waits) == len(server.received) - 3


def test_concurrency_is_the_accounts(server: ScriptedServer, open_session: Open) -> None:
    server.searches(Canned(master_list(range(2000)), delay=0.05))
    sessions = [open_session(concurrency=2, sleep=time.sleep) for _ in range(5)]
    failures: list[BaseException] = []

    def work(session: Session) -> None:
        try:
            for _ in range(2):
                assert len(keys(session)) == 2000
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert server.most_under_way == 2


def test_an_answer_holds_its_place(
    server: ScriptedServer, open_session: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pace.enter, "__defaults__", (time.sleep, 0.2))
    server.searches(master_list(range(50_000)))
    session = open_session(concurrency=1, retries=0)
    answer = session.search(ARGUMENTS, record="Property")
    next(answer)
    with pytest.raises(RetryLater, match="stayed in use"):
        session.search(ARGUMENTS, record="Property")
    answer.close()
    answer = session.search(ARGUMENTS, record="Property")
    next(answer)
    # One that nobody holds any more gives its place back too.
    del answer
    gc.collect()
    assert len(keys(session)) == 50_000


def test_failed_requests_give_their_place_back(open_session: Open) -> None:
    session = open_session("http://127.0.0.1:1/Login", concurrency=1, retries=3)
    with pytest.raises(RetryLater, match="refused"):
        session.login()


def test_limits() -> None:
    pace = shared_pace("a.example.com", "u", 10, 5)
    assert shared_pace("a.example.com", "u", 100, 2) is pace
    assert shared_pace("b.example.com", "u", None, None) is not pace
    assert [pace.enter(lambda _: None, 0) for _ in range(3)] == [True, True, False]
    waited: list[float] = []
    slow = Pace(requests_per_second=2)
    for _ in range(3):
        slow.enter(waited.append)
    assert waited == pytest.approx([0.5, 1.0], abs=0.1)
    for settings in ({"requests_per_second": 0}, {"requests_per_second": -1}, {"concurrency": 0}):
        with pytest.raises(ValueError, match="must be"):
            Pace(**settings)  # type: ignore[arg-type]


# The caller's lock


class Lock:
    """What a caller hands in, and what happened to it."""

    def __init__(self, server: ScriptedServer) -> None:
        self.events: list[tuple[str, int]] = []
        self.server = server

    def __enter__(self) -> None:
        self.events.append(("taken", len(self.server.received)))

    def __exit__(self, *_: object) -> None:
        self.events.append(("given back", len(self.server.received)))


@pytest.mark.parametrize("kind", ["manager", "factory"])
def test_the_lock_is_held_from_login_to_logout(
    server: ScriptedServer, open_session: Open, kind: str
) -> None:
    lock = Lock(server)

    @contextmanager
    def factory() -> Iterator[None]:
        with lock:
            yield

    session = open_session(lock=lock if kind == "manager" else factory)
    assert lock.events == []
    server.searches(master_list([1]), reply(20701), master_list([1]))
    keys(session)
    keys(session)  # with a new login in between
    assert lock.events == [("taken", 0)]
    session.logout()
    requests = len(server.received)
    assert lock.events == [("taken", 0), ("given back", requests)]
    assert len(server.asked(LOGOUT)) == 1
    keys(session)
    session.close()
    session.close()
    assert [event for event, _ in lock.events] == ["taken", "given back"] * 2


@pytest.mark.parametrize("canned", [reply(20036), Canned(b"<html>", 200), Canned(b"", 503)])
def test_a_login_that_fails_gives_the_lock_back(
    server: ScriptedServer, open_session: Open, canned: Canned
) -> None:
    lock = Lock(server)
    server.answers(LOGIN_PATH, canned)
    session = open_session(lock=lock, retries=0)
    with pytest.raises(Exception, match="Login"):
        session.login()
    assert [event for event, _ in lock.events] == ["taken", "given back"]


def test_a_logout_that_fails_gives_the_lock_back(
    server: ScriptedServer, open_session: Open
) -> None:
    lock = Lock(server)
    server.answers(LOGOUT, Canned(reply(20702), cut_after=5))
    open_session(lock=lock).login()
    assert lock.events[-1][0] == "taken"
    session = open_session(lock=lock)
    session.login()
    session.close()
    assert lock.events[-1][0] == "given back"


def test_a_lock_that_cannot_be_had(server: ScriptedServer, open_session: Open) -> None:
    @contextmanager
    def lock() -> Iterator[None]:
        raise TimeoutError("somebody else")
        yield

    session = open_session(lock=lock)
    with pytest.raises(TimeoutError):
        keys(session)
    assert server.received == []
    session.close()


def test_a_real_lock_keeps_sessions_apart(server: ScriptedServer, open_session: Open) -> None:
    lock = threading.Lock()
    first, second = open_session(lock=lock), open_session(lock=lock)
    first.login()
    thread = threading.Thread(target=second.login)
    thread.start()
    time.sleep(0.2)
    assert len(server.asked(LOGIN_PATH)) == 1
    first.close()
    thread.join(10)
    assert len(server.asked(LOGIN_PATH)) == 2
    second.close()
    assert not lock.locked()


# Sessions that go on elsewhere


def test_a_session_goes_on_in_another_process(server: ScriptedServer, open_session: Open) -> None:
    server.answers(LOGIN_PATH, Canned(LOGIN, headers={"RETS-Version": "RETS/1.5"}))
    first = open_session()
    assert first.state() is None
    keys(first)
    cookie = server.asked(SEARCH)[0].headers["cookie"]
    kept = first.state()
    assert kept is not None
    state = SessionState.from_dict(json.loads(json.dumps(kept.to_dict())))
    assert state == kept
    first.close(logout=False)
    assert server.asked(LOGOUT) == []
    assert cookie.partition("=")[2] not in repr(state)
    second = open_session(state=state)
    assert keys(second) == ["1"]
    assert len(server.asked(LOGIN_PATH)) == 1
    asked_first, *_, asked_last = [item for item in server.received if item.path == SEARCH]
    assert asked_last.headers["rets-version"] == "RETS/1.5"
    assert (
        cookie
        in [item.headers.get("cookie") for item in server.received if item.path == SEARCH][1:]
    )
    assert asked_first is not asked_last
    second.close()
    assert len(server.asked(LOGOUT)) == 1


def test_a_session_that_is_gone_is_opened_anew(server: ScriptedServer, open_session: Open) -> None:
    first = open_session()
    keys(first)
    state = first.state()
    first.close()
    assert first.state() is None
    server.searches(reply(20701), master_list([1]))
    second = open_session(state=state)
    assert keys(second) == ["1"]
    assert second.statistics.logins == 1


# Servers that never end


@pytest.mark.parametrize("where", ["headers", "body", "small pieces"])
def test_a_server_that_drips(server: ScriptedServer, open_session: Open, where: str) -> None:
    body = master_list(range(200))
    dripping: dict[str, Any] = {"drip": 0.02, "drip_headers": where == "headers"}
    server.searches(Canned(body, chunked=where == "small pieces", **dripping))
    session = open_session(time_limit=0.6, retries=0)
    session.login()
    with pytest.raises(RetryLater, match=r"not over within 0\.6 seconds") as caught:
        keys(session)
    assert caught.value.transaction == "Search"


def test_the_callers_time_does_not_count(server: ScriptedServer, open_session: Open) -> None:
    server.searches(master_list(range(20_000)))
    session = open_session(time_limit=4)
    rows = 0
    with session.search(ARGUMENTS, record="Property") as answer:
        for _ in answer:
            rows += 1
            if rows in (1, 10_000):
                time.sleep(2.1)
    assert rows == 20_000


def test_threads_of_time_limits_end(server: ScriptedServer, open_session: Open) -> None:
    def watching() -> int:
        return sum(thread.name == "rets time limit" for thread in threading.enumerate())

    session = open_session(time_limit=60)
    answer = session.search(ARGUMENTS, record="Property")
    assert watching() == 1
    list(answer)
    deadline = time.monotonic() + PATIENCE
    while watching() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert watching() == 0
