"""Progress of long steps: how often it is told, and what."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from rets_pipeline.sandbox import RunningSandbox
from rets_pipeline.sync import apply, master, pull
from rets_pipeline.sync.mirror import Mirror
from rets_pipeline.sync.progress import SECONDS_BETWEEN_LINES, PacedProgress, line


class Clock:
    """Time that passes when told so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("images", 1500, 3000, 50.0, 30.0), "images: 1,500 of 3,000 done, 50 a second, 30 s left"),
        (
            ("loading", 5, 9000, 0.5, 18_000.0),
            "loading: 5 of 9,000 done, 0.5 a second, 5 h 00 min left",
        ),
        (
            ("listings", 5, 900, 9.44, 95.2),
            "listings: 5 of 900 done, 9.4 a second, 1 min 35 s left",
        ),
        (("master list", 20_000, None, 1e4, None), "master list: 20,000 done, 10,000 a second"),
        (("listings", 0, 500, 0.0, None), "listings: 0 of 500 done, 0 a second"),
    ],
)
def test_a_line(arguments: tuple[Any, ...], expected: str) -> None:
    assert line(*arguments) == expected


def test_at_most_a_line_in_ten_seconds() -> None:
    clock, moments = Clock(), []
    progress = PacedProgress(lambda *_: moments.append(clock.now), clock=clock)
    for done in range(400):
        clock.now += 0.1
        progress("images", done, 400)
    assert len(moments) == 3
    assert min(b - a for a, b in pairwise(moments)) >= SECONDS_BETWEEN_LINES


def test_each_phase_has_a_rate_of_its_own() -> None:
    clock = Clock()
    told: list[dict[str, Any]] = []
    progress = PacedProgress(lambda _, fields: told.append(fields), clock=clock)
    progress("master list", 0, 1000)
    clock.now += 20
    progress("master list", 1000, 1000)
    progress("listings", 200, 1000)  # what was there before is nobody's work
    clock.now += 20
    progress("listings", 400, 1000)
    assert [item["per_second"] for item in told] == [50, 10]
    assert [item["seconds_left"] for item in told] == [0, 60]


def test_every_long_phase_tells_how_far_it_is(
    run: Mirror, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(master, "_BATCH", 5)
    monkeypatch.setattr(apply, "RECORDS_AT_ONCE", 5)
    run.feed = run.feed.model_copy(update={"listings_per_request": 5})
    told: dict[str, list[tuple[int, int | None]]] = {}
    run.progress = lambda phase, done, total: told.setdefault(phase, []).append((done, total))
    found = master.store(run, master.request(run))
    for download in pull.fetch(run, pull.plan(run, found)):
        pull.store(run, download)
    for parsed in apply.parse(run, apply.due(run)):
        apply.apply(run, parsed)
    assert told["master list"] == [(12, 12)]
    for phase in ("listings", "loading"):
        numbers = [done for done, _ in told[phase]]
        assert numbers[0] == 0
        assert numbers == sorted(numbers)
        assert len(set(numbers)) >= 4
        assert told[phase][-1] == (12, 12)
        assert {total for _, total in told[phase]} == {12}
