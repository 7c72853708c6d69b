"""What a run did, for people to read.

What belongs here: the run ledger's actions as lines. What does not: running.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console

from rets_pipeline.warehouse.resources import LISTINGS, OTHERS

if TYPE_CHECKING:
    from rets_pipeline.commands.runs import Finished

#: numbers of an action that tell how, not what
_HOW = ("action", "pull_id", "bytes", "requests", "pulls", "asked", "wanted", "seconds")


def tell(console: Console, *finished: Finished, indent: str = "") -> None:
    """A line for each step of some runs, without what it did not do, and one for each warning."""
    for name, numbers in _lines([action for run in finished for action in run.actions]):
        told = [f"{value:,} {what.replace('_', ' ')}" for what, value in numbers.items() if value]
        console.print(f"{indent}{name:12} {', '.join(told) or '[dim]nothing[/]'}", soft_wrap=True)
    for warning in (warning for run in finished for warning in run.warnings):
        console.print(f"{indent}[yellow]{warning}[/]", soft_wrap=True)


def _lines(actions: list[dict[str, Any]]) -> list[tuple[str, dict[str, int]]]:
    """A line for each step, but one for all steps of members, and one for those of offices.

    Their images have lines of their own.
    """
    kinds = {f"{resource.name.lower()} ": resource.kind for resource in OTHERS}
    lines: list[tuple[str, dict[str, int]]] = []
    for action in actions:
        name = next(
            (kind for start, kind in kinds.items() if action["action"].startswith(start)),
            action["action"],
        )
        if action["action"].endswith(" images"):
            name = action["action"]
        # What is fetched says less than what became of it.
        fetched = name if name in kinds.values() or name == LISTINGS.kind else None
        numbers = {
            key: value
            for key, value in action.items()
            # Keys and other texts: SQL tells them.
            if key not in (*_HOW, fetched) and isinstance(value, int)
        }
        line = next((line for line in lines if line[0] == name and name in kinds.values()), None)
        if line is None:
            lines.append((name, numbers))
        else:
            line[1].update(numbers)
    return lines
