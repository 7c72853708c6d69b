"""No secret leaves the package: not in errors, not in logs, not in reprs."""

from __future__ import annotations

import base64
import logging
import pickle
import traceback
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rets_pipeline.rets import RetryLater, RetsError, Session
from rets_pipeline.rets.errors import Exchange
from rets_pipeline.rets.redaction import QUOTE_LIMIT, Redactor, redact, server_name

from .scripted_server import LOGIN, PASSWORD, USERNAME, Canned, ScriptedServer, reply

ENCODED = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
SPELLINGS = [PASSWORD, USERNAME, USERNAME.upper(), quote(PASSWORD), quote_plus(PASSWORD), ENCODED]
ECHO = (
    f"<html>User {USERNAME} / {USERNAME.upper()} with password {PASSWORD} or {quote(PASSWORD)} "
    f"or {quote_plus(PASSWORD)}, Authorization: Basic {ENCODED}\nCookie: X-SESSIONID=abc123\n"
    f"RETS-UA-Authorization: Digest 0123456789abcdef see http://{USERNAME}:x@host/p?q=zzz</html>"
).encode()


def visible(error: BaseException) -> str:
    """All that anybody prints of an exception, causes and contexts that are hidden too."""
    parts = []
    pending: list[BaseException | None] = [error]
    while pending:
        item = pending.pop()
        if item is None:
            continue
        parts += [str(item), repr(item), repr(vars(item))]
        parts += traceback.format_exception(item)
        pending += [item.__cause__, item.__context__]
    return "\n".join(parts)


def assert_clean(text: str) -> None:
    for secret in [*SPELLINGS, "abc123", "0123456789abcdef", "zzz"]:
        assert secret not in text


BODIES = {
    "HTML": Canned(ECHO),
    "HTML 401": Canned(ECHO, 401),
    "HTML 403": Canned(ECHO, 403),
    "HTML 404": Canned(ECHO, 404),
    "HTML 503": Canned(ECHO, 503),
    "broken": Canned(f'<RETS ReplyCode="{USERNAME}">'.encode()),
    "broken later": Canned(f'<RETS ReplyCode="0"></{USERNAME}>'.encode()),
    "encoding": Canned(f'<?xml version="1.0" encoding="{USERNAME}"?><RETS>'.encode()),
    "count": Canned(reply(0, "", f'<COUNT Records="{USERNAME}"/>')),
    "cut": Canned(LOGIN, cut_after=30),
    "redirect": Canned(b"", 302, {"Location": f"http://{USERNAME}:x@other/{quote(PASSWORD)}"}),
    "compression": Canned(ECHO, headers={"Content-Encoding": "gzip"}),
    **{
        str(code): Canned(
            reply(code, f"{USERNAME} {quote(PASSWORD)} {ENCODED} Cookie: X-SESSIONID=abc123")
        )
        for code in (20003, 20022, 20036, 20206, 20208, 20701)
    },
}


ASK: dict[str, Callable[[Session], object]] = {
    "/Search.svc/Search": lambda session: list(
        session.search({"Query": f"({PASSWORD})"}, record="Property")
    ),
    "/Metadata.svc/GetMetadata": lambda session: session.get_metadata("METADATA-CLASS", PASSWORD),
    "/Object.svc/GetObject": lambda session: [
        item.error for item in session.get_object("Property", PASSWORD, "1") if item.error
    ],
}


@pytest.mark.parametrize(
    ("path", "name"),
    # Only searches have a COUNT.
    [
        (path, name)
        for path in ("/Login.svc/Login", *ASK)
        for name in BODIES
        if name != "count" or path.startswith("/Search")
    ],
)
def test_errors_and_logs_hold_no_secrets(
    server: ScriptedServer,
    open_session: Callable[..., Session],
    caplog: pytest.LogCaptureFixture,
    path: str,
    name: str,
) -> None:
    capabilities = {"GetObject": "/Object.svc/GetObject"}
    server.answers(path, BODIES[name])
    session = open_session(retries=1, capabilities=capabilities)
    ask = ASK.get(path, ASK["/Search.svc/Search"])
    with caplog.at_level(logging.DEBUG, "rets_pipeline.rets"), pytest.raises(RetsError) as caught:
        ask(session)
    error = caught.value
    assert_clean(visible(error))
    assert_clean(caplog.text)
    assert_clean(repr(session) + repr(vars(session)))
    assert "\n" not in str(error)
    assert str(error).startswith(f"{server_name(server.origin)}: ")
    assert error.transaction in str(error)
    assert len(str(error)) < 200 + QUOTE_LIMIT


def test_no_secret_when_nobody_answers(open_session: Callable[..., Session]) -> None:
    url = f"http://127.0.0.1:1/{USERNAME}?password={quote(PASSWORD)}"
    with pytest.raises(RetryLater) as caught:
        open_session(url).login()
    assert_clean(visible(caught.value))


def test_errors_survive_pickling() -> None:
    error = Exchange("host", "Search", 503).error(RetryLater, "busy", reply_code=20050, rows=3)
    error.retry_after = 5.0
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error) == "host: Search: busy (reply code 20050, HTTP status 503)"
    assert vars(copy) == vars(error)


SECRETS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=4, max_size=30).filter(
    lambda text: text.strip() == text and text not in "[redacted]"
)


@settings(deadline=None)
@given(SECRETS, SECRETS, st.text(max_size=100), st.text(max_size=300), st.integers(0, 5000))
def test_quotes_never_show_a_secret(
    name: str, password: str, before: str, after: str, end: int
) -> None:
    redactor = Redactor((name, password), ((name, password),))
    for spelling in (name, password, quote(password, safe=""), quote_plus(password)):
        quoted = redactor.quote(before + spelling + after)
        assert len(quoted) <= QUOTE_LIMIT
        assert spelling not in quoted or spelling in redact(before + after)
        # Cut within the secret, nothing of it is left either.
        text = (before + spelling)[: len(before) + min(end, len(spelling) - 1)]
        beginnings = {redactor.quote(before[:size]) for size in range(len(before) + 1)}
        assert redactor.quote(text, cut=True) in beginnings


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("Authorization: Digest username=u, response=abcdef", "abcdef"),
        ("'Authorization': 'Basic dXNlcjpwYXNz'", "dXNlcjpwYXNz"),
        ("set-cookie: X-SESSIONID=1a2b; path=/", "1a2b"),
        ("X-SESSIONID=1a2b", "1a2b"),
        ("?access_token=qwertz&x=1", "qwertz"),
        ("password: hunter2", "hunter2"),
        ("see https://joe:pw12@example.com/a?key=zz1 now", "pw12"),
        ("see https://joe:pw12@example.com/a?key=zz1 now", "zz1"),
        ("Bearer abcdefghijklmnop", "abcdefghijklmnop"),
    ],
)
def test_what_looks_like_a_secret(text: str, gone: str) -> None:
    assert gone not in redact(text)
    assert "[redacted]" in redact(text)


def test_ordinary_text_stays() -> None:
    text = "Invalid query syntax near (ID=5) at https://example.com/help?a=b"
    assert redact(text) == text
    assert redact(" two\r\nlines\t\x00\u2028of text ") == "two lines of text"


def test_server_names() -> None:
    assert server_name("https://u:p@data.crea.ca/Login?x=y") == "data.crea.ca"
    assert server_name("http://127.0.0.1:8642/x") == "127.0.0.1:8642"
    assert server_name("http://[broken") == "(unreadable address)"
