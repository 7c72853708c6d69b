"""Coordinates through Dagster, from a geocoder over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from rets_pipeline.orchestration import naming
from rets_pipeline.settings import Settings
from rets_pipeline_tests.convergence.geocoder import MoodyGeocoder, moody_geocoder
from rets_pipeline_tests.end_to_end.harness import FEED, Pipeline, Server, assert_located


@pytest.fixture
def geocoder() -> Iterator[MoodyGeocoder]:
    with moody_geocoder(seed=1) as found:
        found.behaves = True
        yield found


def asking(
    settings: Settings, instance: dg.DagsterInstance, *geocoders: dict[str, Any] | str
) -> Pipeline:
    """The mirror of a feed that asks those, and believes few payloads."""
    feed = settings.feeds[FEED].model_dump()
    feed["addresses"] = {"geocoders": geocoders, "kilometres": 1, "rural_kilometres": 1}
    return Pipeline(Settings.model_validate({**dict(settings), "feeds": {FEED: feed}}), instance)


def test_addresses_follow_the_listings(
    server: Server, settings: Settings, instance: dg.DagsterInstance, geocoder: MoodyGeocoder
) -> None:
    ours = {"name": "nominatim", "host": geocoder.host, "seconds_between_requests": 0}
    pipeline = asking(settings, instance, ours, "offline")
    for _ in range(2):
        assert pipeline.sync().success
        located = pipeline.addresses()
        assert located.success
        assert_located(pipeline)
        counts = located.counts[naming.ADDRESSES]
        assert counts["left"] == 0
        assert counts["answered_by_nominatim"] == counts["requests"]
        again = pipeline.addresses().counts[naming.ADDRESSES]
        assert not any(again.values())
        server.advance()
    assert geocoder.requests == sum(geocoder.helped.values()) > 10
    assert geocoder.in_vain() == 0
    pipeline.warehouse.close()


def test_a_key_that_is_missing_fails_the_run_in_a_line(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GEOCODER_KEY", raising=False)
    pipeline = asking(settings, instance, {"name": "google", "key_variable": "GEOCODER_KEY"})
    outcome = pipeline.addresses()
    assert not outcome.success
    (told,) = outcome.failures.values()
    assert told == "geocoder 'google': the environment has no variable GEOCODER_KEY"
    pipeline.warehouse.close()
