"""A geocoder of our own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rets_pipeline_tests.geocoding.geocoder_server import GeocoderServer, geocoder_server


@pytest.fixture
def geocoder() -> Iterator[GeocoderServer]:
    with geocoder_server() as found:
        yield found
