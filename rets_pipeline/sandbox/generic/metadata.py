"""The metadata of the generic server, in COMPACT and STANDARD-XML.

What belongs here: the entries of every type of metadata, and their two forms. What does not: the
columns and lookups that they describe (``columns``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape

from rets_pipeline.sandbox.answers import DECLARATION
from rets_pipeline.sandbox.generic.columns import COLUMNS, LOOKUPS, Column, escaped

VERSION = "1.12.30"
DATE = "2024-02-29T12:00:00Z"


class MetadataError(Exception):
    """A request that is refused.

    Args:
        code: the RETS reply code.
        text: its text.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


@dataclass(slots=True)
class Section:
    """Entries of one type, at one place.

    Attributes:
        kind: ``TABLE`` and so on; without ``METADATA-``.
        element: what STANDARD-XML calls an entry.
        place: Resource, Class and so on, in order.
        columns: names of the entries' fields.
        entries: their texts.
    """

    kind: str
    element: str
    place: dict[str, str]
    columns: list[str]
    entries: list[list[str]]

    def is_at(self, identity: str) -> bool:
        """Whether the ID of a request means it."""
        parts = [part for part in identity.split(":") if part]
        names = list(self.place.values())
        if len(parts) > len(names) and parts[len(names) :] not in (["*"], ["0"]):
            return False
        pairs = zip(parts, names, strict=False)
        return all(part in ("*", "0") or part.lower() == name.lower() for part, name in pairs)


@dataclass(slots=True)
class Metadata:
    """Metadata that are not written yet.

    Attributes:
        sections: in order.
        compact: written so, instead of in STANDARD-XML.
        names: of elements and attributes: ``lower`` writes them so.
        version: of all of them.
    """

    sections: list[Section]
    compact: bool
    lower: bool = False
    version: str = VERSION
    system: dict[str, str] = field(default_factory=dict)

    def pieces(self) -> Iterator[bytes]:
        """The body as it is sent."""
        inside = "".join(map(self._section, self.sections))
        if not self.compact:
            inside = f"<METADATA>{inside}</METADATA>"
        head = f'{DECLARATION}\r\n<RETS ReplyCode="0" ReplyText="Operation Successful">\r\n'
        yield f"{head}{inside}</RETS>\r\n".encode()

    def _section(self, section: Section) -> str:
        name = f"METADATA-{section.kind}"
        places = {**section.place, "Version": self.version, "Date": DATE}
        if self.lower:
            name, places = name.lower(), {key.lower(): text for key, text in places.items()}
        head = "".join(f' {key}="{escape(text)}"' for key, text in places.items())
        write = self._compact if self.compact else self._standard
        return f"<{name}{head}>\r\n{write(section)}</{name}>\r\n"

    def _compact(self, section: Section) -> str:
        if section.kind == "SYSTEM":
            return _system(section, "SYSTEM")
        columns = "\t".join(section.columns)
        data = "".join(
            "<DATA>\t" + "\t".join(map(escaped, entry)) + "\t</DATA>\r\n"
            for entry in section.entries
        )
        return f"<COLUMNS>\t{columns}\t</COLUMNS>\r\n{data}"

    def _standard(self, section: Section) -> str:
        if section.kind == "SYSTEM":
            return _system(section, "System")
        texts = []
        for entry in section.entries:
            pairs = zip(section.columns, entry, strict=False)
            inside = "".join(f"<{name}>{escaped(text)}</{name}>" for name, text in pairs)
            texts.append(f"<{section.element}>{inside}</{section.element}>\r\n")
        written = "".join(texts)
        if self.lower:
            written = written.replace(f"<{section.element}>", f"<{section.element.lower()}>")
            written = written.replace(f"</{section.element}>", f"</{section.element.lower()}>")
        return written


def answer(arguments: Mapping[str, str]) -> Metadata:
    """What GetMetadata answers (RETS 1.7.2, sections 11 and 12).

    Args:
        arguments: Type, ID and Format, names in lower case.

    Raises:
        MetadataError: with the reply code.
    """
    kind = arguments.get("type", "").upper().removeprefix("METADATA-")
    form = arguments.get("format", "COMPACT").upper()
    if form not in ("COMPACT", "STANDARD-XML"):
        raise MetadataError(20513, "Miscellaneous error: unknown Format")
    known = sections()
    if kind not in {section.kind for section in known}:
        raise MetadataError(20501, "Invalid Type")
    identity = arguments.get("id", "")
    found = [s for s in known if s.kind == kind and s.is_at(identity)]
    if not found:
        first = identity.split(":")[0].lower()
        code = 20503 if first in ("property", "agent") else 20502
        raise MetadataError(code, "No Metadata Found" if code == 20503 else "Invalid Identifier")
    return Metadata(found, form == "COMPACT")


def sections() -> list[Section]:
    """All metadata of the server."""
    found = [
        Section(
            "SYSTEM",
            "System",
            {},
            ["SystemID", "SystemDescription", "TimeZoneOffset"],
            [["GENERIC", "A generic RETS server", "+00:00"]],
        ),
        _resources(),
    ]
    for resource, name, columns in (("Property", "RES", COLUMNS), ("Agent", "AGT", _AGENT)):
        found += [_class(resource, name), _table(resource, name, columns)]
        found += _others(resource, name)
    found += [_object(), _lookup("Property"), *_lookup_types("Property")]
    return found


_AGENT = (
    Column("AgentKey", "Long", 18, standard="AgentID"),
    Column("AgentName", length=60),
    Column("Active", "Boolean", 1),
)


def _resources() -> Section:
    columns = ["ResourceID", "StandardName", "VisibleName", "Description", "KeyField"]
    parts = ("Class", "Object", "SearchHelp", "EditMask", "Lookup", "UpdateHelp")
    columns += ["ClassCount", *(f"{part}{word}" for part in parts for word in ("Version", "Date"))]
    stamps = [VERSION, DATE] * len(parts)
    entries = [
        [name, name, name, f"All of {name}", key, "1", *stamps]
        for name, key in (("Property", "ListingKey"), ("Agent", "AgentKey"))
    ]
    return Section("RESOURCE", "Resource", {}, columns, entries)


def _class(resource: str, name: str) -> Section:
    columns = ["ClassName", "StandardName", "VisibleName", "Description"]
    columns += ["TableVersion", "TableDate", "UpdateVersion", "UpdateDate", "ClassTimeStamp"]
    standard = "ResidentialProperty" if name == "RES" else ""
    stamp = "ModificationTimestamp" if name == "RES" else ""
    entry = [name, standard, name, f"{resource} & more", VERSION, DATE, VERSION, DATE, stamp]
    return Section("CLASS", "Class", {"Resource": resource}, columns, [entry])


_FIELDS = (
    *("MetadataEntryID", "SystemName", "StandardName", "LongName", "DBName", "ShortName"),
    *("MaximumLength", "DataType", "Precision", "Searchable", "Interpretation", "Alignment"),
    *("UseSeparator", "EditMaskID", "LookupName", "MaxSelect", "Units", "Index", "Minimum"),
    *("Maximum", "Default", "Required", "SearchHelpID", "Unique", "ModTimeStamp"),
    *("ForeignKeyName", "ForeignField", "InKeyIndex"),
)


def _table(resource: str, name: str, columns: tuple[Column, ...]) -> Section:
    entries = [_field(number, column) for number, column in enumerate(columns)]
    place = {"Resource": resource, "Class": name}
    return Section("TABLE", "Field", place, list(_FIELDS), entries)


def _field(number: int, column: Column) -> list[str]:
    key = number == 0
    values = {
        "MetadataEntryID": f"F{number}",
        "SystemName": column.name,
        "StandardName": column.standard,
        "LongName": column.long_name,
        "DBName": column.name[:10],
        "ShortName": column.name[:24],
        "MaximumLength": str(column.length),
        "DataType": column.type,
        "Precision": str(column.precision) if column.type == "Decimal" else "",
        "Searchable": "1",
        "Interpretation": column.interpretation,
        "Alignment": "Right" if column.interpretation in ("Number", "Currency") else "Left",
        "UseSeparator": "1" if column.interpretation == "Currency" else "0",
        "LookupName": column.lookup,
        "MaxSelect": "3" if column.interpretation == "LookupMulti" else "",
        "Index": "1" if key else "0",
        "Required": "0",
        "Unique": "1" if key else "0",
        "ModTimeStamp": "1" if column.name == "ModificationTimestamp" else "0",
        "InKeyIndex": "1" if key else "0",
    }
    return [values.get(name, "") for name in _FIELDS]


def _object() -> Section:
    columns = ["MetadataEntryID", "ObjectType", "MIMEType", "VisibleName", "Description"]
    entries = [
        ["O1", "Photo", "image/jpeg", "Photo", "Photos, large"],
        ["O2", "Thumbnail", "image/jpeg", "Thumbnail", "Photos, small"],
    ]
    return Section("OBJECT", "Object", {"Resource": "Property"}, columns, entries)


def _lookup(resource: str) -> Section:
    columns = ["MetadataEntryID", "LookupName", "VisibleName", "Version", "Date"]
    entries = [
        [f"L{number}", name, name, VERSION, DATE] for number, name in enumerate(sorted(LOOKUPS))
    ]
    return Section("LOOKUP", "Lookup", {"Resource": resource}, columns, entries)


def _lookup_types(resource: str) -> list[Section]:
    columns = ["MetadataEntryID", "LongValue", "ShortValue", "Value"]
    return [
        Section(
            "LOOKUP_TYPE",
            "LookupType",
            {"Resource": resource, "Lookup": name},
            columns,
            [[f"{name}-{code}", text, text[:12], code] for code, text in values],
        )
        for name, values in sorted(LOOKUPS.items())
    ]


def _others(resource: str, name: str) -> list[Section]:
    """The types of metadata that few clients read."""
    place = {"Resource": resource}
    update = {**place, "Class": name}
    rules = {"ValidationLookupName": "V1", "ValidationExternalName": "E1"}
    kinds: list[tuple[str, str, dict[str, str], str, str]] = [
        ("SEARCH_HELP", "SearchHelp", place, "MetadataEntryID SearchHelpID Value", "H1 Key A_key"),
        ("EDITMASK", "EditMask", place, "MetadataEntryID EditMaskID Value", "M1 Key [0-9]+"),
        (
            "UPDATE",
            "Update",
            update,
            "MetadataEntryID UpdateName Description KeyField UpdateTypeVersion UpdateTypeDate",
            f"U1 Change Any_change ListingKey {VERSION} {DATE}",
        ),
        (
            "UPDATE_TYPE",
            "UpdateType",
            {**update, "Update": "Change"},
            "MetadataEntryID SystemName Sequence Attributes Default",
            "T1 ListPrice 1 2 0",
        ),
        (
            "VALIDATION_LOOKUP",
            "ValidationLookup",
            place,
            "MetadataEntryID ValidationLookupName Parent1Field Parent2Field Version Date",
            f"V1 V1 City StateOrProvince {VERSION} {DATE}",
        ),
        (
            "VALIDATION_LOOKUP_TYPE",
            "ValidationLookupType",
            {**place, "ValidationLookup": rules["ValidationLookupName"]},
            "MetadataEntryID ValidText Parent1Value Parent2Value",
            "W1 MTL MTL QC",
        ),
        (
            "VALIDATION_EXTERNAL",
            "ValidationExternal",
            place,
            "MetadataEntryID ValidationExternalName SearchResource SearchClass Version Date",
            f"E1 E1 Agent AGT {VERSION} {DATE}",
        ),
        (
            "VALIDATION_EXTERNAL_TYPE",
            "ValidationExternalType",
            {**place, "ValidationExternal": rules["ValidationExternalName"]},
            "MetadataEntryID SearchField DisplayField ResultFields",
            "X1 AgentKey AgentName AgentKey=ListAgentKey",
        ),
        (
            "VALIDATION_EXPRESSION",
            "ValidationExpression",
            place,
            "MetadataEntryID ValidationExpressionID ValidationExpressionType Value",
            "P1 Positive REJECT ListPrice<0",
        ),
    ]
    found = [
        Section(kind, element, where, columns.split(), [entry.split()])
        for kind, element, where, columns, entry in kinds
    ]
    if resource == "Property":
        columns = "ForeignKeyID ParentResourceID ParentClassID ParentSystemName"
        columns += " ChildResourceID ChildClassID ChildSystemName"
        entry = "K1 Agent AGT AgentKey Property RES ListAgentKey"
        found.append(Section("FOREIGNKEYS", "ForeignKey", {}, columns.split(), [entry.split()]))
    return found


def _system(section: Section, name: str) -> str:
    identity, description, zone = section.entries[0]
    head = f'SystemID="{identity}" SystemDescription="{escape(description)}"'
    return f'<{name} {head} TimeZoneOffset="{zone}" />\r\n<COMMENTS>Invented</COMMENTS>\r\n'
