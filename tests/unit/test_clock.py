"""The clock that stands still while the machine sleeps."""

import ctypes
import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ipc import clock


def query(ticks: int) -> Any:
    """A C function like Windows', with the answer of one that succeeded."""

    def called(answer: Any) -> int:
        answer[0] = ticks
        return 1

    return ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(ctypes.c_uint64))(called)


HOUR_TICKS = 36_000_000_000


def test_units_of_100_ns() -> None:
    """Beyond 32 bits, which an hour is."""
    assert clock.unbiased(SimpleNamespace(QueryUnbiasedInterruptTime=query(HOUR_TICKS + 1)))() == 3600.0000001


def test_the_precise_one_is_taken_where_there_is_one() -> None:
    both = SimpleNamespace(
        QueryUnbiasedInterruptTime=query(0), QueryUnbiasedInterruptTimePrecise=query(2 * clock.TICKS_PER_S)
    )
    assert clock.unbiased(both)() == 2.0


def test_it_runs_with_the_systems_own_while_nothing_sleeps() -> None:
    """Whatever the two began with."""
    began, system = clock.monotonic(), time.monotonic()
    while time.monotonic() - system < 0.2:
        time.sleep(0.01)
    assert clock.monotonic() - began == pytest.approx(time.monotonic() - system, abs=0.1)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS is not asked")
def test_time_asleep_does_not_grow_while_awake() -> None:
    before = clock.asleep()
    time.sleep(0.05)
    assert clock.asleep() == pytest.approx(before, abs=0.05)


def test_nothing_reads_another_clock() -> None:
    """In the product itself."""
    root = Path(__file__).parents[2]
    files = [path for folder in ("wernicke_daemon", "stages", "ipc") for path in (root / folder).rglob("*.py")]
    others = [
        path.relative_to(root).as_posix()
        for path in files
        if re.search(r"\btime\.(monotonic|perf_counter)\b", path.read_text("utf-8"))
    ]
    assert others == ["ipc/clock.py"]
