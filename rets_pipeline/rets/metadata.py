"""Metadata: what a server says about its resources, classes, fields, lookups and objects.

What belongs here: the METADATA-* types and the tree that they make (RETS 1.7.2, section 11). What
does not: reading answers (``metadata_reading``), asking for them (``metadata_loading``), keeping
them (``metadata_cache``), and converting values by them (``decoding``).

All METADATA-* types are treated by the same rules, also those that this module does not know,
because servers differ in what they nest and how they write names. Everything a server says is kept
as text.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

from rets_pipeline.rets.names import Names

#: The two forms of metadata.
MetadataFormat = Literal["COMPACT", "STANDARD-XML"]

#: What names the place of an element of each type, from the top (RETS 1.7.2, section 11; the last
#: ones are of 1.8).
PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "METADATA-SYSTEM": (),
    "METADATA-RESOURCE": (),
    "METADATA-FOREIGNKEYS": (),
    "METADATA-CLASS": ("Resource",),
    "METADATA-TABLE": ("Resource", "Class"),
    "METADATA-OBJECT": ("Resource",),
    "METADATA-LOOKUP": ("Resource",),
    "METADATA-LOOKUP_TYPE": ("Resource", "Lookup"),
    "METADATA-SEARCH_HELP": ("Resource",),
    "METADATA-EDITMASK": ("Resource",),
    "METADATA-UPDATE": ("Resource", "Class"),
    "METADATA-UPDATE_TYPE": ("Resource", "Class", "Update"),
    "METADATA-UPDATE_HELP": ("Resource",),
    "METADATA-VALIDATION_LOOKUP": ("Resource",),
    "METADATA-VALIDATION_LOOKUP_TYPE": ("Resource", "ValidationLookup"),
    "METADATA-VALIDATION_EXTERNAL": ("Resource",),
    "METADATA-VALIDATION_EXTERNAL_TYPE": ("Resource", "ValidationExternal"),
    "METADATA-VALIDATION_EXPRESSION": ("Resource",),
    "METADATA-COLUMN_GROUP": ("Resource", "Class"),
    "METADATA-COLUMN_GROUP_CONTROL": ("Resource", "Class", "ColumnGroup"),
    "METADATA-COLUMN_GROUP_TABLE": ("Resource", "Class", "ColumnGroup"),
    "METADATA-COLUMN_GROUP_NORMALIZATION": ("Resource", "Class", "ColumnGroup"),
    "METADATA-COLUMN_GROUP_SET": ("Resource", "Class"),
    "METADATA-FILTER": (),
    "METADATA-FILTER_TYPE": ("Filter",),
}

#: What most clients need.
USUAL_TYPES: Final = (
    *("METADATA-SYSTEM", "METADATA-RESOURCE", "METADATA-CLASS", "METADATA-TABLE"),
    *("METADATA-OBJECT", "METADATA-LOOKUP", "METADATA-LOOKUP_TYPE"),
)

#: Everything that RETS knows.
ALL_TYPES: Final = tuple(PLACES)

#: What names an entry of each type, by the likelihood of it.
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "METADATA-RESOURCE": ("ResourceID",),
    "METADATA-CLASS": ("ClassName",),
    "METADATA-TABLE": ("SystemName",),
    "METADATA-LOOKUP": ("LookupName", "MetadataEntryID"),
    "METADATA-UPDATE": ("UpdateName", "UpdateAction", "UpdateType"),
    "METADATA-VALIDATION_LOOKUP": ("ValidationLookupName",),
    "METADATA-VALIDATION_EXTERNAL": ("ValidationExternalName",),
    "METADATA-COLUMN_GROUP": ("ColumnGroupName",),
    "METADATA-FILTER": ("FilterID",),
}
#: The type whose entries a part of a place names.
PARENTS: Final[Mapping[str, str]] = {
    "Resource": "METADATA-RESOURCE",
    "Class": "METADATA-CLASS",
    "Lookup": "METADATA-LOOKUP",
    "Update": "METADATA-UPDATE",
    "ValidationLookup": "METADATA-VALIDATION_LOOKUP",
    "ValidationExternal": "METADATA-VALIDATION_EXTERNAL",
    "ColumnGroup": "METADATA-COLUMN_GROUP",
    "Filter": "METADATA-FILTER",
}
# Versions of RETS differ in these names.
_OTHER_NAMES: Final = {
    "METADATA-FOREIGN_KEYS": "METADATA-FOREIGNKEYS",
    "METADATA-FOREIGNKEY": "METADATA-FOREIGNKEYS",
    "METADATA-EDIT_MASK": "METADATA-EDITMASK",
    "METADATA-LOOKUPTYPE": "METADATA-LOOKUP_TYPE",
}
#: How the names of all types begin.
PREFIX: Final = "METADATA-"


@dataclass(frozen=True, slots=True)
class MetadataTable:
    """One METADATA-* element: entries of one type at one place.

    Attributes:
        metadata_type: ``METADATA-TABLE``, say; in capitals.
        path: its place, ``("Property", "RES")`` say.
        entries: what each entry says, by the server's names in any case.
        version: as the server says; some never change it.
        date: as the server says; some never change it.
    """

    metadata_type: str
    path: tuple[str, ...]
    entries: tuple[Names[str], ...]
    version: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True)
class MetadataDocument:
    """What one answer holds.

    Attributes:
        tables: the METADATA-* elements, nested ones as well.
        problems: what could not be understood, in plain words.
    """

    tables: tuple[MetadataTable, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a class (an entry of METADATA-TABLE)."""

    attributes: Names[str] = field(repr=False)

    @property
    def system_name(self) -> str:
        """The server's own name: of columns, and in queries."""
        return value_of(self.attributes, "SystemName")

    @property
    def standard_name(self) -> str:
        """RETS's or RESO's name, or nothing."""
        return value_of(self.attributes, "StandardName")

    @property
    def long_name(self) -> str:
        """The name for people."""
        return value_of(self.attributes, "LongName")

    @property
    def data_type(self) -> str:
        """``Int``, ``Character`` and so on, as the server writes it."""
        return value_of(self.attributes, "DataType")

    @property
    def interpretation(self) -> str:
        """``Lookup``, ``LookupMulti`` and so on, or nothing."""
        return value_of(self.attributes, "Interpretation")

    @property
    def lookup_name(self) -> str:
        """Of the lookup whose values it takes, or nothing."""
        return value_of(self.attributes, "LookupName")

    @property
    def maximum_length(self) -> int | None:
        """In characters, or None."""
        return _number(self.attributes, "MaximumLength")

    @property
    def precision(self) -> int | None:
        """Digits behind the point, or None."""
        return _number(self.attributes, "Precision")

    def __repr__(self) -> str:
        return f"<Field {self.system_name} {self.data_type} {self.interpretation}>".strip()


@dataclass(frozen=True, slots=True)
class LookupValue:
    """One value of a lookup.

    Attributes:
        value: what COMPACT answers and queries hold.
        long_value: for people; what COMPACT-DECODED answers hold.
        short_value: an abbreviation.
    """

    value: str
    long_value: str
    short_value: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """A list of values that fields may take.

    Attributes:
        name: the server's.
        attributes: of METADATA-LOOKUP; empty when the server has values only.
        values: in the server's order.
    """

    name: str
    attributes: Names[str] = field(repr=False)
    values: tuple[LookupValue, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ResourceClass:
    """A class of a resource.

    Attributes:
        name: for searches.
        attributes: what METADATA-CLASS says.
        fields: by system name.
    """

    name: str
    attributes: Names[str] = field(repr=False)
    fields: Names[Field] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource.

    Attributes:
        name: for searches, ``Property`` say.
        attributes: what METADATA-RESOURCE says.
        classes: by name.
        lookups: by name.
        objects: what METADATA-OBJECT says, by object type.
    """

    name: str
    attributes: Names[str] = field(repr=False)
    classes: Names[ResourceClass] = field(repr=False)
    lookups: Names[Lookup] = field(repr=False)
    objects: Names[Names[str]] = field(repr=False)

    @property
    def key_field(self) -> str:
        """The system name of the key, or nothing."""
        return value_of(self.attributes, "KeyField")

    def lookup(self, name: str) -> Lookup | None:
        """A lookup by its name, or by its MetadataEntryID, which some servers' fields hold."""
        found = self.lookups.get(name)
        if found is None:
            wanted = name.strip().lower()
            for item in self.lookups.values():
                if wanted and value_of(item.attributes, "MetadataEntryID").lower() == wanted:
                    return item
        return found


class Metadata:
    """All that a server said, as a tree: resources, their classes, fields, lookups and objects.

    Args:
        tables: the METADATA-* elements.
        problems: what could not be understood or loaded, in plain words.
    """

    def __init__(self, tables: Iterable[MetadataTable], problems: Iterable[str] = ()) -> None:
        self.tables = tuple(tables)
        self._entries: dict[tuple[str, tuple[str, ...]], list[Names[str]]] = defaultdict(list)
        for table in self.tables:
            place = tuple(name.lower() for name in table.path)
            self._entries[table.metadata_type, place].extend(table.entries)
        self._problems = list(problems)
        self._missing_classes()
        self.resources = self._named_resources()
        #: What could not be understood, duplicates among it, in plain words.
        self.problems: tuple[str, ...] = tuple(dict.fromkeys(self._problems))

    def __repr__(self) -> str:
        return f"<Metadata {', '.join(self.resources) or 'without resources'}>"

    def entries(self, metadata_type: str, *path: str) -> tuple[Names[str], ...]:
        """Everything of one type at one place, ``entries("METADATA-EDITMASK", "Property")`` say.

        Args:
            metadata_type: with or without ``METADATA-``, in any case.
            path: the place, in any case.
        """
        place = tuple(name.lower() for name in path)
        return tuple(self._entries.get((canonical_type(metadata_type), place), ()))

    @property
    def system(self) -> Names[str]:
        """What METADATA-SYSTEM says."""
        return next(iter(self.entries("SYSTEM")), Names())

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the content, in hex. Order, versions and dates do not matter.

        Servers have been seen changing values without changing versions and dates.
        """
        content = sorted(
            (
                *(table.metadata_type, *map(str.lower, table.path), ""),
                *sorted(json.dumps(sorted(entry.items())) for entry in table.entries),
            )
            for table in self.tables
            if table.entries
        )
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Everything, in types that JSON knows."""
        return {
            "problems": list(self.problems),
            "tables": [
                {
                    "type": table.metadata_type,
                    "path": list(table.path),
                    "version": table.version,
                    "date": table.date,
                    "entries": [dict(entry) for entry in table.entries],
                }
                for table in self.tables
            ],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Metadata:
        """What :meth:`to_dict` wrote.

        Raises:
            KeyError, TypeError: it did not.
        """
        tables = (
            MetadataTable(
                item["type"],
                tuple(item["path"]),
                tuple(Names(entry) for entry in item["entries"]),
                item["version"],
                item["date"],
            )
            for item in content["tables"]
        )
        return cls(tables, content["problems"])

    def _missing_classes(self) -> None:
        """A table of fields makes a class, even when METADATA-CLASS does not name it."""
        for table in self.tables:
            if table.metadata_type != "METADATA-TABLE" or len(table.path) != 2:
                continue
            resource, name = table.path
            classes = self._entries["METADATA-CLASS", (resource.lower(),)]
            if all(key_of("METADATA-CLASS", item).lower() != name.lower() for item in classes):
                self._problems.append(
                    f"{resource}:{name}: there are fields, but METADATA-CLASS does not name it"
                )
                classes.append(Names({"ClassName": name}))

    def _named_resources(self) -> Names[Resource]:
        named = list(self._unique("METADATA-RESOURCE", ()))
        known = {name.lower() for name, _ in named}
        for table in self.tables:
            if PLACES.get(table.metadata_type, ())[:1] != ("Resource",) or not table.path[0]:
                continue
            if table.path[0].lower() not in known:
                known.add(table.path[0].lower())
                self._problems.append(
                    f"{table.path[0]}: there are {table.metadata_type}, but METADATA-RESOURCE "
                    "does not name it"
                )
                named.append((table.path[0], Names({"ResourceID": table.path[0]})))
        return Names((name, self._resource(name, entry)) for name, entry in named)

    def _resource(self, name: str, attributes: Names[str]) -> Resource:
        classes = (
            (title, ResourceClass(title, entry, Names(self._fields(name, title))))
            for title, entry in self._unique("METADATA-CLASS", (name,))
        )
        objects = (
            (value_of(entry, "ObjectType"), entry)
            for entry in self.entries("METADATA-OBJECT", name)
        )
        return Resource(
            name, attributes, Names(classes), Names(self._lookups(name)), Names(objects)
        )

    def _fields(self, *path: str) -> Iterator[tuple[str, Field]]:
        for name, entry in self._unique("METADATA-TABLE", path):
            yield name, Field(entry)

    def _lookups(self, resource: str) -> Iterator[tuple[str, Lookup]]:
        seen: set[str] = set()
        for name, entry in self._unique("METADATA-LOOKUP", (resource,)):
            # Some servers write the entry's id where others write the lookup's name.
            entry_id = value_of(entry, "MetadataEntryID")
            values = self._values(resource, name) or self._values(resource, entry_id)
            seen |= {name.lower(), entry_id.lower()}
            yield name, Lookup(name, entry, values)
        for table in self.tables:
            if table.metadata_type != "METADATA-LOOKUP_TYPE" or len(table.path) != 2:
                continue
            owner, name = table.path
            if owner.lower() == resource.lower() and name.lower() not in seen:
                seen.add(name.lower())
                yield name, Lookup(name, Names(), self._values(resource, name))

    def _values(self, *path: str) -> tuple[LookupValue, ...]:
        return tuple(
            LookupValue(
                value_of(entry, "Value"),
                value_of(entry, "LongValue"),
                value_of(entry, "ShortValue"),
            )
            for entry in self.entries("METADATA-LOOKUP_TYPE", *path)
        )

    def _unique(
        self, metadata_type: str, path: tuple[str, ...]
    ) -> Iterator[tuple[str, Names[str]]]:
        """Entries by name; duplicates are reported, and the first one counts."""
        seen: dict[str, Names[str]] = {}
        where = ":".join(path)
        for entry in self.entries(metadata_type, *path):
            name = key_of(metadata_type, entry)
            if not name:
                self._problems.append(f"{where}: an entry of {metadata_type} has no name")
            elif (before := seen.get(name.lower())) is not None:
                same = "twice" if dict(before) == dict(entry) else "twice, with differences"
                self._problems.append(f"{where}: {metadata_type} names {name} {same}")
            else:
                seen[name.lower()] = entry
                yield name, entry


def canonical_type(name: str) -> str:
    """The type's name with ``METADATA-``, in capitals, spelled as in :data:`PLACES`."""
    upper = name.strip().upper()
    if not upper.startswith(PREFIX):
        upper = PREFIX + upper
    return _OTHER_NAMES.get(upper, upper)


def value_of(entry: Names[str], name: str) -> str:
    """What an entry says under a name, or nothing."""
    return entry.get(name, "").strip()


def _number(entry: Names[str], name: str) -> int | None:
    text = value_of(entry, name)
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def key_of(metadata_type: str, entry: Names[str]) -> str:
    """The name of an entry, or nothing."""
    names = KEYS.get(metadata_type, ())
    return next(filter(None, (value_of(entry, name) for name in names)), "")
