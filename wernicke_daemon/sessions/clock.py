"""The clocks that a session reads. Whoever makes it passes them in, so that a test can say what time it is."""

import time
from collections.abc import Callable
from typing import NamedTuple

from ipc import clock


class Clock(NamedTuple):
    """monotonic: seconds that only ever grow, for durations. wall: seconds since 1970, for times of day."""

    monotonic: Callable[[], float]
    wall: Callable[[], float]


SYSTEM_CLOCK = Clock(clock.monotonic, time.time)
