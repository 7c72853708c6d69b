"""Images by their bytes: what they are, whether they are whole, and how large a JPEG is.

What belongs here: recognizing the common formats by their first bytes, the marks of a cut one, and
the size of a JPEG, which nearly all photos are: its segments are passed over anyway. What does not:
decoding pixels, and where the bytes came from.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class ImageType:
    """A format.

    Attributes:
        content_type: its MIME type.
        extension: usual for files, without the dot.
    """

    content_type: str
    extension: str


_JPEG = ImageType("image/jpeg", "jpg")
_PNG = ImageType("image/png", "png")
_GIF = ImageType("image/gif", "gif")
_WEBP = ImageType("image/webp", "webp")
_BMP = ImageType("image/bmp", "bmp")
_TIFF = ImageType("image/tiff", "tif")
_AVIF = ImageType("image/avif", "avif")
_HEIC = ImageType("image/heic", "heic")

_BEGINNINGS: Final = (
    (b"\xff\xd8\xff", _JPEG),
    (b"\x89PNG\r\n\x1a\n", _PNG),
    (b"GIF87a", _GIF),
    (b"GIF89a", _GIF),
    (b"II*\x00", _TIFF),
    (b"MM\x00*", _TIFF),
)
_BRANDS: Final = {b"avif": _AVIF, b"avis": _AVIF, b"heic": _HEIC, b"heix": _HEIC, b"mif1": _HEIC}


#: what is looked at: an image in memory, or in a mapped file
Data = bytes | mmap.mmap


def image_type(data: Data) -> ImageType | None:
    """What the first bytes show the image to be, whatever the server calls it; None: no image."""
    for beginning, kind in _BEGINNINGS:
        if data[: len(beginning)] == beginning:
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _WEBP
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12])
    if data[:2] == b"BM" and len(data) >= 26 and data[14:18] in _BMP_HEADERS:
        return _BMP
    return None


def image_fault(data: Data) -> str | None:
    """Why the bytes are no whole image, in plain words; None when nothing speaks against it.

    The end is looked for where the format marks it. Bytes behind it do no harm.
    """
    kind = image_type(data)
    if kind is None:
        return f"the {len(data)} bytes are not an image"
    whole = _ENDS.get(kind)
    if whole is not None and not whole(data):
        return f"the {kind.content_type} is cut off after {len(data)} bytes"
    return None


def jpeg_size(data: Data) -> tuple[int, int] | None:
    """Width and height of a JPEG in pixels; None when its frame's header does not come."""
    for marker, position in _segments(data):
        if marker in _FRAMES:
            header = data[position + 5 : position + 9]
            height, width = int.from_bytes(header[:2], "big"), int.from_bytes(header[2:], "big")
            return (width, height) if width and height else None
    return None


def _whole_jpeg(data: Data) -> bool:
    # A thumbnail in a segment has an end mark of its own.
    return any(
        marker == 0xDA and data.rfind(b"\xff\xd9") > position
        for marker, position in _segments(data)
    )


def _segments(data: Data) -> Iterator[tuple[int, int]]:
    """Marker and place of each segment of a JPEG, as their lengths say, until the pixels begin."""
    position = 2
    head = data[position : position + 4]
    while len(head) >= 2 and head[0] == 0xFF:
        marker = head[1]
        if marker == 0xFF:  # filling
            position += 1
        else:
            yield marker, position
            if marker == 0xDA:  # the pixels begin
                return
            position += 2 + int.from_bytes(head[2:], "big")
        head = data[position : position + 4]


def _whole_png(data: Data) -> bool:
    return data.rfind(b"IEND\xae\x42\x60\x82") > 0


def _whole_gif(data: Data) -> bool:
    return len(data) > 13 and data[:].rstrip(b"\x00\r\n")[-1:] == b";"


def _whole_webp(data: Data) -> bool:
    return len(data) >= 12 and len(data) >= int(struct.unpack("<I", data[4:8])[0]) + 8


def _whole_bmp(data: Data) -> bool:
    # Some writers leave the size out.
    return len(data) >= int(struct.unpack("<I", data[2:6])[0])


def _whole_boxes(data: Data) -> bool:
    """Of AVIF and HEIC: each box ends within the bytes, and those of an image are there."""
    position = 0
    seen: set[bytes] = set()
    while len(head := data[position : position + 16]) >= 8:
        kind, size = head[4:8], int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:], "big")
        end = position + size if size else len(data)
        if end > len(data):  # of a box, or of bytes behind the last one
            return kind not in _BOXES and _is_image(seen)
        if end < position + 8 or not kind.isalnum():
            return True  # what cannot be read speaks against nothing
        seen.add(kind)
        if kind == b"meta" and data.find(b"idat", position, end) > 0:
            seen.add(b"mdat")
        position = end
    return _is_image(seen)


def _is_image(boxes: set[bytes]) -> bool:
    return b"mdat" in boxes and not boxes.isdisjoint((b"meta", b"moov"))


def _whole_tiff(data: Data) -> bool:
    """The pixels of the first image lie within the bytes, as its directory says."""
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"

    def number(start: int, size: int) -> int:
        return int.from_bytes(data[start : start + size], order)

    directory = number(4, 4)
    count = number(directory, 2)
    if directory + 2 + 12 * count > len(data):
        return False
    found: dict[int, list[int]] = {}
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, size = number(entry, 2), _TIFF_NUMBERS.get(number(entry + 2, 2))
        if tag in _TIFF_PIXELS and tag not in found and size:
            length = size * number(entry + 4, 4)
            start = entry + 8 if length <= 4 else number(entry + 8, 4)
            if start + length > len(data):
                return False
            found[tag] = [number(place, size) for place in range(start, start + length, size)]
    return all(
        start + size <= len(data)
        for starts, sizes in ((_STRIPS, _STRIP_SIZES), (_TILES, _TILE_SIZES))
        for start, size in zip_longest(found.get(starts, ()), found.get(sizes, ()), fillvalue=0)
    )


#: of a JPEG's frame, whatever its coding (ITU-T T.81, table B.1)
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BMP_HEADERS: Final = tuple(struct.pack("<I", size) for size in (12, 40, 52, 56, 64, 108, 124))
#: at the top of AVIF and HEIC (ISO/IEC 14496-12)
_BOXES: Final = frozenset(
    (b"ftyp", b"meta", b"moov", b"mdat", b"moof", b"free", b"skip", b"uuid", b"sidx", b"mfra")
)
#: tags of a TIFF's directory, and the bytes of the numbers that they have (TIFF 6.0)
_STRIPS, _STRIP_SIZES, _TILES, _TILE_SIZES = 273, 279, 324, 325
_TIFF_PIXELS: Final = frozenset((_STRIPS, _STRIP_SIZES, _TILES, _TILE_SIZES))
_TIFF_NUMBERS: Final = {3: 2, 4: 4}
_ENDS: Final[dict[ImageType, Callable[[Data], bool]]] = {
    _JPEG: _whole_jpeg,
    _PNG: _whole_png,
    _GIF: _whole_gif,
    _WEBP: _whole_webp,
    _BMP: _whole_bmp,
    _TIFF: _whole_tiff,
    _AVIF: _whole_boxes,
    _HEIC: _whole_boxes,
}
