from __future__ import annotations

import time

import pytest
import requests
from lxml import etree

from rets_pipeline.sandbox import RunningSandbox
from rets_pipeline_tests.sandbox.client import Client, code, control, records, root


def behave(client: Client, **switches: object) -> None:
    control(client.sandbox, "behaviour", switches)


def test_never_return(client: Client) -> None:
    keys = list(client.master_list())
    behave(client, never_return=[keys[0]])
    assert keys[0] in client.master_list()
    assert list(client.details(keys[:3])) == keys[1:3]
    assert code(client.search(f"(ID={keys[0]})")) == 20201
    since = client.search("(LastUpdated=2020-01-01)")
    assert root(since).find("COUNT").get("Records") == "119"


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_a_truncated_list_ends_with_its_connection(client: Client, encoding: str) -> None:
    behave(client, truncate_master_list=True)
    client.http.headers["Accept-Encoding"] = encoding
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        client.search("(ID=*)")
    behave(client, reset=True)
    assert len(client.master_list()) == 120


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_what_arrives_of_a_truncated_list(client: Client, encoding: str) -> None:
    behave(client, truncate_master_list=0.5, truncate_cleanly=True)
    client.http.headers["Accept-Encoding"] = encoding
    response = client.search("(ID=*)")
    assert response.text.count("<Property ID=") == 61  # the last one broken
    assert b'<COUNT Records="120" />' in response.content
    assert b"</RETS>" not in response.content
    with pytest.raises(etree.XMLSyntaxError):
        root(response)


def test_a_list_that_silently_lacks_keys(client: Client) -> None:
    behave(client, cut_master_list=7)
    response = client.search("(ID=*)")
    assert root(response).find("COUNT").get("Records") == "120"
    assert len(records(response)) == 113


def test_a_list_that_lost_keys_and_agrees_with_itself(client: Client) -> None:
    behave(client, drop_from_master_list=30)
    response = client.search("(ID=*)")
    assert root(response).find("COUNT").get("Records") == "90"
    assert len(records(response)) == 90
    behave(client, drop_from_master_list=120)
    assert code(client.search("(ID=*)")) == 20201


def test_changes_between_list_and_details(client: Client) -> None:
    master = client.master_list()
    first, second, third = list(master)[:3]
    behave(
        client,
        before_details=[
            {"listing_key": first, "kind": "price"},
            {"listing_key": second, "kind": "removed"},
        ],
    )
    found = client.details([first, second, third])
    assert set(found) == {first, third}
    assert found[first].get("LastUpdated") != master[first]
    again = client.details([first])
    assert again[first].get("LastUpdated") == found[first].get("LastUpdated")


def test_latency(client: Client) -> None:
    behave(client, latency=0.3)
    begin = time.monotonic()
    client.master_list()
    assert time.monotonic() - begin >= 0.3


def test_payloads_without_addresses_of_photos(client: Client) -> None:
    keys = list(client.master_list())[:20]
    names = ("ThumbnailURL", "PhotoURL", "LargePhotoURL")
    photos = [
        photo
        for photo_addresses in (True, False)
        for _ in [behave(client, photo_addresses=photo_addresses)]
        for listing in client.details(keys).values()
        for photo in listing.iter("{*}PropertyPhoto")
    ]
    half = len(photos) // 2
    assert all(photo.find("{*}PhotoLastUpdated") is not None for photo in photos)
    found = [sum(photo.find("{*}" + name) is not None for name in names) for photo in photos]
    assert found == [3] * half + [0] * half


def test_images_that_fail(sandbox: RunningSandbox) -> None:
    listing = next(iter(control(sandbox, "truth")["listings"].values()))
    path = listing["photos"][0]["paths"]["large"]
    control(sandbox, "behaviour", {"image_status": {path: 500}})
    assert requests.get(sandbox.url + path).status_code == 500
    control(sandbox, "behaviour", {"reset": True})
    assert requests.get(sandbox.url + path).status_code == 200


def test_switches_stay_until_reset(client: Client) -> None:
    behave(client, cut_master_list=1)
    behave(client, latency=0.01)
    now = control(client.sandbox, "behaviour")
    assert (now["cut_master_list"], now["latency"]) == (1, 0.01)
    behave(client, reset=True, cut_master_list=2)
    now = control(client.sandbox, "behaviour")
    assert (now["cut_master_list"], now["latency"]) == (2, 0.0)


@pytest.mark.parametrize(
    "document",
    [
        {"explode": True},
        {"latency": -1},
        {"truncate_master_list": 2},
        {"truncate_cleanly": "no"},
        {"cut_master_list": -1},
        {"before_details": [{"kind": "nothing"}]},
        {"image_status": {"/x": 99}},
        {"image_status": []},
        {"never_return": ["x"]},
        {"cut_master_list": 5, "latency": "long"},
        3,
    ],
)
def test_switches_that_make_no_sense_change_nothing(
    sandbox: RunningSandbox, document: object
) -> None:
    before = control(sandbox, "behaviour")
    response = requests.post(f"{sandbox.url}/_sandbox/behaviour", json=document)
    assert response.status_code == 400
    assert response.json()["error"]
    assert control(sandbox, "behaviour") == before
