"""Applying the rules to a record: one walk over its pieces, nothing lost.

What belongs here: compiling rules, reading a record into rows, collecting what no rule took.
What does not: the rules (``mapping``), how the rows of one listing belong together (``parse``),
and what plain XML is (``sources.plain``).

A record is read without a tree: split at each ``<``, it is a list of pieces, each a tag with the
text behind it. Most elements are a piece with a text and the piece that closes it, and cost a few
dictionary look-ups. What is unusual takes longer ways, and what is not plain is refused.

What is left over becomes a dictionary under the payload's own names: a text for a plain element,
a dictionary for one with attributes (``@name``), children or mixed text (``#text``), a list for one
that occurs several times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from rets_pipeline.sources import plain
from rets_pipeline.sources.base import Problem, Row
from rets_pipeline.sources.ddf.mapping import Group, Rule
from rets_pipeline.sources.ddf.values import ConversionError, Converter, Inexact
from rets_pipeline.sources.plain import Attributes, NotPlain

Rest = dict[str, Any]

#: tags remembered a node, and how long they may be: a server can invent any number
_MEMORY = 1_000
_LONGEST_REMEMBERED = 200
#: what was converted is remembered: most texts occur in many records
_VALUES = 500
_TEXT = "#text"
_BLANKS = " \t\n"


class Element(NamedTuple):
    """An element of a record: where its start tag stands."""

    pieces: list[str]
    at: int


class Item:
    """What was read of one element that becomes a row.

    Attributes:
        row: column to value, with every column that the group's rules name. Values may be shared
            with other rows: they are replaced, never changed.
        rest: what no column took; None when that is nothing.
        items: the groups inside, by path.
    """

    __slots__ = ("_at", "_pieces", "items", "rest", "row")

    def __init__(self, pieces: list[str], at: int, row: Row) -> None:
        self._pieces = pieces
        self._at = at
        self.row = row
        self.rest: Rest | None = None
        self.items: dict[str, list[Item]] = {}

    @property
    def name(self) -> str:
        """The element's name, as written."""
        return _root_tag(self._pieces[self._at]).name

    @property
    def element(self) -> Element:
        """The element that was read."""
        return Element(self._pieces, self._at)


class _Node:
    """One element of the payload, as the rules know it."""

    __slots__ = (
        "attributes",
        "by_tag",
        "children",
        "convert",
        "group",
        "leaf",
        "path",
        "rule",
        "template",
    )

    def __init__(self, path: str) -> None:
        self.path = path
        self.rule: Rule | None = None
        self.convert: _Remembering | None = None
        self.group: Group | None = None
        self.attributes: dict[str, tuple[Rule, str, _Remembering | None]] = {}
        self.children: dict[str, _Node] = {}
        self.template: Row = {}
        self.by_tag: dict[str, _Tag] = {}
        self.leaf = False  # a rule for its text, and nothing inside

    def tag(self, head: str) -> _Tag:
        """What a child's tag means, without its brackets; remembered, for others share it."""
        empty = head.endswith("/")
        name, *written = (head[:-1] if empty else head).split(None, 1) or [""]
        if not name or not _FORBIDDEN.isdisjoint(name):
            raise NotPlain("a tag that is not plain")
        attributes = plain.attributes(f" {written[0]}") if written else ()
        tag = _Tag(name, self.children.get(name.lower()), empty, attributes)
        if len(head) <= _LONGEST_REMEMBERED:
            if len(self.by_tag) >= _MEMORY:
                self.by_tag.clear()
            self.by_tag[head] = tag
        return tag

    def child(self, name: str) -> _Node:
        """The child node of that name, made when it does not exist."""
        path = f"{self.path}/{name}" if self.path else name
        return self.children.setdefault(name.lower(), _Node(path))


#: what a name holds only when the tag is not plain
_FORBIDDEN: Final = frozenset(":=\"'&/!?")


class _Tag:
    """A start tag as it stands in a record, below a node.

    Attributes:
        name: as written.
        node: None for an element that no rule knows.
        empty: it is the end tag too.
        attributes: names and values.
        closing: the whole piece of the end tag.
        leaf: without attributes, with a rule for its text.
        column: where the text of a leaf goes, converted or not, if that is all.
        convert: its converter.
        group: it becomes a row.
        nothing: an empty leaf, which says nothing.
        row: of a group, the row with all attributes in it; None when they say more than a row.
    """

    __slots__ = (
        "attributes",
        "closing",
        "column",
        "convert",
        "empty",
        "group",
        "leaf",
        "name",
        "node",
        "nothing",
        "row",
    )

    def __init__(self, name: str, node: _Node | None, empty: bool, attributes: Attributes) -> None:
        self.name = name
        self.node = node
        self.empty = empty
        self.attributes = attributes
        self.closing = f"/{name}>"
        self.column: str | None = None
        self.convert: _Remembering | None = None
        self.group = False
        self.leaf = False
        self.nothing = False
        self.row: Row | None = None
        if node is None:
            return
        rule = node.rule
        if node.group is not None and not empty:
            self.group = True
            self.row = _row_of_attributes(node, attributes)
        if attributes:
            return
        if node.leaf and empty:
            self.nothing = True
        elif node.leaf and rule is not None:
            self.leaf = True
            if _goes_to_one_column(rule):
                self.column, self.convert = rule.column, node.convert


def _row_of_attributes(node: _Node, attributes: Attributes) -> Row | None:
    row = node.template.copy()
    problems: list[Problem] = []
    for name, value in attributes:
        rule, path, convert = node.attributes.get(name.lower(), (None, "", None))
        if rule is None or rule.uncompared or rule.repeated:
            return None
        if (text := value.strip()) and _store(rule, convert, path, name, text, row, None, problems):
            return None
    return None if problems else row


def _goes_to_one_column(rule: Rule) -> bool:
    return not (
        rule.unit_column or rule.text_column or rule.keep_text or rule.repeated or rule.uncompared
    )


class Engine:
    """The compiled rules of one kind of record.

    Args:
        group: the rules of the record.
    """

    def __init__(self, group: Group) -> None:
        self._root = _compiled(group, _Node(""))

    def read(self, record: bytes) -> tuple[Item, list[Problem]]:
        """Read a record. Values that do not convert are NULL, kept as text, and a problem each.

        Raises:
            NotPlain: its bytes are for a parser first (``sources.plain``).
        """
        problems: list[Problem] = []
        pieces = plain.pieces(record)
        try:
            root = _root_tag(pieces[0])
            item = Item(pieces, 0, self._root.template.copy())
            item.rest, at = _read(self._root, root, 0, item, problems)
            if at != len(pieces) - 1 or _tail(pieces[at]):
                raise NotPlain("more than one element")
        except (IndexError, _Unbalanced):
            raise NotPlain("tags that do not match") from None
        return item, problems


class _Unbalanced(Exception):
    """An end tag that ends another element."""


def name_and_attributes(record: bytes) -> tuple[str, Attributes]:
    """What the start tag of a record says, without reading on.

    Raises:
        NotPlain: its bytes are for a parser first.
    """
    tag = _root_tag(plain.pieces(record[: record.find(b">") + 1])[0])
    return tag.name, tag.attributes


_NOWHERE: Final = _Node("")


def _root_tag(piece: str) -> _Tag:
    head, closed, _ = piece.partition(">")
    if not closed:
        raise NotPlain("no start tag")
    return _NOWHERE.tag(head)


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
    convert = None if rule.convert is None else _Remembering(rule.convert)
    for name in containers:
        node = node.child(name)
    if last == ".":
        node.rule, node.convert = rule, convert
    elif last.startswith("@"):
        path = f"{node.path}/{last}" if node.path else last
        node.attributes[last[1:].lower()] = (rule, path, convert)
    else:
        leaf = node.child(last)
        leaf.rule, leaf.convert = rule, convert
        leaf.leaf = True


class _Remembering(dict[str, Any]):
    """A converter with a memory of what it converted: a look-up is faster than a call."""

    def __init__(self, convert: Converter) -> None:
        self._convert = convert

    def __missing__(self, text: str) -> Any:
        value = self._convert(text)
        if len(self) >= _VALUES:
            self.clear()
        self[text] = value
        return value


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


# Reading --------------------------------------------------------------------------------------
#
# Each function gets the place of a start tag, and returns that of the piece with the end tag: the
# same one for an empty element. The text behind an end tag belongs to the element around it.


def _read(  # noqa: C901 - nearly all the time goes here, and calls are what takes it
    node: _Node, tag: _Tag, at: int, item: Item, problems: list[Problem]
) -> tuple[Rest | None, int]:
    """Read an element's own text, attributes and children into ``item.row``.

    Returns:
        What no column took, and where the element ends.
    """
    pieces, row, by_tag, closing = item._pieces, item.row, node.by_tag, tag.closing
    piece = pieces[at]
    if piece.find(">") == len(piece) - 1 and (tag.row is not None or not tag.attributes):
        rest = None
    else:
        rest = _read_own(node, tag, piece, row, problems)
    if tag.empty:
        return rest, at
    while True:
        at += 1
        piece = pieces[at]
        head, closed, text = piece.partition(">")
        found = by_tag.get(head)
        if found is None:
            if piece == closing or _closes(piece, tag.name):
                return rest, at
            if not closed:
                raise NotPlain("a tag that does not end")
            found = node.tag(head)
        if found.leaf and pieces[at + 1] == found.closing:
            # Nearly all elements end here: one text and nothing else.
            at += 1
            if text and (text := text.strip()):
                if "&" in text and not (text := plain.resolved(text).strip()):
                    continue
                column = found.column
                if column is None:
                    rest = _store_leaf(found, text, row, rest, problems)
                elif row[column] is not None:
                    rest = _add(rest, found.name, text)  # it occurs again: the first one counts
                elif (convert := found.convert) is None:
                    row[column] = text
                elif (value := convert.get(text)) is None or value.__class__ is Inexact:
                    rest = _convert(convert, found, text, row, rest, problems)
                else:
                    row[column] = value
            continue
        if found.group:
            at = _add_group(found, at, item, problems)
        elif not found.nothing:
            rest, at = _read_child(found, at, item, rest, problems)
        if pieces[at] != found.closing and (text := _tail(pieces[at])):
            rest = _add(rest, _TEXT, text)


def _add_group(tag: _Tag, at: int, item: Item, problems: list[Problem]) -> int:
    """Read an element that becomes a row."""
    node, pieces = tag.node, item._pieces
    assert node is not None
    assert node.group is not None
    inner = Item(pieces, at, (tag.row or node.template).copy())
    items, path = item.items, node.group.path
    if path in items:
        items[path].append(inner)
    else:
        items[path] = [inner]
    inner.rest, at = _read(node, tag, at, inner, problems)
    return at


def _store_leaf(
    tag: _Tag, text: str, row: Row, rest: Rest | None, problems: list[Problem]
) -> Rest | None:
    """Put the text of a leaf where its rule says, if that is more than one column."""
    node = tag.node
    assert node is not None
    assert node.rule is not None
    return _store(node.rule, node.convert, node.path, tag.name, text, row, rest, problems)


def _convert(
    convert: _Remembering,
    tag: _Tag,
    text: str,
    row: Row,
    rest: Rest | None,
    problems: list[Problem],
) -> Rest | None:
    """Put a value into a column that is still free."""
    column = tag.column
    assert column is not None
    assert tag.node is not None
    try:
        value = convert[text]
    except ConversionError as error:
        problems.append(Problem(tag.node.path, str(error), text))
        return _add(rest, tag.name, text)
    if type(value) is Inexact:
        row[column] = value.value
        return _add(rest, tag.name, text)
    row[column] = value
    return rest


def _closes(piece: str, name: str) -> bool:
    """Whether a piece is the end tag of the element with that name; its text may follow.

    Raises:
        _Unbalanced: it is the end tag of another one.
    """
    if not piece.startswith("/"):
        return False
    head, closed, _ = piece.partition(">")
    if not closed or head[1:].rstrip(_BLANKS) != name:
        raise _Unbalanced
    return True


def _tail(piece: str) -> str:
    """The text behind the tag in a piece."""
    text = piece.partition(">")[2].strip()
    return plain.resolved(text).strip() if "&" in text else text


def _read_own(node: _Node, tag: _Tag, piece: str, row: Row, problems: list[Problem]) -> Rest | None:
    """The element's own text before its first child, and its attributes."""
    rest: Rest | None = None
    text = "" if tag.empty else _tail(piece)
    if text and node.rule is None:
        rest = _add(rest, _TEXT, text)
    elif text and node.rule is not None:
        rest = _store(node.rule, node.convert, node.path, _TEXT, text, row, rest, problems)
    if tag.row is not None:
        return rest  # its attributes are in the row from the start
    for name, value in tag.attributes:
        known = node.attributes.get(name.lower())
        if known is None:
            rest = _add(rest, f"@{name}", value)
        elif text := value.strip():
            rule, path, convert = known
            rest = _store(rule, convert, path, f"@{name}", text, row, rest, problems)
    return rest


def _read_child(
    tag: _Tag, at: int, item: Item, rest: Rest | None, problems: list[Problem]
) -> tuple[Rest | None, int]:
    """A child that is more, or less, than one text for one column."""
    place = tag.node
    if place is None:
        value, end = _to_json(tag, item._pieces, at)
        return _add(rest, tag.name, value), end
    if place.group is not None:
        return rest, _add_group(tag, at, item, problems)
    if place.rule is None:
        within, end = _read(place, tag, at, item, problems)
        return rest if within is None else _add(rest, tag.name, within), end
    return _read_leaf(place, tag, at, item, rest, problems)


def _read_leaf(
    place: _Node, tag: _Tag, at: int, item: Item, rest: Rest | None, problems: list[Problem]
) -> tuple[Rest | None, int]:
    """An element with a rule for its text, that may hold more than a text."""
    rule, pieces = place.rule, item._pieces
    assert rule is not None
    end = at if tag.empty else at + 1
    if not tag.empty and pieces[end] != tag.closing and not _closes(pieces[end], tag.name):
        value, end = _to_json(tag, pieces, at)
        problems.append(Problem(place.path, "has elements inside", _written(pieces, at, end)))
        return _add(rest, tag.name, value), end
    if tag.attributes:
        rest = _add(rest, tag.name, {f"@{name}": value for name, value in tag.attributes})
    text = "" if tag.empty else _tail(pieces[at])
    if text:
        rest = _store(rule, place.convert, place.path, tag.name, text, item.row, rest, problems)
    return rest, end


def _store(
    rule: Rule,
    convert: _Remembering | None,
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
        return _add(rest, tag, text)  # the element occurs again: the first one counts
    if rule.text_column is not None:
        row[rule.text_column] = text
    try:
        value: Any = text if convert is None else convert[text]
    except ConversionError as error:
        problems.append(Problem(path, str(error), text))
        return _add(rest, tag, text)
    if type(value) is Inexact:
        value = value.value
        rest = _add(rest, tag, text)
    elif rule.keep_text:
        rest = _add(rest, tag, text)
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


def to_json(element: Element) -> Any:
    """An element as text, or as a dictionary when it has attributes or children."""
    pieces, at = element
    return _to_json(_root_tag(pieces[at]), pieces, at)[0]


def _to_json(tag: _Tag, pieces: list[str], at: int) -> tuple[Any, int]:
    """An element as text or as a dictionary, and where it ends."""
    rest: Rest | None = None
    texts = []
    for name, value in tag.attributes:
        rest = _add(rest, f"@{name}", value)
    if not tag.empty:
        texts.append(_tail(pieces[at]))
        while not _closes(pieces[at := at + 1], tag.name):
            child = _root_tag(pieces[at])
            value, at = _to_json(child, pieces, at)
            rest = _add(rest, child.name, value)
            texts.append(_tail(pieces[at]))
    texts = [text for text in texts if text]
    if rest is None:
        return " ".join(texts), at
    for text in texts:
        rest = _add(rest, _TEXT, text)
    return rest, at


def _written(pieces: list[str], start: int, end: int) -> str:
    """An element as it stands in the record."""
    last, closed, _ = pieces[end].partition(">")
    return "".join(f"<{piece}" for piece in (*pieces[start:end], last + closed))
