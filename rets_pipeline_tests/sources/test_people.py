"""Agents and offices from their own searches as rows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from lxml import etree

from rets_pipeline.sources.base import ParsedRecord, UnparsedRecord
from rets_pipeline.sources.ddf.people import parse_member, parse_office
from rets_pipeline.warehouse import tables
from rets_pipeline.warehouse.types import metadata
from rets_pipeline_tests.sources import payloads

LOADER = {"feed", "pull_id"}
CHANGED = "Tue, 12 Mar 2024 09:00:00 GMT"
AGENT = (
    payloads.agent()
    .replace('ID="80001"', f'ID="80001" LastUpdated="{CHANGED}"')
    .replace(
        "<Phones>",
        "<Photo><LastUpdated>Wed, 04 Sep 2024 00:40:00 GMT</LastUpdated>"
        "<ThumbnailURL>https://example.com/TS1/low.jpg</ThumbnailURL>"
        "<LargePhotoURL>https://example.com/TS1/high.jpg</LargePhotoURL></Photo>"
        "<Address><StreetAddress>1 Example Way</StreetAddress><City>Halifax</City></Address>"
        "<Languages><Language>English</Language><Language>French</Language></Languages><Phones>",
        1,
    )
)
OFFICE = payloads.OFFICE.replace("<Office ", "<OfficeDetails ").replace(
    "</Office>", "</OfficeDetails>"
)


def member_of(xml: str) -> ParsedRecord:
    result = parse_member(payloads.element(xml))
    assert isinstance(result, ParsedRecord)
    return result


def office_of(xml: str) -> ParsedRecord:
    result = parse_office(payloads.element(xml))
    assert isinstance(result, ParsedRecord)
    return result


def test_an_agent():
    result = member_of(AGENT)
    assert result.problems == []
    moment = datetime(2024, 3, 12, 9, tzinfo=UTC)
    assert (result.key, result.payload_timestamp) == ("80001", moment)
    (row,) = result.rows["member"]
    expected = {
        "member_key": "80001",
        "member_full_name": "Alex Example",
        "office_key": "90001",
        "member_city": "Halifax",
        "member_languages": ["English", "French"],
        "photo_last_updated": datetime(2024, 3, 5, 1, tzinfo=UTC),
        "photo_url": "https://example.com/TS1/high.jpg",
        "photo_unreliable_last_updated": "Wed, 04 Sep 2024 00:40:00 GMT",
        "modification_timestamp": moment,
        "observed_in": "Member",
    }
    assert {name: row[name] for name in expected} == expected
    assert set(result.rows) == {"member", "other_phone", "social_media"}
    for dependent in ("other_phone", "social_media"):
        (child,) = result.rows[dependent]
        assert (child["resource_name"], child["resource_record_key"]) == ("Member", "80001")


def test_the_office_inside_an_agent_is_kept_with_the_agent():
    (row,) = member_of(AGENT).rows["member"]
    office = row["source_fields"]["Office"]
    assert office["Name"] == "Example Realty Ltd."
    assert office["Address"]["City"] == "Kelowna"
    assert "(250) 555-0101" in str(office["Phones"])
    assert "14:32:55" not in str(row["source_fields"])
    assert set(row["uncompared_fields"]) == {
        "Office/@LastUpdated",
        "Office/LogoLastUpdated",
        "Office/Logo/LastUpdated",
    }


def test_an_office():
    result = office_of(OFFICE)
    assert result.problems == []
    moment = datetime(2024, 3, 13, 14, 32, 55, tzinfo=UTC)
    assert (result.key, result.payload_timestamp) == ("90001", moment)
    (row,) = result.rows["office"]
    assert row["office_name"] == "Example Realty Ltd."
    assert row["office_city"] == "Kelowna"
    assert row["modification_timestamp"] == row["logo_last_updated"] == moment
    assert row["observed_in"] == "Office"
    assert row["uncompared_fields"] == {"Logo/LastUpdated": "Wed, 13 Mar 2024 14:32:55 GMT"}
    assert [phone["order"] for phone in result.rows["other_phone"]] == [1, 2]


def test_the_date_of_a_logo_stands_in_several_places():
    beside = "<LogoLastUpdated>Wed, 13 Mar 2024 14:32:55 GMT</LogoLastUpdated>"
    (row,) = office_of(OFFICE.replace(beside, "")).rows["office"]
    assert row["logo_last_updated"] == datetime(2024, 3, 13, 14, 32, 55, tzinfo=UTC)
    inside = OFFICE.replace(beside, "").replace("LastUpdated>", "LogoLastUpdated>")
    (row,) = office_of(inside).rows["office"]
    assert row["logo_last_updated"] == datetime(2024, 3, 13, 14, 32, 55, tzinfo=UTC)
    broken = office_of(inside.replace("<LogoLastUpdated>Wed, 13 Mar", "<LogoLastUpdated>some day"))
    assert broken.rows["office"][0]["logo_last_updated"] is None
    assert [problem.field for problem in broken.problems] == ["Logo/LogoLastUpdated"]


@pytest.mark.parametrize(
    ("read", "xml"), [(member_of, AGENT), (office_of, OFFICE)], ids=["agent", "office"]
)
def test_rows_have_exactly_the_columns_of_their_tables(read, xml):
    result = read(xml)
    for table, rows in result.rows.items():
        columns = {column.name for column in metadata.tables[table].columns} - LOADER
        for row in rows:
            assert set(row) == columns, table
    shared = {item.name: item for item in tables.SHARED_TABLES}
    (name,) = set(result.rows) & set(shared)
    assert set(result.rows) == {name, *shared[name].dependents}
    assert result.rows[name][0]["observed_in"] == shared[name].resource_name


@pytest.mark.parametrize(
    ("read", "xml", "old", "new", "counts"),
    [
        (member_of, AGENT, CHANGED, "Thu, 14 Mar 2024 09:00:00 GMT", False),
        (member_of, AGENT, "14:32:55", "15:00:00", False),
        (member_of, AGENT, "TS638459335750000000", "TS7", False),
        (member_of, AGENT, "Tue, 05 Mar", "Wed, 06 Mar", True),
        (member_of, AGENT, "(250) 555-0101", "(250) 555-0102", True),
        (member_of, AGENT, "/TS1/", "/TS2/", True),
        (office_of, OFFICE, 'LastUpdated="Wed, 13 Mar', 'LastUpdated="Wed, 12 Mar', False),
        (office_of, OFFICE, "<LogoLastUpdated>Wed, 13 Mar", "<LogoLastUpdated>Wed, 12 Mar", True),
        (office_of, OFFICE, "TS638459335750000000", "TS7", False),
        (office_of, OFFICE, "Example Realty", "Another Realty", True),
    ],
)
def test_what_counts_as_a_change(read, xml, old, new, counts):
    assert old in xml
    changed = read(xml.replace(old, new)).content_hash != read(xml).content_hash
    assert changed is counts


def logo_token(xml: str) -> str | None:
    return office_of(xml).rows["office"][0]["logo_change_token"]


def test_the_token_of_a_logo_is_its_address_without_the_number_and_its_own_date():
    token = logo_token(OFFICE)
    assert token is not None
    assert token.endswith("/TS/lowres/90001.jpg 2024-03-13T14:32:55+00:00")
    assert logo_token(OFFICE.replace("TS638459335750000000", "TS7")) == token
    assert logo_token(OFFICE.replace('LastUpdated="Wed, 13', 'LastUpdated="Wed, 12')) == token
    assert (
        logo_token(OFFICE.replace("<LogoLastUpdated>Wed, 13", "<LogoLastUpdated>Wed, 12")) != token
    )
    assert logo_token(OFFICE.replace("lowres/90001", "lowres/90002")) != token
    without = office_of(OFFICE.replace("ThumbnailURL", "OtherURL")).rows["office"][0]
    assert (without["logo_url"], without["logo_change_token"]) == (None, None)


def test_the_token_of_an_agents_photo():
    def token(xml: str) -> str | None:
        return member_of(xml).rows["member"][0]["photo_change_token"]

    assert token(AGENT) == "1"
    without_ticks = AGENT.replace("/TS1/", "/")
    assert token(without_ticks) == "2024-03-05T01:00:00+00:00"
    assert token(without_ticks.replace("Wed, 04 Sep 2024", "Thu, 05 Sep 2024")) == token(
        without_ticks
    )
    low_only = AGENT.replace("LargePhotoURL", "OtherURL")
    assert token(low_only) == "1"
    assert token(low_only.replace("ThumbnailURL", "YetAnotherURL")) is None


def test_a_value_that_does_not_convert():
    result = member_of(AGENT.replace("Tue, 05 Mar 2024 01:00:00 GMT", "in spring"))
    (row,) = result.rows["member"]
    assert row["photo_last_updated"] is None
    assert row["source_fields"]["PhotoLastUpdated"] == "in spring"
    assert [(p.field, p.raw) for p in result.problems] == [("PhotoLastUpdated", "in spring")]


@pytest.mark.parametrize("parse", [parse_member, parse_office])
@pytest.mark.parametrize(
    ("xml", "key"), [("<AgentDetails/>", None), ("<OfficeDetails/>", None), ('<Z ID="7"/>', "7")]
)
def test_records_that_cannot_become_rows(parse, xml, key):
    result = parse(payloads.element(xml))
    assert isinstance(result, UnparsedRecord)
    assert result.key == key
    assert result.problem.raw == xml
    assert isinstance(parse(etree.Comment("nothing")), UnparsedRecord)
    assert isinstance(parse(None), UnparsedRecord)
