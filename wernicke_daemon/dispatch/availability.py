"""Which stages an utterance may count on right now. Pure: times are passed in.

An optional stage is left out where it is configured away, has failed, is shed because results fall behind, or (the LLM)
timed out three times in a row; a required one is given up after it was down for `down_limit_s`.
"""

from ipc.messages import StageName
from wernicke_daemon.dispatch.stage_port import REQUIRED

UNAVAILABLE: dict[StageName, str] = {"diarization": "DIARIZATION_UNAVAILABLE", "correction": "LLM_UNAVAILABLE"}
TOO_LATE: dict[StageName, str] = {"diarization": "DIARIZATION_TIMEOUT", "correction": "LLM_TIMEOUT"}
OVERLOADED = "OVERLOADED"

TRIPS_AFTER = 3
PROBE_EVERY_S = 30.0


class Breaker:
    """Leaves the LLM alone after TRIPS_AFTER time-outs in a row, but for one try every PROBE_EVERY_S seconds."""

    def __init__(self) -> None:
        self._late_in_a_row = 0
        self._next_probe = 0.0

    def answered(self) -> None:
        self._late_in_a_row = 0

    def too_late(self, now: float) -> None:
        self._late_in_a_row += 1
        self._next_probe = now + PROBE_EVERY_S

    def lets_through(self, now: float) -> bool:
        if self._late_in_a_row < TRIPS_AFTER:
            return True
        if now < self._next_probe:
            return False
        self._next_probe = now + PROBE_EVERY_S
        return True


class Shedding:
    """What is left out while results are behind: level 1 partials, 2 also correction, 3 also speakers.

    Levels begin at 1, 1.5 and 2 times `after_s`; all is taken up again below half of it. Never accepted audio.
    """

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self.level = 0

    def behind(self, seconds: float) -> bool:
        """How old the oldest unfinished utterance is. True if the level changed."""
        before = self.level
        reached = sum(seconds >= self._after_s * factor for factor in (1.0, 1.5, 2.0))
        self.level = 0 if seconds < self._after_s / 2 else max(self.level, reached)
        return self.level != before

    def sheds(self, stage: StageName) -> bool:
        return self.level >= {"correction": 2, "diarization": 3}.get(stage, 4)


class Availability:
    """`shedding`, `breaker`: told of how it goes by whoever asks `reason_to_skip`."""

    def __init__(self, shed_after_s: float, down_limit_s: float, now: float) -> None:
        self.shedding = Shedding(shed_after_s)
        self.breaker = Breaker()
        self._down_limit_s = down_limit_s
        self._up: set[StageName] = set()
        self._failed: set[StageName] = set()
        self._none: set[StageName] = set()
        self._down_since: dict[StageName, float] = dict.fromkeys(REQUIRED, now)

    def up(self, stage: StageName, engine: str) -> None:
        self._up.add(stage)
        self._failed.discard(stage)
        self._down_since.pop(stage, None)
        (self._none.add if engine == "none" else self._none.discard)(stage)

    def down(self, stage: StageName, failed: bool, now: float) -> None:
        self._up.discard(stage)
        self._down_since.setdefault(stage, now)
        if failed:
            self._failed.add(stage)

    def is_up(self, stage: StageName) -> bool:
        return stage in self._up

    def given_up(self, stage: StageName, now: float) -> bool:
        """A required stage that was down for too long: nothing waits for it any more."""
        return stage in self._down_since and now - self._down_since[stage] > self._down_limit_s

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
