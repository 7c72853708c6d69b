"""Who may ask: HTTP Digest, and sessions held by a cookie.

What belongs here: nonces, the check of an Authorization header, the life of sessions. What does
not: what an answer looks like in RETS.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import urlsplit

from rets_pipeline.sandbox.statistics import Statistics

REALM = "CREA.Distribution"
SESSION_COOKIE = "X-SESSIONID"
_NONCES_KEPT = 5_000
_FIELD = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))')
_NEEDED = ("username", "realm", "nonce", "uri", "response", "qop", "nc", "cnonce")


class Digest:
    """HTTP Digest, MD5, ``qop=auth`` (RFC 2617), for one account.

    Args:
        username: of the account.
        password: likewise.
    """

    def __init__(self, username: str, password: str) -> None:
        self._username = username
        self._secret = _md5(f"{username}:{REALM}:{password}")
        # A nonce, and the highest count that was used with it.
        self._nonces: OrderedDict[str, set[int]] = OrderedDict()

    def challenge(self, *, stale: bool = False) -> str:
        """The value of a WWW-Authenticate header, with a new nonce."""
        nonce = secrets.token_hex(16)
        self._nonces[nonce] = set()
        while len(self._nonces) > _NONCES_KEPT:
            self._nonces.popitem(last=False)
        header = f'Digest realm="{REALM}", nonce="{nonce}", qop="auth"'
        return f"{header}, stale=true" if stale else header

    def check(self, header: str, method: str, path: str, query: str) -> tuple[bool, bool]:
        """Whether an Authorization header is right for a request.

        Args:
            header: its value.
            method: of the request.
            path: of the request, as sent.
            query: likewise, without the question mark.

        Returns:
            Whether it is right; and if not, whether only its nonce is out of date.
        """
        scheme, _, rest = header.partition(" ")
        found = {name.lower(): quoted or bare for name, quoted, bare in _FIELD.findall(rest)}
        if scheme.lower() != "digest" or any(name not in found for name in _NEEDED):
            return False, False
        if not self._is_right(found, method) or not _is_same(found["uri"], path, query):
            return False, False
        fresh = self._use(found["nonce"], found["nc"])
        return fresh, not fresh

    def _is_right(self, found: dict[str, str], method: str) -> bool:
        if found["qop"].lower() != "auth" or found["username"] != self._username:
            return False
        if found["realm"] != REALM:
            return False
        request = _md5(f"{method}:{found['uri']}")
        parts = (self._secret, found["nonce"], found["nc"], found["cnonce"], found["qop"], request)
        return hmac.compare_digest(_md5(":".join(parts)).encode(), found["response"].encode())

    def _use(self, nonce: str, count: str) -> bool:
        """Note that a nonce was used with a count; False when it is unknown or was used so."""
        used = self._nonces.get(nonce)
        if used is None or re.fullmatch(r"[0-9a-fA-F]{8}", count) is None:
            return False
        number = int(count, 16)
        if number == 0 or number in used:
            return False
        used.add(number)
        return True


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


def _is_same(uri: str, path: str, query: str) -> bool:
    """DDF: some clients sign the path without the query, and are let in."""
    parts = urlsplit(uri)
    return parts.path == path and parts.query in ("", query)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
