"""User-agent authorization: the client program proves that the server's owner knows it.

What belongs here: the ``RETS-UA-Authorization`` header (RETS 1.7.2, section 3.10). What does not:
the account's own authentication (``authentication``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum


class UserAgentForm(Enum):
    """What a server takes for the name of the product."""

    RETS = "RETS"
    """The whole ``User-Agent`` header, as it is sent."""

    INTEREALTY = "Interealty"
    """Only what stands before the first ``/``."""


@dataclass(frozen=True, slots=True)
class UserAgentAuthorization:
    """What the server's owner agreed on with the makers of the client.

    Attributes:
        password: of the user agent. Without one no header is sent, because some servers refuse
            headers that they did not ask for.
        form: what the server takes for the product's name.
        request_id: makes the ``RETS-Request-ID`` of each request; None sends none.
    """

    password: str = field(repr=False)
    form: UserAgentForm = UserAgentForm.RETS
    request_id: Callable[[], str] | None = None

    def header(self, *, user_agent: str, request_id: str, session_id: str, version: str) -> str:
        """The header's value for one request.

        Args:
            user_agent: the ``User-Agent`` header.
            request_id: the ``RETS-Request-ID`` header, or nothing.
            session_id: the value of the session's cookie, or nothing.
            version: the ``RETS-Version`` header as it is sent, ``RETS/1.7.2`` say.
        """
        product = user_agent
        if self.form is UserAgentForm.INTEREALTY:
            product = user_agent.partition("/")[0].strip()
        secret = _md5(f"{product}:{self.password}")
        return f"Digest {_md5(f'{secret}:{request_id}:{session_id}:{version}')}"


def session_id_of(cookie_header: str, names: Iterable[str]) -> str:
    """The session's id: the value of the first of those cookies that is there, or nothing.

    Args:
        cookie_header: as it is sent.
        names: of cookies, the most likely first; case does not matter.
    """
    cookies: dict[str, str] = {}
    for pair in cookie_header.split(";"):
        name, _, value = pair.partition("=")
        cookies.setdefault(name.strip().lower(), value.strip().strip('"'))
    return next((cookies[name.lower()] for name in names if name.lower() in cookies), "")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
