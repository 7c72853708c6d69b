"""``rets-pipeline mapping``: the table is whole, and docs/mapping-ddf.md is it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rets_pipeline.cli import app
from rets_pipeline.commands import mapping as command
from rets_pipeline.sources.ddf import mapping as ddf
from rets_pipeline.warehouse import tables
from rets_pipeline_tests.sources import documented
from rets_pipeline_tests.warehouse.test_tables import snake_case

DOCUMENT = Path(__file__).parents[2] / "docs" / "mapping-ddf.md"
MIRRORED = (*tables.LISTING_TABLES, "member", "office", "other_phone", "social_media")
#: columns that the loader fills, and those for what has no column
LOADER = {"feed", "pull_id", "source_fields", "uncompared_fields"}
#: what a kind of value must be in the database
TYPES = {
    "key": {"text"},
    "text": {"text", "json"},
    "list": {"json"},
    "integer": {"integer", "json"},  # Parking/Spaces stands in a list
    "year": {"integer"},
    "amount": {"numeric(14,2)"},
    "measure": {"numeric(14,4)"},
    "degrees": {"numeric(13,8)"},
    "stories": {"numeric(6,2)"},
    "boolean": {"boolean"},
    "day": {"date"},
    "local": {"timestamp"},
    "moment": {"timestamptz", "json"},  # the dates inside an office's logo are kept as they came
}
#: documented, and without a column: scripts of a service that ended, a date that was never sent,
#: parts of people's addresses beyond the six that are sent, an office inside an agent
WITHOUT_COLUMN = re.compile(
    r"PropertyDetails/Analytics\w+"
    r"|PropertyDetails/AgentDetails/@LastUpdated"
    r"|.*(Details|Office)/Address/(Street(Number|Name|Suffix|Direction\w+)|UnitNumber|BoxNumber"
    r"|AdditionalStreetInfo|CommunityName|Neighbourhood|Subdivision|Latitude|Longitude)"
    r"|AgentDetails/Office/.*"
    r"|.*Office/(@LastUpdated|LogoLastUpdated|Logo/(Logo)?LastUpdated)"
    r"|OfficeDetails/Logo/(Logo)?LastUpdated"
)


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["mapping", "ddf", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("record", documented.RECORDS)
def test_every_documented_path_has_its_place(record: str) -> None:
    places: dict[str, list[command.Place]] = {}
    for place in command.places():
        places.setdefault(place.path.lower(), []).append(place)
    for path, kind in documented.paths(record, record):
        found = places.get(path.lower())
        assert found, f"{path} has no place"
        first = found[0]
        assert first.type in TYPES[kind], f"{path}: {kind} → {first.type}"
        own = first.column not in ("source_fields", "uncompared_fields")
        without = path.startswith("PropertyDetails/Address") or not WITHOUT_COLUMN.fullmatch(path)
        assert own is (without or path == "AgentDetails/Office/@ID"), f"{path} → {first.column}"


def test_no_two_paths_of_a_record_share_a_column() -> None:
    for record in documented.RECORDS:
        taken: dict[tuple[str, str], str] = {}
        for place in command.places():
            if not place.path.startswith(record) or place.column.endswith("_fields"):
                continue
            known = taken.setdefault((place.table, place.column), place.path)
            shared = {"other_phone", "social_media", "open_house"}
            units = place.column == "room_length_width_units"
            assert known == place.path or place.table in shared or units, place


def test_every_column_is_explained() -> None:
    explained = {(place.table, place.column.partition("[")[0]) for place in command.places()}
    explained |= {(table, column) for table, some in ddf.DERIVED.items() for column in some}
    columns = {(name, column.name) for name in MIRRORED for column in tables.named(name).columns}
    assert {pair for pair in columns - explained if pair[1] not in LOADER} == set()
    assert explained - columns == set()


def test_the_table_for_a_terminal() -> None:
    lines = printed().splitlines()
    assert lines[0].split() == ["SOURCE", "COLUMN", "RESO", "TYPE", "CONVERSION"]
    (line,) = [line for line in lines if line.startswith("PropertyDetails/Building/BedroomsTotal ")]
    assert line.split() == [
        "PropertyDetails/Building/BedroomsTotal",
        "property.bedrooms_total",
        "BedroomsTotal",
        "integer",
        "integer",
    ]
    assert any("property.list_price" in line and line.endswith("derived") for line in lines)


def test_the_names_are_resos() -> None:
    for place in command.places():
        if place.reso:
            name = place.reso.removesuffix(" (DDF Web API)")
            assert place.column.partition("[")[0] == snake_case(name)


def test_the_document_is_true() -> None:
    text = printed("--markdown")
    assert text == DOCUMENT.read_text(encoding="utf-8"), (
        "run: rets-pipeline mapping ddf --markdown > docs/mapping-ddf.md"
    )
    for place in command.places():
        assert f"| `{place.path}` | `{place.table}.{place.column}` |" in text


def test_a_source_that_does_not_exist() -> None:
    result = CliRunner().invoke(app, ["mapping", "dff"])
    assert result.exit_code == 2
