"""Mirrors whose runs are killed at any moment become what the server is."""

from __future__ import annotations

import os

import pytest

from rets_pipeline.sandbox import running
from rets_pipeline_tests.conftest import Backend
from rets_pipeline_tests.convergence.life import Life
from rets_pipeline_tests.end_to_end.harness import (
    assert_equal_images,
    assert_equal_listings,
    assert_no_orphans,
)

#: lives by default, and the first one's seed; a nightly run sets more
_LIVES = int(os.environ.get("RETS_PIPELINE_LIVES", "8"))
_FIRST = int(os.environ.get("RETS_PIPELINE_FIRST_LIFE", "1"))


@pytest.mark.parametrize("seed", range(_FIRST, _FIRST + _LIVES))
def test_a_life_ends_with_an_exact_copy(seed: int, backend: Backend) -> None:
    with running(listings=16, days=3, seed=seed, max_photos=2) as sandbox:
        life = Life(seed, sandbox, backend)
        try:
            life.live(steps=8)
            life.settle()
            truth = life.server.truth()
            assert_equal_listings(life, truth)
            assert_equal_images(life, truth)
            assert_no_orphans(life)
        finally:
            print(f"seed {seed}: {dict(life.events)}")
            life.close()
