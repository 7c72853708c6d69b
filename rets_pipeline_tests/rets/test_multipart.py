"""Multipart bodies, well made and badly made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rets_pipeline.rets.errors import BodyFault, DataBroken
from rets_pipeline.rets.multipart import Part, Parts, boundary_of, looks_like_multipart

PHOTO = b"\xff\xd8\xff\xe0\x00\x10JFIF\r\n\r\n--\r\n\x00\n\xff\xd9"
OTHER = b"\x89PNG\r\n\x1a\n--rets.boundar\r\n"


def whole(
    objects: Sequence[bytes] = (PHOTO, OTHER),
    *,
    boundary: bytes = b"rets.boundary",
    line: bytes = b"\r\n",
    lengths: bool = False,
) -> bytes:
    body = b""
    for number, data in enumerate(objects, 1):
        headers = [b"Content-Type: image/jpeg", b"Content-ID: 123", b"Object-ID: %d" % number]
        if lengths:
            headers.append(b"Content-Length: %d" % len(data))
        body += line + b"--" + boundary + line + line.join(headers) + line + line + data
    return body + line + b"--" + boundary + b"--" + line


def split(
    body: bytes,
    boundary: bytes | None = b"rets.boundary",
    *,
    size: int | None = None,
    most: int = 10**7,
) -> tuple[list[Part], Parts]:
    size = size or max(1, len(body))
    chunks = (body[start : start + size] for start in range(0, len(body), size))
    parts = Parts(chunks, boundary, max_part_bytes=most)
    return list(parts), parts


def bodies(
    body: bytes, boundary: bytes | None = b"rets.boundary", size: int | None = None
) -> list[bytes]:
    return [part.body for part in split(body, boundary, size=size)[0]]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("line", [b"\r\n", b"\n"])
def test_bodies_byte_for_byte(size: int, lengths: bool, line: bytes) -> None:
    found, parts = split(whole(lengths=lengths, line=line), size=size)
    assert [part.body for part in found] == [PHOTO, OTHER]
    assert parts.closed
    assert parts.boundary == b"rets.boundary"
    assert [part.headers["object-id"] for part in found] == ["1", "2"]
    assert [part.headers["content-type"] for part in found] == ["image/jpeg"] * 2


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (whole().lstrip(), [PHOTO, OTHER]),
        (b"\r\n\r\n" + whole(), [PHOTO, OTHER]),
        (b"This is a message\r\nof many parts." + whole(), [PHOTO, OTHER]),
        (whole().removesuffix(b"--rets.boundary--\r\n"), [PHOTO, OTHER + b"\r\n"]),
        (whole().removesuffix(b"--\r\n"), [PHOTO, OTHER]),
        (whole().removesuffix(b"-\r\n"), [PHOTO, OTHER]),
        (whole().removesuffix(b"\r\n"), [PHOTO, OTHER]),
        (whole() + b"\r\nand more\r\n--", [PHOTO, OTHER]),
        (whole().replace(b"--rets.boundary--", b"--rets.boundary--junk"), [PHOTO, OTHER]),
        # Then a line break at the end of the bytes is taken for the boundary's own.
        (
            whole().replace(b"\r\n--rets.boundary", b"--rets.boundary"),
            [PHOTO, OTHER.removesuffix(b"\r\n")],
        ),
        (whole().replace(b"--rets.boundary\r\n", b"--rets.boundary  \r\n"), [PHOTO, OTHER]),
        (whole().replace(b"--rets.boundary\r\n", b"--rets.boundary"), [PHOTO, OTHER]),
        (whole().replace(b"--rets.boundary\r\n", b"--rets.boundary\r\n\r\n"), [PHOTO, OTHER]),
        (whole() + whole([b"late"]), [PHOTO, OTHER, b"late"]),
        (whole([]), []),
        (b"", []),
        (b"\r\n", []),
        (b"--rets.boundary\r\n--rets.boundary\r\n\r\n--rets.boundary--", []),
    ],
    ids=[
        *("no opening line break", "blank lines first", "preamble", "no closer"),
        *("no end of the closer", "half a closer", "no last line break", "junk behind"),
        *("junk at the closer", "no line breaks before boundaries", "blanks behind boundaries"),
        *("no line breaks behind boundaries", "blank lines before headers"),
        *("parts behind the closer", "only a closer", "nothing", "blank", "empty parts"),
    ],
)
@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_damage_that_loses_nothing(body: bytes, expected: list[bytes], size: int) -> None:
    assert bodies(body, size=size) == expected


@pytest.mark.parametrize("size", [1, 10_000])
@pytest.mark.parametrize("named", [None, b"another", b"rets", b"oundary", b"rets.boundary.2"])
def test_the_boundary_of_the_body_counts(named: bytes | None, size: int) -> None:
    assert bodies(whole(), named, size) == [PHOTO, OTHER]


@pytest.mark.parametrize("named", [b"boundary1", b"--boundary1", b"----boundary1"])
def test_dashes_of_the_boundary(named: bytes) -> None:
    assert bodies(whole(boundary=b"--boundary1"), named) == [PHOTO, OTHER]


def test_a_boundary_behind_a_preamble_that_no_header_names() -> None:
    assert bodies(b"Hello\r\n--no\r\n" + whole(), None) == [PHOTO, OTHER]


def test_no_boundary_at_all() -> None:
    with pytest.raises(BodyFault, match="no boundary") as caught:
        split(PHOTO, None)
    assert caught.value.kind is DataBroken


def test_the_length_decides_over_a_boundary_inside() -> None:
    evil = b"a\r\n--rets.boundary\r\nContent-ID: 9\r\n\r\nb"
    assert bodies(whole([evil, PHOTO], lengths=True)) == [evil, PHOTO]
    assert bodies(whole([evil, PHOTO])) == [b"a", b"b", PHOTO]


@pytest.mark.parametrize("length", [b"0", b"1", b"5", b"40", b"100000", b"99999999999"])
@pytest.mark.parametrize("size", [1, 10_000])
def test_a_wrong_length_does_not(length: bytes, size: int) -> None:
    body = whole().replace(b"Content-ID: 123", b"Content-Length: " + length)
    assert bodies(body, size=size) == [PHOTO, OTHER]


def test_a_last_part_that_is_cut() -> None:
    body = whole(lengths=True)
    found, parts = split(body[: body.index(b"\x89PNG") + 6])
    assert [(part.cut, part.body) for part in found] == [(False, PHOTO), (True, b"\x89PNG\r\n")]
    assert not parts.closed
    whole_without_closer = body.removesuffix(b"--rets.boundary--\r\n")
    assert [part.body for part in split(whole_without_closer)[0]] == [PHOTO, OTHER]


@pytest.mark.parametrize(
    ("part", "headers", "body"),
    [
        (b"Content-ID: 1\r\nLocation: http://a/b\r\n\r\n", {"location": "http://a/b"}, b""),
        (b"Content-ID: 1\r\nLocation: http://a/b", {"location": "http://a/b"}, b""),
        (b"Content-ID: 1\r\nObject-ID: 2\r\n" + PHOTO, {"object-id": "2"}, PHOTO),
        (
            b'Content-ID: 1\r\nContent-Type: text/xml\r\n<RETS ReplyCode="20403"/>',
            {"content-type": "text/xml"},
            b'<RETS ReplyCode="20403"/>',
        ),
        (
            b"content-id:1\r\nCONTENT-description: two\r\n  lines\r\n\r\nx",
            {"content-description": "two lines"},
            b"x",
        ),
        (b"Content-ID: 1\r\nContent-ID: 2\r\n\r\nx", {"content-id": "1"}, b"x"),
        (b"Content-ID: 1\r\nDescription: Caf\xe9\r\n\r\nx", {"description": "Café"}, b"x"),
        (b"Content-ID: 1\r\nDescription: \xc3\xa9\r\n\r\nx", {"description": "é"}, b"x"),
        (b"\r\nno headers", {}, b"no headers"),
        (PHOTO, {}, PHOTO),
        (b"Content-ID: 1\r\nX-Long: " + b"y" * 9000 + b"\r\n\r\nx", {"x-long": "y" * 9000}, b"x"),
        (b"Content-ID: 1\r\n" + b"\xff" * 9000, {"content-id": "1"}, b"\xff" * 9000),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_headers(part: bytes, headers: dict[str, str], body: bytes, size: int) -> None:
    text = b"--rets.boundary\r\n" + part + b"\r\n--rets.boundary--\r\n"
    (found,) = split(text, size=size)[0]
    assert found.body == body
    assert headers.items() <= found.headers.items()


@pytest.mark.parametrize("damage", [(b"", b""), (b"\r\n--rets", b"\n--rets"), (b"--\r\n", b"")])
def test_portions_that_end_anywhere(damage: tuple[bytes, bytes]) -> None:
    """Bodies of several portions, some of which hold what looks like a boundary for a while."""
    objects = [
        (PHOTO + b"\r\n--rets.boundar" + OTHER) * 9,
        b"\r\n" * 40 + b"--rets.boundary but it is none, within a line" * 3,
        OTHER * 30,
        b"x" * 700,
    ]
    body = whole(objects).replace(*damage)
    expected = bodies(body)
    if not damage[0]:
        assert expected == objects
    for size in range(1, 400):
        assert bodies(body, size=size) == expected, size


def test_parts_come_as_they_arrive() -> None:
    body = whole()
    end_of_first = body.index(b"--rets.boundary", 10) + len(b"--rets.boundary\r\n")

    def chunks() -> Iterator[bytes]:
        yield body[:end_of_first]
        raise BodyFault(DataBroken, "too far")

    parts = Parts(chunks(), b"rets.boundary")
    assert next(parts).body == PHOTO
    with pytest.raises(BodyFault, match="too far"):
        next(parts)


def test_a_part_without_end_is_refused_before_it_is_all_here() -> None:
    head = b"--a\r\nObject-ID: 1\r\n\r\n"
    taken = []

    def chunks() -> Iterator[bytes]:
        yield head
        for number in range(1_000):
            taken.append(number)
            yield b"x" * 1_000

    with pytest.raises(BodyFault, match="larger than 20000 bytes"):
        list(Parts(chunks(), b"a", max_part_bytes=20_000))
    assert len(taken) < 100


def test_blanks_behind_what_looks_like_a_boundary_are_read_to_their_end() -> None:
    """Only at the very end nothing else need stand behind one."""
    marker = b"--rets.boundary"
    body = b"x" * 9_000 + b"\r\n" + marker + b" " * 4_100 + b"more" + b"x" * 500
    answer = marker + b"\r\nObject-ID: 1\r\n\r\n" + body + b"\r\n" + marker + b"--"
    chunks = [answer[:2_000], answer[2_000:6_000], answer[6_000:]]
    (part,) = Parts(iter(chunks), b"rets.boundary")
    assert part.body == body


@pytest.mark.parametrize("size", [1 << 16, 700_000])
def test_a_part_as_large_as_may_be_in_large_portions(size: int) -> None:
    body = b"x" * 1_000_000
    answer = b"--a\r\nContent-Type: image/jpeg\r\n\r\n" + body + b"\r\n--a--\r\n"
    chunks = [answer[start : start + size] for start in range(0, len(answer), size)]
    (part,) = Parts(iter(chunks), b"a", max_part_bytes=len(body))
    assert part.body == body


def test_a_part_that_is_too_large() -> None:
    with pytest.raises(BodyFault, match="larger than 1000 bytes"):
        split(whole([b"x" * 200_000]), most=1000, size=4096)


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        ("multipart/parallel; boundary=abc", b"abc"),
        ('multipart/parallel; boundary="a b;c"; type=x', b"a b;c"),
        ("multipart/mixed;BOUNDARY='abc'", b"abc"),
        ('multipart/mixed; boundary="abc', b"abc"),
        ("multipart/mixed; charset=utf-8; boundary = abc ; x=y", b"abc"),
        ('multipart/mixed; boundary="a\\"b"', b'a"b'),
        ("multipart/mixed", None),
        ("multipart/mixed; boundary=", None),
    ],
)
def test_boundaries_in_headers(header: str, boundary: bytes | None) -> None:
    assert boundary_of(header) == boundary


def test_multipart_without_a_content_type() -> None:
    assert looks_like_multipart(whole())
    assert not looks_like_multipart(PHOTO)
    assert not looks_like_multipart(b"--\r\nhello")
    assert not looks_like_multipart(b"")


BOUNDARIES = st.text("abcXYZ0189'()+_,-./:=?", min_size=1, max_size=30).map(str.encode)
DATA = st.lists(
    st.one_of(
        st.binary(max_size=60),
        st.sampled_from(
            [b"\r\n", b"--", b"\r\n--", b"\n", b"\r", b"-", b"--\r\n", b"Content-ID: 1\r\n"]
        ),
    ),
    max_size=8,
).map(b"".join)


@settings(deadline=None)
@given(
    st.lists(DATA.filter(len), max_size=5),
    BOUNDARIES,
    st.integers(1, 400),
    st.booleans(),
    st.booleans(),
)
def test_a_round_trip(
    objects: list[bytes], boundary: bytes, size: int, lengths: bool, named: bool
) -> None:
    if any(b"--" + boundary in data for data in objects):
        return  # then no multipart can be made of them without lengths
    body = whole(objects, boundary=boundary, lengths=lengths)
    if objects or not boundary.endswith(b"-"):
        found, parts = split(body, boundary if named else None, size=size)
        assert [part.body for part in found] == objects
        assert parts.closed


@settings(deadline=None)
@given(
    st.lists(DATA.filter(len), min_size=1, max_size=5),
    st.integers(1, 200),
    st.data(),
    st.booleans(),
)
def test_a_cut_never_changes_what_came_before(
    objects: list[bytes], size: int, data: st.DataObject, lengths: bool
) -> None:
    body = whole(objects, lengths=lengths)
    cut = data.draw(st.integers(0, len(body)))
    found, parts = split(body[:cut], size=size)
    bodies = [part.body for part in found]
    assert len(bodies) <= len(objects)
    assert bodies[:-1] == objects[: max(0, len(bodies) - 1)]
    if bodies and bodies[-1] != objects[len(bodies) - 1]:
        # The last one is not whole, and nothing claims so.
        assert not parts.closed
        assert not lengths or found[-1].cut or not found[-1].body


@settings(deadline=None, max_examples=300)
@given(
    st.binary(max_size=400),
    st.one_of(st.none(), st.binary(min_size=1, max_size=5)),
    st.integers(1, 50),
)
@example(b"--a--", b"a", 1)
@example(b"--\r\n--\r\n", b"", 1)
def test_any_bytes(body: bytes, boundary: bytes | None, size: int) -> None:
    """No bytes crash it, and portions do not matter."""
    outcomes = []
    for portion in (size, len(body) + 1):
        try:
            outcomes.append(
                [
                    (part.headers, part.body)
                    for part in split(body, boundary or None, size=portion)[0]
                ]
            )
        except BodyFault as fault:
            outcomes.append(fault.reason)
    assert outcomes[0] == outcomes[1]


@settings(deadline=None, max_examples=300)
@given(
    st.lists(DATA.filter(len), min_size=1, max_size=4), st.integers(1, 50), st.booleans(), st.data()
)
def test_damaged_bytes_in_any_portions(
    objects: list[bytes], size: int, lengths: bool, data: st.DataObject
) -> None:
    body = bytearray(whole(objects, boundary=b"b1", lengths=lengths))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    test_any_bytes.hypothesis.inner_test(bytes(body), b"b1", size)
