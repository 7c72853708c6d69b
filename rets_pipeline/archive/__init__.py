"""The object store that holds raw pulls and images: a folder, S3, or any S3-compatible server.

What belongs here: bytes under keys, safe keys, compression. What does not: what the bytes mean,
which keys exist and why, and anything of SQL, XML or Dagster.
"""

from rets_pipeline.archive.compression import (
    CorruptData,
    ZstdWriter,
    compress_stream,
    decompress_stream,
)
from rets_pipeline.archive.errors import ArchiveError, NotInArchive
from rets_pipeline.archive.keys import safe_segment
from rets_pipeline.archive.store import Archive, BinaryWriter, Stored

__all__ = [
    "Archive",
    "ArchiveError",
    "BinaryWriter",
    "CorruptData",
    "NotInArchive",
    "Stored",
    "ZstdWriter",
    "compress_stream",
    "decompress_stream",
    "safe_segment",
]
