"""Members and offices in a warehouse, compared with the sandbox's own account of the truth.

What belongs here: that comparison. What does not: tests, and driving either side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from rets_pipeline.warehouse import tables
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.warehouse.resources import MEMBERS, OTHERS, Resource
from rets_pipeline_tests.warehouse.databases import rows

Truth = Mapping[str, Mapping[str, Any]]
Facts = dict[str, Any]


def assert_equal_people(warehouse: Warehouse, feed: str, truth: Truth) -> None:
    """Every agent and office, with phones and websites, is as its own search has it."""
    for resource in OTHERS:
        told = _told_of_member if resource is MEMBERS else _told_of_office
        expected = {key: told(facts) for key, facts in truth[resource.kind].items()}
        assert held(warehouse, feed, resource) == expected


def held(warehouse: Warehouse, feed: str, resource: Resource) -> dict[str, Facts]:
    """What the warehouse holds of members or offices by their own search."""
    phone, site = tables.other_phone, tables.social_media
    phones = _by_key(
        warehouse, feed, resource, phone, phone.c.other_phone_type, phone.c.other_phone_number
    )
    websites = _by_key(
        warehouse, feed, resource, site, site.c.social_media_type, site.c.social_media_url_or_id
    )
    ledger, table = resource.ledger, resource.table
    books = {
        row.resource_record_key: row
        for row in rows(warehouse, sa.select(ledger).where(resource.rows_in(ledger, feed)))
    }
    facts: Callable[[Any], Facts] = _of_member if resource is MEMBERS else _of_office
    found = {}
    for row in rows(warehouse, sa.select(table).where(resource.rows_in(table, feed))):
        key = row._mapping[resource.key]
        found[key] = {
            **facts(row),
            "updated": books[key].payload_timestamp,
            "state": books[key].state,
            "phones": phones.get(key, []),
            "websites": websites.get(key, []),
        }
    assert books.keys() == found.keys()
    return found


def _by_key(
    warehouse: Warehouse, feed: str, resource: Resource, table: sa.Table, *columns: Any
) -> dict[str, list[tuple[Any, ...]]]:
    query = (
        sa.select(table.c.resource_record_key, *columns)
        .where(resource.rows_in(table, feed))
        .order_by(table.c.order)
    )
    found: dict[str, list[tuple[Any, ...]]] = {}
    for key, *values in rows(warehouse, query):
        found.setdefault(key, []).append(tuple(values))
    return found


def _of_member(row: Any) -> Facts:
    return {
        "name": row.member_full_name,
        "position": row.job_title,
        "office": row.office_key,
        "designations": row.member_designation or [],
        "languages": row.member_languages or [],
        "specialties": row.specialties or [],
        "areas": row.trading_areas or [],
        "education": row.education_credentials or [],
        "city": row.member_city,
        "postal_code": row.member_postal_code,
        "photo": row.photo_url and urlsplit(row.photo_url).path,
    }


def _told_of_member(told: Mapping[str, Any]) -> Facts:
    return {
        "name": told["name"],
        "position": told["position"],
        "office": told["office"],
        "designations": told["designations"],
        "languages": told["languages"],
        "specialties": told["specialties"],
        "areas": told["trading_areas"],
        "education": told["education"],
        "city": told["address"]["city"],
        "postal_code": told["address"]["postal_code"],
        "photo": told["photo"] and told["photo"]["paths"]["large"],
        **_told(told),
    }


def _of_office(row: Any) -> Facts:
    return {
        "name": row.office_name,
        "type": row.office_type,
        "designation": row.designation,
        "franchisor": row.franchise_affiliation,
        "city": row.office_city,
        "postal_code": row.office_postal_code,
    }


def _told_of_office(told: Mapping[str, Any]) -> Facts:
    return {
        "name": told["name"],
        "type": told["organization_type"],
        "designation": told["designation"],
        "franchisor": told["franchisor"],
        "city": told["address"]["city"],
        "postal_code": told["address"]["postal_code"],
        **_told(told),
    }


def _told(told: Mapping[str, Any]) -> Facts:
    return {
        # DDF tells whole seconds.
        "updated": datetime.fromisoformat(told["last_updated"]).replace(microsecond=0),
        "state": "loaded",
        "phones": [(phone["kind"], phone["number"]) for phone in told["phones"]],
        "websites": [(site["kind"], site["url"]) for site in told["websites"]],
    }
