"""How busy the machine's CPUs are, whoever uses them."""

import psutil

from ipc import clock

BUSY = 0.9
"""Share of the time of all CPUs from which there is none to spare."""

LOOK_EVERY_S = 1.0
"""The system counts in steps of up to 16 ms for each CPU."""


class MachineLoad:
    """busy: whether the CPUs had nothing to spare between the last two looks. In a container with a share of the
    machine: whether the whole machine's had."""

    def __init__(self) -> None:
        self.busy = False
        self._cpus = psutil.cpu_count() or 1
        self._last = clock.monotonic(), _idle_s()

    def look(self) -> None:
        """Called as often as one likes."""
        now = clock.monotonic()
        began, before = self._last
        if now - began >= LOOK_EVERY_S:
            idle = _idle_s()
            self.busy = (idle - before) / (self._cpus * (now - began)) < 1.0 - BUSY
            self._last = now, idle


def _idle_s() -> float:
    """Of all CPUs together, waits for the disk included (`iowait`, on Linux)."""
    times = psutil.cpu_times()
    return float(times.idle) + float(getattr(times, "iowait", 0.0))
