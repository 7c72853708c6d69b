"""Capabilities, challenges, reply codes and Retry-After, each on its own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rets_pipeline.rets import CredentialsRefused, NotLoggedIn, QueryRefused, RetryLater
from rets_pipeline.rets.authentication import Authentication, parse_challenges
from rets_pipeline.rets.capabilities import Capabilities
from rets_pipeline.rets.reply_codes import classify
from rets_pipeline.rets.transport import parse_retry_after

BASE = "https://rets.example.com:6103/rets/a/login?brand=1"


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("/Search.svc/Search", "https://rets.example.com:6103/Search.svc/Search"),
        ("search", "https://rets.example.com:6103/rets/a/search"),
        ("../b/search?x=a=b", "https://rets.example.com:6103/rets/b/search?x=a=b"),
        ("//media.example.com/s", "https://media.example.com/s"),
        ("http://other.example.com:80/s#part", "http://other.example.com:80/s"),
        ("https://user:pass@other.example.com/s", "https://other.example.com/s"),
        ("", None),
        ("ftp://other.example.com/s", None),
        ("http://[broken/s", None),
        ("http://host:port/s", None),
    ],
)
def test_addresses(value: str, url: str | None) -> None:
    capabilities = Capabilities.parse(f"\n  sEaRcH =  {value} \r\n", BASE)
    assert capabilities.urls.get("Search") == url


def test_lines_of_a_login() -> None:
    text = """
        MemberName = Jane = Doe
        Info=TimeoutSeconds;Int;1800
        no line
        =nothing
        X-Media=/media
        Empty=
        GetMetadata=/Metadata"""
    capabilities = Capabilities.parse(text, BASE)
    assert capabilities.information == {
        "MemberName": "Jane = Doe",
        "TimeoutSeconds": "1800",
        "X-Media": "/media",
        "Empty": "",
    }
    assert set(capabilities.urls) == {"GetMetadata"}


@settings(deadline=None)
@given(st.text())
def test_any_login_text(text: str) -> None:
    for url in Capabilities.parse(text, BASE).urls.values():
        assert url.startswith(("http://", "https://"))


def test_several_challenges() -> None:
    header = (
        'Negotiate, NTLM abcd==, Basic realm="a, \\"b\\"", '
        'Digest realm="r", nonce="n,=1", qop="auth,auth-int", stale=TRUE, algorithm=MD5'
    )
    challenges = list(parse_challenges([header, "Basic"]))
    assert [item.scheme for item in challenges] == ["negotiate", "ntlm", "basic", "digest", "basic"]
    assert challenges[2].parameters == {"realm": 'a, "b"'}
    digest = challenges[3]
    assert digest.parameters["nonce"] == "n,=1"
    assert digest.stale
    assert digest.qops == {"auth", "auth-int"}
    assert [item.answerable for item in challenges] == [False, False, True, True, True]


@settings(deadline=None)
@given(st.text(st.characters(max_codepoint=255)))
def test_any_challenge(text: str) -> None:
    list(parse_challenges([text, "Digest " + text]))


@pytest.mark.parametrize(
    "header",
    ['Digest realm="r"', 'Digest nonce="n", qop="auth-int"', 'Digest nonce="n", algorithm=TOKEN'],
)
def test_challenges_that_cannot_be_answered(header: str) -> None:
    authentication = Authentication("user", "pass")
    assert authentication.take("http://host/a", [header]) is None
    assert authentication.header("GET", "http://host/a") is None


def test_the_example_of_rfc_2617(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "0a4f113b")
    authentication = Authentication("Mufasa", "Circle Of Life")
    header = (
        'Digest realm="testrealm@host.com", qop="auth,auth-int", '
        'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    authentication.take("http://www.nowhere.org/", [header])
    value = authentication.header("GET", "http://www.nowhere.org/dir/index.html") or ""
    assert 'response="6629fae49393a05397450978507c4ef1"' in value
    assert 'uri="/dir/index.html"' in value
    assert "nc=00000001" in value
    # Nothing goes to a host that did not ask.
    assert authentication.header("GET", "http://elsewhere.org/dir/index.html") is None
    assert authentication.header("GET", "https://www.nowhere.org/dir/index.html") is None
    assert "Circle" not in repr(authentication)


@pytest.mark.parametrize(
    ("code", "transaction", "kind"),
    [
        (20037, "Search", NotLoggedIn),
        (20037, "Login", CredentialsRefused),
        (20701, "Search", NotLoggedIn),
        (20701, "Login", RetryLater),
        (12345, "Search", QueryRefused),
        (12345, "Login", CredentialsRefused),
        (20512, "GetMetadata", RetryLater),
    ],
)
def test_reply_codes(code: int, transaction: str, kind: type[Exception]) -> None:
    assert classify(code, transaction)[0] is kind


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Wed, 13 Mar 2024 14:34:02 GMT", 60.0),
        ("Wed, 13 Mar 2024 14:30:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("-5", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    now = datetime(2024, 3, 13, 14, 33, 2, tzinfo=UTC)
    assert parse_retry_after(text, now) == seconds
