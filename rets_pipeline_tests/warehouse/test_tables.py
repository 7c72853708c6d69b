"""The tables: names and comments that RESO knows, types that hold what they are given."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa

from rets_pipeline.warehouse import tables
from rets_pipeline.warehouse.types import UtcTimestamp

MIRRORED = [
    tables.property_,
    tables.property_rooms,
    tables.media,
    tables.open_house,
    tables.property_member,
    tables.member,
    tables.office,
    tables.other_phone,
    tables.social_media,
    tables.history_transactional,
    tables.geocode,
]
COLUMNS = [column for table in MIRRORED for column in table.columns]


def snake_case(name: str) -> str:
    """RESO's StandardName as a column is named: ``PreferredPhotoYN`` → ``preferred_photo_yn``."""
    name = name.replace("CoTenants", "Co_Tenants").replace("URL", "Url").replace("YN", "Yn")
    name = name.replace("AORKey", "AorKey").replace("ID", "Id")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def test_every_table_and_column_has_a_comment():
    for table in MIRRORED:
        assert table.comment
        for column in table.columns:
            assert column.comment, f"{table.name}.{column.name}"


@pytest.mark.parametrize("column", COLUMNS, ids=str)
def test_a_column_is_named_as_its_comment_says(column):
    name = column.comment.partition(";")[0]
    if name.startswith(("DDF: ", "rets_pipeline: ")):
        return
    assert column.name == snake_case(name.removeprefix("DDF Web API: "))


def test_the_tables_of_a_listing_have_its_key():
    for name in tables.LISTING_TABLES:
        table = tables.metadata.tables[name]
        assert {"feed", "listing_key"} <= set(table.columns.keys())
        assert "feed" in table.primary_key.columns
        prefix = [["feed", "listing_key"]]
        keys = [[c.name for c in table.primary_key][:2]]
        indexes = [[c.name for c in index.columns][:2] for index in table.indexes]
        assert prefix[0] in keys + indexes, "its rows must be found by the listing's key"


def test_columns_that_are_not_compared_exist():
    for name, columns in tables.UNCOMPARED_COLUMNS.items():
        assert columns <= set(tables.metadata.tables[name].columns.keys())


def test_measures_have_units_and_money_has_cents():
    for column in COLUMNS:
        if (
            isinstance(column.type, sa.Numeric)
            and column.type.scale == 2
            and column.name != "stories"
        ):
            assert column.type.precision == 14
    assert isinstance(tables.property_.c.modification_timestamp.type, UtcTimestamp)
    assert isinstance(tables.open_house.c.open_house_start_time.type, UtcTimestamp)


@pytest.mark.parametrize("database", ["sqlite_url", "postgres_url"])
def test_values_come_back_as_they_went(database, request):
    engine = sa.create_engine(request.getfixturevalue(database))
    row = {
        "feed": "f",
        "listing_key": "1",
        "list_price": Decimal("999999999999.99"),
        "latitude": Decimal("49.88765430"),
        "living_area": Decimal("2732.1667"),
        "stories": Decimal("1.50"),
        "modification_timestamp": datetime(2024, 3, 13, 14, 33, 2, tzinfo=UTC),
        "listing_contract_date": date(2024, 3, 8),
        "fireplace_yn": True,
        "acreage": None,
        "appliances": ["Four, à gaz", "Hotte"],
        "heating": None,
        "source_fields": {"A": [{"@b": "ç"}, "d"]},
        "bedrooms_total": 2**31 - 1,
    }
    event = {
        "feed": "f",
        "listing_key": "1",
        "open_house_key": "1_1",
        "open_house_date": date(2024, 3, 17),
        "open_house_start_local": datetime(2024, 3, 17, 14),
    }
    try:
        tables.metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(tables.property_.insert(), [row])
            connection.execute(tables.open_house.insert(), [event])
            nulls = sa.select(sa.func.count()).where(tables.property_.c.heating.is_(sa.null()))
            assert connection.execute(nulls).scalar_one() == 1
            for table, expected in ((tables.property_, row), (tables.open_house, event)):
                found = connection.execute(sa.select(table)).mappings().one()
                assert {name: found[name] for name in expected} == expected
    finally:
        engine.dispose()
