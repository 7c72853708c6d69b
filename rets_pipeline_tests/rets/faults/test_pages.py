"""Limits, pages, counts; too many, and none."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from rets_pipeline.rets import CountMismatch, DataBroken, RetsError, SplitRequest
from rets_pipeline.rets.paging import search_all, search_keys, search_ranges

from .bench import FORMATS, Bench, as_row, proves, search_fields

TABLES = ("COMPACT", "STANDARD-XML")


def pages(bench: Bench, form: str, **settings: Any) -> list[str]:
    """The keys of everything, by Offset."""
    session = bench.session(form)
    fields = search_fields(form, Select="ListingKey,City")
    del fields["Count"]
    if form == "STANDARD-XML":
        search: Any = partial(session.search, record="ResidentialProperty")
        records: Iterator[Any] = search_all(search, fields, **settings)
        return [as_row(record)["ListingKey"] for record in records]
    return [row[0] for row in search_all(session.search_compact, fields, **settings)]


@pytest.mark.parametrize("form", TABLES)
@pytest.mark.parametrize("page_size", [None, 7, 10, 29, 30, 31])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        proves("server_limit", "Asks for the next page until COUNT is reached.", {"rows": 8}),
        proves("maxrows_on_last_page", "Goes by COUNT, and ignores what comes behind the end.", {}),
        proves("maxrows_missing", "Goes by COUNT.", {}),
        proves("error_behind_last_page", "Ignores it when COUNT is reached.", {}),
        proves("offset_zero_based", "Finds out from the second page where the server begins.", {}),
        proves("pages_gap", "Takes it for a server that counts from 0, and finds every row.", {}),
        proves("limit_ignored", "Takes what comes.", {}),
    ],
)
def test_pages_that_come_together(
    bench: Bench, form: str, page_size: int | None, name: str, settings: dict[str, Any]
) -> None:
    bench.switch_on(name, times=None, **settings)
    assert pages(bench, form, page_size=page_size) == bench.all_keys()


@pytest.mark.parametrize("form", TABLES)
@pytest.mark.parametrize("name", ["maxrows_missing", "offset_zero_based", "error_behind_last_page"])
def test_a_server_with_a_limit_and_another_fault(bench: Bench, form: str, name: str) -> None:
    bench.switch_on("server_limit", times=None, rows=9)
    bench.switch_on(name, times=None)
    assert pages(bench, form) == bench.all_keys()


BAD_PAGES = [
    proves("offset_unsupported", "Asks to split the search by keys or ranges.", {}, SplitRequest),
    proves(
        "offset_ignored", "Asks to split the search: the first record came back.", {}, RetsError
    ),
    proves("page_repeated", "An error: a page does not fit the one before.", {}, DataBroken),
    proves(
        "pages_without_end",
        "An error: a page comes back to the beginning.",
        {"rows": 21},
        DataBroken,
    ),
    proves("pages_overlap", "An error: a row came twice.", {}, DataBroken),
    proves(
        "page_empty_with_maxrows", "An error: rows are missing. It asks no further.", {}, RetsError
    ),
    proves("later_page_20201", "An error: rows are missing.", {}, CountMismatch),
    proves("count_missing", "An error: nothing proves the rows whole.", {}, CountMismatch),
    proves("count_of_page", "An error: there are more rows than COUNT says.", {}, RetsError),
    proves("count_too_large", "An error: rows are missing.", {}, CountMismatch),
    proves("count_too_small", "An error: there are more rows than COUNT says.", {}, RetsError),
    proves("count_unreadable", "An error.", {}, CountMismatch),
    proves("count_twice", "An error.", {}, CountMismatch),
    proves(
        "rows_added_between_pages",
        "An error: a page does not fit the one before, or a row comes twice.",
        {},
        RetsError,
    ),
    proves(
        "rows_removed_between_pages",
        "An error: a page does not fit the one before, or rows are missing.",
        {},
        RetsError,
    ),
]


@pytest.mark.parametrize("form", TABLES)
@pytest.mark.parametrize(("name", "settings", "kind"), BAD_PAGES)
def test_pages_that_do_not_come_together(
    bench: Bench, form: str, name: str, settings: dict[str, Any], kind: type[RetsError]
) -> None:
    bench.session().login()
    bench.switch_on(name, times=None, **settings)
    with pytest.raises(kind):
        pages(bench, form, page_size=10)
    assert bench.happened()[0] < 20


@pytest.mark.parametrize("form", TABLES)
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        proves(
            "rows_cut_with_count",
            "By Offset: an error, because the server had more behind the last row.",
            {"rows": 10},
        )
    ],
)
def test_a_limit_that_hides_itself_is_found_behind_the_last_row(
    bench: Bench, form: str, name: str, settings: dict[str, Any]
) -> None:
    bench.session().login()
    bench.switch_on(name, times=None, **settings)
    with pytest.raises(RetsError):
        pages(bench, form)


# One answer


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        proves("count_too_large", "An error in a single answer too.", CountMismatch),
        proves("count_too_small", "An error in a single answer too.", CountMismatch),
        proves("count_missing", "An error in a single answer too.", CountMismatch),
        proves("count_unreadable", "An error in a single answer too.", CountMismatch),
        proves("count_twice", "An error in a single answer too.", CountMismatch),
        proves("rows_cut", "An error: COUNT says how many rows are missing.", CountMismatch),
        proves("count_without_rows", "An error: COUNT has records.", CountMismatch),
        proves("nothing_found_with_count", "An error: it cannot be both.", CountMismatch),
        proves("refused_20208", "Asks to split the request.", SplitRequest),
        proves("rows_with_20208", "Delivers the rows, then asks to split.", SplitRequest),
    ],
)
def test_a_single_answer_that_lies(
    bench: Bench, form: str, name: str, kind: type[RetsError]
) -> None:
    bench.session(form).login()
    bench.switch_on(name)
    with pytest.raises(kind):
        bench.read(form)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "name",
    [
        proves("nothing_found", "Nothing is no error."),
        proves("nothing_found_as_success", "Nothing is no error."),
    ],
)
def test_nothing_is_no_error(bench: Bench, form: str, name: str) -> None:
    bench.switch_on(name)
    assert bench.read(form) == []


@pytest.mark.fault(
    "server_limit", does="Without pages, MAXROWS in an answer that should be whole is an error."
)
@pytest.mark.parametrize("form", TABLES)
def test_a_limit_without_pages(bench: Bench, form: str) -> None:
    bench.switch_on("server_limit", rows=12)
    with pytest.raises(CountMismatch) as caught:
        bench.read(form)
    assert caught.value.rows == 12


# By keys, and by ranges of keys


def by_keys(bench: Bench, keys: list[int], **settings: Any) -> list[str]:
    def arguments(part: Any) -> dict[str, str]:
        query = f"(ListingKey={','.join(map(str, part))})"
        return search_fields("COMPACT", Query=query, Select="ListingKey")

    session = bench.session()
    found = search_keys(
        session.search_compact, arguments, keys, key=lambda r: int(r[0]), **settings
    )
    return [row[0] for row in found]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        proves("refused_20208", "By keys: halves the request until it fits.", {"above": 4}),
        proves("rows_with_20208", "By keys: halves the request until it fits.", {"rows": 4}),
        proves("server_limit", "By keys: halves the request until it fits.", {"rows": 4}),
    ],
)
def test_keys_are_split(bench: Bench, name: str, settings: dict[str, Any]) -> None:
    times = 3 if name == "rows_with_20208" else None
    bench.switch_on(name, times=times, **settings)
    missing: list[int] = []
    keys = [int(key) for key in bench.all_keys()]
    found = by_keys(bench, [*keys, 5], chunk=20, on_missing=missing.append)
    assert sorted(found) == bench.all_keys()
    assert missing == [5]


@pytest.mark.parametrize("name", ["refused_20208", "server_limit"])
def test_ranges_are_split(bench: Bench, name: str) -> None:
    parameter = {"refused_20208": "above", "server_limit": "rows"}[name]
    bench.switch_on(name, times=None, **{parameter: 4})

    def arguments(low: int, high: int) -> dict[str, str]:
        return search_fields("COMPACT", Query=f"(ListingKey={low}-{high})", Select="ListingKey")

    session = bench.session()
    keys = bench.all_keys()
    found = search_ranges(session.search_compact, arguments, int(keys[0]) - 99, int(keys[-1]) + 99)
    assert sorted(row[0] for row in found) == keys
