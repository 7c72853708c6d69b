"""DDF as a source: its searches and the entries of its master list."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rets_pipeline.sources.base import Source
from rets_pipeline.sources.ddf import DdfSource
from rets_pipeline.sources.registry import source_for


def test_the_registry_knows_ddf():
    source: Source = source_for("ddf", culture="fr-CA")
    assert isinstance(source, DdfSource)
    assert source.master_list_search().arguments["Culture"] == "fr-CA"
    assert source.detail_record == source.detail_search(["1"]).record == "PropertyDetails"
    with pytest.raises(ValueError, match="no source is named 'dff'"):
        source_for("dff")


def test_the_searches():
    source = DdfSource()
    search = source.master_list_search()
    assert search.record == "Property"
    assert search.arguments == {
        "SearchType": "Property",
        "Class": "Property",
        "QueryType": "DMQL2",
        "Query": "(ID=*)",
        "Format": "STANDARD-XML",
        "Count": "1",
    }
    search = source.detail_search(["11", "12"])
    assert search.record == "PropertyDetails"
    assert search.arguments == {**source.master_list_search().arguments, "Query": "(ID=11,12)"}


@pytest.mark.parametrize("keys", [[], ["1"] * 101, ["1", "2)|(ID=*"], [""], ["1,2"]])
def test_key_lists_that_are_refused(keys):
    with pytest.raises(ValueError, match="key"):
        DdfSource().detail_search(keys)


def test_entries_of_the_master_list():
    source = DdfSource()
    moment = "Wed, 13 Mar 2024 14:33:02 GMT"
    entry = source.master_list_entry({"ID": "26612345", "LastUpdated": moment})
    assert entry.key == "26612345"
    assert entry.modification_timestamp == datetime(2024, 3, 13, 14, 33, 2, tzinfo=UTC)
    assert entry.raw_timestamp == moment
    assert source.master_list_entry({"lastupdated": moment, "{urn:x}id": " 7 "}).key == "7"
    entry = source.master_list_entry({"ID": "7", "LastUpdated": "2024-03-13T14:33:02Z"})
    assert entry.modification_timestamp == datetime(2024, 3, 13, 14, 33, 2, tzinfo=UTC)
    assert source.master_list_entry({"ID": "7"}).raw_timestamp == ""


@given(st.text())
def test_a_time_that_cannot_be_read_keeps_its_text(raw):
    entry = DdfSource().master_list_entry({"ID": "7", "LastUpdated": raw})
    assert entry.raw_timestamp == raw
    assert entry.key == "7"


@pytest.mark.parametrize("attributes", [{}, {"ID": ""}, {"ID": "a b"}, {"LastUpdated": "x"}])
def test_entries_without_a_key(attributes):
    with pytest.raises(ValueError, match="ID"):
        DdfSource().master_list_entry(attributes)
    assert DdfSource().detail_key(attributes) is None
