"""STANDARD-XML search answers as a stream of records with a proof of completeness.

What belongs here: reading the bytes of one search answer, from a connection or from an archive.
What does not: HTTP, logins, and the meaning of a record's content; the proof stands in
``search_answer``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from lxml import etree

from rets_pipeline.rets.envelope import Envelope, new_parser, read_elements, read_reply
from rets_pipeline.rets.errors import DataBroken, Exchange
from rets_pipeline.rets.search_answer import MAX_RECORD_BYTES, Answer, Expectation

__all__ = ["Expectation", "SearchAnswer", "read_search"]

# Elements that the envelope gives a meaning to. Some servers write them in lower case.
_COUNT: Final = "COUNT"
_MAXROWS: Final = "MAXROWS"
_STATUS: Final = "RETS-STATUS"
_PAGINATION: Final = "PAGINATION"
_ENVELOPE_NAMES: Final = (
    *("COUNT", "count", "MAXROWS", "maxrows", "RETS-STATUS", "rets-status"),
    *("Pagination", "pagination", "PAGINATION"),
)


class SearchAnswer(Answer[etree._Element]):
    """The records of one answer; see :class:`~rets_pipeline.rets.search_answer.Answer`.

    Each item is the element of one record. It is whole, and it is valid until the next one is
    asked for: then it may leave the tree, so take what you need before going on. Do not change its
    parent or siblings.
    """

    def __init__(
        self,
        envelope: Envelope,
        *,
        record: str,
        expectation: Expectation,
        sink: Callable[[bytes], None] | None = None,
        on_close: Callable[[], None] | None = None,
        max_record_bytes: int = MAX_RECORD_BYTES,
    ) -> None:
        """Judge the opening tag.

        Args:
            envelope: the answer, opened.
            record: the local name of the elements that are records.
            expectation: how many there must be.
            sink: gets every byte of the answer as it came, unless the answer is a refusal.
            on_close: called once, when nothing more will be read.
            max_record_bytes: a larger record is refused.

        Raises:
            RetsError: the server refused; the class says what to do. No records is no refusal.
        """
        self._record = record
        self._container: etree._Element | None = None  # of the record before
        self._root_closed = False
        root = f"{{*}}{envelope.opening.name}"
        names = (f"{{*}}{name}" for name in (record, *_ENVELOPE_NAMES))
        self._parser = new_parser((root, *names))
        super().__init__(
            envelope,
            expectation=expectation,
            sink=sink,
            on_close=on_close,
            max_record_bytes=max_record_bytes,
        )

    def _records(self, pieces: Iterator[bytes]) -> Iterator[etree._Element]:
        tag, container = None, None  # of the record before
        for piece in pieces:
            damage = self._feed(piece)
            last = None
            # What the parser understood before the damage is still right, and is delivered.
            for element in read_elements(self._parser):
                # Most are records beside the one before: that is seen at a glance.
                if element.tag != tag or element.getparent() is not container:
                    if not self._is_record(element):
                        continue
                    tag, container = element.tag, self._container
                self.rows += 1
                last = element
                yield element
            if damage is not None:
                raise self._error(DataBroken, f"the XML is damaged: {damage}")
            if last is not None:
                self._unclaimed = 0
                forget_what_precedes(last)
        self._finish()

    def _none_found(self) -> str:
        return f"no element of the answer is called {self._record!r}"

    def _feed(self, piece: bytes) -> str | None:
        """What is wrong with the piece, or None."""
        try:
            self._parser.feed(piece)
        except etree.XMLSyntaxError as error:
            # libxml2 quotes names from the document: they are foreign text as well.
            return self._exchange.redactor.quote(error.msg or "not well-formed")
        return None

    def _is_record(self, element: etree._Element) -> bool:
        """Whether the element is a record; what the envelope says is noted on the way."""
        name = str(element.tag).rpartition("}")[2]
        parent = element.getparent()
        if name == self._record:
            if parent is not None and parent is self._container:
                return True
            if any(True for _ in element.iterancestors(f"{{*}}{name}")):
                return False  # part of a record, by the same name
            self._container = parent
            return True
        if parent is None:
            self._root_closed = True
        elif self._belongs_to_envelope(parent):
            self._note(name.upper(), element)
        return False

    def _belongs_to_envelope(self, parent: etree._Element) -> bool:
        """Whether children of that element speak for the answer rather than for a record."""
        grandparent = parent.getparent()
        if grandparent is None:
            return True
        name = str(parent.tag).rpartition("}")[2]
        return grandparent.getparent() is None and name != self._record

    def _note(self, name: str, element: etree._Element) -> None:
        if name == _COUNT:
            self._note_count(element)
        elif name == _MAXROWS:
            self.maxrows = True
        elif name == _PAGINATION:
            for child in element.iterchildren(etree.Element):
                self.pagination[str(child.tag).rpartition("}")[2]] = (child.text or "").strip()
        elif name == _STATUS:
            self._note_status(*read_reply(element, self._exchange))

    def _finish(self) -> None:
        damage = None
        try:
            self._parser.close()
        except etree.XMLSyntaxError as error:
            damage = self._exchange.redactor.quote(error.msg or "not well-formed")
        late = [element for element in read_elements(self._parser) if self._is_record(element)]
        self._require_end(damage, root_closed=self._root_closed)
        if late:
            raise self._error(DataBroken, "a record came after the answer's end")


def read_search(
    chunks: Iterable[bytes],
    *,
    record: str,
    expect_all: bool = True,
    arguments: Mapping[str, str] | None = None,
    sink: Callable[[bytes], None] | None = None,
    name: str = "archive",
    max_record_bytes: int = MAX_RECORD_BYTES,
    charset: str | None = None,
    encoding: str | None = None,
) -> SearchAnswer:
    """Read an archived answer with the proofs and errors of a live one.

    Args:
        chunks: the body's bytes, in any portions.
        record: the local name of the elements that are records.
        expect_all: the answer must hold everything that COUNT counts, and have a COUNT.
        arguments: of the search that was answered; they then decide instead of ``expect_all``.
        sink: gets the bytes, unless the answer is a refusal.
        name: stands for the server in messages.
        max_record_bytes: a larger record is refused.
        charset: of Content-Type.
        encoding: the encoding, whatever the server says.

    Raises:
        RetsError: the answer is a refusal, or no RETS document.
    """
    return SearchAnswer(
        Envelope(chunks, Exchange(name, "Search"), charset=charset, encoding=encoding),
        record=record,
        expectation=Expectation.for_archive(arguments, expect_all=expect_all),
        sink=sink,
        max_record_bytes=max_record_bytes,
    )


def forget_what_precedes(element: etree._Element) -> None:
    """Take everything before the element out of the tree.

    The element itself stays: libxml2 may still be adding text behind it.
    """
    node: etree._Element | None = element
    while node is not None:
        parent = node.getparent()
        if parent is not None and parent[0] is not node:
            del parent[: parent.index(node)]
        node = parent
