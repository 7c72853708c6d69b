"""Who may ask: HTTP Digest and Basic, user agents, and sessions.

What belongs here: nonces, the check of an Authorization header, the life of sessions. What does
not: what an answer looks like in RETS, and which rules hold (``rules``).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from rets_pipeline.sandbox.rules import Rules
from rets_pipeline.sandbox.statistics import Statistics

_NONCES_KEPT = 5_000
_FIELD = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))')
_NEEDED = frozenset({"username", "realm", "nonce", "uri", "response"})
_NEEDED_WITH_QOP = frozenset({"qop", "nc", "cnonce"})


@dataclass(frozen=True, slots=True)
class Signed:
    """What an Authorization header is checked against.

    Attributes:
        header: its value.
        method: of the request.
        path: of the request, as sent.
        query: likewise, without the question mark.
        connection: that the request came on.
    """

    header: str
    method: str
    path: str
    query: str
    connection: object


@dataclass(slots=True)
class _Nonce:
    connection: object
    counts: set[int] = field(default_factory=set)
    uses: int = 0


class Account:
    """HTTP Digest (RFC 2617) and Basic for the only account of a server.

    Args:
        username: of the account.
        password: likewise.
        realm: of the server.
    """

    def __init__(self, username: str, password: str, realm: str) -> None:
        self._username, self._password, self._realm = username, password, realm
        self._nonces: OrderedDict[str, _Nonce] = OrderedDict()

    def challenge(self, rules: Rules, connection: object, *, stale: bool = False) -> str:
        """The value of a WWW-Authenticate header, with a new nonce."""
        if rules.scheme == "basic":
            return f'Basic realm="{self._realm}"'
        nonce = secrets.token_hex(16)
        self._nonces[nonce] = _Nonce(connection)
        while len(self._nonces) > _NONCES_KEPT:
            self._nonces.popitem(last=False)
        header = f'Digest realm="{self._realm}", nonce="{nonce}"'
        if rules.qop:
            header += ', qop="auth"'
        if rules.algorithm:
            header += f", algorithm={rules.algorithm}"
        if stale and rules.says_stale:
            header += ", stale=true"
        # Values with blanks cannot do without.
        return header if rules.quoted else re.sub(r'"([^"\s,]*)"', r"\1", header)

    def check(self, signed: Signed, rules: Rules) -> tuple[bool, bool]:
        """Whether an Authorization header is right for a request.

        Returns:
            Whether it is right; and if not, whether only its nonce is out of date.
        """
        if rules.scheme == "none":
            return True, False
        scheme, _, rest = signed.header.partition(" ")
        if scheme.lower() != rules.scheme:
            return False, False
        if rules.scheme == "basic":
            joined = f"{self._username}:{self._password}".encode()
            right = base64.b64encode(joined)
            return hmac.compare_digest(rest.strip().encode("latin-1"), right), False
        found = {name.lower(): quoted or bare for name, quoted, bare in _FIELD.findall(rest)}
        if not found.keys() >= (_NEEDED | _NEEDED_WITH_QOP if rules.qop else _NEEDED):
            return False, False
        if not self._is_right(found, signed.method, rules) or not _is_same(signed, found, rules):
            return False, False
        fresh = self._use(found, signed.connection, rules)
        return fresh, not fresh

    def forget(self) -> None:
        """Forget all nonces, so that the next request is challenged."""
        self._nonces.clear()

    def _is_right(self, found: dict[str, str], method: str, rules: Rules) -> bool:
        if found["username"] != self._username or found["realm"] != self._realm:
            return False
        if rules.qop and found["qop"].lower() != "auth":
            return False
        name = "sha256" if "256" in rules.algorithm else "md5"
        secret = _hash(f"{self._username}:{self._realm}:{self._password}", name)
        if rules.algorithm.lower().endswith("-sess"):
            secret = _hash(f"{secret}:{found['nonce']}:{found.get('cnonce', '')}", name)
        parts = [secret, found["nonce"]]
        if rules.qop:
            parts += [found["nc"], found["cnonce"], found["qop"]]
        parts.append(_hash(f"{method}:{found['uri']}", name))
        return hmac.compare_digest(_hash(":".join(parts), name), found["response"])

    def _use(self, found: dict[str, str], connection: object, rules: Rules) -> bool:
        """Note that a nonce was used with a count; False when it is unknown or was used so."""
        nonce = self._nonces.get(found["nonce"])
        if nonce is None or (rules.nonce_bound and nonce.connection != connection):
            return False
        if rules.nonce_uses is not None and nonce.uses >= rules.nonce_uses:
            return False
        nonce.uses += 1
        if not rules.qop:
            return True
        if re.fullmatch(r"[0-9a-fA-F]{8}", found["nc"]) is None:
            return False
        count = int(found["nc"], 16)
        if count == 0 or count in nonce.counts:
            return False
        nonce.counts.add(count)
        return True


def user_agent_proof(
    rules: Rules, user_agent: str, request: str, session: str, version: str
) -> str:
    """The RETS-UA-Authorization header that a request must have (RETS 1.7.2, section 3.9).

    Args:
        rules: with the password and the form.
        user_agent: the User-Agent header.
        request: the RETS-Request-ID header, or nothing.
        session: the value of the session's cookie, or nothing.
        version: the RETS-Version header.
    """
    product = user_agent
    if rules.user_agent_form == "interealty":
        product = user_agent.partition("/")[0]
    secret = _hash(f"{product}:{rules.user_agent_password}")
    return f"Digest {_hash(f'{secret}:{request}:{session}:{version}')}"


class Sessions:
    """The sessions that are open.

    Args:
        statistics: that count them.
        single: whether only one may be open.
        idle_seconds: of silence, after which one is forgotten.
        clock: real seconds, for measuring silence.
    """

    def __init__(
        self,
        statistics: Statistics,
        single: bool,
        idle_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._statistics, self._single, self._clock = statistics, single, clock
        self._idle_seconds = idle_seconds
        self._used: dict[str, float] = {}

    def login(self, held: str | None) -> str | None:
        """Open a session; one that the client holds already is replaced.

        Args:
            held: the session that the client holds, if any.

        Returns:
            Its id, or None when another session is open and only one may be.
        """
        self._forget_idle()
        if held is not None:
            self._used.pop(held, None)
        if self._single and self._used:
            return None
        session = secrets.token_hex(16)
        self._used[session] = self._clock()
        self._statistics.logins += 1
        self._statistics.sessions(len(self._used))
        return session

    def is_open(self, session: str | None) -> bool:
        """Whether a session is open; it counts as used now."""
        self._forget_idle()
        if session is None or session not in self._used:
            return False
        self._used[session] = self._clock()
        return True

    def logout(self, session: str) -> None:
        """Close a session that is open."""
        del self._used[session]
        self._statistics.logouts += 1
        self._statistics.sessions(len(self._used))

    def expire(self) -> int:
        """Forget all sessions; how many there were."""
        count = len(self._used)
        self._used.clear()
        self._statistics.sessions(0)
        return count

    def _forget_idle(self) -> None:
        oldest = self._clock() - self._idle_seconds
        self._used = {session: used for session, used in self._used.items() if used >= oldest}
        self._statistics.sessions(len(self._used))


def _is_same(signed: Signed, found: dict[str, str], rules: Rules) -> bool:
    """DDF: some clients sign the path without the query, and are let in."""
    parts = urlsplit(found["uri"])
    queries = {"path": ("",), "target": (signed.query,), "either": ("", signed.query)}
    return parts.path == signed.path and parts.query in queries[rules.signed]


def _hash(text: str, name: str = "md5") -> str:
    return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()
