from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rets_pipeline.archive.keys import KEY_BYTES, SEGMENT_BYTES, check_key, safe_segment

# Everything that Python's text can hold, lone surrogates and long texts too.
ANYTHING = st.one_of(
    st.text(st.characters(), max_size=40),
    st.text("./\\!#% :aA0-_\x00\n", max_size=200),
    st.text(st.characters(), min_size=100, max_size=400),
)


def decode(segment: str) -> str:
    """The encoding, undone by another way than it was made."""
    if segment == "!empty":
        return ""
    raw = re.sub(
        rb"!([0-9A-F]{2})", lambda match: bytes([int(match.group(1), 16)]), segment.encode("ascii")
    )
    return raw.decode("utf-8", "surrogatepass")


@given(ANYTHING)
@example("")
@example(".")
@example("..")
@example("../../etc/passwd")
@example("\x00")
@example("!empty")
@example("a#1")
@example("\ud800")
def test_safe_segment_is_one_safe_segment(text: str) -> None:
    segment = safe_segment(text)
    assert re.fullmatch(r"[A-Za-z0-9_!.-]{1,120}", segment)
    assert not segment.startswith(".")
    assert check_key(f"raw/{segment}/x") == f"raw/{segment}/x"


@given(ANYTHING)
def test_safe_segment_can_be_undone_unless_shortened(text: str) -> None:
    segment = safe_segment(text)
    if "!short-" not in segment:
        assert decode(segment) == text
    else:
        assert len(segment) == 120
        assert len(text.encode("utf-8", "surrogatepass")) * 3 > 120


@given(ANYTHING, ANYTHING)
@example("", "!empty")
@example("a/b", "a!2Fb")
@example("Ä", "A\u0308")
@example("x" * 200, "x" * 201)
@example("x" * 121 + "a", "x" * 121 + "b")
def test_safe_segment_keeps_different_texts_apart(one: str, other: str) -> None:
    assert (safe_segment(one) == safe_segment(other)) == (one == other)


@given(st.text("ab", min_size=121, max_size=124), st.text("ab", min_size=121, max_size=124))
def test_shortened_segments_stay_apart(one: str, other: str) -> None:
    assert (safe_segment(one) == safe_segment(other)) == (one == other)


def test_a_shortened_segment_cannot_be_forged() -> None:
    segment = safe_segment("y" * 500)
    assert safe_segment(segment) != segment


def test_plain_keys_stay_readable() -> None:
    assert safe_segment("28471923") == "28471923"
    assert safe_segment("E-1234_b.jpg") == "E-1234_b.jpg"
    assert safe_segment(".hidden/ü") == "!2Ehidden!2F!C3!BC"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/absolute",
        "folder/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/...",
        "a b",
        "a\\b",
        "a\x00b",
        "a\nb",
        "ü",
        "a#1",
        "%2e%2e/a",
        "~root",
        "x" * (SEGMENT_BYTES + 1),
        "/".join(["x" * 100] * 7) + "x" * (KEY_BYTES - 705),
    ],
)
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        check_key(key)


def test_what_is_a_key() -> None:
    key = "raw/my_feed/listings/2026-11-20/20261120T010203Z-ab!2F/page-00001.xml.zst"
    assert check_key(key) == key
    assert check_key("x" * SEGMENT_BYTES)
    assert check_key("a/.hidden/..b")
