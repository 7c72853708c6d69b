from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from rets_pipeline.archive import CorruptData, ZstdWriter, compress_stream, decompress_stream
from rets_pipeline_tests.patience import PATIENCE

CHUNKS = st.lists(st.binary(max_size=5000), max_size=8)


def cut(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@given(CHUNKS, st.integers(1, 4000))
def test_round_trip(chunks: list[bytes], size: int) -> None:
    packed = b"".join(compress_stream(chunks))
    assert b"".join(decompress_stream(cut(packed, size))) == b"".join(chunks)
    # Another decoder agrees, so that other tools can read the archive.
    assert zstandard.ZstdDecompressor().decompressobj().decompress(packed) == b"".join(chunks)


@given(CHUNKS, st.integers(1, 4000))
def test_writer_makes_the_same_frames(chunks: list[bytes], size: int) -> None:
    sink = io.BytesIO()
    with ZstdWriter(sink) as writer:
        for chunk in chunks:
            assert writer.write(chunk) == len(chunk)
    assert b"".join(decompress_stream(cut(sink.getvalue(), size))) == b"".join(chunks)
    assert (writer.bytes_in, writer.bytes_out) == (len(b"".join(chunks)), len(sink.getvalue()))


@given(CHUNKS, st.data())
def test_every_truncation_raises(chunks: list[bytes], data: st.DataObject) -> None:
    packed = b"".join(compress_stream(chunks))
    end = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(CorruptData):
        list(decompress_stream(cut(packed[:end], 700)))


@given(st.binary(min_size=20, max_size=3000), st.data())
def test_damage_never_passes_as_other_content(content: bytes, data: st.DataObject) -> None:
    packed = bytearray(b"".join(compress_stream([content])))
    place = data.draw(st.integers(0, len(packed) - 1))
    packed[place] ^= data.draw(st.integers(1, 255))
    try:
        result = b"".join(decompress_stream([bytes(packed)]))
    except CorruptData:
        return
    # A bit of the header that says nothing about the content may change unseen.
    assert result == content


def test_frames_one_after_another() -> None:
    packed = b"".join(
        [*compress_stream([b"one"]), *compress_stream([b""]), *compress_stream([b"2"])]
    )
    assert b"".join(decompress_stream(cut(packed, 3))) == b"one2"


@pytest.mark.parametrize("rest", [b"\x00", b"rubbish", b"\x28\xb5\x2f\xfd"])
def test_rubbish_behind_a_frame_raises(rest: bytes) -> None:
    with pytest.raises(CorruptData):
        list(decompress_stream([*compress_stream([b"content"]), rest]))


def test_an_exception_leaves_no_whole_frame() -> None:
    sink = io.BytesIO()
    with pytest.raises(RuntimeError), ZstdWriter(sink) as writer:  # noqa: PT012
        writer.write(b"x" * 1_000_000)
        raise RuntimeError
    with pytest.raises(CorruptData):
        list(decompress_stream([sink.getvalue()]))


# In a process of its own: the largest memory of a process never goes down again.
_BOMB = """
import resource
from rets_pipeline.archive import compress_stream, decompress_stream
packed = list(compress_stream(bytes(1 << 20) for _ in range(400)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sizes = [len(piece) for piece in decompress_stream([b"".join(packed)])]
assert sum(sizes) == 400 << 20
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
assert grown < 200, grown
"""


def test_a_bomb_is_unpacked_in_steps() -> None:
    """400 MiB of zeros are 40 KB packed, and come as one chunk."""
    subprocess.run([sys.executable, "-c", _BOMB], check=True, timeout=PATIENCE)
