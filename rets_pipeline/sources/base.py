"""The words that sources and the sync share.

What belongs here: the shape of a parsed listing and of a source. What does not: anything that
one server means and another does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from rets_pipeline.geocoding.provinces import Box

if TYPE_CHECKING:  # Arrow is slow to import
    from rets_pipeline.sources.master_list import Batch

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """A value or a record that could not be understood, for the quarantine.

    Attributes:
        field: the path in the payload, ``Building/BathroomTotal`` say; empty for a whole record.
        reason: why, in plain words.
        raw: the text as it came (for a whole record: its XML).
    """

    field: str
    reason: str
    raw: str


class RecordHead(NamedTuple):
    """What a record says without being read: enough to see that it says nothing new.

    Attributes:
        key: the server's own key, as text; None when it cannot be read.
        payload_timestamp: the record's own time of change, in UTC; None when unreadable.
        content_hash: hexadecimal; equal when nothing changed that anybody would want to see.
    """

    key: str | None
    payload_timestamp: datetime | None
    content_hash: str


@dataclass(slots=True)
class ParsedListing:
    """One listing as rows of the warehouse.

    Attributes:
        listing_key: the server's own key, as text.
        payload_timestamp: the record's own time of change, in UTC; None when unreadable.
        content_hash: hexadecimal; equal when nothing changed that anybody would want to see.
        rows: table name to rows (RESO names in snake_case), without the column ``feed``. The
            table ``property`` has one row; tables without rows may be absent.
        problems: values that were left NULL.
    """

    listing_key: str
    payload_timestamp: datetime | None
    content_hash: str
    rows: dict[str, list[Row]]
    problems: list[Problem] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The key, by the name that records of every resource have."""
        return self.listing_key


@dataclass(frozen=True, slots=True)
class UnparsedListing:
    """A record that could not become rows.

    Attributes:
        listing_key: its key, or None when not even that could be read.
        problem: the reason, with the record's text.
    """

    listing_key: str | None
    problem: Problem

    @property
    def key(self) -> str | None:
        """The key, by the name that records of every resource have."""
        return self.listing_key


@dataclass(slots=True)
class ParsedRecord:
    """One record of a resource with a search of its own beside listings (Member, Office), as rows.

    Attributes:
        key: the server's own key, as text.
        payload_timestamp: the record's own time of change, in UTC; None when unreadable.
        content_hash: hexadecimal; equal when nothing changed that anybody would want to see.
        rows: table name to rows, without the columns ``feed`` and ``pull_id``. The resource's own
            table has one row; its dependents (phones, websites) may be empty.
        problems: values that were left NULL.
    """

    key: str
    payload_timestamp: datetime | None
    content_hash: str
    rows: dict[str, list[Row]]
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class UnparsedRecord:
    """A record of such a resource that could not become rows.

    Attributes:
        key: its key, or None when not even that could be read.
        problem: the reason, with the record's text.
    """

    key: str | None
    problem: Problem


@dataclass(frozen=True, slots=True)
class Search:
    """One RETS search, in the protocol's own words (RETS 1.7.2, section 7).

    Attributes:
        record: the local name of the elements that are records.
        arguments: SearchType, Class, Query and the rest.
        attributes: those of a record that are wanted; none: its content.
    """

    record: str
    arguments: Mapping[str, str]
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceElement:
    """One value that a server's records may hold, and where it goes.

    Attributes:
        path: from the record's root element, such as ``PropertyDetails/Address/City``.
        columns: table and column of each place that it feeds.
        lookup: the server's name of the list that its values are from, where it has several.
    """

    path: str
    columns: tuple[tuple[str, str], ...]
    lookup: str | None = None


class ResourceSource(Protocol):
    """How one resource of a server is asked for and read."""

    #: the local name of the elements that are records in full
    detail_record: str

    def master_list_search(self) -> Search:
        """The search that answers with every key."""
        ...

    def master_list_entries(self, columns: Sequence[Sequence[str | None]]) -> Batch:
        """Records of the master list, from the attributes that its search wants.

        Args:
            columns: the values of each attribute; None where a record lacks it.

        Raises:
            ValueError: one has no key.
        """
        ...

    def detail_search(self, keys: Sequence[str]) -> Search:
        """The search that answers with the records of those keys in full."""
        ...

    def detail_key(self, attributes: Mapping[str, str]) -> str | None:
        """The key of a detail record, from its root element's attributes."""
        ...

    def elements(self) -> Sequence[SourceElement]:
        """All that is known to stand in a detail record; more may come."""
        ...

    def head(self, record: bytes) -> RecordHead:
        """What is known of a record without reading it. It never raises."""
        ...

    def parse(
        self, record: Any, known_hash: str | None = None
    ) -> ParsedListing | UnparsedListing | ParsedRecord | UnparsedRecord:
        """A detail record as rows.

        Args:
            record: its bytes, from its start tag to its end tag, or an ``lxml`` element.
            known_hash: the hash in its head, when the caller has that.

        Raises:
            NotPlain: the bytes are for a parser (``sources.plain``); never for bad content.
        """
        ...


class Source(ResourceSource, Protocol):
    """What one kind of server means: listings first. It knows no SQL and no HTTP."""

    @property
    def others(self) -> Mapping[str, ResourceSource]:
        """What else has searches of its own, by RESO's name (Member, Office); may be empty."""
        ...

    @property
    def object_types(self) -> Mapping[str, str]:
        """What GetObject calls the photos of listings, by size; empty: it has none."""
        ...

    def without_version(self, url: str) -> str:
        """A photo's address without the part that changes with its token, if it has one.

        Two addresses that are equal without it name versions of one resource, whose entity tags
        may be compared (RFC 9110, 8.8.3).
        """
        ...

    def taught(self, lookups: Mapping[str, Sequence[str]]) -> Source:
        """The same source, which knows the server's own lookup values.

        Args:
            lookups: the texts of all values, by the lookup's name.
        """
        ...

    def bounds(self, province: str | None) -> tuple[str, Box] | None:
        """A province's short name and the box around it, by a record's word for it.

        None when nothing is known of such a province.
        """
        ...

    def parse(self, record: Any, known_hash: str | None = None) -> ParsedListing | UnparsedListing:
        """A detail record as rows."""
        ...
