"""More than a server gives at once: searches in pages, by keys, and by ranges of keys.

What belongs here: joining several answers into one stream of records that is proved whole. What
does not: HTTP and the formats; all that is needed of an answer is :class:`Page`.

Three ways, best first. :func:`search_keys` asks for keys that are known already, so nothing that
moves meanwhile can be missed. :func:`search_ranges` halves a range of keys until every part fits.
:func:`search_all` goes by Offset; since servers count from 0 or from 1, ignore Offset, cut pages
without a word, and miscount, every page is asked to begin with the last record of the page before:
only when that record comes back do the two pages fit.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, Generic, Protocol, TypeVar

from lxml import etree

from rets_pipeline.rets.errors import (
    CountMismatch,
    DataBroken,
    QueryRefused,
    RetsError,
    SplitRequest,
)

logger = logging.getLogger("rets_pipeline.rets")

#: No search takes more requests than this, unless the caller says so.
MOST_REQUESTS: Final = 100_000

Record = TypeVar("Record")
_Page = TypeVar("_Page", covariant=True)
Key = TypeVar("Key", bound=Hashable)
_Error = TypeVar("_Error", bound=RetsError)


class Page(Protocol[_Page]):
    """What paging needs of an answer; every answer of this package has it."""

    @property
    def count(self) -> int | None:
        """What ``COUNT`` says."""

    @property
    def received(self) -> int:
        """Records so far, also those that could not be understood."""

    @property
    def maxrows(self) -> bool:
        """The server says that it cut the answer."""

    @property
    def closed(self) -> bool:
        """The answer's closing tag came, and only the number of records may be wrong."""

    def __iter__(self) -> Iterator[_Page]: ...

    def close(self) -> None:
        """Read no further."""


Search = Callable[[Mapping[str, str]], Page[Record]]


def identity(record: Any) -> Hashable:
    """What tells one record from another: an element's whole text, or a row.

    It is small, so that many may be kept.
    """
    if isinstance(record, etree._Element):
        return blake2b(etree.tostring(record, with_tail=False), digest_size=16).digest()
    if isinstance(record, tuple):
        return blake2b("\0".join(map(str, record)).encode(), digest_size=16).digest()
    return record if isinstance(record, Hashable) else repr(record)


def search_all(
    search: Search[Record],
    arguments: Mapping[str, str],
    *,
    page_size: int | None = None,
    key: Callable[[Record], Hashable] = identity,
    unique: bool = True,
    most_requests: int = MOST_REQUESTS,
) -> Iterator[Record]:
    """Everything that a query finds, by Offset (RETS 1.7.2, section 7).

    An iteration that ends without an exception has delivered as many records as COUNT says, in
    pages that fit, and the server had nothing behind them.

    Args:
        search: asks the server, ``session.search`` with its other parameters filled in.
        arguments: of the search, without Limit and Offset. ``Count=1`` is asked for.
        page_size: the Limit of each request, at least 2; None leaves the size to the server.
        key: what tells a record from another; by default its whole content.
        unique: a key that comes a second time is an error. It costs some 80 bytes a record.
        most_requests: a server that needs more is not to be trusted.

    Yields:
        The records, each once.

    Raises:
        ValueError: the arguments hold Limit or Offset, or a page would have no room.
        SplitRequest: the server gives only a part, and knows no Offset: ask by keys or ranges.
        CountMismatch: the records are not as many as the server says, or there are more behind
            the last one, or it counts differently from page to page.
        DataBroken: pages repeat or do not fit.
        RetsError: any request may fail.
    """
    if {name.lower() for name in arguments} & {"limit", "offset"}:
        raise ValueError("Limit and Offset are set by search_all itself")
    if page_size is not None and page_size < 2:
        raise ValueError("a page must have room for two records: the first comes a second time")
    fields = {name: value for name, value in arguments.items() if name.lower() != "count"}
    limit = "NONE" if page_size is None else str(page_size)
    state = _ByOffset(search, {**fields, "Count": "1", "Limit": limit}, key, unique, most_requests)
    return state.records()


@dataclass(slots=True)
class _ByOffset(Generic[Record]):
    """One search by Offset.

    Attributes:
        received: records of all pages, each once.
        count: what the server says that there are.
        at: the number, from 1, of the last record that was understood; ``last`` is its key.
        base: of the server's Offset, 0 or 1, or None until it is known.
        first: the key of the very first record.
        seen: the hashes of all keys.
    """

    search: Search[Record]
    fields: Mapping[str, str]
    key: Callable[[Record], Hashable]
    unique: bool
    most_requests: int
    received: int = 0
    count: int | None = None
    at: int = 0
    last: Hashable = None
    base: int | None = None
    first: Hashable = None
    seen: set[int] = field(default_factory=set)

    def records(self) -> Iterator[Record]:
        yield from self._read(self.search(self.fields), start=1)
        for _ in range(1, self.most_requests):
            before = self.received
            self._check_count()
            if before and not self.at:
                raise self._error(DataBroken, "not one record could be understood")
            if before:
                yield from self._next_page()
            if self.received == before:
                self._require_count()
                return
        raise self._error(DataBroken, f"the search took more than {self.most_requests} requests")

    def _next_page(self) -> Iterator[Record]:
        """The page that is to begin with the last record."""
        # The number of the last record, in the words of a server that counts from 1, is that of
        # the record behind it in the words of one that counts from 0. So the first try loses
        # nothing, and tells which of both the server is.
        offset = self.at if self.base is None else self.at - 1 + self.base
        try:
            page = self.search({**self.fields, "Offset": str(offset)})
        except (QueryRefused, SplitRequest) as error:
            # Some servers refuse an Offset behind the end, and some refuse any.
            if self.received == self.count:
                logger.debug("ignored behind the last page: %s", error)
                return
            raise self._error(SplitRequest, f"the server gives no further page ({error})") from None
        yield from self._read(page, start=None)

    def _read(self, page: Page[Record], start: int | None) -> Iterator[Record]:
        """The records of a page that have not come before.

        Args:
            page: to be read and closed.
            start: the number of its first record; None: its content must tell.
        """
        with contextlib.closing(page):
            try:
                for record in page:
                    key = self.key(record)
                    if start is None:
                        start = self._start_of(page, key)
                        if start == self.at:
                            continue
                        if start == 0:
                            return
                    self._remember(key, start - 1 + page.received)
                    yield record
            except (CountMismatch, SplitRequest) as error:
                # The server cut the page: how large it is, is the server's affair.
                if not page.closed or (start == 1 and not page.received):
                    raise
                logger.debug("a page was cut: %s", error)
        if page.received and start is not None:
            self.received = max(self.received, start - 1 + page.received)
        self._note_count(page)

    def _start_of(self, page: Page[Record], key: Hashable) -> int:
        """The number of a page's first record; 0: the server sends the first page again."""
        if key == self.last and page.received == 1:
            self.base = 1 if self.base is None else self.base
            return self.at
        if self.base is None and key == self.first:
            if self.received == self.count:
                return 0
            raise self._error(SplitRequest, "the server ignores Offset")
        if self.base is None:
            self.base = 0
            return self.at + 1
        again = (
            "comes back to its beginning" if key == self.first else "does not fit the one before"
        )
        raise self._error(DataBroken, f"a page {again}")

    def _remember(self, key: Hashable, number: int) -> None:
        if not self.at:
            self.first = key
        self.at, self.last = number, key
        if self.unique:
            before = len(self.seen)
            self.seen.add(hash(key))
            if len(self.seen) == before:
                raise self._error(DataBroken, "a record came twice")

    def _note_count(self, page: Page[Record]) -> None:
        if page.count is None or (not page.received and self.count is not None):
            return  # behind the last page some count nothing
        if self.count not in (None, page.count):
            raise self._error(CountMismatch, "the server's COUNT changed between two pages")
        self.count = page.count

    def _check_count(self) -> None:
        if self.count is None:
            raise self._error(CountMismatch, "no COUNT came, so nothing proves the records whole")
        if self.received > self.count:
            raise self._error(
                CountMismatch, f"there are more records than COUNT says: {self.count}"
            )

    def _require_count(self) -> None:
        if self.received != self.count:
            raise self._error(CountMismatch, f"there should be {self.count} records")

    def _error(self, kind: type[_Error], reason: str) -> _Error:
        return _error(kind, f"{reason}; {self.received} records had arrived", self.received)


def search_keys(
    search: Search[Record],
    arguments_of: Callable[[Sequence[Key]], Mapping[str, str]],
    keys: Iterable[Key],
    *,
    chunk: int = 100,
    key: Callable[[Record], Key] | None = None,
    on_missing: Callable[[Key], None] | None = None,
) -> Iterator[Record]:
    """The records of known keys, so many in a request.

    A request that the server finds too large, or whose answer it cuts, is halved; its records are
    delivered only when its answer is whole.

    Args:
        search: asks the server.
        arguments_of: the arguments of the search for some keys.
        keys: each once.
        chunk: how many keys a request holds at most.
        key: of a record; then records that nobody asked for, or that come twice, are an error.
        on_missing: told of each key without a record; needs ``key``.

    Raises:
        SplitRequest: a single key is too much.
        DataBroken: the answer holds other records than those asked for.
        RetsError: any request may fail.
    """
    todo = _chunks(keys, chunk)
    for part in todo:
        yield from _of_keys(search, arguments_of, part, key, on_missing)


def search_ranges(
    search: Search[Record],
    arguments_of: Callable[[int, int], Mapping[str, str]],
    low: int,
    high: int,
    *,
    most_requests: int = MOST_REQUESTS,
) -> Iterator[Record]:
    """The records whose number, of a key or a day, say, lies in a range.

    A range that is too much for one answer is halved. Its records are delivered only when its
    answer is whole, and the halves must hold as many as the whole had by its COUNT.

    Args:
        search: asks the server.
        arguments_of: the arguments of the search for a range; both ends belong to it. They should
            hold ``Count=1``.
        low: the smallest number.
        high: the largest number.
        most_requests: a search that needs more is not to be trusted.

    Raises:
        SplitRequest: a single number is too much.
        CountMismatch: the parts hold more or less than the whole.
        RetsError: any request may fail.
    """
    return _Ranges(search, arguments_of, most_requests).records(low, high)


@dataclass(slots=True)
class _Ranges(Generic[Record]):
    search: Search[Record]
    arguments_of: Callable[[int, int], Mapping[str, str]]
    requests_left: int

    def records(self, low: int, high: int) -> Iterator[Record]:
        if low > high:
            return
        if not self.requests_left:
            raise _error(DataBroken, "the search took too many requests")
        self.requests_left -= 1
        found, count = _whole(self.search, self.arguments_of(low, high), splittable=low < high)
        if found is not None:
            yield from found
            return
        middle = (low + high) // 2
        received = 0
        for half in (self.records(low, middle), self.records(middle + 1, high)):
            for record in half:
                received += 1
                yield record
        if count is not None and received != count:
            raise _error(CountMismatch, f"{count} records came as {received} in parts", received)


def _whole(
    search: Search[Record], arguments: Mapping[str, str], *, splittable: bool
) -> tuple[list[Record] | None, int | None]:
    """All records of one answer, or None when it must be asked for in parts; and its COUNT."""
    try:
        page = search(arguments)
    except SplitRequest:
        if not splittable:
            raise
        return None, None
    with contextlib.closing(page):
        try:
            return list(page), page.count
        except (SplitRequest, CountMismatch):
            if not splittable or not page.closed:
                raise
            return None, page.count


def _of_keys(
    search: Search[Record],
    arguments_of: Callable[[Sequence[Key]], Mapping[str, str]],
    keys: list[Key],
    key: Callable[[Record], Key] | None,
    on_missing: Callable[[Key], None] | None,
) -> Iterator[Record]:
    found, _ = _whole(search, arguments_of(keys), splittable=len(keys) > 1)
    if found is None:
        middle = len(keys) // 2
        for half in (keys[:middle], keys[middle:]):
            yield from _of_keys(search, arguments_of, half, key, on_missing)
        return
    if key is not None:
        _compare(keys, [key(record) for record in found], on_missing)
    yield from found


def _compare(
    asked: list[Key], returned: list[Key], on_missing: Callable[[Key], None] | None
) -> None:
    if len(set(returned)) != len(returned):
        raise _error(DataBroken, "a record came twice in one answer")
    if not set(returned) <= set(asked):
        raise _error(DataBroken, "the answer holds a record that nobody asked for")
    for missing in sorted(set(asked) - set(returned), key=asked.index):
        if on_missing is not None:
            on_missing(missing)


def _chunks(keys: Iterable[Key], size: int) -> Iterator[list[Key]]:
    rest = iter(keys)
    while part := list(itertools.islice(rest, size)):
        yield part


def _error(kind: type[_Error], reason: str, rows: int = 0) -> _Error:
    return kind(f"Search: {reason}", transaction="Search", rows=rows)
