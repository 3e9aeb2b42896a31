"""Lost audio, told as few gaps."""

from wernicke_daemon.sessions.gaps import GAP_EVERY_S, UntoldGap
from wernicke_daemon.wire.protocol import Gap

RATE = 16_000


def test_gaps_that_follow_on_one_another_are_told_as_one() -> None:
    """But the first is told at once, and the next ones not later than GAP_EVERY_S after it."""
    gap = UntoldGap()
    gap.extend(0, RATE)
    assert gap.take_due(100.0) == Gap(0.0, 1.0, "INTERNAL_ERROR")
    gap.extend(RATE, 2 * RATE)
    assert gap.take_due(101.0) is None
    gap.extend(2 * RATE, 3 * RATE)
    assert gap.take_due(100.0 + GAP_EVERY_S) == Gap(1.0, 3.0, "INTERNAL_ERROR")
    assert gap.take_due(200.0) is None


def test_what_follows_does_not_wait() -> None:
    """A gap is told before what comes after it, however soon after the last one."""
    gap = UntoldGap()
    gap.extend(0, RATE)
    gap.take(100.0)
    gap.extend(RATE, 2 * RATE)
    assert gap.take(100.5) == Gap(1.0, 2.0, "INTERNAL_ERROR")
    assert gap.take(100.5) is None
