"""The clock by which transcripts age: one wrong reading of the machine's clock must not delete them. Pure.

It never goes back, and goes ahead by what is accounted for. While a daemon runs, that is the time it ran. Where the
machine's clock is ahead of it, the machine or the daemon was off, or asleep, or the clock is wrong; nothing on this
machine can tell which. A lead of up to a tolerance is an ordinary absence and counts at once. A larger one counts after
the daemon has run CONFIRMED_AFTER_S with it: a time service, or whoever uses the machine, has put a wrong clock right
by then. A machine's clock that is behind counts for nothing.
"""

from typing import NamedTuple

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S

CONFIRMED_AFTER_S = DAY_S
"""Seconds of running; over several runs where the time between two of them is within the tolerance."""


class Now(NamedTuple):
    """One reading. wall: seconds since 1970 by the machine's clock. monotonic: seconds of a clock that nobody sets."""

    wall: float
    monotonic: float


class ClockState(NamedTuple):
    """What is kept from one reading to the next, and on disk from one run to the next.

    time: of the retention clock, seconds since 1970. wall: the machine's clock at the last reading, the same unit.
    parted: `time` when the two parted by more than the tolerance; None while they agree. held_s: seconds that the
    daemon has run since then, or since the machine's clock last jumped.
    """

    time: float
    wall: float
    parted: float | None = None
    held_s: float = 0.0

    @property
    def ahead_s(self) -> float:
        """By which the machine's clock is ahead, and which does not count yet; 0 while the two agree."""
        return 0.0 if self.parted is None else max(0.0, self.wall - self.time)


class Shift(NamedTuple):
    """Time that passed before what was kept after `after`: the latter is not older by it. Seconds, and by_s > 0."""

    after: float
    by_s: float


def tolerance_s(retention_s: float) -> float:
    """A quarter of the retention is the most by which a wrong clock may delete early; at least a day, as machines are
    off at night, and at most a week, as longer absences are rare."""
    return min(7 * DAY_S, max(DAY_S, retention_s / 4))


def advance(state: ClockState, wall: float, ran_s: float, tolerance: float) -> tuple[ClockState, Shift | None]:
    """The state at a new reading, and what to do to all times kept so far. ran_s: seconds that the daemon has run since
    the last reading; 0 for the first of a run. tolerance: seconds."""
    time = state.time + ran_s
    held_s = _held_s(state, wall, ran_s, tolerance)
    if abs(wall - time) <= tolerance or (wall > time and held_s >= CONFIRMED_AFTER_S):
        return ClockState(max(time, wall), wall), _shift(state.parted, wall - time)
    parted = state.time if state.parted is None else state.parted
    return ClockState(time, wall, parted, held_s), None


def _held_s(state: ClockState, wall: float, ran_s: float, tolerance: float) -> float:
    even = abs(wall - state.wall - ran_s) <= tolerance
    return state.held_s + ran_s if even and state.parted is not None else 0.0


def _shift(parted: float | None, by_s: float) -> Shift | None:
    return Shift(parted, by_s) if parted is not None and by_s > 0 else None


class RetentionClock:
    """The retention clock of one run. Not yet loaded (`load`), it shows the machine's time and is not to be kept."""

    def __init__(self, now: Now, tolerance: float) -> None:
        """tolerance: seconds."""
        self.loaded = False
        self._state = ClockState(now.wall, now.wall)
        self._monotonic = now.monotonic
        self._tolerance = tolerance

    @property
    def state(self) -> ClockState:
        return self._state

    def load(self, saved: ClockState | None) -> None:
        """saved: what an earlier run kept; None where there is none."""
        self.loaded = True
        self._state = saved or self._state

    def read(self, now: Now) -> Shift | None:
        """Bring `state` up to now."""
        ran_s, self._monotonic = now.monotonic - self._monotonic, now.monotonic
        self._state, shift = advance(self._state, now.wall, ran_s, self._tolerance)
        return shift

    def time_of(self, wall: float) -> float:
        """When by this clock it was `wall` (seconds since 1970) by the machine's: not after the last reading."""
        return self._state.time + min(0.0, wall - self._state.wall)


def postponed(results: int, state: ClockState) -> str:
    """For /health. results: that would be deleted by the machine's clock."""
    hours = (CONFIRMED_AFTER_S - state.held_s) / HOUR_S
    days = state.ahead_s / DAY_S
    return (
        f"Deletion of transcripts ({results} results) is postponed: this machine's clock is {days:.0f} days ahead of "
        "what the daemon can account for. If the date is wrong, correct it; if it is right, leave the daemon running: "
        f"what is over store.retention_days is deleted after another {hours:.0f} h."
    )
