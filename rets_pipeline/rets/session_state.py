"""What another process needs to go on with a session.

What belongs here: the state, and its form for JSON. What does not: where it is kept; keep it like a
password.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rets_pipeline.rets.transport import Cookie


@dataclass(frozen=True, slots=True)
class SessionState:
    """What another process needs to go on with a session. Keep it secret: cookies open sessions.

    Attributes:
        urls: what the login answer offered.
        information: what else it said.
        rets_version: that the server speaks.
        cookies: that it has set.
    """

    urls: dict[str, str]
    information: dict[str, str] = field(repr=False)
    rets_version: str
    cookies: tuple[Cookie, ...] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """All of it, secrets too, in types that JSON knows."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> SessionState:
        """What :meth:`to_dict` wrote.

        Raises:
            KeyError, TypeError: it did not.
        """
        cookies = tuple(Cookie(**item) for item in content["cookies"])
        return cls(content["urls"], content["information"], content["rets_version"], cookies)
