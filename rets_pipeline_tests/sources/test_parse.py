"""One record as rows: the documented shape, and every way of breaking it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from lxml import etree

from rets_pipeline.sources.base import ParsedListing, UnparsedListing
from rets_pipeline.sources.ddf import DdfSource
from rets_pipeline_tests.sources import payloads

SOURCE = DdfSource()


def parsed(xml: str) -> ParsedListing:
    result = SOURCE.parse(payloads.element(xml))
    assert isinstance(result, ParsedListing)
    return result


def property_of(xml: str):
    (row,) = parsed(xml).rows["property"]
    return row


def test_a_listing_of_the_documented_shape():
    result = parsed(payloads.listing())
    assert result.problems == []
    assert result.listing_key == "26612345"
    assert result.payload_timestamp == datetime(2024, 3, 13, 14, 33, 2, tzinfo=UTC)
    (row,) = result.rows["property"]
    expected = {
        "listing_key": "26612345",
        "listing_id": "10306975",
        "list_aor_key": "20",
        "standard_status": "Active",
        "property_type": "Residential",
        "property_sub_type": "Single Family",
        "list_price": Decimal("699000.00"),
        "bedrooms_total": 4,
        "bathrooms_total_integer": 3,
        "stories": Decimal("1.5"),
        "living_area": Decimal(2732),
        "living_area_units": "Square Feet",
        "frontage_length": "46 ft ,2 in",
        "frontage_length_numeric": Decimal("46.1667"),
        "fireplace_yn": True,
        "acreage": False,
        "franchise": None,
        "basement": ["Full"],
        "basement_development": ["Unfinished"],
        "association_fee_includes": ["Other, See Remarks", "Water"],
        "waterfront_features": ["Waterfront, Road Between"],
        "latitude": Decimal("49.8876543"),
        "listing_contract_date": date(2024, 3, 8),
        "unparsed_address": "205 Example Road, Kelowna, British Columbia V1Y0A1",
        "photos_count": 3,
        "photos_change_timestamp": datetime(2024, 3, 10, 1, 40, 3, tzinfo=UTC),
        "parking_features": ["Attached Garage", "RV"],
        "list_agent_key": "80001",
        "co_list_agent_key": "80002",
        "list_office_key": "90001",
        "co_list_office_key": "90001",
    }
    assert {name: row[name] for name in expected} == expected
    assert row["public_remarks"] == payloads.REMARKS.replace("&amp;", "&").strip()
    assert row["source_fields"] == {
        "Building": {"BasementType": "Full (Unfinished)", "SizeInterior": "2732 sqft"},
        "Land": {"SizeTotal": "7841 sqft"},
    }


def test_the_children_of_a_listing():
    rows = parsed(payloads.listing()).rows
    assert [room["room_type"] for room in rows["property_rooms"]] == [
        "Recreational, Games room",
        "Kitchen",
    ]
    assert rows["property_rooms"][1]["room_width"] == Decimal("3.2")
    assert [photo["media_key"] for photo in rows["media"]] == [f"26612345_{n}" for n in (1, 2, 3)]
    assert [photo["preferred_photo_yn"] for photo in rows["media"]] == [True, False, False]
    assert rows["media"][0]["change_token"] == "638456460001130000"
    assert rows["media"][0]["media_url"].endswith("/highres/5/103061.jpg")
    (event,) = rows["open_house"]
    assert event["open_house_date"] == date(2024, 3, 17)
    assert event["open_house_start_local"] == datetime(2024, 3, 17, 14)
    assert event["open_house_start_time"] == datetime(2024, 3, 17, 21, tzinfo=UTC)
    assert event["open_house_end_time"] == datetime(2024, 3, 17, 23, tzinfo=UTC)
    assert event["open_house_type"] == "Public"
    assert [(m["order"], m["member_key"], m["role"]) for m in rows["property_member"]] == [
        (1, "80001", "ListAgent"),
        (2, "80002", "CoListAgent"),
    ]


def test_agents_and_offices_are_rows_of_their_own():
    result = parsed(payloads.listing())
    assert [m["member_full_name"] for m in result.rows["member"]] == ["Alex Example", "Kim Example"]
    (office,) = result.rows["office"]
    assert (office["office_key"], office["observed_in"]) == ("90001", "Property")
    assert office["modification_timestamp"] is None
    assert office["logo_change_token"].endswith("/TS/lowres/90001.jpg")
    phones = [
        (row["resource_name"], row["resource_record_key"], row["order"])
        for row in result.rows["other_phone"]
    ]
    assert phones == [
        ("Member", "80001", 1),
        ("Member", "80002", 1),
        ("Office", "90001", 1),
        ("Office", "90001", 2),
    ]
    assert [row["social_media_type"] for row in result.rows["social_media"]] == [
        "FaceBook",
        "FaceBook",
        "Website",
    ]


def test_office_dates_stand_only_where_nothing_is_compared():
    result = parsed(payloads.listing())
    for table, rows in result.rows.items():
        for row in rows:
            kept = {name: value for name, value in row.items() if name != "uncompared_fields"}
            assert "13 Mar 2024 14:32:55" not in str(kept), table
    assert "14:32:55" in str(result.rows["property_member"][0]["uncompared_fields"])


def test_names_are_compared_without_case_and_namespace():
    expected = parsed(payloads.listing()).rows
    without = payloads.listing(namespace=False)
    assert parsed(without).rows == expected
    for name in ("Price", "SequenceId", "Building", "AgentDetails", "MunicipalId", "LastUpdated"):
        without = without.replace(f"<{name}", f"<{name.upper()}")
        without = without.replace(f"</{name}>", f"</{name.upper()}>")
        without = without.replace(f' {name}="', f' {name.lower()}="')
    assert [row["media_key"] for row in parsed(without).rows["media"]] == [
        row["media_key"] for row in expected["media"]
    ]
    found, wanted = property_of(without), {**expected["property"][0]}
    assert str(found.pop("source_fields")).lower() == str(wanted.pop("source_fields")).lower()
    assert found == wanted
    prefixed = payloads.listing(namespace=False).replace("<", "<ddf:").replace("<ddf:/", "</ddf:")
    prefixed = prefixed.replace(" ID=", f' xmlns:ddf="{payloads.NAMESPACE}" ID=', 1)
    assert parsed(prefixed).rows == expected


@pytest.mark.parametrize(
    ("old", "new", "column", "path", "raw"),
    [
        ("699000.00", "on request", "list_price", "Price", "on request"),
        (">4<", ">four<", "bedrooms_total", "Building/BedroomsTotal", "four"),
        (">True<", ">perhaps<", "fireplace_yn", "Building/FireplacePresent", "perhaps"),
        ("2732 sqft", "large", "living_area", "Building/SizeInterior", "large"),
        ("2024-03-08", "8 March", "listing_contract_date", "ListingContractDate", "8 March"),
        ("49.8876543", "north", "latitude", "Address/Latitude", "north"),
        ("46 ft ,2 in", "wide", "frontage_length_numeric", "Land/SizeFrontage", "wide"),
    ],
)
def test_a_value_that_does_not_convert(old, new, column, path, raw):
    result = parsed(payloads.listing().replace(old, new))
    (row,) = result.rows["property"]
    assert row[column] is None
    (problem,) = result.problems
    assert (problem.field, problem.raw) == (path, raw)
    assert problem.reason
    assert raw in str(row["source_fields"])


def test_a_broken_value_of_a_child_is_a_problem_of_the_listing():
    result = parsed(payloads.listing().replace("17/03/2024 02:00:00 PM", "Sunday afternoon"))
    (event,) = result.rows["open_house"]
    assert event["open_house_start_time"] is event["open_house_start_local"] is None
    assert event["open_house_date"] is None
    assert event["source_fields"] == {"StartDateTime": "Sunday afternoon"}
    assert [problem.field for problem in result.problems] == ["OpenHouse/Event/StartDateTime"]


def test_an_unreadable_time_of_change_keeps_the_listing():
    result = parsed(payloads.listing().replace("Wed, 13 Mar 2024 14:33:02 GMT", "lately"))
    assert result.payload_timestamp is None
    assert [problem.field for problem in result.problems] == ["@LastUpdated"]
    assert result.rows["property"][0]["source_fields"]["@LastUpdated"] == "lately"


def test_photo_numbers_that_break_keys():
    photo = payloads.PHOTO.format(n=1)
    numbers = ["7", "7", "007", "", "seven", "-1"]
    xml = "".join(photo.replace("<SequenceId>1<", f"<SequenceId>{n}<") for n in numbers)
    result = parsed(payloads.listing(photos=xml))
    keys = [row["media_key"] for row in result.rows["media"]]
    assert keys == [
        "26612345_7",
        "26612345_7_2",
        "26612345_7_3",
        "26612345_p4",
        "26612345_p5",
        "26612345_-1",
    ]
    assert len(result.problems) == 5  # two that occur twice, two missing, one unreadable
    assert result.rows["media"][4]["source_fields"] == {"SequenceId": "seven"}


def test_photos_without_addresses():
    xml = (
        "<PropertyPhoto><SequenceId>1</SequenceId>"
        "<LastUpdated>22/01/2019 05:17:29 PM</LastUpdated>"
        "<PhotoLastUpdated>Tue, 22 Jan 2019 22:17:29 GMT</PhotoLastUpdated></PropertyPhoto>"
    )
    (row,) = parsed(payloads.listing(photos=xml)).rows["media"]
    assert row["change_token"] == "Tue, 22 Jan 2019 22:17:29 GMT"
    assert row["media_url"] is None


def test_an_agent_that_occurs_twice():
    twice = payloads.agent() + payloads.agent(name="Alex Otherwise")
    result = parsed(payloads.listing(agents=twice))
    assert [m["member_key"] for m in result.rows["property_member"]] == ["80001", "80001"]
    assert [m["member_full_name"] for m in result.rows["member"]] == ["Alex Example"]
    assert [problem.field for problem in result.problems] == ["AgentDetails/@ID"]
    assert "Alex Otherwise" in str(result.rows["property_member"][1]["source_fields"])
    keys = [(r["resource_name"], r["resource_record_key"], r["order"]) for r in phones(result)]
    assert len(keys) == len(set(keys))


def phones(result: ParsedListing):
    return result.rows["other_phone"]


def test_an_office_that_two_agents_describe_differently():
    other = payloads.OFFICE.replace("Example Realty Ltd.", "Example Realty Limited")
    result = parsed(payloads.listing(agents=payloads.agent() + payloads.agent(80002, "K", other)))
    (office,) = result.rows["office"]
    assert office["office_name"] == "Example Realty Ltd."
    second = result.rows["property_member"][1]
    assert second["source_fields"]["Office"]["Name"] == "Example Realty Limited"
    assert "14:32:55" not in str(second["source_fields"])


def test_logo_addresses_that_differ_in_their_number_are_the_same_office():
    other = payloads.OFFICE.replace("TS638459335750000000", "TS638459335759999999")
    result = parsed(payloads.listing(agents=payloads.agent() + payloads.agent(80002, "K", other)))
    assert len(result.rows["office"]) == 1
    assert result.rows["property_member"][1]["source_fields"] is None


def test_agents_and_offices_without_keys():
    agent = payloads.agent().replace(' ID="80001"', "").replace(' ID="90001"', "")
    result = parsed(payloads.listing(agents=agent))
    assert result.rows["member"] == result.rows["office"] == []
    assert result.rows["other_phone"] == result.rows["social_media"] == []
    (row,) = result.rows["property_member"]
    assert row["member_key"] is row["office_key"] is None
    for text in ("Alex Example", "(250) 555-0199", "Example Realty Ltd.", "(250) 555-0101"):
        assert text in str(row["source_fields"])
    assert len(result.problems) == 2


def test_a_lease_without_a_price():
    xml = payloads.listing().replace(
        "<Price>699000.00</Price>",
        "<Lease>1850.00</Lease><LeasePerTime>Monthly</LeasePerTime>"
        "<LeasePerUnit>square feet</LeasePerUnit>",
    )
    row = property_of(xml.replace("For sale", "For lease").replace("Single Family", "Retail"))
    assert row["list_price"] == row["lease_amount"] == Decimal(1850)
    assert row["lease_amount_frequency"] == "Monthly"
    assert row["property_type"] == "Commercial Lease"


@pytest.mark.parametrize("name", ["Price", "PRICE"])
def test_a_lease_does_not_stand_in_for_a_price_that_is_broken(name):
    price = f"<{name}>on request</{name}><Lease>1850</Lease>"
    row = property_of(payloads.listing().replace("<Price>699000.00</Price>", price))
    assert row["list_price"] is None
    assert row["lease_amount"] == Decimal(1850)


def test_a_lot_in_other_units():
    row = property_of(payloads.listing())
    assert (row["lot_size_area"], row["lot_size_units"]) == (Decimal(7841), "Square Feet")
    assert row["lot_size_square_feet"] == Decimal(7841)
    assert row["lot_size_acres"] == Decimal("0.1800")
    row = property_of(payloads.listing().replace("7841 sqft", "2.5 ha"))
    assert row["lot_size_acres"] == Decimal("6.1776")
    assert row["lot_size_square_feet"] == Decimal("269097.7604")
    row = property_of(payloads.listing().replace("7841 sqft", "1838.0000"))
    assert row["lot_size_area"] == Decimal(1838)
    assert row["lot_size_acres"] is row["lot_size_units"] is None


@pytest.mark.parametrize(
    ("length", "width", "expected"),
    [
        ("4.1 m", "12 ft", ("4.1", "3.6576", "Meters")),
        ("14 ft ,6 in", "12", ("14.5", "12", "Feet")),
        ("14.5", "12 ft", ("14.5", "12", "Feet")),
        ("4.1 m", "12 cubits", ("4.1", None, "Meters")),
        ("", "12 ft", (None, "12", "Feet")),
    ],
)
def test_the_sides_of_a_room_in_one_unit(length, width, expected):
    xml = payloads.listing().replace("<Length>4.1 m<", f"<Length>{length}<")
    room = parsed(xml.replace("<Width>3.2 m<", f"<Width>{width}<")).rows["property_rooms"][1]
    sides = tuple(None if side is None else Decimal(side) for side in expected[:2])
    assert (room["room_length"], room["room_width"]) == sides
    assert room["room_length_width_units"] == expected[2]
    assert room["source_fields"]["Width"] == width


def test_a_basement_tells_its_development_when_nothing_else_does():
    xml = payloads.listing().replace("<BasementDevelopment>Unfinished</BasementDevelopment>", "")
    assert property_of(xml)["basement_development"] == ["Unfinished"]
    assert property_of(xml.replace("Full (Unfinished)", "Full"))["basement_development"] is None


@pytest.mark.parametrize(
    ("old", "new", "zone", "hour"),
    [
        ("British Columbia", "Ontario", "America/Toronto", 18),
        ("British Columbia", "Colombie-Britannique", "America/Vancouver", 21),
        ("British Columbia", "Saskatchewan", "America/Regina", 20),
        ("British Columbia", "Newfoundland &amp; Labrador", "America/St_Johns", 16),
        ("49.8876543</Latitude><Longitude>-119.4961234", "49.51</Latitude><Longitude>-115.77",
         "America/Edmonton", 20),
        ("British Columbia", "Elsewhere", "America/Vancouver", 21),
    ],
)  # fmt: skip
def test_open_houses_in_the_zone_of_the_property(old, new, zone, hour):
    result = parsed(payloads.listing().replace(old, new))
    (event,) = result.rows["open_house"]
    assert result.rows["property"][0]["property_time_zone_name"] == zone
    assert event["open_house_start_local"] == datetime(2024, 3, 17, 14)
    minute = 30 if zone == "America/St_Johns" else 0
    assert event["open_house_start_time"] == datetime(2024, 3, 17, hour, minute, tzinfo=UTC)


def test_open_houses_of_a_place_that_nobody_knows():
    xml = payloads.listing().replace("British Columbia", "Elsewhere")
    xml = re.sub("<Latitude>.*</Longitude>", "", xml)
    (event,) = parsed(xml).rows["open_house"]
    assert event["open_house_start_time"] is None
    assert event["open_house_date"] == date(2024, 3, 17)
    assert event["open_house_start_local"] == datetime(2024, 3, 17, 14)


def test_an_event_that_names_its_zone():
    text = "Sun, 17 Mar 2024 21:30:00 GMT"
    (event,) = parsed(payloads.listing().replace("17/03/2024 02:00:00 PM", text)).rows["open_house"]
    assert event["open_house_start_time"] == datetime(2024, 3, 17, 21, 30, tzinfo=UTC)
    assert event["open_house_start_local"] == datetime(2024, 3, 17, 14, 30)
    assert event["source_fields"] == {"StartDateTime": text}


def test_values_with_commas_that_only_the_server_knows():
    xml = payloads.listing().replace(
        "Lake view, Mountain view", "City, lake, or sky, Mountain view"
    )
    assert property_of(xml)["view"] == ["City", "lake", "or sky", "Mountain view"]
    lookups = {"ViewType": ["Mountain view", "City, lake, or sky"], "LeaseType": []}
    result = DdfSource(lookups=lookups).parse(payloads.element(xml))
    assert isinstance(result, ParsedListing)
    (row,) = result.rows["property"]
    assert row["view"] == ["City, lake, or sky", "Mountain view"]
    assert row["waterfront_features"] == ["Waterfront, Road Between"]  # still known


def test_live_streams_are_open_houses_with_an_address():
    xml = payloads.listing().replace(
        "</OpenHouse>",
        "</OpenHouse><LiveStream><Event><StartDateTime>18/03/2024 06:00:00 PM</StartDateTime>"
        "<URL>https://live.example.com/1</URL></Event></LiveStream>",
    )
    rows = parsed(xml).rows["open_house"]
    assert [row["open_house_key"] for row in rows] == ["26612345_1", "26612345_2"]
    assert rows[1]["open_house_type"] == "Livestream Public"
    assert rows[1]["livestream_open_house_url"] == "https://live.example.com/1"


def test_addresses_in_one_line():
    xml = payloads.listing()
    street = "<StreetAddress>205 Example Road</StreetAddress>"
    two_lines = "<StreetAddress>Suite 4 |205 Example Road</StreetAddress>"
    assert property_of(xml.replace(street, two_lines))["unparsed_address"].startswith(
        "Suite 4, 205 Example Road, Kelowna"
    )
    unit = "<UnitNumber>4</UnitNumber>"
    assert property_of(xml.replace(street, unit))["unparsed_address"].startswith(
        "4 - 205 Example Road, Kelowna"
    )


@pytest.mark.parametrize(
    ("xml", "key"),
    [
        ('<PropertyDetails LastUpdated="x"/>', None),
        ('<PropertyDetails ID="  "/>', None),
        ('<PropertyDetails ID="1)|(ID=*"/>', None),
        ('<PropertyDetails ID="../../etc"/>', None),
        ('<AgentDetails ID="1"/>', "1"),
    ],
)
def test_records_that_cannot_become_rows(xml, key):
    result = SOURCE.parse(payloads.element(xml))
    assert isinstance(result, UnparsedListing)
    assert result.listing_key == key
    assert result.problem.field == ""
    assert result.problem.raw == xml


def test_a_comment_is_no_record():
    assert isinstance(SOURCE.parse(etree.Comment("nothing")), UnparsedListing)
    assert isinstance(SOURCE.parse(None), UnparsedListing)


def test_the_least_that_is_a_listing():
    result = parsed('<PropertyDetails ID="1"/>')
    assert result.problems == []
    (row,) = result.rows["property"]
    assert row["source_fields"] is None
    assert row["unparsed_address"] is None
    assert all(not rows for table, rows in result.rows.items() if table != "property")


def test_a_deep_record_is_refused_and_not_a_crash():
    depth = 2_000  # lxml's own limit is 2,048
    xml = '<PropertyDetails ID="1">' + "<A>" * depth + "</A>" * depth + "</PropertyDetails>"
    record = etree.fromstring(xml, etree.XMLParser(huge_tree=True))
    result = SOURCE.parse(record)
    assert isinstance(result, UnparsedListing)
    assert result.listing_key == "1"


def test_the_record_is_left_as_it_was():
    record = payloads.element(payloads.listing())
    before = etree.tostring(record)
    SOURCE.parse(record)
    assert etree.tostring(record) == before


def test_a_million_new_names_do_not_fill_the_memory():
    names = "".join(f"<N{number}>{number}</N{number}>" for number in range(3_000))
    xml = payloads.listing().replace("<Board>", f"{names}<Board>")
    row = property_of(xml)
    assert row["source_fields"]["N2999"] == "2999"
    assert row["list_aor_key"] == "20"
    from rets_pipeline.sources.ddf import engine, parse

    assert len(parse._ENGINE._root.by_tag) <= engine._MEMORY + len(parse._ENGINE._root.children) * 4
