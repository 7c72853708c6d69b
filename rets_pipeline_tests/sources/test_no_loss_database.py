"""Nothing of a payload is lost on its way into a real database."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from rets_pipeline.sources.base import ParsedListing, ParsedRecord
from rets_pipeline.sources.ddf import DdfSource
from rets_pipeline.sources.ddf.people import parse_member, parse_office
from rets_pipeline.warehouse import bulk, ledgers, tables
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.sources import payloads
from rets_pipeline_tests.sources.documented import Maker, leaves
from rets_pipeline_tests.sources.test_no_loss import decorate
from rets_pipeline_tests.sources.test_people import AGENT, OFFICE
from rets_pipeline_tests.warehouse.builders import FEED, apply, pull_at
from rets_pipeline_tests.warehouse.databases import (  # noqa: F401
    postgres_warehouse,
    postgres_warehouse_url,
    postgres_with_tables,
    rows,
    sqlite_template,
    sqlite_warehouse,
    sqlite_warehouse_url,
    warehouse,
    warehouse_url,
)

MIRRORED = (*tables.LISTING_TABLES, "member", "office", "other_phone", "social_media")
PEOPLE = {"AgentDetails": parse_member, "OfficeDetails": parse_office}

# The fixtures stand among the imports, and tests name them as parameters.
# ruff: noqa: F811


class Loader:
    """Records into a warehouse, one pull after the other."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self._minutes = itertools.count()

    def load(self, record: Any) -> ParsedListing | ParsedRecord:
        if record.tag in PEOPLE:
            return self._person(PEOPLE[record.tag](record))
        result = DdfSource().parse(record)
        assert isinstance(result, ParsedListing)
        counts = apply(self.warehouse, pull_at(self.warehouse, next(self._minutes)), [result])
        assert counts.new + counts.changed == 1
        assert counts.value_problems == len(result.problems)
        return result

    def _person(self, result: Any) -> ParsedRecord:
        assert isinstance(result, ParsedRecord)
        with self.warehouse.writing() as connection:
            for name, some in result.rows.items():
                table = tables.named(name)
                whole = [{column: row.get(column) for column in table.c.keys()} for row in some]  # noqa: SIM118
                bulk.upsert(connection, table, [{**row, "feed": FEED} for row in whole])
        return result

    def found(self) -> Counter[str]:
        """How often each value stands in the tables."""
        cells = (
            cell
            for name in MIRRORED
            for row in rows(self.warehouse, sa.select(tables.named(name)))
            for cell in row
        )
        return Counter(text for cell in cells for text in leaves(cell))


def quarantined(warehouse: Warehouse) -> set[str]:
    return {row.field for row in rows(warehouse, sa.select(ledgers.quarantine))}


@pytest.mark.parametrize("name", ["PropertyDetails", "AgentDetails", "OfficeDetails"])
def test_every_documented_value_is_found_again(warehouse: Warehouse, name: str) -> None:
    maker = Maker()
    loader = Loader(warehouse)
    result = loader.load(maker.record(name))
    assert result.problems == []
    found = loader.found()
    assert [token for token in maker.tokens if token not in found] == []
    assert len(maker.tokens) == len(set(maker.tokens))
    least = {"PropertyDetails": 400, "AgentDetails": 75, "OfficeDetails": 40}
    assert len(maker.tokens) > least[name]


@pytest.mark.parametrize("name", ["PropertyDetails", "AgentDetails", "OfficeDetails"])
def test_every_documented_value_that_does_not_convert_is_found_again(
    warehouse: Warehouse, name: str
) -> None:
    maker = Maker(valid=False)
    loader = Loader(warehouse)
    result = loader.load(maker.record(name))
    found = loader.found()
    assert [token for token in maker.tokens if token not in found] == []
    assert {problem.field for problem in result.problems} == maker.typed
    if name == "PropertyDetails":
        assert quarantined(warehouse) == maker.typed
        assert len(maker.typed) == 45


def test_every_boolean_has_a_column_of_its_own(warehouse: Warehouse) -> None:
    loader = Loader(warehouse)
    true: list[str] = []
    for path in ("Business/Franchise", "Building/FireplacePresent", "Land/Acreage",
                 "Land/Divisible"):  # fmt: skip
        for text in ("True", "true"):
            record = Maker().record("PropertyDetails")
            for element in record.iter("Franchise", "FireplacePresent", "Acreage", "Divisible"):
                element.text = "False"
            record.find(path).text = text
            record.set("ID", f"{len(true)}")
            loader.load(record)
            (row,) = rows(
                warehouse,
                sa.select(tables.property_).where(tables.property_.c.listing_key == str(len(true))),
            )
            true += [
                column.name
                for column, cell in zip(tables.property_.columns, row, strict=True)
                if cell is True
            ]
    assert len(true) == 8
    assert len(set(true)) == 4


RECORDS = {
    "PropertyDetails": lambda: payloads.listing(namespace=False),
    "AgentDetails": lambda: AGENT,
    "OfficeDetails": lambda: OFFICE,
}


@pytest.mark.parametrize("name", RECORDS)
def test_what_nobody_has_ever_seen_is_found_again(warehouse: Warehouse, name: str) -> None:
    loader = Loader(warehouse)
    numbers = itertools.count()

    @settings(max_examples=40, deadline=None)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        record = payloads.element(RECORDS[name]())
        # Never the same token twice, so that no earlier example's row can answer for this one's.
        tokens = (f"token{number:05x}ç" for number in numbers)
        placed = decorate(record, data, tokens)
        loader.load(record)
        found = " ".join(loader.found())
        assert [token for token in placed if token not in found] == []

    check()
