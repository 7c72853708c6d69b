"""Many of DDF's moments at once.

What belongs here: the one form in which DDF writes nearly all of them, read with arrays. What does
not: all other forms, and what is wrong with a text (``values``).

NumPy and Arrow are slow to import, so this module is imported when a master list is read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from rets_pipeline.sources.ddf.values import ConversionError, utc_timestamp

#: ``Wed, 13 Mar 2024 14:33:02 GMT``; digits stand for the places of numbers
_FORM = b"xxx, 00 xxx 0000 00:00:00 GMT"
_DIGITS = np.array([position for position, letter in enumerate(_FORM) if letter == ord("0")])
_SIGNS = np.array([position for position, letter in enumerate(_FORM) if letter not in b"x0"])
_FORM_ARRAY = np.frombuffer(_FORM, np.uint8)
_ZERO = ord("0")
_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_TYPE = pa.timestamp("us", tz="UTC")


def utc_timestamps(texts: Sequence[str]) -> pa.Array:
    """Moments in UTC, NULL where a text cannot be read; see :func:`~values.utc_timestamp`."""
    moments = _plain(texts)
    if moments is not None:
        # Of the array's own memory: pa.array() would import what NumPy masks arrays with.
        return pa.Array.from_buffers(_TYPE, len(moments), [None, pa.py_buffer(moments)])
    return pa.array([_moment(text) for text in texts], _TYPE)


def _moment(text: str) -> object:
    try:
        return utc_timestamp(text.strip())
    except ConversionError:
        return None


def _plain(texts: Sequence[str]) -> np.ndarray | None:
    """Microseconds since 1970; None unless all have the form, and are moments that exist."""
    joined = "".join(texts)
    width = len(_FORM)
    if not joined.isascii() or set(map(len, texts)) != {width}:
        return None
    letters = np.frombuffer(joined.encode(), np.uint8).reshape(-1, width)
    digits = letters[:, _DIGITS] - _ZERO  # unsigned: what is no digit becomes large
    weekday = letters[:, :3] | 0x20
    if (
        (digits > 9).any()
        or (letters[:, _SIGNS] != _FORM_ARRAY[_SIGNS]).any()
        or ((weekday < ord("a")) | (weekday > ord("z"))).any()
    ):
        return None
    months = _months(letters[:, 8:11])
    if months is None:
        return None
    d1, d2, y1, y2, y3, y4, h1, h2, m1, m2, s1, s2 = digits.T.astype(np.int64)
    day, year = d1 * 10 + d2, y1 * 1000 + y2 * 100 + y3 * 10 + y4
    hour, minute, second = h1 * 10 + h2, m1 * 10 + m2, s1 * 10 + s2
    month = ((year - 1970) * 12 + months).astype("datetime64[M]")
    first = month.astype("datetime64[D]").astype(np.int64)
    length = (month + 1).astype("datetime64[D]").astype(np.int64) - first
    exists = (day >= 1) & (day <= length) & (year >= 1)
    if not (exists & (hour <= 23) & (minute <= 59) & (second <= 59)).all():
        return None
    seconds: np.ndarray = (((first + day - 1) * 24 + hour) * 60 + minute) * 60 + second
    return seconds * 1_000_000


def _months(names: np.ndarray) -> np.ndarray | None:
    """Their numbers from 0; None when one is no month."""
    codes = names.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    found, places = np.unique(codes, return_inverse=True)
    try:
        numbers = [_MONTHS.index(int(code).to_bytes(3, "big")) for code in found]
    except ValueError:
        return None
    return np.array(numbers)[places]
