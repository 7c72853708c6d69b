"""CREA's DDF as a source.

What belongs here: the objects that the sync talks to, one for each resource. What does not:
queries, rules, values, rows; each has a module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rets_pipeline.geocoding.provinces import BOXES, Box, province_code
from rets_pipeline.sources.base import (
    ParsedListing,
    ParsedRecord,
    RecordHead,
    ResourceSource,
    Search,
    SourceElement,
    UnparsedListing,
    UnparsedRecord,
)
from rets_pipeline.sources.ddf import parse, people, placement, queries
from rets_pipeline.sources.ddf.hashing import without_ticks
from rets_pipeline.sources.ddf.queries import is_key
from rets_pipeline.sources.ddf.records import record_head, record_key
from rets_pipeline.sources.ddf.values import values_with_commas

if TYPE_CHECKING:
    from rets_pipeline.sources.master_list import Batch


class _Searches:
    """The searches of one resource, which differ in its name only.

    Args:
        resource: DDF's name: ``Property``, ``Agent``, ``Office``.
        culture: ``en-CA`` or ``fr-CA``; None: the server's default.
    """

    def __init__(self, resource: str, culture: str | None) -> None:
        self.detail_record = queries.detail_record(resource)
        self._resource = resource
        self._culture = culture

    def master_list_search(self) -> Search:
        """The search that answers with every key."""
        return queries.master_list(self._resource, self._culture)

    def master_list_entries(self, columns: Sequence[Sequence[str | None]]) -> Batch:
        """Records of the master list, from the attributes that its search wants.

        Raises:
            ValueError: one has no key, or one that no query could name.
        """
        from rets_pipeline.sources.ddf.moments import utc_timestamps  # slow to import
        from rets_pipeline.sources.master_list import batch

        keys, raw = ([text or "" for text in column] for column in columns)
        if not queries.are_keys(keys):
            keys = [text.strip() for text in keys]
        for key, text in zip(keys, raw, strict=True) if not queries.are_keys(keys) else ():
            if not is_key(key):
                entry = {"ID": key, "LastUpdated": text}
                raise ValueError(f"a master list entry without a usable ID: {str(entry)[:200]}")
        return batch(keys, utc_timestamps(raw), raw)

    def detail_search(self, keys: Sequence[str]) -> Search:
        """The search that answers with the records of those keys in full.

        Raises:
            ValueError: no key, more than 100, or one that cannot stand in a query.
        """
        return queries.details(self._resource, keys, self._culture)

    def detail_key(self, attributes: Mapping[str, str]) -> str | None:
        """The key of a record, from its root element's attributes; None when it is unusable."""
        return record_key(attributes)

    def elements(self) -> Sequence[SourceElement]:
        """All that is known to stand in a record, by the rules."""
        return placement.elements(self.detail_record)

    def head(self, record: bytes) -> RecordHead:
        """What is known of a record without reading it."""
        return record_head(record)


class DdfPeople(_Searches):
    """Agents or offices, by their own search.

    Args:
        resource: ``Agent`` or ``Office``.
        parse: one record as rows.
        culture: likewise as for listings.
    """

    def __init__(
        self,
        resource: str,
        parse: Callable[[Any, str | None], ParsedRecord | UnparsedRecord],
        culture: str | None,
    ) -> None:
        super().__init__(resource, culture)
        self._parse = parse

    def parse(self, record: Any, known_hash: str | None = None) -> ParsedRecord | UnparsedRecord:
        """A detail record as rows.

        Raises:
            NotPlain: as in :class:`~rets_pipeline.sources.base.ResourceSource`, and nothing else.
        """
        return self._parse(record, known_hash)


class DdfSource(_Searches):
    """DDF over RETS, STANDARD-XML: listings, and beside them agents and offices.

    Args:
        culture: ``en-CA`` or ``fr-CA``; None: the server's default.
        lookups: values by lookup, as the server's METADATA-LOOKUP_TYPE has them (``LongValue``):
            those with commas inside are then kept whole. The documentation's are known without.
    """

    def __init__(
        self,
        culture: str | None = None,
        lookups: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        super().__init__("Property", culture)
        self._known = None if lookups is None else tuple(values_with_commas(lookups).items())
        self.others: Mapping[str, ResourceSource] = {
            "Member": DdfPeople("Agent", people.parse_member, culture),
            "Office": DdfPeople("Office", people.parse_office, culture),
        }

    @property
    def object_types(self) -> Mapping[str, str]:
        """Of Property. CREA serves none since July 2020; who forwards DDF may."""
        return {"thumbnail": "ThumbnailPhoto", "medium": "Photo", "large": "LargePhoto"}

    def bounds(self, province: str | None) -> tuple[str, Box] | None:
        """A province's two letters and the box around it."""
        code = province_code(province)
        return (code, BOXES[code]) if code else None

    def without_version(self, url: str) -> str:
        """Without the ticks behind ``TS``, which tell a browser to ask again."""
        return without_ticks(url)

    def taught(self, lookups: Mapping[str, Iterable[str]]) -> DdfSource:
        """The same source, which keeps the server's own values with commas whole."""
        return DdfSource(self._culture, lookups)

    def parse(self, record: Any, known_hash: str | None = None) -> ParsedListing | UnparsedListing:
        """A ``PropertyDetails`` record as rows.

        Raises:
            NotPlain: as in :class:`~rets_pipeline.sources.base.ResourceSource`, and nothing else.
        """
        return parse.parse_listing(record, lookups=self._known, known_hash=known_hash)
