"""Applying the rules to an element: one walk, each child looked up once, nothing lost.

What belongs here: compiling rules, reading an element into rows, collecting what no rule took.
What does not: the rules (``mapping``), and how the rows of one listing belong together (``parse``).

What is left over becomes a dictionary under the payload's own names: a text for a plain element,
a dictionary for one with attributes (``@name``), children or mixed text (``#text``), a list for one
that occurs several times.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lxml import etree

from rets_pipeline.sources.base import Problem, Row
from rets_pipeline.sources.ddf.mapping import Group, Rule
from rets_pipeline.sources.ddf.values import ConversionError, Inexact

Rest = dict[str, Any]
#: an ``lxml`` element; the published stubs know neither entities nor attribute pairs of texts
Element = Any

#: names that no rule knows are remembered up to this number a node: a server can invent any number
_MEMORY = 1_000
_TEXT = "#text"


class Item:
    """What was read of one element that becomes a row.

    Attributes:
        element: the element.
        row: column to value, with every column that the group's rules name.
        rest: what no column took; None when that is nothing.
        items: the groups inside, by path.
    """

    __slots__ = ("element", "items", "rest", "row")

    def __init__(self, element: Element, row: Row) -> None:
        self.element = element
        self.row = row
        self.rest: Rest | None = None
        self.items: dict[str, list[Item]] = {}


class _Node:
    """One element of the payload, as the rules know it."""

    __slots__ = (
        "attributes",
        "by_tag",
        "children",
        "group",
        "leaf",
        "path",
        "plain",
        "rule",
        "template",
    )

    def __init__(self, path: str) -> None:
        self.path = path
        self.rule: Rule | None = None
        self.group: Group | None = None
        self.attributes: dict[str, tuple[Rule, str]] = {}
        self.children: dict[str, _Node] = {}
        self.template: Row = {}
        self.by_tag: dict[Any, _Node | None] = {}
        self.leaf = False  # a rule for its text, and nothing inside
        self.plain = False  # a leaf whose text goes to one column as it is

    def resolve(self, tag: Any) -> _Node | None:
        """The node of a child by its tag; None for a child that no rule knows."""
        node = self.children.get(local_name(tag).lower())
        if node is not None or len(self.by_tag) < _MEMORY:
            self.by_tag[tag] = node
        return node

    def child(self, name: str) -> _Node:
        """The child node of that name, made when it does not exist."""
        path = f"{self.path}/{name}" if self.path else name
        return self.children.setdefault(name.lower(), _Node(path))


class Engine:
    """The compiled rules of one kind of record.

    Args:
        group: the rules of the record.
    """

    def __init__(self, group: Group) -> None:
        self._root = _compiled(group, _Node(""))

    def read(self, record: Element) -> tuple[Item, list[Problem]]:
        """Read a record. Values that do not convert are NULL, kept as text, and a problem each."""
        problems: list[Problem] = []
        return _read_group(self._root, record, problems), problems


def _compiled(group: Group, node: _Node) -> _Node:
    node.group = group
    for rule in group.rules:
        _place(rule, node)
        for column in (rule.column, rule.unit_column, rule.text_column):
            if column is not None:
                node.template[column] = None
    for inner in group.groups:
        place = node
        for name in inner.path.split("/"):
            place = place.child(name)
        _compiled(inner, place)
    return node


def _place(rule: Rule, node: _Node) -> None:
    *containers, last = rule.path.split("/")
    for name in containers:
        node = node.child(name)
    if last == ".":
        node.rule = rule
    elif last.startswith("@"):
        path = f"{node.path}/{last}" if node.path else last
        node.attributes[last[1:].lower()] = (rule, path)
    else:
        leaf = node.child(last)
        leaf.rule = rule
        leaf.leaf = True
        leaf.plain = not (
            rule.convert
            or rule.unit_column
            or rule.text_column
            or rule.keep_text
            or rule.repeated
            or rule.uncompared
        )


def local_name(tag: Any) -> str:
    """A name without its namespace; empty for comments, processing instructions and entities."""
    if not isinstance(tag, str):
        return ""
    return tag[tag.rfind("}") + 1 :]


def attribute(attributes: Mapping[str, str], name: str) -> str:
    """An attribute without regard to case and namespace; empty when it is missing.

    Args:
        attributes: of an element.
        name: in lower case.
    """
    for tag, value in attributes.items():
        if local_name(tag).lower() == name:
            return value
    return ""


def _read_group(node: _Node, element: Element, problems: list[Problem]) -> Item:
    item = Item(element, node.template.copy())
    item.rest = _read(node, element, item, problems)
    return item


def _read(node: _Node, element: Element, item: Item, problems: list[Problem]) -> Rest | None:
    """Read an element's own text, attributes and children into ``item.row``.

    Returns:
        What no column took.
    """
    rest = _read_own(node, element, item, problems)
    row = item.row
    by_tag = node.by_tag
    for child in element:
        tag = child.tag
        try:
            place = by_tag[tag]
        except KeyError:
            place = node.resolve(tag)
        tail = child.tail
        if tail is not None and not tail.isspace():
            rest = _add(rest, _TEXT, tail.strip())
        if place is not None and place.leaf and not len(child) and not child.keys():
            # Nearly all elements end here: one text and nothing else.
            text = child.text
            if text is None or not (text := text.strip()):
                continue
            rule = place.rule
            assert rule is not None
            if place.plain and row[rule.column] is None:
                row[rule.column] = text
            else:
                rest = _store(rule, place.path, tag, text, row, rest, problems)
        else:
            rest = _read_child(place, child, item, rest, problems)
    return rest


def _read_own(node: _Node, element: Element, item: Item, problems: list[Problem]) -> Rest | None:
    """The element's own text before its first child, and its attributes."""
    rest: Rest | None = None
    text = element.text
    if text is not None and (text := text.strip()):
        if node.rule is None:
            rest = _add(rest, _TEXT, text)
        else:
            rest = _store(node.rule, node.path, _TEXT, text, item.row, rest, problems)
    for tag, value in element.items():
        name = local_name(tag)
        known = node.attributes.get(name.lower())
        if known is None:
            rest = _add(rest, f"@{name}", value)
        elif text := value.strip():
            rest = _store(known[0], known[1], f"@{name}", text, item.row, rest, problems)
    return rest


def _read_child(
    place: _Node | None,
    child: Element,
    item: Item,
    rest: Rest | None,
    problems: list[Problem],
) -> Rest | None:
    """A child that is more, or less, than one text for one column."""
    if place is None:
        return _add_unknown(rest, child)
    if place.group is not None:
        inner = _read_group(place, child, problems)
        item.items.setdefault(place.group.path, []).append(inner)
        return rest
    if place.rule is None:
        within = _read(place, child, item, problems)
        return rest if within is None else _add(rest, local_name(child.tag), within)
    return _read_leaf(place, child, item.row, rest, problems)


def _read_leaf(
    place: _Node, child: Element, row: Row, rest: Rest | None, problems: list[Problem]
) -> Rest | None:
    """An element with a rule for its text, that may hold more than a text."""
    rule, name = place.rule, local_name(child.tag)
    assert rule is not None
    if any(isinstance(inner.tag, str) for inner in child):
        problems.append(Problem(place.path, "has elements inside", _serialized(child)))
        return _add(rest, name, to_json(child))
    attributes = {f"@{local_name(tag)}": value for tag, value in child.items()}
    if attributes:
        rest = _add(rest, name, attributes)
    text = "".join(_texts(child)).strip()
    return _store(rule, place.path, name, text, row, rest, problems) if text else rest


def _store(
    rule: Rule,
    path: str,
    tag: str,
    text: str,
    row: Row,
    rest: Rest | None,
    problems: list[Problem],
) -> Rest | None:
    """Put one text where its rule says, and into the rest what the columns do not say."""
    column = rule.column
    if rule.uncompared:
        row[column] = _add(row[column], path, text)
        return rest
    if rule.repeated:
        row[column] = [*(row[column] or ()), text]
        return rest
    if row[column] is not None or (rule.text_column and row[rule.text_column] is not None):
        return _add(rest, local_name(tag), text)  # the element occurs again: the first one counts
    if rule.text_column is not None:
        row[rule.text_column] = text
    try:
        value: Any = text if rule.convert is None else rule.convert(text)
    except ConversionError as error:
        problems.append(Problem(path, str(error), text))
        return _add(rest, local_name(tag), text)
    if type(value) is Inexact:
        value = value.value
        rest = _add(rest, local_name(tag), text)
    elif rule.keep_text:
        rest = _add(rest, local_name(tag), text)
    if rule.unit_column is not None:
        number, unit = value
        row[column] = number
        row[rule.unit_column] = row[rule.unit_column] or unit
    else:
        row[column] = value
    return rest


def _add(rest: Rest | None, name: str, value: Any) -> Rest:
    """Keep a value under a name; a name that occurs again gets a list."""
    if rest is None:
        return {name: value}
    if name not in rest:
        rest[name] = value
    elif isinstance(rest[name], list):
        rest[name].append(value)
    else:
        rest[name] = [rest[name], value]
    return rest


def add_rest(rest: Rest | None, path: str, value: Any) -> Rest:
    """Keep a value under a path of names, ``Phones/Phone`` say."""
    first, _, others = path.partition("/")
    if others:
        within = (rest or {}).get(first)
        if isinstance(within, dict):
            add_rest(within, others, value)
            return rest or {}
        value = add_rest(None, others, value)
    return _add(rest, first, value)


def _add_unknown(rest: Rest | None, child: Element) -> Rest | None:
    if isinstance(child.tag, str):
        return _add(rest, local_name(child.tag), to_json(child))
    if child.tag is etree.Entity:
        return _add(rest, _TEXT, child.text)
    return rest


def to_json(element: Element) -> Any:
    """An element as text, or as a dictionary when it has attributes or children."""
    rest: Rest | None = None
    for tag, value in element.items():
        rest = _add(rest, f"@{local_name(tag)}", value)
    for child in element:
        if isinstance(child.tag, str):
            rest = _add(rest, local_name(child.tag), to_json(child))
    texts = [text for piece in _texts(element) if (text := piece.strip())]
    if rest is None:
        return " ".join(texts)
    for text in texts:
        rest = _add(rest, _TEXT, text)
    return rest


def _texts(element: Element) -> Iterable[str]:
    """The pieces of text that are the element's own, entities that stay unresolved included."""
    if element.text:
        yield element.text
    for child in element:
        if child.tag is etree.Entity and child.text:
            yield child.text
        if child.tail:
            yield child.tail


def _serialized(element: Element) -> str:
    text: str = etree.tostring(element, encoding="unicode", with_tail=False)
    return text
