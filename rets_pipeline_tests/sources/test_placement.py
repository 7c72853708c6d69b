"""Which element feeds which column: all of them, and none that nobody knows."""

import subprocess
import sys

import pytest

from rets_pipeline.sources.ddf import mapping, placement
from rets_pipeline.warehouse import tables
from rets_pipeline_tests.sources import documented

RECORDS = sorted(mapping.RECORDS)


@pytest.mark.parametrize("record", RECORDS)
def test_every_column_exists(record):
    for element in placement.elements(record):
        assert element.path == record or element.path.startswith(f"{record}/")
        for table, column in element.columns:
            assert column in tables.named(table).columns, element


@pytest.mark.parametrize("record", RECORDS)
def test_every_documented_element_is_there(record):
    known = {element.path.lower() for element in placement.elements(record)}
    assert {path.lower() for path, _ in documented.paths(record, record)} - known == set()


@pytest.mark.parametrize("record", RECORDS)
def test_every_element_is_there_once_and_feeds_something_or_becomes_a_row(record):
    elements = placement.elements(record)
    paths = [element.path for element in elements]
    assert len(set(paths)) == len(paths)
    rows = {path for path, _ in placement._groups(mapping.RECORDS[record], record)}
    assert {element.path for element in elements if not element.columns} <= rows


def test_every_sentence_on_a_derived_column_names_an_element():
    """But for those that tell of an order, or in which search or group a row was."""
    found = {
        (table, column)
        for record in RECORDS
        for _, table, column in placement._derived(
            list(placement._groups(mapping.RECORDS[record], record)),
            {element.path: None for element in placement.elements(record)},
        )
    }
    told = {
        (table, column)
        for table, columns in mapping.DERIVED.items()
        for column, text in columns.items()
        if not text.startswith(("always", "nothing", "Property or", "true"))
    }
    assert told - found == {
        ("open_house", "open_house_type"),
        ("other_phone", "order"),
        ("other_phone", "resource_name"),
        ("social_media", "order"),
        ("social_media", "resource_name"),
    }


@pytest.mark.parametrize(
    ("record", "path", "columns"),
    [
        ("PropertyDetails", "Address/City", {("property", "city")}),
        ("PropertyDetails", "AnalyticsClick", {("property", "source_fields")}),
        ("PropertyDetails", "Building/Rooms/Room/Type", {("property_rooms", "room_type")}),
        ("PropertyDetails", "Lease", {("property", "lease_amount"), ("property", "list_price")}),
    ],
)
def test_some_that_everybody_knows(record, path, columns):
    (found,) = [one for one in placement.elements(record) if one.path == f"{record}/{path}"]
    assert columns <= set(found.columns)


def test_lookups_are_named_as_the_server_names_them():
    named = {one.path: one.lookup for one in placement.elements("PropertyDetails") if one.lookup}
    assert named
    assert all(one.columns for one in placement.elements("PropertyDetails") if one.lookup)


def test_the_order_is_the_same_in_every_process():
    """What the UI shows, and compares, must not change from one start to the next."""
    code = (
        "from rets_pipeline.sources.ddf import mapping, placement\n"
        "print([placement.elements(record) for record in mapping.RECORDS])"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0]
    assert told[0] == told[1]
