"""What an operator sees: the Dagster UI in a real browser, on a mirror that has worked.

What belongs here: that what is reported arrives on the pages. What does not: what is reported,
which tests without a browser look at.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml
from playwright.sync_api import expect

from rets_pipeline.commands.instance import open_instance
from rets_pipeline.orchestration import naming
from rets_pipeline.sandbox import running
from rets_pipeline.settings import Settings
from rets_pipeline.warehouse import tables
from rets_pipeline_tests.end_to_end.harness import FEED, Pipeline, Server
from rets_pipeline_tests.orchestration.dagster_processes import Dagster
from rets_pipeline_tests.orchestration.pages import Pages, pages_of
from rets_pipeline_tests.patience import PATIENCE
from rets_pipeline_tests.services.chromium import browsing
from rets_pipeline_tests.services.processes import ServiceError

pytestmark = [pytest.mark.slow, pytest.mark.browser]

_DAYS = 10
_PRICE_TYPED_WRONG = 900_000_000
expect.set_options(timeout=PATIENCE * 1000)


@dataclass(frozen=True)
class Mirrored:
    """What was done before anybody looked.

    Attributes:
        filled: the days of the backfill, the first and the last.
        mistyped: the key of a listing whose price nobody can have meant.
    """

    home: Path
    environ: dict[str, str]
    filled: list[date]
    mistyped: str
    materialized: int


@pytest.fixture
def mirrored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirrored]:
    """A backfill of ten days, a sync, and one more after a price was mistyped."""
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copyfile(Path(__file__).parents[2] / "dagster.yaml", home / "dagster.yaml")
    today = datetime.now(UTC).date()
    with running(listings=40, days=15, seed=5, max_photos=1) as sandbox:
        feed = {
            "source": "ddf",
            "login_url": sandbox.login_url,
            "first_day": today - timedelta(days=30),
            "username_variable": "BOARD_USERNAME",
            "password_variable": "BOARD_PASSWORD",
        }
        path = tmp_path / "feeds.yaml"
        path.write_text(yaml.safe_dump({"feeds": {FEED: feed}}), encoding="utf-8")
        environ = {
            "RETS_PIPELINE_FEEDS": str(path),
            "RETS_PIPELINE_HOME": str(tmp_path / "home"),
            "BOARD_USERNAME": sandbox.username,
            "BOARD_PASSWORD": sandbox.password,
        }
        for name, value in {**environ, "DAGSTER_HOME": str(home)}.items():
            monkeypatch.setenv(name, value)
        settings = Settings.from_env(environ)
        with open_instance(settings) as instance:
            days = [today - timedelta(days=_DAYS + 1), today - timedelta(days=2)]
            server = Server(sandbox.url, sandbox.login_url)
            pipeline = Pipeline(settings, instance)
            yield _worked(Mirrored(home, environ, days, "", 0), server, pipeline)


def _worked(mirrored: Mirrored, server: Server, pipeline: Pipeline) -> Mirrored:
    assert pipeline.backfill(*mirrored.filled).success
    assert pipeline.sync().success
    listing = tables.property_
    with pipeline.warehouse.writing() as connection:
        key = connection.execute(sa.select(sa.func.min(listing.c.listing_key))).scalar_one()
        mistyped = sa.update(listing).where(listing.c.listing_key == key)
        connection.execute(mistyped.values(list_price=_PRICE_TYPED_WRONG))
    server.change("added", count=3)
    synced = pipeline.sync()
    assert synced.success
    assert synced.checks["prices_in_bounds"] is False
    pipeline.warehouse.close()
    done = pipeline.instance.get_materialized_partitions(dg.AssetKey([FEED, naming.LISTINGS]))
    return Mirrored(mirrored.home, mirrored.environ, mirrored.filled, key, len(done))


def test_an_operator_sees_what_happened(mirrored: Mirrored) -> None:
    """One test for all pages: the web server and the browser take longer than they do."""
    try:
        with browsing() as browser, Dagster(mirrored.home, mirrored.environ) as dagster:
            dagster.start_webserver()
            with pages_of(browser, dagster.url) as pages:
                _the_graph_has_every_asset(pages)
                _the_days_of_the_backfill_are_materialized(pages, mirrored)
                _a_check_that_failed_says_why(pages, mirrored)
                _numbers_are_plotted(pages)
                _an_asset_explains_itself(pages)
                _listings_and_a_map_are_shown(pages)
                assert pages.strangers == set(), "the UI asks nobody else"
                assert pages.errors == []
    except ServiceError as error:
        if "no npm" not in str(error) and "cannot be installed" not in str(error):
            raise
        pytest.skip(str(error))


def _the_graph_has_every_asset(pages: Pages) -> None:
    page = pages.graph(FEED)
    nodes = page.locator("foreignObject").all_text_contents()
    for name in (*naming.SYNC_ASSETS, naming.IMAGES, *naming.PEOPLE_ASSETS):
        assert any(_means(node.strip(), name) for node in nodes), (name, nodes)


def _means(shown: str, name: str) -> bool:
    """Long names lose their middle."""
    start, cut, end = shown.partition("…")
    return name == shown or (bool(cut) and name.startswith(start) and name.endswith(end))


def _the_days_of_the_backfill_are_materialized(pages: Pages, mirrored: Mirrored) -> None:
    first, last = mirrored.filled
    for day in (first, last):
        page = pages.partitions(FEED, naming.LISTINGS, day.isoformat())
        expect(page.get_by_text(f"Materialized ({mirrored.materialized})")).to_be_visible()
        expect(page.get_by_text("Failed (0)")).to_be_visible()
        expect(pages.row("pulls")).to_be_visible()
        expect(page.get_by_text(naming.backfill_job(FEED)).first).to_be_visible()


def _a_check_that_failed_says_why(pages: Pages, mirrored: Mirrored) -> None:
    page = pages.check(FEED, naming.LISTINGS, "prices_in_bounds")
    expect(page.get_by_text("an asking price outside $1 to $500,000,000: 1")).to_be_visible()
    cases = pages.cases(FEED, naming.LISTINGS, "prices_in_bounds")
    expect(cases.get_by_text(f"{_PRICE_TYPED_WRONG:,}")).to_be_visible()
    expect(cases.get_by_text(mirrored.mistyped)).to_be_visible()


def _numbers_are_plotted(pages: Pages) -> None:
    page = pages.plots(FEED, naming.CHANGES)
    for name in ("new", "changed", "unchanged", "gone", "seconds"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    assert page.locator("canvas").count() >= 5


def _an_asset_explains_itself(pages: Pages) -> None:
    page = pages.asset(FEED, naming.LISTINGS)
    for text in ("README.md", "ListPrice", "data-platform", "Open assets.py"):
        expect(page.get_by_text(text).first).to_be_visible()


def _listings_and_a_map_are_shown(pages: Pages) -> None:
    today = datetime.now(UTC).date().isoformat()
    expect(pages.preview(FEED, naming.LISTINGS, today).locator("img")).to_have_count(5)
    picture = pages.new_coordinates(FEED, naming.LISTINGS, today).locator("img")
    expect(picture).to_have_count(1)
    expect(picture).to_have_js_property("naturalWidth", 600)
