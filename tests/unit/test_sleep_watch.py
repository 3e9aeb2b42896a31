"""A machine that was asleep, one that was held up, and one that is only busy."""

import pytest

from wernicke_daemon.hardware.sleep_watch import LEAST_S, LOOK_EVERY_S, SleepWatch


def test_a_sleep_is_told_from_a_hang() -> None:
    """In a sleep one clock stands still; in a hang both go on."""
    watch = SleepWatch(now=100.0, asleep=7.0)
    assert watch.look(101.0, 7.0) is None
    assert watch.look(102.0, 7.0 + 3600.0) == (3600.0, 0.0)
    assert watch.look(103.0, 7.0 + 3600.0) is None
    assert watch.look(103.0 + LOOK_EVERY_S + 60.0, 7.0 + 3600.0) == (0.0, 60.0)


def test_a_sleep_in_which_the_process_was_held_up_too() -> None:
    """It is woken some time after the machine is."""
    watch = SleepWatch(now=100.0, asleep=0.0)
    assert watch.look(100.0 + LOOK_EVERY_S + 4.0, 30.0) == pytest.approx((30.0, 4.0))


def test_a_busy_machine_is_not_asleep() -> None:
    """Nor are clocks that are read one after the other."""
    watch = SleepWatch(now=100.0, asleep=0.0)
    now = 100.0
    for late_s in (0.5, LEAST_S - 0.1, 0.0):
        now += LOOK_EVERY_S + late_s
        assert watch.look(now, -0.001) is None
