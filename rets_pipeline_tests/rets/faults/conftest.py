from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from rets_pipeline.sandbox import RunningSandbox, running

from .bench import COUNT, Bench, learn


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running(listings=20, generic_listings=COUNT, max_photos=2) as started:
        with ExitStack() as stack:
            learn(Bench(started, stack))
        yield started


@pytest.fixture
def bench(sandbox: RunningSandbox) -> Iterator[Bench]:
    with ExitStack() as stack:
        stack.callback(sandbox.world.faults.reset)
        yield Bench(sandbox, stack)
