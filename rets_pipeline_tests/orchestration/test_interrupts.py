"""An interrupt stops a run wherever it comes."""

import signal
import sys
import time
import weakref
from contextlib import AbstractContextManager

import dagster as dg
import pytest
from dagster._utils.interrupts import raise_interrupts_as

from rets_pipeline.orchestration import interrupts


class _Garbage:
    pass


def _interrupt_a_callback(number: signal.Signals) -> None:
    """As a collection of garbage does: Python ignores what the callback raises."""
    garbage = _Garbage()
    reference = weakref.ref(garbage, lambda _: signal.raise_signal(number))
    del garbage
    assert reference() is None


def _run(number: signal.Signals) -> None:
    with interrupts.sent_again():
        _interrupt_a_callback(number)
        time.sleep(60)


def _as_in_a_run() -> AbstractContextManager[None]:
    return raise_interrupts_as(dg.DagsterExecutionInterruptedError)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_that_a_weak_references_callback_swallowed_comes_again(number: signal.Signals) -> None:
    hook = sys.unraisablehook
    with _as_in_a_run(), pytest.raises(dg.DagsterExecutionInterruptedError):
        _run(number)
    assert sys.unraisablehook is hook


def test_none_comes_after_the_run() -> None:
    with _as_in_a_run():
        with interrupts.sent_again():
            _interrupt_a_callback(signal.SIGTERM)
        time.sleep(3 * interrupts._SECONDS)


def test_other_faults_are_told_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda fault: told.append(fault.exc_value))
    garbage = _Garbage()

    def fail(_: object) -> None:
        raise ValueError("in a callback")

    reference = weakref.ref(garbage, fail)
    with interrupts.sent_again():
        del garbage
    assert reference() is None
    assert [str(fault) for fault in told] == ["in a callback"]
