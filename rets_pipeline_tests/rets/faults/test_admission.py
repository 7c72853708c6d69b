"""Challenges, cookies, sessions, versions, user agents."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from rets_pipeline.rets import (
    CredentialsRefused,
    NotLoggedIn,
    NotRets,
    QueryRefused,
    RetryLater,
    RetsError,
    Session,
    UserAgentAuthorization,
    UserAgentForm,
)
from rets_pipeline_tests.patience import PATIENCE

from .bench import FORMATS, KEY, Bench, proves


def read_all(bench: Bench, session: Session) -> None:
    assert bench.read("COMPACT", session) == bench.truth("COMPACT")
    assert bench.read("STANDARD-XML", session) == bench.truth("STANDARD-XML")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        proves("cookie_on_challenge", "Keeps the cookies of every answer, also of a 401.", {}),
        proves("nonce_per_connection", "Answers a challenge on the connection it came on.", {}),
        proves("nonce_per_request", "Answers the new challenge and sends the request again.", {}),
        proves("nonce_never_stale", "Answers the new challenge and sends the request again.", {}),
        proves("session_cookie_renamed", "Keeps every cookie, whatever its name.", {}),
        proves("session_cookie_empty", "Sends the cookie back without a value.", {}),
        proves("session_without_cookie", "Needs no cookie.", {}),
        proves("version_answered", "Adopts the version that the login answered.", {}),
        proves("version_bare", "Keeps its own version.", {}),
        proves("basic_only", "Chooses the scheme by the challenge.", {}),
        proves("no_authentication", "Sends no credentials that nobody asks for.", {}),
        proves("challenge_403", "Takes a challenge for one, whatever the status.", {}),
        proves("challenges_several", "Answers the challenge that it can answer.", {}),
        proves("challenges_in_one_header", "Tells challenges in one header apart.", {}),
        proves("challenge_unquoted", "Reads values without quotes.", {}),
        proves("digest_without_qop", "Answers as RFC 2069 says.", {}),
        proves("digest_md5_sess", "Answers with MD5-sess.", {}),
        proves("digest_sha_256", "Answers with SHA-256.", {}),
        proves("digest_signs_target", "Signs the path with the query.", {"method": "GET"}),
        proves(
            "digest_signs_path",
            "Signs the path alone when it is told to (`sign_path_only`), or posts.",
            {"method": "GET", "sign_path_only": True},
            case="option",
        ),
        proves(
            "digest_signs_path",
            "Signs the path alone when it is told to (`sign_path_only`), or posts.",
            {},
            case="post",
        ),
        proves("user_agent_needed", "Always sends a User-Agent.", {}),
        proves("query_in_address_fails", "Posts its arguments unless it is told otherwise.", {}),
        proves("user_agent_unwanted", "Sends no proof of the user agent without a password.", {}),
    ],
)
def test_letting_in(bench: Bench, name: str, settings: dict[str, Any]) -> None:
    bench.switch_on(name, times=None)
    session = bench.open(**settings)
    read_all(bench, session)
    assert bench.happened()[0] > 0 or name == "query_in_address_fails"
    assert session.statistics.logins == 1
    assert bench.waits == []


@pytest.mark.fault("digest_signs_path", does="Otherwise it is refused at once.")
def test_digest_over_the_path_without_the_option(bench: Bench) -> None:
    bench.switch_on("digest_signs_path")
    session = bench.open(method="GET")
    session.login()
    with pytest.raises(NotLoggedIn):
        bench.read("COMPACT", session)


@pytest.mark.fault(
    "bad_cookie_html",
    does="Says that it is no RETS; after a logout the next request has a new session.",
)
def test_a_lost_session_that_is_answered_with_a_page(bench: Bench) -> None:
    session = bench.open()
    read_all(bench, session)
    bench.switch_on("bad_cookie_html")
    requests.post(f"{bench.sandbox.url}/_sandbox/sessions/expire", timeout=PATIENCE)
    with pytest.raises(NotRets, match="Runtime Error"):
        bench.read("COMPACT", session)
    session.logout()
    read_all(bench, session)
    assert session.statistics.logins == 2


@pytest.mark.parametrize(
    ("name", "form"),
    [
        proves(
            "user_agent_authorization",
            "Proves itself with each request, and anew after the login.",
            UserAgentForm.RETS,
        ),
        proves(
            "user_agent_interealty",
            "Has Interealty's form as an option.",
            UserAgentForm.INTEREALTY,
        ),
    ],
)
@pytest.mark.parametrize("request_id", [None, lambda: "17"])
def test_user_agents(bench: Bench, name: str, form: UserAgentForm, request_id: Any) -> None:
    bench.switch_on(name, password="agent-secret")
    proof = UserAgentAuthorization("agent-secret", form, request_id)
    read_all(bench, bench.open(user_agent_authorization=proof))
    wrong = UserAgentAuthorization("another", form, request_id)
    for refused in (None, wrong):
        with pytest.raises(CredentialsRefused) as caught:
            bench.open(user_agent_authorization=refused).login()
        assert caught.value.reply_code == 20041
        assert "agent-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "settings", "code"),
    [
        proves(
            "version_refused",
            "Reads the code in the body of a 4xx.",
            {"version": "RETS/1.8"},
            20036,
        ),
        proves("challenge_missing", "Says that the server names no way in.", {}, None),
        proves("login_20701", "Tries again, since servers recover, and then gives up.", {}, 20701),
    ],
)
def test_logins_that_fail(
    bench: Bench, name: str, settings: dict[str, Any], code: int | None
) -> None:
    bench.switch_on(name, times=None, **settings)
    kind = RetryLater if name == "login_20701" else CredentialsRefused
    with pytest.raises(kind) as caught:
        bench.open().login()
    assert caught.value.reply_code == code
    assert len(bench.waits) == (2 if kind is RetryLater else 0)


# Lost sessions

LOST = [
    proves("session_lost_401", "Logs in again once and repeats the request."),
    proves("session_lost_without_challenge", "Logs in again once and repeats the request."),
    proves("session_lost_412", "Logs in again once, whatever the body looks like."),
    proves("session_lost_20037", "Logs in again once and repeats the request."),
    proves("session_lost_20701", "Logs in again once and repeats the request."),
]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", LOST)
def test_a_lost_session_is_renewed_once(bench: Bench, form: str, name: str) -> None:
    session = bench.session(form)
    assert bench.read(form) == bench.truth(form)
    bench.switch_on(name)
    assert bench.read(form) == bench.truth(form)
    assert session.statistics.logins == 2
    assert bench.happened() == [1]
    assert bench.waits == []


@pytest.mark.parametrize("name", LOST)
def test_a_session_that_is_lost_again_and_again(bench: Bench, name: str) -> None:
    session = bench.open()
    session.login()
    bench.switch_on(name, times=None)
    with pytest.raises(NotLoggedIn):
        bench.read("COMPACT", session)
    assert session.statistics.logins == 2
    assert bench.happened()[0] <= 3


@pytest.mark.fault("session_lost_401", does="However often: each request is worth one new login.")
def test_a_session_that_is_lost_at_random(bench: Bench) -> None:
    """As behind a load balancer whose nodes do not know each other's sessions."""
    session = bench.open()
    bench.switch_on("session_lost_401", share=0.3)
    for _ in range(12):
        assert bench.read("COMPACT", session) == bench.truth("COMPACT")
    (happened,) = bench.happened()
    assert happened == session.statistics.logins - 1 == 2


@pytest.mark.parametrize("name", LOST)
def test_a_lost_session_before_metadata_and_objects(bench: Bench, name: str) -> None:
    session = bench.open()
    bench.switch_on(name, transaction="GetMetadata")
    assert session.get_metadata("METADATA-RESOURCE").tables
    bench.switch_on(name, transaction="GetObject")
    with session.get_object("Property", "Photo", {str(KEY): "*"}) as objects:
        assert len([found for found in objects if not found.error]) == 5
    assert session.statistics.logins == 3


@pytest.mark.parametrize(
    "name", [proves("login_20701", "Tries again, since servers recover, and then gives up.")]
)
def test_a_login_that_works_the_second_time(bench: Bench, name: str) -> None:
    bench.switch_on(name)
    read_all(bench, bench.open())
    assert len(bench.waits) == 1


# Busy servers

BUSY = [
    proves("additional_login_refused", "Waits five seconds and more, tries again, gives up."),
    proves("too_many_outstanding", "Waits five seconds and more, tries again, gives up."),
    *(
        proves(f"http_{status}", "Waits, longer each time, tries again, gives up.")
        for status in (429, 500, 502, 503, 504)
    ),
    proves("reply_code", "Knows which codes are worth another try."),
]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", BUSY)
def test_a_busy_server_recovers(bench: Bench, form: str, name: str) -> None:
    bench.switch_on(name, times=2)
    assert bench.read(form) == bench.truth(form)
    first, second = bench.waits
    assert first < second
    if name in ("additional_login_refused", "too_many_outstanding"):
        assert first >= 5


@pytest.mark.parametrize("name", BUSY)
def test_a_server_that_stays_busy(bench: Bench, name: str) -> None:
    bench.switch_on(name, times=None)
    with pytest.raises(RetryLater):
        bench.read("COMPACT")
    assert bench.happened() == [3]
    assert len(bench.waits) == 2


@pytest.mark.parametrize("retry_after", [0, 7, 100])
def test_the_server_says_how_long_to_wait(bench: Bench, retry_after: int) -> None:
    bench.switch_on("http_503", retry_after=retry_after)
    bench.read("COMPACT")
    (wait,) = bench.waits
    assert wait >= retry_after


def test_a_server_that_wants_too_long_a_wait(bench: Bench) -> None:
    bench.switch_on("http_429", retry_after=86_400, times=None)
    with pytest.raises(RetryLater) as caught:
        bench.read("COMPACT")
    assert caught.value.retry_after == 86_400
    assert bench.waits == []


@pytest.mark.parametrize("transaction", ["GetMetadata", "GetObject"])
@pytest.mark.parametrize("name", ["too_many_outstanding", "http_503", "reply_code"])
def test_other_transactions_are_tried_again_too(bench: Bench, transaction: str, name: str) -> None:
    bench.switch_on(name, transaction=transaction)
    session = bench.open()
    if transaction == "GetMetadata":
        assert session.get_metadata("METADATA-SYSTEM").tables
    else:
        with session.get_object("Property", "Photo", {str(KEY): 1}) as objects:
            assert [found.object_id for found in objects] == ["1"]
    assert len(bench.waits) == 1


@pytest.mark.parametrize(
    ("code", "kind"), [(20203, QueryRefused), (20206, QueryRefused), (20036, CredentialsRefused)]
)
def test_what_is_fatal_is_not_tried_again(bench: Bench, code: int, kind: type[RetsError]) -> None:
    bench.switch_on("reply_code", code=code, times=None)
    session = bench.open()
    bench.sandbox.world.faults.reset()
    session.login()
    bench.switch_on("reply_code", code=code, times=None)
    with pytest.raises(kind) as caught:
        bench.read("COMPACT", session)
    assert caught.value.reply_code == code
    assert bench.waits == []
    assert bench.happened() == [1]
