"""Signatures of functions that are made anew for each feed.

What belongs here: one signature for all functions of one text. What does not: the functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import CodeType
from typing import Any

_KNOWN: dict[CodeType, inspect.Signature] = {}


def kept(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with its signature noted on it (PEP 362: ``__signature__``).

    Dagster asks for the signature of a decorated function some twenty times, and Python makes it
    anew each time. The functions of all feeds have the same one: they differ in their closures.
    """
    code = function.__code__
    if code not in _KNOWN:
        _KNOWN[code] = inspect.signature(function)
    function.__signature__ = _KNOWN[code]  # type: ignore[attr-defined]
    return function
