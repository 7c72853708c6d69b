"""One request that was let in.

What belongs here: what a transaction, and a fault that spoils it, may know. What does not:
answers (``answers``), and who is let in (``door``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request

from rets_pipeline.sandbox.behaviour import Behaviour
from rets_pipeline.sandbox.rules import Rules

#: RETS's transactions, and the images that are fetched by their addresses
TRANSACTIONS = ("Login", "Action", "Search", "GetMetadata", "GetObject", "Logout", "Image")
#: the servers of a sandbox
SERVERS = ("ddf", "generic")
DDF, GENERIC = SERVERS


@dataclass(slots=True)
class Call:
    """A request to one transaction of one server.

    Attributes:
        server: one of :data:`SERVERS`.
        transaction: one of :data:`TRANSACTIONS`.
        request: as it came.
        arguments: of its query or form, names in lower case.
        behaviour: how the sandbox misbehaves in this request.
        rules: by which it was let in.
        end_sessions: forgets all sessions, and all nonces, of the server.
        challenge: a new WWW-Authenticate value.
    """

    server: str
    transaction: str
    request: Request
    arguments: dict[str, str]
    behaviour: Behaviour
    rules: Rules = field(default_factory=Rules)
    end_sessions: Callable[[], None] = lambda: None
    challenge: Callable[[], str] = lambda: ""

    @property
    def base_url(self) -> str:
        """Scheme, host and port, as the client knows them."""
        host = self.request.headers.get("host") or self.request.url.netloc
        return f"{self.request.url.scheme}://{host}"

    def number(self, name: str, default: int) -> int:
        """An argument that is a number; the default when it is none."""
        text = self.arguments.get(name, "").strip()
        return int(text) if text.isascii() and text.isdigit() else default
