"""Metadata answers in both formats.

What belongs here: METADATA-* elements as tables. What does not: the tree that they make
(``metadata``), and asking for them (``metadata_loading``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from lxml import etree

from rets_pipeline.rets.compact import RowLayout
from rets_pipeline.rets.metadata import (
    KEYS,
    PLACES,
    PREFIX,
    MetadataDocument,
    MetadataTable,
    canonical_type,
    key_of,
    value_of,
)
from rets_pipeline.rets.names import Names

# Attributes that do not tell a place.
_STAMPS: Final = ("version", "date", "system")


def read_metadata(root: etree._Element, identifier: str = "") -> MetadataDocument:
    """Read a metadata answer in either format.

    Args:
        root: the ``RETS`` element.
        identifier: that was asked for; it tells the place where the answer does not.
    """
    asked = tuple(part for part in identifier.split(":") if part not in ("", "0", "*"))
    reader = _Reader(asked)
    reader.look_for_tables(root)
    return MetadataDocument(tuple(reader.tables), tuple(reader.problems))


class _Reader:
    def __init__(self, asked: tuple[str, ...]) -> None:
        self.tables: list[MetadataTable] = []
        self.problems: list[str] = []
        self._asked = asked

    def look_for_tables(self, element: etree._Element) -> None:
        for child in element.iterchildren(etree.Element):
            if _is_table(child):
                self._table(child, ())
            else:
                self.look_for_tables(child)

    def _table(self, element: etree._Element, above: tuple[str, ...]) -> None:
        kind = canonical_type(_name(element))
        attributes = Names((str(key), str(value)) for key, value in element.attrib.items())
        path = self._path(kind, attributes, above)
        compact = bool(_children_named(element, "COLUMNS"))
        read = self._compact_entries if compact else self._xml_entries
        entries = tuple(read(element, kind, path))
        self.tables.append(
            MetadataTable(
                kind,
                path,
                entries,
                value_of(attributes, "Version"),
                value_of(attributes, "Date"),
            )
        )

    def _path(self, kind: str, attributes: Names[str], above: tuple[str, ...]) -> tuple[str, ...]:
        """The place: by attributes, else by what it is nested in, else by what was asked for."""
        names = PLACES.get(kind)
        if names is None:
            return tuple(value for name, value in attributes.items() if name.lower() not in _STAMPS)
        path = []
        for index, name in enumerate(names):
            value = value_of(attributes, name) or value_of(attributes, f"{name}ID")
            value = value or value_of(attributes, f"{name}Name")
            for other in (above, self._asked):
                value = value or (other[index] if index < len(other) else "")
            path.append(value)
        if not all(path):
            self.problems.append(f"{kind}: the answer does not say where it belongs")
        return tuple(path)

    def _compact_entries(
        self, element: etree._Element, kind: str, path: tuple[str, ...]
    ) -> Iterable[Names[str]]:
        where = ":".join((kind, *path))
        names = _children_named(element, "COLUMNS")[0].text or ""
        layout, renamed = RowLayout.of(names, _delimiter(element))
        self.problems += [
            f"{where}: there are several columns {name!r}" for name in renamed.values()
        ]
        for row in _children_named(element, "DATA"):
            cells = layout.cells(row.text or "")
            if isinstance(cells, str):
                self.problems.append(f"{where}: {cells}")
                continue
            pairs = zip(layout.columns, map(str.strip, cells), strict=True)
            yield Names((name, cell) for name, cell in pairs if cell)

    def _xml_entries(
        self, element: etree._Element, kind: str, path: tuple[str, ...]
    ) -> Iterable[Names[str]]:
        entries: list[Names[str]] = []
        loose: dict[str, str] = {}
        for child in element.iterchildren(etree.Element):
            if _is_table(child):
                self._table(child, path)
            elif len(child) or child.attrib:
                entries.append(self._xml_entry(child, kind, path))
            elif text := _text(child):
                loose[_name(child)] = text
        if loose:  # METADATA-SYSTEM has its comments beside the system
            before = entries.pop() if entries else Names()
            entries.append(Names({**before, **loose}))
        return entries

    def _xml_entry(self, element: etree._Element, kind: str, path: tuple[str, ...]) -> Names[str]:
        values = {str(key): str(value) for key, value in element.attrib.items()}
        nested = []
        for child in element.iterchildren(etree.Element):
            if _is_table(child):
                nested.append(child)
            elif text := _text(child):
                values.setdefault(_name(child), text)
        entry = Names(values)
        for child in nested:
            self._table(child, (*path, key_of(kind, entry)) if kind in KEYS else path)
        return entry


def _name(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _is_table(element: etree._Element) -> bool:
    return _name(element).upper().startswith(PREFIX)


def _children_named(element: etree._Element, name: str) -> list[etree._Element]:
    return [child for child in element.iterchildren(etree.Element) if _name(child).upper() == name]


def _text(element: etree._Element) -> str:
    return "".join(map(str, element.itertext())).strip()


def _delimiter(element: etree._Element) -> str:
    """RETS 1.7.2, section 7: in hexadecimal; a tab unless the answer says otherwise."""
    parent = element.getparent()
    for place in (element, parent):
        for found in _children_named(place, "DELIMITER") if place is not None else ():
            text = Names((str(key), str(value)) for key, value in found.attrib.items())
            if re.fullmatch(r"[0-9A-Fa-f]{1,4}", value_of(text, "value")):
                return chr(int(value_of(text, "value"), 16))
    return "\t"
