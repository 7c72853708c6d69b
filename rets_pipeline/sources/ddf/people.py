"""One record of the Agent or the Office search as rows of the warehouse.

What belongs here: how the rows of an agent, and of an office, belong together. What does not:
agents and offices inside a listing (``parse``), single values (``mapping``, ``values``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rets_pipeline.sources.base import ParsedRecord, Problem, Row, UnparsedRecord
from rets_pipeline.sources.ddf import mapping
from rets_pipeline.sources.ddf.engine import Engine, Item
from rets_pipeline.sources.ddf.hashing import content_hash
from rets_pipeline.sources.ddf.queries import detail_record, is_key
from rets_pipeline.sources.ddf.records import (
    as_plain,
    contacts,
    logo_token,
    portrait_token,
    refusal,
)
from rets_pipeline.sources.ddf.values import ConversionError, utc_timestamp
from rets_pipeline.sources.plain import NotPlain

_AGENTS = Engine(mapping.AGENT)
_OFFICES = Engine(mapping.OFFICE)


def parse_member(record: Any, known_hash: str | None = None) -> ParsedRecord | UnparsedRecord:
    """An ``AgentDetails`` record of the Agent search as rows.

    The office inside it gives ``office_key``; its other content stays in the agent's
    ``source_fields``, because the Office search alone tells of offices.

    Args:
        record: its bytes, or an ``lxml`` element, which is not changed.
        known_hash: the hash of its content, when the caller has it.

    Raises:
        NotPlain: the bytes are for a parser first (``sources.plain``).
    """
    return _parse(record, "Agent", _member, known_hash)


def parse_office(record: Any, known_hash: str | None = None) -> ParsedRecord | UnparsedRecord:
    """An ``OfficeDetails`` record of the Office search as rows.

    Args:
        record: its bytes, or an ``lxml`` element, which is not changed.
        known_hash: the hash of its content, when the caller has it.

    Raises:
        NotPlain: the bytes are for a parser first (``sources.plain``).
    """
    return _parse(record, "Office", _office, known_hash)


def _parse(
    record: Any,
    resource: str,
    read: Callable[[bytes], tuple[str, str, Item, list[Problem]]],
    known_hash: str | None,
) -> ParsedRecord | UnparsedRecord:
    try:
        plain = as_plain(record)
        table, resource_name, item, problems = read(plain)
        expected = detail_record(resource)
        if item.name.lower() != expected.lower():
            return _unparsed(record, f"is a {item.name}, not an {expected}")
        key = item.row[f"{table}_key"]
        if key is None or not is_key(key):
            return _unparsed(record, "has no usable ID")
        rows = _rows(table, resource_name, key, item)
    except NotPlain:
        raise
    except Exception as error:
        # One record must never end a load of many; the quarantine shows what came.
        return _unparsed(record, f"cannot be read ({type(error).__name__})")
    return ParsedRecord(
        key=key,
        payload_timestamp=item.row["modification_timestamp"],
        content_hash=known_hash or content_hash(plain),
        rows=rows,
        problems=problems,
    )


def _member(record: bytes) -> tuple[str, str, Item, list[Problem]]:
    item, problems = _AGENTS.read(record)
    item.row["photo_change_token"] = portrait_token(item.row)
    return "member", "Member", item, problems


def _office(record: bytes) -> tuple[str, str, Item, list[Problem]]:
    item, problems = _OFFICES.read(record)
    row = item.row
    # DDF documents the date inside the logo, and sends it beside it, or under another name.
    for path in mapping.LOGO_MOMENTS:
        text = (row["uncompared_fields"] or {}).get(path)
        if row["logo_last_updated"] is None and isinstance(text, str):
            row["logo_last_updated"] = _moment(path, text, problems)
    row["logo_change_token"] = logo_token(row)
    return "office", "Office", item, problems


def _moment(path: str, text: str, problems: list[Problem]) -> Any:
    try:
        return utc_timestamp(text)
    except ConversionError as error:
        problems.append(Problem(path, str(error), text))
        return None


def _rows(table: str, resource_name: str, key: str, item: Item) -> dict[str, list[Row]]:
    row = item.row
    phones, websites, row["source_fields"] = contacts(item, resource_name, key, item.rest)
    row["observed_in"] = resource_name
    return {table: [row], "other_phone": phones, "social_media": websites}


def _unparsed(record: Any, reason: str) -> UnparsedRecord:
    return UnparsedRecord(*refusal(record, reason))
