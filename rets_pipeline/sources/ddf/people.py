"""One record of the Agent or the Office search as rows of the warehouse.

What belongs here: how the rows of an agent, and of an office, belong together. What does not:
agents and offices inside a listing (``parse``), single values (``mapping``, ``values``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lxml import etree

from rets_pipeline.sources.base import ParsedRecord, Problem, UnparsedRecord
from rets_pipeline.sources.ddf import mapping
from rets_pipeline.sources.ddf.engine import Engine, Item, local_name
from rets_pipeline.sources.ddf.hashing import content_hash
from rets_pipeline.sources.ddf.queries import detail_record, is_key
from rets_pipeline.sources.ddf.records import contacts, refusal
from rets_pipeline.sources.ddf.values import ConversionError, utc_timestamp

_AGENTS = Engine(mapping.AGENT)
_OFFICES = Engine(mapping.OFFICE)


def parse_member(record: Any) -> ParsedRecord | UnparsedRecord:
    """An ``AgentDetails`` element of the Agent search as rows.

    The office inside it gives ``office_key``; its other content stays in the agent's
    ``source_fields``, because the Office search alone tells of offices.

    Args:
        record: an ``lxml`` element. It is not changed.
    """
    return _parse(record, "Agent", _member)


def parse_office(record: Any) -> ParsedRecord | UnparsedRecord:
    """An ``OfficeDetails`` element of the Office search as rows.

    Args:
        record: an ``lxml`` element. It is not changed.
    """
    return _parse(record, "Office", _office)


def _parse(
    record: Any, resource: str, read: Callable[[Any], tuple[str, str, Item, list[Problem]]]
) -> ParsedRecord | UnparsedRecord:
    try:
        name, expected = local_name(record.tag), detail_record(resource)
        if name.lower() != expected.lower():
            return _unparsed(record, f"is a {name or 'comment'}, not an {expected}")
        return _parsed(record, *read(record))
    except Exception as error:
        # One record must never end a load of many; the quarantine shows what came.
        return _unparsed(record, f"cannot be read ({type(error).__name__})")


def _member(record: Any) -> tuple[str, str, Item, list[Problem]]:
    return "member", "Member", *_AGENTS.read(record)


def _office(record: Any) -> tuple[str, str, Item, list[Problem]]:
    item, problems = _OFFICES.read(record)
    row = item.row
    # DDF documents the date inside the logo, and sends it beside it, or under another name.
    for path in mapping.LOGO_MOMENTS:
        text = (row["uncompared_fields"] or {}).get(path)
        if row["logo_last_updated"] is None and isinstance(text, str):
            row["logo_last_updated"] = _moment(path, text, problems)
    return "office", "Office", item, problems


def _moment(path: str, text: str, problems: list[Problem]) -> Any:
    try:
        return utc_timestamp(text)
    except ConversionError as error:
        problems.append(Problem(path, str(error), text))
        return None


def _parsed(
    record: Any, table: str, resource_name: str, item: Item, problems: list[Problem]
) -> ParsedRecord | UnparsedRecord:
    row = item.row
    key = row[f"{table}_key"]
    if key is None or not is_key(key):
        return _unparsed(record, "has no usable ID")
    phones, websites, row["source_fields"] = contacts(item, resource_name, key, item.rest)
    row["observed_in"] = resource_name
    return ParsedRecord(
        key=key,
        payload_timestamp=row["modification_timestamp"],
        content_hash=content_hash(etree.tostring(record, with_tail=False)),
        rows={table: [row], "other_phone": phones, "social_media": websites},
        problems=problems,
    )


def _unparsed(record: Any, reason: str) -> UnparsedRecord:
    return UnparsedRecord(*refusal(record, reason))
