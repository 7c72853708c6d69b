"""The filter before the parser: every repair, every border, and clean bytes left alone."""

from __future__ import annotations

import itertools
import logging
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rets_pipeline.rets import read_search
from rets_pipeline.rets.encodings import LONE_SURROGATE, SURROGATE_PAIR, WINDOWS_1252
from rets_pipeline.rets.repair import (
    CONTROL_CHARACTER,
    HTML_REFERENCE,
    ILLEGAL_REFERENCE,
    STRAY_AMPERSAND,
    ByteFilter,
    Cleaner,
)

from .damage import repaired
from .scripted_server import reply

relaxed = settings(deadline=None)


def filtered(*portions: bytes) -> tuple[bytes, dict[str, int]]:
    repairs: Counter[str] = Counter()
    repair = ByteFilter(repairs)
    out = b"".join(map(repair.feed, portions)) + repair.close()
    return out, dict(repairs)


def cleaned(*portions: bytes) -> tuple[bytes, dict[str, int]]:
    cleaner = Cleaner()
    out = b"".join(map(cleaner.feed, portions)) + cleaner.close()
    return out, dict(cleaner.repairs)


CASES = [
    (b"AT&T", b"AT&amp;T", {STRAY_AMPERSAND: 1}),
    (b"salt & pepper &", b"salt &amp; pepper &amp;", {STRAY_AMPERSAND: 2}),
    (b"R&D; &unknown; &#; &#x; &#12", b"R&amp;D; &amp;unknown; &amp;#; &amp;#x; &amp;#12", 5),
    (b"&amp;&lt;&gt;&quot;&apos;&#233;&#x1F60A;&#9;", None, {}),
    (b"&amp;amp; &amp;nbsp;", None, {}),
    (b"a\x00b\x10\x1fc\td\r\ne\x7f", b"abc\td\r\ne\x7f", {CONTROL_CHARACTER: 3}),
    (b"line\x0bline\x0cpage", b"line line page", {CONTROL_CHARACTER: 2}),
    (b"a\xef\xbf\xbeb\xef\xbf\xbfc\xef\xbf\xbd", b"abc\xef\xbf\xbd", {CONTROL_CHARACTER: 2}),
    (b"a&#x10;b&#0;c&#xFFFE;d&#1114112;e", b"abcde", {ILLEGAL_REFERENCE: 4}),
    (b"a&#11;b", b"a b", {ILLEGAL_REFERENCE: 1}),
    (b"&#55357;&#56842;", b"&#128522;", {SURROGATE_PAIR: 1}),
    (b"&#xD83D;&#xde0a;", b"&#128522;", {SURROGATE_PAIR: 1}),
    (b"a&#55357;b&#56842;c", b"abc", {LONE_SURROGATE: 2}),
    (b"&#55357;&#55357;&#56842;", b"&#128522;", {LONE_SURROGATE: 1, SURROGATE_PAIR: 1}),
    (b"&#55357;&amp;&#55357;", b"&amp;", {LONE_SURROGATE: 2}),
    (b"&nbsp;&eacute;&LT;", b"&#160;&#233;&#60;", {HTML_REFERENCE: 3}),
    (b"<![CDATA[AT&T &#x10; <b> &]]> & ", b"<![CDATA[AT&T &#x10; <b> &]]> &amp; ", 1),
    (b"<![CDATA[a\x10b]]>", b"<![CDATA[ab]]>", {CONTROL_CHARACTER: 1}),
    (b"<!-- a & b --><?pi a & b?>&", b"<!-- a & b --><?pi a & b?>&amp;", {STRAY_AMPERSAND: 1}),
    (b"<a b='x&y'/>", b"<a b='x&amp;y'/>", {STRAY_AMPERSAND: 1}),
    (b"<![CDATA[ ]] & > ]]>&", b"<![CDATA[ ]] & > ]]>&amp;", {STRAY_AMPERSAND: 1}),
    (b"Hot! <b>What?</b> a <! b", None, {}),
    (b"&#" + b"0" * 50 + b"65;", b"&amp;#" + b"0" * 50 + b"65;", {STRAY_AMPERSAND: 1}),
]


@pytest.mark.parametrize(("data", "expected", "repairs"), CASES)
def test_each_repair_in_any_portions(
    data: bytes, expected: bytes | None, repairs: dict[str, int] | int
) -> None:
    expected = data if expected is None else expected
    repairs = {STRAY_AMPERSAND: repairs} if isinstance(repairs, int) else repairs
    assert filtered(data) == (expected, repairs)
    assert filtered(*(data[at : at + 1] for at in range(len(data)))) == (expected, repairs)
    for at in range(len(data)):
        assert filtered(data[:at], data[at:]) == (expected, repairs)
        assert filtered(data[:at], b"", data[at:] + b"<x/>") == (expected + b"<x/>", repairs)


PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *(b"&", b"&amp;", b"&#55357;", b"&#56842;", b"&#x10;", b"&#", b"x", b";", b"&nbsp"),
                *(
                    b"<![CDATA[",
                    b"]]>",
                    b"]",
                    b">",
                    b"<",
                    b"<!--",
                    b"-->",
                    b"-",
                    b"<?",
                    b"?>",
                    b"!",
                ),
                *(b"\x00", b"\x0b", b"\t", b"\xef\xbf\xbe", b"\xc3\xa9", b"\xe9", b"\xed\xa0\xbd"),
                *(b"\xed\xb8\x8a", b"\xf0\x9f\x98\x8a", b"\xef", b"\xbf", b"<?xml?>"),
            ]
        ),
        st.binary(max_size=3),
    ),
    max_size=30,
).map(b"".join)


@settings(relaxed, max_examples=500)
@given(PIECES, st.lists(st.integers(0, 200), max_size=12))
def test_the_portions_do_not_matter(data: bytes, borders: list[int]) -> None:
    data = b"<RETS>" + data
    cuts = [0, *sorted(border % (len(data) + 1) for border in borders), len(data)]
    portions = [data[start:end] for start, end in itertools.pairwise(cuts)]
    assert cleaned(*portions) == cleaned(data)


@settings(relaxed, max_examples=500)
@given(PIECES)
def test_the_same_as_a_second_opinion_and_nothing_left_to_repair(data: bytes) -> None:
    data = b"<RETS>" + data
    clean, repairs = cleaned(data)
    assert clean == repaired(data)
    assert cleaned(clean) == (clean, {})
    if clean == data:
        assert not repairs


TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="&<\ufffe\uffff").filter(
        lambda letter: letter >= " " or letter in "\t\r\n"
    )
)


@relaxed
@given(TEXT, st.integers(1, 9))
def test_clean_text_passes_unchanged(text: str, size: int) -> None:
    data = f"<a>{text}&amp;</a>".encode()
    portions = [data[start : start + size] for start in range(0, len(data), size)]
    assert cleaned(*portions) == (data, {})


def test_clean_bytes_are_not_even_copied() -> None:
    data = b"<a>clean</a>" * 1000
    assert ByteFilter(Counter()).feed(data) is data
    cleaner = Cleaner()
    cleaner.feed(data)
    assert cleaner.feed(data) is data


def test_an_answer_counts_and_warns_once_and_the_sink_sees_what_came(
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = reply(0, "A & B", '<COUNT Records="2"/><P>AT&T</P><P>a\x10b&#55357;&#56842;</P>')
    body = body.replace(b"AT&T", b"AT&T \xae")
    archived: list[bytes] = []
    with caplog.at_level(logging.WARNING, "rets_pipeline.rets"):
        answer = read_search([body], record="P", sink=archived.append)
        assert answer.reply_text == "A & B"
        assert [record.text for record in answer] == ["AT&T ®", "ab😊"]
    assert b"".join(archived) == body
    expected = {STRAY_AMPERSAND: 2, CONTROL_CHARACTER: 1, SURROGATE_PAIR: 1, WINDOWS_1252: 1}
    assert answer.repairs == expected
    assert len(caplog.records) == 1
    assert "stray ampersand: 2" in caplog.text
