"""The generic RETS server beside DDF."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from rets_pipeline.sandbox import RunningSandbox, running
from rets_pipeline.sandbox.generic import dmql
from rets_pipeline.sandbox.generic.columns import COLUMNS, LOOKUPS
from rets_pipeline.sandbox.generic.listings import Listings
from rets_pipeline_tests.sandbox.client import GenericClient, code, compact, control, root

CODES = {name: {text: value for value, text in values} for name, values in LOOKUPS.items()}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningSandbox]:
    with running(listings=3, generic_listings=120) as started:
        yield started


@pytest.fixture
def client(server: RunningSandbox) -> GenericClient:
    return GenericClient(server)


def written(name: str, value: Any, *, decoded: bool) -> str:
    """What the truth looks like in an answer."""
    lookup = next(column.lookup for column in COLUMNS if column.name == name)
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, list):
        return ",".join(value if decoded else [CODES[lookup][text] for text in value])
    return CODES[lookup][value] if lookup and not decoded else str(value)


@pytest.mark.parametrize("decoded", [True, False])
def test_compact_rows_are_the_truth(client: GenericClient, decoded: bool) -> None:
    response = client.search(Format="COMPACT-DECODED" if decoded else "COMPACT")
    rows, truth = compact(response), client.truth()
    assert root(response).find("COUNT").get("Records") == "120"
    assert root(response).find("DELIMITER").get("value") == "09"
    assert root(response).find("MAXROWS") is None
    assert len(rows) == truth["count"] == 120
    assert len(rows[0]) == len(COLUMNS) >= 60
    for row in rows:
        expected = truth["listings"][row["ListingKey"]]
        assert row == {
            name: written(name, value, decoded=decoded) for name, value in expected.items()
        }


def test_standard_xml_rows_are_the_truth(client: GenericClient) -> None:
    document = root(client.search(Format="STANDARD-XML"))
    truth = client.truth()["listings"]
    records = document.findall("REData/REProperties/ResidentialProperty")
    assert len(records) == 120
    for record in records:
        expected = truth[record.findtext("ListingKey")]
        texts = {name: written(name, value, decoded=True) for name, value in expected.items()}
        found = {child.tag: child.text for child in record}
        assert found == {name: text for name, text in texts.items() if text}


def test_the_rows_have_what_clients_stumble_over(client: GenericClient) -> None:
    rows = list(client.truth()["listings"].values())
    types = {column.type for column in COLUMNS}
    assert types == {
        *("Boolean", "Character", "Date", "DateTime", "Time"),
        *("Tiny", "Small", "Int", "Long", "Decimal"),
    }
    several = [value for row in rows for value in row.values() if isinstance(value, list)]
    assert any("," in text for values in several for text in values)
    assert any(len(values) > 2 for values in several)
    texts = [value for row in rows for value in row.values() if isinstance(value, str)]
    for piece in ("&", "<", '"', "é", "®", "–", "'"):
        assert any(piece in text for text in texts)
    assert any(value is None for row in rows for value in row.values())
    assert any(row["Elevation"] is not None and row["Elevation"] < 0 for row in rows)
    assert any(row["Latitude"] is not None and row["Latitude"].startswith("-") for row in rows)
    assert any(row["ViewCount"] is not None and row["ViewCount"] > 2**32 for row in rows)


def test_everything_follows_from_the_seed(client: GenericClient) -> None:
    with running(listings=0, generic_listings=200_000) as other:
        assert control(other, "generic/truth?keys=10000007") | {"count": 120} == (
            client.truth(10_000_007)
        )
        far = 10_000_000 + 7 * 199_999
        rows = compact(GenericClient(other).search(Query=f"(ListingKey={far - 10}+)"))
        assert [row["ListingKey"] for row in rows] == [str(far - 7), str(far)]
    with running(listings=0, generic_listings=120, seed=8) as other:
        assert control(other, "generic/truth") != client.truth()


def test_pages(client: GenericClient) -> None:
    found: list[str] = []
    for offset in range(1, 121, 50):
        response = client.search(Limit=50, Offset=offset, Select="ListingKey")
        found += [row["ListingKey"] for row in compact(response)]
        assert (root(response).find("MAXROWS") is not None) == (offset < 100)
    assert found == sorted(client.truth()["listings"])
    assert code(client.search(Offset=121)) == 20201


def test_count(client: GenericClient) -> None:
    assert root(client.search(Count=0)).find("COUNT") is None
    only = root(client.search(Count=2, Limit=1))
    assert [child.tag for child in only] == ["COUNT"]
    assert only.find("COUNT").get("Records") == "120"


def test_select(client: GenericClient) -> None:
    rows = compact(client.search(Select="City, listingkey"))
    assert list(rows[0]) == ["City", "ListingKey"]
    assert code(client.search(Select="City,Price")) == 20202


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"Query": "(Price=1)"}, 20200),
        ({"Query": "ListingKey=0+"}, 20206),
        ({"Query": "((ListingKey=0+)"}, 20206),
        ({"Query": "(ListingKey=0+))"}, 20206),
        ({"Query": "(ListingKey=0 )"}, 20206),
        ({"Query": "(ListingKey=x)"}, 20206),
        ({"Query": "(ListingKey=)"}, 20206),
        ({"Query": "(ListingKey=1,,2)"}, 20206),
        ({"Query": "(City=|Nowhere)"}, 20206),
        ({"Query": "(WaterfrontYN=yes)"}, 20206),
        ({"Query": "(CloseDate=tomorrow+)"}, 20206),
        ({"Query": ""}, 20206),
        ({"Query": "(ListingKey=1)"}, 20201),
        ({"Format": "XML"}, 20203),
        ({"SearchType": "Agent", "Class": "AGT"}, 20203),
        ({"QueryType": "SQL"}, 20203),
        ({"Limit": "few"}, 20206),
    ],
)
def test_refusals(client: GenericClient, arguments: dict[str, str], expected: int) -> None:
    assert code(client.search(**arguments)) == expected


Row = dict[str, Any]


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("(ListingKey=*)", lambda row: True),
        ("(ListingKey=10000007,10000021,5)", lambda r: r["ListingKey"] in (10000007, 10000021)),
        ("(ListingKey=10000100-10000200)", lambda r: 10000100 <= r["ListingKey"] <= 10000200),
        ("(ListingKey=10000400+)", lambda r: r["ListingKey"] >= 10000400),
        ("(ListingKey=10000400-)", lambda r: r["ListingKey"] <= 10000400),
        ("(Elevation=-400--1)", lambda r: r["Elevation"] is not None and r["Elevation"] < 0),
        ("(ListPrice=5000000+)", lambda r: float(r["ListPrice"]) >= 5_000_000),
        (
            "(ModificationTimestamp=2024-01-01T00:00:00Z+)",
            lambda r: r["ModificationTimestamp"] >= "2024-01-01",
        ),
        (
            "(ListingContractDate=2012-01-01-2015-12-31)",
            lambda r: "2012" <= (r["ListingContractDate"] or "") < "2016",
        ),
        ("(ShowingStartTime=12:00+)", lambda r: (r["ShowingStartTime"] or "") >= "12:00"),
        ("(Status=|A,U)", lambda r: r["Status"] in ("Active", "Active, Under Contract")),
        ("(Status=A)", lambda r: r["Status"] == "Active"),
        ("(Status=~A)", lambda r: r["Status"] != "Active"),
        (
            "(Appliances=+1,3)",
            lambda r: {"Dishwasher", "Oven - Wall, Double"} <= set(r["Appliances"] or ()),
        ),
        (
            "(Appliances=|1,3)",
            lambda r: {"Dishwasher", "Oven - Wall, Double"} & set(r["Appliances"] or ()),
        ),
        ("(WaterfrontYN=1)", lambda r: r["WaterfrontYN"] is True),
        ("(StreetName=maple)", lambda r: r["StreetName"] == "Maple"),
        ("(StreetName=*e*)", lambda r: "e" in r["StreetName"].lower()),
        ("(StreetName=5t?)", lambda r: r["StreetName"] == "5th"),
        ('(StreetName="King & Queen")', lambda r: r["StreetName"] == "King & Queen"),
        ("(UnitNumber=.EMPTY.)", lambda r: r["UnitNumber"] is None),
        (
            "(Status=A),(WaterfrontYN=1)",
            lambda r: r["Status"] == "Active" and r["WaterfrontYN"] is True,
        ),
        (
            "((Status=A)|(WaterfrontYN=1)),~(PoolYN=1)",
            lambda r: (r["Status"] == "Active" or r["WaterfrontYN"]) and r["PoolYN"] is not True,
        ),
    ],
)
def test_queries(client: GenericClient, query: str, fits: Callable[[Row], bool]) -> None:
    found = {row["ListingKey"] for row in compact(client.search(Query=query))}
    truth = client.truth()["listings"]
    expected = {key for key, row in truth.items() if fits(row)}
    assert found == expected
    assert expected


@given(st.text('()=,|~+-*"A1 .', max_size=30))
def test_any_text_is_a_query_or_an_error(text: str) -> None:
    listings = Listings(1, 5)
    try:
        rows = dmql.read(text, listings).rows(listings)
    except dmql.DmqlError:
        return
    assert set(rows) <= set(range(5))


# Metadata

KINDS = (
    *("SYSTEM", "RESOURCE", "CLASS", "TABLE", "OBJECT", "LOOKUP", "LOOKUP_TYPE", "SEARCH_HELP"),
    *("EDITMASK", "UPDATE", "UPDATE_TYPE", "FOREIGNKEYS", "VALIDATION_LOOKUP"),
    *("VALIDATION_LOOKUP_TYPE", "VALIDATION_EXTERNAL", "VALIDATION_EXTERNAL_TYPE"),
    "VALIDATION_EXPRESSION",
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wildcard", ["*", "0"])
def test_both_formats_of_metadata_say_the_same(
    client: GenericClient, kind: str, wildcard: str
) -> None:
    first = root(client.metadata(kind, wildcard)).findall(f"METADATA-{kind}")
    second = root(client.metadata(kind, wildcard, "STANDARD-XML")).findall(
        f"METADATA/METADATA-{kind}"
    )
    assert [dict(one.attrib) for one in first] == [dict(other.attrib) for other in second]
    assert first
    if kind == "SYSTEM":
        assert first[0].find("SYSTEM").attrib == second[0].find("System").attrib
        return
    for one, other in zip(first, second, strict=True):
        columns = (one.findtext("COLUMNS") or "").split("\t")[1:-1]
        rows = [(data.text or "").split("\t")[1:-1] for data in one.findall("DATA")]
        entries = [{child.tag: child.text or "" for child in entry} for entry in other]
        assert [dict(zip(columns, row, strict=True)) for row in rows] == entries


def test_metadata_describe_the_columns(client: GenericClient) -> None:
    table = root(client.metadata("TABLE", "Property:RES", "STANDARD-XML"))
    names = [name.text for name in table.iter("SystemName")]
    assert names == [column.name for column in COLUMNS]
    lookups = {element.get("Lookup") for element in root(client.metadata("LOOKUP_TYPE", "*"))}
    used = {name.text for name in table.iter("LookupName") if name.text}
    assert used == lookups


@pytest.mark.parametrize(
    ("kind", "identity", "expected"),
    [
        ("TABLE", "Property:CON", 20503),
        ("TABLE", "House:RES", 20502),
        ("LOOKUP_TYPE", "Property:Nothing", 20503),
        ("NOTHING", "0", 20501),
    ],
)
def test_metadata_refusals(client: GenericClient, kind: str, identity: str, expected: int) -> None:
    assert code(client.metadata(kind, identity)) == expected
    assert code(client.metadata("SYSTEM", form="JSON")) == 20513


# Objects


def parts(response: requests.Response) -> list[tuple[Any, bytes]]:
    head = f"Content-Type: {response.headers['Content-Type']}\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + response.content)
    boundary = message.get_boundary()
    bodies = response.content.split(f"\r\n--{boundary}".encode())[1:-1]
    found = [body.partition(b"\r\n\r\n")[2] for body in bodies]
    return list(zip(message.iter_parts(), found, strict=True))


def test_photos_of_a_listing(client: GenericClient) -> None:
    truth = client.truth(10_000_007)["photos"]["10000007"]
    assert len(truth) == 5
    found = parts(client.objects("10000007:*"))
    assert [int(head["Object-ID"]) for head, _ in found] == [1, 2, 3, 4, 5]
    for (head, body), photo in zip(found, truth, strict=True):
        assert head["Content-ID"] == "10000007"
        assert head["Content-Description"] == photo["description"]
        assert (head["Preferred"] == "1") == photo["preferred"]
        assert hashlib.sha256(body).hexdigest() == photo["sha256"]["Photo"]
        assert int(head["Content-Length"]) == len(body)


def test_a_single_photo(client: GenericClient) -> None:
    response = client.objects("10000007:0", Type="Thumbnail")
    truth = client.truth(10_000_007)["photos"]["10000007"][1]
    assert response.headers["Content-Type"] == "image/jpeg"
    assert (response.headers["Content-ID"], response.headers["Object-ID"]) == ("10000007", "2")
    assert response.headers["Preferred"] == "1"
    assert hashlib.sha256(response.content).hexdigest() == truth["sha256"]["Thumbnail"]


def test_several_listings_and_errors_by_part(client: GenericClient) -> None:
    found = parts(client.objects("10000007:1:9,10000000:2,5:1"))
    ids = [(head["Content-ID"], head["Object-ID"]) for head, _ in found]
    assert ids == [("10000007", "1"), ("10000007", "9"), ("10000000", "2"), ("5", "1")]
    wrong = [b'ReplyCode="20403"' in body for _, body in found]
    assert wrong == [False, True, False, True]


def test_locations(client: GenericClient) -> None:
    found = parts(client.objects("10000007:*", Location="1"))
    truth = client.truth(10_000_007)["photos"]["10000007"]
    for (head, _), photo in zip(found, truth, strict=True):
        body = requests.get(head["Location"]).content
        assert hashlib.sha256(body).hexdigest() == photo["sha256"]["Photo"]
    single = client.objects("10000007:3", Location="1")
    assert single.headers["Location"].endswith("/rets/photos/10000007/Photo/3.jpg")
    assert code(single) == 0
    assert requests.get(f"{client.sandbox.url}/rets/photos/10000007/Photo/6.jpg").status_code == 404


@pytest.mark.parametrize(
    ("identity", "arguments", "expected"),
    [
        ("10000007:9", {}, 20403),
        ("5:*", {}, 20403),
        ("house:1", {}, 20402),
        ("10000007:1", {"Type": "Video"}, 20401),
        ("10000007:1", {"Resource": "Agent"}, 20400),
    ],
)
def test_object_refusals(
    client: GenericClient, identity: str, arguments: dict[str, str], expected: int
) -> None:
    assert code(client.objects(identity, **arguments)) == expected


# Login


def test_login_logout(server: RunningSandbox) -> None:
    client = GenericClient(server, login=False)
    response = client.http.get(server.generic_login_url)
    answer = root(response).findtext("RETS-RESPONSE") or ""
    values = dict(line.split("=", 1) for line in answer.strip().splitlines())
    assert values["Search"] == "/rets/search"
    assert values["TimeoutSeconds"] == "1800"
    assert re.fullmatch("[0-9a-f]{32}", response.cookies["RETS-Session-ID"])
    assert client.http.get(f"{server.url}/rets/action").text.startswith("Bulletin")
    before = control(server, "generic/statistics")["logouts"]
    assert code(client.http.get(f"{server.url}/rets/logout")) == 0
    assert code(client.search()) == 20701
    assert control(server, "generic/statistics")["logouts"] == before + 1


def test_the_servers_know_nothing_of_each_others_sessions(server: RunningSandbox) -> None:
    client = GenericClient(server)
    assert code(client.http.get(f"{server.url}/Search.svc/Search?Query=(ID=*)")) == 20701
