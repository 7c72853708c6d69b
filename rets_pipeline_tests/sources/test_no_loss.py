"""Nothing of a payload is lost: whatever stands in it is found in a row."""

from __future__ import annotations

import itertools
import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from rets_pipeline.sources.base import ParsedListing
from rets_pipeline.sources.ddf import DdfSource, mapping
from rets_pipeline_tests.sources import payloads

NAMES = st.one_of(
    st.sampled_from(["Building", "Price", "Photo", "Address", "Office", "Event", "ID", "Name"]),
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True),
)


def words(result: ParsedListing) -> str:
    """Everything in the rows as one text."""
    return json.dumps(result.rows, default=str, ensure_ascii=False)


def parsed(record) -> ParsedListing:
    result = DdfSource().parse(record)
    assert isinstance(result, ParsedListing)
    return result


def decorate(record, data, tokens) -> list[str]:
    """Put elements, attributes and loose text that nobody has ever seen into a record."""
    places = [element for element in record.iter() if isinstance(element.tag, str)]
    placed = []
    for _ in range(data.draw(st.integers(1, 12))):
        place = data.draw(st.sampled_from(places))
        token, name = next(tokens), data.draw(NAMES)
        kind = data.draw(st.sampled_from(["element", "attribute", "nested", "text", "comment"]))
        if kind == "attribute":
            if name in place.attrib or (place is record and name.lower() == "id"):
                continue
            place.set(name, token)
        elif kind == "text":
            place.append(etree.Comment("a comment between"))
            place[-1].tail = token
        else:
            if kind == "comment":
                place.insert(0, etree.Comment("before"))
            index = data.draw(st.integers(0, len(place)))
            child = etree.Element(name)
            place.insert(index, child)
            target = etree.SubElement(child, data.draw(NAMES)) if kind == "nested" else child
            target.text = token
        placed.append(token)
    return placed


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_invented_elements_and_attributes_are_found_again(data):
    record = payloads.element(payloads.listing(namespace=data.draw(st.booleans())))
    tokens = (f"token{number:04}x" for number in itertools.count())
    placed = decorate(record, data, tokens)
    found = words(parsed(record))
    assert [token for token in placed if token not in found] == []


def test_every_text_and_attribute_of_a_whole_record_as_a_token():
    """The documented elements, each holding a word that converts to nothing."""
    record = payloads.element(payloads.listing())
    tokens = []
    for number, element in enumerate(record.iter()):
        if not len(element):
            element.text = f"text{number:04}x"
            tokens.append(element.text)
        for name in element.keys():  # noqa: SIM118
            if name != "ID":
                element.set(name, f"{name}{number:04}x")
                tokens.append(element.get(name))
    found = words(parsed(record))
    assert [token for token in tokens if token not in found] == []
    assert len(tokens) > 150


def test_every_rule_of_the_mapping_as_a_token():
    """One record made from the rules themselves, so that no rule is untested."""
    counter = itertools.count()
    record = etree.Element("PropertyDetails", ID="1")
    tokens: list[str] = []
    fill(record, mapping.PROPERTY, counter, tokens)
    result = parsed(record)
    found = words(result)
    assert [token for token in tokens if token not in found] == []
    assert len(tokens) > 180


def fill(element, group: mapping.Group, counter, tokens: list[str]) -> None:
    for rule in group.rules:
        if rule.path == "@ID":
            element.set("ID", "1")
            continue
        token = f"rule{next(counter):04}x"
        tokens.append(token)
        *parents, last = rule.path.split("/")
        place = descend(element, parents)
        if last == ".":
            place.text = token
        elif last.startswith("@"):
            place.set(last[1:], token)
        else:
            etree.SubElement(place, last).text = token
    for inner in group.groups:
        *parents, last = inner.path.split("/")
        fill(etree.SubElement(descend(element, parents), last), inner, counter, tokens)


def descend(element, names: list[str]):
    for name in names:
        found = element.find(name)
        element = etree.SubElement(element, name) if found is None else found
    return element


def test_elements_that_occur_again_are_kept():
    """DDF documents most elements as 0..1; a second one must not vanish."""
    record = payloads.element(payloads.listing(namespace=False))
    generator = random.Random(7)
    leaves = [e for e in record.iter() if not len(e) and e.tag != "SequenceId"]
    tokens = []
    for number, leaf in enumerate(generator.sample(leaves, 40)):
        twin = etree.Element(leaf.tag)
        twin.text = f"again{number:04}x"
        leaf.addnext(twin)
        tokens.append(twin.text)
    found = words(parsed(record))
    assert [token for token in tokens if token not in found] == []


def test_encoded_lookups_keep_their_ids():
    xml = payloads.listing().replace("<HeatingType>", '<HeatingType ID="7,12">')
    xml = xml.replace("<SizeInterior>", '<SizeInterior Unit="1">')
    (row,) = parsed(payloads.element(xml)).rows["property"]
    assert row["heating"] == ["Forced air", "Baseboard heaters"]
    assert row["source_fields"]["Building"]["HeatingType"] == {"@ID": "7,12"}
    assert row["source_fields"]["Building"]["SizeInterior"] == [{"@Unit": "1"}, "2732 sqft"]


def test_comments_and_cdata_inside_values():
    xml = payloads.listing().replace(
        "<Price>699000.00</Price>", "<Price>699<!-- x --><![CDATA[000]]>.00</Price>"
    )
    result = parsed(payloads.element(xml))
    assert str(result.rows["property"][0]["list_price"]) == "699000.00"
    assert result.problems == []
