from __future__ import annotations

from collections.abc import Iterator

import pytest

from rets_pipeline.sandbox import RunningSandbox, running
from rets_pipeline_tests.sandbox.client import Client


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running(listings=120) as started:
        yield started


@pytest.fixture
def client(sandbox: RunningSandbox) -> Client:
    return Client(sandbox)


@pytest.fixture(scope="module")
def big() -> Iterator[RunningSandbox]:
    """Large enough for every quirk; not to be changed."""
    with running(listings=1000) as started:
        yield started
