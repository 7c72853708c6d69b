"""``python -m rets_pipeline_tests.rets.faults.table``: writes docs/rets.md from the tests' marks.

Each fault of the sandbox, what the client does about it, and the test that proves it. With
``--check`` nothing is written: the exit status is 1 when the file is out of date, when a fault is
not proved, or when a mark names none.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rets_pipeline.sandbox.faults import CATALOGUE, SECTIONS

ROOT = Path(__file__).parents[3]
TESTS = "rets_pipeline_tests/rets"
DOCUMENT = ROOT / "docs" / "rets.md"
COMMAND = "python -m rets_pipeline_tests.rets.faults.table"
_HEAD = f"""# What real servers do wrong, and what the client does

Every fault below has been seen on a real RETS server, or is an attack that a server's data could
carry. The sandbox (`python -m rets_pipeline.sandbox`) produces each of them on command, by its
name (`POST /_sandbox/faults`); the named test proves what the client does.

Two rules stand behind all of it. What the client delivers without an error is exactly what the
server offered: the document was closed, no trailer took it back, and the records agree with COUNT.
What cannot be proved so is an error, whose class says what to do: `RetryLater`, `NotLoggedIn`,
`CredentialsRefused`, `ConfigurationFault`, `QueryRefused`, `SplitRequest`, or `DataBroken` with
`Truncated`, `CountMismatch` and `NotRets`.

This file is written from the marks of the tests. Do not edit it; run

    {COMMAND}
"""


@dataclass
class Proof:
    """What the marks say of one fault."""

    does: list[str] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)


class Collector:
    """A plugin of pytest that gathers the marks.

    Attributes:
        proofs: by name of the fault.
        broken: what could not be collected.
    """

    def __init__(self) -> None:
        self.proofs: dict[str, Proof] = defaultdict(Proof)
        self.broken: list[str] = []

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Note the marks of a test."""
        for mark in item.iter_markers("fault"):
            (name,) = mark.args
            proof = self.proofs[name]
            test = item.nodeid.partition("[")[0]
            if mark.kwargs["does"] not in proof.does:
                proof.does.append(mark.kwargs["does"])
            if test not in proof.tests:
                proof.tests.append(test)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what cannot be imported."""
        if report.failed:
            self.broken.append(f"{report.nodeid}: {report.longreprtext}")


def collect() -> Collector:
    """The marks of all tests of the client; the tests are not run."""
    collector = Collector()
    # Only the plugin that pyproject.toml has settings of, and none of its filters of warnings:
    # those import Dagster, which takes seconds.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    options = ["-p", "pytest_timeout", "-p", "no:cacheprovider", "-o", "filterwarnings="]
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(["--collect-only", "-q", *options, str(ROOT / TESTS)], plugins=[collector])
    return collector


def document(proofs: dict[str, Proof]) -> str:
    """The text of docs/rets.md."""
    lines = [_HEAD]
    for number, title in SECTIONS.items():
        lines += [
            f"\n## {number}. {title}\n",
            "| fault | what a server does | what the client does | proof |",
            "|---|---|---|---|",
        ]
        lines += [
            _line(name, fault.does, proofs[name])
            for name, fault in CATALOGUE.items()
            if fault.section == number and name in proofs
        ]
    return "\n".join(lines) + "\n"


def complaints(collector: Collector) -> list[str]:
    """What is wrong with the marks."""
    unknown = sorted(set(collector.proofs) - set(CATALOGUE))
    unproved = [name for name in CATALOGUE if name not in collector.proofs]
    found = list(collector.broken)
    found += [f"no such fault: {name}" for name in unknown]
    found += [f"not proved by any test: {name}" for name in unproved]
    return found


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, and write or check.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    chosen = parser.parse_args(arguments)
    collector = collect()
    found = complaints(collector)
    written = document(collector.proofs)
    if not chosen.check:
        DOCUMENT.parent.mkdir(exist_ok=True)
        DOCUMENT.write_text(written, encoding="utf-8")
    elif not DOCUMENT.exists() or DOCUMENT.read_text(encoding="utf-8") != written:
        found.append(f"docs/rets.md is out of date; run {COMMAND}")
    print("\n".join(found), end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


def _line(name: str, server: str, proof: Proof) -> str:
    tests = "<br>".join(map(_link, proof.tests))
    return f"| `{name}` | {_cell(server)} | {_cell(' '.join(proof.does))} | {tests} |"


def _link(test: str) -> str:
    path, _, name = test.partition("::")
    return f"[`{name}`](../{path})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main())
