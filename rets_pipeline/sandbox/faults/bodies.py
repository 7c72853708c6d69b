"""Where things are in the bytes of an answer.

What belongs here: records, texts and the opening tag, found by their marks, whatever the format.
What does not: any fault.
"""

from __future__ import annotations

import re
from typing import Final

#: one record of a search answer, in any format of either server
RECORD: Final = re.compile(
    rb"<(?:\w+:)?(DATA|ResidentialProperty|PropertyDetails|AgentDetails|OfficeDetails)\b[^>]*>"
    rb".*?</(?:\w+:)?\1>\s*|<(?:Property|Agent|Office) [^>]*/>",
    re.DOTALL | re.IGNORECASE,
)
_OPENING = re.compile(rb"<(?:RETS|rets)\b[^>]*?/?>")
#: ends of texts that faults may add to, by preference
_TEXT_ENDS = (
    re.compile(rb"(?=</(?:\w+:)?PublicRemarks>)"),
    re.compile(rb"(?=</(?:LongName|LongValue|Description|VisibleName)>)"),
    re.compile(rb"(?<=MemberName=)"),
    # An opening tag without anything else: its ReplyText.
    re.compile(rb"(?<=ReplyText=\")"),
)
_COLUMNS = re.compile(rb"<COLUMNS>(.*?)</COLUMNS>", re.DOTALL)
_DATA = re.compile(rb"<DATA>(.*?)</DATA>", re.DOTALL)
_IN_COMPACT = (b"PublicRemarks", b"LongName", b"LongValue", b"Description", b"VisibleName")


def opening_end(body: bytes) -> int:
    """Where the opening tag of the document ends."""
    match = _OPENING.search(body)
    return match.end() if match else 0


def add_to_text(body: bytes, piece: bytes) -> bytes:
    """Add bytes to the end of a text: of the first record's remarks, if there is a record."""
    at = _end_of_cell(body)
    if at is None:
        matches = (form.search(body) for form in _TEXT_ENDS)
        at = next((match.start() for match in matches if match), len(body))
    return body[:at] + piece + body[at:]


def _end_of_cell(body: bytes) -> int | None:
    """The end of the first such text in COMPACT."""
    columns, data = _COLUMNS.search(body), _DATA.search(body)
    if columns is None or data is None:
        return None
    names = columns[1].split(b"\t")
    name = next((name for name in _IN_COMPACT if name in names), names[1])
    cells = data[1].split(b"\t")[: names.index(name) + 1]
    return data.start(1) + len(b"\t".join(cells))
