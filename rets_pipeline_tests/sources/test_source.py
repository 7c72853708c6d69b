"""DDF as a source: its searches and the entries of its master list."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rets_pipeline.sources.base import Source
from rets_pipeline.sources.ddf import DdfSource
from rets_pipeline.sources.ddf.moments import utc_timestamps
from rets_pipeline.sources.ddf.values import ConversionError, utc_timestamp
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


MOMENT = "Wed, 13 Mar 2024 14:33:02 GMT"


def entries(keys, moments):
    return DdfSource().master_list_entries([keys, moments]).to_pylist()


def test_entries_of_the_master_list():
    found = entries(["26612345", " 7 ", "a-B_9"], [MOMENT, "2024-03-13T14:33:02Z", None])
    moment = datetime(2024, 3, 13, 14, 33, 2, tzinfo=UTC)
    assert found == [
        {"record_key": "26612345", "modification_timestamp": moment, "raw_timestamp": MOMENT},
        {
            "record_key": "7",
            "modification_timestamp": moment,
            "raw_timestamp": "2024-03-13T14:33:02Z",
        },
        {"record_key": "a-B_9", "modification_timestamp": None, "raw_timestamp": ""},
    ]
    assert entries([], []) == []
    assert DdfSource().master_list_search().attributes == ("ID", "LastUpdated")


@given(st.lists(st.text()))
def test_a_time_that_cannot_be_read_keeps_its_text(raw):
    found = entries(["7"] * len(raw), raw)
    assert [entry["raw_timestamp"] for entry in found] == raw


@pytest.mark.parametrize("key", [None, "", "a b", "1,2", "1\n2", "x" * 65])
def test_entries_without_a_key(key):
    with pytest.raises(ValueError, match="ID"):
        entries(["1", key, "2"], [MOMENT] * 3)
    attributes = {} if key is None else {"ID": key}
    assert DdfSource().detail_key(attributes) is None


MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(
    lambda moment: f"{moment:%a, %d %b} {moment.year:04} {moment:%H:%M:%S} GMT"
)


def damaged(text):
    """The text with one letter replaced."""
    return st.tuples(st.integers(0, len(text) - 1), st.sampled_from("0359 :,GAJaxé\n")).map(
        lambda change: text[: change[0]] + change[1] + text[change[0] + 1 :]
    )


@given(st.lists(MOMENTS | MOMENTS.flatmap(damaged) | st.text(max_size=30)))
@example(["Wed, 29 Feb 2023 14:33:02 GMT"])
@example(["Thu, 29 Feb 2024 23:59:59 GMT", "Mon, 31 Dec 9999 23:59:59 GMT"])
@example(["Wed, 13 mar 2024 14:33:02 GMT"])
@example(["Wed, 00 Mar 2024 14:33:02 GMT"])
@example(["Wed, 13 Mar 0000 14:33:02 GMT"])
@example(["Wed, 13 Mar 2024 24:33:02 GMT"])
def test_many_moments_are_read_as_each_alone(texts):
    def alone(text):
        try:
            return utc_timestamp(text.strip())
        except ConversionError:
            return None

    assert utc_timestamps(texts).to_pylist() == [alone(text) for text in texts]
