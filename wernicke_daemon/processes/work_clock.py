"""A clock for limits that a busy machine must not eat: how much of a wait a process can be held to. Pure.

By the wall clock a process that gets no CPU is one that hangs; it is killed, and its successor gets no CPU either. So a
wait is counted in windows of WINDOW_S, by what the process did in each:

| in the window it used | counts |
| next to no CPU: it hangs, or waits for what does not come | all of the window |
| CPU | that CPU time, at most the window: the rest of it other programs had |

One that works, or turns for ever, with a CPU to itself is counted as by the wall clock.
"""

WINDOW_S = 5.0
"""Long enough for a process of low priority to have its turn within it, and for CPU times that the system counts in
steps of 16 ms. A hang that begins within a window is noticed by so much later."""

NEXT_TO_NONE = 0.005
"""Of a window: a process that hangs still sends heartbeats, which take 0.02 to 0.1 %."""

LEAST_S = 0.02
"""CPU seconds: more than one of those steps."""


class WorkClock:
    """Times: seconds of the front's monotonic clock. CPU: seconds of the process, from its start; None where the system
    does not say, and then the wall clock counts. began: when the wait did."""

    def __init__(self, now: float, cpu_s: float | None) -> None:
        self.began = now
        self._counted = 0.0  # of windows that are over
        self._window = now, cpu_s  # where the present one began

    def read(self, now: float, cpu_s: float | None) -> float:
        """Seconds of the wait that count."""
        start, before = self._window
        counted = self._counted + _counts(now - start, before, cpu_s)
        if now - start >= WINDOW_S:
            self._counted, self._window = counted, (now, cpu_s)
        return counted

    def restart(self, now: float, cpu_s: float | None) -> None:
        """Nothing counts so far; the wait began when it did."""
        self._counted, self._window = 0.0, (now, cpu_s)

    def pardon(self, seconds: float) -> None:
        """So long nobody could have seen what the process did."""
        self.began += seconds
        self._window = self._window[0] + seconds, self._window[1]


def _counts(wall_s: float, before: float | None, after: float | None) -> float:
    if before is None or after is None or after - before <= max(NEXT_TO_NONE * wall_s, LEAST_S):
        return wall_s
    return min(wall_s, after - before)
