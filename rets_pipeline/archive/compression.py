"""Zstandard for streams: constant memory, and no quiet end of a broken file.

What belongs here: compressing and decompressing pieces of bytes. What does not: where they are
stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Protocol

import zstandard

# Measured on XML of listings: level 6 takes twice the time and gains nothing.
_LEVEL = 3
# A block of zstd is at most 128 KiB and at least 4 bytes when packed, so this bounds what one
# step can swell to (64 MiB), however hostile the content was.
_STEP_BYTES = 2048
_OUTPUT_BYTES = 256 * 1024


class CorruptData(Exception):
    """Compressed data end too early or are not what was written."""


class _Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...


class ZstdWriter:
    """Compresses into another writer, which stays open.

    The frame is finished only when the with-block ends well, so that what an exception cut short
    can never be taken for whole. It carries a checksum of the content.

    Attributes:
        bytes_in: of content, so far.
        bytes_out: compressed, so far.
    """

    def __init__(self, sink: _Sink, *, level: int = _LEVEL) -> None:
        self._sink = sink
        self._compressor = zstandard.ZstdCompressor(level=level, write_checksum=True).compressobj()
        self.bytes_in = 0
        self.bytes_out = 0

    def write(self, data: bytes) -> int:
        """Compress one piece.

        Returns:
            the number of its bytes.
        """
        self._emit(self._compressor.compress(data))
        self.bytes_in += len(data)
        return len(data)

    def finish(self) -> None:
        """End the frame. The with-statement does it."""
        self._emit(self._compressor.flush())

    def _emit(self, data: bytes) -> None:
        if data:
            self._sink.write(data)
            self.bytes_out += len(data)

    def __enter__(self) -> ZstdWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()


def compress_stream(chunks: Iterable[bytes], *, level: int = _LEVEL) -> Iterator[bytes]:
    """The chunks as one zstd frame with a checksum, in pieces."""
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=True).compressobj()
    for chunk in chunks:
        piece = compressor.compress(chunk)
        if piece:
            yield piece
    yield compressor.flush()


def decompress_stream(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The content of one or more zstd frames, in pieces of some 256 KiB.

    Raises:
        CorruptData: the last frame is not complete, there is none, or its bytes are damaged. What
            was yielded before is then not to be relied on.
    """
    decoder = _Decoder()
    pending = bytearray()
    for chunk in chunks:
        view = memoryview(chunk)
        for start in range(0, len(view), _STEP_BYTES):
            pending += decoder.feed(bytes(view[start : start + _STEP_BYTES]))
            if len(pending) >= _OUTPUT_BYTES:
                yield bytes(pending)
                pending.clear()
    decoder.finish()
    if pending:
        yield bytes(pending)


class _Decoder:
    """Frame after frame. It knows whether the last one is complete, unlike zstandard's reader."""

    def __init__(self) -> None:
        self._context = zstandard.ZstdDecompressor()
        self._frame = self._context.decompressobj()

    def feed(self, data: bytes) -> bytes:
        out = b""
        while data:
            if self._frame.eof:
                self._frame = self._context.decompressobj()
            try:
                out += self._frame.decompress(data)
            except zstandard.ZstdError as error:
                raise CorruptData(f"compressed data are damaged ({error})") from None
            data = self._frame.unused_data
        return out

    def finish(self) -> None:
        if not self._frame.eof:
            raise CorruptData("compressed data end before their frame does")
