"""Mappings whose keys are names: servers do not agree on their case.

What belongs here: looking up by name without regard to case. What does not: what is looked up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar, overload

_Value = TypeVar("_Value")
_Default = TypeVar("_Default")


class Names(Mapping[str, _Value]):
    """An unchangeable mapping that finds names in any case and keeps them as they were written.

    Args:
        items: pairs; of several with the same name the first counts.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, _Value] | Iterable[tuple[str, _Value]] = ()) -> None:
        pairs = items.items() if isinstance(items, Mapping) else items
        self._items: dict[str, tuple[str, _Value]] = {}
        for name, value in pairs:
            self._items.setdefault(name.lower(), (name, value))

    def __getitem__(self, name: str) -> _Value:
        return self._items[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._items

    @overload
    def get(self, name: str, /) -> _Value | None: ...

    @overload
    def get(self, name: str, default: _Value | _Default, /) -> _Value | _Default: ...

    def get(
        self, name: str, default: _Value | _Default | None = None, /
    ) -> _Value | _Default | None:
        """The value under that name, or the default."""
        found = self._items.get(name.lower())
        return default if found is None else found[1]

    def __repr__(self) -> str:
        return f"Names({dict(self)!r})"
