"""Pages of the Dagster UI, as a person opens them.

What belongs here: where things are shown, and what to wait for. What does not: what is expected of
them, and pictures of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Locator, Page

WIDTH, HEIGHT = 1400, 1000


class Pages:
    """One tab of the browser.

    Attributes:
        errors: what the console told.
        strangers: hosts other than Dagster's that were asked.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.errors: list[str] = []
        self.strangers: set[str] = set()
        self._url = url
        host = urlsplit(url).hostname
        page.on(
            "console", lambda said: self.errors.append(said.text) if said.type == "error" else None
        )
        page.on(
            "request",
            lambda asked: (
                self.strangers.add(urlsplit(asked.url).hostname or "")
                if urlsplit(asked.url).hostname not in (host, None)
                else None
            ),
        )

    def graph(self, feed: str) -> Page:
        """The assets of a feed with their lineage."""
        return self._open(f"/locations/rets_pipeline/asset-groups/{feed}", "listing_changes")

    def asset(self, feed: str, name: str) -> Page:
        """What is told of an asset."""
        return self._open(f"/assets/{feed}/{name}?view=overview", "Latest materialization")

    def plots(self, feed: str, name: str) -> Page:
        """The numbers of an unpartitioned asset over time."""
        page = self.asset(feed, name)
        page.get_by_role("button", name="Plots").click()
        page.locator("canvas").first.wait_for()
        return page

    def partitions(self, feed: str, name: str, day: str | None = None) -> Page:
        """The days of an asset, one of them chosen."""
        chosen = f"&partition={day}" if day else ""
        return self._open(f"/assets/{feed}/{name}?view=partitions{chosen}", "Materialized (")

    def check(self, feed: str, name: str, check: str) -> Page:
        """What a check has found."""
        page = self._open(f"/assets/{feed}/{name}?view=checks", "Evaluation result")
        page.get_by_text(check, exact=True).first.click()
        page.wait_for_url(f"**checkDetail={check}*")
        return page

    def cases(self, feed: str, name: str, check: str) -> Locator:
        """What a check gives as examples."""
        return self._markdown(self.check(feed, name, check), "cases")

    def preview(self, feed: str, name: str, day: str) -> Locator:
        """Some listings, in the metadata of a day."""
        return self._markdown(self.partitions(feed, name, day), "preview")

    def new_coordinates(self, feed: str, name: str, day: str) -> Locator:
        """The map of a run's new listings, in the metadata of a day."""
        return self._markdown(self.partitions(feed, name, day), "new_coordinates")

    def row(self, name: str) -> Locator:
        """The row of a metadata table."""
        cell = self.page.get_by_role("cell", name=name, exact=True)
        return self.page.get_by_role("row").filter(has=cell).first

    def _markdown(self, page: Page, name: str) -> Locator:
        """A text in metadata: short ones stand in their row, others open a dialog."""
        row = self.row(name)
        row.wait_for()
        button = row.get_by_text("[Show Markdown]")
        if not button.count():
            return row
        button.click()
        page.get_by_role("button", name="Close").wait_for()
        return page.get_by_role("dialog")

    def _open(self, path: str, text: str) -> Page:
        self.page.goto(f"{self._url}{path}")
        self.page.get_by_text(text).first.wait_for()
        return self.page


@contextmanager
def pages_of(browser: Browser, url: str, *, height: int = HEIGHT) -> Iterator[Pages]:
    """A new tab on the Dagster UI at that address."""
    page = browser.new_page(viewport={"width": WIDTH, "height": height}, timezone_id="UTC")
    page.set_default_timeout(30_000)
    try:
        yield Pages(page, url)
    finally:
        page.close()
