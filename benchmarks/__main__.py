"""``make bench``, ``python -m benchmarks``: every figure beside its limit, in one table.

It ends with status 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    django_way,
    feeds,
    images,
    listings_changes,
    listings_load,
    listings_memory,
    listings_parse,
    rets_peers,
    rets_search,
)
from benchmarks.measure import Figure, show

_PEERS = Path(__file__).parent / ".peers"


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parts: dict[str, Callable[[], list[Figure]]] = {
        "parse": listings_parse.parse,
        "load": listings_load.load,
        "reload": listings_load.reload,
        "stream": listings_load.stream,
        "changes": listings_changes.changes,
        "memory": listings_memory.memory,
        "imports": listings_memory.imports,
        "feeds": feeds.feeds,
        "rets": _rets,
        "images": images.images,
    }
    parser.add_argument("part", nargs="*", help=f"{', '.join(parts)}; all if none")
    parser.add_argument("--install-peers", action="store_true", help="what is compared with, first")
    options = parser.parse_args()
    unknown = set(options.part) - set(parts)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if options.install_peers:
        _install_peers()
    figures = []
    for name in options.part or parts:
        print(f"… {name}", flush=True)
        figures += parts[name]()
    return 0 if show("rets_pipeline: figures beside their limits", figures) else 1


def _rets() -> list[Figure]:
    return [*rets_search.compact(_PEERS), *rets_search.master_list(), *rets_search.memory()]


def _install_peers() -> None:
    rets_peers.install(_PEERS)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade"]
    command += ["--target", str(django_way.FOLDER), "django"]
    subprocess.run(command, check=True)  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
