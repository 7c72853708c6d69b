"""The other RETS clients on PyPI, as far as a comparison needs them.

Both call their package ``rets``, so they live in folders of their own, and are loaded one after
the other. Install them with ``python -m benchmarks.rets --install-peers``; the project itself does
not need them.
"""

from __future__ import annotations

import importlib
import io
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import requests

NAMES = ("rets-python", "rets-continued")


def install(folder: Path) -> None:
    """Install each into a folder of its own below this one."""
    for name in NAMES:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade"]
        command += ["--target", str(folder / name), name]
        subprocess.run(command, check=True)  # noqa: S603


def load(folder: Path, name: str, *modules: str) -> list[ModuleType] | None:
    """Modules of a peer, or None when it is not installed."""
    place = folder / name
    if not place.is_dir():
        return None
    for loaded in [known for known in sys.modules if known == "rets" or known.startswith("rets.")]:
        del sys.modules[loaded]
    # At the end: what the project has installed as well is to come from there.
    sys.path.append(str(place))
    try:
        return [importlib.import_module(module) for module in modules]
    finally:
        sys.path.remove(str(place))


def response(body: bytes) -> requests.Response:
    """The answer as the library that both use would hand it over."""
    answer = requests.Response()
    answer.status_code = 200
    answer.encoding = "utf-8"
    answer.raw = io.BytesIO(body)
    answer._content = body
    return answer
