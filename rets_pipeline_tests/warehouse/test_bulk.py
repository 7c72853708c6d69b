"""Many rows at once: what goes in comes out, on both databases."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rets_pipeline.warehouse import bulk, ledgers, tables
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.warehouse.builders import at
from rets_pipeline_tests.warehouse.databases import rows

IN_FIXTURES = [HealthCheck.function_scoped_fixture]
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "public_remarks": TEXTS | st.sampled_from(["\\N", "\\", "\t", "a\nb", "\\.", '"', ""]),
            "source_fields": DOCUMENTS,
            "bedrooms_total": st.none() | st.integers(-(2**31), 2**31 - 1),
            "list_price": st.none() | st.decimals(0, 10**9, places=2),
            "fireplace_yn": st.none() | st.booleans(),
        }
    ),
    min_size=1,
    max_size=5,
)


def _round_trip(warehouse: Warehouse, made: list[dict[str, Any]]) -> None:
    table = tables.property_
    given_rows = [
        {"feed": "f", "listing_key": f"k{number}", **row} for number, row in enumerate(made)
    ]
    with warehouse.engine.connect() as connection, connection.begin() as transaction:
        bulk.insert(connection, table, given_rows)
        found = connection.execute(sa.select(table).order_by(table.c.listing_key)).mappings().all()
        nulls = connection.execute(
            sa.select(sa.func.count()).where(table.c.source_fields.is_(sa.null()))
        ).scalar_one()
        transaction.rollback()
    assert [{name: row[name] for name in given_rows[0]} for row in found] == given_rows
    assert nulls == sum(row["source_fields"] is None for row in given_rows)


@given(made=ROWS)
@settings(max_examples=40, deadline=None, suppress_health_check=IN_FIXTURES)
def test_what_goes_in_comes_out_of_sqlite(
    sqlite_warehouse: Warehouse, made: list[dict[str, Any]]
) -> None:
    _round_trip(sqlite_warehouse, made)


@given(made=ROWS)
@settings(max_examples=40, deadline=None, suppress_health_check=IN_FIXTURES)
def test_what_goes_in_comes_out_of_postgres(
    postgres_warehouse: Warehouse, made: list[dict[str, Any]]
) -> None:
    _round_trip(postgres_warehouse, made)


def test_moments_days_and_local_times(warehouse: Warehouse) -> None:
    eastern = timezone(timedelta(hours=-5))
    with warehouse.writing() as connection:
        bulk.insert(
            connection,
            tables.open_house,
            [
                {
                    "feed": "f",
                    "listing_key": "1",
                    "open_house_key": "1_1",
                    "open_house_date": date(2026, 3, 8),
                    "open_house_start_local": datetime(2026, 3, 8, 2, 30),
                }
            ],
        )
        bulk.insert(
            connection,
            tables.property_,
            [
                {
                    "feed": "f",
                    "listing_key": "1",
                    "modification_timestamp": datetime(2026, 3, 7, 23, 30, 0, 1, tzinfo=eastern),
                    "list_price": Decimal("0.10"),
                }
            ],
        )
    (event,) = rows(warehouse, sa.select(tables.open_house))
    (listing,) = rows(warehouse, sa.select(tables.property_))
    assert event.open_house_date == date(2026, 3, 8)
    assert event.open_house_start_local == datetime(2026, 3, 8, 2, 30)
    assert listing.modification_timestamp == datetime(2026, 3, 8, 4, 30, 0, 1, tzinfo=UTC)
    assert listing.list_price == Decimal("0.10")


def test_rows_may_lack_columns(warehouse: Warehouse) -> None:
    with warehouse.writing() as connection:
        bulk.insert(connection, tables.property_, [])
        bulk.insert(
            connection,
            tables.property_,
            [
                {"feed": "f", "listing_key": "1", "city": "Kelowna"},
                {"feed": "f", "listing_key": "2", "zoning": "R1"},
            ],
        )
    found = rows(warehouse, sa.select(tables.property_).order_by("listing_key"))
    assert [(row.city, row.zoning) for row in found] == [("Kelowna", None), (None, "R1")]


def test_a_column_that_is_not_there_is_not_lost_in_silence(warehouse: Warehouse) -> None:
    with warehouse.writing() as connection, pytest.raises(KeyError, match="no column colour"):
        bulk.insert(connection, tables.property_, [{"feed": "f", "listing_key": "1", "colour": 1}])


def test_more_rows_than_a_statement_takes_parameters(warehouse: Warehouse) -> None:
    made = ((f"k{number}", at(number)) for number in range(20_000))
    table = ledgers.tombstone
    with warehouse.writing() as connection:
        bulk.copy(
            connection,
            table,
            ("feed", "listing_key", "master_pull_id", "gone_at"),
            (("f", key, "m", moment) for key, moment in made),
        )
        count, last = connection.execute(
            sa.select(sa.func.count(), sa.func.max(table.c.gone_at))
        ).one()
    assert (count, last) == (20_000, at(19_999))


def test_upsert_changes_the_named_columns_only(warehouse: Warehouse) -> None:
    table = tables.office
    with warehouse.writing() as connection:
        row = {"feed": "f", "office_key": "1", "observed_in": "Property"}
        bulk.insert(connection, table, [{**row, "office_name": "Old", "office_city": "Kelowna"}])
        bulk.upsert(connection, table, [])
        bulk.upsert(
            connection,
            table,
            [{**row, "office_name": "New"}, {**row, "office_key": "2", "office_name": "Other"}],
        )
    found = rows(warehouse, sa.select(table).order_by("office_key"))
    assert [(row.office_name, row.office_city) for row in found] == [
        ("New", "Kelowna"),
        ("Other", None),
    ]


def test_upsert_leaves_what_is_newer(warehouse: Warehouse) -> None:
    table = tables.office

    def put(*given_rows: tuple[str, str, str]) -> None:
        with warehouse.writing() as connection:
            bulk.upsert(
                connection,
                table,
                [
                    {
                        "feed": "f",
                        "office_key": key,
                        "observed_in": "Property",
                        "pull_id": pull,
                        "office_name": name,
                    }
                    for key, pull, name in given_rows
                ],
                unless_newer="pull_id",
            )

    put(("1", "b", "second"), ("2", "b", "second"))
    put(("1", "a", "first"), ("2", "c", "third"))
    put(("1", "b", "second again"))
    found = {row.office_key: row.office_name for row in rows(warehouse, sa.select(table))}
    assert found == {"1": "second again", "2": "third"}


@pytest.mark.parametrize(
    "bad",
    [
        {"public_remarks": "a\x00b"},
        {"source_fields": {"a": "\x00"}},
        {"bedrooms_total": 2**31},
        {"list_price": Decimal(10) ** 15},
        {"listing_key": None},
    ],
    ids=lambda row: next(iter(row)),
)
def test_what_postgres_refuses_is_an_error_of_sqlalchemys(
    postgres_warehouse: Warehouse, bad: dict[str, Any]
) -> None:
    """COPY goes past SQLAlchemy; whoever catches its errors must catch these."""
    with postgres_warehouse.writing() as connection:
        with pytest.raises((sa.exc.DataError, sa.exc.IntegrityError)), connection.begin_nested():
            bulk.insert(connection, tables.property_, [{"feed": "f", "listing_key": "1", **bad}])
        bulk.insert(connection, tables.property_, [{"feed": "f", "listing_key": "2"}])
    assert len(rows(postgres_warehouse, sa.select(tables.property_))) == 1


def test_the_same_key_twice_is_an_integrity_error(warehouse: Warehouse) -> None:
    with warehouse.writing() as connection:
        with pytest.raises(sa.exc.IntegrityError), connection.begin_nested():
            bulk.insert(connection, tables.property_, [{"feed": "f", "listing_key": "1"}] * 2)
        bulk.insert(connection, tables.property_, [{"feed": "f", "listing_key": "2"}])
    assert len(rows(warehouse, sa.select(tables.property_))) == 1


def test_a_connection_that_dies_during_copy(postgres_warehouse: Warehouse) -> None:
    with postgres_warehouse.engine.connect() as connection:
        process = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]

        def dying() -> Any:
            yield ("f", "1")
            with postgres_warehouse.engine.connect() as other:
                other.execute(sa.text(f"SELECT pg_terminate_backend({process})"))
            for number in range(200_000):
                yield ("f", str(number))

        with pytest.raises(sa.exc.DBAPIError) as caught, connection.begin():
            bulk.copy(connection, tables.property_, ("feed", "listing_key"), dying())
        assert caught.value.connection_invalidated
    assert rows(postgres_warehouse, sa.select(tables.property_)) == []


def test_a_fault_of_the_stream_itself_passes_as_it_is(warehouse: Warehouse) -> None:
    class Fault(Exception):
        pass

    def stream() -> Any:
        yield ("f", "1")
        raise Fault

    with warehouse.writing() as connection:
        with pytest.raises(Fault), connection.begin_nested():
            bulk.copy(connection, tables.property_, ("feed", "listing_key"), stream())
        assert connection.execute(sa.select(tables.property_)).all() == []
