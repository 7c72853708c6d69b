"""What the sandbox counts, so that tests can see how it was used.

What belongs here: counters and their JSON. What does not: deciding what an answer is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Statistics:
    """Counters since the start or the last reset.

    Attributes:
        logins: that succeeded.
        logouts: likewise.
        sessions_open: now.
        sessions_open_at_most: the largest number of sessions ever open at once.
        unauthorized: answers with HTTP status 401, first challenges included.
        requests: transactions that had a session (Login: all), by name.
        searches: by kind of query: master_list, details, last_updated, invalid.
        searches_by_resource: the same for Property, Agent and Office.
        details_returned: full records sent.
        details_by_resource: likewise.
        reply_codes: RETS ReplyCodes other than 0.
        images: served, not_modified, not_found, by result.
        images_by_url: images served, by path.
    """

    logins: int = 0
    logouts: int = 0
    sessions_open: int = 0
    sessions_open_at_most: int = 0
    unauthorized: int = 0
    details_returned: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    searches: Counter[str] = field(default_factory=Counter)
    searches_by_resource: Counter[tuple[str, str]] = field(default_factory=Counter)
    details_by_resource: Counter[str] = field(default_factory=Counter)
    reply_codes: Counter[str] = field(default_factory=Counter)
    images: Counter[str] = field(default_factory=Counter)
    images_by_url: Counter[str] = field(default_factory=Counter)

    def search(self, kind: str, resource: str = "") -> None:
        """Note a search; one that was not understood has no resource."""
        self.searches[kind] += 1
        if resource:
            self.searches_by_resource[resource, kind] += 1

    def details(self, resource: str, count: int) -> None:
        """Note that full records are sent."""
        self.details_returned += count
        self.details_by_resource[resource] += count

    def sessions(self, count: int) -> None:
        """Note how many sessions are open now."""
        self.sessions_open = count
        self.sessions_open_at_most = max(count, self.sessions_open_at_most)

    def reset(self) -> None:
        """Forget everything but the sessions that are open."""
        self.logins = self.logouts = self.unauthorized = self.details_returned = 0
        self.sessions_open_at_most = self.sessions_open
        self.searches_by_resource.clear()
        counters = (self.requests, self.searches, self.reply_codes, self.images)
        for counter in (*counters, self.details_by_resource, self.images_by_url):
            counter.clear()

    def as_json(self) -> dict[str, Any]:
        """Plain JSON; kinds that never occurred are 0, not absent."""
        transactions = ("Login", "Logout", "Search", "GetMetadata", "GetObject")
        queries = ("master_list", "details", "last_updated", "invalid")
        resources = ("Property", "Agent", "Office")
        return {
            "logins": self.logins,
            "logouts": self.logouts,
            "sessions_open": self.sessions_open,
            "sessions_open_at_most": self.sessions_open_at_most,
            "unauthorized": self.unauthorized,
            "requests": {name: self.requests[name] for name in transactions},
            "searches": {name: self.searches[name] for name in queries},
            "searches_by_resource": {
                resource: {name: self.searches_by_resource[resource, name] for name in queries[:3]}
                for resource in resources
            },
            "details_returned": self.details_returned,
            "details_by_resource": {name: self.details_by_resource[name] for name in resources},
            "reply_codes": dict(self.reply_codes),
            "images": {
                **{name: self.images[name] for name in ("served", "not_modified", "not_found")},
                "by_url": dict(self.images_by_url),
            },
        }
