"""Coordinates in step with the addresses, with a geocoder over HTTP."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from rets_pipeline.archive import Archive
from rets_pipeline.geocoding import addresses as normalization
from rets_pipeline.settings import FeedConfig
from rets_pipeline.sync import addresses, quality, rejudge
from rets_pipeline.sync.addresses import AddressCounts
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.warehouse import deletion, ledgers, tables
from rets_pipeline.warehouse.addresses import located
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.geocoding.geocoder_server import (
    GeocoderServer,
    Reply,
    geocoder_server,
    house,
    road,
    town,
)
from rets_pipeline_tests.patience import PATIENCE
from rets_pipeline_tests.sync.pieces import feed_of, open_mirror
from rets_pipeline_tests.warehouse.builders import FEED, apply, begin, holding, listing
from rets_pipeline_tests.warehouse.databases import rows

SERIAL = count(1)
HERE = (49.28, -123.11)
OFFLINE = {"name": "offline"}


def place(number: int = 1255, **more: Any) -> dict[str, Any]:
    """The columns of an address in Vancouver."""
    return {
        "street_number": str(number),
        "street_name": "Main",
        "street_suffix": "Street",
        "city": "Vancouver",
        "state_or_province": "British Columbia",
        "postal_code": "V6B1A1",
        **more,
    }


def asked_for(query: dict[str, str]) -> dict[str, str]:
    """The number of the house that our server was asked for, as a part of its answer."""
    return {"house_number": query["street"].split()[0]}


@pytest.fixture
def geocoder() -> Iterator[GeocoderServer]:
    with geocoder_server() as found:
        found.fallback = lambda query: Reply([house(*HERE, address=asked_for(query))])
        yield found


@dataclass
class Board:
    """Feeds whose listings have addresses."""

    geocoder: GeocoderServer
    warehouse: Warehouse
    archive: Archive
    opened: ExitStack

    def publish(self, **listings: dict[str, Any]) -> None:
        """These listings are what they are now."""
        with self.warehouse.writing() as connection:
            pull = begin(connection, next(SERIAL))
        # The content decides whether a listing is loaded anew.
        items = [listing(key[1:], content=pull.pull_id, **row) for key, row in listings.items()]
        apply(self.warehouse, pull, items)

    def withdraw_all(self) -> None:
        """A master list without any listing."""
        with self.warehouse.writing() as connection, holding(connection, []):
            deletion.remove(connection, begin(connection, next(SERIAL), kind="master_list"))

    def feed(self, *geocoders: dict[str, Any], name: str = FEED, **more: Any) -> FeedConfig:
        """A feed that asks those."""
        settings = {"geocoders": [*geocoders] or [self.nominatim(), OFFLINE], **more}
        return feed_of(name=name, addresses=settings)

    def nominatim(self, **more: Any) -> dict[str, Any]:
        """Our server."""
        return {
            "name": "nominatim",
            "host": self.geocoder.host,
            "seconds_between_requests": 0,
            "timeout_seconds": 60,
            **more,
        }

    def photon(self, **more: Any) -> dict[str, Any]:
        """Our server, by another name."""
        return {**self.nominatim(**more), "name": "photon"}

    def open(self, feed: FeedConfig | None = None) -> Mirror:
        """One run."""
        return self.opened.enter_context(
            open_mirror(self.warehouse, self.archive, feed or self.feed(), job="addresses")
        )

    def run(self, feed: FeedConfig | None = None) -> AddressCounts:
        """One address run, ended."""
        with open_mirror(self.warehouse, self.archive, feed or self.feed(), job="addresses") as run:
            return addresses.mirror_addresses(run)

    def backlog(self, feed: FeedConfig | None = None) -> int:
        """What the next one would find."""
        with self.warehouse.reading() as connection:
            return addresses.address_backlog(connection, feed or self.feed())

    def where(self, key: str = "1", feed: str = FEED) -> tuple[Any, ...]:
        """Where the view says that a listing is: latitude, longitude, by whom, how near."""
        query = sa.text(
            "SELECT located_latitude, located_longitude, located_by, located_precision"
            " FROM current_listings WHERE feed = :feed AND listing_key = :key"
        )
        with self.warehouse.reading() as connection:
            found = connection.execute(query, {"feed": feed, "key": key}).one()
        return (*(None if value is None else float(value) for value in found[:2]), *found[2:])

    def answers(self) -> dict[str, Any]:
        """What is remembered, by geocoder."""
        table = ledgers.geocode_answer
        return {row.provider: row for row in rows(self.warehouse, sa.select(table))}

    def standing(self) -> Any:
        """How our server stands."""
        (row,) = rows(self.warehouse, sa.select(ledgers.geocode_provider))
        return row

    def pass_time(self, **time: float) -> None:
        """Everything was so much longer ago."""
        ago = timedelta(**time)
        with self.warehouse.writing() as connection:
            for table, names in (
                (ledgers.geocode_answer, ("next_attempt", "answered_at")),
                (ledgers.geocode_provider, ("resting_until", "day")),
            ):
                for row in connection.execute(sa.select(table)).mappings().all():
                    moved = {name: row[name] - ago for name in names if row[name] is not None}
                    here = [column == row[column.name] for column in table.primary_key]
                    connection.execute(sa.update(table).where(*here).values(**moved))


@pytest.fixture
def board(geocoder: GeocoderServer, warehouse: Warehouse, archive: Archive) -> Iterator[Board]:
    with ExitStack() as opened:
        yield Board(geocoder, warehouse, archive, opened)


@pytest.fixture
def one_board(
    geocoder: GeocoderServer, sqlite_warehouse: Warehouse, archive: Archive
) -> Iterator[Board]:
    """For what does not depend on the database."""
    with ExitStack() as opened:
        yield Board(geocoder, sqlite_warehouse, archive, opened)


def test_the_payload_wins(board: Board) -> None:
    board.publish(_1=place(latitude=49.27, longitude=-123.1), _2=place(1300))
    assert board.where() == (49.27, -123.1, "payload", None), "before the run already"
    counts = board.run()
    assert (counts.listings, counts.payload_accepted, counts.located) == (2, 1, 1)
    assert [asked.query["street"] for asked in board.geocoder.asked] == ["1300 Main Street"]
    assert board.where("1") == (49.27, -123.1, "payload", None)
    assert board.where("2") == (*HERE, "nominatim", "rooftop")


def test_coordinates_that_cannot_be_right_do_not_win(board: Board) -> None:
    board.publish(
        _1=place(latitude=0, longitude=0),
        _2=place(1, latitude=49.9, longitude=-123.11),
        _3=place(2, latitude=49.27),
    )
    counts = board.run()
    assert (counts.payload_accepted, counts.payload_refused, counts.located) == (0, 2, 3)
    for key in ("1", "2", "3"):
        assert board.where(key) == (*HERE, "nominatim", "rooftop")
    found = rows(board.warehouse, sa.select(ledgers.address_sync).order_by("listing_key"))
    assert [row.payload_coordinates for row in found] == ["refused", "refused", "absent"]
    assert [row.reason for row in found] == [
        "outside BC", "69 km from the middle of the postal area V6B", None,
    ]  # fmt: skip


def test_a_place_is_asked_for_once_by_all_listings_and_feeds(board: Board) -> None:
    board.publish(
        _1=place(unit_number="1"),
        _2=place(unit_number="2"),
        _3={
            **place(),
            "street_name": None,
            "street_address": "3-1255 MAIN ST",
            "city": "VANCOUVER",
        },
    )
    counts = board.run()
    assert (counts.listings, counts.addresses, counts.requests, counts.located) == (3, 1, 1, 1)
    with board.warehouse.writing() as connection:
        connection.execute(
            tables.property_.insert().values(feed="other", listing_key="9", **place())
        )
    counts = board.run(board.feed(name="other"))
    assert (counts.listings, counts.cached, counts.addresses, counts.requests) == (1, 1, 0, 0)
    assert board.where("9", "other") == board.where("2") == (*HERE, "nominatim", "rooftop")
    assert len(board.geocoder.asked) == 1


def test_nothing_to_do_asks_nobody(board: Board) -> None:
    board.publish(_1=place(), _2=place(latitude=49.27, longitude=-123.1))
    assert board.backlog() == 2
    board.run()
    asked = len(board.geocoder.asked)
    nothing = AddressCounts(answered={"nominatim": 0, "offline": 0})
    assert board.run() == nothing
    assert board.backlog() == 0
    assert len(board.geocoder.asked) == asked
    numbers = nothing.numbers()
    assert numbers["answered_by_nominatim"] == numbers["requests"] == 0


def test_another_address_gets_other_coordinates(board: Board) -> None:
    board.publish(_1=place())
    board.run()
    board.publish(_1=place(99))
    assert board.where() == (None, None, None, None), "those of the old address are not right"
    board.geocoder.replies = [Reply([house(49.25, -123.1, address={"house_number": "99"})])]
    assert board.run().located == 1
    assert board.where() == (49.25, -123.1, "nominatim", "rooftop")
    board.publish(_1=place())
    assert board.run().cached == 1
    assert board.where() == (*HERE, "nominatim", "rooftop")
    # Now the payload tells itself, and takes it back.
    board.publish(_1=place(latitude=49.27, longitude=-123.1))
    board.run()
    assert board.where()[2] == "payload"
    board.publish(_1=place())
    board.run()
    assert board.where()[2] == "nominatim"
    assert len(board.geocoder.asked) == 2


def test_the_rows_of_gone_listings_go_and_their_answers_stay(board: Board) -> None:
    board.publish(_1=place(), _2=place(2))
    board.run()
    board.withdraw_all()
    counts = board.run()
    assert (counts.removed, counts.left) == (2, 0)
    assert rows(board.warehouse, sa.select(ledgers.address_sync)) == []
    board.publish(_1=place())
    assert board.run().cached == 1
    assert len(board.geocoder.asked) == 2


WRONG = {
    "another province": [house(43.65, -79.38, address={"ISO3166-2-lvl4": "CA-ON"})],
    "too far": [house(49.9, -123.11)],
    "says another province": [house(*HERE, address={"ISO3166-2-lvl4": "CA-AB"})],
    "another country": [house(*HERE, address={"country_code": "us"})],
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_place_is_refused_and_the_next_is_asked(one_board: Board, wrong: list[Any]) -> None:
    one_board.publish(_1=place())
    one_board.geocoder.replies = [Reply(wrong)]
    counts = one_board.run()
    assert (counts.refused, counts.located) == (1, 1)
    assert counts.answered == {"nominatim": 0, "offline": 1}
    assert one_board.where()[2:] == ("offline", "fsa")
    answer = one_board.answers()["nominatim"]
    assert answer.state == "refused"
    assert answer.reason
    assert one_board.run().addresses == 0, "it is remembered"


def test_verdicts_follow_the_settings_without_a_request(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of payloads and of geocoders; run by run when the time is short."""
    monkeypatch.setattr(rejudge, "_ROWS", 1)
    elsewhere = [house(49.9, -123.11, address={"ISO3166-2-lvl4": "CA-AB"})]
    board.geocoder.replies = [Reply([house(49.5, -123.11)]), Reply(elsewhere)]
    board.publish(_1=place())
    board.run()
    board.publish(_2=place(2))
    board.run()
    board.publish(_3=place(3, latitude=49.45, longitude=-123.11))
    assert (board.run().payload_accepted, board.backlog()) == (1, 0)
    assert [board.where(key)[2] for key in "123"] == ["nominatim", "offline", "payload"]
    requests = len(board.geocoder.asked)

    near = board.feed(kilometres=10)
    assert board.backlog(near) == 1
    check = quality.geocodes_plausible(board.open(near))
    assert (check.passed, check.numbers) == (False, {"located": 2, "outside": 1})
    assert check.cases == [{"listing": "1", "why": "24 km from the middle of the postal area V6B"}]
    with board.open(near) as mirror, pytest.MonkeyPatch.context() as patch:
        patch.setattr(rejudge, "time", SimpleNamespace(monotonic=iter((0, 2)).__next__))
        assert rejudge.judged_again(mirror, mirror.lock(addresses.LOCK), deadline=1) == 1
    assert board.backlog() == 1, "half of it has other verdicts now"
    assert board.run().rejudged == 1
    assert [board.where(key)[2] for key in "123"] == ["nominatim", "offline", "payload"]

    assert board.run(near).rejudged == 2
    assert [board.where(key)[2] for key in "123"] == ["offline", "offline", "nominatim"]
    assert quality.geocodes_plausible(board.open(near)).passed
    assert board.backlog(near) == 0

    assert board.run(board.feed(kilometres=100)).rejudged == 2
    assert [board.where(key)[2] for key in "123"] == ["nominatim", "offline", "payload"]
    assert board.run(board.feed(kilometres=100)).rejudged == 0
    assert len(board.geocoder.asked) == requests + 1, "the third is asked for once"


def test_addresses_that_are_normalized_in_another_way_are_looked_at_anew(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    board.publish(
        _1=place(unit_number="1"), _2=place(unit_number="2"), _3=place(3),
        _4=place(latitude=49.27, longitude=-123.1), _5=place(latitude=0, longitude=0),
    )  # fmt: skip
    board.geocoder.replies = [Reply([town(*HERE)])]
    board.run()
    assert board.backlog() == 0
    before = set(rows(board.warehouse, sa.select(ledgers.address_sync.c.address_hash)))
    monkeypatch.setattr(normalization, "_VERSION", "another")
    assert board.backlog() == 1
    counts = board.run()
    assert (counts.rejudged, counts.addresses, counts.requests, counts.left) == (5, 2, 2, 0)
    after = set(rows(board.warehouse, sa.select(ledgers.address_sync.c.address_hash)))
    assert (len(after), before & after) == (2, set())
    located_by = [board.where(key)[2] for key in "12345"]
    assert located_by == ["nominatim", "nominatim", "nominatim", "payload", "nominatim"]
    assert (board.run().rejudged, board.backlog()) == (0, 0)


def test_what_is_not_known_is_asked_again_after_a_while(board: Board) -> None:
    board.publish(_1=place())
    board.geocoder.replies = [Reply([])]
    counts = board.run()
    assert (counts.not_found, counts.answered["offline"]) == (1, 1)
    assert board.run().requests == 0
    board.pass_time(days=29)
    assert board.run().requests == 0
    board.pass_time(days=2)
    counts = board.run()
    assert (counts.requests, counts.improved, counts.located) == (1, 1, 0)
    assert board.where() == (*HERE, "nominatim", "rooftop")
    board.pass_time(days=2000)
    assert board.run().addresses == 0, "it cannot get better"


def test_coarse_answers_improve_later(board: Board) -> None:
    board.publish(_1=place())
    board.geocoder.replies = [Reply([town(*HERE)])]
    feed = board.feed(board.nominatim())
    assert board.run(feed).located == 1
    assert board.where()[2:] == ("nominatim", "city")
    assert board.run(feed).addresses == 0
    board.geocoder.replies = [Reply([road(*HERE)])]
    board.pass_time(days=181)
    assert board.run(feed).improved == 1
    assert board.where()[2:] == ("nominatim", "street")


@pytest.mark.parametrize(
    ("reply", "reason", "minutes"),
    [
        (Reply(status=500), "error of the service", 15),
        (Reply([house(10, 10)]), "outside BC", 30 * 24 * 60),
    ],
    ids=["failed", "refused"],
)
def test_a_place_stays_when_a_better_answer_does_not_come(
    board: Board, reply: Reply, reason: str, minutes: int
) -> None:
    feed = board.feed(board.nominatim())
    board.publish(_1=place())
    board.geocoder.replies = [Reply([town(*HERE)]), reply, reply, Reply([road(*HERE)])]
    board.run(feed)
    for times in (1, 2):
        board.pass_time(days=181)
        counts = board.run(feed)
        assert counts.failed + counts.refused == counts.requests == 1
        assert board.where() == (*HERE, "nominatim", "city")
        answer = board.answers()["nominatim"]
        assert (answer.state, answer.attempts) == ("found", times * counts.failed)
        assert reason in answer.reason
        wait = minutes * (times if counts.failed else 1)
        soon = answer.next_attempt - datetime.now(UTC)
        assert timedelta(0) <= timedelta(minutes=wait) - soon < timedelta(minutes=5)
    board.pass_time(days=181)
    assert board.run(feed).improved == 1
    answer = board.answers()["nominatim"]
    assert (answer.precision, answer.reason, answer.attempts) == ("street", None, 0)


@pytest.mark.parametrize("letter", ["\x00", "\ud800"], ids=["zero", "surrogate"])
def test_an_odd_character_in_an_answer_ends_no_run(board: Board, letter: str) -> None:
    board.publish(_1=place(1), _2=place(2))
    board.geocoder.replies = [Reply([house(*HERE, display_name=f"1 Main{letter}Street")])]
    assert board.run().located == 2
    texts = {row.matched_text for row in rows(board.warehouse, sa.select(tables.geocode))}
    assert "1 Main?Street" in texts


def test_a_place_that_could_not_be_asked_for_is_pending(board: Board) -> None:
    """That it is not found, nobody has said."""
    feed = board.feed(board.nominatim())
    board.publish(_1=place())
    board.geocoder.replies = [Reply(status=500), Reply([])]
    states = []
    for _ in range(2):
        board.run(feed)
        states += [row.state for row in rows(board.warehouse, sa.select(tables.geocode))]
        board.pass_time(minutes=16)
    assert states == ["pending", "not_found"]


def test_a_geocoder_that_is_added_improves_what_there_is(board: Board) -> None:
    board.publish(_1=place())
    offline = board.feed(OFFLINE)
    assert board.run(offline).answered == {"offline": 1}
    assert board.where()[2:] == ("offline", "fsa")
    assert board.backlog(offline) == 0
    assert board.backlog() == 1
    counts = board.run()
    assert (counts.improved, counts.answered) == (1, {"nominatim": 1, "offline": 0})
    assert board.where()[2:] == ("nominatim", "rooftop")


def test_the_chain_ends_at_a_street_and_keeps_the_best(board: Board) -> None:
    board.publish(_1=place(), _2=place(2))
    coarse = {"type": "city", "osm_value": "city", "countrycode": "CA", "state": "BC"}
    photon = {"geometry": {"type": "Point", "coordinates": [-123.1, 49.2]}, "properties": coarse}
    board.geocoder.fallback = lambda query: (
        Reply({"features": [photon]}) if "q" in query else Reply([road(*HERE)])
        if query["street"].startswith("2 ") else Reply([town(*HERE)])
    )  # fmt: skip
    feed = board.feed(board.nominatim(), board.photon(), OFFLINE)
    counts = board.run(feed)
    assert counts.answered == {"nominatim": 2, "photon": 1, "offline": 1}
    assert counts.requests == 3
    assert board.where("1")[2:] == ("offline", "fsa")
    assert board.where("2")[2:] == ("nominatim", "street")


def test_another_house_is_not_the_one_that_was_asked_for(board: Board) -> None:
    board.publish(_1=place(1255), _2=place(1257))
    other = {"house_number": "7", "road": "Another Road"}
    told = {"street": "Main St", "housenumber": "1255", "countrycode": "CA", "state": "BC"}
    photon = {"geometry": {"type": "Point", "coordinates": [-123.1, 49.27]}, "properties": told}
    board.geocoder.fallback = lambda query: (
        Reply({"features": [photon]}) if "q" in query else Reply([house(*HERE, address=other)])
        if query["street"].startswith("1255") else Reply([house(*HERE)])
    )  # fmt: skip
    feed = board.feed(board.nominatim(), board.photon())
    assert board.run(feed).answered == {"nominatim": 2, "photon": 1}
    assert board.where("1") == (49.27, -123.1, "photon", "rooftop")
    assert board.where("2") == (*HERE, "nominatim", "street"), "the street suffices"


def test_an_address_without_a_street_costs_no_request(one_board: Board) -> None:
    one_board.publish(_1=place() | {"street_number": None, "street_name": None}, _2={})
    counts = one_board.run()
    assert (counts.requests, counts.addresses, counts.located) == (0, 2, 1)
    assert one_board.where("1")[2:] == ("offline", "fsa")
    assert one_board.where("2") == (None, None, None, None)
    assert one_board.run().addresses == 0
    with one_board.warehouse.reading() as connection:
        assert located(connection, FEED).by_geocoder == 1


# Faults, budgets, time ---------------------------------------------------------------------------


def test_too_many_requests(one_board: Board, caplog: pytest.LogCaptureFixture) -> None:
    one_board.publish(_1=place(1), _2=place(2), _3=place(3))
    one_board.geocoder.replies = [Reply(status=429, headers={"Retry-After": "1800"})]
    with caplog.at_level(logging.WARNING):
        counts = one_board.run()
    assert "nominatim: asks for fewer requests (HTTP 429); it is not asked again for 0:30:00" in (
        caplog.text
    )
    assert (counts.requests, counts.failed, counts.answered["offline"]) == (1, 1, 3)
    assert one_board.backlog() == 0
    assert one_board.run().requests == 0, "it is left alone, by later runs too"
    one_board.pass_time(minutes=29)
    assert one_board.run().requests == 0
    one_board.pass_time(minutes=2)
    assert one_board.backlog() == 3
    counts = one_board.run()
    assert (counts.requests, counts.improved) == (3, 3)
    assert (one_board.standing().faults, one_board.standing().reason) == (0, None)


@pytest.mark.parametrize(
    ("told", "minutes"),
    [
        ("0", 15),
        ("-5", 15),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 15),
        ("soon", 15),
        ("99999999999999", 7 * 24 * 60),
    ],
)
def test_any_time_that_a_geocoder_asks_for_is_a_rest(
    one_board: Board, told: str, minutes: int
) -> None:
    one_board.publish(**{f"_{number}": place(number) for number in range(5)})
    one_board.geocoder.fallback = lambda query: Reply(status=429, headers={"Retry-After": told})
    counts = one_board.run()
    assert (counts.requests, counts.answered["offline"]) == (1, 5)
    assert one_board.run().requests == 0
    rest = one_board.standing().resting_until - datetime.now(UTC)
    assert timedelta(0) <= timedelta(minutes=minutes) - rest < timedelta(minutes=5)


def test_a_geocoder_that_refuses_us_rests_longer_each_time(one_board: Board) -> None:
    one_board.publish(_1=place())
    one_board.geocoder.fallback = lambda query: Reply(status=403, body=b"<h1>Blocked</h1>")
    waits = []
    for _ in range(3):
        assert one_board.run().requests == 1
        waits.append(one_board.standing().resting_until - datetime.now(UTC))
        one_board.pass_time(hours=3)
    minutes = [round(wait.total_seconds() / 60) for wait in waits]
    assert minutes == [15, 30, 60]
    assert "refuses our key" in one_board.standing().reason


@pytest.mark.parametrize(
    "fault",
    [Reply(status=500), Reply(body=b"<html>"), Reply([], seconds=1.5)],
    ids=["status", "html", "slow"],
)
def test_a_geocoder_that_fails_in_a_row_rests(one_board: Board, fault: Reply) -> None:
    one_board.publish(**{f"_{number}": place(number) for number in range(6)})
    one_board.geocoder.fallback = lambda query: fault
    counts = one_board.run(one_board.feed(one_board.nominatim(timeout_seconds=0.3), OFFLINE))
    assert (counts.requests, counts.failed, counts.answered["offline"]) == (3, 3, 6)
    assert one_board.run().requests == 0
    one_board.geocoder.fallback = lambda query: Reply([house(*HERE)])
    one_board.pass_time(minutes=16)
    assert one_board.run().improved == 6


def test_one_failure_is_tried_again_soon(one_board: Board) -> None:
    one_board.publish(_1=place(1), _2=place(2))
    one_board.geocoder.replies = [Reply(status=500), Reply([house(*HERE)])]
    counts = one_board.run()
    assert (counts.failed, counts.answered["nominatim"]) == (1, 1)
    assert one_board.run().requests == 0
    one_board.pass_time(minutes=16)
    assert one_board.run().improved == 1


def test_the_budget_of_a_day_is_kept_by_all_runs(board: Board) -> None:
    board.publish(**{f"_{number}": place(number) for number in range(5)})
    feed = board.feed(board.nominatim(daily_requests=2), OFFLINE)
    counts = board.run(feed)
    assert (counts.requests, counts.answered) == (2, {"nominatim": 2, "offline": 3})
    assert board.run(feed).requests == 0
    assert board.backlog(feed) == 0
    assert (board.standing().requests, board.standing().day) == (2, datetime.now(UTC).date())
    board.pass_time(days=1)
    assert board.backlog(feed) == 3
    counts = board.run(feed)
    assert (counts.requests, counts.improved) == (2, 2)
    nothing = board.feed(board.nominatim(daily_requests=0))
    assert board.run(nothing).requests == 0


def test_a_run_is_bounded(board: Board) -> None:
    board.publish(**{f"_{number}": place(number) for number in range(7)})
    feed = board.feed(per_run=3)
    left = []
    for _ in range(4):
        counts = board.run(feed)
        assert counts.listings <= 3
        assert counts.addresses <= 3
        left.append(counts.left)
    assert left == [4, 1, 0, 0]


def test_a_run_ends_in_time(one_board: Board) -> None:
    one_board.publish(**{f"_{number}": place(number) for number in range(30)})
    one_board.geocoder.fallback = lambda query: Reply([house(*HERE)], seconds=0.1)
    counts = one_board.run(one_board.feed(seconds_per_run=0.5))
    assert 0 < counts.requests < 10
    assert counts.left == 30 - counts.located
    one_board.geocoder.fallback = lambda query: Reply([house(*HERE)])
    assert one_board.run().located == counts.left


# Killed runs, and two at a time ------------------------------------------------------------------

KILLED = """
import os, sys
from rets_pipeline.archive import Archive
from rets_pipeline.sync import addresses
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline.settings import FeedConfig
from rets_pipeline_tests.sync.pieces import open_mirror
feed = FeedConfig.model_validate_json(sys.argv[3])
warehouse, archive = Warehouse(sys.argv[1]), Archive.from_uri(sys.argv[2])
with open_mirror(warehouse, archive, feed, job="addresses") as run:
    addresses.mirror_addresses(run)
"""


def test_a_killed_run_forgets_no_answer(
    board: Board, warehouse_url: str, archive_folder: Path
) -> None:
    """What was answered is kept, what was asked is counted, and the next run goes on."""
    board.publish(**{f"_{number}": place(number) for number in range(12)})
    seen: list[str] = []

    def answer(query: dict[str, str]) -> Reply:
        seen.append(query["street"])
        return Reply([house(*HERE)], seconds=60 if len(seen) == 5 else 0)

    board.geocoder.fallback = answer
    feed = board.feed(board.nominatim(timeout_seconds=100), OFFLINE)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, warehouse_url, str(archive_folder), feed.model_dump_json()]
    )
    deadline = time.monotonic() + PATIENCE
    while len(seen) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert board.standing().requests == 5
    with board.warehouse.reading() as connection:
        assert located(connection, FEED).by_geocoder == 4
    board.geocoder.fallback = lambda query: Reply([house(*HERE)])
    counts = board.run(feed)
    assert (counts.requests, counts.located, counts.left) == (8, 8, 0)
    asked = [asked.query["street"] for asked in board.geocoder.asked]
    assert len(set(asked)) == 12
    assert len(asked) == 13, "only the one whose answer was lost is asked again"


def test_address_runs_wait_for_each_other_and_for_no_sync(board: Board) -> None:
    from rets_pipeline.warehouse.locks import LockHeld

    sync = board.open()
    _ = sync.connection  # the feed's lock
    board.publish(_1=place())
    first = board.open()
    assert addresses.mirror_addresses(first).located == 1
    other = board.feed(name="other").model_copy(update={"lock_wait_seconds": 0.0})
    with pytest.raises(LockHeld, match="addresses of feed board"):
        board.run(other)


def test_a_listing_that_changes_meanwhile_is_left_to_the_next_run(board: Board) -> None:
    board.publish(_1=place(1), _2=place(2))

    def answer(query: dict[str, str]) -> Reply:
        board.geocoder.fallback = lambda query: Reply([house(*HERE)])
        board.publish(_1=place(8), _2=place(9))
        return Reply([house(*HERE)])

    board.geocoder.fallback = answer
    counts = board.run()
    assert counts.left == 2
    assert board.where("1") == board.where("2") == (None, None, None, None)
    board.run()
    assert board.where("1")[2] == board.where("2")[2] == "nominatim"
    with board.warehouse.reading() as connection:
        assert located(connection, FEED).by_geocoder == 2


def test_the_books_tell_what_was_done(board: Board) -> None:
    board.publish(_1=place())
    counts = board.run()
    (row,) = rows(board.warehouse, sa.select(ledgers.run_ledger))
    assert (row.job, row.result) == ("addresses", "succeeded")
    (action,) = row.actions
    assert action.pop("seconds") >= 0
    assert action == {"action": "addresses", **counts.numbers()}
    (found,) = rows(board.warehouse, sa.select(tables.geocode))
    assert found.address == "1255 Main Street, Vancouver, BC V6B 1A1, Canada"
    assert found.matched_text.startswith("1255, Main Street West, Vancouver")
    assert (found.provider, found.precision, found.state) == ("nominatim", "rooftop", "found")
    assert float(found.confidence) == 1
    assert abs(found.geocoded_at - datetime.now(UTC)) < timedelta(minutes=5)
