"""Which stages an utterance may count on right now. Pure: times are passed in.

An optional stage is left out where it is configured away, has failed, is left out under load (`overload.py`), or (the
LLM) was late several times in a row (`llm_breaker.py`).
A required one is given up after it was down for `down_limit_s`. While it loads it is not down: that has a limit of its
own, and ends in a stage that works or is down again. One that has failed is down while it loads, too: it died at that
again and again.
"""

from dataclasses import dataclass

from ipc.messages import StageName
from wernicke_daemon.dispatch.llm_breaker import Breaker
from wernicke_daemon.dispatch.overload import OVERLOADED, Shedding
from wernicke_daemon.dispatch.stage_port import REQUIRED

UNAVAILABLE: dict[StageName, str] = {"diarization": "DIARIZATION_UNAVAILABLE", "correction": "LLM_UNAVAILABLE"}
TOO_LATE: dict[StageName, str] = {"diarization": "DIARIZATION_TIMEOUT", "correction": "LLM_TIMEOUT"}


@dataclass
class _Outage:
    """counted: seconds that it was down before `since`; since when it is now, None while it loads."""

    counted: float = 0.0
    since: float | None = None

    def begin(self, now: float) -> None:
        if self.since is None:
            self.since = now

    def interrupt(self, now: float) -> None:
        if self.since is not None:
            self.counted, self.since = self.counted + now - self.since, None

    def seconds(self, now: float) -> float:
        return self.counted + (now - self.since if self.since is not None else 0.0)


class Availability:
    """Told of how it goes by whoever asks `reason_to_skip`."""

    def __init__(self, shed_after_s: float, down_limit_s: float, now: float) -> None:
        self.shedding = Shedding(shed_after_s)  # what is left out while results are late
        self.breaker = Breaker()  # whether the LLM is left alone for now
        self._down_limit_s = down_limit_s  # how long a required stage is waited for
        self._up: set[StageName] = set()  # those that take jobs
        self._failed: set[StageName] = set()  # those that are down and not expected back soon
        self._none: set[StageName] = set()  # those configured to do nothing
        self._outages = {stage: _Outage(since=now) for stage in REQUIRED}  # of stages that are not up

    def up(self, stage: StageName, engine: str) -> None:
        self._up.add(stage)
        self._failed.discard(stage)
        self._outages.pop(stage, None)
        (self._none.add if engine == "none" else self._none.discard)(stage)

    def down(self, stage: StageName, failed: bool, now: float) -> None:
        self._up.discard(stage)
        self._outages.setdefault(stage, _Outage()).begin(now)
        if failed:
            self._failed.add(stage)

    def unloaded(self, stage: StageName) -> bool:
        """It is ended on purpose, and will be loaded once it is needed. Whether it is waited for then: not so one that
        has failed."""
        self._up.discard(stage)
        self._outages[stage] = _Outage()
        return stage not in self._failed

    def loading(self, stage: StageName, now: float) -> None:
        if stage in self._outages and stage not in self._failed:
            self._outages[stage].interrupt(now)

    def is_up(self, stage: StageName) -> bool:
        return stage in self._up

    def given_up(self, stage: StageName, now: float) -> bool:
        """A required stage that was down for too long: nothing waits for it any more."""
        return stage in self._outages and self._outages[stage].seconds(now) > self._down_limit_s

    def uses(self, stage: StageName) -> bool:
        """Whether this stage is configured to do anything."""
        return stage not in self._none

    def reason_to_skip(self, stage: StageName, now: float) -> str | None:
        """The warning to give for leaving out an optional stage, None to use it."""
        if stage in self._failed:
            return UNAVAILABLE[stage]
        if self.shedding.sheds(stage):
            return OVERLOADED
        if stage == "correction" and not self.breaker.lets_through(now):
            return UNAVAILABLE[stage]
        return None
