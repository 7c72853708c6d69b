"""Whether a record says anything new: the hash of its content.

What belongs here: what is left out of the hash, and why. What does not: parsing, comparing.

DDF moves these without a change that anybody would want to see, so they are masked:

- ``PropertyDetails/@LastUpdated``: the time of CREA's last rewrite of the record;
- ``Office/@LastUpdated``, ``LogoLastUpdated``, ``Logo/LastUpdated``: they follow the listing's
  (or the agent's); in an office's own record they are the office's, and count;
- the ``TS`` number in a logo's address: the same, and it does not count anywhere;
- ``PropertyPhoto/LastUpdated``: printed with day and month swapped; ``PhotoLastUpdated`` counts.

It works on the record's bytes, so that one pass without a parse can tell a known record. The
patterns read names exactly as DDF spells them: another spelling is not masked, and costs nothing
but a reload.
"""

from __future__ import annotations

import re
from hashlib import sha256

_ATTRIBUTE = rb"\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*')"
_MOMENT = rb"\s+LastUpdated\s*=\s*(\"[^\"]*\"|'[^']*')"

# Splitting at a pattern keeps what its group holds, and is faster than any replacement.
_ROOT = re.compile(rb"\s*<[\w:.-]+(?:" + _ATTRIBUTE + rb")*?" + _MOMENT)
_OFFICE = re.compile(rb"<Office(?:" + _ATTRIBUTE + rb")*?" + _MOMENT)
_LOGO_MOMENT = re.compile(rb"(<LogoLastUpdated>)[^<]*")
_MOMENT_ELEMENT = re.compile(rb"(<LastUpdated>)[^<]*")
#: a photo's start and its plain elements up to the date
_PHOTO = re.compile(
    rb"(<PropertyPhoto>\s*+(?:<\w++(?:\s*+/>|>[^<]*+</\w++>)\s*+)*?<LastUpdated>)[^<]*+"
)
#: how the record of an office's own search begins
_OWN_OFFICE = b"<OfficeDetails"
_TICKS = re.compile(rb"/TS[0-9]+/")
_TICKS_IN_TEXT = re.compile(r"/TS[0-9]+/")


def masked(record: bytes) -> bytes:
    """The bytes of one record, from its start tag to its end tag, without what does not count."""
    root = _ROOT.match(record)
    if root is not None:
        start, end = root.span(1)
        record = record[:start] + record[end:]
    if record.startswith(_OWN_OFFICE):
        # The date of its logo is all that tells of another logo behind the same address.
        return _masked_logo(record)
    parts = _PHOTO.split(record)
    parts[0] = _without_office_moments(parts[0])
    if len(parts) > 1:
        parts[-1] = _without_office_moments(parts[-1])
    return b"".join(parts)


def content_hash(record: bytes) -> str:
    """The hash of a record's content: 32 hexadecimal digits.

    Args:
        record: its bytes as they stand in the page, or in plain form (``sources.plain``): the hash
            is of bytes, not of meaning.
    """
    # The processor helps with this one, if it is not very old.
    return sha256(masked(record)).hexdigest()[:32]


def without_ticks(url: str) -> str:
    """A logo's address without the number that follows the listing's time of change."""
    return _TICKS_IN_TEXT.sub("/TS/", url)


def _without_office_moments(part: bytes) -> bytes:
    """What stands before or behind the photos, without the dates of offices."""
    kept: list[bytes] = []
    done = 0
    while (start := part.find(b"<Office", done)) >= 0:
        end = part.find(b"</Office", start)
        if end < 0:
            break
        kept += part[done:start], _masked_office(part[start:end])
        done = end
    return b"".join((*kept, part[done:])) if kept else part


def _masked_office(office: bytes) -> bytes:
    moment = _OFFICE.match(office)
    if moment is not None:
        office = office[: moment.start(1)] + office[moment.end(1) :]
    if b"<LogoLastUpdated>" in office:
        office = b"".join(_LOGO_MOMENT.split(office))
    return _masked_logo(office, moments=True)


def _masked_logo(office: bytes, *, moments: bool = False) -> bytes:
    """Without the number in the logo's address, and if asked for without its dates."""
    start = office.find(b"<Logo>")
    end = office.find(b"</Logo>", start)
    if not 0 <= start < end:
        return office
    logo = office[start:end]
    if moments:
        logo = b"".join(_MOMENT_ELEMENT.split(logo))
    return b"".join((office[:start], _TICKS.sub(b"/TS/", logo), office[end:]))
