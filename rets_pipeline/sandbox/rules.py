"""How a server lets its clients in.

What belongs here: the rules that faults can bend. What does not: keeping them (``authentication``,
``door``).
"""

from __future__ import annotations

from dataclasses import dataclass

SESSION_COOKIE = "X-SESSIONID"


@dataclass(slots=True)
class Rules:
    """How a server lets its clients in; as made, as a good one does.

    Attributes:
        cookie: the name of the session's cookie.
        version: of RETS, that the server answers with.
        scheme: ``digest``, ``basic``, or ``none``.
        qop: whether Digest has a quality of protection (RFC 2617) or none (RFC 2069).
        algorithm: of Digest, as the challenge names it; MD5 when it is empty.
        signed: what Digest must sign: ``path``, ``target`` (with the query) or ``either``.
        nonce_uses: so many requests may be signed with a nonce, or None.
        nonce_bound: a nonce is good only on the connection that it was given on.
        says_stale: the challenge tells when only the nonce was too old.
        quoted: the values of the challenge stand in quotes.
        challenge_status: of HTTP.
        other_challenges: that come before the real one.
        one_header: all challenges stand in one header.
        no_challenge: the refusal says nothing of how to authenticate.
        gate_cookie: the refusal sets a cookie, and who does not bring it back is refused.
        session: ``cookie``; ``empty``, the cookie has no value; ``none``, there is no cookie.
        bad_cookie: what a session that nobody knows is answered: ``code`` or ``html``.
        version_accepted: the only one, or None for any; others are refused with status 400.
        version_strict: already at the login.
        user_agent_needed: a request without a User-Agent makes the server fail.
        user_agent_password: the RETS-UA-Authorization header is checked by it.
        user_agent_form: ``rets``, or ``interealty``, which cuts the product at its slash.
        user_agent_unwanted: a RETS-UA-Authorization header makes the server refuse.
    """

    cookie: str = SESSION_COOKIE
    version: str = "RETS/1.7.2"
    scheme: str = "digest"
    qop: bool = True
    algorithm: str = ""
    signed: str = "either"
    nonce_uses: int | None = None
    nonce_bound: bool = False
    says_stale: bool = True
    quoted: bool = True
    challenge_status: int = 401
    other_challenges: tuple[str, ...] = ()
    one_header: bool = False
    no_challenge: bool = False
    gate_cookie: bool = False
    session: str = "cookie"
    bad_cookie: str = "code"
    version_accepted: str | None = None
    version_strict: bool = False
    user_agent_needed: bool = False
    user_agent_password: str | None = None
    user_agent_form: str = "rets"
    user_agent_unwanted: bool = False
