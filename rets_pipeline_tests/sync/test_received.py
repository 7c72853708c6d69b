"""What bytes show themselves to be, whatever a server calls them."""

from __future__ import annotations

import io
import random
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rets_pipeline.rets.images import image_fault, jpeg_size
from rets_pipeline.sync import received
from rets_pipeline.sync.received import NotAnImage, Received
from rets_pipeline_tests.sync.image_server import jpeg


def drawn(form: str) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (30, 20)).save(written, form)
    return written.getvalue()


@pytest.mark.parametrize("in_memory", [10_000_000, 1])
@pytest.mark.parametrize(
    ("form", "extension", "content_type"),
    [
        ("JPEG", "jpg", "image/jpeg"),
        ("PNG", "png", "image/png"),
        ("GIF", "gif", "image/gif"),
        ("WEBP", "webp", "image/webp"),
        ("BMP", "bmp", "image/bmp"),
        ("TIFF", "tif", "image/tiff"),
    ],
)
def test_the_bytes_say_what_it_is(
    form: str, extension: str, content_type: str, in_memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(received, "IN_MEMORY", in_memory)
    data = drawn(form)
    with Received() as body:
        for at in range(0, len(data), 100):
            body.write(data[at : at + 100])
        picture = body.picture()
    assert (picture.kind.extension, picture.kind.content_type) == (extension, content_type)
    assert (picture.bytes, picture.width, picture.height) == (len(data), 30, 20)


@pytest.mark.parametrize(
    "data",
    [
        b"<html>Object reference not set to an instance of an object</html>",
        b"",
        b"\xff\xd8",
        b"RIFF\x00\x00\x00\x00WAVEfmt ",
        b"<svg/>",
        b"%PDF-1.7",
    ],
)
def test_what_is_no_image(data: bytes) -> None:
    with Received(data) as body, pytest.raises(NotAnImage) as caught:
        body.picture()
    assert str(caught.value) == f"the {len(data)} bytes are not an image"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("in_memory", [10_000_000, 1])
def test_a_cut_image(form: str, in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(received, "IN_MEMORY", in_memory)
    with Received() as body:
        body.write(drawn(form)[:-4])
        with pytest.raises(NotAnImage, match="cut off after"):
            body.picture()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"exif": b"Exif\x00\x00" + bytes(40)},
        {"comment": b"\xff\xc0" * 9},
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_the_size_of_a_jpeg_is_pillows(mode: str, options: dict[str, Any]) -> None:
    """It is read without Pillow, for the processor time that it takes."""
    for size in ((1, 1), (30, 20), (4_000, 9), (9, 65_500)):
        written = io.BytesIO()
        Image.new(mode, size).save(written, "JPEG", **options)
        data = written.getvalue()
        assert jpeg_size(data) == Image.open(io.BytesIO(data)).size == size
        for cut in range(0, len(data), len(data) // 20):
            assert jpeg_size(data[:cut]) in (None, size)
            assert image_fault(data[:cut]) is not None


@given(st.lists(st.sampled_from([0, 1, 2, 1_023, 1_024, 5_000]), max_size=30), st.booleans())
def test_the_bytes_are_those_that_came(sizes: list[int], has_file: bool) -> None:
    data = random.Random(5).randbytes(sum(sizes))
    image = Received()
    with image, pytest.MonkeyPatch.context() as patch:
        if has_file:
            patch.setattr(received, "IN_MEMORY", 3_000)
        at = 0
        for size in sizes:
            image.write(data[at : at + size])
            at += size
        content = image.content()
        assert (content if isinstance(content, bytes) else content.read()) == data
        assert image.bytes == len(data)
        assert image.is_in_memory or len(data) > 3_000


def test_small_pieces_take_no_more_room_than_they_have() -> None:
    tracemalloc.start()
    try:
        with Received() as image:
            for _ in range(200_000):
                image.write(bytes(2))
            assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_header_that_nobody_can_read() -> None:
    """The size is nice to know; an image that other programs may show is not refused for it."""
    data = jpeg("x").replace(b"\xff\xc0", b"\xff\xe1")
    with Received(data) as body:
        picture = body.picture()
    assert (picture.width, picture.height) == (None, None)
