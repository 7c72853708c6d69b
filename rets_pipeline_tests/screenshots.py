"""``python -m rets_pipeline_tests.screenshots``: the pictures of the README, from the demo's state.

What belongs here: which pages are pictured, and how small the files become. What does not: opening
pages, which the browser tests do as well.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page
from rich.console import Console

from rets_pipeline.commands.demo import FEED, demo, last_world
from rets_pipeline.commands.sandbox_process import ACCOUNT, World, running
from rets_pipeline.orchestration import naming
from rets_pipeline_tests.orchestration.dagster_processes import Dagster
from rets_pipeline_tests.orchestration.pages import Pages, pages_of
from rets_pipeline_tests.services.chromium import browsing
from rets_pipeline_tests.services.processes import free_ports

FOLDER = Path(__file__).parents[1] / "docs" / "images"
#: enough for pages without photographs; fewer would show in the shades of letters
_COLOURS = 128
_SETTLED_MILLISECONDS = 1_500


def main() -> None:
    """Run the demo in a folder of its own, and picture what Dagster shows of it."""
    (port,) = free_ports(1)
    world = World(listings=500, days=60, seed=7, port=port)
    with TemporaryDirectory() as folder:
        os.environ["RETS_PIPELINE_HOME"] = folder
        demo(Console(), world)
        environ = {
            **ACCOUNT,
            "SANDBOX_LOGIN_URL": world.login_url,
            "RETS_PIPELINE_FEEDS": str(Path("feeds.yaml").absolute()),
            "RETS_PIPELINE_HOME": folder,
        }
        with (
            running(last_world(Path(folder)) or world),  # previews show its photos
            browsing() as browser,
            Dagster(Path(folder) / "dagster", environ) as dagster,
        ):
            dagster.start_webserver()
            for name, (height, opened) in _PICTURES.items():
                with pages_of(browser, dagster.url, height=height) as pages:
                    page = opened(pages)
                    page.wait_for_timeout(_SETTLED_MILLISECONDS)
                    (FOLDER / f"{name}.png").write_bytes(small(page.screenshot()))


def small(data: bytes) -> bytes:
    """The same picture with a palette."""
    with Image.open(io.BytesIO(data)) as image:
        reduced = image.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    reduced.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _check(pages: Pages) -> Page:
    return pages.check(FEED, naming.LISTINGS, "keys_match_server")


def _preview(pages: Pages) -> Page:
    pages.preview(FEED, naming.LISTINGS, _today()).scroll_into_view_if_needed()
    return pages.page


#: name to height in pixels, and what to open
_PICTURES: Mapping[str, tuple[int, Callable[[Pages], Page]]] = {
    "lineage": (760, lambda pages: pages.graph(FEED)),
    "asset": (1000, lambda pages: pages.asset(FEED, naming.LISTINGS)),
    "partitions": (760, lambda pages: pages.partitions(FEED, naming.LISTINGS, _today())),
    "checks": (860, _check),
    "plots": (1000, lambda pages: pages.plots(FEED, naming.CHANGES)),
    "preview": (1000, _preview),
}


if __name__ == "__main__":
    main()
