from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import requests

from rets_pipeline.sandbox import Change, ChangeError, RunningSandbox, Sandbox, running
from rets_pipeline_tests.sandbox.client import Client, change, control

TODAY = date(2026, 11, 21)
KINDS = {
    *("price", "remarks", "status", "open_house", "touched"),
    *("photo_replaced", "photo_added", "photo_removed", "photos_reordered"),
    *("timestamp_backwards", "timestamp_long_ago", "removed", "added"),
}


def test_the_same_seed_gives_the_same_world() -> None:
    def everything(seed: int) -> tuple[Any, Any, bytes]:
        with running(listings=30, seed=seed, today=TODAY) as sandbox:
            client = Client(sandbox)
            client.pretend_host("same")
            keys = list(client.master_list())
            details = client.search(f"(ID={','.join(keys)})").content
            return control(sandbox, "truth"), keys, details

    assert everything(7) == everything(7)
    assert everything(7)[2] != everything(8)[2]


@pytest.mark.parametrize("listings", [3, 20, 60, 300])
def test_days_at_once_or_one_by_one(listings: int) -> None:
    at_once = Sandbox(listings, today=TODAY)
    one_by_one = Sandbox(listings, today=TODAY)
    at_start = Sandbox(listings, today=TODAY, advance=3)
    report = at_once.advance(3)
    days = [one_by_one.advance(1)["days"][0] for _ in range(3)]
    assert report["days"] == days
    assert list(at_once.listings.items()) == list(one_by_one.listings.items())
    assert list(at_once.listings.items()) == list(at_start.listings.items())
    assert at_once.gone == one_by_one.gone == at_start.gone
    assert at_once.clock == one_by_one.clock == at_start.clock


def test_the_report_tells_what_happened(sandbox: RunningSandbox) -> None:
    before = control(sandbox, "truth")
    report = requests.post(f"{sandbox.url}/_sandbox/advance?days=1").json()
    after = control(sandbox, "truth")
    assert set(report["changes"]) == KINDS
    was, now = before["listings"], after["listings"]
    assert set(was) - set(now) == set(report["changes"]["removed"])
    assert set(now) - set(was) == set(report["changes"]["added"])
    touched = {key for keys in report["changes"].values() for key in keys}
    same = set(was) & set(now)
    assert {key for key in same if was[key] != now[key]} == touched & same
    # Every change is one that a master list shows.
    assert all(was[key]["last_updated"] != now[key]["last_updated"] for key in touched & same)
    for kind, keys in report["changes"].items():
        for key in keys:
            check_kind(kind, was.get(key), now.get(key), before["now"])
    assert report["now"] == after["now"]
    age = datetime.fromisoformat(after["now"]) - datetime.fromisoformat(before["now"])
    assert age == timedelta(days=1)


def check_kind(kind: str, was: dict | None, now: dict | None, begin: str) -> None:
    if was is None or now is None:
        assert kind in ("added", "removed")
        return
    words = {
        "price": ("price", "lease"),
        "remarks": ("remarks",),
        "status": ("transaction_type",),
        "open_house": ("open_houses",),
    }
    if kind in words:
        assert [was[word] for word in words[kind]] != [now[word] for word in words[kind]]
    elif kind.startswith("photo"):
        check_photos(kind, was["photos"], now["photos"])
    elif kind == "touched":
        assert {**was, "last_updated": now["last_updated"]} == now
        assert now["last_updated"] > begin
    else:
        assert now["last_updated"] < was["last_updated"]
        assert {**was, "last_updated": now["last_updated"]} != now


def check_photos(kind: str, was: list[dict], now: list[dict]) -> None:
    before = [(photo["photo_id"], photo["ticks"]) for photo in was]
    after = [(photo["photo_id"], photo["ticks"]) for photo in now]
    if kind == "photos_reordered":
        assert before != after
        assert sorted(before) == sorted(after)
    elif kind == "photo_added":
        assert after[:-1] == before
    elif kind == "photo_removed":
        assert after == before[:-1]
    else:
        assert [photo_id for photo_id, _ in before] == [photo_id for photo_id, _ in after]
        assert len(set(before) - set(after)) == 1


def test_every_kind_happens_every_day_in_a_world_of_fifty() -> None:
    world = Sandbox(50, today=TODAY)
    for _ in range(5):
        assert set(world.advance()["changes"]) >= KINDS


def test_shares_grow_with_the_world() -> None:
    world = Sandbox(5000, today=TODAY)
    changes = world.advance()["changes"]
    assert len(changes["removed"]) == len(changes["added"]) == 50
    rest = {
        key for kind, keys in changes.items() if kind not in ("removed", "added") for key in keys
    }
    assert 150 <= len(rest) <= 250


def test_some_come_back() -> None:
    world = Sandbox(200, today=TODAY)
    removed = set(world.advance()["changes"]["removed"])
    restored = world.advance()["changes"]["restored"]
    assert restored
    assert set(restored) <= removed
    assert {int(key) for key in restored} <= set(world.listings)


def test_ten_days_do_not_reach_the_real_future() -> None:
    world = Sandbox(300, days=60, today=TODAY, advance=10)
    midnight = datetime(2026, 11, 21, tzinfo=UTC).timestamp()
    first = midnight - 70 * 86_400
    assert world.clock.now == midnight
    assert all(first <= state.updated <= midnight for state in world.listings.values())
    world.advance(5)
    assert max(state.updated for state in world.listings.values()) > midnight


def test_some_move_to_a_day_long_ago() -> None:
    world = Sandbox(300, today=TODAY)
    for key in world.advance()["changes"]["timestamp_long_ago"]:
        updated = world.listings[int(key)].updated
        assert 0 <= updated - world.clock.first <= 86_400


@pytest.mark.parametrize("size", [0, 1, 2, 3, 8, 49])
def test_small_worlds_age_too(size: int) -> None:
    world = Sandbox(size, days=1, today=TODAY)
    for _ in range(15):
        world.advance()
    assert len(world.listings) >= size // 2


@pytest.mark.parametrize("kind", sorted(KINDS - {"added"}))
def test_one_change(client: Client, kind: str) -> None:
    sandbox = client.sandbox
    truth = control(sandbox, "truth")
    key, was = next(
        (key, listing) for key, listing in truth["listings"].items() if len(listing["photos"]) > 2
    )
    now = change(sandbox, key, kind)
    others = control(sandbox, "truth")["listings"]
    assert {k: v for k, v in others.items() if k != key} == {
        k: v for k, v in truth["listings"].items() if k != key
    }
    if kind == "removed":
        assert now is None
        assert key not in client.master_list()
        back = change(sandbox, key, "restored", keep_timestamp=True)
        assert back == was
        return
    assert others[key] == now
    assert now["last_updated"] != was["last_updated"]
    if kind.startswith("timestamp"):
        assert {**was, "last_updated": now["last_updated"]} == now
        assert now["last_updated"] < was["last_updated"]
    else:
        check_kind(kind, was, now, truth["now"])
        assert now["last_updated"] > truth["now"]


@pytest.mark.parametrize("kind", ["price", "remarks", "open_house", "status", "photo_replaced"])
def test_a_change_repeated_changes_again(sandbox: RunningSandbox, kind: str) -> None:
    key = next(iter(control(sandbox, "truth")["listings"]))
    seen = [change(sandbox, key, kind) for _ in range(8)]
    for was, now in pairwise(seen):
        check_kind(kind, was, now, "")


def test_timestamps_as_one_likes(sandbox: RunningSandbox) -> None:
    key, was = next(iter(control(sandbox, "truth")["listings"].items()))
    kept = change(sandbox, key, "remarks", keep_timestamp=True)
    assert kept["last_updated"] == was["last_updated"]
    assert kept["remarks"] != was["remarks"]
    chosen = change(sandbox, key, "price", last_updated="2026-07-01T12:00:00Z")
    assert chosen["last_updated"] == "2026-07-01T12:00:00+00:00"


def test_added(client: Client) -> None:
    before = client.master_list()
    answer = control(client.sandbox, "change", {"kind": "added", "count": 3})
    assert set(client.master_list()) - set(before) == set(answer["listings"])
    assert len(answer["listings"]) == 3


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "price"},
        {"kind": "price", "listing_key": "1"},
        {"kind": "price", "listing_key": "x"},
        {"kind": "explode", "listing_key": "KEY"},
        {"kind": "restored", "listing_key": "KEY"},
        {"kind": "photo_removed", "listing_key": "KEY", "sequence": 99},
        {"kind": "photo_removed", "listing_key": "KEY", "sequence": 0},
        {"kind": "photo_added", "listing_key": "KEY", "sequence": 99},
        {"kind": "photos_reordered", "listing_key": "KEY", "order": [77]},
        {"kind": "price", "listing_key": "KEY", "last_updated": "yesterday"},
        {"kind": "price", "listing_key": "KEY", "keep_timestamp": 1},
        {"kind": "price", "listing_key": "KEY", "colour": "red"},
        {"kind": "added", "count": 0},
        [],
    ],
)
def test_changes_that_make_no_sense_change_nothing(sandbox: RunningSandbox, document: Any) -> None:
    before = control(sandbox, "truth")
    if isinstance(document, dict) and document.get("listing_key") == "KEY":
        document = {**document, "listing_key": next(iter(before["listings"]))}
    response = requests.post(f"{sandbox.url}/_sandbox/change", json=document)
    assert response.status_code == 400
    assert response.json()["error"]
    assert control(sandbox, "truth") == before


def test_bad_control_requests_are_explained(sandbox: RunningSandbox) -> None:
    for method, path in (
        ("POST", "advance?days=0"),
        ("POST", "advance?days=many"),
        ("GET", "truth?images=huge"),
        ("GET", "truth?people_images=huge"),
        ("GET", "truth?keys=x"),
        ("POST", "change"),
    ):
        response = requests.request(method, f"{sandbox.url}/_sandbox/{path}", data=b"{")
        assert response.status_code == 400, path
        assert response.json()["error"]


def test_worlds_that_make_no_sense() -> None:
    for wrong in ({"listings": -1}, {"days": 0}, {"max_photos": 0}, {"advance": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Sandbox(**wrong)  # type: ignore[arg-type]


def test_the_last_photo_can_go(client: Client) -> None:
    key, listing = next(iter(control(client.sandbox, "truth")["listings"].items()))
    for _ in listing["photos"]:
        now = change(client.sandbox, key, "photo_removed")
    assert now["photos"] == []
    assert client.details([key])[key].find("{*}Photo") is None
    with pytest.raises(ChangeError):
        client.sandbox.world.change(Change("photo_replaced", int(key)))


def test_the_password_is_not_shown() -> None:
    world = Sandbox(1, password="a secret")
    assert "secret" not in repr(world)
