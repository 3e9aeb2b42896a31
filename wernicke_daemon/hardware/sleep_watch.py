"""Notices that the machine was asleep: for that long nobody could say anything, or come back to a session.

`SleepWatch` is pure; `run` looks at the clocks. A process that was not let run for as long is told in the same
way: to a client it is the same.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import structlog

from ipc import clock

LOOK_EVERY_S = 1.0

LEAST_S = 10.0
"""Less is a machine that is busy, and within what clients wait for an answer."""

_log = structlog.get_logger()


class Gone(NamedTuple):
    """Seconds in which nothing could happen here. asleep_s: which `clock.monotonic` did not count, as the machine was
    asleep. held_up_s: which it did."""

    asleep_s: float
    held_up_s: float


class SleepWatch:
    """Times are seconds of `clock.monotonic`, and of `clock.asleep`."""

    def __init__(self, now: float, asleep: float) -> None:
        self._now = now  # of the last look, like the next
        self._asleep = asleep

    def look(self, now: float, asleep: float) -> Gone | None:
        """What was gone since the last look, LOOK_EVERY_S ago by itself; None where that is nothing to speak of."""
        gone = Gone(max(0.0, asleep - self._asleep), max(0.0, now - self._now - LOOK_EVERY_S))
        self._now, self._asleep = now, asleep
        return gone if sum(gone) >= LEAST_S else None


async def run(on_gone: Callable[[Gone], None]) -> None:
    """For ever."""
    watch = SleepWatch(clock.monotonic(), clock.asleep())
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if (gone := watch.look(clock.monotonic(), clock.asleep())) is not None:
            _log.info("slept", asleep_s=round(gone.asleep_s, 1), held_up_s=round(gone.held_up_s, 1))
            on_gone(gone)
