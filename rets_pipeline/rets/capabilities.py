"""What a server offers, as its login answer says.

What belongs here: reading the ``key=value`` lines of a login answer and resolving the addresses in
them. What does not: fetching them, and deciding whether an address is safe for credentials.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import urljoin, urlsplit, urlunsplit

# RETS 1.7.2, section 4.10, and the additions of 1.8. Addresses under other names stay information.
_TRANSACTIONS: Final = MappingProxyType(
    {
        name.lower(): name
        for name in (
            *("Action", "ChangePassword", "GetMetadata", "GetObject", "GetPayloadList"),
            *("Login", "LoginComplete", "Logout", "PostObject", "Search"),
            *("ServerInformation", "Update"),
        )
    }
)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a login answer says.

    Attributes:
        urls: absolute addresses by transaction (``Search``, ``Logout``, …).
        information: everything else, ``MemberName`` and ``TimeoutSeconds`` say, by the server's
            own names.
    """

    urls: Mapping[str, str] = field(default_factory=dict)
    information: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, text: str, base_url: str) -> Capabilities:
        """Read the lines of a login answer.

        Args:
            text: everything between the tags. Lines without ``=`` are skipped; a value may hold
                further ones; keys are known in any case. RETS 1.8's ``Info=key;type;value`` is
                understood.
            base_url: relative addresses are resolved against it (RFC 3986).
        """
        urls: dict[str, str] = {}
        information: dict[str, str] = {}
        for key, value in _pairs(text):
            transaction = _TRANSACTIONS.get(key.lower())
            if transaction is None:
                information[key] = value
            elif (url := _absolute(base_url, value)) is not None:
                urls[transaction] = url
        return cls(MappingProxyType(urls), MappingProxyType(information))

    def with_addresses(self, addresses: Mapping[str, str], base_url: str) -> Capabilities:
        """The same, where somebody who knows better than the server gives some addresses.

        Args:
            addresses: by transaction, in any case; relative ones are resolved.
            base_url: to resolve them against.

        Raises:
            ValueError: there is no such transaction, or the address cannot be fetched. The
                message does not repeat the address.
        """
        urls = dict(self.urls)
        for name, value in addresses.items():
            transaction = _TRANSACTIONS.get(name.lower())
            url = _absolute(base_url, value.strip())
            if transaction is None:
                raise ValueError(f"RETS knows no transaction {name!r}")
            if url is None:
                raise ValueError(f"the address for {transaction} is not an http or https address")
            urls[transaction] = url
        return Capabilities(MappingProxyType(urls), self.information)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, separator, value = line.partition("=")
        key, value = key.strip(), value.strip()
        if not (key and separator):
            continue
        if key.lower() == "info" and value.count(";") >= 2:
            key, _, value = value.split(";", 2)
            key, value = key.strip(), value.strip()
        yield key, value


def _absolute(base_url: str, value: str) -> str | None:
    """The address without user name and password, or None when it is none that can be fetched."""
    if not value:
        return None
    try:
        parts = urlsplit(urljoin(base_url, value))
        parts.port  # noqa: B018 (reading it checks it)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
