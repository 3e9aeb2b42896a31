"""What is left out while results are behind. Pure."""

from ipc.messages import StageName

LEFT_OUT_IN_ORDER = ("partials", "correction", "diarization")
"""By level, from 1. With partials go live and early work, which make them; accepted audio never goes."""

BEGINS_AT = (1.0, 1.5, 2.0)
"""Times `runtime.shed_after_s`, of each level."""


class Shedding:
    """level: how much is left out: the first so many of LEFT_OUT_IN_ORDER. All is taken up again once results are less
    than half of `after_s` behind."""

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self.level = 0

    def behind(self, seconds: float) -> bool:
        """How old the oldest unfinished utterance is. True if the level changed."""
        before = self.level
        reached = sum(seconds >= self._after_s * factor for factor in BEGINS_AT)
        self.level = 0 if seconds < self._after_s / 2 else max(self.level, reached)
        return self.level != before

    def sheds(self, stage: StageName) -> bool:
        return stage in LEFT_OUT_IN_ORDER[: self.level]
