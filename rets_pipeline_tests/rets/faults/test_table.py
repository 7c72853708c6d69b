"""docs/rets.md says what the tests prove, and they prove every fault."""

from __future__ import annotations

import subprocess
import sys

from rets_pipeline_tests.patience import PATIENCE

from .table import ROOT, Proof, document


def test_every_fault_is_proved_and_the_document_says_so() -> None:
    """In a process of its own: pytest does not collect twice in one."""
    command = [sys.executable, "-m", "rets_pipeline_tests.rets.faults.table", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


def test_the_document() -> None:
    text = document({"logout_20701": Proof(["It does | nothing."], ["a/test_b.py::test_c"])})
    row = (
        "| `logout_20701` | The logout is answered with reply code 20701. | It does \\| nothing. |"
    )
    assert f"\n{row} [`test_c`](../a/test_b.py) |\n" in text
    assert text.count("\n## ") == 27
