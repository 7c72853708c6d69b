"""COMPACT answers as bytes: which cell belongs to which column, and what proves them whole."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from rets_pipeline.rets import (
    CountMismatch,
    DataBroken,
    NotLoggedIn,
    QueryRefused,
    RetsError,
    SplitRequest,
    Truncated,
)
from rets_pipeline.rets.compact import MAX_QUARANTINE, CompactAnswer, QuarantinedRow, read_compact

from .damage import damage, repaired

relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

Rows = list[tuple[str, ...]]


def portions(body: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def answer(
    rows: Iterable[str],
    columns: str | None = "\tA\tB\tC\t",
    *,
    count: object | None = None,
    delimiter: str | None = "09",
    before: str = "",
    after: str = "",
    code: int = 0,
    between: str = "\r\n",
) -> bytes:
    """A document of rows as they are written between the tags."""
    listed = list(rows)
    parts = [f'<RETS ReplyCode="{code}" ReplyText="x">']
    if count != "":
        parts.append(f'<COUNT Records="{len(listed) if count is None else count}"/>')
    if delimiter is not None:
        parts.append(f'<DELIMITER value="{delimiter}"/>')
    parts.append(before)
    if columns is not None:
        parts.append(f"<COLUMNS>{columns}</COLUMNS>")
    parts += [f"<DATA>{row}</DATA>" for row in listed]
    return between.join([*parts, after, "</RETS>"]).encode()


def read(body: bytes | Iterable[bytes], **settings: object) -> CompactAnswer:
    return read_compact([body] if isinstance(body, bytes) else body, **settings)  # type: ignore[arg-type]


PLAIN = answer(["\t1\tx\ty\t", "\t2\t\t\t", "\t3\ta &amp; b\té\t"])
PLAIN_ROWS = [("1", "x", "y"), ("2", "", ""), ("3", "a & b", "é")]


# Rows and columns


@pytest.mark.parametrize("size", [1, 2, 7, 60, 100_000])
def test_rows_columns_and_what_the_envelope_says(size: int) -> None:
    archived: list[bytes] = []
    reading = read(portions(PLAIN, size), sink=archived.append)
    assert reading.columns == ("A", "B", "C")
    assert list(reading) == PLAIN_ROWS
    assert (reading.count, reading.rows, reading.complete) == (3, 3, True)
    assert (reading.quarantine, reading.renamed, reading.repairs) == ([], {}, {})
    assert b"".join(archived) == PLAIN
    assert list(read(PLAIN).dicts())[2] == {"A": "3", "B": "a & b", "C": "é"}


@pytest.mark.parametrize(
    ("delimiter", "character"),
    [(None, "\t"), ("09", "\t"), ("9", "\t"), ("7C", "|"), ("7c", "|"), ("2C", ","), ("20", " ")],
)
def test_the_delimiter_is_hexadecimal(delimiter: str | None, character: str) -> None:
    rows = [character + character.join(row) + character for row in (("1", "x"), ("2", ""))]
    columns = f"{character}A{character}B{character}"
    reading = read(answer(rows, columns, delimiter=delimiter))
    assert list(reading) == [("1", "x"), ("2", "")]
    assert reading.delimiter == character


@pytest.mark.parametrize("value", ["", "124", "zz", "00", "01", "3C", "26", "41", "0x09", "0D"])
def test_delimiters_that_cannot_be_used(value: str) -> None:
    with pytest.raises(DataBroken, match="delimiter"):
        list(read(answer(["\t1\t"], "\tA\t", delimiter=value)))


@pytest.mark.parametrize(
    ("columns", "row", "cells"),
    [
        # one delimiter at each edge, at most
        ("\tA\tB\tC\t", "\t1\t2\t3\t", ("1", "2", "3")),
        ("\tA\tB\tC\t", "\t\t\t\t", ("", "", "")),
        ("\tA\tB\tC\t", "\t\t2\t\t", ("", "2", "")),
        # an edge is missing everywhere
        ("A\tB\tC\t", "1\t2\t3\t", ("1", "2", "3")),
        ("A\tB\tC\t", "\t2\t3\t", ("", "2", "3")),
        ("A\tB\tC\t", "\t\t\t", ("", "", "")),
        ("\tA\tB\tC", "\t1\t2\t3", ("1", "2", "3")),
        ("\tA\tB\tC", "\t\t2\t", ("", "2", "")),
        ("A\tB\tC", "1\t2\t3", ("1", "2", "3")),
        ("A\tB\tC", "\t2\t", ("", "2", "")),
        ("A\tB\tC", "\t\t", ("", "", "")),
        ("A\tB\tC", "\t1\t2\t3\t", ("1", "2", "3")),
        # an edge is missing in this row, and the row can be read in one way only
        ("\tA\tB\tC\t", "1\t2\t3\t", ("1", "2", "3")),
        ("\tA\tB\tC\t", "\t1\t2\t3", ("1", "2", "3")),
        ("\tA\tB\tC\t", "1\t2\t3", ("1", "2", "3")),
        # it cannot
        ("\tA\tB\tC\t", "\t1\t2\t", None),
        ("\tA\tB\tC\t", "\t1\t2", None),
        ("\tA\tB\tC\t", "1\t2\t", None),
        ("\tA\tB\tC\t", "\t\t\t", None),
        ("\tA\tB\tC\t", "", None),
        ("\tA\tB\tC\t", "1", None),
        ("\tA\tB\tC\t", "\t1\t2\t3\t4\t", None),
        ("\tA\tB\tC\t", "1\t2\t3\t4", None),
        ("A\tB\tC", "1\t2\t3\t", None),
        ("A\tB\tC", "\t1\t2\t3", None),
        ("A\tB\tC\t", "\t1\t2\t3", None),
        ("\tA\tB\tC", "1\t2\t3\t", None),
        # a single column
        ("\tA\t", "\t1\t", ("1",)),
        ("\tA\t", "\t\t", ("",)),
        ("\tA\t", "\t", ("",)),
        ("\tA\t", "", ("",)),
        ("A", "1", ("1",)),
        ("A", "", ("",)),
        ("A", "1\t2", None),
        # line breaks between the tags and the edges
        ("\r\n\tA\tB\t\r\n", "\n  \t1\t2\t\n", ("1", "2")),
        (" A \t B ", "1\t 2 ", ("1", " 2 ")),
        # a delimiter in disguise is a delimiter: that is how XML understands it
        ("\tA\tB\t", "\t1&#9;2\t", ("1", "2")),
        ("\tA\tB\t", "\t1&#9;2\t3\t", None),
        ("\tA\tB\t", "<![CDATA[\t<1>\ta&b\t]]>", ("<1>", "a&b")),
        ("\tA\tB\t", "\t<b>1</b>\t2\t", None),
        ("\tA\tB\t", "\t1\r\n2\t3\r4\t", ("1\n2", "3\n4")),
    ],
)
@pytest.mark.parametrize("size", [3, 100_000])
def test_edges(columns: str, row: str, cells: tuple[str, ...] | None, size: int) -> None:
    width = columns.count("\t") + 1 - columns.strip("\r\n").startswith("\t")
    width -= columns.strip("\r\n").endswith("\t")
    good = "\t" + "\t".join("x" * width) + "\t"
    # First, last, and among plain rows: the parser and the plain way must agree.
    reading = read(portions(answer([row, good, row, good, row], columns), size))
    seen = list(reading)
    plain = tuple("x" * width)
    if cells is not None:
        assert seen == [cells, plain, cells, plain, cells]
        assert not reading.quarantine
    else:
        assert seen == [plain, plain]
        assert [each.number for each in reading.quarantine] == [1, 3, 5]
        text = etree.fromstring(f"<DATA>{row}</DATA>".encode()).xpath("string()")
        assert {each.text for each in reading.quarantine} == {text}
    assert reading.complete
    assert reading.received == 5


def test_quarantine_by_callback_and_its_limit() -> None:
    rows = ["\t1\t2\t3\t"] + ["\t1\t"] * (MAX_QUARANTINE + 1)
    taken: list[QuarantinedRow] = []
    reading = read(answer(rows), on_quarantine=taken.append)
    assert list(reading) == [("1", "2", "3")]
    assert reading.quarantined == len(taken) == MAX_QUARANTINE + 1
    assert reading.quarantine == []
    assert taken[0].reason == "the row has 1 cells, and there are 3 columns"
    with pytest.raises(DataBroken, match="do not fit the columns"):
        list(read(answer(rows)))


def test_columns_that_come_twice_or_have_no_name(caplog: pytest.LogCaptureFixture) -> None:
    reading = read(answer(["\t1\t2\t3\t4\t5\t6\t"], "\tName\tName__2\tName\t\tname\tX\t"))
    assert list(reading) == [("1", "2", "3", "4", "5", "6")]
    assert reading.columns == ("Name", "Name__2", "Name__3", "Column4", "name__4", "X")
    assert reading.renamed == {2: "Name", 3: "", 4: "name"}
    assert "Name__3" in caplog.text


def test_rows_before_columns_and_other_disorder() -> None:
    with pytest.raises(DataBroken, match="before the columns"):
        list(read(answer(["\t1\t"], None)))
    with pytest.raises(DataBroken, match="names no columns"):
        list(read(answer(["\t1\t"], "\t\t")))
    with pytest.raises(DataBroken, match="differently"):
        list(read(answer(["\t1\t"], "\tA\t", before="<COLUMNS>\tB\t</COLUMNS>")))
    assert list(read(answer(["\t1\t"], "\tA\t", before="<COLUMNS>\tA\t</COLUMNS>")))
    with pytest.raises(DataBroken, match="delimiter came after"):
        list(read(answer(["|1|"], "\tA\t", after='<DELIMITER value="7C"/>')))


def test_other_spellings_of_the_envelope() -> None:
    body = b"""<?xml version="1.0"?><!-- c --><r:rets xmlns:r="urn:x" replycode="0">
        <r:count records="2"/><r:delimiter value="09"/><r:RETS-RESPONSE>
        <r:columns>\tA\tB\t</r:columns><r:data>\t1\t2\t</r:data>
        <!-- <DATA>\t5\t6\t</DATA> --><data >\t3\t4\t</data
        ></r:RETS-RESPONSE><maxrows/></r:rets>"""
    for size in (1, 10_000):
        reading = read(portions(body, size))
        assert list(reading) == [("1", "2"), ("3", "4")]
        assert reading.maxrows


@pytest.mark.parametrize("size", [1, 5, 33, 10_000])
@pytest.mark.parametrize("hidden", ["<!-- {} -->", "<?x {} ?>"])
def test_rows_in_comments_are_none(size: int, hidden: str) -> None:
    rows = "<DATA>\t8\t\t\t</DATA>\n<DATA>\t9\t\t\t</DATA>"
    body = PLAIN.replace(b"<DATA>\t2", hidden.format(rows).encode() + b"<DATA>\t2")
    assert list(read(portions(body, size))) == PLAIN_ROWS
    body = PLAIN.replace(b"<DATA>\t2", b"<DATA>" + hidden.format(rows).encode() + b"\t2")
    assert list(read(portions(body, size))) == PLAIN_ROWS
    body = PLAIN.replace(b"\tx\t", f"\t<![CDATA[{rows}]]>\t".encode())
    reading = read(portions(body, size))
    assert list(reading) == PLAIN_ROWS[1:]
    assert reading.quarantine[0].number == 1


def test_an_answer_of_another_format() -> None:
    body = b'<RETS ReplyCode="0"><REData><Home ID="1"/></REData></RETS>'
    with pytest.raises(DataBroken, match="not COMPACT"):
        list(read(body, arguments={}))


# What proves it whole


@pytest.mark.parametrize(
    ("rows", "count", "settings", "right"),
    [
        (3, 3, {}, True),
        (3, 4, {}, False),
        (3, 2, {}, False),
        (3, "x", {}, False),
        (3, "", {}, False),
        (3, "", {"arguments": {"Count": "0"}}, True),
        (3, "", {"arguments": {"Count": "1"}}, False),
        (3, 9, {"arguments": {"Limit": "3", "Count": "1"}}, True),
        (3, 9, {"arguments": {"Limit": "4", "Count": "1"}}, False),
        (0, 9, {"arguments": {"Count": "2"}}, True),
        (1, 9, {"arguments": {"Count": "2"}}, False),
        (0, 0, {}, True),
    ],
)
def test_rows_against_count(
    rows: int, count: object, settings: dict[str, object], right: bool
) -> None:
    body = answer(["\t1\t2\t3\t"] * rows, count=count)
    if right:
        reading = read(body, **settings)
        assert len(list(reading)) == rows
        assert reading.count == (None if count == "" else count)
    else:
        with pytest.raises(CountMismatch):
            list(read(body, **settings))


def test_rows_in_quarantine_count() -> None:
    reading = read(answer(["\t1\t2\t3\t", "\t1\t"], count=2))
    assert len(list(reading)) == 1
    with pytest.raises(CountMismatch):
        list(read(answer(["\t1\t2\t3\t", "\t1\t"], count=1)))


def test_nothing_found() -> None:
    reading = read(b'<RETS ReplyCode="20201" ReplyText="No Records Found"/>')
    assert reading.columns == ()
    assert list(reading) == []
    assert reading.complete
    with pytest.raises(CountMismatch):
        list(read(answer(["\t1\t2\t3\t"], code=20201)))


@pytest.mark.parametrize(
    ("code", "kind"), [(20206, QueryRefused), (20701, NotLoggedIn), (20208, SplitRequest)]
)
def test_refusals_at_once_and_as_trailers(code: int, kind: type[RetsError]) -> None:
    archived: list[bytes] = []
    with pytest.raises(kind) as caught:
        read(f'<RETS ReplyCode="{code}" ReplyText="no"/>'.encode(), sink=archived.append)
    assert archived == []
    assert caught.value.reply_code == code
    trailer = f'<RETS-STATUS ReplyCode="{code}" ReplyText="sorry"/>'
    reading = read(answer(["\t1\t2\t3\t"] * 3, after=trailer))
    with pytest.raises(kind) as caught:
        list(reading)
    assert caught.value.rows == 3
    assert not reading.complete
    assert len(list(read(answer(["\t1\t2\t3\t"], after='<RETS-STATUS ReplyCode="0"/>')))) == 1


def test_maximum_exceeded_with_rows() -> None:
    """RETS 1.7.2 calls 20208 a success that was cut; others refuse with it."""
    archived: list[bytes] = []
    body = answer(["\t1\t2\t3\t"] * 2, count=9, code=20208)
    reading = read(portions(body, 20), sink=archived.append)
    seen: Rows = []
    with pytest.raises(SplitRequest) as caught:
        seen.extend(reading)
    assert (len(seen), caught.value.rows, reading.count) == (2, 2, 9)
    assert b"".join(archived) == body
    # Whoever asked for a part gets it.
    reading = read(body, arguments={"Limit": "5"})
    assert len(list(reading)) == 2
    assert (reading.maxrows, reading.reply_code, reading.complete) == (True, 20208, True)
    # A refusal in many words is still one.
    with pytest.raises(SplitRequest):
        read(answer([], count=9, code=20208), arguments={"Limit": "5"})


@pytest.mark.parametrize("size", [1, 64, 100_000])
def test_cut_at_any_byte(size: int) -> None:
    for end in range(len(PLAIN)):
        seen: Rows = []
        with pytest.raises(Truncated) as caught:
            seen.extend(read(portions(PLAIN[:end], size)))
        assert caught.value.rows == len(seen)
        assert seen == PLAIN_ROWS[: len(seen)]


# Damage


CELLS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\t\ufffe\uffff|"), max_size=8
)
BETWEEN = st.sampled_from(["", "\n", "\r\n", "<!-- c -->", "\n  "])


@st.composite
def tables(draw: st.DrawFn) -> tuple[bytes, Rows]:
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.tuples(*[CELLS] * width), max_size=8))
    delimiter = draw(st.sampled_from(["\t", "|"]))
    written = [_written(draw, delimiter + delimiter.join(row) + delimiter) for row in rows]
    columns = delimiter + delimiter.join("ABCD"[:width]) + delimiter
    body = answer(
        written, columns, delimiter=f"{ord(delimiter):02x}", between=draw(BETWEEN), count=len(rows)
    )
    return body, rows


def _written(draw: st.DrawFn, text: str) -> str:
    way = draw(st.sampled_from(["escaped", "escaped", "numbers", "cdata"]))
    if way == "cdata" and "]]>" not in text:
        return f"<![CDATA[{text}]]>"
    if way == "numbers":
        return "".join(f"&#{ord(letter)};" if letter > "~" else escape(letter) for letter in text)
    return escape(text)


@settings(relaxed, max_examples=200)
@given(tables(), st.integers(1, 90))
def test_random_tables_survive(table: tuple[bytes, Rows], size: int) -> None:
    body, rows = table
    reading = read(portions(body, size))
    assert list(reading) == rows
    assert not reading.quarantine
    assert not reading.repairs


def oracle(body: bytes) -> tuple[Rows, int]:
    """The rows of a legal document by another parser, which has all of it; and its COUNT.

    Rows that lack a delimiter at an edge, or cells, are left out.
    """
    root = tree(body)
    delimiter = chr(int(root.find("DELIMITER").get("value"), 16))
    width = len(root.findtext("COLUMNS").strip("\r\n ").split(delimiter)) - 2
    rows: Rows = []
    for element in root.findall("DATA"):
        text = "".join(element.itertext())
        cells = tuple(text.split(delimiter)[1:-1])
        edges = text[:1] == text[-1:] == delimiter and len(text) > 1
        if len(cells) == width and edges and not element.findall("*"):
            rows.append(cells)
    return rows, int(root.find("COUNT").get("records"))


def tree(body: bytes) -> Any:
    """A legal document; servers spell names in any case, and damage may change it."""
    root = etree.fromstring(body)
    for element in root.iter(etree.Element):
        element.tag = element.tag.upper()
        attributes = {name.lower(): text for name, text in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update(attributes)
    return root


@settings(relaxed, max_examples=500)
@given(tables(), st.integers(10, 200), st.data())
def test_damage_gives_the_right_rows_or_an_error(
    table: tuple[bytes, Rows], size: int, data: st.DataObject
) -> None:
    body, _ = table
    damaged = data.draw(damage(body))
    try:
        reading = read(portions(damaged, size))
        seen = list(reading)
    except RetsError:
        return
    legal = repaired(damaged)
    if reading.reply_code == 20201:
        assert not seen
        return
    try:
        expected, count = oracle(legal)
    except (AttributeError, TypeError):  # the damage hit a name that the second parser needs
        assert not seen or b'<DELIMITER value="' not in damaged
        return
    assert count == reading.received == len(seen) + len(reading.quarantine)
    if _columns_of(body) not in damaged:
        return  # then the damage renamed or moved columns, and no client could know
    # All rows without a flaw are there, in their order; others may only lack an edge.
    rest = iter(seen)
    assert all(row in rest for row in expected)
    texts = ["".join(row.itertext()) for row in tree(legal).findall("DATA")]
    assert all(any(reading.delimiter.join(row) in text for text in texts) for row in seen)


def _columns_of(body: bytes) -> bytes:
    end = b"</COLUMNS>"
    return body[body.index(b"<DELIMITER") : body.index(end) + len(end)]


def _many(number: int, width: int = 30) -> Iterator[bytes]:
    columns = "\t".join(f"Column{position}" for position in range(width))
    yield f'<RETS ReplyCode="0"><COUNT Records="{number}"/>'.encode()
    yield f"<COLUMNS>\t{columns}\t</COLUMNS>".encode()
    cells = "\t".join(["some text"] * (width - 1))
    for start in range(0, number, 500):
        rows = (f"<DATA>\t{key}\t{cells}\t</DATA>\n" for key in range(start, start + 500))
        yield "".join(rows).encode()
    yield b"</RETS>"


MEASURE = """
import re
from rets_pipeline.rets.compact import read_compact
from rets_pipeline_tests.rets.test_compact import _many
def peak():  # not getrusage: Linux hands the peak of a large parent down to its child
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
assert sum(1 for _ in read_compact(_many(5_000))) == 5_000
before = peak()
assert sum(1 for _ in read_compact(_many(100_000))) == 100_000
print(peak() - before)
"""


def test_memory_does_not_grow_with_the_answer() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 5_000  # KiB


def test_absurd_sizes_and_depths() -> None:
    body = answer(["\t1\t2\t3\t", "\t" + "x" * 3_000_000 + "\t2\t3\t", "\t1\t2\t3\t"])
    assert [len(row[0]) for row in read(portions(body, 1000))] == [1, 3_000_000, 1]
    with pytest.raises(DataBroken, match="no record ended"):
        list(read(portions(body, 1000), max_record_bytes=1_000_000))
    deep = answer(["\t1\t2\t3\t"], before="<a>" * 80 + "</a>" * 80)
    with pytest.raises(DataBroken, match="deep"):
        list(read(deep))
    tag = "<a " + " ".join(f'a{number}="1"' for number in range(60_000)) + "/>"
    with pytest.raises(DataBroken, match="tag is larger"):
        list(read(portions(answer(["\t1\t2\t3\t"], before=tag), 1000)))
    blanks = answer(["\t1\t2\t3\t"] * 2, between="\n" * 3_000_000)
    assert len(list(read(portions(blanks, 50_000)))) == 2
    with pytest.raises(DataBroken, match="no record ended"):
        list(read(portions(blanks, 50_000), max_record_bytes=1_000_000))
