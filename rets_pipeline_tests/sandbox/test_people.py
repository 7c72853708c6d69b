from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any

import pytest
import requests
from lxml import etree

from rets_pipeline.sandbox import PersonChange, RunningSandbox, Sandbox, running
from rets_pipeline_tests.sandbox.client import Client, code, control, records, root, text, texts

TODAY = date(2026, 11, 21)
WORDS = {"Agent": "agents", "Office": "offices"}
RESOURCES = sorted(WORDS)
PARTS = {
    "StreetAddress": "street_address",
    "AddressLine1": "line_1",
    "AddressLine2": "line_2",
    "StreetNumber": "number",
    "StreetDirectionPrefix": "direction_before",
    "StreetName": "street",
    "StreetSuffix": "suffix",
    "StreetDirectionSuffix": "direction_after",
    "UnitNumber": "unit",
    "BoxNumber": "box",
    "City": "city",
    "Province": "province",
    "PostalCode": "postal_code",
    "Country": "country",
    "AdditionalStreetInfo": "more",
    "CommunityName": "community",
    "Neighbourhood": "neighbourhood",
    "Subdivision": "subdivision",
    "Latitude": "latitude",
    "Longitude": "longitude",
}


def master_list(client: Client, resource: str) -> dict[str, str]:
    response = client.search("(ID=*)", SearchType=resource, Class=resource)
    return {found.get("ID"): found.get("LastUpdated") for found in records(response, resource)}


def details(client: Client, resource: str, keys: Iterable[str]) -> dict[str, etree._Element]:
    found: dict[str, etree._Element] = {}
    wanted = list(keys)
    for begin in range(0, len(wanted), 100):
        query = f"(ID={','.join(wanted[begin : begin + 100])})"
        response = client.search(query, SearchType=resource, Class=resource)
        found |= {r.get("ID"): r for r in records(response, f"{resource}Details")}
    return found


def change(
    sandbox: RunningSandbox, who: str, kind: str, key: str | None = None, **more: Any
) -> Any:
    return control(sandbox, "people", {"who": who, "kind": kind, "key": key, **more})


@pytest.mark.parametrize("resource", RESOURCES)
def test_master_lists_are_those_of_the_truth(client: Client, resource: str) -> None:
    master = master_list(client, resource)
    truth = control(client.sandbox, "truth")[WORDS[resource]]
    assert list(master) != sorted(master)
    assert {key: parsedate_to_datetime(text) for key, text in master.items()} == {
        key: datetime.fromisoformat(told["last_updated"]) for key, told in truth.items()
    }


def test_agents_are_those_of_the_truth(client: Client) -> None:
    # A day older, so that offices have changed since agents were written.
    client.sandbox.world.advance(2)
    truth = control(client.sandbox, "truth")["agents"]
    found = details(client, "Agent", truth)
    assert list(found) == list(truth)
    for key, agent in found.items():
        told = truth[key]
        assert text(agent, "Name") == told["name"]
        assert text(agent, "Position") == told["position"]
        office = agent.find("{*}Office")
        assert (office.get("ID"), text(office, "Name")) == (told["office"], told["office_name"])
        assert contacts(agent) == (told["phones"], told["websites"])
        assert (text(agent, "EducationCredentials") or "") == ", ".join(told["education"])
        for word, path in {
            "designations": "Designations/Designation",
            "languages": "Languages/Language",
            "specialties": "Specialties/Specialty",
            "trading_areas": "TradingAreas/TradingArea",
        }.items():
            group, child = path.split("/")
            assert [e.text for e in agent.iterfind(f"{{*}}{group}/{{*}}{child}")] == told[word]
        assert address(agent) == told["address"]
        photo = told["photo"]
        assert (text(agent, "Photo") is None) == (photo is None)
        if photo is not None:
            moment = parsedate_to_datetime(text(agent, "Photo/LastUpdated") or "")
            assert moment == datetime.fromisoformat(photo["last_updated"])
            url = text(agent, "Photo/ThumbnailURL") or ""
            assert url.endswith(photo["paths"]["thumbnail"])


def test_offices_are_those_of_the_truth(client: Client) -> None:
    client.sandbox.world.advance(2)
    truth = control(client.sandbox, "truth")["offices"]
    found = details(client, "Office", truth)
    assert list(found) == list(truth)
    for key, office in found.items():
        told = truth[key]
        for name, word in {
            "Name": "name",
            "OrganizationType": "organization_type",
            "Designation": "designation",
            "Franchisor": "franchisor",
        }.items():
            assert text(office, name) == told[word]
        assert contacts(office) == (told["phones"], told["websites"])
        assert address(office) == told["address"]
        assert (office.find("{*}Logo") is None) == (told["logo_version"] is None)


def contacts(person: etree._Element) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    phones = [
        {"kind": phone.get("PhoneType"), "number": phone.text}
        for phone in person.iterfind("{*}Phones/{*}Phone")
    ]
    websites = [
        {"kind": site.get("WebsiteType"), "url": site.text}
        for site in person.iterfind("{*}Websites/{*}Website")
    ]
    return phones, websites


def address(person: etree._Element) -> dict[str, str | None]:
    return {word: text(person, f"Address/{name}") for name, word in PARTS.items()}


@pytest.mark.parametrize("resource", RESOURCES)
def test_changed_since(client: Client, resource: str) -> None:
    client.sandbox.world.advance()
    truth = control(client.sandbox, "truth")[WORDS[resource]]
    since = sorted(told["last_updated"] for told in truth.values())[-12]
    expected = {key for key, told in truth.items() if told["last_updated"] >= since}
    arguments = {"SearchType": resource, "Class": resource, "Limit": "5"}
    query = f"(LastUpdated={since.replace('+00:00', 'Z')})"
    found: list[str] = []
    for offset in (1, 6, 11):
        response = client.search(query, Offset=offset, **arguments)
        found += [record.get("ID") for record in records(response, f"{resource}Details")]
        assert text(root(response), "RETS-RESPONSE/Pagination/TotalPages") == "3"
    assert sorted(found) == sorted(expected)
    only = root(client.search(query, Count="2", **arguments))
    assert only.find("COUNT").get("Records") == "12"
    assert len(only) == 1
    keys = ",".join(map(str, range(101)))
    assert code(client.search(f"(ID={keys})", **arguments)) == 20208
    assert code(client.search("(ID=1)", **arguments)) == 20201


def test_listings_tell_of_people_as_they_were() -> None:
    with running(listings=60, today=TODAY) as sandbox:
        truth = control(sandbox, "truth")
        key, listing = next(iter(truth["listings"].items()))
        agent, office = listing["agents"][0], listing["offices"][0]
        moved = change(sandbox, "agent", "moved", agent)["agents"][agent]
        assert moved["office"] != office
        renamed = change(sandbox, "office", "renamed", office)["offices"][office]
        assert renamed["name"] != listing["office_names"][0]
        after = control(sandbox, "truth")
        assert after["listings"] == truth["listings"]
        assert {k for k, told in after["agents"].items() if told != truth["agents"][k]} == {agent}
        # Only a board that sends the listing again tells of the agent anew.
        document = {"listing_key": key, "kind": "touched"}
        touched = control(sandbox, "change", document)["listings"][key]
        assert touched["offices"][0] == office
        written = control(sandbox, "change", {**document, "kind": "price"})["listings"][key]
        assert written["offices"][0] == moved["office"]
        assert written["agents"] == listing["agents"]


def test_the_report_tells_what_happened_to_people(sandbox: RunningSandbox) -> None:
    seen: dict[str, set[str]] = {"agents": set(), "offices": set()}
    for _ in range(5):
        before = control(sandbox, "truth")
        report = requests.post(f"{sandbox.url}/_sandbox/advance?days=1").json()
        after = control(sandbox, "truth")
        for name in ("agents", "offices"):
            check_report(report[name], before[name], after[name])
            assert set(after["gone"][name]).isdisjoint(after[name])
            seen[name] |= set(report[name])
        touched = {key for keys in report["changes"].values() for key in keys}
        was, now = before["listings"], after["listings"]
        same = set(was) & set(now)
        assert {key for key in same if was[key] != now[key]} == touched & same
    common = {"added", "removed", "restored", "moved", "phones", "websites", "touched"}
    common.add("timestamp_long_ago")
    assert seen["agents"] == common | {"designations", "photo"}
    assert seen["offices"] == common | {"renamed", "designation", "logo"}


def check_report(report: dict[str, list[str]], was: dict[str, dict], now: dict[str, dict]) -> None:
    assert set(was) - set(now) == set(report["removed"])
    assert set(now) - set(was) == {*report["added"], *report.get("restored", ())}
    touched = {key for keys in report.values() for key in keys}
    same = set(was) & set(now)
    assert {key for key in same if was[key] != now[key]} == touched & same
    # Every change is one that a master list shows.
    assert all(was[key]["last_updated"] != now[key]["last_updated"] for key in touched & same)
    words = {
        "phones": "phones",
        "websites": "websites",
        "designations": "designations",
        "designation": "designation",
        "photo": "photo",
        "renamed": "name",
        "logo": "logo_version",
        "moved": "address",
    }
    for kind, word in words.items():
        assert all(was[key][word] != now[key][word] for key in report.get(kind, ()))
    for key in report["touched"]:
        assert {**was[key], "last_updated": now[key]["last_updated"]} == now[key]
    for key in report["timestamp_long_ago"]:
        assert now[key]["last_updated"] < was[key]["last_updated"]
        assert now[key]["phones"] != was[key]["phones"]


def test_some_leave_although_listings_name_them() -> None:
    world = Sandbox(500, today=TODAY)
    for days in range(1, 11):
        world.advance()
        named = {
            (agent.agent_id, agent.office.office_id)
            for state in world.listings.values()
            for agent in world.listing(state).agents
        }
        agents = {agent for agent, _ in named} & set(world.roster.agents.gone)
        offices = {office for _, office in named} & set(world.roster.offices.gone)
        # A small share only, and from the fifth day on.
        assert len(agents) <= 2
        assert len(offices) <= 2
        assert bool(agents) == (days >= 5)
    assert offices


def test_listings_name_new_agents_too() -> None:
    world = Sandbox(500, today=TODAY)
    at_first = set(world.roster.agents.live)
    world.advance(20)
    newcomers = {
        agent.agent_id
        for state in world.listings.values()
        for agent in world.listing(state).agents
        if state.born > world.clock.start
    } - at_first
    assert newcomers


@pytest.mark.parametrize("listings", [0, 40, 300])
def test_people_age_alike_at_once_or_day_by_day(listings: int) -> None:
    at_once = Sandbox(listings, today=TODAY, advance=12)
    by_day = Sandbox(listings, today=TODAY)
    for _ in range(12):
        by_day.advance()
    for register in ("agents", "offices"):
        one, other = getattr(at_once.roster, register), getattr(by_day.roster, register)
        assert list(one.live.items()) == list(other.live.items())
        assert one.gone == other.gone
    assert [at_once.listing(s) for s in at_once.listings.values()] == [
        by_day.listing(s) for s in by_day.listings.values()
    ]
    midnight = datetime(2026, 11, 21, tzinfo=UTC).timestamp()
    assert all(s.updated <= midnight + 2 * 86_400 for s in by_day.roster.agents.live.values())


def test_every_live_agent_has_a_live_office_after_a_year() -> None:
    world = Sandbox(60, today=TODAY, advance=365)
    roster = world.roster
    assert all(state.office in roster.offices.live for state in roster.agents.live.values())
    assert len(roster.agents.live) > 100
    assert len(roster.offices.live) > 60


@pytest.mark.parametrize(
    ("who", "kind"),
    [
        *(("agent", kind) for kind in ("phones", "websites", "designations", "moved")),
        *(("office", kind) for kind in ("phones", "websites", "designation", "moved")),
        *(("office", kind) for kind in ("renamed", "logo")),
    ],
)
def test_a_change_repeated_changes_again(sandbox: RunningSandbox, who: str, kind: str) -> None:
    key = next(iter(control(sandbox, "truth")[f"{who}s"]))
    seen = [change(sandbox, who, kind, key)[f"{who}s"][key] for _ in range(6)]
    for was, now in pairwise(seen):
        assert was["last_updated"] < now["last_updated"]
        assert {**was, "last_updated": ""} != {**now, "last_updated": ""}


def test_one_goes_and_comes_back(client: Client) -> None:
    sandbox = client.sandbox
    truth = control(sandbox, "truth")
    key, was = next(iter(truth["agents"].items()))
    assert change(sandbox, "agent", "removed", key)["agents"] == {key: None}
    assert key not in master_list(client, "Agent")
    assert details(client, "Agent", [key]) == {}
    back = change(sandbox, "agent", "restored", key, keep_timestamp=True)["agents"][key]
    assert back == was
    assert list(change(sandbox, "agent", "added")["agents"]) == ["1400151"]
    kept = change(sandbox, "agent", "phones", key, keep_timestamp=True)["agents"][key]
    assert kept["last_updated"] == was["last_updated"]
    assert kept["phones"] != was["phones"]


def test_agents_leave_an_office_that_closes(sandbox: RunningSandbox) -> None:
    agents = control(sandbox, "truth")["agents"]
    office = next(iter(agents.values()))["office"]
    theirs = {key for key, told in agents.items() if told["office"] == office}
    report = change(sandbox, "office", "removed", office)
    assert report["offices"] == {office: None}
    assert set(report["agents"]) == theirs
    after = control(sandbox, "truth")
    assert office in after["gone"]["offices"]
    assert all(told["office"] in after["offices"] for told in after["agents"].values())


@pytest.mark.parametrize(
    "document",
    [
        {"who": "agent", "kind": "phones"},
        {"who": "agent", "kind": "renamed", "key": "1400001"},
        {"who": "office", "kind": "phones", "key": "1400001"},
        {"who": "agent", "kind": "restored", "key": "1400001"},
        {"who": "house", "kind": "phones", "key": "1400001"},
        {"who": "agent", "kind": "phones", "key": "x"},
        {"who": "agent", "kind": "phones", "key": "1400001", "keep_timestamp": 1},
        {"who": "agent", "kind": "phones", "key": "1400001", "colour": "red"},
        [],
    ],
)
def test_changes_that_make_no_sense_change_nothing(sandbox: RunningSandbox, document: Any) -> None:
    before = control(sandbox, "truth")
    response = requests.post(f"{sandbox.url}/_sandbox/people", json=document)
    assert response.status_code == 400
    assert response.json()["error"]
    assert control(sandbox, "truth") == before


def test_the_last_office_of_a_city_stays() -> None:
    world = Sandbox(1, today=TODAY)
    world.change_person(PersonChange("office", "removed", 50_001))
    with pytest.raises(ValueError, match="last one"):
        world.change_person(PersonChange("office", "removed", 50_031))
    assert 50_031 in world.roster.offices.live


def test_photos_of_agents_and_logos(client: Client) -> None:
    sandbox = client.sandbox
    truth = control(sandbox, "truth")["agents"]
    key = next(key for key, told in truth.items() if told["photo"])
    agent = details(client, "Agent", [key])[key]
    urls = [*texts(agent.find("{*}Photo"), "ThumbnailURL"), *texts(agent, "LargePhotoURL")]
    before = [requests.get(url) for url in urls]
    assert [image.headers["Content-Type"] for image in before] == ["image/jpeg"] * 2
    now = change(sandbox, "agent", "photo", key)["agents"][key]["photo"]
    assert [requests.get(url).status_code for url in urls] == [404, 404]
    assert requests.get(sandbox.url + now["paths"]["large"]).content != before[1].content
    office = next(
        office
        for office in details(client, "Office", list(master_list(client, "Office"))[:50]).values()
        if office.find("{*}Logo") is not None
    )
    url = text(office, "Logo/ThumbnailURL") or ""
    first = requests.get(url).content
    change(sandbox, "office", "logo", office.get("ID"))
    assert requests.get(url).content != first


def test_people_are_counted_apart_and_spoiled_apart(client: Client) -> None:
    sandbox = client.sandbox
    control(sandbox, "behaviour", {"resources": ["Agent"], "drop_from_master_list": 7})
    assert len(client.master_list()) == 120
    assert len(master_list(client, "Agent")) == 143
    details(client, "Office", list(master_list(client, "Office"))[:3])
    statistics = control(sandbox, "statistics")
    assert statistics["searches_by_resource"] == {
        "Property": {"master_list": 1, "details": 0, "last_updated": 0},
        "Agent": {"master_list": 1, "details": 0, "last_updated": 0},
        "Office": {"master_list": 1, "details": 1, "last_updated": 0},
    }
    assert statistics["details_by_resource"] == {"Property": 0, "Agent": 0, "Office": 3}


def test_a_logos_date_is_its_own_in_its_offices_search(client: Client) -> None:
    """The number in its address is not, and in listings and agents no date is."""
    sandbox = client.sandbox
    truth = control(sandbox, "truth")["offices"]
    key = next(key for key, told in truth.items() if told["logo_version"] is not None)

    def shown() -> tuple[str, str, str]:
        office = details(client, "Office", [key])[key]
        assert text(office, "Logo/LastUpdated") == text(office, "LogoLastUpdated")
        url = text(office, "Logo/ThumbnailURL") or ""
        body = requests.get(url).content
        asked = control(sandbox, f"truth?offices={key}&people_images=large")["offices"][key]
        assert hashlib.sha256(body).hexdigest() == asked["logo_sha256"]
        return url, text(office, "LogoLastUpdated") or "", asked["logo_sha256"]

    first = shown()
    change(sandbox, "office", "touched", key)
    touched = shown()
    assert touched[0] != first[0]
    assert touched[1:] == first[1:]
    change(sandbox, "office", "logo", key)
    replaced = shown()
    assert not set(replaced) & set(touched)
    # Whatever number: the logo of now.
    assert hashlib.sha256(requests.get(first[0]).content).hexdigest() == replaced[2]
    change(sandbox, "office", "removed", key)
    assert requests.get(replaced[0]).status_code == 404


def test_the_bytes_of_portraits_are_those_of_the_truth(sandbox: RunningSandbox) -> None:
    every = control(sandbox, "truth")["agents"]
    key = next(key for key, told in every.items() if told["photo"])
    for _ in range(2):
        asked = f"truth?agents={key}&people_images=thumbnail,large"
        photo = control(sandbox, asked)["agents"][key]["photo"]
        for size, path in photo["paths"].items():
            body = requests.get(sandbox.url + path).content
            assert hashlib.sha256(body).hexdigest() == photo["sha256"][size]
        change(sandbox, "agent", "photo", key)
        assert requests.get(sandbox.url + photo["paths"]["large"]).status_code == 404


def test_a_truth_of_some_people(sandbox: RunningSandbox) -> None:
    truth = control(sandbox, "truth")
    agent, office = next(iter(truth["agents"])), next(iter(truth["offices"]))
    some = control(sandbox, f"truth?agents={agent},1&offices={office}")
    assert some["agents"] == {agent: truth["agents"][agent]}
    assert some["offices"] == {office: truth["offices"][office]}
    assert some["listings"] == {}
    assert control(sandbox, "truth?keys=")["agents"] == {}
