"""Other programs that want the CPU, for benchmarks of a busy machine: they do nothing but turn, one for each CPU."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

import psutil

TURNING = "while True: pass"

LOWEST: int = getattr(psutil, "IDLE_PRIORITY_CLASS", 19)
"""Of priorities: Windows' name for it, or the number elsewhere."""


@contextlib.contextmanager
def at_work(low_priority: bool = False) -> Iterator[None]:
    """Until the block ends. low_priority: below that of this process, else the same."""
    processes = [subprocess.Popen([sys.executable, "-c", TURNING]) for _ in range(os.cpu_count() or 1)]
    try:
        for process in processes:
            if low_priority:
                psutil.Process(process.pid).nice(LOWEST)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
