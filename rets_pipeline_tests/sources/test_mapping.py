"""The rules and the tables: every rule has a column, every row fits its table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rets_pipeline.sources.ddf import DdfSource, mapping
from rets_pipeline.warehouse import tables
from rets_pipeline.warehouse.types import metadata
from rets_pipeline_tests.sources import payloads

#: columns of the loader, and those of a resource's own search
LOADER = {"feed", "pull_id"}


def groups(group: mapping.Group) -> Iterator[mapping.Group]:
    yield group
    for inner in group.groups:
        yield from groups(inner)


def test_every_rule_has_a_column():
    for group in groups(mapping.PROPERTY):
        table, _, column = group.table.partition(".")
        known = metadata.tables[table].columns
        if column:
            assert column in known
            continue
        for rule in group.rules:
            for name in (rule.column, rule.unit_column, rule.text_column):
                if name is not None and not rule.uncompared:
                    assert name in known, f"{group.table}: {rule.path} → {name}"


def test_no_rule_is_hidden_by_another():
    for group in groups(mapping.PROPERTY):
        paths = [rule.path.lower() for rule in group.rules]
        assert len(paths) == len(set(paths)), group.table
        columns = [rule.column for rule in group.rules if not rule.uncompared]
        assert len(columns) == len(set(columns)), group.table


def test_every_row_has_exactly_the_columns_of_its_table():
    rows = DdfSource().parse(payloads.element(payloads.listing())).rows
    expected = {*tables.LISTING_TABLES}
    for shared in tables.SHARED_TABLES:
        expected |= {shared.name, *shared.dependents}
    assert set(rows) == expected
    for table, some in rows.items():
        columns = {column.name for column in metadata.tables[table].columns} - LOADER
        assert some, table
        for row in some:
            assert set(row) == columns, table


def test_a_comment_names_the_path_where_reso_has_no_name():
    paths = {
        rule.column: f"{group.path}/{rule.path}".strip("/")
        for group in (mapping.PROPERTY,)
        for rule in group.rules
    }
    for column in tables.property_.columns:
        comment = (column.comment or "").partition(";")[0]
        if comment.startswith("DDF: ") and column.name in paths:
            assert paths[column.name].lower() == comment.removeprefix("DDF: ").lower()


@pytest.mark.parametrize("shared", tables.SHARED_TABLES, ids=lambda shared: shared.name)
def test_shared_tables_have_their_keys(shared):
    table = metadata.tables[shared.name]
    assert {c.name for c in table.primary_key} == {"feed", shared.key}
    for name in shared.dependents:
        keys = {c.name for c in metadata.tables[name].primary_key}
        assert keys == {"feed", "resource_name", "resource_record_key", "order"}
