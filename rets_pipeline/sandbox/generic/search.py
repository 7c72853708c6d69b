"""The Search transaction of the generic server.

What belongs here: arguments, limits, pages, reply codes. What does not: DMQL2 (``dmql``), and the
form of rows (``table``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rets_pipeline.sandbox.generic import dmql
from rets_pipeline.sandbox.generic.columns import COLUMNS
from rets_pipeline.sandbox.generic.listings import Listings, places_of
from rets_pipeline.sandbox.generic.table import Table

_FORMATS = ("COMPACT", "COMPACT-DECODED", "STANDARD-XML")


class SearchError(Exception):
    """A search that is refused, or finds nothing.

    Args:
        code: the RETS reply code.
        text: its text.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def answer(listings: Listings, arguments: Mapping[str, str]) -> Table:
    """What a search finds.

    Args:
        listings: that are searched.
        arguments: of the request, names in lower case.

    Raises:
        SearchError: with the reply code.
    """
    kind = _format(arguments)
    places = _places(arguments.get("select", ""))
    try:
        found = dmql.read(arguments.get("query", ""), listings).rows(listings)
    except dmql.DmqlError as error:
        code = 20200 if error.unknown_field else 20206
        raise SearchError(code, f"Invalid Query Syntax: {error}") from None
    count, offset = _number(arguments, "count", 0), _number(arguments, "offset", 1)
    limit = _number(arguments, "limit", len(found), none="NONE")
    page = found[max(0, offset - 1) : max(0, offset - 1) + limit]
    if not page:
        raise SearchError(20201, "No Records Found")
    table = Table(
        columns=[COLUMNS[place].name for place in places],
        rows=() if count == 2 else _rows(listings, page, places, decoded=kind != "COMPACT"),
        count=len(found) if count else None,
        maxrows=count != 2 and max(0, offset - 1) + limit < len(found),
        standard_xml=kind == "STANDARD-XML",
    )
    if count == 2:
        # Only the number was asked for.
        table.columns, table.declared, table.standard_xml = [], None, False
    return table


def _format(arguments: Mapping[str, str]) -> str:
    if (arguments.get("searchtype"), arguments.get("class")) != ("Property", "RES"):
        raise SearchError(20203, "Miscellaneous Search Error: unknown SearchType or Class")
    if arguments.get("querytype", "DMQL2").upper() != "DMQL2":
        raise SearchError(20203, "Miscellaneous Search Error: unknown QueryType")
    kind = arguments.get("format", "COMPACT-DECODED").upper()
    if kind not in _FORMATS:
        raise SearchError(20203, "Miscellaneous Search Error: unknown Format")
    return kind


def _places(select: str) -> list[int]:
    try:
        return places_of(select)
    except KeyError as error:
        raise SearchError(20202, f"Invalid Select: {error.args[0]}") from None


def _rows(
    listings: Listings, page: Sequence[int], places: list[int], *, decoded: bool
) -> Iterator[list[str]]:
    return (listings.texts(number, places, decoded=decoded) for number in page)


def _number(arguments: Mapping[str, str], name: str, default: int, none: str = "") -> int:
    text = arguments.get(name, "").strip()
    if text.upper() == none or not text:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise SearchError(20206, f"Invalid Query Syntax: {name.capitalize()}")
    return int(text)
