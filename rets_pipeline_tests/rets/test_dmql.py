"""DMQL2: whatever is put in, DMQL2 comes out, and it means what was put in."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from urllib.parse import parse_qs, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rets_pipeline.rets import dmql, percent_encode
from rets_pipeline.rets.dmql import NOW, TODAY, Query, field
from rets_pipeline.rets.percent_encoding import with_arguments

# A reader of the grammar of RETS 1.7.2, section 7.7, written apart from the module. It gives back
# what the text says, so that the tests can compare it with what was meant.

QUOTED = r'"(?:[^"]|"")+"'
WORD = r"[A-Za-z0-9]+"
NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{3})?"
DATETIME = rf"{DATE}T{TIME}Z?"
PERIOD = rf"{DATETIME}|{DATE}|{TIME}|TODAY|NOW"
OPERAND = rf"(?:{PERIOD}|{NUMBER}|{WORD}|{QUOTED})"
TEXT = rf"(?:{QUOTED}|{WORD})"
RANGE = re.compile(rf"(?:({OPERAND})-({OPERAND})|({OPERAND})([+-]))(?=\))")
STRING = re.compile(rf"(?:\*{TEXT}\*|{TEXT}\*|\*{TEXT}|{OPERAND})(?=[,)])")
FIELD = re.compile(r"[A-Za-z0-9_.]+")


class Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def read(self) -> object:
        found = self.any_of()
        assert self.position == len(self.text), f"junk at {self.position}: {self.text}"
        return found

    def take(self, token: str) -> bool:
        if self.text.startswith(token, self.position):
            self.position += len(token)
            return True
        return False

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.text, self.position)
        if match is not None:
            self.position = match.end()
        return match

    def joined(self, sign: str, name: str, inner: Callable[[], object]) -> object:
        parts = [inner()]
        while self.take(sign):
            parts.append(inner())
        return parts[0] if len(parts) == 1 else (name, *parts)

    def any_of(self) -> object:
        return self.joined("|", "or", self.all_of)

    def all_of(self) -> object:
        return self.joined(",", "and", self.element)

    def element(self) -> object:
        if self.take("~"):
            return ("not", self.bracket())
        return self.bracket()

    def bracket(self) -> object:
        assert self.take("("), f"a bracket at {self.position}: {self.text}"
        start = self.position
        name = self.match(FIELD)
        if name is not None and self.take("="):
            found: object = (name.group(), *self.value())
        else:
            self.position = start
            found = self.any_of()
        assert self.take(")"), f"no end at {self.position}: {self.text}"
        return found

    def value(self) -> tuple[object, ...]:
        for token in (".ANY.", ".EMPTY."):
            if self.take(token):
                return (token,)
        for sign in ("|", "+", "~"):
            if self.take(sign):
                return (sign, *self.items(re.compile(TEXT)))
        match = self.match(RANGE)
        if match is not None:
            first, last, single, sign = match.groups()
            return ("-", first, last) if single is None else (sign, single)
        return ("=", *self.items(STRING))

    def items(self, pattern: re.Pattern[str]) -> list[str]:
        found = []
        while True:
            match = self.match(pattern)
            assert match is not None, f"no value at {self.position}: {self.text}"
            found.append(match.group())
            if not self.take(","):
                return found


def read(query: Query) -> object:
    return Reader(str(query)).read()


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (field("Price").equals(5), "(Price=5)"),
        (field("Price").equals(-5), "(Price=-5)"),
        (field("Price").equals(1, 2, Decimal("3.50")), "(Price=1,2,3.50)"),
        (field("Price").equals(1e-7), "(Price=0.0000001)"),
        (field("Price").equals(Decimal("1E+3")), "(Price=1000)"),
        (field("Price").equals(-0.0), "(Price=0)"),
        (field("Price").between(1, 5), "(Price=1-5)"),
        (field("Depth").between(-5, -1), "(Depth=-5--1)"),
        (field("Price").at_least(1), "(Price=1+)"),
        (field("Price").at_most(1), "(Price=1-)"),
        (field("City").equals("Vernon"), "(City=Vernon)"),
        (field("City").equals("Salmon Arm"), '(City="Salmon Arm")'),
        (field("Zip").equals("12345", "V1B"), '(Zip="12345",V1B)'),
        (field("Road").equals("97A"), '(Road="97A")'),
        (field("Name").equals('the "Inn"'), '(Name="the ""Inn""")'),
        (field("Name").equals("NOW", "or"), '(Name="NOW","or")'),
        (field("Name").equals("*"), '(Name="*")'),
        (field("City").contains("erno"), "(City=*erno*)"),
        (field("City").contains("mon A", "x"), '(City=*"mon A"*,*x*)'),
        (field("City").starts_with("Ver"), "(City=Ver*)"),
        (field("City").ends_with("non"), "(City=*non)"),
        (field("Status").any_lookup("A", 2, "P U"), '(Status=|A,2,"P U")'),
        (field("View").all_lookups("1", "2"), "(View=+1,2)"),
        (field("View").no_lookup("1"), "(View=~1)"),
        (field("View").is_anything(), "(View=.ANY.)"),
        (field("View").is_empty(), "(View=.EMPTY.)"),
        (field("Day").equals(date(2024, 1, 2)), "(Day=2024-01-02)"),
        (field("Day").between(date(2024, 1, 2), TODAY), "(Day=2024-01-02-TODAY)"),
        (field("At").at_least(datetime(2024, 1, 2, 3, 4, 5)), "(At=2024-01-02T03:04:05+)"),
        (field("At").at_least(datetime(2024, 1, 2, tzinfo=UTC)), "(At=2024-01-02T00:00:00Z+)"),
        (
            field("At").at_most(datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=-5)))),
            "(At=2024-01-02T05:00:00Z-)",
        ),
        (
            field("At").equals(datetime(2024, 1, 2, 3, 4, 5, 6000)),
            "(At=2024-01-02T03:04:05.006)",
        ),
        (field("At").at_most(NOW), "(At=NOW-)"),
        (field("Hour").equals(time(13, 5)), "(Hour=13:05:00)"),
        (field("178").equals(1) & field("L_Type").equals("A"), "(178=1),(L_Type=A)"),
        (field("A").equals(1) | field("B").equals(2), "(A=1)|(B=2)"),
        (
            (field("A").equals(1) | field("B").equals(2)) & field("C").equals(3),
            "((A=1)|(B=2)),(C=3)",
        ),
        (~field("A").equals(1), "~(A=1)"),
        (~~field("A").equals(1), "~(~(A=1))"),
        (~(field("A").equals(1) & field("B").equals(2)), "~((A=1),(B=2))"),
        (dmql.all_of([field("A").equals(1)]), "(A=1)"),
        (field("A").equals(1) & field("B").equals(2) & field("C").equals(3), "(A=1),(B=2),(C=3)"),
    ],
)
def test_queries(query: Query, text: str) -> None:
    assert str(query) == text
    read(query)


@pytest.mark.parametrize(
    "make",
    [
        lambda: field("A B"),
        lambda: field(""),
        lambda: field("A=1)|(B"),
        lambda: dmql.Criterion("A)", dmql.Comparison.EQUAL, (1,)),
        lambda: dmql.Criterion("A", dmql.Comparison.BETWEEN, (1,)),
        lambda: dmql.Criterion("A", dmql.Comparison.EMPTY, (1,)),
        lambda: field("A").equals(),
        lambda: field("A").equals(True),
        lambda: field("A").equals(float("nan")),
        lambda: field("A").equals(float("inf")),
        lambda: field("A").equals(""),
        lambda: field("A").equals("a\nb"),
        lambda: field("A").equals("\0"),
        lambda: field("A").equals("\ud800"),
        lambda: field("A").contains(5),  # type: ignore[arg-type]
        lambda: field("A").any_lookup(1.5),  # type: ignore[arg-type]
        lambda: field("A").any_lookup(),
        lambda: field("A").equals(datetime(2024, 1, 1, microsecond=1)),
        lambda: field("A").equals(time(1, tzinfo=UTC)),
        lambda: dmql.all_of([]),
        lambda: dmql.any_of([]),
    ],
)
def test_what_has_no_form(make: Callable[[], object]) -> None:
    with pytest.raises(
        ValueError, match=r"DMQL2|name of a field|values for|text|criterion|boolean"
    ):
        make()


def test_queries_do_not_change() -> None:
    query = field("A").equals(1)
    with pytest.raises(AttributeError):
        query.name = "B"  # type: ignore[misc]
    assert query == field("A").equals(1)
    assert len({query, field("A").equals(1), ~query}) == 2


FIELDS = st.from_regex(r"[A-Za-z0-9_]{1,10}", fullmatch=True)
# What would end a value, a criterion or a quote, if it were not kept in quotes.
EVIL = st.text(st.sampled_from(list("()|,~=*+-\"'?. &%;:#ANYORTDW019é")), min_size=1, max_size=12)
TEXTS = st.one_of(
    EVIL,
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12),
    st.sampled_from([".ANY.", ".EMPTY.", "TODAY", "NOW", "AND", "OR", "NOT", '")|(A=1', '"']),
)
NUMBERS = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=3),
)
MOMENTS = st.one_of(
    st.dates(),
    st.datetimes(
        min_value=datetime(2, 1, 1),
        max_value=datetime(9998, 1, 1),
        timezones=st.sampled_from([None, UTC]),
    ).map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)),
    st.times().map(lambda moment: moment.replace(microsecond=0)),
    st.sampled_from([TODAY, NOW]),
)
VALUES = st.one_of(TEXTS, NUMBERS, MOMENTS)
CRITERIA = st.one_of(
    st.builds(
        lambda name, values: field(name).equals(*values),
        FIELDS,
        st.lists(VALUES, min_size=1, max_size=4),
    ),
    st.builds(lambda name, value: field(name).at_least(value), FIELDS, VALUES),
    st.builds(lambda name, value: field(name).at_most(value), FIELDS, VALUES),
    st.builds(lambda name, first, last: field(name).between(first, last), FIELDS, VALUES, VALUES),
    st.builds(
        lambda name, values: field(name).contains(*values),
        FIELDS,
        st.lists(TEXTS, min_size=1, max_size=3),
    ),
    st.builds(lambda name, text: field(name).starts_with(text), FIELDS, TEXTS),
    st.builds(lambda name, text: field(name).ends_with(text), FIELDS, TEXTS),
    st.builds(
        lambda name, values: field(name).any_lookup(*values),
        FIELDS,
        st.lists(TEXTS, min_size=1, max_size=3),
    ),
    st.builds(
        lambda name, values: field(name).all_lookups(*values), FIELDS, st.lists(TEXTS, min_size=1)
    ),
    st.builds(
        lambda name, values: field(name).no_lookup(*values), FIELDS, st.lists(TEXTS, min_size=1)
    ),
    st.builds(lambda name: field(name).is_anything(), FIELDS),
    st.builds(lambda name: field(name).is_empty(), FIELDS),
)
QUERIES = st.recursive(
    CRITERIA,
    lambda inner: st.one_of(
        st.builds(lambda parts: dmql.all_of(parts), st.lists(inner, min_size=1, max_size=4)),
        st.builds(lambda parts: dmql.any_of(parts), st.lists(inner, min_size=1, max_size=4)),
        st.builds(lambda part: ~part, inner),
    ),
    max_leaves=8,
)


def shape(query: Query) -> object:
    """What a query says, in the reader's words, without its values."""
    if isinstance(query, dmql.And | dmql.Or):
        name = "and" if isinstance(query, dmql.And) else "or"
        return (name, *map(shape, query.parts))
    if isinstance(query, dmql.Not):
        return ("not", shape(query.part))
    assert isinstance(query, dmql.Criterion)
    return (query.name, len(query.values))


def shape_of(found: object) -> object:
    assert isinstance(found, tuple)
    if found[0] in ("and", "or", "not") and isinstance(found[1], tuple):
        return (found[0], *map(shape_of, found[1:]))
    name, sign, *values = found
    return (name, 0 if sign in (".ANY.", ".EMPTY.") else len(values))


@settings(deadline=None, max_examples=400)
@given(QUERIES)
def test_every_query_is_dmql_and_means_what_was_meant(query: Query) -> None:
    assert shape_of(read(query)) == shape(query)


@settings(deadline=None)
@given(TEXTS)
def test_text_stays_text(text: str) -> None:
    (name, sign, value) = read(field("A").equals(text))  # type: ignore[misc]
    assert (name, sign) == ("A", "=")
    if value.startswith('"'):
        assert value[1:-1].replace('""', '"') == text
    else:
        assert re.fullmatch("[A-Za-z][A-Za-z0-9]*", value)
        assert value == text


@settings(deadline=None)
@given(NUMBERS)
def test_numbers_stay_numbers(number: float) -> None:
    (_, _, value) = read(field("A").equals(number))  # type: ignore[misc]
    assert re.fullmatch(NUMBER, value)
    assert Decimal(value) == (
        Decimal(repr(number)) if isinstance(number, float) else Decimal(number)
    )


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_percent_encoding(text: str) -> None:
    encoded = percent_encode(text)
    assert re.fullmatch(r"(?:[A-Za-z0-9_.~-]|%[0-9A-F]{2})*", encoded)
    assert unquote(encoded) == text
    url = with_arguments("http://host/s?a=b", {"Query": text})
    assert parse_qs(url.partition("?")[2], keep_blank_values=True) == {"a": ["b"], "Query": [text]}


def test_signs_that_servers_misread() -> None:
    assert percent_encode("(ID=1,2+)") == "%28ID%3D1%2C2%2B%29"
