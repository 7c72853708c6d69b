"""``python -m rets_pipeline.sandbox``: the sandbox by itself.

What belongs here: its command line. What does not: anything else.
"""

from __future__ import annotations

import argparse
import sys

from rets_pipeline.sandbox.server import RunningSandbox, serve
from rets_pipeline.sandbox.world import Sandbox


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and serve.

    Args:
        arguments: of the command line; those of the process by default.

    Returns:
        The exit status: 0, or 2 when the sandbox cannot start.
    """
    parser = argparse.ArgumentParser(
        prog="python -m rets_pipeline.sandbox",
        description="A DDF-like RETS server with invented data, which can age and misbehave.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--listings", type=int, default=500, help="how many exist at the start")
    parser.add_argument("--days", type=int, default=60, help="that their updates are spread over")
    parser.add_argument("--seed", type=int, default=7, help="everything follows from it")
    parser.add_argument("--host", default="127.0.0.1", help="to bind to")
    parser.add_argument("--port", type=int, default=8642, help="0 takes a free one")
    parser.add_argument("--advance", type=int, default=0, metavar="DAYS", help="to age at start")
    parser.add_argument("--max-photos", type=int, default=6, help="that a listing is born with")
    parser.add_argument(
        "--generic-listings", type=int, default=200, help="of the generic server at /rets/login"
    )
    parser.add_argument("--single-session", action="store_true", help="refuse a second login")
    chosen = parser.parse_args(arguments)
    try:
        world = Sandbox(
            chosen.listings,
            chosen.days,
            chosen.seed,
            max_photos=chosen.max_photos,
            single_session=chosen.single_session,
            advance=chosen.advance,
            generic_listings=chosen.generic_listings,
        )
        serve(world, chosen.host, chosen.port, ready=_announce)
    except (OSError, OverflowError, ValueError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 2
    return 0


def _announce(sandbox: RunningSandbox) -> None:
    print(f"{sandbox.login_url} with {len(sandbox.world.listings)} listings", flush=True)


if __name__ == "__main__":
    sys.exit(main())
