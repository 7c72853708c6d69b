from __future__ import annotations

import hashlib
import io
from urllib.parse import urlsplit

import requests
from PIL import Image

from rets_pipeline.sandbox import RunningSandbox
from rets_pipeline_tests.sandbox.client import Client, change, control, texts


def test_bytes_are_those_of_the_truth(sandbox: RunningSandbox) -> None:
    truth = control(sandbox, "truth?images=thumbnail,medium,large")["listings"]
    seen: set[str] = set()
    sizes: set[tuple[int, int]] = set()
    for listing in list(truth.values())[:30]:
        for photo in listing["photos"]:
            for size, path in photo["paths"].items():
                response = requests.get(sandbox.url + path)
                assert response.status_code == 200
                assert response.headers["Content-Type"] == "image/jpeg"
                digest = hashlib.sha256(response.content).hexdigest()
                assert digest == photo["sha256"][size]
                seen.add(digest)
                image = Image.open(io.BytesIO(response.content))
                image.load()
                assert image.format == "JPEG"
                sizes.add(image.size)
    photos = sum(len(listing["photos"]) for listing in list(truth.values())[:30])
    assert len(seen) == 3 * photos
    assert len(sizes) > 50


def test_addresses_in_the_payload_lead_to_images(client: Client) -> None:
    key = next(iter(client.master_list()))
    listing = client.details([key])[key]
    urls = [*texts(listing, "ThumbnailURL"), *texts(listing, "LargePhotoURL")]
    assert all(url.startswith(client.sandbox.url) for url in urls)
    assert {requests.get(url).status_code for url in urls} == {200}
    statistics = control(client.sandbox, "statistics")["images"]
    assert statistics["served"] == len(urls)
    assert statistics["by_url"] == {urlsplit(url).path: 1 for url in urls}


def test_the_host_is_the_one_that_was_asked(client: Client) -> None:
    client.pretend_host("ddf.example.com:8080")
    key = next(iter(client.master_list()))
    url = texts(client.details([key])[key], "PhotoURL")[0]
    assert url.startswith("http://ddf.example.com:8080/listings/TS")


def test_conditional_requests(sandbox: RunningSandbox) -> None:
    listing = next(iter(control(sandbox, "truth")["listings"].values()))
    url = sandbox.url + listing["photos"][0]["paths"]["large"]
    first = requests.get(url)
    assert "GMT" in first.headers["Last-Modified"]
    again = requests.get(url, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    statistics = control(sandbox, "statistics")["images"]
    assert (statistics["served"], statistics["not_modified"]) == (1, 1)


def test_only_the_present_version_is_there(sandbox: RunningSandbox) -> None:
    key, listing = next(
        (key, listing)
        for key, listing in control(sandbox, "truth")["listings"].items()
        if len(listing["photos"]) > 2
    )
    old = listing["photos"][0]
    new = change(sandbox, key, "photo_replaced", sequence=1)["photos"][0]
    assert new["photo_id"] == old["photo_id"]
    assert new["ticks"] > old["ticks"]
    assert requests.get(sandbox.url + old["paths"]["large"]).status_code == 404
    assert requests.get(sandbox.url + new["paths"]["large"]).status_code == 200
    change(sandbox, key, "removed")
    assert requests.get(sandbox.url + new["paths"]["large"]).status_code == 404
    assert control(sandbox, "statistics")["images"]["not_found"] == 2


def test_a_reordering_moves_photos_with_their_times_and_bytes(sandbox: RunningSandbox) -> None:
    key, before = next(
        (key, listing)
        for key, listing in control(sandbox, "truth?images=large")["listings"].items()
        if len(listing["photos"]) > 2
    )
    change(sandbox, key, "photos_reordered")
    after = control(sandbox, f"truth?keys={key}&images=large")["listings"][key]

    def identities(listing: dict) -> list[tuple]:
        return [
            (photo["photo_id"], photo["ticks"], photo["sha256"]["large"])
            for photo in listing["photos"]
        ]

    assert identities(before) != identities(after)
    assert sorted(identities(before)) == sorted(identities(after))
    assert [photo["sequence"] for photo in before["photos"]] == [
        photo["sequence"] for photo in after["photos"]
    ]
    order = [photo["photo_id"] for photo in reversed(after["photos"])]
    chosen = change(sandbox, key, "photos_reordered", order=order)
    assert [photo["photo_id"] for photo in chosen["photos"]] == order
    for photo in control(sandbox, f"truth?keys={key}&images=large")["listings"][key]["photos"]:
        body = requests.get(sandbox.url + photo["paths"]["large"]).content
        assert hashlib.sha256(body).hexdigest() == photo["sha256"]["large"]


def test_a_photo_that_takes_a_removed_ones_number_has_other_bytes(
    sandbox: RunningSandbox,
) -> None:
    key = next(iter(control(sandbox, "truth")["listings"]))
    before = control(sandbox, f"truth?keys={key}&images=large")["listings"][key]["photos"]
    change(sandbox, key, "photo_removed")
    change(sandbox, key, "photo_added")
    after = control(sandbox, f"truth?keys={key}&images=large")["listings"][key]["photos"]
    assert before[-1]["photo_id"] == after[-1]["photo_id"]
    assert before[-1]["sha256"] != after[-1]["sha256"]
    assert before[:-1] == after[:-1]


def test_addresses_that_are_none(sandbox: RunningSandbox) -> None:
    listing = next(iter(control(sandbox, "truth")["listings"].values()))
    path = listing["photos"][0]["paths"]["large"]
    board = f"/reb{listing['board']}/"
    for wrong in (path.replace("TS", "TS1"), path.replace(board, "/reb999/"), "/listings/x.jpg"):
        assert wrong != path
        assert requests.get(sandbox.url + wrong).status_code == 404


def test_logos(client: Client) -> None:
    listings = client.details(list(client.master_list())[:50])
    logo = next(
        url
        for listing in listings.values()
        for element in listing.iter("{*}Logo")
        for url in texts(element, "ThumbnailURL")
    )
    response = requests.get(logo)
    assert response.content.startswith(b"\xff\xd8\xff")
    assert requests.get(logo.replace(".jpg", "9.jpg")).status_code == 404
