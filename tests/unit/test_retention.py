"""The clock by which transcripts age: what counts at once, what only after a day of running, and what never."""

import pytest

from wernicke_daemon.records.retention import DAY_S, HOUR_S, ClockState, Now, RetentionClock, Shift, tolerance_s

BEGIN = 1_700_000_000.0
TOLERANCE_S = 7 * DAY_S


class Machine:
    """A clock that a time service may set, and one that counts."""

    def __init__(self) -> None:
        self.now = Now(BEGIN, 100.0)
        self.clock = RetentionClock(self.now, TOLERANCE_S)
        self.clock.load(None)
        self.shifts: list[Shift] = []

    def jump(self, days: float) -> None:
        self.now = self.now._replace(wall=self.now.wall + days * DAY_S)
        self.run()

    def run(self, seconds: float = 1.0) -> None:
        """Both go on."""
        self.now = Now(self.now.wall + seconds, self.now.monotonic + seconds)
        if (shift := self.clock.read(self.now)) is not None:
            self.shifts.append(shift)

    def restart(self, days_off: float) -> None:
        self.now = Now(self.now.wall + days_off * DAY_S, 7.0)
        saved, self.clock = self.clock.state, RetentionClock(self.now, TOLERANCE_S)
        self.clock.load(saved)
        self.run()

    @property
    def days(self) -> float:
        """That have passed by the retention clock."""
        return round((self.clock.state.time - BEGIN) / DAY_S, 2)

    @property
    def days_ahead(self) -> float:
        return round(self.clock.state.ahead_s / DAY_S, 2)


@pytest.mark.parametrize(("retention_days", "days"), [(0, 1), (1, 1), (8, 2), (30, 7), (365, 7)])
def test_tolerance(retention_days: int, days: int) -> None:
    """A quarter, from a day to a week."""
    assert tolerance_s(retention_days * DAY_S) == days * DAY_S


def test_weeks_of_running_count() -> None:
    """Nothing else is needed."""
    machine = Machine()
    machine.run(40 * DAY_S)
    assert (machine.days, machine.days_ahead, machine.shifts) == (40, 0, [])


@pytest.mark.parametrize("days", [0.5, 3, 6.9])
def test_an_ordinary_absence_counts_at_once(days: float) -> None:
    """A night, a long weekend, a week; the daemon off, or the machine asleep."""
    machine = Machine()
    machine.restart(days)
    assert (machine.days, machine.days_ahead) == (days, 0)
    machine.jump(days)
    assert (machine.days, machine.days_ahead, machine.shifts) == (2 * days, 0, [])


def test_a_leap_ahead_counts_after_a_day_of_running() -> None:
    """And what was kept since it does not age by it."""
    machine = Machine()
    machine.run(HOUR_S)
    parted = machine.clock.state.time
    machine.restart(60)
    assert (machine.days, machine.days_ahead) == (0.04, 60)
    for _ in range(23):
        machine.run(HOUR_S)
    assert machine.days == 1.0
    machine.run(HOUR_S)
    assert (machine.days, machine.days_ahead) == (61.04, 0)
    assert machine.shifts == [Shift(parted, pytest.approx(60 * DAY_S, abs=1))]


def test_the_day_of_running_may_be_spread_over_starts() -> None:
    """Ten hours a day, off at night."""
    machine = Machine()
    machine.restart(60)
    for _ in range(2):
        machine.run(10 * HOUR_S)
        assert machine.days < 1
        machine.restart(14 / 24)
    machine.run(10 * HOUR_S)
    assert machine.days == pytest.approx(62.42, abs=0.01)


@pytest.mark.parametrize("ran_h", [0.1, 23])
def test_a_clock_that_is_put_right_changes_nothing(ran_h: float) -> None:
    """Not even when it took nearly a day; after another leap it takes a whole one again."""
    machine = Machine()
    machine.restart(60)
    machine.run(ran_h * HOUR_S)
    machine.jump(-60)
    assert (machine.days, machine.days_ahead) == (pytest.approx(ran_h / 24, abs=0.01), 0)
    machine.jump(365)
    machine.run(23 * HOUR_S)
    assert machine.days < 2


def test_another_leap_begins_the_day_anew() -> None:
    """So does one that is no way back to where the clock was."""
    machine = Machine()
    machine.restart(60)
    machine.run(23 * HOUR_S)
    for days in (300, -100):
        machine.jump(days)
        machine.run(23 * HOUR_S)
        assert machine.days < 5
    machine.run(HOUR_S)
    assert machine.days > 260


def test_a_dead_battery() -> None:
    """Years behind, right after some minutes: time goes on meanwhile, and nothing is to be shifted by years."""
    machine = Machine()
    machine.restart(-5000)
    machine.run(600)
    assert (machine.days, machine.days_ahead) == (0.01, 0)
    machine.jump(5000.5)
    assert (machine.days, machine.days_ahead) == (0.51, 0)
    assert [round(shift.by_s / DAY_S, 2) for shift in machine.shifts] == [0.5]


def test_it_never_goes_back() -> None:
    """A clock that stays behind leaves the time of running."""
    machine = Machine()
    machine.restart(6)
    machine.jump(-60)
    machine.run(2 * DAY_S)
    assert machine.days == 8
    machine.restart(3)
    assert machine.days == 8


def test_a_clock_that_goes_a_little_slower_is_no_reason_for_anything() -> None:
    """Corrections by milliseconds, either way."""
    machine = Machine()
    for seconds in (-0.01, 0.02, -2.0, 1.0):
        before = machine.clock.state.time
        machine.jump(seconds / DAY_S)
        assert machine.clock.state.time > before and machine.clock.state.parted is None
    assert machine.shifts == []


def test_earlier_times() -> None:
    """They are as far back as the machine's clock says, and none is later than now."""
    machine = Machine()
    machine.restart(60)
    time, wall = machine.clock.state.time, machine.clock.state.wall
    assert machine.clock.time_of(wall - 5) == pytest.approx(time - 5)
    assert machine.clock.time_of(wall + 5) == time


def test_until_it_is_loaded_it_shows_the_machines_clock() -> None:
    """Then it goes on from where it was."""
    clock = RetentionClock(Now(BEGIN, 0.0), TOLERANCE_S)
    clock.read(Now(BEGIN + 1, 1.0))
    assert (clock.loaded, clock.state.time) == (False, BEGIN + 1)
    clock.load(ClockState(BEGIN - 60 * DAY_S, BEGIN - 60 * DAY_S))
    clock.read(Now(BEGIN + 2, 2.0))
    assert (clock.loaded, clock.state.time) == (True, BEGIN - 60 * DAY_S + 1)
