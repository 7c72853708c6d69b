"""Which faults are switched on, and for which requests.

What belongs here: switches, their JSON, and the choice of requests that a fault happens in. What
does not: what a fault does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from rets_pipeline.sandbox.chance import chance
from rets_pipeline.sandbox.exchange import SERVERS, TRANSACTIONS, Call
from rets_pipeline.sandbox.faults.catalogue import CATALOGUE, SETTINGS, STAGES, Fault, Turn
from rets_pipeline.sandbox.rules import Rules


class FaultError(ValueError):
    """A switch is unknown or makes no sense; the message says why."""


@dataclass(slots=True)
class Switch:
    """A fault that is switched on.

    Attributes:
        fault: which.
        given: its parameters, all of them.
        times: how often it still happens, or None for ever.
        share: of the requests that it happens in, or None for all.
        after: so many requests go right first.
        transaction: that it happens in, or None for all that the fault knows.
        server: likewise.
        seed: of the choice that ``share`` makes.
        asked: requests that it could have happened in.
        happened: how often it did.
    """

    fault: Fault
    given: Mapping[str, Any]
    times: int | None
    share: float | None
    after: int
    transaction: str | None
    server: str | None
    seed: int
    asked: int = 0
    happened: int = 0

    def matches(self, server: str, transaction: str) -> bool:
        """Whether it may happen in such a request."""
        if self.server not in (None, server) or server not in self.fault.servers:
            return False
        if self.transaction is not None:
            return self.transaction == transaction
        return transaction in self.fault.transactions

    def strikes(self) -> bool:
        """Whether it happens in this request, which counts."""
        self.asked += 1
        if self.asked <= self.after or self.times == 0:
            return False
        if self.share is not None:
            draw = chance(self.seed, "fault", self.fault.name, self.asked).random()
            if draw >= self.share:
                return False
        if self.times is not None:
            self.times -= 1
        self.happened += 1
        return True

    def as_json(self) -> dict[str, Any]:
        """As it stands."""
        return {
            "name": self.fault.name,
            "times": self.times,
            "share": self.share,
            "after": self.after,
            "transaction": self.transaction,
            "server": self.server,
            **self.given,
            "happened": self.happened,
        }


class Faults:
    """All switches of a sandbox. Safe for threads.

    Args:
        seed: of the world.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = Lock()
        self._switches: list[Switch] = []

    def switch_on(self, name: str, **settings: Any) -> Switch:
        """Switch a fault on, beside those that are on already.

        Args:
            name: of the fault.
            settings: ``times`` (None for ever; by default 1, but None with a ``share`` and for
                a fault of the rules), ``share``, ``after``, ``transaction``, ``server``, and the
                fault's parameters.

        Raises:
            FaultError: nothing was changed.
        """
        switch = _read({"name": name, **settings}, self._seed)
        with self._lock:
            self._switches.append(switch)
        return switch

    def update(self, document: object) -> None:
        """Switch on what a JSON object, or a list of them, says; ``{"reset": true}`` clears.

        Raises:
            FaultError: nothing was changed.
        """
        documents = document if isinstance(document, list) else [document]
        resets = [isinstance(item, dict) and item == {"reset": True} for item in documents]
        read = [
            _read(item, self._seed)
            for item, reset in zip(documents, resets, strict=True)
            if not reset
        ]
        with self._lock:
            if any(resets):
                self._switches.clear()
            self._switches.extend(read)

    def reset(self, name: str | None = None) -> None:
        """Switch a fault off, or all of them."""
        with self._lock:
            self._switches = [
                switch for switch in self._switches if name not in (None, switch.fault.name)
            ]

    def bend(self, rules: Rules, server: str, transaction: str) -> None:
        """Let the faults of the rules happen to a request that asks to be let in."""
        with self._lock:
            struck = [
                switch
                for switch in self._switches
                if switch.fault.stage == "rules"
                and switch.matches(server, transaction)
                and switch.strikes()
            ]
        for switch in struck:
            switch.fault.carry_out(rules, switch.given)

    def take(self, call: Call) -> list[tuple[Fault, Turn]]:
        """The faults that happen to a request that was let in, in the order of their stages."""
        with self._lock:
            struck = [
                (switch.fault, Turn(call, switch.given, switch.happened))
                for switch in self._switches
                if switch.fault.stage != "rules"
                and switch.matches(call.server, call.transaction)
                and switch.strikes()
            ]
        return sorted(struck, key=lambda pair: STAGES.index(pair[0].stage))

    def as_json(self) -> list[dict[str, Any]]:
        """The switches as they stand."""
        with self._lock:
            return [switch.as_json() for switch in self._switches]


def _read(document: object, seed: int) -> Switch:
    if not isinstance(document, dict):
        raise FaultError("a fault is a JSON object")
    name = document.get("name")
    fault = CATALOGUE.get(name) if isinstance(name, str) else None
    if fault is None:
        raise FaultError(f"unknown fault {name!r}; GET lists the known ones")
    given = dict(fault.parameters)
    for key, value in document.items():
        if key in SETTINGS:
            continue
        if key not in given:
            raise FaultError(f"{name}: unknown parameter {key!r}; known: {', '.join(given)}")
        given[key] = _same_kind(f"{name}: {key}", given[key], value)
    share = _share(document.get("share"))
    # Rules hold until they are changed; everything else happens once, unless it is told otherwise.
    default = 1 if share is None and fault.stage != "rules" else None
    return Switch(
        fault,
        given,
        _whole("times", document.get("times", default)),
        share,
        _whole("after", document.get("after", 0)) or 0,
        _one_of("transaction", document.get("transaction"), TRANSACTIONS),
        _one_of("server", document.get("server"), SERVERS),
        seed,
    )


def _same_kind(name: str, default: Any, value: Any) -> Any:
    """A value that is of the default's type; a default of None takes anything."""
    if default is None or value is None:
        return value
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise FaultError(f"{name} must be of the type of {default!r}")
    return value


def _share(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise FaultError("share lies between 0 and 1")
    return float(value)


def _whole(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise FaultError(f"{name} is a whole number, not negative")
    return value


def _one_of(name: str, value: Any, known: tuple[str, ...]) -> str | None:
    if value is None:
        return None
    if value not in known:
        raise FaultError(f"{name} is one of {', '.join(known)}")
    return str(value)
