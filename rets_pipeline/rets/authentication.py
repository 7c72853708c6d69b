"""HTTP authentication: Digest and Basic, chosen by the server's challenge.

What belongs here: reading challenges and making ``Authorization`` headers (RFC 7616, RFC 7617; RFC
2069 where ``qop`` is absent). What does not: sending requests, and the session of RETS itself.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

_SCHEME = re.compile(r"\s*,?\s*([A-Za-z][A-Za-z0-9_-]*)(?=\s|,|$)(?!\s*=)")
_PARAMETER = re.compile(
    r"\s*,?\s*([A-Za-z][A-Za-z0-9_-]*)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]*))"
)

# By preference. Servers of RETS know MD5, which authenticates here and protects nothing else.
_ALGORITHMS: Final = ("sha-256", "sha-256-sess", "md5", "md5-sess")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge of a ``WWW-Authenticate`` header.

    Attributes:
        scheme: in lower case.
        parameters: by name in lower case.
    """

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def stale(self) -> bool:
        """Only the nonce is too old; the password was right."""
        return self.parameters.get("stale", "").lower() == "true"

    @property
    def algorithm(self) -> str:
        """In lower case; MD5 when the server names none."""
        return self.parameters.get("algorithm", "MD5").lower()

    @property
    def answerable(self) -> bool:
        """Whether this module can answer it."""
        if self.scheme == "basic":
            return True
        if self.scheme != "digest" or "nonce" not in self.parameters:
            return False
        return self.algorithm in _ALGORITHMS and (not self.qops or "auth" in self.qops)

    @property
    def qops(self) -> frozenset[str]:
        """The qualities of protection on offer; empty when the server names none."""
        words = self.parameters.get("qop", "").lower().replace(",", " ").split()
        return frozenset(words)


def parse_challenges(headers: Iterable[str]) -> Iterator[Challenge]:
    """The challenges of all ``WWW-Authenticate`` headers; one header may hold several."""
    for header in headers:
        position = 0
        while (match := _SCHEME.match(header, position)) is not None:
            scheme, position = match.group(1).lower(), match.end()
            parameters: dict[str, str] = {}
            while (match := _PARAMETER.match(header, position)) is not None:
                quoted, token = match.group(2), match.group(3)
                value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else token
                parameters.setdefault(match.group(1).lower(), value)
                position = match.end()
            yield Challenge(scheme, parameters)


class Authentication:
    """Answers challenges for one account.

    Each origin (scheme, host, port) has its own challenge, so nothing is sent to a host that did
    not ask. A nonce is used again, with a growing count, until the server asks anew.

    Args:
        username: of the account.
        password: of the account.
        sign_path_only: Digest leaves out the query of the address, as some servers do themselves.
    """

    def __init__(self, username: str, password: str, *, sign_path_only: bool = False) -> None:
        self._sign_path_only = sign_path_only
        self._username = username
        self._password = password
        self._challenges: dict[str, Challenge] = {}
        self._counts: dict[str, int] = {}

    def __repr__(self) -> str:
        return "Authentication()"

    def take(self, url: str, headers: Iterable[str]) -> Challenge | None:
        """Choose among the challenges of an answer: Digest before Basic.

        Returns:
            The chosen one, or None when there is none that can be answered.
        """
        offered = [challenge for challenge in parse_challenges(headers) if challenge.answerable]
        chosen = min(offered, key=_preference, default=None)
        if chosen is not None:
            self._challenges[_origin(url)] = chosen
            self._counts[_origin(url)] = 0
        return chosen

    def forget(self) -> None:
        """Drop all challenges."""
        self._challenges.clear()
        self._counts.clear()

    def header(self, method: str, url: str) -> str | None:
        """The ``Authorization`` header for a request, or None when nobody asked for one.

        Args:
            method: of the request.
            url: absolute, as it is sent: Digest signs path and query.
        """
        origin = _origin(url)
        challenge = self._challenges.get(origin)
        if challenge is None:
            return None
        if challenge.scheme == "basic":
            joined = f"{self._username}:{self._password}".encode()
            return f"Basic {base64.b64encode(joined).decode('ascii')}"
        self._counts[origin] += 1
        target = _request_target(url, with_query=not self._sign_path_only)
        return self._digest(challenge, method, target, self._counts[origin])

    def _digest(self, challenge: Challenge, method: str, target: str, count: int) -> str:
        given = challenge.parameters
        realm, nonce = given.get("realm", ""), given["nonce"]
        client_nonce, nonce_count = secrets.token_hex(8), f"{count:08x}"
        first = _hash(challenge, f"{self._username}:{realm}:{self._password}")
        if challenge.algorithm.endswith("-sess"):
            first = _hash(challenge, f"{first}:{nonce}:{client_nonce}")
        second = _hash(challenge, f"{method}:{target}")
        quality = f"{nonce_count}:{client_nonce}:auth:" if challenge.qops else ""
        fields = {
            "username": _quoted(self._username),
            "realm": _quoted(realm),
            "nonce": _quoted(nonce),
            "uri": _quoted(target),
            "response": _quoted(_hash(challenge, f"{first}:{nonce}:{quality}{second}")),
        }
        if "algorithm" in given:
            fields["algorithm"] = given["algorithm"]
        if "opaque" in given:
            fields["opaque"] = _quoted(given["opaque"])
        if challenge.qops:
            fields |= {"qop": "auth", "nc": nonce_count}
        if challenge.qops or challenge.algorithm.endswith("-sess"):
            fields["cnonce"] = _quoted(client_nonce)
        return "Digest " + ", ".join(f"{name}={value}" for name, value in fields.items())


def _preference(challenge: Challenge) -> int:
    if challenge.scheme == "basic":
        return len(_ALGORITHMS)
    return _ALGORITHMS.index(challenge.algorithm)


def _hash(challenge: Challenge, text: str) -> str:
    name = "sha256" if challenge.algorithm.startswith("sha-256") else "md5"
    return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _request_target(url: str, *, with_query: bool) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query and with_query else "")
