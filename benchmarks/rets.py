"""``python -m benchmarks.rets``: the RETS client beside its limits and its peers.

It ends with status 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import rets_peers, rets_search
from benchmarks.measure import show

_PEERS = Path(__file__).parent / ".peers"


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rets", description=__doc__)
    parser.add_argument("part", nargs="*", help="compact, master_list, memory; all if none")
    parser.add_argument("--peers", type=Path, default=_PEERS, help="folder of the other clients")
    parser.add_argument("--install-peers", action="store_true", help="install them there first")
    options = parser.parse_args()
    if options.install_peers:
        rets_peers.install(options.peers)
    parts = {
        "compact": lambda: rets_search.compact(options.peers),
        "master_list": rets_search.master_list,
        "memory": rets_search.memory,
    }
    unknown = set(options.part) - set(parts)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    figures = [figure for name in options.part or parts for figure in parts[name]()]
    return 0 if show("RETS: search answers", figures) else 1


if __name__ == "__main__":
    sys.exit(main())
