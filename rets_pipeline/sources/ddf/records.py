"""What records of every resource have in common: a key, phones, websites, a way to be refused.

What belongs here: what listings (``parse``) and people (``people``) both need of a record. What
does not: which rows a resource has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lxml import etree

from rets_pipeline.sources.base import Problem, RecordHead, Row
from rets_pipeline.sources.ddf import mapping
from rets_pipeline.sources.ddf.engine import Item, Rest, add_rest, attribute, name_and_attributes
from rets_pipeline.sources.ddf.hashing import content_hash, without_ticks
from rets_pipeline.sources.ddf.queries import is_key
from rets_pipeline.sources.ddf.values import ConversionError, change_token, utc_timestamp
from rets_pipeline.sources.plain import NotPlain, plain

#: how DDF begins a record
_PLAIN_HEAD = re.compile(rb'<\w+ ID="([0-9]{1,18})" LastUpdated="([^"&]{1,40})">')
_RAW_LIMIT = 1_000_000  # characters of a record kept in the quarantine


def record_key(attributes: Mapping[str, str]) -> str | None:
    """The key in a record's attributes; None when it is missing or unusable."""
    key = attribute(attributes, "id").strip()
    return key if is_key(key) else None


def record_head(record: bytes) -> RecordHead:
    """What is known of a record without reading it."""
    match = _PLAIN_HEAD.match(record)
    if match is not None:
        key: str | None = match[1].decode()
        text = match[2].decode()
    else:
        try:
            attributes = dict(name_and_attributes(record)[1])
        except NotPlain:
            attributes = {}
        key, text = record_key(attributes), attribute(attributes, "lastupdated").strip()
    try:
        moment = utc_timestamp(text)
    except ConversionError:
        moment = None
    return RecordHead(key, moment, content_hash(record))


def as_plain(record: Any) -> bytes:
    """The record in plain form, if it is an element."""
    return record if isinstance(record, bytes) else plain(record)


def refusal(record: Any, reason: str) -> tuple[str | None, Problem]:
    """Of a record that cannot become rows: its key, if that can be read, and the problem.

    Args:
        record: its bytes, an ``lxml`` element, or whatever came in its place.
        reason: what is wrong, said of "the record".
    """
    key = None
    try:
        if isinstance(record, bytes):
            raw, key = record.decode(errors="replace"), record_head(record).key
        else:
            raw = etree.tostring(record, encoding="unicode", with_tail=False)
            key = record_key(record.attrib)
    except Exception:
        raw = repr(record)
    return key, Problem("", f"the record {reason}", raw[:_RAW_LIMIT])


def portrait_token(row: Row) -> str | None:
    """What changes when an agent's photo does; None without an address."""
    url, moment = row["photo_url"] or row["photo_thumbnail_url"], row["photo_last_updated"]
    return change_token(url, moment and moment.isoformat()) if url else None


def logo_token(row: Row) -> str | None:
    """What changes when an office's logo does; None without an address.

    The number in the address follows other dates. The logo's own date is known from the office's
    own search; without it, another logo behind the same address cannot be told.
    """
    url, moment = row["logo_url"], row["logo_last_updated"]
    if url is None:
        return None
    plain_url = without_ticks(url)
    return plain_url if moment is None else f"{plain_url} {moment.isoformat()}"


def contacts(
    item: Item, resource_name: str, key: str, rest: Rest | None
) -> tuple[list[Row], list[Row], Rest | None]:
    """The phones and websites of a member or an office, and ``rest`` with what they left over."""
    found: list[list[Row]] = []
    for group in (mapping.PHONE, mapping.WEBSITE):
        rows = []
        for order, inner in enumerate(item.items.get(group.path, ()), 1):
            row = inner.row
            row["resource_name"] = resource_name
            row["resource_record_key"] = key
            row["order"] = order
            rows.append(row)
            if inner.rest is not None:
                rest = add_rest(rest, group.path, inner.rest)
        found.append(rows)
    return found[0], found[1], rest
