"""Search answers as bytes: the proof of completeness, and what must never fool it."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tracemalloc
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from rets_pipeline.rets import (
    CountMismatch,
    DataBroken,
    NotLoggedIn,
    NotRets,
    QueryRefused,
    RetryLater,
    RetsError,
    SplitRequest,
    Truncated,
    read_search,
)
from rets_pipeline.rets.encodings import WINDOWS_1252
from rets_pipeline.rets.search_answer import Expectation

from .damage import damage, repaired
from .scripted_server import master_list, reply

# Two shared cores make any deadline a lottery.
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

Tree = tuple[str, dict[str, str], str, list["Tree"]]


def tree(element: etree._Element | ET.Element) -> Tree:
    """An element as plain values, the same from any parser."""
    children = [child for child in element if isinstance(child.tag, str)]
    tag = str(element.tag).rpartition("}")[2]
    text = "".join([element.text or "", *(child.tail or "" for child in element)])
    attributes = {str(name): str(value) for name, value in element.attrib.items()}
    return tag, attributes, text, [tree(child) for child in children]


def read(body: bytes | Iterable[bytes], record: str = "Property", **settings: object) -> list[Tree]:
    chunks = [body] if isinstance(body, bytes) else body
    return [tree(item) for item in read_search(chunks, record=record, **settings)]  # type: ignore[arg-type]


def portions(body: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


DETAILS = (
    '<?xml version="1.0" encoding="utf-8"?>\r\n<!-- a comment -->'
    '<RETS ReplyCode="0" ReplyText="Operation &gt; Successful"><COUNT Records="3" />'
    '<RETS-RESPONSE xmlns="urn:CREA.Search.Property"><Pagination><TotalRecords>3</TotalRecords>'
    "<RecordsReturned>3</RecordsReturned></Pagination>"
    '<PropertyDetails ID="1" LastUpdated="a>b"><City>Montréal</City><!-- é -->'
    "<Rooms><Room/></Rooms></PropertyDetails>"
    '<PropertyDetails ID="2"><Remarks><![CDATA[a < b & c ]]></Remarks><COUNT Records="9"/>'
    "<PropertyDetails ID='inner'/></PropertyDetails>"
    '<PropertyDetails ID="3"><Remarks>&lt;&amp;&#233;</Remarks></PropertyDetails>'
    "</RETS-RESPONSE></RETS>"
).encode()


# What an answer says


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_records_and_what_the_envelope_says(size: int) -> None:
    answer = read_search(portions(DETAILS, size), record="PropertyDetails")
    assert answer.reply_text == "Operation > Successful"
    seen = [tree(record) for record in answer]
    assert [item[1]["ID"] for item in seen] == ["1", "2", "3"]
    assert seen[0][3][0] == ("City", {}, "Montréal", [])
    assert [child[0] for child in seen[1][3]] == ["Remarks", "COUNT", "PropertyDetails"]
    assert seen[2][3][0][2] == "<&é"
    assert (answer.count, answer.rows, answer.reply_code, answer.maxrows) == (3, 3, 0, False)
    assert answer.pagination == {"TotalRecords": "3", "RecordsReturned": "3"}
    assert answer.complete


@pytest.mark.parametrize("namespace", ["", ' xmlns="urn:CREA.Search.Office"', ' xmlns:x="urn:y"'])
def test_any_namespace(namespace: str) -> None:
    prefix = "x:" if "xmlns:x" in namespace else ""
    inside = (
        f'<COUNT Records="1"/><{prefix}RETS-RESPONSE{namespace}><{prefix}Office ID="7"/>'
        f"</{prefix}RETS-RESPONSE>"
    )
    assert read(reply(0, "", inside), "Office") == [("Office", {"ID": "7"}, "", [])]


def test_records_deep_inside_and_in_lower_case() -> None:
    body = b"""<rets replycode="0"><count records="2"/><REData><REProperties>
        <Home ID="1"/> <Home ID="2"/> </REProperties></REData><maxrows/></rets>"""
    answer = read_search([body], record="Home")
    assert [record.get("ID") for record in answer] == ["1", "2"]
    assert answer.maxrows


def test_a_record_is_whole_until_the_next_is_asked_for_and_stays_usable() -> None:
    kept = list(read_search([DETAILS], record="PropertyDetails"))
    assert [record.get("ID") for record in kept] == ["1", "2", "3"]


def test_a_loop_that_breaks_off_may_go_on() -> None:
    answer = read_search(portions(DETAILS, 50), record="PropertyDetails")
    for record in answer:
        assert record.get("ID") == "1"
        break
    assert next(answer).get("ID") == "2"
    assert [record.get("ID") for record in answer] == ["3"]
    assert answer.complete
    assert list(answer) == []
    answer = read_search([DETAILS[:-20]], record="PropertyDetails")
    for _ in range(3):
        with pytest.raises(Truncated):
            list(answer)
        with pytest.raises(Truncated):
            next(answer)


def test_blanks_and_a_byte_order_mark_before_the_document() -> None:
    for prefix in (b"\n  ", b"\xef\xbb\xbf", b" \t\xef\xbb\xbf", b"\xef\xbb\xbf"):
        archived: list[bytes] = []
        body = prefix + master_list([1])
        assert len(read(portions(body, 1), sink=archived.append)) == 1
        assert b"".join(archived) == body


def test_encodings() -> None:
    inside = '<RETS ReplyCode="0"><COUNT Records="1"/><P a="é"/></RETS>'
    body = '<?xml version="1.0" encoding="{0}"?>' + inside
    for encoding in ("iso-8859-1", "windows-1252", "UTF-8"):
        data = body.format(encoding).encode(encoding)
        assert read(data, "P")[0][1] == {"a": "é"}
    with read_search([body.format("utf-8").encode("latin-1")], record="P") as answer:
        assert [record.get("a") for record in answer] == ["é"]
        assert answer.repairs == {WINDOWS_1252: 1}


@pytest.mark.parametrize("encoding", ["UTF-7", "UTF-32", "EBCDIC-CP-US", "x"])
def test_encodings_in_which_something_could_hide(encoding: str) -> None:
    body = f'<?xml version="1.0" encoding="{encoding}"?><RETS ReplyCode="0"></RETS>'.encode()
    with pytest.raises(DataBroken, match="encoding"):
        read(body)


def test_no_records_found() -> None:
    assert read(reply(20201, "No Records Found.")) == []
    assert read(reply(0, "", '<COUNT Records="0"/>')) == []
    with pytest.raises(CountMismatch):
        read(reply(20201, "", '<COUNT Records="5"/>'))
    with pytest.raises(CountMismatch):
        read(reply(20201, "", "<Property/>"))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (20206, QueryRefused),
        (20208, SplitRequest),
        (20701, NotLoggedIn),
        (20050, RetryLater),
    ],
)
def test_refusals_raise_at_once_and_never_reach_the_sink(code: int, kind: type[RetsError]) -> None:
    archived: list[bytes] = []
    with pytest.raises(kind) as caught:
        read_search([reply(code, "x")], record="Property", sink=archived.append, name="pull 7")
    assert archived == []
    assert caught.value.server == "pull 7"
    with pytest.raises(kind) as caught:
        read(master_list([1, 2, 3], trailer=f'<RETS-STATUS ReplyCode="{code}" ReplyText="x"/>'))
    assert caught.value.rows == 3
    assert read(master_list([1], trailer='<RETS-STATUS ReplyCode="0" ReplyText="ok"/>'))


# What proves it whole


@pytest.mark.parametrize(
    ("rows", "count", "settings", "right"),
    [
        (3, 3, {}, True),
        (3, 4, {}, False),
        (4, 3, {}, False),
        (0, 3, {}, False),
        (3, "x", {}, False),
        (3, "-3", {}, False),
        (3, 9, {"expect_all": False}, True),
        (3, 2, {"expect_all": False}, False),
        (3, 3, {"arguments": {"Limit": "NONE"}}, True),
        (3, 9, {"arguments": {"Limit": "NONE"}}, False),
        (3, 9, {"arguments": {}}, False),
        (3, 9, {"arguments": {"Limit": "3"}}, True),
        (3, 9, {"arguments": {"limit": "2"}}, False),
        # A page that is shorter than COUNT promises was cut without a word.
        (3, 9, {"arguments": {"Limit": "4"}}, False),
        (3, 3, {"arguments": {"Limit": "100", "Offset": "1"}}, True),
        (3, 103, {"arguments": {"Limit": "100", "Offset": "101"}}, True),
        (3, 103, {"arguments": {"Limit": "100", "Offset": "100"}}, True),
        (3, 150, {"arguments": {"Limit": "100", "Offset": "101"}}, False),
        (3, 103, {"arguments": {"Offset": "101"}}, True),
        (0, 7, {"arguments": {"Count": "2"}}, True),
        (1, 7, {"arguments": {"Count": "2"}}, False),
    ],
)
def test_rows_against_count(
    rows: int, count: object, settings: Mapping[str, object], right: bool
) -> None:
    body = master_list(range(rows), count=count)
    if right:
        assert len(read(body, **settings)) == rows
    else:
        with pytest.raises(CountMismatch):
            read(body, **settings)


def test_an_answer_without_count() -> None:
    body = reply(0, "", "<Property/>")
    with pytest.raises(CountMismatch, match="no COUNT"):
        read(body)
    with pytest.raises(CountMismatch, match="no COUNT"):
        read(body, arguments={"Count": "1"})
    assert len(read(body, arguments={"Count": "0"})) == 1
    assert len(read(body, arguments={})) == 1
    with pytest.raises(CountMismatch, match="limit of its own"):
        read(body.replace(b"<Property/>", b"<Property/><MAXROWS/>"), arguments={})


def test_two_counts_that_differ() -> None:
    with pytest.raises(CountMismatch):
        read(reply(0, "", '<COUNT Records="1"/><Property/><COUNT Records="2"/>'))


def test_maxrows_explains_a_short_page() -> None:
    body = reply(0, "", '<COUNT Records="9"/><Property/><MAXROWS/>')
    assert len(read(body, arguments={"Limit": "5"})) == 1
    with pytest.raises(CountMismatch):
        read(body, arguments={"Limit": "NONE"})
    # Some servers say it although nothing is missing.
    assert len(read(body.replace(b'"9"', b'"1"'), arguments={"Limit": "NONE"})) == 1


def test_a_first_page_without_records_although_there_are_some() -> None:
    """As when the elements of records are called otherwise than the caller believes."""
    body = reply(0, "", '<COUNT Records="9"/><Home/><MAXROWS/>')
    for arguments in ({"Limit": "5", "Count": "1"}, {"Limit": "5", "Offset": "1"}):
        with pytest.raises(CountMismatch, match="no element of the answer is called 'Property'"):
            read(body, arguments=arguments)
    assert read(body, arguments={"Limit": "5", "Offset": "10"}) == []
    assert read(body, arguments={"Count": "2"}) == []


def test_a_page_must_hold_what_pagination_says() -> None:
    body = reply(
        0,
        "",
        '<COUNT Records="9"/><RETS-RESPONSE xmlns="urn:x"><Pagination><RecordsReturned>2'
        "</RecordsReturned></Pagination><Property/></RETS-RESPONSE><MAXROWS/>",
    )
    with pytest.raises(CountMismatch, match="2 records"):
        read(body, arguments={"Limit": "5"})
    assert len(read(body.replace(b">2<", b">1<"), arguments={"Limit": "5"})) == 1


def test_behind_the_last_page() -> None:
    body = reply(20201, "", '<COUNT Records="150"/>')
    assert read(body, arguments={"Limit": "100", "Offset": "201", "Count": "1"}) == []


def test_expectations_by_arguments() -> None:
    assert Expectation.of({"Limit": "none", "COUNT": "1"}) == Expectation()
    assert Expectation.of({"Limit": "100", "Offset": "201"}) == Expectation(
        all_rows=False, count_required=False, limit=100, offset=201
    )


# Truncation and damage


@pytest.mark.parametrize("body", [DETAILS, master_list([1, 2]), reply(20201, "nothing")])
def test_a_document_cut_at_any_byte_is_truncated(body: bytes) -> None:
    record = "PropertyDetails" if body is DETAILS else "Property"
    whole = read(body, record)
    for end in range(len(body)):
        seen: list[Tree] = []
        with pytest.raises(Truncated) as caught:
            seen.extend(map(tree, read_search(portions(body[:end], 50), record=record)))
        assert caught.value.rows == len(seen)
        assert seen == whole[: len(seen)]


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True).filter(
    lambda name: (
        name not in ("Property", "COUNT", "Pagination") and not name.lower().startswith("xml")
    )
)
TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff\r"), max_size=20
)


def _element(name: str, attributes: dict[str, str], text: str, children: list[str]) -> str:
    given_attributes = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<{name}{given_attributes}>{escape(text)}{''.join(children)}</{name}>"


ATTRIBUTES = st.dictionaries(NAMES, TEXT, max_size=3)
CONTENT = st.recursive(
    st.builds(_element, NAMES, ATTRIBUTES, TEXT, st.just([])),
    lambda inner: st.one_of(
        st.builds(_element, NAMES, ATTRIBUTES, TEXT, st.lists(inner, max_size=3)),
        st.builds("<![CDATA[{}]]>".format, TEXT.filter(lambda text: "]]>" not in text)),
        st.builds("<!--{}-->".format, TEXT.filter(lambda text: "-" not in text)),
    ),
    max_leaves=6,
)
RECORDS = st.lists(
    st.builds(_element, st.just("Property"), ATTRIBUTES, TEXT, st.lists(CONTENT, max_size=3)),
    max_size=6,
)
BETWEEN = st.sampled_from(["", "\n  ", "<!-- c -->", "<?pi x?>"])


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    records = draw(RECORDS)
    between = draw(BETWEEN)
    namespace = draw(st.sampled_from(["", ' xmlns="urn:CREA.Search.Property"']))
    inside = (
        f'<COUNT Records="{len(records)}"/>{between}<RETS-RESPONSE{namespace}>{between}'
        f"{between.join(records)}</RETS-RESPONSE>"
    )
    return reply(0, "", inside)


def oracle(body: bytes) -> list[Tree]:
    """The outermost records by another parser, which has the whole document before it."""
    found: list[Tree] = []

    def walk(element: ET.Element | etree._Element) -> None:
        for child in element:
            if str(child.tag).rpartition("}")[2] == "Property":
                found.append(tree(child))
            else:
                walk(child)

    walk(_whole(body))
    return found


def _whole(body: bytes) -> ET.Element | etree._Element:
    """By expat; by libxml2 at once where expat knows fewer letters in names (XML 1.0, 4th ed.)."""
    try:
        return ET.fromstring(body)
    except ET.ParseError:
        return etree.fromstring(body)


@relaxed
@given(documents(), st.integers(1, 64))
def test_random_documents_survive(body: bytes, size: int) -> None:
    archived: list[bytes] = []
    assert read(portions(body, size), sink=archived.append) == oracle(body)
    assert b"".join(archived) == body


@relaxed
@given(documents(), st.data())
def test_random_documents_cut_anywhere(body: bytes, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(body) - 1))
    seen: list[Tree] = []
    with pytest.raises(Truncated) as caught:
        seen.extend(map(tree, read_search(portions(body[:end], 40), record="Property")))
    assert caught.value.rows == len(seen)
    assert seen == oracle(body)[: len(seen)]


@settings(relaxed, max_examples=400)
@given(documents(), st.data())
def test_damage_gives_the_right_records_or_an_error(body: bytes, data: st.DataObject) -> None:
    damaged = data.draw(damage(body))
    try:
        seen = read(portions(damaged, 50))
    except RetsError:
        return
    # No parser can know that a letter was another one before; but the records are those that the
    # bytes hold, all of them, and none was lost or torn.
    # The declaration has done its work when the encoding is known; nobody parses it.
    legal = re.sub(rb"\A<\?.*?\?>", b"", repaired(damaged), flags=re.DOTALL)
    assert seen == oracle(legal)
    assert len(seen) == _counted(legal)


def _counted(body: bytes) -> int:
    root = _whole(body)
    count = root.find("COUNT")
    if count is None:  # damage can turn success into "no records found"
        return 0
    attributes = {name.lower(): value for name, value in count.items()}
    return int(attributes.get("records", "0"))


@relaxed
@given(st.binary(max_size=300))
def test_noise_is_never_a_result(noise: bytes) -> None:
    with pytest.raises(DataBroken):
        read(noise)


@relaxed
@given(st.binary(min_size=1, max_size=60).filter(lambda tail: bool(tail.strip())))
def test_noise_behind_the_end(noise: bytes) -> None:
    body = master_list([1])
    try:
        assert len(read(body + noise)) == 1
    except RetsError:
        return
    _whole(repaired(body + noise))  # only comments and the like may follow


@pytest.mark.parametrize("text", ["a < b", "<b>", "</b>", "]]>", "<a b=c/>", "<![CDATA[ ]]"])
def test_illegal_xml_is_damage_and_no_cut(text: str) -> None:
    body = reply(0, "", f'<COUNT Records="2"/><Property/><Property>{text}</Property>')
    for size in (1, 10_000):
        with pytest.raises(DataBroken, match="damaged") as caught:
            read(portions(body, size))
        assert type(caught.value) is DataBroken
        assert caught.value.rows == 1


def test_two_documents_in_one() -> None:
    with pytest.raises(DataBroken):
        read(master_list([1]) + master_list([2]))


@pytest.mark.parametrize("code", ["", "x", "-1", "0x0", "20201 ", "٠"])
def test_odd_reply_codes(code: str) -> None:
    body = f'<RETS ReplyCode="{code}"></RETS>'.encode()
    if code == "20201 ":
        assert read(body) == []
    else:
        with pytest.raises(DataBroken):
            read(body)


# What a parser must not be talked into


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE RETS [<!ENTITY a "b">]><RETS ReplyCode="0">&a;</RETS>',
        b'<?xml version="1.0"?>\n<!DOCTYPE RETS SYSTEM "file:///etc/passwd"><RETS ReplyCode="0"/>',
        b'<!-- x --><!DOCTYPE RETS PUBLIC "a" "http://127.0.0.1/x"><RETS ReplyCode="0"/>',
        b'<!ENTITY a "b"><RETS ReplyCode="0"/>',
        b'<RETS ReplyCode="0"><!DOCTYPE x><COUNT Records="0"/></RETS>',
        b'<RETS ReplyCode="0"><COUNT Records="0"/></RETS><!DOCTYPE x>',
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_document_types_and_entities_are_refused(body: bytes, size: int) -> None:
    with pytest.raises(DataBroken) as caught:
        read(portions(body, size))
    assert type(caught.value) in (DataBroken, NotRets)


def test_absurd_depth() -> None:
    def nested(depth: int) -> bytes:
        inside = "<a>" * depth + "</a>" * depth
        return reply(0, "", f'<COUNT Records="1"/><Property>{inside}</Property>')

    assert len(read(nested(200))) == 1
    with pytest.raises(DataBroken):
        read(nested(300))


def test_absurd_sizes() -> None:
    record = b'<RETS ReplyCode="0"><COUNT Records="1"/><Property a="1">%s</Property></RETS>'
    with pytest.raises(DataBroken):
        read(record % (b"x" * 11_000_000))
    with pytest.raises(DataBroken, match="no record ended"):
        read(record % (b"<a/>" * 100_000), max_record_bytes=200_000)
    with pytest.raises(DataBroken, match="no opening tag"):
        read(portions(b"<RETS " + b"x" * 200_000, 1000))
    # Not even what is no record may pile up.
    endless = (b"<junk/>" * 10_000 for _ in range(10_000))
    with pytest.raises(DataBroken, match="no record ended"):
        read(_joined(b'<RETS ReplyCode="0">', endless), max_record_bytes=1_000_000)


def _joined(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _many(number: int) -> Iterator[bytes]:
    yield f'<RETS ReplyCode="0"><COUNT Records="{number}"/><RETS-RESPONSE xmlns="urn:x">'.encode()
    for start in range(0, number, 1000):
        yield b"".join(
            b'<x><Property ID="%d"><City>Ottawa</City><b/></Property></x> ' % key
            for key in range(start, start + 1000)
        )
    yield b"</RETS-RESPONSE></RETS>"


MEASURE = """
import re
from rets_pipeline.rets import read_search
from rets_pipeline_tests.rets.test_standard_xml import _many
def peak():  # not getrusage: Linux hands the peak of a large parent down to its child
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
assert sum(1 for _ in read_search(_many(20_000), record="Property")) == 20_000
before = peak()
assert sum(1 for _ in read_search(_many(500_000), record="Property")) == 500_000
print(peak() - before)
"""


def test_memory_does_not_grow_with_the_answer() -> None:
    # In a process of its own, where nobody's earlier peak hides a growth.
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 10_000  # KiB; the whole tree would take hundreds of thousands


def test_one_huge_chunk_is_read_in_pieces() -> None:
    body = b"".join(_many(100_000))
    tracemalloc.start()
    rows = sum(1 for _ in read_search([body], record="Property"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == 100_000
    # The head is a copy of the chunk; the records must not be another.
    assert peak < 3 * len(body)


def test_chunks_that_are_files() -> None:
    file = io.BytesIO(DETAILS)
    assert len(read(iter(lambda: file.read(100), b""), "PropertyDetails")) == 3


def test_a_failing_sink_is_not_hidden() -> None:
    def sink(_: bytes) -> None:
        raise OSError("disk full")

    answer = read_search([DETAILS], record="PropertyDetails", sink=sink)
    with pytest.raises(OSError, match="disk full"):
        list(answer)
    with pytest.raises(OSError, match="disk full"):
        next(answer)
