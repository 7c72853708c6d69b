"""Faults of metadata.

What belongs here: section 20 of the catalogue, as far as GetMetadata has it. What does not: values
that do not fit their type (``columns``).
"""

from __future__ import annotations

from rets_pipeline.sandbox.answers import Answer, rets
from rets_pipeline.sandbox.faults.catalogue import (
    GENERIC_ONLY,
    Turn,
    replaces,
    spoils_answer,
    spoils_content,
)
from rets_pipeline.sandbox.generic.metadata import Metadata, Section

_METADATA = ("GetMetadata",)


def _kind(turn: Turn) -> str:
    return turn.call.arguments.get("type", "").upper().removeprefix("METADATA-")


def _format(turn: Turn) -> str:
    return turn.call.arguments.get("format", "COMPACT").upper()


@replaces(20, _METADATA, code=20502)
def wildcard_refused(turn: Turn) -> Answer | None:
    """A wildcard is refused: reply code 20502."""
    wanted = turn.call.arguments.get("id", "")
    if _kind(turn) in ("SYSTEM", "RESOURCE") or wanted.rpartition(":")[2] not in ("*", "0", ""):
        return None
    return rets("", turn["code"], "Invalid Identifier")


@spoils_answer(20, _METADATA, GENERIC_ONLY, identity="Agent:AGT", code=20503)
def class_without_table(answer: Answer, turn: Turn) -> None:
    """A class has no table: reply code 20502 or 20503, and nothing among the others."""
    content = answer.content
    if isinstance(content, Metadata) and _kind(turn) == "TABLE":
        place = turn["identity"].split(":")
        content.sections = [s for s in content.sections if list(s.place.values()) != place]
        if not content.sections:
            answer.content = rets("", turn["code"], "No Metadata Found").content


@replaces(20, _METADATA, code=20513)
def compact_refused(turn: Turn) -> Answer | None:
    """COMPACT metadata are refused."""
    refused = _format(turn).startswith("COMPACT")
    return rets("", turn["code"], "Unsupported Format") if refused else None


@replaces(20, _METADATA, code=20514)
def standard_xml_refused(turn: Turn) -> Answer | None:
    """STANDARD-XML metadata are refused."""
    refused = _format(turn).startswith("STANDARD-XML")
    return rets("", turn["code"], "Requested DTD version unavailable") if refused else None


@replaces(20, _METADATA, missing="OBJECT")
def metadata_type_unknown(turn: Turn) -> Answer | None:
    """A type of metadata does not exist: reply code 20501."""
    return rets("", 20501, "Invalid Type") if _kind(turn) == turn["missing"] else None


@spoils_content(
    Metadata, 20, _METADATA, GENERIC_ONLY, column="ModificationTimestamp", type="Timestamp"
)
def type_unknown(metadata: Metadata, turn: Turn) -> None:
    """A column's type is one that no standard has."""
    for section in _of(metadata, "TABLE"):
        name, kind = (section.columns.index(column) for column in ("SystemName", "DataType"))
        for entry in section.entries:
            if entry[name] == turn["column"]:
                entry[kind] = turn["type"]


@spoils_content(Metadata, 20, _METADATA, GENERIC_ONLY)
def class_twice(metadata: Metadata, _: Turn) -> None:
    """A class is listed twice."""
    for section in _of(metadata, "CLASS"):
        section.entries.append(list(section.entries[0]))


@spoils_content(Metadata, 20, _METADATA, GENERIC_ONLY, column="City")
def field_twice(metadata: Metadata, turn: Turn) -> None:
    """A column is described twice."""
    for section in _of(metadata, "TABLE"):
        at = section.columns.index("SystemName")
        section.entries += [list(e) for e in section.entries if e[at] == turn["column"]]


@spoils_content(Metadata, 20, _METADATA, GENERIC_ONLY, length=10)
def names_cut(metadata: Metadata, turn: Turn) -> None:
    """Names are cut to so many characters."""
    for section in _of(metadata, "TABLE"):
        for column in ("LongName", "ShortName", "StandardName"):
            at = section.columns.index(column)
            for entry in section.entries:
                entry[at] = entry[at][: turn["length"]]


@spoils_content(Metadata, 20, _METADATA, GENERIC_ONLY)
def metadata_lower_case(metadata: Metadata, _: Turn) -> None:
    """Tags and attributes are in lower case."""
    metadata.lower = True


@spoils_content(Metadata, 20, _METADATA, GENERIC_ONLY)
def metadata_fields_upper_case(metadata: Metadata, _: Turn) -> None:
    """Field names of entries are in capitals."""
    for section in metadata.sections:
        section.columns = [name.upper() for name in section.columns]


@spoils_content(Metadata, 20, _METADATA, GENERIC_ONLY)
def lookup_types_called_lookup(metadata: Metadata, _: Turn) -> None:
    """Entries of METADATA-LOOKUP_TYPE are called Lookup."""
    for section in _of(metadata, "LOOKUP_TYPE"):
        section.element = "Lookup"


@spoils_content(Metadata, 20, _METADATA, GENERIC_ONLY)
def lookups_called_lookup_type(metadata: Metadata, _: Turn) -> None:
    """Entries of METADATA-LOOKUP are called LookupType."""
    for section in _of(metadata, "LOOKUP"):
        section.element = "LookupType"


@spoils_content(Metadata, 20, _METADATA, GENERIC_ONLY)
def flags_as_letters(metadata: Metadata, _: Turn) -> None:
    """Flags are Y and N."""
    flags = ("Searchable", "Required", "Unique", "InKeyIndex", "ModTimeStamp", "UseSeparator")
    for section in _of(metadata, "TABLE"):
        for column in flags:
            at = section.columns.index(column)
            for entry in section.entries:
                entry[at] = "Y" if entry[at] == "1" else "N"


@spoils_content(
    Metadata, 20, _METADATA, GENERIC_ONLY, lookup="Status", value="Withdrawn, Temporarily", code="W"
)
def content_changed(metadata: Metadata, turn: Turn) -> None:
    """The content changes, Version and Date do not."""
    for section in _of(metadata, "LOOKUP_TYPE"):
        if section.place["Lookup"] == turn["lookup"]:
            text, code = turn["value"], turn["code"]
            section.entries.append([f"{turn['lookup']}-{code}", text, text, code])


@spoils_content(Metadata, 20, _METADATA, GENERIC_ONLY)
def version_changed(metadata: Metadata, _: Turn) -> None:
    """Version changes, the content does not."""
    metadata.version = "1.12.31"


@spoils_content(Metadata, 20, _METADATA, GENERIC_ONLY)
def wildcard_partial(metadata: Metadata, _: Turn) -> None:
    """A wildcard is answered for one place only."""
    del metadata.sections[1:]


@spoils_content(Metadata, 20, _METADATA, GENERIC_ONLY, lookup="Status")
def lookup_without_values(metadata: Metadata, turn: Turn) -> None:
    """A lookup has no values."""
    for section in _of(metadata, "LOOKUP_TYPE"):
        if section.place["Lookup"] == turn["lookup"]:
            section.entries.clear()


@spoils_content(Metadata, 20, _METADATA, GENERIC_ONLY, lookup="Status")
def lookup_code_twice(metadata: Metadata, turn: Turn) -> None:
    """A code stands for two values."""
    for section in _of(metadata, "LOOKUP_TYPE"):
        if section.place["Lookup"] == turn["lookup"]:
            first = section.entries[0]
            section.entries.append([f"{first[0]}-2", "Something else", "Something", first[-1]])


def _of(metadata: Metadata, kind: str) -> list[Section]:
    return [section for section in metadata.sections if section.kind == kind]
