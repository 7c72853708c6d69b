"""What records of every resource have in common: a key, phones, websites, a way to be refused.

What belongs here: what listings (``parse``) and people (``people``) both need of a record. What
does not: which rows a resource has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lxml import etree

from rets_pipeline.sources.base import Problem, Row
from rets_pipeline.sources.ddf import mapping
from rets_pipeline.sources.ddf.engine import Item, Rest, add_rest, attribute
from rets_pipeline.sources.ddf.queries import is_key

_RAW_LIMIT = 1_000_000  # characters of a record kept in the quarantine


def record_key(attributes: Mapping[str, str]) -> str | None:
    """The key in a record's attributes; None when it is missing or unusable."""
    key = attribute(attributes, "id").strip()
    return key if is_key(key) else None


def refusal(record: Any, reason: str) -> tuple[str | None, Problem]:
    """Of a record that cannot become rows: its key, if that can be read, and the problem.

    Args:
        record: an ``lxml`` element, or whatever came in its place.
        reason: what is wrong, said of "the record".
    """
    key = None
    try:
        raw = etree.tostring(record, encoding="unicode", with_tail=False)
        key = record_key(record.attrib)
    except Exception:
        raw = repr(record)
    return key, Problem("", f"the record {reason}", raw[:_RAW_LIMIT])


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
