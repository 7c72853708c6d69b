"""A minimal METADATA answer in STANDARD-XML: system, resources, classes, lookups.

What belongs here: the metadata of what the sandbox serves. What does not: the values themselves
(``lookups``).
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from rets_pipeline.sandbox.lookups import RESOURCES, numbered

#: DDF: neither moves, whatever changes below them
VERSION = "1.00.00001"
DATE = "Fri, 29 Jun 2012 00:00:00 GMT"
_STAMP = f'Version="{VERSION}" Date="{DATE}"'


class MetadataError(Exception):
    """A request that has no answer.

    Args:
        code: the RETS reply code.
        text: its text.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def answer(arguments: Mapping[str, str]) -> str:
    """The content of the RETS element.

    Args:
        arguments: Type, ID and Format, names in lower case.

    Raises:
        MetadataError: with the reply code.
    """
    kind = arguments.get("type", "").upper()
    identity = arguments.get("id", "")
    if arguments.get("format", "STANDARD-XML").upper() != "STANDARD-XML":
        raise MetadataError(20513, "Miscellaneous error: only STANDARD-XML is served")
    writers = {
        "METADATA-SYSTEM": _system,
        "METADATA-RESOURCE": _resources,
        "METADATA-CLASS": _classes,
        "METADATA-LOOKUP_TYPE": _lookup_types,
    }
    if kind not in writers:
        raise MetadataError(20501, "Invalid Type")
    inside = writers[kind](identity)
    if not inside:
        raise MetadataError(20503, "No Metadata Found")
    return f"<METADATA>{inside}</METADATA>"


def _system(_: str) -> str:
    system = '<System SystemID="SANDBOX" SystemDescription="A sandbox like CREA\'s DDF" />'
    return f"<METADATA-SYSTEM {_STAMP}>{system}</METADATA-SYSTEM>"


def _resources(_: str) -> str:
    inside = "".join(
        f"<Resource><ResourceID>{name}</ResourceID><StandardName>{name}</StandardName>"
        f"<VisibleName>{name}</VisibleName><KeyField>ID</KeyField><ClassCount>1</ClassCount>"
        f"<ClassVersion>{VERSION}</ClassVersion><ClassDate>{DATE}</ClassDate></Resource>"
        for name in RESOURCES
    )
    return f"<METADATA-RESOURCE {_STAMP}>{inside}</METADATA-RESOURCE>"


def _classes(identity: str) -> str:
    return "".join(
        f'<METADATA-CLASS Resource="{name}" {_STAMP}><Class><ClassName>{name}</ClassName>'
        f"<StandardName>{name}</StandardName><VisibleName>{name}</VisibleName></Class>"
        "</METADATA-CLASS>"
        for name in RESOURCES
        if identity.split(":")[0] in ("", "*", "0", name)
    )


def _lookup_types(identity: str) -> str:
    resource, _, lookup = identity.partition(":")
    return "".join(
        _lookup(name, entry, values)
        for name, lookups in RESOURCES.items()
        if resource in ("", "*", "0", name)
        for entry, values in lookups.items()
        if lookup in ("", "*", "0", entry)
    )


def _lookup(resource: str, lookup: str, values: tuple[str, ...]) -> str:
    inside = "".join(
        f"<LookupType><MetadataEntryID>{number}</MetadataEntryID><LongValue>{text}</LongValue>"
        f"<ShortValue>{text}</ShortValue><Value>{number}</Value></LookupType>"
        for number, value in numbered(lookup, values)
        for text in (escape(value, quote=False),)
    )
    head = f'<METADATA-LOOKUP_TYPE Resource="{resource}" Lookup="{lookup}" {_STAMP}>'
    return f"{head}{inside}</METADATA-LOOKUP_TYPE>"
