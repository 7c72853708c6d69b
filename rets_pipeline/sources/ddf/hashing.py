"""Whether a record says anything new: the hash of its content.

What belongs here: what is left out of the hash, and why. What does not: parsing, comparing.

DDF moves these without a change that anybody would want to see, so they are masked:

- ``PropertyDetails/@LastUpdated``: the time of CREA's last rewrite of the record;
- ``Office/@LastUpdated``, ``LogoLastUpdated``, ``Logo/LastUpdated``: they follow the listing's;
- the ``TS`` number in a logo's address: the same;
- ``PropertyPhoto/LastUpdated``: printed with day and month swapped; ``PhotoLastUpdated`` counts.

It works on the record's bytes, so that one pass without a parse can tell a known record. The
patterns read names exactly as DDF spells them: another spelling is not masked, and costs nothing
but a reload.
"""

from __future__ import annotations

import re
from hashlib import blake2b

_ATTRIBUTE = rb"\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*')"
_MOMENT = rb"(\s+LastUpdated\s*=\s*)(?:\"[^\"]*\"|'[^']*')"
_LEAF = rb"<([\w:.-]+)(?:" + _ATTRIBUTE + rb")*\s*(?:/>|>[^<]*</\2\s*>)\s*"

_ROOT = re.compile(rb"(\A\s*<[\w:.-]+(?:" + _ATTRIBUTE + rb")*?)" + _MOMENT)
_OFFICE = re.compile(rb"(<Office(?:" + _ATTRIBUTE + rb")*?)" + _MOMENT)
_PHOTO = re.compile(
    rb"(<PropertyPhoto(?:"
    + _ATTRIBUTE
    + rb")*\s*>\s*(?:"
    + _LEAF
    + rb")*?<LastUpdated>)[^<]*(?=</LastUpdated>)"
)
_LOGO_MOMENT = re.compile(rb"(<LogoLastUpdated>)[^<]*(?=</LogoLastUpdated>)")
_LOGO = re.compile(rb"<Logo(?:" + _ATTRIBUTE + rb")*\s*>.*?</Logo>", re.DOTALL)
_MOMENT_ELEMENT = re.compile(rb"(<LastUpdated>)[^<]*(?=</LastUpdated>)")
_TICKS = re.compile(rb"/TS[0-9]+/")
_TICKS_IN_TEXT = re.compile(r"/TS[0-9]+/")


def masked(record: bytes) -> bytes:
    """The bytes of one record, from its start tag to its end tag, without what does not count."""
    record = _ROOT.sub(rb'\1\2""', record, count=1)
    record = _OFFICE.sub(rb'\1\2""', record)
    record = _LOGO_MOMENT.sub(rb"\1", record)
    record = _LOGO.sub(_masked_logo, record)
    return _PHOTO.sub(rb"\1", record)


def content_hash(record: bytes) -> str:
    """The hash of a record's content: 32 hexadecimal digits.

    Args:
        record: its bytes, always serialized the same way (quotes, character references, empty
            elements): the hash is of bytes, not of meaning.
    """
    return blake2b(masked(record), digest_size=16).hexdigest()


def without_ticks(url: str) -> str:
    """A logo's address without the number that follows the listing's time of change."""
    return _TICKS_IN_TEXT.sub("/TS/", url)


def _masked_logo(match: re.Match[bytes]) -> bytes:
    return _TICKS.sub(b"/TS/", _MOMENT_ELEMENT.sub(rb"\1", match.group()))
