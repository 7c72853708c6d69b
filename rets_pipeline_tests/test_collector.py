"""When Python looks for cycles."""

import gc
import subprocess
import sys

import pytest

from rets_pipeline import collector


def test_a_pause_ends_however_the_work_ends() -> None:
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), collector.paused():
        _ = 1 / (0 if not gc.isenabled() else 1)
    assert gc.isenabled()


def test_a_pause_within_a_pause_does_not_end_it() -> None:
    with collector.paused():
        with collector.paused():
            pass
        assert not gc.isenabled()


def test_seldom_is_not_never() -> None:
    """In a process of its own: what is imported stays out of every later search."""
    code = (
        "import gc, weakref\n"
        "from rets_pipeline import collector\n"
        "collector.seldom()\n"
        "class Ring: pass\n"
        "ring = Ring(); ring.itself = ring\n"
        "gone = weakref.ref(ring)\n"
        "del ring\n"
        "kept = [[] for _ in range(gc.get_threshold()[0] + 1000)]\n"
        "print(gc.isenabled(), gc.get_freeze_count() > 1000, gone() is None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 3
