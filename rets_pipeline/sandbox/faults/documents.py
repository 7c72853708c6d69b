"""Hostile documents.

What belongs here: section 27 of the catalogue. What does not: mistakes that happen in good faith.
"""

from __future__ import annotations

from rets_pipeline.sandbox.answers import DECLARATION, Answer
from rets_pipeline.sandbox.faults.bodies import add_to_text, opening_end
from rets_pipeline.sandbox.faults.catalogue import Turn, spoils_answer

_WRITTEN = ("Login", "Search", "GetMetadata")


def _with_document_type(answer: Answer, subset: str, use: str) -> None:
    body = answer.body()
    text = body[body.index(b"<RETS") :]
    head = f"{DECLARATION}<!DOCTYPE RETS [{subset}]>" if subset else DECLARATION
    answer.write(head.encode() + add_to_text(text, use.encode()))


@spoils_answer(27, _WRITTEN)
def entity_bomb(answer: Answer, _: Turn) -> None:
    """Entities of entities become gigabytes."""
    lines = ['<!ENTITY e0 "ha">']
    lines += [f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 11)]
    _with_document_type(answer, "".join(lines), "&e10;")


@spoils_answer(27, _WRITTEN, address="file:///etc/passwd")
def external_entity(answer: Answer, turn: Turn) -> None:
    """An entity names a file."""
    _with_document_type(answer, f'<!ENTITY e SYSTEM "{turn["address"]}">', "&e;")


@spoils_answer(27, _WRITTEN)
def external_subset(answer: Answer, _: Turn) -> None:
    """A document type names an external subset."""
    body = answer.body()
    head = f'{DECLARATION}<!DOCTYPE RETS SYSTEM "http://127.0.0.1:9/RETS.dtd">'
    answer.write(head.encode() + body[body.index(b"<RETS") :])


@spoils_answer(27, _WRITTEN, depth=5_000)
def deep_nesting(answer: Answer, turn: Turn) -> None:
    """Elements are nested without measure."""
    depth = turn["depth"]
    _put_first(answer, b"<a>" * depth + b"</a>" * depth)


@spoils_answer(27, _WRITTEN, bytes=12_000_000)
def huge_attribute(answer: Answer, turn: Turn) -> None:
    """An attribute is huge."""
    _put_first(answer, b'<a b="' + b"x" * turn["bytes"] + b'"/>')


@spoils_answer(27, _WRITTEN, bytes=12_000_000)
def huge_text(answer: Answer, turn: Turn) -> None:
    """A text is huge."""
    answer.write(add_to_text(answer.body(), b"x" * turn["bytes"]))


@spoils_answer(27, _WRITTEN, bytes=200_000)
def huge_opening(answer: Answer, turn: Turn) -> None:
    """The opening tag is huge."""
    body = answer.body()
    written = b'<RETS Note="' + b"x" * turn["bytes"] + b'" '
    answer.write(body.replace(b"<RETS ", written, 1))


def _put_first(answer: Answer, piece: bytes) -> None:
    body = answer.body()
    end = opening_end(body)
    answer.write(body[:end] + piece + body[end:])
