"""GetObject over real HTTP."""

from __future__ import annotations

import io
import mmap
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rets_pipeline.rets import (
    ConfigurationFault,
    DataBroken,
    NotLoggedIn,
    NotRets,
    QueryRefused,
    RetryLater,
    RetsError,
    RetsObject,
    Session,
    Truncated,
)
from rets_pipeline.rets.images import image_fault, image_type
from rets_pipeline.rets.objects import ObjectRequest

from .scripted_server import LOGIN, Canned, ScriptedServer, reply

OBJECT = "/Object.svc/GetObject"
MULTIPART = {"Content-Type": 'multipart/parallel; boundary="rets.boundary"'}


def photo(kind: str = "JPEG", size: int = 20) -> bytes:
    written = io.BytesIO()
    Image.effect_noise((size, size), 50).convert("RGB").save(written, kind)
    return written.getvalue()


def tiff(big_endian: bool = False, compression: str | None = None) -> bytes:
    written = io.BytesIO()
    image = Image.effect_noise((20, 20), 50)
    if big_endian:
        image = Image.new("I;16B", (20, 20), 7)
    image.save(written, "TIFF", compression=compression)
    return written.getvalue()


@contextmanager
def mapped(data: bytes) -> Iterator[mmap.mmap]:
    with mmap.mmap(-1, len(data)) as memory:
        memory.write(data)
        yield memory


JPEG = photo()


@pytest.fixture(autouse=True)
def capability(server: ScriptedServer) -> None:
    address = f"GetObject={OBJECT}\nSearch=".encode()
    server.answers("/Login.svc/Login", LOGIN.replace(b"Search=", address))


def answers(server: ScriptedServer, *canned: Canned | bytes) -> None:
    server.answers(OBJECT, *canned)


def multipart(*parts: bytes) -> Canned:
    body = b"".join(b"\r\n--rets.boundary\r\n" + part for part in parts)
    return Canned(body + b"\r\n--rets.boundary--\r\n", headers=MULTIPART)


def part(number: int, data: bytes = JPEG, more: bytes = b"", kind: bytes = b"image/jpeg") -> bytes:
    head = b"Content-Type: %s\r\nContent-ID: 123\r\nObject-ID: %d\r\n%s" % (kind, number, more)
    return head + b"\r\n" + data


def fetch(session: Session, objects: object = "123", **settings: object) -> list[RetsObject]:
    with session.get_object("Property", "Photo", objects, **settings) as answer:  # type: ignore[arg-type]
        return list(answer)


def test_many_objects(server: ScriptedServer, session: Session) -> None:
    more = (
        b"Content-Description: The kitchen\r\nContent-Sub-Description: at night\r\nPreferred: 1\r\n"
    )
    answers(server, multipart(part(1, b"\r\n" + JPEG + b"\r\n", more), part(2)))
    first, second = fetch(session, {"123": "*"})
    assert (first.content_id, first.object_id, first.content_type) == ("123", "1", "image/jpeg")
    assert first.data == b"\r\n" + JPEG + b"\r\n"
    assert (first.description, first.sub_description) == ("The kitchen", "at night")
    assert (first.preferred, second.preferred) == (True, False)
    assert (second.object_id, second.data, second.position) == ("2", JPEG, 1)
    assert first.error is second.error is None
    (received,) = server.asked(OBJECT)
    assert received.form == {
        "Resource": "Property",
        "Type": "Photo",
        "ID": "123:*",
        "Location": "0",
    }
    assert received.headers["accept"] == "*/*"


def test_a_single_object(server: ScriptedServer, session: Session) -> None:
    headers = {"Content-Type": "image/jpeg", "Content-ID": "123", "object-id": "4"}
    answers(server, Canned(JPEG, headers=headers | {"Description": "Door"}, chunked=True))
    (found,) = fetch(session, {"123": 4}, accept="image/jpeg")
    assert (found.content_id, found.object_id, found.data) == ("123", "4", JPEG)
    assert found.description == "Door"
    assert server.asked(OBJECT)[0].headers["accept"] == "image/jpeg"


@pytest.mark.parametrize("single", [True, False])
def test_identifiers_from_the_request(
    server: ScriptedServer, session: Session, single: bool
) -> None:
    bare = b"Content-Type: image/jpeg\r\n\r\n" + JPEG
    answers(
        server, Canned(JPEG, headers={"Content-Type": "image/jpeg"}) if single else multipart(bare)
    )
    (found,) = fetch(session, {"123": 7})
    assert (found.content_id, found.object_id) == ("123", "7")
    # A list or a star does not tell which one it is.
    assert [(item.content_id, item.object_id) for item in fetch(session, {"123": [1, 2]})] == [
        ("123", None)
    ]
    assert [(item.content_id, item.object_id) for item in fetch(session, {"1": 1, "2": 1})] == [
        (None, None)
    ]


def test_objects_that_were_not_asked_for(server: ScriptedServer, session: Session) -> None:
    wrong = part(1).replace(b"Content-ID: 123", b"Content-ID: <99>")
    answers(server, multipart(part(1), part(9), wrong))
    assert [item.requested for item in fetch(session, {"123": [1, 2]})] == [True, False, False]
    assert [item.requested for item in fetch(session, {"123": 0})] == [True, True, False]


ERRORS = {
    "body": part(2, b'<RETS ReplyCode="20403" ReplyText="No Object Found"/>', kind=b"text/xml"),
    "document": part(2, reply(20403, "No Object Found"), kind=b"text/xml"),
    "header block": b"Content-Type: text/xml\r\nContent-ID: 123\r\nObject-ID: 2\r\n"
    b'<RETS ReplyCode="20403" ReplyText="No Object Found">\r\n</RETS>\r\n',
    "wrong type": part(2, b'\r\n<RETS ReplyCode="20403" ReplyText="No Object Found"/>'),
}


@pytest.mark.parametrize("name", ERRORS)
def test_one_object_is_absent(server: ScriptedServer, session: Session, name: str) -> None:
    answers(server, multipart(part(1), ERRORS[name], part(3)))
    first, absent, third = fetch(session, {"123": "1-3"})
    assert first.data == third.data == JPEG
    assert absent.absent
    assert (absent.object_id, absent.data) == ("2", b"")
    assert isinstance(absent.error, QueryRefused)
    assert absent.error.reply_code == 20403
    assert "GetObject" in str(absent.error)
    assert not first.absent
    assert not third.absent


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'<RETS ReplyCode="20412"/>', RetryLater),
        (b'<RETS ReplyCode="20401"/>', QueryRefused),
        (b'<RETS ReplyCode="0"/>', DataBroken),
        (b"<html>Object reference not set</html>", NotRets),
        (b"", DataBroken),
        (b'<RETS ReplyCode="204', DataBroken),
    ],
)
def test_errors_of_one_object(
    server: ScriptedServer, session: Session, data: bytes, kind: type[RetsError]
) -> None:
    answers(server, multipart(part(1), part(2, data)))
    first, second = fetch(session)
    assert first.error is None
    assert isinstance(second.error, kind)
    assert not second.absent


def test_plain_text_is_no_photo(server: ScriptedServer, session: Session) -> None:
    text = b"Object reference not set to an instance of an object."
    answers(server, multipart(part(1, text, kind=b"text/plain")))
    (found,) = fetch(session)
    assert isinstance(found.error, NotRets)
    assert "Object reference" in str(found.error)
    answers(server, Canned(text, headers={"Content-Type": "text/plain"}))
    with pytest.raises(NotRets, match="Object reference"):
        fetch(session)
    (document,) = fetch(session, accept="text/plain")
    assert document.data == text


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("kind", ["text/html", "image/jpeg", "multipart/parallel"])
def test_a_page_instead_of_an_object(
    server: ScriptedServer, session: Session, kind: str, status: int
) -> None:
    if (kind, status) == ("multipart/parallel", 200):
        expected: type[RetsError] = DataBroken
    else:
        expected = NotRets if status == 200 else ConfigurationFault
    answers(server, Canned(b"<!DOCTYPE html><html>Gone</html>", status, {"Content-Type": kind}))
    with pytest.raises(expected):
        fetch(session)


@pytest.mark.parametrize(
    "kind", ["text/xml", "text/plain", "image/jpeg", "multipart/parallel; boundary=x"]
)
@pytest.mark.parametrize("status", [200, 404])
def test_nothing_at_all(server: ScriptedServer, session: Session, kind: str, status: int) -> None:
    answers(server, Canned(reply(20403, "No Object Found"), status, {"Content-Type": kind}))
    with session.get_object("Property", "Photo", "123") as answer:
        assert list(answer) == []
        assert (answer.reply_code, answer.objects, answer.closed) == (20403, 0, True)


@pytest.mark.parametrize("body", [b"", b"\r\n", b"\r\n--rets.boundary--\r\n"])
def test_an_empty_multipart(server: ScriptedServer, session: Session, body: bytes) -> None:
    answers(server, Canned(body, headers=MULTIPART))
    assert fetch(session) == []


@pytest.mark.parametrize(
    ("code", "kind"), [(20400, QueryRefused), (20413, QueryRefused), (20036, RetsError)]
)
def test_refusals(
    server: ScriptedServer, session: Session, code: int, kind: type[RetsError]
) -> None:
    answers(server, reply(code, "Location disabled"))
    with pytest.raises(kind) as caught:
        fetch(session, location=True)
    assert (caught.value.reply_code, caught.value.reply_text) == (code, "Location disabled")
    assert server.asked(OBJECT)[0].form["Location"] == "1"


def test_a_busy_server_is_asked_again(
    server: ScriptedServer, session: Session, waits: list[float]
) -> None:
    answers(
        server, reply(20412), Canned(b"", 503), Canned(JPEG, headers={"Content-Type": "image/jpeg"})
    )
    assert [item.data for item in fetch(session)] == [JPEG]
    assert len(waits) == 2


@pytest.mark.parametrize(
    "lost",
    [reply(20701), Canned(b"", 401), multipart(part(1, reply(20701), kind=b"text/xml"))],
    ids=["document", "401", "first part"],
)
def test_a_lost_session_is_renewed(
    server: ScriptedServer, session: Session, lost: Canned | bytes
) -> None:
    answers(server, lost, multipart(part(1)))
    assert [item.data for item in fetch(session)] == [JPEG]
    assert session.statistics.logins == 2
    answers(server, lost)
    with pytest.raises(NotLoggedIn):
        fetch(session)


# Locations


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://media.example.com/1.jpg?a=b", "https://media.example.com/1.jpg?a=b"),
        ("//media.example.com/1.jpg", "http://media.example.com/1.jpg"),
        ("/photos/1.jpg", "{origin}/photos/1.jpg"),
    ],
)
def test_locations_without_bodies(
    server: ScriptedServer, session: Session, location: str, expected: str
) -> None:
    rows = [
        b"Content-Type: text/xml\r\nContent-ID: 123\r\nObject-ID: %d\r\nLocation: %s\r\n"
        % (number, location.encode())
        for number in (1, 2, 3)
    ]
    # With and without the empty line that ends the headers.
    answers(server, multipart(rows[0] + b"\r\n", rows[1], rows[2] + b"\r\n\r\n"))
    found = fetch(session, location=True)
    assert [item.object_id for item in found] == ["1", "2", "3"]
    assert {item.location for item in found} == {expected.format(origin=server.origin)}
    assert [item.error for item in found] == [None] * 3


@pytest.mark.parametrize("body", [b"", b'<RETS ReplyCode="0" ReplyText="OK"/>'])
def test_a_single_location(server: ScriptedServer, session: Session, body: bytes) -> None:
    headers = {"Location": "//media.example.com/1.jpg", "Content-Type": "text/xml"}
    answers(server, Canned(body, headers=headers))
    (found,) = fetch(session, {"123": 1}, location=True)
    assert found.location == "http://media.example.com/1.jpg"
    assert (found.data, found.error, found.object_id) == (b"", None, "1")


@pytest.mark.parametrize("location", ["ftp://a/b", "http://[", "javascript:alert(1)"])
def test_locations_that_are_no_addresses(
    server: ScriptedServer, session: Session, location: str
) -> None:
    answers(server, multipart(part(1, b"", b"Location: %s\r\n" % location.encode())))
    (found,) = fetch(session, location=True)
    assert found.location is None
    assert isinstance(found.error, DataBroken)


def test_locations_that_are_ignored(server: ScriptedServer, session: Session) -> None:
    answers(server, multipart(part(1)))
    assert [item.data for item in fetch(session, location=True)] == [JPEG]


# Streams


def test_objects_come_as_they_arrive(
    server: ScriptedServer, open_session: Callable[..., Session]
) -> None:
    canned = multipart(part(1, JPEG * 20), part(2))
    end = canned.body.index(b"Object-ID: 2")
    go_on = threading.Event()
    answers(server, Canned(canned.body, headers=MULTIPART, silent_after=end, go_on=go_on))
    with open_session().get_object("Property", "Photo", "123") as answer:
        first = next(answer)
        assert not go_on.is_set()
        assert first.data == JPEG * 20
        go_on.set()
        assert [item.object_id for item in answer] == ["2"]


@pytest.mark.parametrize("chunked", [True, False])
def test_a_connection_that_breaks(server: ScriptedServer, session: Session, chunked: bool) -> None:
    canned = multipart(*(part(number, JPEG * 50) for number in range(20)))
    answers(
        server,
        Canned(canned.body, headers=MULTIPART, chunked=chunked, cut_after=len(canned.body) // 2),
    )
    answer = session.get_object("Property", "Photo", "123")
    seen: list[RetsObject] = []
    with pytest.raises(Truncated) as caught:
        seen.extend(answer)
    assert 0 < len(seen) == caught.value.rows == answer.objects < 20
    assert all(item.data == JPEG * 50 for item in seen)
    assert answer.closed is None
    with pytest.raises(Truncated):
        next(answer)


def test_a_single_object_that_breaks(server: ScriptedServer, session: Session) -> None:
    canned = Canned(JPEG * 500, headers={"Content-Type": "image/jpeg"}, cut_after=100_000)
    answers(server, canned)
    with pytest.raises(Truncated):
        fetch(session)


def test_no_closing_boundary(server: ScriptedServer, session: Session) -> None:
    canned = multipart(part(1), part(2))
    answers(
        server, Canned(canned.body.removesuffix(b"\r\n--rets.boundary--\r\n"), headers=MULTIPART)
    )
    with session.get_object("Property", "Photo", "123") as answer:
        assert [item.data for item in answer] == [JPEG, JPEG]
        assert answer.closed is False


def test_an_answer_that_is_left_early(server: ScriptedServer, session: Session) -> None:
    answers(server, multipart(part(1), part(2)))
    with session.get_object("Property", "Photo", "123") as answer:
        next(answer)
    with pytest.raises(ValueError, match="closed"):
        next(answer)


def test_other_boundaries_over_http(server: ScriptedServer, session: Session) -> None:
    canned = multipart(part(1), part(2))
    for content_type in ("multipart/mixed; boundary=wrong", "multipart/related", "text/plain", "x"):
        answers(server, Canned(canned.body, headers={"Content-Type": content_type}))
        assert [item.data for item in fetch(session)] == [JPEG, JPEG]


# Images


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("GIF", "image/gif"),
        ("WEBP", "image/webp"),
        ("BMP", "image/bmp"),
        ("TIFF", "image/tiff"),
        ("AVIF", "image/avif"),
    ],
)
def test_images(kind: str, content_type: str) -> None:
    data = photo(kind)
    found = image_type(data)
    assert found is not None
    assert found.content_type == content_type
    assert image_fault(data) is None
    assert image_fault(data + b"\r\n") is None
    for end in (len(data) - 3, len(data) // 2, 30):
        assert image_fault(data[:end]) is not None


def test_a_cut_avif_is_told_anywhere() -> None:
    data = photo("AVIF")
    for end in range(12, len(data)):
        assert "cut off" in (image_fault(data[:end]) or ""), end
    with mapped(data[:-1]) as cut, mapped(data) as whole:
        assert (image_fault(cut) is None, image_fault(whole) is None) == (False, True)
    start = data.index(b"mdat") - 4
    box = data[start:]
    heic = data[:8] + b"heic" + data[12:start]
    long = b"\0\0\0\1mdat" + (len(box) + 8).to_bytes(8, "big") + box[8:]
    assert image_fault(heic + long) is None
    assert "image/heic is cut off" in (image_fault((heic + long)[:-1]) or "")
    assert image_fault(data[:start] + bytes(4) + box[4:-1]) is None, "it reaches to the end"
    for behind in (bytes(20), b"\r\n--boundary--\r\n", b"\0\0\0\3free"):
        assert image_fault(data + behind) is None
    free = b"\0\0\0\x20free" + bytes(24)
    assert image_fault(data + free) is None
    assert "cut off" in (image_fault(data + free[:-1]) or "")


@pytest.mark.parametrize("data", [tiff(), tiff(compression="tiff_lzw"), tiff(big_endian=True)])
def test_a_cut_tiff_is_told_anywhere(data: bytes) -> None:
    assert image_fault(data) is None
    directory = int.from_bytes(data[4:8], "little" if data[:2] == b"II" else "big")
    ends = range(4, len(data)) if directory == 8 else range(4, directory)
    for end in ends:
        assert "cut off" in (image_fault(data[:end]) or ""), end
    with mapped(data[: ends[-1]]) as cut, mapped(data) as whole:
        assert (image_fault(cut) is None, image_fault(whole) is None) == (False, True)


def test_a_tiff_of_tiles_and_one_of_nothing_known() -> None:
    entries = b"".join(struct.pack("<HHLL", *row) for row in ((324, 4, 1, 50), (325, 3, 1, 10)))
    data = b"II*\0\x08\0\0\0\2\0" + entries + bytes(26)
    assert len(data) == 60
    assert image_fault(data) is None
    assert "cut off" in (image_fault(data[:-1]) or "")
    assert image_fault(b"II*\0\x08\0\0\0\0\0") is None, "what cannot be read is no fault"


def test_a_thumbnail_does_not_end_an_image() -> None:
    thumbnail = JPEG
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    data = JPEG[:2] + segment + JPEG[2:]
    assert image_fault(data) is None
    assert "cut off" in (image_fault(data[:-2]) or "")
    assert "cut off" in (image_fault(data[: len(segment) + 4]) or "")


@settings(deadline=None)
@given(st.binary(max_size=100), st.integers(0, 200))
def test_any_bytes_as_an_image(data: bytes, end: int) -> None:
    image_fault(data)
    for kind in (JPEG[:end], b"RIFF" + data, b"BM" + data, b"\xff\xd8\xff" + data,
        b"II*\0" + data, b"MM\0*\0\0\0\x08" + data, b"\0\0\0\x10ftypavif" + data,
        photo("TIFF")[: end * 3] + data,
    ):  # fmt: skip
        image_fault(kind)


def test_images_are_verified(server: ScriptedServer, session: Session) -> None:
    answers(server, multipart(part(1), part(2, JPEG[:200]), part(3, b"no image at all")))
    whole, cut, none = fetch(session, verify_images=True)
    assert whole.error is None
    assert "cut off after 200 bytes" in str(cut.error)
    assert "are not an image" in str(none.error)
    assert cut.data == none.data == b""
    assert [item.error for item in fetch(session)] == [None] * 3


# Requests


@pytest.mark.parametrize(
    ("objects", "text"),
    [
        ("123", "123:*"),
        ({"123": 0}, "123:0"),
        ({"123": "1-3"}, "123:1:2:3"),
        ({"123": [1, "3-4", 7]}, "123:1:3:4:7"),
        ({"123": "1:2"}, "123:1:2"),
        ({"123": "*", "A-4": [5]}, "123:*,A-4:5"),
    ],
)
def test_identifiers(objects: object, text: str) -> None:
    assert ObjectRequest.of("Property", "Photo", objects).arguments["ID"] == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "objects",
    [
        {},
        {"1": []},
        {"": 1},
        {"1,2": 1},
        {"1:2": 1},
        {"1 2": 1},
        {"1": "x"},
        {"1": "3-1"},
        {"1": "1-99999"},
        {"1": -1},
    ],
)
def test_requests_that_make_no_sense(objects: object) -> None:
    with pytest.raises(ValueError, match=r"no object|key of|object id"):
        ObjectRequest.of("Property", "Photo", objects)  # type: ignore[arg-type]
