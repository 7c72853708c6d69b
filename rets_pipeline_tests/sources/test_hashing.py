"""The content hash: what DDF moves without a change leaves it alone, all else changes it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from rets_pipeline.sources.ddf import DdfSource
from rets_pipeline.sources.ddf.hashing import content_hash, without_ticks
from rets_pipeline_tests.sources import payloads

LISTING = payloads.listing()
MASKED = {("Office", "LastUpdated"), ("PropertyDetails", "LastUpdated")}
MASKED_ELEMENTS = {
    ("PropertyPhoto", "LastUpdated"),
    ("Logo", "LastUpdated"),
    ("Office", "LogoLastUpdated"),
}


def hash_of(xml: str) -> str:
    return DdfSource().parse(payloads.element(xml)).content_hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            'LastUpdated="Wed, 13 Mar 2024 14:33:02 GMT"',
            'LastUpdated="Thu, 14 Mar 2024 01:00:00 GMT"',
        ),
        (
            'LastUpdated="Wed, 13 Mar 2024 14:32:55 GMT"',
            'LastUpdated="Thu, 14 Mar 2024 01:00:00 GMT"',
        ),
        ("<LogoLastUpdated>Wed, 13", "<LogoLastUpdated>Wed, 12"),
        ("</ThumbnailURL><LastUpdated>Wed, 13", "</ThumbnailURL><LastUpdated>Wed, 12"),
        ("<LastUpdated>Wed, 04 Sep 2024", "<LastUpdated>22/01/2019"),
        ("TS638459335750000000", "TS638459335759999999"),
    ],
)
def test_what_is_masked(old, new):
    assert old in LISTING
    assert hash_of(LISTING.replace(old, new)) == hash_of(LISTING)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("699000.00", "698000.00"),
        ("<PhotoLastUpdated>Sun, 10", "<PhotoLastUpdated>Sun, 11"),
        ("<PhotoLastUpdated>Tue, 05", "<PhotoLastUpdated>Tue, 06"),
        ("TS638456460001130000", "TS638456460001130001"),
        ("lowres/90001.jpg", "lowres/90002.jpg"),
        ('<Office ID="90001"', '<Office ID="90002"'),
        ("<Franchise />", "<Franchise>true</Franchise>"),
    ],
)
def test_what_counts(old, new):
    assert old in LISTING
    assert hash_of(LISTING.replace(old, new)) != hash_of(LISTING)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_exactly_the_masked_places_do_not_count(data):
    """Any one text or attribute of a record is changed; the hash says whether it counts."""
    record = payloads.element(LISTING)
    before = content_hash(etree.tostring(record))
    elements = list(record.iter())
    element = data.draw(st.sampled_from(elements))
    name = etree.QName(element).localname
    attributes = list(element.keys())
    if attributes and data.draw(st.booleans()):
        attribute = data.draw(st.sampled_from(attributes))
        element.set(attribute, element.get(attribute) + "9")
        masked = (name, attribute) in MASKED
    else:
        parent = element.getparent()
        parent_name = "" if parent is None else etree.QName(parent).localname
        element.text = (element.text or "") + "9"
        masked = (parent_name, name) in MASKED_ELEMENTS
    assert (content_hash(etree.tostring(record)) == before) is masked


def test_the_same_name_elsewhere_counts():
    photo = "<Photo><LastUpdated>{}</LastUpdated></Photo>"
    agents = [payloads.agent().replace("<Phones>", photo.format(n) + "<Phones>", 1) for n in "12"]
    hashes = {hash_of(payloads.listing(agents=agent)) for agent in agents}
    assert len(hashes) == 2
    land = [LISTING.replace("<Land>", f"<Land><LastUpdated>{n}</LastUpdated>") for n in "12"]
    assert hash_of(land[0]) != hash_of(land[1])
    nested = [
        LISTING.replace("<SequenceId>1<", f"<X><LastUpdated>{n}</LastUpdated></X><SequenceId>1<")
        for n in "12"
    ]
    assert hash_of(nested[0]) != hash_of(nested[1])


def test_the_answer_around_a_record_does_not_count():
    page = payloads.answer([payloads.listing(namespace=False), payloads.listing("1")])
    records = list(etree.fromstring(page).iter("{*}PropertyDetails"))
    assert len(records) == 2
    assert DdfSource().parse(records[0]).content_hash == hash_of(LISTING)


def test_hostile_bytes_take_no_time():
    for piece in (b"<Logo>", b"<PropertyPhoto>", b"<Office a='1'", b"<LastUpdated>", b"<a>x</a>"):
        content_hash(b"<PropertyDetails>" + b"<PropertyPhoto>" + piece * 2_000)


def test_addresses_without_ticks():
    assert without_ticks("https://x/TS12/lowres/1.jpg") == "https://x/TS/lowres/1.jpg"
