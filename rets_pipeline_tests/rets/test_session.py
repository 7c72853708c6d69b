"""Login, search and logout over real HTTP."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from rets_pipeline.rets import (
    ConfigurationFault,
    CountMismatch,
    CredentialsRefused,
    DataBroken,
    NotLoggedIn,
    NotRets,
    QueryRefused,
    RequestReport,
    RetryLater,
    RetsError,
    Session,
    SplitRequest,
    Truncated,
)

from .scripted_server import LOGIN, PASSWORD, USERNAME, Canned, ScriptedServer, master_list, reply

SEARCH = "/Search.svc/Search"
LOGIN_PATH = "/Login.svc/Login"
LOGOUT = "/Logout.svc/Logout"
ARGUMENTS = {
    "SearchType": "Property",
    "Class": "Property",
    "QueryType": "DMQL2",
    "Format": "STANDARD-XML",
    "Query": "(ID=0+)",
    "Count": "1",
}

Open = Callable[..., Session]


def keys(session: Session, arguments: dict[str, str] = ARGUMENTS, **more: Any) -> list[str | None]:
    with session.search(arguments, record="Property", **more) as answer:
        return [record.get("ID") for record in answer]


# Login


def test_login_answers_with_the_capabilities(server: ScriptedServer, session: Session) -> None:
    capabilities = session.login()
    assert capabilities.urls["Search"] == f"{server.origin}/Search.svc/Search"
    assert capabilities.information["MetadataVersion"] == "1.2.3"
    assert session.statistics.logins == 1
    # One challenge, one answer, over one connection, with the cookie of the challenge.
    challenged, answered = server.received
    assert (challenged.authorized, answered.authorized) == (False, True)
    assert challenged.connection == answered.connection
    for received in server.received:
        assert received.headers["rets-version"] == "RETS/1.7.2"
        assert received.headers["user-agent"] == "tests/1.0"
        assert received.headers["accept-encoding"] == "gzip"


def test_login_is_done_once(server: ScriptedServer, session: Session) -> None:
    server.searches(master_list([1]))
    assert session.login() is session.login()
    keys(session)
    assert session.statistics.logins == len(server.asked(LOGIN_PATH)) == 1


@pytest.mark.parametrize("algorithm", [None, "MD5", "MD5-sess", "SHA-256", "SHA-256-sess"])
@pytest.mark.parametrize("qop", ["auth", "auth,auth-int", None])
def test_digest(server: ScriptedServer, session: Session, algorithm: str, qop: str) -> None:
    server.algorithm, server.qop = algorithm, qop
    server.searches(master_list([1, 2]))
    assert keys(session) == ["1", "2"]


def test_the_nonce_is_used_again(server: ScriptedServer, session: Session) -> None:
    server.searches(master_list([1]))
    for _ in range(3):
        keys(session)
    assert len(server.asked(SEARCH)) == 3
    assert server.asked(SEARCH, authorized=False) == []
    assert session.statistics.requests == 5


def test_a_stale_nonce_needs_no_new_login(server: ScriptedServer, session: Session) -> None:
    server.searches(master_list([1]))
    keys(session)
    server.forget_nonces()
    assert keys(session) == ["1"]
    assert session.statistics.logins == 1


def test_basic() -> None:
    with ScriptedServer("basic") as server, _session(server) as session:
        server.searches(master_list([1]))
        assert keys(session) == ["1"]


def test_digest_is_preferred_among_several_challenges(
    server: ScriptedServer, session: Session
) -> None:
    server.challenges = ["Negotiate", 'NTLM, Basic realm="other"', 'Digest realm="x", qop="auth"']
    session.login()
    assert server.asked(LOGIN_PATH)[0].headers["authorization"].startswith("Digest ")


def test_no_authentication_at_all() -> None:
    with ScriptedServer("none") as server, _session(server) as session:
        server.searches(master_list([1]))
        assert keys(session) == ["1"]
        assert "authorization" not in server.received[0].headers


def test_netrc_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, server: ScriptedServer, session: Session
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login wrong password wrong")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    session.login()
    assert "authorization" not in server.received[0].headers


def test_a_wrong_password_is_tried_once(server: ScriptedServer, session: Session) -> None:
    server.password = "another"
    for _ in range(3):
        with pytest.raises(CredentialsRefused) as caught:
            session.login()
    assert caught.value.http_status == 401
    # The challenge, and one answer: accounts get locked by more.
    assert len(server.received) == 2


@pytest.mark.parametrize("code", [20003, 20012, 20013, 20036, 20037, 20041, 20141, 29999])
@pytest.mark.parametrize("status", [200, 400])
def test_a_refused_login(
    server: ScriptedServer, session: Session, waits: list[float], code: int, status: int
) -> None:
    server.answers(LOGIN_PATH, Canned(reply(code, "No"), status))
    with pytest.raises(CredentialsRefused) as caught:
        session.search(ARGUMENTS, record="Property")
    assert caught.value.reply_code == code
    assert caught.value.reply_text == "No"
    assert waits == []
    assert len(server.asked(LOGIN_PATH)) == 1


@pytest.mark.parametrize("code", [20022, 20050, 20701])
def test_a_login_that_may_succeed_later(
    server: ScriptedServer, session: Session, waits: list[float], code: int
) -> None:
    server.answers(LOGIN_PATH, reply(code), Canned(LOGIN))
    session.login()
    assert len(waits) == 1


def test_a_login_that_is_cut_off(server: ScriptedServer, session: Session) -> None:
    for end in (len(LOGIN) - 1, 60, 20, 0):
        server.answers(LOGIN_PATH, LOGIN[:end])
        with pytest.raises(Truncated):
            session.login()


def test_a_login_with_a_stray_ampersand(server: ScriptedServer, session: Session) -> None:
    server.answers(LOGIN_PATH, LOGIN.replace(b"Somebody", b"Some & body"))
    assert session.login().information["MemberName"] == "Some & body"


def test_a_login_that_is_no_xml(server: ScriptedServer, session: Session) -> None:
    server.answers(LOGIN_PATH, LOGIN.replace(b"Somebody", b"Some <b>body"))
    with pytest.raises(DataBroken, match="damaged"):
        session.login()


def test_a_login_whose_trailer_takes_it_back(server: ScriptedServer, session: Session) -> None:
    body = LOGIN.replace(b"</RETS>", b'<RETS-STATUS ReplyCode="20036"/></RETS>')
    server.answers(LOGIN_PATH, body)
    with pytest.raises(CredentialsRefused):
        session.login()


def test_the_action_is_fetched_and_its_faults_ignored(
    server: ScriptedServer, session: Session
) -> None:
    server.answers(LOGIN_PATH, LOGIN.replace(b"Logout=", b"Action=/Action?day=1\nLogout="))
    server.answers("/Action", Canned(b"Bad gateway", 502))
    server.searches(master_list([1]))
    assert keys(session) == ["1"]
    assert [received.query for received in server.asked("/Action")] == ["day=1"]


def test_the_servers_version_is_adopted(server: ScriptedServer, session: Session) -> None:
    server.answers(LOGIN_PATH, Canned(LOGIN, headers={"RETS-Version": "RETS/1.5"}))
    server.searches(master_list([]))
    keys(session)
    assert server.asked(SEARCH)[0].headers["rets-version"] == "RETS/1.5"


# Search


def test_search_posts_a_form(server: ScriptedServer, session: Session) -> None:
    server.searches(master_list([1]))
    keys(session, ARGUMENTS | {"Query": "(ID=1,2+)&é"})
    (received,) = server.asked(SEARCH)
    assert received.method == "POST"
    assert received.form == ARGUMENTS | {"Query": "(ID=1,2+)&é"}


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("compressed", [True, False])
def test_the_sink_gets_the_body_byte_for_byte(
    server: ScriptedServer, session: Session, compressed: bool, chunked: bool
) -> None:
    body = b"\r\n" + master_list(range(5000)) + b"\n<!-- end -->\n"
    server.searches(Canned(body, compressed=compressed, chunked=chunked))
    archived: list[bytes] = []
    assert len(keys(session, sink=archived.append)) == 5000
    assert b"".join(archived) == body
    assert len(archived) > 2


def test_an_empty_answer_is_no_error(server: ScriptedServer, session: Session) -> None:
    server.searches(reply(20201, "No Records Found."))
    with session.search(ARGUMENTS, record="Property") as answer:
        assert list(answer) == []
    assert (answer.count, answer.rows, answer.reply_code) == (0, 0, 20201)
    assert answer.reply_text == "No Records Found."
    assert answer.complete


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (20200, QueryRefused),
        (20203, QueryRefused),
        (20206, QueryRefused),
        (20207, QueryRefused),
        (29999, QueryRefused),
        (20208, SplitRequest),
        (20410, SplitRequest),
        (20510, SplitRequest),
        (20036, CredentialsRefused),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 503])
def test_refusals(
    server: ScriptedServer,
    session: Session,
    waits: list[float],
    code: int,
    kind: type[RetsError],
    status: int,
) -> None:
    server.searches(Canned(reply(code, "Because"), status))
    archived: list[bytes] = []
    with pytest.raises(kind) as caught:
        session.search(ARGUMENTS, record="Property", sink=archived.append)
    error = caught.value
    assert type(error) is kind
    assert (error.reply_code, error.reply_text, error.http_status) == (code, "Because", status)
    assert (error.transaction, error.server) == ("Search", server.origin.removeprefix("http://"))
    assert str(error).startswith(f"{error.server}: Search: ")
    assert str(code) in str(error)
    assert archived == waits == []
    assert len(server.asked(SEARCH)) == 1


@pytest.mark.parametrize("status", [400, 404, 500])
def test_success_under_another_status(
    server: ScriptedServer, session: Session, status: int
) -> None:
    server.searches(Canned(master_list([1]), status))
    assert keys(session) == ["1"]


@pytest.mark.parametrize(
    "lost",
    [
        Canned(reply(20701, "Not Logged In")),
        Canned(reply(20037)),
        Canned(reply(20701), 401),
        Canned(b"", 412),
        Canned(master_list([9]), 412),
        Canned(challenge=True),
    ],
    ids=["20701", "20037", "20701 under 401", "412", "412 that looks good", "401"],
)
def test_a_lost_session_is_renewed_once(
    server: ScriptedServer, session: Session, waits: list[float], lost: Canned
) -> None:
    server.searches(
        master_list([0]), lost, lost if lost.challenge else master_list([1]), master_list([1])
    )
    keys(session)
    cookie = server.asked(SEARCH)[0].headers["cookie"]
    archived: list[bytes] = []
    assert keys(session, sink=archived.append) == ["1"]
    assert b"".join(archived) == master_list([1])
    assert session.statistics.logins == 2
    assert server.asked(SEARCH)[-1].headers["cookie"] != cookie
    assert waits == []


def test_a_session_that_is_lost_again_is_given_up(server: ScriptedServer, session: Session) -> None:
    server.searches(reply(20701, "Not Logged In"))
    with pytest.raises(NotLoggedIn) as caught:
        session.search(ARGUMENTS, record="Property")
    assert caught.value.reply_code == 20701
    assert len(server.asked(SEARCH)) == len(server.asked(LOGIN_PATH)) == 2


def test_a_new_login_that_is_refused(server: ScriptedServer, session: Session) -> None:
    server.searches(reply(20701))
    server.answers(LOGIN_PATH, Canned(LOGIN), Canned(reply(20036)))
    with pytest.raises(CredentialsRefused):
        session.search(ARGUMENTS, record="Property")


@pytest.mark.parametrize(
    ("busy", "least"),
    [
        (Canned(reply(20050)), 0.5),
        (Canned(reply(20209)), 0.5),
        (Canned(reply(20210)), 5),
        (Canned(reply(20211)), 0.5),
        (Canned(b"<html>busy</html>", 503), 0.5),
        (Canned(b"", 429, {"Retry-After": "7"}), 7),
        (Canned(b"", 500), 0.5),
        (Canned(reply(20050), 503, {"Retry-After": "0"}), 0.5),
    ],
)
def test_a_busy_server_is_asked_again(
    server: ScriptedServer, session: Session, waits: list[float], busy: Canned, least: float
) -> None:
    server.searches(busy, busy, master_list([1]))
    archived: list[bytes] = []
    assert keys(session, sink=archived.append) == ["1"]
    assert b"".join(archived) == master_list([1])
    assert len(waits) == 2
    assert all(least <= wait <= 4 * least + 1 for wait in waits)
    assert session.statistics.logins == 1


def test_a_server_that_stays_busy(
    server: ScriptedServer, session: Session, waits: list[float]
) -> None:
    server.searches(Canned(reply(20050, "Come back tomorrow")))
    with pytest.raises(RetryLater) as caught:
        session.search(ARGUMENTS, record="Property")
    assert caught.value.reply_code == 20050
    assert len(waits) == 3
    assert waits[0] < waits[2]
    assert len(server.asked(SEARCH)) == 4


def test_a_server_that_asks_for_hours(
    server: ScriptedServer, session: Session, waits: list[float]
) -> None:
    server.searches(Canned(b"", 503, {"Retry-After": "7200"}))
    with pytest.raises(RetryLater) as caught:
        session.search(ARGUMENTS, record="Property")
    assert caught.value.retry_after == 7200
    assert waits == []


def test_no_retries(server: ScriptedServer, open_session: Open, waits: list[float]) -> None:
    server.searches(Canned(reply(20050)))
    with pytest.raises(RetryLater):
        open_session(retries=0).search(ARGUMENTS, record="Property")
    assert waits == []


def test_a_silent_server(server: ScriptedServer, open_session: Open, waits: list[float]) -> None:
    server.searches(Canned(master_list([1]), delay=1), Canned(master_list([2])))
    assert keys(open_session(timeout=(2, 0.2))) == ["2"]
    assert len(waits) == 1


def test_silence_in_the_middle(
    server: ScriptedServer, open_session: Open, waits: list[float]
) -> None:
    body = master_list(range(5000))
    server.searches(Canned(body, delay=1, silent_after=200_000))
    answer = open_session(timeout=(2, 0.2)).search(ARGUMENTS, record="Property")
    with pytest.raises(RetryLater) as caught:
        list(answer)
    assert 0 < caught.value.rows == answer.rows < 5000
    assert waits == []  # records were delivered: nothing is repeated


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("compressed", [True, False])
def test_a_connection_that_breaks(
    server: ScriptedServer, session: Session, compressed: bool, chunked: bool
) -> None:
    body = master_list(range(50_000))
    server.searches(Canned(body, cut_after=100_000, compressed=compressed, chunked=chunked))
    answer = session.search(ARGUMENTS, record="Property")
    seen: list[object] = []
    with pytest.raises(Truncated) as caught:
        seen.extend(answer)
    rows = len(seen)
    assert 0 < rows == answer.rows == caught.value.rows < 50_000
    assert f"{rows} whole records" in str(caught.value)
    assert not answer.complete
    # Who goes on meets the error again, not an end.
    with pytest.raises(Truncated):
        next(answer)


def test_damaged_compression(server: ScriptedServer, session: Session) -> None:
    server.searches(Canned(b"\x1f\x8b\x08 no gzip", headers={"Content-Encoding": "gzip"}))
    with pytest.raises(DataBroken, match="compression"):
        session.search(ARGUMENTS, record="Property")


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><html><body>Maintenance</body></html>",
        b"<html><body>Maintenance</body></html>",
        b"Object reference not set to an instance of an object. Maintenance",
        b"  {'message': 'Maintenance'}",
        "<html>Maintenance".encode("utf-16"),
    ],
)
def test_what_is_no_rets(server: ScriptedServer, session: Session, body: bytes) -> None:
    server.searches(Canned(body))
    with pytest.raises(NotRets) as caught:
        session.search(ARGUMENTS, record="Property")
    assert "Maintenance" in str(caught.value)
    assert caught.value.reply_code is None


def test_a_trailer_overrides(server: ScriptedServer, session: Session) -> None:
    trailer = '<RETS-STATUS ReplyCode="20203" ReplyText="Sorry"/>'
    server.searches(master_list([1, 2], trailer=trailer))
    with pytest.raises(QueryRefused) as caught:
        keys(session)
    assert (caught.value.reply_code, caught.value.rows) == (20203, 2)


def test_rows_must_equal_count(server: ScriptedServer, session: Session) -> None:
    server.searches(master_list([1, 2], count=3))
    with pytest.raises(CountMismatch) as caught:
        keys(session)
    assert caught.value.rows == 2


def test_an_answer_that_is_left_early(server: ScriptedServer, session: Session) -> None:
    server.searches(master_list(range(100_000)))
    with session.search(ARGUMENTS, record="Property") as answer:
        next(answer)
    assert not answer.complete
    with pytest.raises(ValueError, match="closed"):
        next(answer)
    assert session.statistics.bytes_received < len(master_list(range(100_000)))


# Addresses


def test_a_missing_capability_hurts_only_its_user(server: ScriptedServer, session: Session) -> None:
    server.answers(LOGIN_PATH, LOGIN.replace(b"Search=/Search.svc/Search\n", b""))
    session.login()
    with pytest.raises(ConfigurationFault, match="does not offer"):
        session.search(ARGUMENTS, record="Property")


def test_search_at_another_port(server: ScriptedServer, session: Session) -> None:
    with ScriptedServer() as other:
        other.searches(master_list([5]))
        address = f"Search={other.origin}".encode()
        server.answers(LOGIN_PATH, LOGIN.replace(b"Search=", address))
        assert keys(session) == ["5"]
        # It asked for credentials itself; none went there before.
        assert "authorization" not in other.received[0].headers


def test_redirects_within_the_server(server: ScriptedServer, session: Session) -> None:
    moved = Canned(b"", 307, {"Location": "/Elsewhere/Search"})
    server.searches(moved)
    server.answers("/Elsewhere/Search", master_list([1]))
    assert keys(session) == ["1"]
    assert server.asked("/Elsewhere/Search")[0].form["Query"] == "(ID=0+)"


@pytest.mark.parametrize("location", ["http://localhost:1/x", "/Search.svc/Search"])
def test_redirects_that_are_not_followed(
    server: ScriptedServer, session: Session, location: str
) -> None:
    server.searches(Canned(b"", 302, {"Location": location}))
    with pytest.raises(ConfigurationFault, match="redirects"):
        session.search(ARGUMENTS, record="Property")


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 that clients are told to trust."""
    authority = trustme.CA()
    certificate = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(certificate)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_tls_is_never_left_again(
    server: ScriptedServer, open_session: Open, tls: ssl.SSLContext
) -> None:
    with ScriptedServer(tls=tls) as secure:
        secure.searches(master_list([1]))
        session = open_session(secure.login_url)
        assert keys(session) == ["1"]
        session.logout()
        plain = LOGIN.replace(b"Search=", f"Search={server.origin}".encode())
        secure.answers("/Login.svc/Login", plain)
        with pytest.raises(ConfigurationFault, match="https before"):
            session.search(ARGUMENTS, record="Property")
        secure.answers("/Login.svc/Login", LOGIN)
        secure.searches(Canned(b"", 302, {"Location": f"{server.origin}/x"}))
        session.logout()
        with pytest.raises(ConfigurationFault, match="https before"):
            session.search(ARGUMENTS, record="Property")
    assert server.received == []


def test_a_redirect_from_http_to_https(
    server: ScriptedServer, open_session: Open, tls: ssl.SSLContext
) -> None:
    with ScriptedServer(tls=tls) as secure:
        server.scheme = "none"
        server.answers("/Login.svc/Login", Canned(b"", 301, {"Location": secure.login_url}))
        secure.searches(Canned(reply(20701)), master_list([1]))
        session = open_session()
        assert keys(session) == ["1"]
        assert session.statistics.logins == 2
    assert len(server.received) == 1
    assert "authorization" not in server.received[0].headers


def test_a_certificate_that_is_not_trusted(
    open_session: Open, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with ScriptedServer(tls=tls) as secure:
        with pytest.raises(ConfigurationFault, match="TLS"):
            open_session(secure.login_url).login()
        assert secure.received == []
    assert waits == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "ftp://127.0.0.1/"}, "http"),
        ({"url": "http://user:hidden@127.0.0.1/"}, "user name"),
        ({"user_agent": "two\nlines"}, "user_agent"),
        ({"user_agent": ""}, "user_agent"),
        ({"rets_version": "1.7.2"}, "rets_version"),
    ],
)
def test_settings_that_cannot_work(
    open_session: Open, settings: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        open_session(**settings)
    assert "hidden" not in str(caught.value)


def test_a_server_that_is_not_there(open_session: Open, waits: list[float]) -> None:
    with pytest.raises(RetryLater) as caught:
        open_session("http://127.0.0.1:1/Login?token=hidden").login()
    assert str(caught.value) == "127.0.0.1:1: Login: the connection was refused"
    assert len(waits) == 3


def test_a_host_that_is_not_known(open_session: Open) -> None:
    with pytest.raises(RetryLater, match=r"rets\.invalid: Login: the host name is not known"):
        open_session("http://rets.invalid/Login", retries=0).login()


# Logout


def test_logout(server: ScriptedServer, open_session: Open) -> None:
    with open_session() as session:
        session.login()
    assert len(server.asked(LOGOUT)) == 1
    session.logout()
    assert len(server.asked(LOGOUT)) == 1


def test_no_logout_without_login(server: ScriptedServer, open_session: Open) -> None:
    open_session().close()
    assert server.received == []


@pytest.mark.parametrize(
    "canned",
    [
        Canned(reply(20701)),
        Canned(reply(20702)),
        Canned(b"", 401),
        Canned(b"<html>", 500),
        Canned(b"garbage"),
        Canned(reply(0), cut_after=3),
        Canned(challenge=True),
    ],
)
def test_faults_of_logout_do_not_matter(
    server: ScriptedServer, session: Session, canned: Canned
) -> None:
    server.answers(LOGOUT, canned)
    session.login()
    session.logout()
    assert len(server.asked(LOGOUT)) <= 2


def test_a_new_login_after_logout(server: ScriptedServer, session: Session) -> None:
    server.searches(master_list([1]))
    session.login()
    session.logout()
    assert keys(session) == ["1"]
    assert session.statistics.logins == 2


# Reports


def test_reports_statistics_and_log(
    server: ScriptedServer, open_session: Open, caplog: pytest.LogCaptureFixture
) -> None:
    reports: list[RequestReport] = []
    body = master_list([1, 2])
    server.searches(Canned(body, compressed=True))
    with caplog.at_level(logging.DEBUG, "rets_pipeline.rets"):
        session = open_session(on_request=reports.append)
        keys(session)
        session.close()
    assert [(report.transaction, report.http_status, report.reply_code) for report in reports] == [
        ("Login", 401, None),
        ("Login", 200, 0),
        ("Search", 200, 0),
        ("Logout", 200, 0),
    ]
    assert reports[2].bytes_received == len(body)
    statistics = session.statistics
    assert statistics.requests == len(reports) == len(caplog.records)
    assert statistics.bytes_received == sum(report.bytes_received for report in reports)
    assert set(statistics.seconds) == {"Login", "Search", "Logout"}
    assert "Search took" in caplog.records[2].getMessage()


def test_the_callers_time_is_not_the_servers(server: ScriptedServer, session: Session) -> None:
    server.searches(master_list([1, 2]))
    session.login()
    started, slept = time.monotonic(), 0.0
    for _ in session.search(ARGUMENTS, record="Property"):
        began = time.monotonic()
        time.sleep(0.3)
        slept += time.monotonic() - began
    passed = time.monotonic() - started
    assert slept >= 0.6
    assert session.statistics.seconds["Search"] <= passed - slept


def _session(server: ScriptedServer) -> Session:
    return Session(server.login_url, USERNAME, PASSWORD, user_agent="tests/1.0", timeout=(60, 60))
