"""CREA's DDF as a source.

What belongs here: the one object that the sync talks to. What does not: queries, rules, values,
rows; each has a module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rets_pipeline.sources.base import MasterListEntry, ParsedListing, Search, UnparsedListing
from rets_pipeline.sources.ddf import parse, queries
from rets_pipeline.sources.ddf.engine import attribute
from rets_pipeline.sources.ddf.records import record_key
from rets_pipeline.sources.ddf.values import ConversionError, utc_timestamp, values_with_commas


class DdfSource:
    """DDF over RETS, STANDARD-XML.

    Args:
        culture: ``en-CA`` or ``fr-CA``; None: the server's default.
        lookups: values by lookup, as the server's METADATA-LOOKUP_TYPE has them (``LongValue``):
            those with commas inside are then kept whole. The documentation's are known without.
    """

    detail_record = queries.detail_record("Property")

    def __init__(
        self,
        culture: str | None = None,
        lookups: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self._culture = culture
        self._known = None if lookups is None else tuple(values_with_commas(lookups).items())

    def master_list_search(self) -> Search:
        """The search that answers with every key."""
        return queries.master_list("Property", self._culture)

    def master_list_entry(self, attributes: Mapping[str, str]) -> MasterListEntry:
        """One ``Property`` element of the master list, from its attributes.

        Raises:
            ValueError: it has no key, or one that no query could name.
        """
        key = self.detail_key(attributes)
        if key is None:
            raise ValueError(f"a master list entry without a usable ID: {str(attributes)[:200]}")
        raw = attribute(attributes, "lastupdated")
        try:
            moment = utc_timestamp(raw.strip())
        except ConversionError:
            moment = None
        return MasterListEntry(key, moment, raw)

    def detail_search(self, listing_keys: Sequence[str]) -> Search:
        """The search that answers with those listings in full.

        Raises:
            ValueError: no key, more than 100, or one that cannot stand in a query.
        """
        return queries.details("Property", listing_keys, self._culture)

    def detail_key(self, attributes: Mapping[str, str]) -> str | None:
        """The key of a record, from its root element's attributes; None when it is unusable."""
        return record_key(attributes)

    def taught(self, lookups: Mapping[str, Iterable[str]]) -> DdfSource:
        """The same source, which keeps the server's own values with commas whole."""
        return DdfSource(self._culture, lookups)

    def parse(self, record: Any) -> ParsedListing | UnparsedListing:
        """A ``PropertyDetails`` element as rows. It never raises for bad content."""
        return parse.parse_listing(record, lookups=self._known)
