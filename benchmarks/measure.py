"""Measuring and printing, for all benchmarks.

What belongs here: timing in turns, memory of a process of its own, and the table. What does not:
anything about what is measured.
"""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Work = Callable[[], object]

# Linux hands the peak that getrusage tells from a large parent down to its child.
_PEAK = """
import pathlib, re, resource, sys
def peak():
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        name: what was measured.
        value: as it is to be printed.
        limit: what it is compared with.
        ratio: to the limit; for memory, megabytes.
        target: the ratio must reach it, or stay below it if `below`; None: for information.
        below: smaller is better.
    """

    name: str
    value: str
    limit: str
    ratio: float
    target: float | None = None
    below: bool = False

    @property
    def reached(self) -> bool:
        """Whether the target is reached; there may be none."""
        if self.target is None:
            return True
        return self.ratio <= self.target if self.below else self.ratio >= self.target


def seconds(works: Mapping[str, Work], rounds: int) -> dict[str, float]:
    """The least processor time of each work, in seconds.

    All take turns, so that whatever else the machine does meets all of them alike. Processor time,
    because others may use the machine; the least, because noise only adds.
    """
    least = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            gc.collect()
            started = time.process_time()
            work()
            least[name] = min(least[name], time.process_time() - started)
    return least


class Times:
    """Times that passed, of works of which the processes of others have a part.

    Each work is measured several times, in turns with the others; the median counts. A machine
    that others use has slow minutes: a ratio is of what was measured side by side.
    """

    def __init__(self) -> None:
        self._found: dict[str, list[float]] = {}

    def measure(self, name: str, work: Work) -> float:
        """Run the work once more; returns the seconds that passed."""
        gc.collect()
        started = time.perf_counter()
        work()
        passed = time.perf_counter() - started
        self.note(name, passed)
        return passed

    def note(self, name: str, passed: float) -> None:
        """Note a time that was measured elsewhere."""
        self._found.setdefault(name, []).append(passed)

    def __getitem__(self, name: str) -> float:
        """The median in seconds."""
        return statistics.median(self._found[name])

    def ratio(self, name: str, other: str) -> float:
        """The median of one's time over the other's, turn by turn."""
        turns = zip(self._found[name], self._found[other], strict=True)
        return statistics.median(one / two for one, two in turns)


def megabytes(module: str, work: str, *arguments: str) -> float:
    """Peak memory of ``module.work()`` over that of an interpreter that has imported nothing."""
    code = f"""{_PEAK}
start = peak()
from {module} import {work}
{work}(*sys.argv[1:])
print(peak() - start)"""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    return int(done.stdout.splitlines()[-1]) / 1e6


def show(title: str, figures: Sequence[Figure]) -> bool:
    """Print the table; returns whether all targets were reached."""
    lines = [("figure", "value", "compared with", "ratio", "target", "")]
    for figure in figures:
        sign = "≤" if figure.below else "≥"
        target = "" if figure.target is None else f"{sign} {figure.target:g}"
        mark = "" if figure.target is None else ("ok" if figure.reached else "MISSED")
        ratio = f"{figure.ratio:.2f}" if figure.ratio < 100 else f"{figure.ratio:.0f}"
        lines.append((figure.name, figure.value, figure.limit, ratio, target, mark))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    print(f"\n{title}\n")
    for line in lines:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )
    return all(figure.reached for figure in figures)
