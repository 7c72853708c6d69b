"""The rules read the other way: every element that they name, with the columns it feeds.

What belongs here: walking the rules. What does not: the rules (``mapping``), and what a column is
called in RESO's dictionary or of which type it is (``warehouse.tables``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from rets_pipeline.sources.base import SourceElement
from rets_pipeline.sources.ddf import mapping
from rets_pipeline.sources.ddf.mapping import Group, Rule

#: how ``mapping.DERIVED`` speaks of attributes of elements around or inside, and their paths
_PHRASES: Mapping[str, str] = {
    "@ID of the listing": "PropertyDetails/@ID",
    "@ID of the first AgentDetails": "PropertyDetails/AgentDetails/@ID",
    "@ID of the second AgentDetails": "PropertyDetails/AgentDetails/@ID",
    "@ID of the first agent's Office": "PropertyDetails/AgentDetails/Office/@ID",
    "@ID of the second agent's Office": "PropertyDetails/AgentDetails/Office/@ID",
    "@ID of the agent's Office": "Office/@ID",
    "@ID of the agent or the office around it": "../@ID",
    "the photo's address": "PhotoURL",
    "Address: street, city, province and postal code": "Address/StreetAddress Address/City"
    " Address/Province Address/PostalCode",
}
_WORD = re.compile(r"(?:\.\./)?@?[A-Za-z][A-Za-z/@]*")


@dataclass(frozen=True, slots=True)
class Placed:
    """Where one documented element or attribute goes.

    Attributes:
        path: from the record's root element.
        table: of the warehouse.
        column: of the table.
        inside: the name in each object of a column that holds a list of objects.
        rule: None: it is kept as it came.
        part: what of it goes there.
    """

    path: str
    table: str
    column: str
    inside: str | None
    rule: Rule | None
    part: Literal["value", "unit", "text", "uncompared"]


def placed(record: str) -> Iterator[Placed]:
    """Every place that the rules of a kind of record name, in their order.

    Args:
        record: the name of its root element, a key of ``mapping.RECORDS``.
    """
    group = mapping.RECORDS[record]
    return _of_group(group, record, group.table)


@cache
def elements(record: str) -> tuple[SourceElement, ...]:
    """Every element and attribute of a kind of record, with the columns that it feeds.

    Elements that become rows are among them: their number and order feed columns, too.
    """
    columns: dict[str, list[tuple[str, str]]] = {}
    lookups: dict[str, str] = {}
    for place in placed(record):
        columns.setdefault(place.path, []).append((place.table, place.column))
        if place.rule is not None and place.rule.lookup is not None:
            lookups[place.path] = place.rule.lookup
    groups = list(_groups(mapping.RECORDS[record], record))
    for path, _ in groups:
        columns.setdefault(path, [])
    for path, table, column in _derived(groups, columns):
        if (table, column) not in columns[path]:
            columns[path].append((table, column))
    return tuple(
        SourceElement(path, tuple(columns[path]), lookups.get(path)) for path in sorted(columns)
    )


def _of_group(group: Group, path: str, rest: str) -> Iterator[Placed]:
    rest = group.rest_table or rest
    for rule in group.rules:
        yield from _of_rule(rule, group, joined(path, rule.path), rest)
    for kept in group.kept:
        yield Placed(joined(path, kept), rest, "source_fields", None, None, "value")
    for inner in group.groups:
        own = inner.table.partition(".")[0]
        yield from _of_group(
            inner, f"{path}/{inner.path}", own if inner.rest_table is None else rest
        )


def _of_rule(rule: Rule, group: Group, path: str, rest: str) -> Iterator[Placed]:
    table, _, listed = group.table.partition(".")
    if rule.uncompared:
        yield Placed(path, rest, "uncompared_fields", None, rule, "uncompared")
        return
    if listed:
        yield Placed(path, table, listed, rule.column, rule, "value")
        return
    yield Placed(path, table, rule.column, None, rule, "value")
    if rule.unit_column is not None:
        yield Placed(path, table, rule.unit_column, None, rule, "unit")
    if rule.text_column is not None:
        yield Placed(path, table, rule.text_column, None, rule, "text")


def joined(path: str, last: str) -> str:
    """A path within a group as one from the root; ``.`` is the group's own element."""
    return path if last == "." else f"{path}/{last}"


def _groups(group: Group, path: str) -> Iterator[tuple[str, list[str]]]:
    """The elements that become rows, with the tables of the rows and of what is left over."""
    for inner in group.groups:
        tables = (inner.table.partition(".")[0], inner.rest_table or inner.table)
        yield f"{path}/{inner.path}", list(dict.fromkeys(tables))
        yield from _groups(inner, f"{path}/{inner.path}")


def _derived(
    groups: list[tuple[str, list[str]]], known: Mapping[str, object]
) -> Iterator[tuple[str, str, str]]:
    """Path, table and column of what ``mapping.DERIVED`` says in words."""
    record = min(known, key=len).split("/")[0]
    bases = {mapping.RECORDS[record].table: [record]}
    for path, tables in groups:
        for table in tables:
            bases.setdefault(table, []).append(path)
    for table in (table for table in bases if table in mapping.DERIVED):
        for column, text in mapping.DERIVED[table].items():
            for path in _named(text, record, bases[table]):
                if path in known:
                    yield path, table, column


def _named(text: str, record: str, bases: list[str]) -> Iterator[str]:
    """The paths that a sentence may mean: its words, from the root and from the row's element."""
    for phrase in sorted(_PHRASES, key=len, reverse=True):
        text = text.replace(phrase, _PHRASES[phrase])
    for word in _WORD.findall(text):
        if word.startswith("../"):
            # From a phone or a website to the agent or the office that has it.
            yield from (f"{base.rsplit('/', 2)[0]}/{word.removeprefix('../')}" for base in bases)
        else:
            yield from (word, f"{record}/{word}", *(f"{base}/{word}" for base in bases))
