"""When a stage that died is started again. Pure: times are passed in, in seconds of any one monotonic clock."""

import random
from collections import deque
from collections.abc import Callable
from typing import Self

from wernicke_daemon.config.schema import RuntimeSettings


class RestartPolicy:
    """Exponential backoff with jitter; at most `most` deaths in `window_s` before the stage counts as failed.

    The first death after stable running is answered at once. A failed stage is still tried, at `last_s` intervals.
    Deaths leave the window only where it was ready in between: time spent loading proves nothing.
    """

    def __init__(
        self,
        most: int,
        window_s: float,
        first_s: float,
        last_s: float,
        stable_s: float,
        jitter: Callable[[], float] = lambda: random.uniform(0.8, 1.2),
    ) -> None:
        """first_s: the second wait in a row, as the first is none; each further one is twice as long, up to last_s.
        stable_s: how long it has to run for its deaths to be forgotten. jitter: gives a factor for each wait, so that
        stages that died together do not start together."""
        self._most = most  # deaths in `_window_s` that it may have
        self._window_s = window_s  # in which deaths count
        self._first_s = first_s  # the second wait in a row, as the first is none
        self._last_s = last_s  # the longest wait, and that of a failed stage
        self._stable_s = stable_s  # of running, after which deaths are forgotten
        self._jitter = jitter  # a factor for each wait
        # It died too often too fast: what can do without it should. So it stays until it has run stably.
        self.failed = False
        # When it died, oldest first, as far as that counts.
        self._deaths: deque[float] = deque()
        # Since when it is up; None while it is not.
        self._ready_since: float | None = None

    @classmethod
    def of(cls, runtime: RuntimeSettings) -> Self:
        """As the settings have it."""
        return cls(
            most=runtime.restarts_max,
            window_s=runtime.restarts_window_s,
            first_s=runtime.backoff_first_s,
            last_s=runtime.backoff_max_s,
            stable_s=runtime.stable_after_s,
        )

    def ready(self, now: float) -> None:
        """The stage is up."""
        self._ready_since = now

    def died(self, now: float) -> float:
        """Seconds to wait before the next start."""
        if self._ready_since is not None:
            self._forget(now, now - self._ready_since)
        self._ready_since = None
        self._deaths.append(now)
        self.failed = self.failed or len(self._deaths) > self._most
        return self._delay()

    def _forget(self, now: float, ran_s: float) -> None:
        if ran_s >= self._stable_s:
            self._deaths.clear()
            self.failed = False
        while self._deaths and now - self._deaths[0] > self._window_s:
            self._deaths.popleft()

    def _delay(self) -> float:
        if self.failed:
            return self._last_s * self._jitter()
        if len(self._deaths) == 1:
            return 0.0
        doubled = self._first_s * 2.0 ** (len(self._deaths) - 2)
        return min(doubled, self._last_s) * self._jitter()
