"""Members and offices of their own searches as rows, small and invented.

What belongs here: what a parser would hand over, and pulls to hand it over by. What does not: XML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from rets_pipeline.sources.base import ParsedRecord, Problem
from rets_pipeline.warehouse import deletion, pulls
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.load import Counts, Refused
from rets_pipeline.warehouse.load_records import RecordLoad
from rets_pipeline.warehouse.pulls import Pull
from rets_pipeline.warehouse.resources import MEMBERS, Kind, Resource
from rets_pipeline_tests.warehouse.builders import FEED, START, at, holding, phone
from rets_pipeline_tests.warehouse.databases import rows


def person(
    key: str,
    content: str = "first",
    resource: Resource = MEMBERS,
    *,
    phones: int = 1,
    timestamp: datetime | None = START,
    problems: Sequence[Problem] = (),
    **columns: Any,
) -> ParsedRecord:
    """A member or an office; its content is in its name, its city and its phones."""
    name = "member_full_name" if resource is MEMBERS else "office_name"
    city = "member_city" if resource is MEMBERS else "office_city"
    row = {resource.key: key, name: content, city: f"{content} city", **columns}
    return ParsedRecord(
        key=key,
        payload_timestamp=timestamp,
        content_hash=f"hash of {content}",
        rows={
            resource.table.name: [{**row, "observed_in": resource.name}],
            "other_phone": [
                phone(resource.name, key, f"{content} {number}", number)
                for number in range(1, phones + 1)
            ],
            "social_media": [
                {
                    "resource_name": resource.name,
                    "resource_record_key": key,
                    "order": 1,
                    "social_media_url_or_id": f"https://{content}.example.com",
                }
            ],
        },
        problems=list(problems),
    )


def pull_of(warehouse: Warehouse, minutes: float, kind: Kind = "members") -> Pull:
    """A complete pull that was requested then, committed."""
    with warehouse.writing() as connection:
        pull = pulls.begin(connection, FEED, kind, prefix=f"raw/{FEED}/{kind}", now=at(minutes))
        pulls.complete(connection, pull, records=0, size=0, requests=1)
    return pull


def apply(
    warehouse: Warehouse,
    pull: Pull,
    records: Sequence[ParsedRecord],
    resource: Resource = MEMBERS,
    *,
    asked: Mapping[str, datetime | None] | None = None,
    refused: Sequence[Refused] = (),
    replay: bool = False,
    now: datetime | None = None,
) -> Counts:
    """Load a pull in a transaction of its own."""
    if asked is None:
        asked = {item.key: item.payload_timestamp for item in records}
    with warehouse.writing() as connection:
        load = RecordLoad(
            connection, pull, resource, dict(asked), replay=replay, now=now or pull.requested_at
        )
        load.batch(records, refused)
        return load.finish()


def remove(
    warehouse: Warehouse, master: Pull, keys: Sequence[str], resource: Resource = MEMBERS
) -> int:
    """Delete what a master list of those keys lacks."""
    with (
        warehouse.writing() as connection,
        holding(connection, [(key, START) for key in keys]),
    ):
        return deletion.remove(connection, master, resource)


def names(warehouse: Warehouse, resource: Resource = MEMBERS) -> dict[str, str]:
    """What is held, from wherever it came."""
    table = resource.table
    name = table.c.member_full_name if resource is MEMBERS else table.c.office_name
    found = rows(warehouse, sa.select(table.c[resource.key], name).where(table.c.feed == FEED))
    return {row[0]: row[1] for row in found}


def ledger(warehouse: Warehouse, resource: Resource = MEMBERS) -> dict[str, sa.Row[Any]]:
    """What the ledger says, by key."""
    table = resource.ledger
    found = rows(warehouse, sa.select(table).where(resource.rows_in(table, FEED)))
    return {row.resource_record_key: row for row in found}
