"""A sandbox, a client, and the truth to compare with.

What belongs here: what the tests of the faults share. What does not: tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from lxml import etree

from rets_pipeline.rets import Session
from rets_pipeline.sandbox import RunningSandbox

#: Property:RES of the generic server, in the formats that it knows; and DDF's master list
FORMATS = ("COMPACT", "COMPACT-DECODED", "STANDARD-XML", "DDF")
COUNT = 30
KEY = 10_000_007

Row = dict[str, str]


def proves(name: str, does: str, *values: object, case: str = "") -> Any:
    """A case of a parametrized test that proves what the client does about a fault.

    Args:
        name: of the fault; also the case's first value.
        does: what the client does, in a sentence.
        values: the others.
        case: tells several cases of one fault apart.
    """
    mark = pytest.mark.fault(name, does=does)
    return pytest.param(name, *values, marks=mark, id=f"{name}-{case}" if case else name)


class Bench:
    """One test's view of a running sandbox.

    Attributes:
        sandbox: that runs.
        waits: seconds that sessions would have waited.
    """

    def __init__(self, sandbox: RunningSandbox, stack: ExitStack) -> None:
        self.sandbox = sandbox
        self.waits: list[float] = []
        self._stack = stack
        self._sessions: dict[str, Session] = {}

    def switch_on(self, name: str, **settings: Any) -> None:
        """Switch a fault on: once, unless the settings say otherwise."""
        self.sandbox.world.faults.switch_on(name, **settings)

    def happened(self) -> list[int]:
        """How often each fault has happened that is switched on."""
        return [switch["happened"] for switch in self.sandbox.world.faults.as_json()]

    def open(self, server: str = "generic", *, query: str = "", **settings: Any) -> Session:
        """A session that is closed with the test.

        Args:
            server: ``generic`` or ``ddf``.
            query: of the login's address.
            settings: of the session.
        """
        url = self.sandbox.generic_login_url if server == "generic" else self.sandbox.login_url
        values: dict[str, Any] = {
            "user_agent": "tests/1.0",
            "timeout": (60, 60),
            "sleep": self.waits.append,
            "retries": 2,
            "username": self.sandbox.username,
            "password": self.sandbox.password,
        }
        return self._stack.enter_context(Session(url + query, **values | settings))

    def session(self, form: str = "") -> Session:
        """The test's usual session for a format."""
        server = "ddf" if form == "DDF" else "generic"
        if server not in self._sessions:
            self._sessions[server] = self.open(server)
        return self._sessions[server]

    def read(
        self, form: str, session: Session | None = None, **arguments: str
    ) -> list[dict[str, str]]:
        """All rows of a search, read to the end.

        Args:
            form: one of :data:`FORMATS`.
            session: by default the usual one.
            arguments: of the search, beside or instead of the usual ones.
        """
        session = session or self.session(form)
        if form == "DDF":
            wanted = {"SearchType": "Property", "Class": "Property", "Query": "(ID=*)"}
            fields = {**wanted, "QueryType": "DMQL2", "Format": "STANDARD-XML", "Count": "1"}
            with session.search({**fields, **arguments}, record="Property") as answer:
                return [{"ListingKey": str(record.get("ID"))} for record in answer]
        fields = search_fields(form, **arguments)
        if form == "STANDARD-XML":
            with session.search(fields, record="ResidentialProperty") as answer:
                return [as_row(record) for record in answer]
        with session.search_compact(fields) as rows:
            return list(rows.dicts())

    def truth(self, form: str) -> list[dict[str, str]]:
        """The rows that a good server would have answered with."""
        world = self.sandbox.world
        if form == "DDF":
            return [{"ListingKey": str(key)} for key in world.listings]
        return _TRUTH[form]

    def all_keys(self) -> list[str]:
        """The keys of the generic server's rows."""
        return [row["ListingKey"] for row in _TRUTH["COMPACT"]]


#: the generic server's rows by format; read once, without any fault
_TRUTH: dict[str, list[Row]] = {}


def learn(bench: Bench) -> None:
    """Read the truth from a server that behaves; the sandbox's own tests prove that it is true."""
    for form in FORMATS[:3]:
        if form not in _TRUTH:
            _TRUTH[form] = bench.read(form)
            assert len(_TRUTH[form]) == COUNT


def search_fields(form: str, **arguments: str) -> dict[str, str]:
    """The arguments of a search for everything."""
    return {
        "SearchType": "Property",
        "Class": "RES",
        "QueryType": "DMQL2",
        "Format": form,
        "Query": "(ListingKey=0+)",
        "Count": "1",
        **arguments,
    }


def as_row(record: etree._Element) -> Row:
    """The children of a record, by their local names."""
    return {etree.QName(child).localname: child.text or "" for child in record}


def but(rows: list[Row], at: int, changed: Mapping[str, str]) -> list[Row]:
    """Rows of which one has other cells."""
    return [{**row, **changed} if index == at else row for index, row in enumerate(rows)]
