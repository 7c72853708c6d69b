"""How the sandbox misbehaves on command.

What belongs here: the switches, how they are read from JSON, and what each says. What does not:
carrying them out; the part that a switch spoils asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rets_pipeline.sandbox.changes import Change


class BehaviourError(ValueError):
    """A switch is unknown or its value makes no sense; the message says which."""


@dataclass(slots=True)
class Behaviour:
    """All switches; as made, the sandbox behaves.

    Attributes:
        never_return: keys that stand in the master list and are in no details.
        resources: whose master lists the next four switches spoil: Property, Agent, Office.
        truncate_master_list: the share of the master list after which it breaks off, in the
            middle of a record; None = whole.
        truncate_cleanly: a list that breaks off ends as a whole HTTP body (as behind a proxy),
            instead of with the connection.
        cut_master_list: keys missing from a well-formed list whose COUNT names all.
        drop_from_master_list: keys missing from a well-formed list whose COUNT agrees.
        before_details: changes that happen right before the next details are answered.
        latency: seconds before every answer outside ``/_sandbox``.
        image_status: the HTTP status by path of an image.
        serves_objects: GetObject answers with photos of listings, as before July 2020:
            ``bytes``, ``locations`` too where they are asked for, or None.
        photo_addresses: payloads name the addresses of photos; many other servers' do not.
    """

    never_return: frozenset[int] = frozenset()
    resources: frozenset[str] = frozenset({"Property"})
    truncate_master_list: float | None = None
    truncate_cleanly: bool = False
    cut_master_list: int = 0
    drop_from_master_list: int = 0
    before_details: tuple[Change, ...] = ()
    latency: float = 0.0
    image_status: Mapping[str, int] | None = None
    serves_objects: str | None = None
    photo_addresses: bool = True

    def update(self, document: object) -> None:
        """Set the switches that a JSON object names; ``reset`` sets all others back first.

        Raises:
            BehaviourError: nothing was changed.
        """
        if not isinstance(document, dict):
            raise BehaviourError("a behaviour is a JSON object")
        values = {
            name: read_switch(name, value) for name, value in document.items() if name != "reset"
        }
        if document.get("reset"):
            self.reset()
        for name, value in values.items():
            setattr(self, name, value)

    def reset(self) -> None:
        """Behave again."""
        fresh = Behaviour()
        for name in _READERS:
            setattr(self, name, getattr(fresh, name))

    def but(self, **switches: Any) -> Behaviour:
        """The same with some switches set otherwise."""
        return replace(self, **switches)

    def take_before_details(self) -> tuple[Change, ...]:
        """The changes that are due now; they happen once."""
        due, self.before_details = self.before_details, ()
        return due

    def as_json(self) -> dict[str, Any]:
        """The switches as they stand."""
        return {
            "never_return": sorted(map(str, self.never_return)),
            "resources": sorted(self.resources),
            "truncate_master_list": self.truncate_master_list,
            "truncate_cleanly": self.truncate_cleanly,
            "cut_master_list": self.cut_master_list,
            "drop_from_master_list": self.drop_from_master_list,
            "before_details": len(self.before_details),
            "latency": self.latency,
            "image_status": dict(self.image_status or {}),
            "serves_objects": self.serves_objects,
            "photo_addresses": self.photo_addresses,
        }


def read_switch(name: str, value: Any) -> Any:
    """The value of a switch, of its right type.

    Raises:
        BehaviourError: there is no such switch, or its value makes no sense.
    """
    try:
        reader = _READERS[name]
    except KeyError:
        raise BehaviourError(f"unknown behaviour {name!r}; known: {', '.join(_READERS)}") from None
    try:
        return reader(value)
    except (TypeError, ValueError, AttributeError) as error:
        raise BehaviourError(f"{name}: {error}") from None


def _keys(value: Any) -> frozenset[int]:
    return frozenset(int(key) for key in value)


def _resources(value: Any) -> frozenset[str]:
    names = frozenset(map(str, value))
    if not names <= {"Property", "Agent", "Office"}:
        raise ValueError("Property, Agent and Office are known")
    return names


def _share(value: Any) -> float | None:
    if value is None or isinstance(value, bool):
        return 0.5 if value else None
    if not 0 <= float(value) < 1:
        raise ValueError("a share lies between 0 and 1")
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("must be true or false")
    return value


def _count(value: Any) -> int:
    if int(value) < 0:
        raise ValueError("must not be negative")
    return int(value)


def _seconds(value: Any) -> float:
    if not 0 <= float(value) <= 600:
        raise ValueError("lies between 0 and 600 seconds")
    return float(value)


def _changes(value: Any) -> tuple[Change, ...]:
    return tuple(Change.from_json(item) for item in value)


def _statuses(value: Any) -> dict[str, int]:
    statuses = {str(path): int(status) for path, status in value.items()}
    if not all(400 <= status <= 599 for status in statuses.values()):
        raise ValueError("a status lies between 400 and 599")
    return statuses


def _objects(value: Any) -> str | None:
    if value not in (None, "bytes", "locations"):
        raise ValueError("bytes, locations or null")
    return None if value is None else str(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "never_return": _keys,
    "resources": _resources,
    "truncate_master_list": _share,
    "truncate_cleanly": _flag,
    "cut_master_list": _count,
    "drop_from_master_list": _count,
    "before_details": _changes,
    "latency": _seconds,
    "image_status": _statuses,
    "serves_objects": _objects,
    "photo_addresses": _flag,
}
