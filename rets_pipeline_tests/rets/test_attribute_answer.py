"""Attributes as columns: the fast way must find what the parser finds, and prove as much."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rets_pipeline.rets import CountMismatch, RetsError, read_attributes, read_search
from rets_pipeline.rets.attribute_answer import read_alike
from rets_pipeline.rets.envelope import attribute

from .scripted_server import master_list

NAMES = ("ID", "LastUpdated")
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

Rows = list[tuple[str | None, ...]]


def by_columns(body: bytes, size: int) -> Rows:
    """The rows, from columns."""
    chunks = (body[start : start + size] for start in range(0, len(body), size))
    answer = read_attributes(chunks, record="Property", names=NAMES)
    rows = list(chain.from_iterable(zip(*part, strict=True) for part in answer.columns()))
    assert answer.complete
    assert answer.rows == len(rows)
    return rows


def by_elements(body: bytes) -> Rows:
    """The rows, from a parser's elements."""
    answer = read_search([body], record="Property")
    return [tuple(attribute(element, name) for name in NAMES) for element in answer]


def outcome(read: object, *arguments: object) -> object:
    """The rows, or the kind of the error."""
    try:
        return read(*arguments)  # type: ignore[operator]
    except RetsError as error:
        return type(error)


PLAIN = '<Property ID="{0}" LastUpdated="Wed, 13 Mar 2024 14:33:02 GMT" />'
ELEMENTS = st.sampled_from(
    [
        *[PLAIN] * 6,
        '<Property ID="{0}" LastUpdated="x"/>',
        '\r\n  <Property\n ID = "{0}"\tLastUpdated="é > \'" />\r\n',
        '<Property LastUpdated="x" ID="{0}" />',
        "<Property ID='{0}' LastUpdated='\"'/>",
        '<Property id="{0}" lastupdated="x" />',
        '<Property ID="{0}" />',
        '<Property ID="{0}" LastUpdated="x" More="y" />',
        '<Property ID="{0}" LastUpdated="a&amp;b&#9;" />',
        '<Property ID="{0}" LastUpdated="a\nb\tc" />',
        '<Property ID="{0}" LastUpdated="x"></Property>',
        '<Property ID="{0}" LastUpdated="x"><Property ID="inner" LastUpdated="x" /></Property>',
        '<!-- <Property ID="{0}" LastUpdated="x" /> -->',
        '<Other><Property ID="{0}" LastUpdated="x" /></Other>',
        '<Other><![CDATA[<Property ID="{0}" LastUpdated="x" />]]></Other>',
        '<x:Property xmlns:x="urn:y" ID="{0}" LastUpdated="x" />',
        "some text / > ' \" ",
        "<Other a='/>' />",
        "<PropertyDetails ID='{0}' />",
    ]
)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Answers whose COUNT is right more often than not."""
    parts = draw(st.lists(ELEMENTS, max_size=30))
    inside = "".join(part.format(number) for number, part in enumerate(parts))
    records = "<RETS ReplyCode='0'><RETS-RESPONSE xmlns='urn:z'>{}</RETS-RESPONSE></RETS>"
    whole = read_search([records.format(inside).encode()], record="Property", expect_all=False)
    count = sum(1 for _ in whole) + draw(st.sampled_from([0, 0, 0, 1]))
    return (
        f'<?xml version="1.0"?><RETS ReplyCode="0" ReplyText="x"><COUNT Records="{count}" />'
        f'<RETS-RESPONSE xmlns="urn:z">{inside}</RETS-RESPONSE></RETS>'
    ).encode()


@relaxed
@given(documents(), st.integers(1, 300))
def test_columns_are_what_a_parser_finds(body: bytes, size: int) -> None:
    assert outcome(by_columns, body, size) == outcome(by_elements, body)


@relaxed
@given(documents(), st.integers(1, 300), st.data())
def test_damage_is_never_passed_over(body: bytes, size: int, data: st.DataObject) -> None:
    """A parser sees everything; what the fast way does not show it must be as good."""
    at = data.draw(st.integers(0, len(body) - 1))
    byte = data.draw(st.sampled_from([b"<", b">", b"&", b'"', b"/", b"\x00", b"\xff", b""]))
    broken = body[:at] + byte + body[at + 1 :]
    found = outcome(by_columns, broken, size)
    if isinstance(found, list):
        assert found == outcome(by_elements, broken)


@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_a_list_cut_anywhere_is_no_list(size: int) -> None:
    body = master_list([1, 2, 3, 4, 5])
    for end in range(1, len(body.rstrip()), 7 if size == 1 else 1):
        with pytest.raises(RetsError):
            by_columns(body[:end], size)


def test_most_of_a_long_list_never_meets_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    body = master_list(range(20_000))
    fed = 0

    def counted(text: bytes, *arguments: object) -> object:
        nonlocal fed
        found = read_alike(text, *arguments)  # type: ignore[arg-type]
        fed += len(text) if found else 0
        return found

    monkeypatch.setattr("rets_pipeline.rets.attribute_answer.read_alike", counted)
    assert len(by_columns(body, 64 * 1024)) == 20_000
    assert fed > 0.9 * (len(body) - 128 * 1024)


def test_a_list_that_lacks_a_record() -> None:
    body = master_list(range(3_000)).replace(PLAIN.format(2_999).encode(), b"")
    shorter = body.replace(b'Records="3000"', b'Records="3001"')
    with pytest.raises(CountMismatch, match="3001"):
        by_columns(shorter, 1_000)


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1))
@example([("a", 'b" LastUpdated="c')])
@example([("a", "\x7f")])
@example([("a", "\u2028")])
def test_what_is_read_alike_is_what_stands_there(values: list[tuple[str, str]]) -> None:
    text = "".join(f'<Property ID="{key}" LastUpdated="{moment}" />' for key, moment in values)
    try:
        found = read_alike(text.encode(errors="surrogatepass"), "Property", NAMES)
    except UnicodeEncodeError:
        return
    if found is not None:
        assert list(zip(*found, strict=True)) == values
