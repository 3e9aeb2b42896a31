"""Seconds that only ever grow, and stand still while the machine sleeps: the clock of all waits and deadlines here.

Python's monotonic clock stands still then on Linux (CLOCK_MONOTONIC, see clock_gettime(2)), but not on Windows, where
it is GetTickCount64 or, from 3.13 on, QueryPerformanceCounter; and a PC that was asleep for an hour would find every
deadline passed and every client given up. There it is the unbiased interrupt time, which "does not include time the
system spends in sleep or hibernation" (Microsoft's reference, realtimeapiset.h), in units of 100 ns.
"""

import ctypes
import sys
import time
from collections.abc import Callable
from typing import Any

TICKS_PER_S = 10_000_000


def unbiased(library: Any) -> Callable[[], float]:
    """Reads it in seconds. library: kernelbase, or what has its functions. The precise one, of Windows 10, does not
    only count in steps of the system's timer of up to 15.6 ms."""
    query = getattr(library, "QueryUnbiasedInterruptTimePrecise", None) or library.QueryUnbiasedInterruptTime
    query.argtypes = (ctypes.POINTER(ctypes.c_uint64),)
    query.restype = None  # one of the two says that it succeeded, as it always does

    def read() -> float:
        ticks = ctypes.c_uint64()
        query(ctypes.byref(ticks))
        return ticks.value / TICKS_PER_S

    return read


if sys.platform == "win32":
    monotonic = unbiased(ctypes.WinDLL("kernelbase"))
else:
    monotonic = time.monotonic


def asleep() -> float:
    """Seconds that the machine was asleep, since some moment in the past; 0 where the system does not say."""
    if sys.platform == "win32":
        return time.monotonic() - monotonic()
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    return 0.0
