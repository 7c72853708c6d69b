"""Feeds out of the ordinary: namespaces, and DDF's data."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from rets_pipeline.rets import CountMismatch, Truncated
from rets_pipeline_tests.patience import PATIENCE

from .bench import Bench, proves


@pytest.mark.parametrize(
    "name",
    [
        proves("namespace", "Knows records by their local names."),
        proves("namespace_with_prefix", "Knows records by their local names."),
    ],
)
def test_namespaces(bench: Bench, name: str) -> None:
    bench.switch_on(name)
    assert bench.read("STANDARD-XML") == bench.truth("STANDARD-XML")


@pytest.mark.parametrize(
    ("name", "settings", "kind"),
    [
        proves("truncate_master_list", "An error, with the number of whole rows.", {}, Truncated),
        proves("cut_master_list", "An error: COUNT says how many are missing.", {}, CountMismatch),
    ],
)
def test_master_lists_that_lack_keys(
    bench: Bench, name: str, settings: dict[str, Any], kind: type[Exception]
) -> None:
    bench.session("DDF").login()
    bench.switch_on(name, **settings)
    with pytest.raises(kind):
        bench.read("DDF")


@pytest.mark.fault(
    "drop_from_master_list",
    does="Cannot know it: the list is proved as it is. Who deletes by it needs a guard of his own.",
)
def test_a_master_list_that_agrees_with_itself(bench: Bench) -> None:
    bench.switch_on("drop_from_master_list", keys=3)
    assert bench.read("DDF") == bench.truth("DDF")[3:]


def details(bench: Bench, keys: list[str]) -> dict[str, str]:
    arguments = {
        "SearchType": "Property",
        "Class": "Property",
        "QueryType": "DMQL2",
        "Format": "STANDARD-XML",
        "Query": f"(ID={','.join(keys)})",
        "Count": "1",
    }
    with bench.session("DDF").search(arguments, record="PropertyDetails") as answer:
        return {str(record.get("ID")): str(record.get("LastUpdated")) for record in answer}


@pytest.mark.fault("never_return", does="Delivers the others; the caller sees which are missing.")
def test_keys_that_never_return(bench: Bench) -> None:
    keys = [row["ListingKey"] for row in bench.truth("DDF")][:3]
    bench.switch_on("never_return", keys=keys[:1])
    assert list(details(bench, keys)) == keys[1:]


@pytest.mark.fault("before_details", does="Delivers the details as they are now.")
def test_details_that_are_newer_than_the_list(bench: Bench) -> None:
    keys = [row["ListingKey"] for row in bench.truth("DDF")][:2]
    before = details(bench, keys)
    bench.switch_on("before_details", changes=[{"listing_key": keys[0], "kind": "price"}])
    after = details(bench, keys)
    assert after[keys[0]] != before[keys[0]]
    assert after[keys[1]] == before[keys[1]]


@pytest.mark.fault("image_status", does="Fetches no images by address: who does, sees the status.")
def test_the_status_of_an_image(bench: Bench) -> None:
    truth = requests.get(f"{bench.sandbox.url}/_sandbox/truth", timeout=PATIENCE).json()["listings"]
    path = next(iter(truth.values()))["photos"][0]["paths"]["large"]
    bench.switch_on("image_status", path=path, status=410)
    url = bench.sandbox.url + path
    assert [requests.get(url, timeout=PATIENCE).status_code for _ in range(2)] == [410, 200]
