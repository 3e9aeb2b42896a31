"""Whether a stage is slow because it does not get the CPU that it could use. Pure: looks go in, with their times.

It is where a job, or its loading, is over its limit by the wall clock and is let go on, or where it got too little
CPU lately.

A stage that waits, for a server or a graphics card, uses little CPU on a machine that has some to spare; so it counts
only while all CPUs of the machine are busy.
"""

from collections import deque

from wernicke_daemon.processes.liveness import Liveness, Overtime

SPAN_S = 30.0
"""What is judged by: this long back."""

BEGINS_S, ENDS_S = 5.0, 1.0
"""Seconds of starved work within the span from which a stage is slow, and below which it is not any more."""

PIECE_S = 1.0
"""Work is judged in pieces of this length: CPU times come in steps of up to 16 ms."""

STARVED = (0.03, 0.8)
"""Between these shares of one CPU. With less the stage waits for something else; with more it has what it needs."""


class Slowness:
    """Of one stage. slow: whether it is."""

    def __init__(self) -> None:
        self.slow = False
        self._told: str | None = None  # what it was told to be at beyond a limit, as long as it is
        self._last: tuple[float, float] | None = None  # time and CPU at the last look, if it was at a job then
        self._piece = 0.0, 0.0  # seconds at jobs, and CPU seconds in them, that are not judged yet
        self._starved: deque[tuple[float, float]] = deque()  # pieces in which it was: when they ended, seconds

    def look(self, now: float, liveness: Liveness, cpu_s: float | None, machine_busy: bool) -> Overtime | None:
        """What is to be told, once, of a limit that it is over. liveness: of the process that works. cpu_s: seconds
        that it has used so far, None where that is not known. machine_busy: whether all CPUs are."""
        self._note(now, liveness.at_job, cpu_s, machine_busy)
        overtime = liveness.overtime(now, cpu_s)
        self._decide(now, overtime is not None)
        told, self._told = self._told, None if overtime is None else overtime.doing
        return overtime if told != self._told else None

    def _note(self, now: float, at_job: bool, cpu_s: float | None, machine_busy: bool) -> None:
        if self._last is not None and at_job and cpu_s is not None and cpu_s >= self._last[1]:
            self._piece = self._piece[0] + now - self._last[0], self._piece[1] + cpu_s - self._last[1]
            if self._piece[0] >= PIECE_S:
                self._judge(now, machine_busy)
        self._last = (now, cpu_s) if at_job and cpu_s is not None else None

    def _judge(self, now: float, machine_busy: bool) -> None:
        (seconds, cpu_s), self._piece = self._piece, (0.0, 0.0)
        if machine_busy and STARVED[0] < cpu_s / seconds < STARVED[1]:
            self._starved.append((now, seconds))

    def _decide(self, now: float, over_a_limit: bool) -> None:
        while self._starved and now - self._starved[0][0] > SPAN_S:
            self._starved.popleft()
        seconds = sum(seconds for _, seconds in self._starved)
        self.slow = over_a_limit or seconds >= (ENDS_S if self.slow else BEGINS_S)
