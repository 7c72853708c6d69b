"""Metadata that are odd, refused, or in pieces."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import pytest

from rets_pipeline.rets import Metadata, Truncated, load_metadata
from rets_pipeline.sandbox.generic.columns import COLUMNS, LOOKUPS

from .bench import Bench, proves

MetadataFormat = Literal["COMPACT", "STANDARD-XML"]
BOTH: tuple[MetadataFormat, ...] = ("COMPACT", "STANDARD-XML")


def load(bench: Bench, **settings: Any) -> Metadata:
    return load_metadata(bench.session(), **settings)


def fields(metadata: Metadata) -> list[tuple[str, str, str]]:
    found = metadata.resources["Property"].classes["RES"].fields
    return [(item.system_name, item.data_type, item.lookup_name) for item in found.values()]


def is_whole(metadata: Metadata) -> bool:
    """Whether everything is there that the server knows."""
    expected = [(column.name, column.type, column.lookup) for column in COLUMNS]
    lookups = metadata.resources["Property"].lookups
    values = {
        name: [(value.value, value.long_value) for value in lookup.values]
        for name, lookup in lookups.items()
    }
    return fields(metadata) == expected and values == {
        name: list(known) for name, known in LOOKUPS.items()
    }


@pytest.mark.parametrize("first", BOTH)
@pytest.mark.parametrize("wildcards", [True, False])
def test_good_metadata_are_whole(bench: Bench, first: MetadataFormat, wildcards: bool) -> None:
    metadata = load(bench, first_format=first, wildcards=wildcards)
    assert is_whole(metadata)
    assert metadata.problems == ()


@pytest.mark.parametrize("first", BOTH)
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        proves("wildcard_refused", "Asks place by place.", {}, case="20502"),
        proves("wildcard_refused", "Asks place by place.", {"code": 20501}, case="20501"),
        proves("wildcard_refused", "Asks place by place.", {"code": 20503}, case="20503"),
        proves("wildcard_partial", "Asks for what is missing, place by place.", {}),
        proves("refused_20510", "Asks place by place.", {}),
        proves("compact_refused", "Asks for the other format.", {}, case="20513"),
        *(
            proves("compact_refused", "Asks for the other format.", {"code": code}, case=str(code))
            for code in (20501, 20502, 20506, 20514)
        ),
        proves("standard_xml_refused", "Asks for the other format.", {}),
        proves("metadata_lower_case", "Knows names in any case.", {}),
        proves("metadata_fields_upper_case", "Knows names in any case.", {}),
        proves("lookup_types_called_lookup", "Takes any name of an entry.", {}),
        proves("lookups_called_lookup_type", "Takes any name of an entry.", {}),
        proves("names_cut", "Goes by the system name.", {}),
        proves("flags_as_letters", "Keeps what a flag says as text.", {}),
        proves("version_changed", "Goes by the content.", {}),
        proves("byte_order_mark", "Skips it.", {}),
        proves("tags_lower_case", "Knows the frame's tags in any case.", {}),
    ],
)
def test_metadata_that_can_be_loaded(
    bench: Bench, first: MetadataFormat, name: str, settings: dict[str, Any]
) -> None:
    bench.switch_on(name, times=None, transaction="GetMetadata", **settings)
    assert is_whole(load(bench, first_format=first))


@pytest.mark.fault("metadata_type_unknown", does="Leaves the type out, and says so.")
def test_a_type_that_the_server_does_not_know(bench: Bench) -> None:
    bench.switch_on("metadata_type_unknown", times=None)
    metadata = load(bench)
    assert is_whole(metadata)
    assert list(metadata.resources["Property"].objects) == []
    assert any("METADATA-OBJECT" in problem for problem in metadata.problems)


@pytest.mark.fault("type_unknown", does="Keeps the type's name; values stay text, with a warning.")
@pytest.mark.parametrize("first", BOTH)
def test_a_type_that_no_standard_has(bench: Bench, first: MetadataFormat) -> None:
    bench.switch_on("type_unknown", times=None, type="Geometry")
    metadata = load(bench, first_format=first)
    found = metadata.resources["Property"].classes["RES"].fields["ModificationTimestamp"]
    assert found.data_type == "Geometry"


@pytest.mark.parametrize("first", BOTH)
@pytest.mark.parametrize(
    "name",
    [
        proves("class_twice", "Keeps one, and says so."),
        proves("field_twice", "Keeps one, and says so."),
    ],
)
def test_what_is_described_twice(bench: Bench, first: MetadataFormat, name: str) -> None:
    bench.switch_on(name, times=None)
    metadata = load(bench, first_format=first)
    assert is_whole(metadata)
    assert metadata.problems


@pytest.mark.fault("content_changed", does="Tells versions apart by a hash of the content.")
@pytest.mark.fault("version_changed", does="The hash stays the same.")
def test_the_hash_is_of_the_content(bench: Bench) -> None:
    before = load(bench).content_hash
    assert load(bench, first_format="STANDARD-XML", wildcards=False).content_hash == before
    bench.switch_on("version_changed", times=None)
    assert load(bench).content_hash == before
    bench.switch_on("content_changed", times=None)
    assert load(bench).content_hash != before


@pytest.mark.parametrize("first", BOTH)
@pytest.mark.parametrize(
    ("name", "values"),
    [
        proves("lookup_without_values", "Keeps the lookup, without values.", 0),
        proves("lookup_code_twice", "Keeps all values in the server's order.", 5),
    ],
)
def test_odd_lookups(bench: Bench, first: MetadataFormat, name: str, values: int) -> None:
    bench.switch_on(name, times=None)
    lookups = load(bench, first_format=first).resources["Property"].lookups
    assert len(lookups["Status"].values) == values
    assert len(lookups["City"].values) == 5


@pytest.mark.parametrize("form", BOTH)
@pytest.mark.parametrize("kind", ["METADATA-TABLE", "METADATA-RESOURCE"])
def test_a_cut_document_is_never_half_of_the_metadata(
    bench: Bench, form: MetadataFormat, kind: str
) -> None:
    session = bench.session()
    session.login()
    for at in (0.1, 0.5, 0.9, 0.99):
        bench.switch_on("cut_at_share", transaction="GetMetadata", at=at, ending="clean")
        ask = partial(session.get_metadata, kind, "0", form)
        with pytest.raises(Truncated):
            ask()


@pytest.mark.fault("class_without_table", does="The class has no fields; the others are whole.")
@pytest.mark.parametrize("first", BOTH)
@pytest.mark.parametrize("code", [20502, 20503])
@pytest.mark.parametrize("wildcards", [True, False])
def test_a_class_without_fields(
    bench: Bench, first: MetadataFormat, code: int, wildcards: bool
) -> None:
    assert len(load(bench).resources["Agent"].classes["AGT"].fields) == 3
    bench.switch_on("class_without_table", times=None, code=code)
    metadata = load(bench, first_format=first, wildcards=wildcards)
    assert is_whole(metadata)
    assert len(metadata.resources["Agent"].classes["AGT"].fields) == 0
