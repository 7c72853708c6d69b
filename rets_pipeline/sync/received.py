"""The bytes of one image as they arrived.

What belongs here: holding them (a large one in a temporary file), their hash, what they show
themselves to be, and how large a picture it is. What does not: where they come from and go.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import tempfile
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, Self, cast

from PIL import Image

from rets_pipeline.rets.images import ImageType, image_fault, image_type, jpeg_size

#: an image above this goes through a temporary file, and to S3 in several parts
IN_MEMORY = 4 * 1024 * 1024
#: pieces below this are put together at once: each one for itself takes more room than it has
_SMALL = 1024
_NO_ROOM = "a large image could not be written to a temporary file"
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")


@dataclass(frozen=True, slots=True)
class Picture:
    """What the bytes are.

    Attributes:
        content_hash: SHA-256, hexadecimal.
        kind: by the first bytes, whatever the server calls it.
        bytes: how many.
        width: in pixels, as the header says; None when it cannot be read.
        height: likewise.
    """

    content_hash: str
    kind: ImageType
    bytes: int
    width: int | None
    height: int | None


class NotAnImage(Exception):
    """The bytes are no whole image; the message says why."""


class NoRoom(Exception):
    """This machine could not hold the bytes: no fault of the image, nor of its host."""


class Received:
    """A body, piece by piece; :meth:`close` gives its memory or its file back.

    Attributes:
        bytes: that have come.
        etag: HTTP's name for this version, or None.
        last_modified: HTTP's time of it, as the server wrote it, or None.
    """

    def __init__(
        self, data: bytes = b"", *, etag: str | None = None, last_modified: str | None = None
    ) -> None:
        self.bytes = len(data)
        self.etag = etag
        self.last_modified = last_modified
        self._pieces: list[bytes | bytearray] = [data] if data else []
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            NoRoom: it could not be kept.
        """
        self.bytes += len(piece)
        try:
            self._keep(piece)
        except OSError as error:
            raise NoRoom(f"{_NO_ROOM}: {error}") from error

    def _keep(self, piece: bytes) -> None:
        if self._file is None and self.bytes > IN_MEMORY:
            self._file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115
            self._file.writelines(self._pieces)
            self._pieces = []
        if self._file is not None:
            self._file.write(piece)
        elif len(piece) >= _SMALL:
            self._pieces.append(piece)
        elif self._pieces and isinstance(self._pieces[-1], bytearray):
            self._pieces[-1] += piece
        else:
            self._pieces.append(bytearray(piece))

    @property
    def is_in_memory(self) -> bool:
        """It is small enough to be looked at without delay."""
        return self._file is None

    def picture(self) -> Picture:
        """Look at the bytes.

        Raises:
            NotAnImage: they are none, or not a whole one.
        """
        if self._file is None:
            data = self._joined()
            return _picture(data, None)
        try:
            self._file.flush()
        except OSError as error:
            raise NoRoom(f"{_NO_ROOM}: {error}") from error
        with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            self._file.seek(0)
            return _picture(view, self._file)

    def content(self) -> bytes | BinaryIO:
        """All of it: bytes, or a file at its beginning."""
        if self._file is None:
            return self._joined()
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Forget the bytes. It can be called again."""
        self._pieces = []
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):  # what could not be written is not wanted any more
                file.close()

    def _joined(self) -> bytes:
        only = self._pieces[0] if len(self._pieces) == 1 else None
        if not isinstance(only, bytes):
            only = b"".join(self._pieces)
            self._pieces = [only]
        return only


def _picture(data: bytes | mmap.mmap, file: BinaryIO | None) -> Picture:
    kind = image_type(data)
    fault = image_fault(data)
    if kind is None or fault is not None:
        raise NotAnImage(fault or "it is not an image")
    # Pillow reads any header, and takes a third of the time that a photo costs altogether.
    size = jpeg_size(data) if kind.extension == "jpg" else None
    width, height = size or _dimensions(BytesIO(data) if file is None else file)
    return Picture(hashlib.sha256(data).hexdigest(), kind, len(data), width, height)


def _dimensions(file: BinaryIO) -> tuple[int | None, int | None]:
    """From the header alone; no pixel is decoded."""
    try:
        with Image.open(file, formats=_FORMATS) as image:
            return image.size
    # Whatever a header holds: its size is nice to know, and nothing else rests on it.
    except Exception:
        return None, None
