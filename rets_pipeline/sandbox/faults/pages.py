"""Faults of limits, pages and counts.

What belongs here: sections 13 to 15 of the catalogue. What does not: the cells of a row
(``columns``).
"""

from __future__ import annotations

import re

from rets_pipeline.sandbox.answers import Answer, rets
from rets_pipeline.sandbox.faults.bodies import RECORD
from rets_pipeline.sandbox.faults.catalogue import Turn, changes, replaces, spoils_answer

_SEARCH = ("Search",)
_COUNT = re.compile(rb'<COUNT Records="([^"]*)" ?/>', re.IGNORECASE)
_MAXROWS = re.compile(rb"<MAXROWS ?/>", re.IGNORECASE)


def _offset(turn: Turn) -> int:
    return turn.call.number("offset", 1)


def _set_count(body: bytes, count: object) -> bytes:
    return _COUNT.sub(f'<COUNT Records="{count}" />'.encode(), body)


def _count(body: bytes) -> int:
    match = _COUNT.search(body)
    return int(match[1]) if match else 0


def _keep(body: bytes, records: int) -> bytes:
    """The body with the first records only."""
    kept = 0

    def keep(match: re.Match[bytes]) -> bytes:
        nonlocal kept
        kept += 1
        return match[0] if kept <= records else b""

    return RECORD.sub(keep, body)


def _refusal(answer: Answer, code: int, text: str) -> None:
    answer.content = rets("", code, text).content


# --- 13: limits, pages, counts --------------------------------------------------------------------


@changes(13, rows=5)
def server_limit(turn: Turn) -> None:
    """An answer never holds more than so many rows, and says MAXROWS."""
    limit = min(turn.call.number("limit", turn["rows"]), turn["rows"])
    turn.call.arguments["limit"] = str(limit)


@changes(13)
def limit_ignored(turn: Turn) -> None:
    """Limit is ignored."""
    turn.call.arguments.pop("limit", None)


@spoils_answer(13, _SEARCH)
def maxrows_on_last_page(answer: Answer, _: Turn) -> None:
    """MAXROWS stands behind the last page too."""
    body = answer.body()
    if not _MAXROWS.search(body) and RECORD.search(body):
        answer.write(body.replace(b"</RETS>", b"<MAXROWS /></RETS>"))


@spoils_answer(13, _SEARCH)
def maxrows_missing(answer: Answer, _: Turn) -> None:
    """MAXROWS is missing though the page is not the last one."""
    answer.write(_MAXROWS.sub(b"", answer.body()))


@spoils_answer(13, _SEARCH, code=20203)
def error_behind_last_page(answer: Answer, turn: Turn) -> None:
    """A page behind the last one is an error instead of 20201."""
    if b'ReplyCode="20201"' in answer.body() and _offset(turn) > 1:
        _refusal(answer, turn["code"], "Offset is out of range")


@replaces(13, _SEARCH)
def offset_unsupported(turn: Turn) -> Answer | None:
    """Offset is not supported: reply code 20203."""
    if "offset" not in turn.call.arguments:
        return None
    return rets("", 20203, "Offset is not supported")


@changes(13)
def offset_ignored(turn: Turn) -> None:
    """Offset is ignored: every page is the first."""
    turn.call.arguments.pop("offset", None)


@changes(13)
def offset_zero_based(turn: Turn) -> None:
    """Offset counts from 0."""
    if "offset" in turn.call.arguments:
        turn.call.arguments["offset"] = str(turn.call.number("offset", 0) + 1)


@changes(13)
def page_repeated(turn: Turn) -> None:
    """Pages behind the second are the second again."""
    limit = turn.call.number("limit", 1)
    turn.call.arguments["offset"] = str(min(_offset(turn), limit + 1))


@changes(13, rows=200)
def pages_without_end(turn: Turn) -> None:
    """Pages never end: behind the last comes the first again."""
    turn.call.arguments["offset"] = str((_offset(turn) - 1) % turn["rows"] + 1)


@changes(13)
def pages_overlap(turn: Turn) -> None:
    """Every page behind the first begins a row early."""
    if _offset(turn) > 1:
        turn.call.arguments["offset"] = str(_offset(turn) - 1)


@changes(13)
def pages_gap(turn: Turn) -> None:
    """Every page behind the first begins a row late."""
    if _offset(turn) > 1:
        turn.call.arguments["offset"] = str(_offset(turn) + 1)


@spoils_answer(13, _SEARCH)
def page_empty_with_maxrows(answer: Answer, turn: Turn) -> None:
    """A page has no rows but a MAXROWS, again and again."""
    body = answer.body()
    if _offset(turn) > 1 and RECORD.search(body):
        answer.write(_MAXROWS.sub(b"", _keep(body, 0)).replace(b"</RETS>", b"<MAXROWS /></RETS>"))


@replaces(13, _SEARCH)
def later_page_20201(turn: Turn) -> Answer | None:
    """A page behind the first is 20201 though there are rows."""
    return rets("", 20201, "No Records Found") if _offset(turn) > 1 else None


@spoils_answer(13, _SEARCH)
def count_missing(answer: Answer, _: Turn) -> None:
    """COUNT is missing though it was asked for."""
    answer.write(_COUNT.sub(b"", answer.body()))


@spoils_answer(13, _SEARCH)
def count_of_page(answer: Answer, _: Turn) -> None:
    """COUNT counts the rows of the page instead of all."""
    body = answer.body()
    answer.write(_set_count(body, len(RECORD.findall(body))))


@spoils_answer(13, _SEARCH, by=1)
def count_too_large(answer: Answer, turn: Turn) -> None:
    """COUNT is larger than the number of rows."""
    body = answer.body()
    answer.write(_set_count(body, _count(body) + turn["by"]))


@spoils_answer(13, _SEARCH, by=1)
def count_too_small(answer: Answer, turn: Turn) -> None:
    """COUNT is smaller than the number of rows."""
    body = answer.body()
    answer.write(_set_count(body, max(0, _count(body) - turn["by"])))


@spoils_answer(13, _SEARCH, count="many")
def count_unreadable(answer: Answer, turn: Turn) -> None:
    """COUNT is no number."""
    answer.write(_set_count(answer.body(), turn["count"]))


@spoils_answer(13, _SEARCH)
def count_twice(answer: Answer, _: Turn) -> None:
    """COUNT comes twice, with two numbers."""
    body = answer.body()
    second = f'<COUNT Records="{_count(body) + 1}" /></RETS>'.encode()
    answer.write(body.replace(b"</RETS>", second))


@spoils_answer(13, _SEARCH, rows=5)
def rows_cut(answer: Answer, turn: Turn) -> None:
    """Rows behind a limit are missing without a word; COUNT has all."""
    answer.write(_MAXROWS.sub(b"", _keep(answer.body(), turn["rows"])))


@spoils_answer(13, _SEARCH, rows=5)
def rows_cut_with_count(answer: Answer, turn: Turn) -> None:
    """Rows behind a limit are missing without a word, and COUNT agrees."""
    body = answer.body()
    if turn.call.arguments.get("count") == "2":
        return  # asked for nothing but the number, the server tells the truth
    kept = _MAXROWS.sub(b"", _keep(body, turn["rows"]))
    answer.write(_set_count(kept, min(_count(body), turn["rows"])))


# --- 14: data that change -------------------------------------------------------------------------


@changes(14)
def rows_added_between_pages(turn: Turn) -> None:
    """Between two pages a row is added before all others; COUNT is that of the first page."""
    if _offset(turn) > 1:
        turn.call.arguments["offset"] = str(max(1, _offset(turn) - turn.number + 1))


@changes(14)
def rows_removed_between_pages(turn: Turn) -> None:
    """Between two pages the first row is removed; COUNT is that of the first page."""
    if _offset(turn) > 1:
        turn.call.arguments["offset"] = str(_offset(turn) + turn.number - 1)


# --- 15: too many, and none -----------------------------------------------------------------------


@spoils_answer(15, _SEARCH, above=10)
def refused_20208(answer: Answer, turn: Turn) -> None:
    """More than so many rows are refused: reply code 20208."""
    if len(RECORD.findall(answer.body())) > turn["above"]:
        _refusal(answer, 20208, "Maximum Records Exceeded")


@spoils_answer(15, _SEARCH, rows=5)
def rows_with_20208(answer: Answer, turn: Turn) -> None:
    """Reply code 20208 comes with rows: as many as the server gives."""
    body = answer.body()
    if RECORD.search(body):
        code = body.replace(b'ReplyCode="0"', b'ReplyCode="20208"', 1)
        answer.write(_keep(code, turn["rows"]))


@spoils_answer(15, ("GetObject",), above=1)
def refused_20410(answer: Answer, turn: Turn) -> None:
    """More than so many objects are refused: reply code 20410."""
    if answer.body().lower().count(b"\r\nobject-id:") > turn["above"]:
        _refuse_object(answer, 20410)


@replaces(15, ("GetMetadata",))
def refused_20510(turn: Turn) -> Answer | None:
    """Metadata of everything at once are refused: reply code 20510."""
    kind = turn.call.arguments.get("type", "").upper()
    wanted = turn.call.arguments.get("id", "").rpartition(":")[2]
    if kind in ("METADATA-SYSTEM", "METADATA-RESOURCE") or wanted not in ("*", "0", ""):
        return None
    return rets("", 20510, "Too much metadata")


@replaces(15, _SEARCH)
def nothing_found(_: Turn) -> Answer:
    """Nothing is found: reply code 20201."""
    return rets("", 20201, "No Records Found")


@replaces(15, _SEARCH)
def nothing_found_as_success(_: Turn) -> Answer:
    """Nothing is found: reply code 0 and a COUNT of 0."""
    return rets('<COUNT Records="0" />')


@replaces(15, _SEARCH, count=7)
def nothing_found_with_count(turn: Turn) -> Answer:
    """Nothing is found, says 20201, yet COUNT has records."""
    return rets(f'<COUNT Records="{turn["count"]}" />', 20201, "No Records Found")


@spoils_answer(15, _SEARCH)
def count_without_rows(answer: Answer, _: Turn) -> None:
    """COUNT has records, but there is not one row."""
    answer.write(_MAXROWS.sub(b"", _keep(answer.body(), 0)))


def _refuse_object(answer: Answer, code: int) -> None:
    small = rets("", code, "Too Many Objects")
    answer.content, answer.headers = small.content, small.headers
