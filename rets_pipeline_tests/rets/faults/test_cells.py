"""Delimiters, cells, columns and dates of COMPACT."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any

import pytest
import requests

from rets_pipeline.rets import DataBroken, Metadata, TableDecoder, load_metadata
from rets_pipeline.sandbox import RunningSandbox
from rets_pipeline_tests.patience import PATIENCE

from .bench import Bench, but, proves, search_fields

FORMS = ("COMPACT", "COMPACT-DECODED")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        proves("delimiter_hexadecimal", "Reads DELIMITER as hexadecimal.", {}, case="7C"),
        proves(
            "delimiter_hexadecimal", "Reads DELIMITER as hexadecimal.", {"value": "23"}, case="23"
        ),
        proves("delimiter_short", "Reads DELIMITER as hexadecimal.", {}),
        proves("delimiter_missing", "Takes the tab.", {}),
        proves("edge_missing_first", "Strips a delimiter at an edge only if it is there.", {}),
        proves("edge_missing_last", "Strips a delimiter at an edge only if it is there.", {}),
        proves("edges_missing", "Strips a delimiter at an edge only if it is there.", {}),
        proves("columns_reordered", "Goes by the names in COLUMNS.", {}),
    ],
)
def test_rows_are_read_whatever_their_edges(
    bench: Bench, form: str, name: str, settings: dict[str, Any]
) -> None:
    mark = chr(int(settings.get("value", "7C"), 16)) if "hexa" in name else "\t"
    good = [
        {column: text.replace(mark, "/") if mark != "\t" else text for column, text in row.items()}
        for row in bench.truth(form)
    ]
    bench.switch_on(name, **settings)
    assert bench.read(form) == good


@pytest.mark.fault("edges_missing", does="An only column may be empty, too.")
@pytest.mark.parametrize("name", ["edge_missing_first", "edge_missing_last", "edges_missing"])
def test_a_single_column(bench: Bench, name: str) -> None:
    bench.switch_on(name)
    found = bench.read("COMPACT", Select="UnitNumber")
    assert found == [{"UnitNumber": row["UnitNumber"]} for row in bench.truth("COMPACT")]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("row", [0, 7, 29])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        proves("cells_too_few", "Puts the row with its raw text into quarantine.", {}),
        proves("cells_too_many", "Puts the row with its raw text into quarantine.", {}),
        proves("delimiter_in_data", "Puts the row with its raw text into quarantine.", {}),
    ],
)
def test_rows_that_do_not_fit(
    bench: Bench, form: str, row: int, name: str, settings: dict[str, Any]
) -> None:
    good = bench.truth(form)
    bench.switch_on(name, row=row, **settings)
    with bench.session().search_compact(search_fields(form)) as answer:
        found = list(answer.dicts())
    assert found == good[:row] + good[row + 1 :]
    (quarantined,) = answer.quarantine
    assert (quarantined.number, answer.quarantined) == (row + 1, 1)
    assert good[row]["ListingKey"] in quarantined.text


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.fault("cells_empty", does="Delivers the row as it is: empty.")
def test_a_row_of_empty_cells(bench: Bench, form: str) -> None:
    good = bench.truth(form)
    bench.switch_on("cells_empty", row=3)
    assert bench.read(form) == but(good, 3, dict.fromkeys(good[3], ""))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.fault("line_ends_in_data", does="Keeps them in the cell.")
def test_line_ends_within_a_cell(bench: Bench, form: str) -> None:
    good = bench.truth(form)
    bench.switch_on("line_ends_in_data", row=2)
    last = list(good[2])[-1]
    assert bench.read(form) == but(good, 2, {last: good[2][last] + "first\nsecond"})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "name",
    [
        proves("delimiter_unreadable", "Refuses the answer."),
        proves("columns_missing", "Refuses rows before the names of their columns."),
    ],
)
def test_tables_that_cannot_be_read(bench: Bench, form: str, name: str) -> None:
    bench.session().login()
    bench.switch_on(name)
    with pytest.raises(DataBroken):
        bench.read(form)


# Columns


@pytest.mark.fault("column_twice", does="Keeps both: the second under a name of its own, reported.")
def test_a_column_that_stands_twice(bench: Bench) -> None:
    bench.switch_on("column_twice")
    with bench.session().search_compact(search_fields("COMPACT")) as answer:
        found = list(answer.dicts())
    ((position, name),) = answer.renamed.items()
    assert name == "City"
    added = answer.columns[position]
    assert added not in bench.truth("COMPACT")[0]
    assert found == [{**row, added: "elsewhere"} for row in bench.truth("COMPACT")]


@pytest.mark.fault("column_nameless", does="Gives it a name of its own, reported.")
def test_a_column_without_a_name(bench: Bench) -> None:
    bench.switch_on("column_nameless")
    with bench.session().search_compact(search_fields("COMPACT")) as answer:
        found = list(answer)
    assert list(answer.renamed.values()) == [""]
    assert [list(row) for row in found] == [list(row.values()) for row in bench.truth("COMPACT")]


@pytest.mark.fault("column_missing", does="Delivers what is there, by the names that are there.")
def test_a_column_that_is_missing(bench: Bench) -> None:
    bench.switch_on("column_missing")
    expected = [{k: v for k, v in row.items() if k != "City"} for row in bench.truth("COMPACT")]
    assert bench.read("COMPACT") == expected


# Values


@pytest.fixture(scope="module")
def facts(sandbox: RunningSandbox) -> dict[str, dict[str, Any]]:
    """What the rows mean, by key, in plain words."""
    found: dict[str, dict[str, Any]] = requests.get(
        f"{sandbox.url}/_sandbox/generic/truth", timeout=PATIENCE
    ).json()["listings"]
    return found


@pytest.fixture(scope="module")
def metadata(sandbox: RunningSandbox) -> Metadata:
    with ExitStack() as stack:
        return load_metadata(Bench(sandbox, stack).open())


def decoded(
    bench: Bench, metadata: Metadata, form: str = "COMPACT", zone: tzinfo | None = None
) -> tuple[list[dict[str, Any]], TableDecoder]:
    """The rows as typed values, and who decoded them."""
    with bench.session().search_compact(search_fields(form)) as answer:
        rows, columns = list(answer), answer.columns
    decoder = TableDecoder.of(metadata.resources["Property"], "RES", columns, zone=zone)
    return [dict(zip(columns, row, strict=True)) for row in decoder.decode(rows)], decoder


def plain(value: Any) -> Any:
    """A value as the sandbox's truth writes it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date | time | Decimal):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("form", FORMS)
def test_typed_values_are_the_truth(
    bench: Bench, metadata: Metadata, facts: dict[str, Any], form: str
) -> None:
    values, decoder = decoded(bench, metadata, form)
    assert decoder.faults == []
    assert decoder.warnings == []
    for row in values:
        expected = facts[str(row["ListingKey"])]
        assert {name: plain(value) for name, value in row.items()} == expected


@pytest.mark.fault("column_unknown", does="Delivers it; decoded it stays text, with a warning.")
def test_a_column_that_no_metadata_know(bench: Bench, metadata: Metadata) -> None:
    bench.switch_on("column_unknown", times=2)
    assert bench.read("COMPACT") == [{**row, "X_New": "new"} for row in bench.truth("COMPACT")]
    values, decoder = decoded(bench, metadata)
    assert {value["X_New"] for value in values} == {"new"}
    assert [warning for warning in decoder.warnings if "X_New" in warning]


@pytest.mark.fault("columns_upper_case", does="Delivers the names as written; finds their types.")
def test_names_in_capitals(bench: Bench, metadata: Metadata) -> None:
    bench.switch_on("columns_upper_case", times=2)
    found = bench.read("COMPACT")
    assert found == [{k.upper(): v for k, v in row.items()} for row in bench.truth("COMPACT")]
    values, decoder = decoded(bench, metadata)
    assert isinstance(values[0]["LISTPRICE"], Decimal)
    assert decoder.warnings == []


STAMP = "ModificationTimestamp"


def true_time(facts: dict[str, Any], row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(facts[str(row["ListingKey"])][STAMP])


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        proves("times_without_zone", "Takes the zone that the caller names for the source.", UTC),
        proves("times_with_offset", "Takes the offset that is written.", None),
        proves(
            "times_local",
            "Takes the zone that the caller names for the source.",
            timezone(timedelta(hours=-5)),
        ),
    ],
)
def test_times(
    bench: Bench, metadata: Metadata, facts: dict[str, Any], name: str, zone: tzinfo | None
) -> None:
    bench.switch_on(name)
    values, decoder = decoded(bench, metadata, zone=zone)
    assert [row[STAMP] for row in values] == [true_time(facts, row) for row in values]
    assert decoder.faults == []


@pytest.mark.fault("times_without_zone", does="Without one the value has no zone either.")
@pytest.mark.fault("times_local", does="Without one the value has no zone either.")
@pytest.mark.parametrize("name", ["times_without_zone", "times_local"])
def test_times_of_no_zone_stay_so(bench: Bench, metadata: Metadata, name: str) -> None:
    bench.switch_on(name)
    values, _ = decoded(bench, metadata)
    assert {row[STAMP].tzinfo for row in values} == {None}


@pytest.mark.fault("times_with_fraction", does="Keeps the fraction.")
def test_times_with_fractions(bench: Bench, metadata: Metadata, facts: dict[str, Any]) -> None:
    bench.switch_on("times_with_fraction")
    values, _ = decoded(bench, metadata)
    fraction = timedelta(milliseconds=123)
    assert [row[STAMP] for row in values] == [true_time(facts, row) + fraction for row in values]


UNREADABLE = [
    proves("times_day_first", "No value, but a fault with the raw text: never a guess.", STAMP),
    proves("date_impossible", "No value, but a fault with the raw text.", "ListingContractDate"),
    proves("number_unreadable", "No value, but a fault with the raw text.", "LivingArea"),
]


@pytest.mark.parametrize(("name", "column"), UNREADABLE)
def test_what_does_not_convert(bench: Bench, metadata: Metadata, name: str, column: str) -> None:
    bench.switch_on(name, times=2)
    raw = [row[column] for row in bench.read("COMPACT")]
    values, decoder = decoded(bench, metadata)
    assert {row[column] for row in values} == {None}
    faults = [fault.text for fault in decoder.faults if fault.column == column]
    assert faults == [text for text in raw if text]


@pytest.mark.fault("time_in_future", does="Delivers it: what is possible, the source must know.")
def test_a_time_in_the_future(bench: Bench, metadata: Metadata, facts: dict[str, Any]) -> None:
    bench.switch_on("time_in_future")
    values, _ = decoded(bench, metadata)
    assert [row[STAMP].year - true_time(facts, row).year for row in values] == [40] * len(values)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        proves("booleans_as_letters", "Knows Y, N and words.", {}, case="Y"),
        proves(
            "booleans_as_letters",
            "Knows Y, N and words.",
            {"true": "True", "false": "no"},
            case="True",
        ),
        proves("lookup_values_quoted", "Takes the quotes away.", {}),
        proves("lookup_values_empty", "Skips empty values.", {}),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_values_written_otherwise(
    bench: Bench,
    metadata: Metadata,
    facts: dict[str, Any],
    form: str,
    name: str,
    settings: dict[str, Any],
) -> None:
    bench.switch_on(name, **settings)
    values, decoder = decoded(bench, metadata, form)
    assert decoder.faults == []
    for row in values:
        for column in ("WaterfrontYN", "PoolYN", "Appliances"):
            assert plain(row[column]) == facts[str(row["ListingKey"])][column]


@pytest.mark.fault("lookup_unknown", does="Keeps the text, and reports the value.")
def test_a_code_that_its_lookup_does_not_have(bench: Bench, metadata: Metadata) -> None:
    bench.switch_on("lookup_unknown")
    values, decoder = decoded(bench, metadata)
    assert {row["Status"] for row in values} == {"ZZ"}
    assert decoder.unknown_values == {"Status": {"ZZ"}}
