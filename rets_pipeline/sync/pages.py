"""The records of an archived page, as bytes.

What belongs here: cutting a page into records, with the proofs that the RETS client makes of an
answer. What does not: what a record means, and where pages lie.

A page that is plain XML is cut without a parser; the client then proves the rest, with an empty
element in each record's place. Any other page goes through the client's parser as a whole. Either
way comes to the same records, whole and as many as the answer announces, or to the same error.
"""

from __future__ import annotations

from collections.abc import Iterator

from rets_pipeline.rets import RetsError, read_search
from rets_pipeline.sources import plain


class Page:
    """One page.

    Attributes:
        records: each from its start tag to its end tag, not looked into.

    Args:
        data: the page as received.
        name: the local name of the elements that are records.

    Raises:
        RetsError: the page is no complete answer.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._name = name
        self._data = data
        self._legal: bool | None = None
        sliced = plain.sliced(data, name)
        if sliced is not None and self._is_proved(sliced):
            self.records = sliced.records
        else:
            self.records = list(_parsed(data, name))
            self._legal = True

    def readable(self, record: bytes) -> bytes:
        """A record of the page, fit to be read: without what the client repairs.

        Raises:
            RetsError: it is damaged.
        """
        if self._legal is None:
            self._legal = plain.is_legal(self._data)
            self._data = b""
        return record if self._legal else self.repaired(record)

    def repaired(self, record: bytes) -> bytes:
        """A record in plain form, as the client's parser understands it.

        Raises:
            RetsError: it is damaged.
        """
        answer = b'<RETS ReplyCode="0"><COUNT Records="1"/>%b</RETS>' % record
        (repaired,) = _parsed(answer, self._name)
        return repaired

    def _is_proved(self, sliced: plain.Sliced) -> bool:
        try:
            with read_search([sliced.around], record=self._name) as answer:
                return sum(1 for _ in answer) == len(sliced.records)
        except RetsError:
            return False  # the whole page tells better why


def _parsed(data: bytes, name: str) -> Iterator[bytes]:
    with read_search([data], record=name) as answer:
        for element in answer:
            yield plain.plain(element)
