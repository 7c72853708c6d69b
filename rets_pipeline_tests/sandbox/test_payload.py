from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

import pytest
from lxml import etree

from rets_pipeline.sandbox import RunningSandbox
from rets_pipeline_tests.sandbox.client import Client, control, root, text, texts

EASTERN = ZoneInfo("America/Toronto")


@pytest.fixture(scope="module")
def listings(big: RunningSandbox) -> dict[str, etree._Element]:
    client = Client(big)
    keys = list(client.master_list())
    found: dict[str, etree._Element] = {}
    for begin in range(0, len(keys), 100):
        found |= client.details(keys[begin : begin + 100])
    assert list(found) == keys
    return found


@pytest.fixture(scope="module")
def truth(big: RunningSandbox) -> dict[str, dict]:
    return control(big, "truth")["listings"]


def test_truth_agrees_with_the_payload(
    listings: dict[str, etree._Element], truth: dict[str, dict]
) -> None:
    assert set(listings) == set(truth)
    for key, listing in listings.items():
        told = truth[key]
        updated = parsedate_to_datetime(listing.get("LastUpdated"))
        assert updated == datetime.fromisoformat(told["last_updated"])
        for path, word in {
            "ListingID": "listing_id",
            "Board": "board",
            "Price": "price",
            "Lease": "lease",
            "PropertyType": "property_type",
            "TransactionType": "transaction_type",
            "PublicRemarks": "remarks",
            "Address/StreetAddress": "street_address",
            "Address/City": "city",
            "Address/Province": "province",
            "Address/PostalCode": "postal_code",
            "Address/Latitude": "latitude",
            "Address/Longitude": "longitude",
            "Building/BedroomsTotal": "bedrooms",
            "Building/BathroomTotal": "bathrooms",
        }.items():
            assert text(listing, path) == told[word], (key, path)
        agents = listing.findall("{*}AgentDetails")
        assert [agent.get("ID") for agent in agents] == told["agents"]
        assert [text(agent, "Name") for agent in agents] == told["agent_names"]
        assert [agent.find("{*}Office").get("ID") for agent in agents] == told["offices"]
        assert [text(agent, "Office/Name") for agent in agents] == told["office_names"]
        assert len(listing.findall(".//{*}Room")) == told["rooms"]
        assert len(listing.findall(".//{*}Parking")) == told["parking"]


def test_open_houses_are_local_and_day_first(
    listings: dict[str, etree._Element], truth: dict[str, dict]
) -> None:
    count = 0
    for key, listing in listings.items():
        events = listing.findall("{*}OpenHouse/{*}Event")
        told = truth[key]["open_houses"]
        assert len(events) == len(told)
        for event, words in zip(events, told, strict=True):
            for name, word in (("StartDateTime", "start"), ("EndDateTime", "end")):
                written = text(event, name) or ""
                moment = datetime.strptime(written, "%d/%m/%Y %I:%M:%S %p")
                assert moment.isoformat() == words[word]
            assert text(event, "Comments") == words["comments"]
            count += 1
    assert count > 300


def test_photos(listings: dict[str, etree._Element], truth: dict[str, dict]) -> None:
    folders = {"ThumbnailURL": "thumbnail", "PhotoURL": "medium", "LargePhotoURL": "large"}
    same_second = swaps = 0
    for key, listing in listings.items():
        found = listing.findall("{*}Photo/{*}PropertyPhoto")
        told = truth[key]["photos"]
        spelling = "SequenceID" if is_old(listing) else "SequenceId"
        assert [text(photo, spelling) for photo in found] == [
            str(words["sequence"]) for words in told
        ]
        assert [words["sequence"] for words in told] == sorted(words["sequence"] for words in told)
        assert len({words["ticks"] for words in told}) == len(told)
        assert 1 <= len(told) <= 6
        seconds = [words["last_updated"] for words in told]
        same_second += len(seconds) - len(set(seconds))
        for photo, words in zip(found, told, strict=True):
            right = parsedate_to_datetime(text(photo, "PhotoLastUpdated") or "")
            assert right == datetime.fromisoformat(words["last_updated"])
            shown = text(photo, "LastUpdated") or ""
            if is_old(listing):
                local = datetime.strptime(shown, "%d/%m/%Y %I:%M:%S %p")
                assert local == right.astimezone(EASTERN).replace(tzinfo=None)
            else:
                swaps += check_swap(right, parsedate_to_datetime(shown))
            for name, size in folders.items():
                url = text(photo, name) or ""
                assert url.endswith(words["paths"][size])
                assert f"/listings/TS{words['ticks']}/reb{truth[key]['board']}/" in url
            # The ticks are Eastern time, with the fraction of the second that the date lost.
            local = right.astimezone(EASTERN).replace(tzinfo=None)
            elapsed = local - datetime(1, 1, 1)
            ticks = (elapsed.days * 86_400 + elapsed.seconds) * 10_000_000
            assert 0 <= words["ticks"] - ticks < 10_000_000
    assert same_second > 50
    assert swaps > 50


def is_old(listing: etree._Element) -> bool:
    """Whether it is written as DDF did in 2019."""
    return text(listing, "AnalyticsView") is not None


def check_swap(right: datetime, wrong: datetime) -> bool:
    before, after = right.astimezone(EASTERN), wrong.astimezone(EASTERN)
    if before.day > 12:
        assert before == after
        return False
    assert (after.day, after.month) == (before.month, before.day)
    assert after.time() == before.time()
    return before.day != before.month


def test_some_listings_have_gaps_between_their_photos(truth: dict[str, dict]) -> None:
    def has_gap(listing: dict) -> bool:
        sequences = [photo["sequence"] for photo in listing["photos"]]
        return sequences != list(range(1, len(sequences) + 1))

    assert 0 < sum(map(has_gap, truth.values())) < len(truth) / 10


def test_four_shapes_of_booleans(listings: dict[str, etree._Element]) -> None:
    shapes = {
        text(listing, path)
        for listing in listings.values()
        for path in ("Business/Franchise", "Building/FireplacePresent", "Land/Acreage")
    }
    assert shapes >= {None, "", "True", "False", "true", "false"}


def test_commas_inside_lookup_values(listings: dict[str, etree._Element]) -> None:
    every = list(listings.values())
    rooms = {kind for listing in every for kind in room_types(listing)}
    assert "Recreational, Games room" in rooms
    assert any("Waterfront, Road Between" in texts(listing, "WaterFrontType") for listing in every)
    assert any("Other, See Remarks" in texts(listing, "OwnershipType") for listing in every)
    joined = [value for listing in every for value in texts(listing, "MaintenanceFeeType")]
    assert any("Other, See Remarks" in value and value.count(", ") > 1 for value in joined)
    assert any(
        "Agriculture, Forestry, Fishing and Hunting" in value
        for listing in every
        for value in texts(listing, "BusinessType")
    )


def room_types(listing: etree._Element) -> list[str]:
    return [text(room, "Type") or "" for room in listing.findall(".//{*}Room")]


def test_units_inside_text(listings: dict[str, etree._Element]) -> None:
    def every(path: str) -> list[str | None]:
        return [text(listing, path) for listing in listings.values()]

    assert any((value or "").endswith(" sqft") for value in every("Building/SizeInterior"))
    assert any((value or "").endswith(".0000") for value in every("Building/SizeInterior"))
    assert {"46 ft ,2 in", "", None} <= set(every("Land/SizeFrontage"))
    assert "0" in every("Land/SizeTotal")
    fences = every("Land/FenceTotal")
    assert {"", None, "240 ft"} == set(fences)
    assert fences.count("240 ft") < 0.06 * len(fences)
    assert {value.split()[-1] for value in every("Land/SizeTotal") if value not in (None, "0")} == {
        *("sqft", "ac", "m2", "hec")
    }
    rooms = [room for listing in listings.values() for room in listing.iter("{*}Room")]
    empty = [text(room, "Width") == text(room, "Length") == "" for room in rooms]
    assert 0.85 < sum(empty) / len(empty) < 1


def test_basements_are_composed(listings: dict[str, etree._Element]) -> None:
    composed = 0
    for listing in listings.values():
        development = text(listing, "Building/BasementDevelopment")
        if development is not None:
            kind = text(listing, "Building/BasementType") or ""
            assert kind.endswith(f" ({development})")
            composed += 1
    assert composed > 100


def test_leases_have_no_price(listings: dict[str, etree._Element]) -> None:
    kinds = {text(listing, "TransactionType") for listing in listings.values()}
    assert kinds == {"For sale", "For lease", "For rent", "For sale or rent"}
    for listing in listings.values():
        kind = text(listing, "TransactionType") or ""
        assert (text(listing, "Price") is not None) == ("sale" in kind)
        assert (text(listing, "Lease") is not None) == (kind != "For sale")
        assert (text(listing, "LeasePerTime") is not None) == (kind != "For sale")


def test_empty_containers(listings: dict[str, etree._Element]) -> None:
    utilities = [listing.find("{*}UtilitiesAvailable") for listing in listings.values()]
    assert all(found is not None for found in utilities)
    assert sum(len(found) for found in utilities if found is not None) > 0
    assert sum(len(found) == 0 for found in utilities if found is not None) > 800


def test_streets_may_hold_a_line_separator(listings: dict[str, etree._Element]) -> None:
    piped = [
        listing
        for listing in listings.values()
        if "|" in (text(listing, "Address/StreetAddress") or "")
    ]
    assert 0 < len(piped) < 100
    for listing in piped:
        street = text(listing, "Address/StreetAddress") or ""
        lines = [text(listing, "Address/AddressLine1"), text(listing, "Address/AddressLine2")]
        assert street.split("|") == lines


def test_places_are_real(listings: dict[str, etree._Element]) -> None:
    areas = {
        (text(listing, "Address/City"), (text(listing, "Address/PostalCode") or "")[0])
        for listing in listings.values()
    }
    assert {("Vancouver", "V"), ("Montréal", "H"), ("Toronto", "M"), ("Whitehorse", "Y")} <= areas
    assert len({city for city, _ in areas}) == len(areas)
    for listing in listings.values():
        code = text(listing, "Address/PostalCode") or ""
        assert len(code) == 6
        latitude = text(listing, "Address/Latitude")
        if latitude is not None:
            assert 42 < float(latitude) < 63
            assert -136 < float(text(listing, "Address/Longitude") or "") < -52
    located = sum(text(listing, "Address/Latitude") is not None for listing in listings.values())
    assert 800 < located < 1000


def test_people_and_text(listings: dict[str, etree._Element]) -> None:
    every = list(listings.values())
    assert {len(listing.findall("{*}AgentDetails")) for listing in every} == {1, 2, 3}
    remarks = [text(listing, "PublicRemarks") or "" for listing in every]
    assert any("à" in value and "é" in value for value in remarks)
    assert any("&" in value for value in remarks)
    assert any("<" in value for value in remarks)
    phones = [phone for listing in every for phone in listing.iter("{*}Phone")]
    assert {phone.get("PhoneType") for phone in phones} == {
        *("Telephone", "Fax", "Toll Free", "Cell", "Pager")
    }
    assert all("555-01" in (phone.text or "") for phone in phones)
    websites = [site for listing in every for site in listing.iter("{*}Website")]
    assert {site.get("WebsiteType") for site in websites} == {"Website", "FaceBook", "LinkedIn"}
    assert all(".example.com/" in (site.text or "") for site in websites)


def test_office_dates_follow_the_listings(listings: dict[str, etree._Element]) -> None:
    values: dict[str, set[str]] = {}
    for listing in listings.values():
        updated = parsedate_to_datetime(listing.get("LastUpdated"))
        for office in listing.iter("{*}Office"):
            written = office.get("LastUpdated")
            difference = updated - parsedate_to_datetime(written)
            assert 0 <= difference.total_seconds() < 60
            if is_old(listing):
                check_old_logo(office)
            else:
                assert text(office, "LogoLastUpdated") in (None, written)
                assert text(office, "Logo/LastUpdated") == text(office, "LogoLastUpdated")
            values.setdefault(office.get("ID"), set()).add(written)
    assert sum(len(several) > 1 for several in values.values()) > 10


def check_old_logo(office: etree._Element) -> None:
    assert office.find("{*}LogoLastUpdated") is None
    if office.find("{*}Logo") is not None:
        shown = text(office, "Logo/LogoLastUpdated") or ""
        assert re.fullmatch(r"\d{4}-\d\d-\d\d 1?\d:\d\d:\d\d [AP]M", shown)
        local = datetime.strptime(shown, "%Y-%m-%d %I:%M:%S %p").replace(tzinfo=EASTERN)
        assert local == parsedate_to_datetime(office.get("LastUpdated"))


def test_a_few_listings_are_written_in_the_old_way(listings: dict[str, etree._Element]) -> None:
    old = [listing for listing in listings.values() if is_old(listing)]
    assert 20 <= len(old) <= 60
    for listing in old:
        for name in ("AnalyticsClick", "AnalyticsView"):
            assert re.fullmatch(r"<!\[CDATA\[<script>.*</script>\]\]>", text(listing, name) or "")
        assert listing.find("{*}MunicipalId") is None
        assert "PropertyId=" in (text(listing, "MoreInformationLink") or "")
        for agent in listing.iterfind("{*}AgentDetails"):
            assert parsedate_to_datetime(agent.get("LastUpdated"))
            assert text(agent, "Address/City")
    assert any(listing.find("{*}MunicipalID") is not None for listing in old)
    others = [listing for listing in listings.values() if not is_old(listing)]
    assert not any(listing.find("{*}AgentDetails/{*}Address") is not None for listing in others)
    assert not any(agent.get("LastUpdated") for a in others for agent in a.iter("{*}AgentDetails"))


def test_texts_are_utf_8_and_french_in_quebec(listings: dict[str, etree._Element]) -> None:
    for listing in listings.values():
        if text(listing, "Address/Province") == "Quebec":
            remarks = text(listing, "PublicRemarks") or ""
            assert any(letter in remarks for letter in "éèàœêç")
            assert text(listing, "Address/StreetSuffix") in ("Rue", "Av.", "Boul.", "Ch.")


def test_order_of_elements(listings: dict[str, etree._Element]) -> None:
    for listing in listings.values():
        names = [etree.QName(child).localname for child in listing]
        agents = names.count("AgentDetails")
        assert names[0] == "ListingID"
        assert names[1 : 1 + agents] == ["AgentDetails"] * agents
        rest = [name for name in names[1 + agents : -1] if name != "AlternateURL"]
        head = ["Board", "Business", "Building", "Land", "Address"]
        assert rest[:5] == head
        assert rest[5:] == sorted(rest[5:])
        assert names[-1] == "MoreInformationLink"


def test_mls_numbers_are_not_unique_across_boards(truth: dict[str, dict]) -> None:
    numbers = [listing["listing_id"] for listing in truth.values()]
    boards = {(listing["listing_id"], listing["board"]) for listing in truth.values()}
    assert len(set(numbers)) < len(numbers)
    assert len(boards) == len(numbers)


def test_timestamps_lie_in_the_past(big: RunningSandbox, truth: dict[str, dict]) -> None:
    moments = [datetime.fromisoformat(listing["last_updated"]) for listing in truth.values()]
    now = datetime.fromisoformat(control(big, "truth?keys=")["now"])
    age = datetime.now(UTC) - now
    assert 10 <= age.total_seconds() / 86_400 < 11 + 1 / 24
    assert all(0 <= (now - moment).total_seconds() <= 60 * 86_400 for moment in moments)
    assert len({moment.date() for moment in moments}) >= 60


def test_a_truth_of_some_keys(big: RunningSandbox, truth: dict[str, dict]) -> None:
    keys = list(truth)[5:8]
    some = control(big, f"truth?keys={','.join([*keys, '1'])}")["listings"]
    assert some == {key: truth[key] for key in keys}


def test_the_same_document_twice(big: RunningSandbox) -> None:
    client = Client(big)
    assert root(client.search("(ID=*)")).tag == "RETS"
    assert client.search("(ID=*)").content == client.search("(ID=0+)").content
