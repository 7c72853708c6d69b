"""What a fault is, and the list of all of them.

What belongs here: the shape of a fault, and the decorators that enter one into the catalogue. What
does not: any one fault (the modules beside this one), and which are switched on (``switches``).

A fault spoils a request at one of five stages:

- ``rules``: before the request is let in; it bends how the server lets in its clients;
- ``before``: before the transaction; it changes what was asked;
- ``instead``: an answer in the place of the transaction's, or none after all;
- ``content``: the content of the answer, while it is still rows, parts or entries;
- ``answer``: the answer as it goes out: status, headers, bytes, connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from rets_pipeline.sandbox.answers import Answer
from rets_pipeline.sandbox.exchange import DDF, GENERIC, SERVERS, TRANSACTIONS, Call
from rets_pipeline.sandbox.rules import Rules

#: what real servers get wrong, by number
SECTIONS: Mapping[int, str] = {
    1: "Login: cookies and connections",
    2: "Sessions that are lost",
    3: "Accounts with a single session, and busy servers",
    4: "The session's cookie",
    5: "Authorization of the user agent",
    6: "Versions",
    7: "Authentication",
    8: "The capabilities of a login answer",
    9: "Errors under HTTP 200, success under 4xx, and odd frames",
    10: "Success first, failure later",
    11: "Answers that are cut off",
    12: "Answers without measure",
    13: "Limits, pages and counts",
    14: "Data that change between pages",
    15: "Too many records, and none",
    16: "Illegal XML",
    17: "Character encodings",
    18: "Delimiters and cells of COMPACT",
    19: "Columns",
    20: "Metadata",
    21: "Dates and zones",
    22: "How a query may be sent",
    23: "Objects and their parts",
    24: "Locations and media",
    25: "Feeds out of the ordinary",
    26: "Redirects, logout, and lessons of all sorts",
    27: "Hostile documents",
}
STAGES = ("rules", "before", "instead", "content", "answer")
#: what every switch may say, beside the parameters of its fault
SETTINGS = frozenset({"name", "times", "share", "after", "transaction", "server"})
DATA = ("Login", "Search", "GetMetadata", "GetObject")
DDF_ONLY = (DDF,)
GENERIC_ONLY = (GENERIC,)


@dataclass(frozen=True, slots=True)
class Turn:
    """One time that a fault happens.

    Attributes:
        call: the request; a fault of the rules has none yet.
        given: the fault's parameters, defaults filled in.
        number: how often it has happened with this switch, from 1.
    """

    call: Call
    given: Mapping[str, Any]
    number: int

    def __getitem__(self, name: str) -> Any:
        return self.given[name]


BendsRules = Callable[[Rules, Mapping[str, Any]], None]
Changes = Callable[[Turn], None]
Replaces = Callable[[Turn], Answer | None]
SpoilsContent = Callable[[Any, Turn], None]
SpoilsAnswer = Callable[[Answer, Turn], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that a server can do wrong.

    Attributes:
        name: the switch.
        section: a number of :data:`SECTIONS`.
        does: what the server does, in a sentence.
        stage: one of :data:`STAGES`.
        carry_out: does it; its form follows from the stage.
        servers: that know it.
        transactions: that it happens in unless the switch names one.
        parameters: and their defaults.
        kind: of content that it can spoil; for that stage.
    """

    name: str
    section: int
    does: str
    stage: str
    carry_out: Callable[..., Any]
    servers: tuple[str, ...]
    transactions: tuple[str, ...]
    parameters: Mapping[str, Any]
    kind: type | None = None

    def as_json(self) -> dict[str, Any]:
        """As the catalogue shows it."""
        return {
            "name": self.name,
            "section": self.section,
            "about": SECTIONS[self.section],
            "does": self.does,
            "servers": list(self.servers),
            "transactions": list(self.transactions),
            "parameters": dict(self.parameters),
        }


#: all faults by name, in the order of their sections
CATALOGUE: dict[str, Fault] = {}
_Hook = TypeVar("_Hook", bound=Callable[..., Any])


def fault(
    section: int,
    stage: str,
    servers: tuple[str, ...] = SERVERS,
    transactions: tuple[str, ...] = TRANSACTIONS,
    kind: type | None = None,
    **parameters: Any,
) -> Callable[[_Hook], _Hook]:
    """Enter a function into the catalogue, under its own name and with its docstring.

    Args:
        section: a number of :data:`SECTIONS`.
        stage: one of :data:`STAGES`.
        servers: that know it.
        transactions: that it happens in unless the switch names one.
        kind: of content that it can spoil.
        parameters: their names and defaults; a default tells the type.
    """

    def enter(hook: _Hook) -> _Hook:
        name, does = hook.__name__, (hook.__doc__ or "").strip()
        assert name not in CATALOGUE
        assert does
        assert not parameters.keys() & SETTINGS
        CATALOGUE[name] = Fault(
            name, section, does, stage, hook, servers, transactions, parameters, kind
        )
        return hook

    return enter


def bends_rules(
    section: int, servers: tuple[str, ...] = SERVERS, **parameters: Any
) -> Callable[[BendsRules], BendsRules]:
    """Enter a fault of the rules; it counts HTTP requests, challenges included."""
    return fault(section, "rules", servers, **parameters)


def changes(
    section: int,
    transactions: tuple[str, ...] = ("Search",),
    servers: tuple[str, ...] = SERVERS,
    **parameters: Any,
) -> Callable[[Changes], Changes]:
    """Enter a fault that changes what was asked."""
    return fault(section, "before", servers, transactions, **parameters)


def replaces(
    section: int,
    transactions: tuple[str, ...] = DATA,
    servers: tuple[str, ...] = SERVERS,
    **parameters: Any,
) -> Callable[[Replaces], Replaces]:
    """Enter a fault that answers in the place of the transaction."""
    return fault(section, "instead", servers, transactions, **parameters)


def spoils_content(
    kind: type,
    section: int,
    transactions: tuple[str, ...],
    servers: tuple[str, ...] = SERVERS,
    **parameters: Any,
) -> Callable[[SpoilsContent], SpoilsContent]:
    """Enter a fault of rows, parts or entries."""
    return fault(section, "content", servers, transactions, kind, **parameters)


def spoils_answer(
    section: int,
    transactions: tuple[str, ...] = DATA,
    servers: tuple[str, ...] = SERVERS,
    **parameters: Any,
) -> Callable[[SpoilsAnswer], SpoilsAnswer]:
    """Enter a fault of an answer as it goes out."""
    return fault(section, "answer", servers, transactions, **parameters)
