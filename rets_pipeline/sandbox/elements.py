"""Pieces of XML as text.

What belongs here: elements, with a text or with others inside. What does not: their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import TypeVar

from rets_pipeline.sandbox.details import Fields

_T = TypeVar("_T")


def element(name: str, text: str | None) -> str:
    """An element with a text; "" gives an empty element, None nothing."""
    if text is None:
        return ""
    return f"<{name}>{escape(text, quote=False)}</{name}>" if text else f"<{name} />"


def container(name: str, inside: str, *, empty: bool = True) -> str:
    """An element around others; when there are none, an empty one, or nothing at all."""
    if inside:
        return f"<{name}>{inside}</{name}>"
    return f"<{name} />" if empty else ""


def fields(texts: Fields, first: tuple[str, ...] = ()) -> str:
    """Elements: the first ones in that order, the others by name."""
    others = dict(texts)
    ordered = [(name, others.pop(name, None)) for name in first]
    return "".join(element(name, text) for name, text in (*ordered, *sorted(others.items())))


def several(name: str, items: Iterable[_T], write: Callable[[_T], str]) -> str:
    """An element around what each item gives; nothing when there is none."""
    return container(name, "".join(map(write, items)), empty=False)


def values(name: str, child: str, texts: Iterable[str]) -> str:
    """An element around an element for each text; nothing when there is none."""
    return container(name, "".join(element(child, text) for text in texts), empty=False)
