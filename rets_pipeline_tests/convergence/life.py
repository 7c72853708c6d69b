"""The life of a mirror whose runs are killed, while the server ages and misbehaves.

What belongs here: one life, made from a seed. What does not: how many lives a test lives.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Protocol

import pytest
import sqlalchemy as sa

from rets_pipeline.archive import Archive
from rets_pipeline.sandbox import RunningSandbox
from rets_pipeline.settings import (
    AddressSettings,
    DeletionGuard,
    FeedConfig,
    GeocoderSettings,
    PhotoSettings,
)
from rets_pipeline.sync.addresses import address_backlog
from rets_pipeline.warehouse import ledgers
from rets_pipeline.warehouse.engine import Warehouse
from rets_pipeline_tests.conftest import Backend
from rets_pipeline_tests.convergence import process
from rets_pipeline_tests.convergence.geocoder import moody_geocoder
from rets_pipeline_tests.convergence.invariants import assert_nothing_is_half
from rets_pipeline_tests.convergence.process import DONE, FAILED, Place
from rets_pipeline_tests.end_to_end.harness import (
    FEED,
    Server,
    assert_equal_images,
    assert_equal_images_of_people,
    assert_equal_listings,
    assert_located,
    assert_no_orphans,
)
from rets_pipeline_tests.end_to_end.people import assert_equal_people

#: faults by name, with their settings; each is switched on for some requests of a run
_FAULTS: tuple[tuple[str, dict[str, object]], ...] = (
    ("session_lost_401", {"share": 0.3}),
    ("session_lost_20701", {"share": 0.3}),
    ("cut_at_share", {"transaction": "Search", "share": 0.3}),
    ("connection_reset", {"transaction": "Search", "share": 0.3}),
    ("closing_tag_missing", {"transaction": "Search", "share": 0.3}),
    ("count_too_large", {"share": 0.3}),
    ("rows_cut", {"share": 0.3}),
    ("rows_cut_with_count", {"share": 0.3}),
    ("nothing_found", {"share": 0.3}),
    ("refused_20208", {"share": 0.3}),
    ("html_under_200", {"transaction": "Search", "share": 0.3}),
    ("gzip_cut", {"transaction": "Search", "share": 0.3}),
    ("cut_at_share", {"transaction": "Image", "share": 0.3}),
    ("http_500", {"transaction": "Image", "share": 0.3}),
    ("connection_closed", {"transaction": "Image", "share": 0.3}),
    ("image_is_text", {"transaction": "Image", "share": 0.3}),
    ("image_empty", {"transaction": "Image", "share": 0.3}),
)
#: listings whose coordinates are neither their own nor those of the geocoder that knows houses
_NOT_AS_GOOD_AS_CAN_BE = sa.text(
    "SELECT count(*) FROM current_listings"
    " WHERE COALESCE(located_by, '') NOT IN ('payload', 'nominatim')"
)
#: the kinds of runs, each after what it builds on
_IN_TURN = ("sync", "members", "images", "addresses")
#: ledgers of what is tried again later
_TRIED_AGAIN = (ledgers.listing_sync, ledgers.resource_sync, ledgers.media_file)
_LONGEST_SECONDS = 20.0
_MOST_RUNS_AT_THE_END = 12


class Run(Protocol):
    """A run in a process of its own."""

    @property
    def exitcode(self) -> int | None:
        """Of ``process``; None while it runs."""
        ...

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        ...

    def kill(self) -> None:
        """Without a word."""
        ...


class Runs(Protocol):
    """What starts runs."""

    def start(self, place: Place, kind: str) -> Run:
        """Begin one."""
        ...

    def run(self, place: Place, kind: str) -> int:
        """One to its end; its exit status."""
        ...


class Life:
    """One mirror of one sandbox, from an empty warehouse to the end.

    Args:
        seed: of everything that is left to chance, except what the machine's speed decides: how
            far a run has come when it is killed.
        sandbox: the server, of this life alone.
        backend: where the mirror is, empty.
        crash: kills what the runs write to, instead of killing them, and starts it again.
        runs: starts them; by default without Dagster, which is much faster.
        people: ask for agents and offices by searches of their own, too: there are many.
    """

    def __init__(
        self,
        seed: int,
        sandbox: RunningSandbox,
        backend: Backend,
        crash: Callable[[], None] | None = None,
        runs: Runs = process,
        *,
        people: bool = False,
    ) -> None:
        self._runs = runs
        self.events: Counter[str] = Counter()
        self._crash = crash
        self._random = Random(seed)
        self._sandbox = sandbox
        self.server = Server(sandbox.url, sandbox.login_url)
        self._opened = ExitStack()
        self.geocoder = self._opened.enter_context(moody_geocoder(seed))
        # Small bounds take many runs to the end, and Dagster's take seconds each.
        self._budget = self._random.choice([6, 1000]) if runs is process else 1000
        kinds = ["sync", "sync", "images", "addresses", "addresses"]
        self._kinds = [*kinds, "members", "members"] if people else kinds
        self._first_day = datetime.now(UTC).date()
        self._seconds = 0.4  # that a run takes; measured on the way
        feed = FeedConfig(
            name=FEED,
            source="ddf",
            login_url=sandbox.login_url,
            username_variable="BOARD_USERNAME",
            password_variable="BOARD_PASSWORD",
            first_day=(datetime.now(UTC) - timedelta(days=30)).date(),
            lock_wait_seconds=15,
            listings_per_request=self._random.choice([3, 10, 100]),
            deletion_guard=DeletionGuard(keys=1000, share=1.0),
            photos=PhotoSettings(hosts=("127.0.0.1",), allow_private_addresses=True),
            addresses=self._addresses(),
        )
        self._place = Place(
            feed,
            sandbox.username,
            sandbox.password,
            backend.database_url,
            backend.archive_uri,
            backend.environ,
        )
        self.warehouse = Warehouse.open(backend.database_url)
        self._opened.callback(self.warehouse.close)
        self.archive = Archive.from_uri(backend.archive_uri)

    def rows(self, statement: sa.Executable) -> list[sa.Row[Any]]:
        """The answer of a query."""
        with self.warehouse.reading() as connection:
            return list(connection.execute(statement))

    @property
    def knows_people(self) -> bool:
        """Whether agents and offices were asked for by searches of their own."""
        return "members" in self._kinds

    def close(self) -> None:
        """Give the connections back."""
        self._opened.close()

    def live(self, steps: int) -> None:
        """So many runs, most of them killed, with changes and faults between them.

        After each nothing may be half.
        """
        for _ in range(steps):
            self._change()
            self._misbehave()
            self._run(self._random.choice(self._kinds))
            assert_nothing_is_half(self.warehouse, self.archive)
            days = 1 + (datetime.now(UTC).date() - self._first_day).days
            assert self.geocoder.requests <= self._budget * days

    def settle(self) -> None:
        """The server behaves, all waiting times pass, and nobody is killed any more.

        Raises:
            AssertionError: a run fails now, or there is always something left to do.
        """
        self._sandbox.world.faults.reset()
        self.geocoder.behaves = True
        for _ in range(_MOST_RUNS_AT_THE_END):
            self._let_time_pass()
            for kind in sorted(set(self._kinds), key=_IN_TURN.index):
                status = self._runs.run(self._place, kind)
                assert status == DONE, f"the {kind} failed although the server behaves"
            if not self._open_work():
                return
        raise AssertionError("the mirror does not settle")

    def _addresses(self) -> AddressSettings:
        nominatim = GeocoderSettings(
            name="nominatim",
            host=self.geocoder.host,
            daily_requests=self._budget,
            seconds_between_requests=0,
        )
        near = self._random.choice([0.001, 0.001, 500])
        return AddressSettings(
            geocoders=(nominatim, GeocoderSettings(name="offline")),
            per_run=self._random.choice([5, 1000]) if self._runs is process else 1000,
            # Payloads that are never believed leave more to ask for.
            kilometres=near,
            rural_kilometres=near,
        )

    def _change(self) -> None:
        if self._random.random() < 0.5:
            self.server.advance(self._random.randint(1, 2))
            self.events["days"] += 1

    def _misbehave(self) -> None:
        faults = self._sandbox.world.faults
        faults.reset()
        for name, settings in self._random.sample(_FAULTS, self._random.choice([0, 0, 1, 2])):
            faults.switch_on(name, **settings)
            self.events["faults"] += 1

    def _run(self, kind: str) -> None:
        running = self._runs.start(self._place, kind)
        started = time.monotonic()
        spared = self._random.random() < 0.25
        running.join(_LONGEST_SECONDS if spared else self._random.uniform(0, 1.2) * self._seconds)
        if running.exitcode is None and kind == "addresses":
            self.events["addresses cut off"] += 1
        if running.exitcode is None and self._crash is not None and not spared:
            self._crash()
            self.events["crashed"] += 1
            running.join(_LONGEST_SECONDS)
            if running.exitcode not in (None, DONE):
                return  # with an error of its own, which names what broke
        if running.exitcode is None:
            running.kill()
            running.join()
            self.events["killed"] += 1
            return
        assert running.exitcode in (DONE, FAILED), running.exitcode
        self.events["done" if running.exitcode == DONE else "failed"] += 1
        if running.exitcode == DONE:
            self._seconds = 0.5 * self._seconds + 0.5 * (time.monotonic() - started)

    def _let_time_pass(self) -> None:
        """What waits for a later attempt need wait no longer."""
        with self.warehouse.writing() as connection:
            for table in (*_TRIED_AGAIN, ledgers.geocode_answer):
                connection.execute(
                    sa.update(table)
                    .where(table.c.next_attempt.is_not(None))
                    .values(next_attempt=datetime.now(UTC) - timedelta(seconds=1))
                )
            yesterday = datetime.now(UTC) - timedelta(days=1)
            connection.execute(
                sa.update(ledgers.geocode_provider).values(
                    resting_until=yesterday, day=yesterday.date()
                )
            )

    def _open_work(self) -> int:
        with self.warehouse.reading() as connection:
            waiting = 0
            for table in _TRIED_AGAIN:
                found = sa.select(sa.func.count()).where(table.c.next_attempt.is_not(None))
                if table is ledgers.media_file:
                    # Listings name offices that are gone, and the server has no logos of those.
                    found = found.where(
                        sa.or_(table.c.resource_name == "Property", table.c.state != "absent")
                    )
                waiting += connection.execute(found.select_from(table)).scalar_one()
            waiting += connection.execute(_NOT_AS_GOOD_AS_CAN_BE).scalar_one()
            waiting += address_backlog(connection, self._place.feed)
        return waiting


def live_and_compare(life: Life, steps: int, record: Callable[[str, object], None]) -> None:
    """The whole of a life, and the comparison with the server's truth at its end.

    Args:
        life: closed when it is over.
        steps: runs before it settles.
        record: told of the number of each event, which the summary of all tests adds up.
    """
    try:
        life.live(steps)
        life.settle()
        truth = life.server.truth_with_images()
        assert_equal_listings(life, truth)
        assert_equal_images(life, truth)
        assert_no_orphans(life)
        if life.knows_people:
            people = life.server.people_with_images()
            assert_equal_people(life.warehouse, FEED, people)
            assert_equal_images_of_people(life, people)
        assert_located_well(life)
    finally:
        record("life", dict(life.events))
        life.close()


def assert_located_well(life: Life) -> None:
    """Where the geocoder has the house, and no answer was asked for twice unless it was lost."""
    assert_located(life)
    for row in life.rows(sa.text("SELECT * FROM current_listings")):
        if row.located_by != "payload":
            assert row.located_by == "nominatim", row.listing_key
            found = (float(row.located_latitude), float(row.located_longitude))
            assert found == pytest.approx(life.geocoder.point(row.postal_code)), row.listing_key
    assert life.geocoder.in_vain() <= life.events["addresses cut off"]
