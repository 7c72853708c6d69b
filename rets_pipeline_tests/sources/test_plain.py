"""Plain XML: what is cut out of a page and read without a parser is what a parser finds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from rets_pipeline.sandbox import search
from rets_pipeline.sandbox.world import Sandbox
from rets_pipeline.sources.base import ParsedListing
from rets_pipeline.sources.ddf import DdfSource
from rets_pipeline.sources.plain import NotPlain, attributes, is_legal, plain, resolved, sliced
from rets_pipeline_tests.sources import payloads

SOURCE = DdfSource()
NAME = "PropertyDetails"

#: pieces of markup, put into records anywhere: most make them odd, some break them
ODD = st.sampled_from(
    [
        "<Extra>&lt;b&gt; &amp; &#233;&#x1F600; &quot;x&apos;</Extra>",
        "<Extra a='1 &gt; 0' b=\"it's &#10; so\"/>",
        "<Extra  a = '1'\n b\t=\"2\" >text</Extra >",
        "<Extra ><Inner/>tail<Inner />tail &amp; more</Extra>",
        "loose &amp; text",
        "a > b",
        "\r\n",
        "\r",
        "<!-- <PropertyDetails> -->",
        "<![CDATA[</PropertyDetails>]]>",
        "<?php <PropertyDetails ?>",
        "<Extra a='>'>x</Extra>",
        "<x:Extra xmlns:x='urn:x' x:a='1'>y</x:Extra>",
        "<Extra xmlns='urn:other'>z</Extra>",
        "<PropertyDetails ID='7'/>",
        "<PropertyDetails ID='8'>nested</PropertyDetails>",
        "<PropertyDetailsExtra>x</PropertyDetailsExtra>",
        "<Price>1</Price><PRICE>2</PRICE>",
        "<Building><Rooms><Room>words<Type>Den</Type></Room></Rooms></Building>",
        "<é>accents in names</é>",
        "<Extra>\u2028\u00a0 \U0001f3e1 </Extra>",
        "</Extra>",
        "<Extra>",
        "<",
        "&nbsp;",
        "&",
        "&#0;",
        "<Extra",
        "<Extra a=1/>",
        "<Extra a='1' a='2'/>",
        "</PropertyDetails>",
    ]
)


def small(key: str) -> str:
    return (
        f'<PropertyDetails ID="{key}" LastUpdated="Wed, 13 Mar 2024 14:33:02 GMT"><Price>5</Price>'
        f"<Photo><PropertyPhoto><SequenceId>1</SequenceId><Description /></PropertyPhoto></Photo>"
        f"<PublicRemarks>Close to A &amp; B</PublicRemarks></PropertyDetails>"
    )


@st.composite
def records(draw: st.DrawFn) -> str:
    text = small(str(draw(st.integers(1, 9))))
    for _ in range(draw(st.integers(0, 3))):
        places = [at for at, sign in enumerate(text) if sign in "<>"]
        at = draw(st.sampled_from(places))
        at += text[at] == ">"
        text = text[:at] + draw(ODD) + text[at:]
    return text


def rows_of(record: object) -> object:
    result = SOURCE.parse(record, "hash")
    if isinstance(result, ParsedListing):
        return result.rows, [(problem.field, problem.reason) for problem in result.problems]
    return result.listing_key, result.problem.reason


def by_parser(page: bytes) -> list[etree._Element] | None:
    """The outermost records, as a parser finds them; None when the page is no XML."""
    try:
        root = etree.fromstring(page, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return None
    found = root.iter(f"{{*}}{NAME}")
    return [one for one in found if not any(True for _ in one.iterancestors(f"{{*}}{NAME}"))]


@settings(max_examples=400, deadline=None)
@given(st.lists(records(), max_size=3))
def test_what_is_read_without_a_parser_is_what_a_parser_finds(texts: list[str]) -> None:
    page = payloads.answer(texts)
    cut = sliced(page, NAME)
    elements = by_parser(page)
    if cut is None or elements is None:
        return
    around = by_parser(cut.around)
    if around is None or len(around) != len(cut.records) or len(elements) != len(cut.records):
        return  # then the client's proofs send the page to a parser
    for record, element in zip(cut.records, elements, strict=True):
        try:
            read = rows_of(record)
        except NotPlain:
            continue
        assert read == rows_of(element)


@settings(max_examples=200, deadline=None)
@given(records())
def test_the_plain_form_of_an_element_can_always_be_read(text: str) -> None:
    elements = by_parser(payloads.answer([text]))
    for element in elements or ():
        written = plain(element)
        again = etree.fromstring(written, etree.XMLParser(huge_tree=True))
        assert plain(again) == written
        rows_of(written)  # no NotPlain


def test_records_of_the_sandbox_are_plain_and_read_alike() -> None:
    """Nothing goes the slow way, and both ways agree, the hash included."""
    world = Sandbox(300, 60, 11, max_photos=12)
    for page in search.pages(world):
        cut = sliced(page, NAME)
        elements = by_parser(page)
        assert cut is not None
        assert elements is not None
        assert len(cut.records) == len(elements)
        for record, element in zip(cut.records, elements, strict=True):
            head = SOURCE.head(record)
            listing, other = SOURCE.parse(record), SOURCE.parse(element)
            assert listing == other
            assert (head.key, head.content_hash) == (listing.key, listing.content_hash)
            assert isinstance(listing, ParsedListing)
            assert head.payload_timestamp == listing.payload_timestamp


@pytest.mark.parametrize("resource", ["Agent", "Office"])
def test_agents_and_offices_of_the_sandbox_are_plain_too(resource: str) -> None:
    source = SOURCE.others["Member" if resource == "Agent" else resource]
    world = Sandbox(100, 60, 11)
    for page in search.pages(world, resource=resource):
        cut = sliced(page, source.detail_record)
        assert cut is not None
        for record in cut.records:
            element = etree.fromstring(record)
            assert source.parse(record) == source.parse(element)
            head = source.head(record)
            parsed = source.parse(record)
            assert (head.key, head.content_hash) == (parsed.key, parsed.content_hash)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change",
    [
        lambda page: page.replace(b"utf-8", b"iso-8859-1"),
        lambda page: b"\xef\xbb\xbf" + page,
        lambda page: page.replace(b"<Price>", b"<!-- x --><Price>"),
        lambda page: page.replace(b"<Price>5", b"<Price><![CDATA[5]]>"),
        lambda page: page.replace(b"<Price>", b"<?x y?><Price>"),
        lambda page: page.replace(b"Close", b"Cl\xe9se"),
        lambda page: page.replace(b"<PropertyDetails ", b"<d:PropertyDetails "),
        lambda page: page.replace(b"</PropertyDetails>", b"</PropertyDetails >"),
        lambda page: b"",
    ],
)
def test_pages_that_are_not_cut(change) -> None:
    page = payloads.answer([small("1"), small("2")])
    assert sliced(page, NAME) is not None
    assert sliced(change(page), NAME) is None


def test_what_stands_between_records_stays_around_them() -> None:
    page = payloads.answer([small("1"), "\n<Note/>", small("2")])
    cut = sliced(page, NAME)
    assert cut is not None
    assert len(cut.records) == 1  # the proof of completeness will miss the other one
    assert b"<Note/>" in cut.around


def test_line_ends_are_what_xml_makes_of_them() -> None:
    page = payloads.answer([small("1").replace("Close to", "Close\r\nto\r")])
    cut = sliced(page, NAME)
    assert cut is not None
    assert b"Close\nto\n A" in cut.records[0]


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\x1f", "\ufffe", "\uffff"])
def test_characters_that_no_xml_holds(character: str) -> None:
    assert is_legal("a\t\n é".encode())
    assert not is_legal(f"a{character}b".encode())


@given(st.text(max_size=20))
def test_references_are_resolved_or_refused(text: str) -> None:
    xml = f"<a>{text.replace('<', '')}</a>"
    try:
        element = etree.fromstring(xml, etree.XMLParser(resolve_entities=False))
    except etree.XMLSyntaxError:
        return
    try:
        found = resolved(text.replace("<", "").replace("\r\n", "\n").replace("\r", "\n"))
    except NotPlain:
        return
    assert found == (element.text or "")


@pytest.mark.parametrize("text", ["&", "& b", "&eacute;", "&#xD800;", "&#0;", "&#1114112;", "&amp"])
def test_references_for_a_parser(text: str) -> None:
    with pytest.raises(NotPlain):
        resolved(text)


@pytest.mark.parametrize(
    "text", [" a", " a=", " a=1", " a='<", " a='1'b='2'", " x:a='1'", " xmlns='u'", " a='1' /"]
)
def test_attributes_for_a_parser(text: str) -> None:
    with pytest.raises(NotPlain):
        attributes(text)


def test_attributes() -> None:
    assert attributes("") == ()
    found = attributes(' ID="1"\n Name = \'a &amp; "b"\tc\' ')
    assert found == (("ID", "1"), ("Name", 'a & "b" c'))


def test_hostile_records_take_no_time() -> None:
    for piece in ("<a>", "<a b='", "</a>", "&", "<a/>", "<PropertyPhoto>", "&amp;" * 100):
        record = f"<PropertyDetails ID='1'>{piece * 20_000}</PropertyDetails>".encode()
        try:
            SOURCE.parse(record)
        except NotPlain:
            continue
