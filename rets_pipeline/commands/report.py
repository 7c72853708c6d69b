"""What a run did, for people to read.

What belongs here: the run ledger's actions as lines. What does not: running.
"""

from __future__ import annotations

from rich.console import Console

from rets_pipeline.commands.runs import Finished

#: numbers of an action that tell how, not what
_HOW = ("action", "pull_id", "bytes", "requests", "pulls", "asked", "wanted")


def tell(console: Console, finished: Finished, *, indent: str = "") -> None:
    """A line for each step of a run, without what it did not do, and one for each warning."""
    width = max([12, *(len(action["action"]) for action in finished.actions)])
    for action in finished.actions:
        numbers = [
            f"{value:,} {name.replace('_', ' ')}"
            for name, value in action.items()
            if name not in _HOW and value
        ]
        console.print(
            f"{indent}{action['action']:{width}} {', '.join(numbers) or '[dim]nothing[/]'}",
            soft_wrap=True,
        )
    for warning in finished.warnings:
        console.print(f"{indent}[yellow]{warning}[/]", soft_wrap=True)
