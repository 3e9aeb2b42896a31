"""A clock for deadlines that a restart must not eat. Pure.

It stands still while a stage is down: for ever where the stage is needed for any result at all, else for at most
`grace_s` an outage, because an optional stage must not hold results back for long. One that was unloaded is not down:
until it is loaded again the clock stands still, as clients wait for the first load, too.
"""

import math


class ServiceClock:
    """Seconds of service. Times passed in are of the front's monotonic clock and never go back."""

    def __init__(self, grace_s: float, needed: frozenset[str], now: float) -> None:
        self._grace_s = grace_s
        self._needed = needed
        self._down: dict[str, float] = {}
        self._elapsed = 0.0
        self._seen = now

    def down(self, stage: str, now: float) -> None:
        self.read(now)
        self._down[stage] = min(now, self._down.get(stage, now))

    def unloaded(self, stage: str, now: float) -> None:
        """Until it is up, or down."""
        self.read(now)
        self._down[stage] = math.inf

    def up(self, stage: str, now: float) -> None:
        self.read(now)
        self._down.pop(stage, None)

    def read(self, now: float) -> float:
        """Seconds of service up to now."""
        stopped_until = max((self._stops_until(stage) for stage in self._down), default=self._seen)
        self._elapsed += max(0.0, now - max(self._seen, stopped_until))
        self._seen = now
        return self._elapsed

    def _stops_until(self, stage: str) -> float:
        return float("inf") if stage in self._needed else self._down[stage] + self._grace_s
