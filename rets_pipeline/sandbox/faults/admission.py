"""Faults of letting clients in: challenges, cookies, sessions, versions, user agents.

What belongs here: sections 1 to 7 of the catalogue. What does not: what a login answers
(``capabilities``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rets_pipeline.sandbox.answers import Answer, plain, rets
from rets_pipeline.sandbox.faults.catalogue import DATA, Turn, bends_rules, replaces
from rets_pipeline.sandbox.rules import Rules

_Given = Mapping[str, Any]
_INSIDE = ("Search", "GetMetadata", "GetObject")
_AGENT_PASSWORD = "agent-password"  # noqa: S105 - of an invented user agent

# --- 1: cookies and connections -------------------------------------------------------------------


@bends_rules(1)
def cookie_on_challenge(rules: Rules, _: _Given) -> None:
    """The first refusal sets a cookie; requests that do not bring it back are refused."""
    rules.gate_cookie = True


@bends_rules(1)
def nonce_per_connection(rules: Rules, _: _Given) -> None:
    """A nonce is good only on the connection on which it was given."""
    rules.nonce_bound = True


@bends_rules(1)
def nonce_per_request(rules: Rules, _: _Given) -> None:
    """A nonce is good for one request; the next is refused as stale."""
    rules.nonce_uses = 1


@bends_rules(1)
def nonce_never_stale(rules: Rules, _: _Given) -> None:
    """A nonce is good for one request; the refusal of the next does not say stale."""
    rules.nonce_uses, rules.says_stale = 1, False


# --- 2: lost sessions -----------------------------------------------------------------------------


def _lost(turn: Turn, answer: Answer) -> Answer:
    turn.call.end_sessions()
    return answer


@replaces(2, _INSIDE)
def session_lost_401(turn: Turn) -> Answer:
    """The session is forgotten; HTTP 401 with a new challenge."""
    answer = _lost(turn, plain("RETS-Session-ID is invalid", 401))
    answer.challenges = [turn.call.challenge()]
    return answer


@replaces(2, _INSIDE)
def session_lost_without_challenge(turn: Turn) -> Answer:
    """The session is forgotten; HTTP 401 that names no way to authenticate."""
    return _lost(turn, plain("RETS-Session-ID is invalid", 401))


@replaces(2, _INSIDE)
def session_lost_412(turn: Turn) -> Answer:
    """The session is forgotten; HTTP 412, with a body that looks like success."""
    answer = _lost(turn, rets("<RETS-RESPONSE></RETS-RESPONSE>"))
    answer.status = 412
    return answer


@replaces(2, _INSIDE)
def session_lost_20037(turn: Turn) -> Answer:
    """The session is forgotten; reply code 20037."""
    return _lost(turn, rets("", 20037, "User Agent not authenticated"))


@replaces(2, _INSIDE)
def session_lost_20701(turn: Turn) -> Answer:
    """The session is forgotten; reply code 20701."""
    return _lost(turn, rets("", 20701, "Not Logged In"))


@replaces(2, ("Login",))
def login_20701(_: Turn) -> Answer:
    """A login opens a session that the server does not know: reply code 20701."""
    return rets("", 20701, "Not Logged In")


# --- 3: busy --------------------------------------------------------------------------------------


@replaces(3, ("Login",))
def additional_login_refused(_: Turn) -> Answer:
    """Another login of the account is not permitted: reply code 20022."""
    return rets("", 20022, "Additional login not permitted")


@replaces(3, _INSIDE)
def too_many_outstanding(turn: Turn) -> Answer:
    """Too many requests are outstanding: reply code 20210, 20412 or 20512."""
    codes = {"Search": 20210, "GetObject": 20412, "GetMetadata": 20512}
    return rets("", codes[turn.call.transaction], "Too many outstanding requests")


def _status(status: int, turn: Turn) -> Answer:
    answer = plain("<html><body>Try again later.</body></html>", status, "text/html")
    if turn["retry_after"] is not None:
        answer.headers["Retry-After"] = str(turn["retry_after"])
    return answer


_EVERYWHERE = (*DATA, "Logout", "Image")


@replaces(3, _EVERYWHERE, retry_after=None)
def http_429(turn: Turn) -> Answer:
    """HTTP 429, with a Retry-After or without."""
    return _status(429, turn)


@replaces(3, _EVERYWHERE, retry_after=None)
def http_500(turn: Turn) -> Answer:
    """HTTP 500 and a page."""
    return _status(500, turn)


@replaces(3, _EVERYWHERE, retry_after=None)
def http_502(turn: Turn) -> Answer:
    """HTTP 502 and a page."""
    return _status(502, turn)


@replaces(3, _EVERYWHERE, retry_after=None)
def http_503(turn: Turn) -> Answer:
    """HTTP 503, with a Retry-After or without."""
    return _status(503, turn)


@replaces(3, _EVERYWHERE, retry_after=None)
def http_504(turn: Turn) -> Answer:
    """HTTP 504 and a page."""
    return _status(504, turn)


@replaces(3, code=20050, text="Server Temporarily Disabled")
def reply_code(turn: Turn) -> Answer:
    """Any reply code."""
    return rets("", turn["code"], turn["text"])


# --- 4: the session's cookie ----------------------------------------------------------------------


@bends_rules(4, cookie="ASPSESSIONIDQQ")
def session_cookie_renamed(rules: Rules, given: _Given) -> None:
    """The session's cookie has a name of its own."""
    rules.cookie = given["cookie"]


@bends_rules(4)
def session_cookie_empty(rules: Rules, _: _Given) -> None:
    """The session's cookie has no value."""
    rules.session = "empty"


@bends_rules(4)
def session_without_cookie(rules: Rules, _: _Given) -> None:
    """There is no cookie for the session at all."""
    rules.session = "none"


# --- 5: user agents -------------------------------------------------------------------------------


@bends_rules(5, password=_AGENT_PASSWORD)
def user_agent_authorization(rules: Rules, given: _Given) -> None:
    """A RETS-UA-Authorization header is needed: reply code 20041."""
    rules.user_agent_password = given["password"]


@bends_rules(
    5,
    password=_AGENT_PASSWORD,
)
def user_agent_interealty(rules: Rules, given: _Given) -> None:
    """The same, but the product in the hash ends at its slash (Interealty)."""
    rules.user_agent_password, rules.user_agent_form = given["password"], "interealty"


@bends_rules(5)
def user_agent_unwanted(rules: Rules, _: _Given) -> None:
    """A RETS-UA-Authorization header makes the server refuse: reply code 20041."""
    rules.user_agent_unwanted = True


# --- 6: versions ----------------------------------------------------------------------------------


@bends_rules(6, version="RETS/1.7.2")
def version_refused(rules: Rules, given: _Given) -> None:
    """Other RETS-Versions get HTTP 400 with code 20036 as text/plain."""
    rules.version = rules.version_accepted = given["version"]
    rules.version_strict = True


@bends_rules(6, version="RETS/1.5")
def version_answered(rules: Rules, given: _Given) -> None:
    """After the login only the version is accepted that it answered."""
    rules.version = rules.version_accepted = given["version"]


@bends_rules(6, version="1.7.2")
def version_bare(rules: Rules, given: _Given) -> None:
    """The server answers with a version that is none."""
    rules.version = given["version"]


@bends_rules(6)
def user_agent_needed(rules: Rules, _: _Given) -> None:
    """A request without a User-Agent makes the server fail with HTTP 500."""
    rules.user_agent_needed = True


# --- 7: authentication ----------------------------------------------------------------------------


@bends_rules(7)
def basic_only(rules: Rules, _: _Given) -> None:
    """Basic is the only scheme."""
    rules.scheme = "basic"


@bends_rules(7)
def no_authentication(rules: Rules, _: _Given) -> None:
    """Nobody is asked to authenticate."""
    rules.scheme = "none"


@bends_rules(7)
def challenge_403(rules: Rules, _: _Given) -> None:
    """The challenge comes with HTTP 403."""
    rules.challenge_status = 403


@bends_rules(7)
def challenge_missing(rules: Rules, _: _Given) -> None:
    """HTTP 401 names no way to authenticate."""
    rules.no_challenge = True


@bends_rules(7)
def challenges_several(rules: Rules, _: _Given) -> None:
    """Several challenges come in headers of their own; the right one is the last."""
    rules.other_challenges = ("Negotiate", "NTLM")


@bends_rules(7)
def challenges_in_one_header(rules: Rules, _: _Given) -> None:
    """Several challenges come in one header; the right one is the last."""
    rules.other_challenges, rules.one_header = ("Negotiate", 'Bearer realm="a, b"'), True


@bends_rules(7)
def challenge_unquoted(rules: Rules, _: _Given) -> None:
    """The challenge's values have no quotes."""
    rules.quoted = False


@bends_rules(7)
def digest_without_qop(rules: Rules, _: _Given) -> None:
    """Digest has no qop (RFC 2069)."""
    rules.qop = False


@bends_rules(7)
def digest_md5_sess(rules: Rules, _: _Given) -> None:
    """Digest uses MD5-sess."""
    rules.algorithm = "MD5-sess"


@bends_rules(7)
def digest_sha_256(rules: Rules, _: _Given) -> None:
    """Digest uses SHA-256."""
    rules.algorithm = "SHA-256"


@bends_rules(7)
def digest_signs_path(rules: Rules, _: _Given) -> None:
    """Digest must sign the path alone, without the query."""
    rules.signed = "path"


@bends_rules(7)
def digest_signs_target(rules: Rules, _: _Given) -> None:
    """Digest must sign the path with the query."""
    rules.signed = "target"


@replaces(7)
def query_in_address_fails(turn: Turn) -> Answer | None:
    """A request with a query in its address makes the server fail with HTTP 500."""
    if not turn.call.request.scope["query_string"]:
        return None
    return plain("java.lang.StringIndexOutOfBoundsException", 500)
