"""Arguments of a transaction as text of an address.

What belongs here: percent-encoding. What does not: what the arguments mean (``dmql``), and sending
them (``transport``).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlsplit, urlunsplit


def percent_encode(text: str) -> str:
    """Every character encoded but letters, digits and ``_.-~`` (RFC 3986, section 2.3).

    Servers have been seen reading a bare ``+`` as a blank and a bare ``,`` as the end of a value.
    """
    return quote(text, safe="")


def encode_arguments(arguments: Mapping[str, str]) -> str:
    """``name=value`` pairs joined by ``&``, fully encoded."""
    pairs = (f"{percent_encode(name)}={percent_encode(value)}" for name, value in arguments.items())
    return "&".join(pairs)


def with_arguments(url: str, arguments: Mapping[str, str]) -> str:
    """The address with arguments behind those that it has already."""
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, encode_arguments(arguments))))
    return urlunsplit(parts._replace(query=query))
