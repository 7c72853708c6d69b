"""Metadata from a server, by as few requests as it allows.

What belongs here: what to ask for, in which format, and what to do when it is refused. What does
not: reading answers (``metadata_reading``), and keeping what came (``metadata_cache``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from rets_pipeline.rets.errors import QueryRefused, SplitRequest
from rets_pipeline.rets.metadata import (
    PARENTS,
    PLACES,
    USUAL_TYPES,
    Metadata,
    MetadataDocument,
    MetadataFormat,
    MetadataTable,
    canonical_type,
    key_of,
)
from rets_pipeline.rets.reply_codes import OTHER_METADATA_FORMAT


class MetadataSource(Protocol):
    """Whatever answers GetMetadata; :class:`Session` does."""

    def get_metadata(
        self, metadata_type: str, identifier: str, metadata_format: MetadataFormat
    ) -> MetadataDocument:
        """One answer; an empty one when there is no such metadata.

        Raises:
            QueryRefused: the server does not offer it so.
        """


def load_metadata(
    source: MetadataSource,
    *,
    types: Iterable[str] = USUAL_TYPES,
    first_format: MetadataFormat = "COMPACT",
    wildcards: bool = True,
) -> Metadata:
    """Load metadata, one type after the other.

    Each type is asked for everywhere at once (identifier ``0``, then ``*``). What the server does
    not answer so is asked for place by place. A server that refuses one format is asked for the
    other. What it refuses altogether is among the problems of the result.

    Args:
        source: a session.
        types: to load; what they hang on is loaded too.
        first_format: to try first.
        wildcards: False asks place by place from the start.

    Raises:
        RetsError: the server cannot answer now, say. Refusals that concern the formats, or one
            type, are no errors.
    """
    loader = _Loader(source, first_format, wildcards)
    for metadata_type in _with_parents(map(canonical_type, types)):
        loader.load(metadata_type)
    return Metadata(loader.tables, loader.problems)


def load_all_at_once(
    source: MetadataSource, *, metadata_format: MetadataFormat = "COMPACT"
) -> Metadata:
    """Load everything in a single answer (``METADATA-SYSTEM`` with identifier ``*``).

    Raises:
        QueryRefused: the server does not offer that.
        RetsError: it cannot answer now.
    """
    document = source.get_metadata("METADATA-SYSTEM", "*", metadata_format)
    return Metadata(document.tables, document.problems)


def _with_parents(types: Iterable[str]) -> Iterator[str]:
    """The types in an order in which each comes after those that it hangs on."""
    wanted: set[str] = set()
    for metadata_type in types:
        wanted.add(metadata_type)
        wanted.update(PARENTS[name] for name in PLACES.get(metadata_type, ()))
    yield from sorted(wanted, key=lambda item: (len(PLACES.get(item, ())), item))


class _Loader:
    def __init__(
        self, source: MetadataSource, first_format: MetadataFormat, wildcards: bool
    ) -> None:
        self.tables: list[MetadataTable] = []
        self.problems: list[str] = []
        self._source = source
        self._wildcards = wildcards
        other: MetadataFormat = "STANDARD-XML" if first_format == "COMPACT" else "COMPACT"
        self._formats: list[MetadataFormat] = [first_format, other]
        self._refusals: list[tuple[str, QueryRefused | SplitRequest]] = []

    def load(self, metadata_type: str) -> None:
        """Load one type from everywhere."""
        self._refusals = []
        names = PLACES.get(metadata_type, ())
        places = self._places(names) if names else []
        if not names or (self._wildcards and self._missing(metadata_type, places)):
            self._ask_each(metadata_type, ("0", "*"))
        elif not places and metadata_type == "METADATA-LOOKUP_TYPE":
            self._values_of_unlisted_lookups()
        for path in self._missing(metadata_type, places):
            self._ask(metadata_type, ":".join(path))
        self._report(metadata_type)

    def _values_of_unlisted_lookups(self) -> None:
        """Some servers list no lookups, yet tell their values."""
        if self._wildcards and self._ask_each("METADATA-LOOKUP_TYPE", ("0", "*")):
            return
        for (resource,) in self._places(("Resource",)):
            self._ask_each("METADATA-LOOKUP_TYPE", (f"{resource}:0", f"{resource}:*"))

    def _ask_each(self, metadata_type: str, wildcards: Iterable[str]) -> bool:
        """Ask with each wildcard until something comes."""
        return any(self._ask(metadata_type, wildcard) for wildcard in wildcards)

    def _missing(
        self, metadata_type: str, places: Iterable[tuple[str, ...]]
    ) -> list[tuple[str, ...]]:
        """Places from which nothing of the type has come."""
        found = {
            _lowered(table.path) for table in self.tables if table.metadata_type == metadata_type
        }
        return [path for path in places if _lowered(path) not in found]

    def _report(self, metadata_type: str) -> None:
        """Note what was refused, unless another way of asking was answered."""
        came = any(table.metadata_type == metadata_type for table in self.tables)
        refusals = [
            (identifier, error)
            for identifier, error in self._refusals
            if not (came and identifier.rpartition(":")[2] in ("0", "*"))
        ]
        if refusals:
            identifier, error = refusals[0]
            self.problems.append(
                f"{metadata_type}: {len(refusals)} requests were refused; the first, "
                f"{identifier}: {error}"
            )

    def _places(self, names: tuple[str, ...]) -> list[tuple[str, ...]]:
        """Where elements of a type may be: at the entries of the type above it."""
        above = PARENTS[names[-1]]
        return [
            (*table.path, key)
            for table in self.tables
            if table.metadata_type == above and len(table.path) == len(names) - 1
            for key in dict.fromkeys(key_of(above, entry) for entry in table.entries)
            if key
        ]

    def _ask(self, metadata_type: str, identifier: str) -> bool:
        """Whether something of that type came."""
        refusal = None
        for metadata_format in tuple(self._formats):
            try:
                document = self._source.get_metadata(metadata_type, identifier, metadata_format)
            except (QueryRefused, SplitRequest) as error:
                refusal = error
                if error.reply_code not in OTHER_METADATA_FORMAT:
                    break
                continue
            self._formats.sort(key=lambda item: item != metadata_format)
            return self._take(document, metadata_type)
        if refusal is not None:
            self._refusals.append((identifier, refusal))
        return False

    def _take(self, document: MetadataDocument, metadata_type: str) -> bool:
        known = {(table.metadata_type, _lowered(table.path)) for table in self.tables}
        new = [
            table
            for table in document.tables
            if table.entries and (table.metadata_type, _lowered(table.path)) not in known
        ]
        self.tables += new
        self.problems += document.problems
        return any(table.metadata_type == metadata_type for table in new)


def _lowered(path: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.lower() for name in path)
