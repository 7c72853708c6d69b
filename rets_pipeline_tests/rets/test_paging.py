"""Paging against servers that count from 0 or 1, ignore Offset, cut without a word, and lie."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rets_pipeline.rets import (
    CountMismatch,
    DataBroken,
    RetsError,
    SplitRequest,
    Truncated,
    read_search,
)
from rets_pipeline.rets.compact import CompactAnswer, read_compact
from rets_pipeline.rets.paging import search_all, search_keys, search_ranges
from rets_pipeline.rets.standard_xml import SearchAnswer

Row = tuple[str, ...]


@dataclass
class Server:
    """Answers in bytes, as a server with these faults would.

    `cap`: it gives no more rows at once. `says_so`: and says so by MAXROWS.
    """

    keys: Sequence[int]
    base: int = 1
    cap: int = 10
    says_so: bool = True
    always_maxrows: bool = False
    count: Callable[[int], int | None] = field(default=lambda truth: truth)
    ignores_offset: bool = False
    refuses_offset: bool = False
    behind_the_end: str = "20201"
    circles: bool = False
    bad_rows: frozenset[int] = frozenset()
    asked: list[Mapping[str, str]] = field(default_factory=list)
    before_page: Callable[[Server], None] = field(default=lambda server: None)

    def search(self, arguments: Mapping[str, str]) -> CompactAnswer:
        self.asked.append(dict(arguments))
        self.before_page(self)
        return read_compact([self.body(arguments)], arguments=arguments, name="server")

    def body(self, arguments: Mapping[str, str]) -> bytes:
        start = 0
        if "Offset" in arguments and not self.ignores_offset:
            if self.refuses_offset:
                return b'<RETS ReplyCode="20203" ReplyText="Offset is not supported"/>'
            start = max(0, int(arguments["Offset"]) - self.base)
        if self.circles and self.keys:
            start %= len(self.keys)
        left = self.keys[start:]
        if not left and start and self.behind_the_end != "empty":
            return f'<RETS ReplyCode="{self.behind_the_end}" ReplyText="x"/>'.encode()
        limit = arguments.get("Limit", "NONE")
        wanted = left if limit == "NONE" else left[: int(limit)]
        page = wanted[: self.cap]
        cut = self.says_so and len(page) < len(wanted)
        return self.document(page, maxrows=cut or self.always_maxrows)

    def document(self, page: Sequence[int], *, maxrows: bool, code: int = 0) -> bytes:
        rows = "".join(
            f"<DATA>\t{key}\tcell\t</DATA>\n"
            if key not in self.bad_rows
            else f"<DATA>\t{key}\t</DATA>"
            for key in page
        )
        count = self.count(len(self.keys))
        counted = "" if count is None else f'<COUNT Records="{count}"/>'
        end = "<MAXROWS/>" if maxrows else ""
        columns = "<COLUMNS>\tKey\tText\t</COLUMNS>"
        return f'<RETS ReplyCode="{code}">{counted}{columns}{rows}{end}</RETS>'.encode()


def keys_of(rows: Iterator[Row]) -> list[int]:
    return [int(row[0]) for row in rows]


def all_of(server: Server, **settings: object) -> list[int]:
    return keys_of(search_all(server.search, {"Query": "(x=*)"}, **settings))  # type: ignore[arg-type]


# By Offset


@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("total", [0, 1, 2, 9, 10, 11, 19, 20, 21, 47])
@pytest.mark.parametrize("page_size", [None, 2, 4, 10, 11, 1000])
@pytest.mark.parametrize("says_so", [True, False])
def test_every_row_once(base: int, total: int, page_size: int | None, says_so: bool) -> None:
    for behind in ("20201", "empty", "20203", "20200"):
        server = Server(range(total), base=base, says_so=says_so, behind_the_end=behind)
        assert all_of(server, page_size=page_size) == list(range(total))
        assert {asked["Count"] for asked in server.asked} == {"1"}


def test_the_page_is_as_large_as_what_arrives() -> None:
    server = Server(range(25), cap=10)
    assert all_of(server, page_size=1000) == list(range(25))
    assert [asked.get("Offset") for asked in server.asked] == [None, "10", "19", "25"]


def test_maxrows_on_the_last_page_is_no_reason_to_go_on_for_ever() -> None:
    for behind in ("20201", "empty", "20203"):
        server = Server(range(25), always_maxrows=True, behind_the_end=behind)
        assert all_of(server) == list(range(25))
        assert len(server.asked) == 4


@pytest.mark.parametrize("base", [0, 1])
def test_rows_in_quarantine_are_counted_and_never_come_twice(base: int) -> None:
    for bad in ({0}, {9}, {10}, {8, 9, 10, 11}, {24}, {23, 24}, {5, 15, 19, 20}):
        server = Server(range(25), base=base, bad_rows=frozenset(bad))
        assert all_of(server) == [key for key in range(25) if key not in bad]
    server = Server(range(25), base=base, bad_rows=frozenset(range(25)))
    with pytest.raises(DataBroken, match="not one record"):
        all_of(server)


# Servers that would give less than they have


@pytest.mark.parametrize("says_so", [True, False])
def test_a_count_that_is_too_small(says_so: bool) -> None:
    for lie in (1, 5, 10, 20, 24):
        server = Server(range(25), says_so=says_so, count=lambda truth, lie=lie: lie)
        with pytest.raises(CountMismatch):
            all_of(server, page_size=10)


def test_a_count_that_is_too_large() -> None:
    for behind in ("20201", "empty"):
        server = Server(range(25), count=lambda truth: truth + 1, behind_the_end=behind)
        with pytest.raises(CountMismatch):
            all_of(server)


def test_a_count_that_is_only_the_size_of_the_page() -> None:
    server = Server(range(25), says_so=False, count=lambda truth: 10)
    with pytest.raises(CountMismatch):
        all_of(server, page_size=100)


def test_no_count() -> None:
    with pytest.raises(CountMismatch, match="no COUNT"):
        all_of(Server(range(5), count=lambda truth: None))


def test_a_server_that_stops_at_a_limit_without_a_word() -> None:
    server = Server(range(5000), cap=100, says_so=False)

    def nothing_behind(server: Server) -> None:
        if int(server.asked[-1].get("Offset", "0")) >= 900:
            server.keys = server.keys[:900]
            server.count = lambda truth: 5000

    server.before_page = nothing_behind
    with pytest.raises(CountMismatch, match="5000"):
        all_of(server)


def test_offset_is_ignored() -> None:
    server = Server(range(25), ignores_offset=True)
    with pytest.raises(SplitRequest, match="ignores Offset"):
        all_of(server)
    # Nobody needs an Offset when everything came at once.
    server = Server(range(10), ignores_offset=True)
    assert all_of(server) == list(range(10))
    assert len(server.asked) == 2


def test_offset_is_refused() -> None:
    server = Server(range(25), refuses_offset=True)
    with pytest.raises(SplitRequest, match="20203"):
        all_of(server)
    assert all_of(Server(range(10), refuses_offset=True)) == list(range(10))


@pytest.mark.parametrize("base", [0, 1])
def test_a_server_that_runs_in_a_circle(base: int) -> None:
    server = Server(range(20), base=base, circles=True, count=lambda truth: 1000)
    with pytest.raises(DataBroken):
        all_of(server)
    assert len(server.asked) < 6


def test_a_page_that_is_repeated_later() -> None:
    server = Server(range(100))

    def again(server: Server) -> None:
        if len(server.asked) == 4:
            server.asked[-1]["Offset"] = "19"

    def search(arguments: Mapping[str, str]) -> CompactAnswer:
        server.asked.append(dict(arguments))
        again(server)
        return read_compact([server.body(server.asked[-1])], arguments=arguments)

    with pytest.raises(DataBroken, match="page"):
        list(search_all(search, {}))


@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("place", [0, 5, 12, 24, 40])
@pytest.mark.parametrize("request_number", [2, 3, 4])
@pytest.mark.parametrize("change", ["delete", "insert", "replace"])
def test_data_that_moves_between_two_pages(
    base: int, place: int, request_number: int, change: str
) -> None:
    server = Server(list(range(45)), base=base)
    first = list(server.keys)

    def move(server: Server) -> None:
        if len(server.asked) == request_number:
            keys = list(server.keys)
            if change == "delete":
                del keys[place]
            elif change == "insert":
                keys.insert(place, 999)
            else:
                keys[place] = 999
            server.keys = keys

    server.before_page = move
    try:
        seen = all_of(server)
    except DataBroken:
        return
    # What was replaced in place may be seen before or after; nothing else may differ.
    assert change == "replace"
    assert len(seen) == len(set(seen)) == 45
    assert all(key == first[at] or key == 999 for at, key in enumerate(seen))


def test_an_endless_server() -> None:
    fresh = itertools.count()

    def search(arguments: Mapping[str, str]) -> CompactAnswer:
        last = int(arguments.get("Offset", "0"))
        keys = [last - 1, *(next(fresh) + 10_000 for _ in range(2))] if last else [0]
        server = Server(keys, count=lambda truth: 1_000_000)
        return read_compact([server.document(keys, maxrows=True)], arguments=arguments)

    with pytest.raises(DataBroken):
        list(search_all(search, {}, most_requests=20))


def test_a_broken_page_is_an_error() -> None:
    server = Server(range(25))

    def search(arguments: Mapping[str, str]) -> CompactAnswer:
        body = server.body(arguments)
        return read_compact(
            [body if "Offset" not in arguments else body[:-20]], arguments=arguments
        )

    with pytest.raises(Truncated):
        list(search_all(search, {}))


def test_limit_and_offset_are_not_the_callers() -> None:
    for name in ("Limit", "offset"):
        with pytest.raises(ValueError, match="Limit and Offset"):
            search_all(Server([]).search, {name: "1"})
    with pytest.raises(ValueError, match="room"):
        search_all(Server([]).search, {}, page_size=1)


def test_a_server_that_gives_one_row_at_a_time() -> None:
    with pytest.raises(CountMismatch):
        all_of(Server(range(5), cap=1))


def test_equal_rows() -> None:
    keys = [1, 2, 3, 3, 2, 1] * 5
    with pytest.raises(DataBroken, match="twice"):
        all_of(Server(keys))
    assert all_of(Server(keys, cap=11), unique=False) == keys


def test_elements_and_20208_with_records() -> None:
    listed = [f'<Home ID="{key}"/>' for key in range(25)]

    def search(arguments: Mapping[str, str]) -> SearchAnswer:
        start = max(0, int(arguments.get("Offset", "1")) - 1)
        page = listed[start : start + 10]
        code = 20208 if start + 10 < 25 else 0
        body = f'<RETS ReplyCode="{code}"><COUNT Records="25"/>{"".join(page)}</RETS>'
        return read_search([body.encode()], record="Home", arguments=arguments)

    found = [record.get("ID") for record in search_all(search, {"SearchType": "Property"})]
    assert found == [str(key) for key in range(25)]


def test_elements_by_another_name_than_the_callers() -> None:
    def search(arguments: Mapping[str, str]) -> SearchAnswer:
        body = b'<RETS ReplyCode="0"><COUNT Records="2"/><Home/><Home/></RETS>'
        return read_search([body], record="House", arguments=arguments)

    with pytest.raises(CountMismatch, match="no element of the answer is called 'House'"):
        list(search_all(search, {"SearchType": "Property"}))


@settings(deadline=None, max_examples=300)
@given(
    st.integers(0, 60),
    st.builds(
        dict,
        base=st.sampled_from([0, 1]),
        cap=st.integers(2, 30),
        says_so=st.booleans(),
        always_maxrows=st.booleans(),
        ignores_offset=st.booleans(),
        refuses_offset=st.booleans(),
        circles=st.booleans(),
        behind_the_end=st.sampled_from(["20201", "empty", "20203"]),
    ),
    st.one_of(st.just(0), st.integers(-60, 60)),
    st.one_of(st.none(), st.integers(2, 70)),
)
def test_right_or_an_error(
    total: int, faults: dict[str, object], lie: int, page_size: int | None
) -> None:
    server = Server(range(total), count=lambda truth: max(0, truth + lie), **faults)  # type: ignore[arg-type]
    try:
        seen = all_of(server, page_size=page_size, most_requests=50)
    except RetsError:
        assert (
            lie
            or faults["ignores_offset"]
            or faults["refuses_offset"]
            or faults["circles"]
            or (server.cap < total)
        )
        return
    if lie < 0 and (faults["ignores_offset"] or faults["refuses_offset"]):
        # COUNT and the limit agree, and nothing else can be asked: no client could know.
        assert len(seen) == max(0, total + lie)
        return
    assert seen == list(range(total))


# By keys and by ranges


@dataclass
class Store:
    """A server that finds records by key, no more than `cap` at once."""

    keys: Sequence[int]
    cap: int = 7
    how: str = "refuses"
    requests: int = 0

    def search(self, wanted: Sequence[int]) -> CompactAnswer:
        self.requests += 1
        found = [key for key in wanted if key in self.keys]
        server = Server(found)
        if len(found) <= self.cap:
            return read_compact([server.document(found, maxrows=False)])
        if self.how == "refuses":
            return read_compact([b'<RETS ReplyCode="20208" ReplyText="too many"/>'])
        page = found[: self.cap]
        code = 20208 if self.how == "cuts with 20208" else 0
        body = server.document(page, maxrows=self.how == "cuts", code=code)
        return read_compact([body])


HOW = ["refuses", "cuts", "cuts with 20208", "cuts without a word"]


@pytest.mark.parametrize("how", HOW)
def test_by_keys(how: str) -> None:
    store = Store(range(0, 100, 2), how=how)
    missing: list[int] = []
    found = search_keys(
        lambda arguments: store.search([int(key) for key in arguments["Query"].split(",")]),
        lambda keys: {"Query": ",".join(map(str, keys))},
        range(30),
        chunk=20,
        key=lambda row: int(row[0]),
        on_missing=missing.append,
    )
    assert keys_of(found) == list(range(0, 30, 2))
    assert missing == list(range(1, 30, 2))


def test_a_single_key_that_is_too_much() -> None:
    store = Store(range(10), cap=0)
    with pytest.raises(SplitRequest):
        list(search_keys(lambda _: store.search([1]), lambda keys: {}, [1]))


@pytest.mark.parametrize("answered", [[1, 2, 3], [1, 1]])
def test_records_that_nobody_asked_for(answered: list[int]) -> None:
    def search(arguments: Mapping[str, str]) -> CompactAnswer:
        return read_compact([Server(answered).document(answered, maxrows=False)])

    found = search_keys(search, lambda keys: {}, [1, 2], key=lambda row: int(row[0]))
    with pytest.raises(DataBroken):
        list(found)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(
    "keys", [[], [5], list(range(100)), [1, 2, 3, 98, 99], list(range(40, 60))]
)
def test_by_ranges(how: str, keys: list[int]) -> None:
    store = Store(keys, how=how)

    def search(arguments: Mapping[str, str]) -> CompactAnswer:
        low, high = map(int, arguments["Query"].split("-"))
        return store.search(range(low, high + 1))

    found = search_ranges(search, lambda low, high: {"Query": f"{low}-{high}"}, 0, 99)
    assert keys_of(found) == keys
    assert list(search_ranges(search, lambda low, high: {"Query": f"{low}-{high}"}, 5, 4)) == []
    if len(keys) > 7:
        with pytest.raises(DataBroken, match="too many requests"):
            list(
                search_ranges(
                    search, lambda low, high: {"Query": f"{low}-{high}"}, 0, 99, most_requests=2
                )
            )


def test_parts_that_hold_less_than_the_whole() -> None:
    store = Store(range(20), how="cuts")

    def search(arguments: Mapping[str, str]) -> CompactAnswer:
        low, high = map(int, arguments["Query"].split("-"))
        if high - low < 5:
            store.keys = [key for key in store.keys if key != 3]
        return store.search(range(low, high + 1))

    with pytest.raises(CountMismatch, match="in parts"):
        list(search_ranges(search, lambda low, high: {"Query": f"{low}-{high}"}, 0, 19))
