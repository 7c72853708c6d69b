"""What a key may look like, and how text from a server becomes part of one.

What belongs here: the rules for keys. What does not: which keys there are.
"""

from __future__ import annotations

import hashlib
import re

#: the longest segment in bytes; a file system's limit is 255, and temporary names need some
SEGMENT_BYTES = 200
#: the longest key in bytes; S3's limit is 1,024 together with the archive's prefix
KEY_BYTES = 700

_SAFE_BYTES = 120
_SEGMENT = re.compile(r"[A-Za-z0-9!_.=-]+")
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
_DOT = ord(".")
# Behind the escape sign these letters are no hexadecimal digits, so no encoded text has them.
_EMPTY = "!empty"
_SHORTENED = "!short-"


def safe_segment(text: str) -> str:
    """Text from a server as one segment of a key.

    Letters, digits, ``_``, ``-`` and ``.`` stay (a first ``.`` does not: no hidden files, no
    ``..``). Every other byte of the UTF-8 form becomes ``!`` and two hexadecimal digits; ``!`` is
    among the characters that S3 calls safe, unlike ``%``. What would be longer than 120 bytes is
    cut and gets a hash of the whole text.

    Different texts give different segments: the encoding can be undone, and the hash has 160 bits.
    On a file system that takes upper and lower case for the same, such texts share a file.

    Args:
        text: anything, also empty, with control characters or with lone surrogates.

    Returns:
        1 to 120 characters of ASCII.
    """
    if not text:
        return _EMPTY
    raw = text.encode("utf-8", "surrogatepass")
    encoded = "".join(
        chr(byte) if byte in _PLAIN and (place or byte != _DOT) else f"!{byte:02X}"
        for place, byte in enumerate(raw[: _SAFE_BYTES + 1])
    )
    if len(encoded) <= _SAFE_BYTES:
        return encoded
    tail = _SHORTENED + hashlib.blake2b(raw, digest_size=20).hexdigest()
    return encoded[: _SAFE_BYTES - len(tail)] + tail


def check_key(key: str) -> str:
    """The key, if it is one: segments of safe characters, parted by single slashes.

    Raises:
        ValueError: it is none; the message says why.
    """
    if len(key.encode("utf-8", "surrogatepass")) > KEY_BYTES:
        raise ValueError(f"the key is longer than {KEY_BYTES} bytes")
    for segment in key.split("/"):
        if not _SEGMENT.fullmatch(segment):
            raise ValueError(f"the key {key!r} holds an empty part or an unsafe character")
        if not segment.strip("."):
            raise ValueError(f"the key {key!r} holds a part of dots only")
        if len(segment) > SEGMENT_BYTES:
            raise ValueError(f"a part of the key {key!r} is longer than {SEGMENT_BYTES} bytes")
    return key
