"""What is left out under load, that is while results are behind. Pure.

| level | from | left out |
|---|---|---|
| 0 | | nothing |
| 1 | `after_s` behind | partials, with live and early work |
| 2 | 1.5 times that | that, and correction |
| 3 | 2 times that | that, and speakers |

Recognition of accepted audio is never left out.
"""

from ipc.messages import StageName

OVERLOADED = "OVERLOADED"
"""The warning in results that lack something because of it."""

BEGINS_AT = (1.0, 1.5, 2.0)
"""Levels 1, 2, 3 in terms of `after_s`."""

PARTIALS_FROM = 1
STAGES_FROM: dict[StageName, int] = {"correction": 2, "diarization": 3}
"""The levels from which these are left out."""


class Shedding:
    """level: 0 to 3, see above. It grows as results fall behind, and is 0 again only below half of `after_s`."""

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self.level = 0

    def behind(self, seconds: float) -> bool:
        """seconds: how old the oldest unfinished utterance is. True if the level changed."""
        before = self.level
        reached = sum(seconds >= self._after_s * factor for factor in BEGINS_AT)
        self.level = 0 if seconds < self._after_s / 2 else max(self.level, reached)
        return self.level != before

    def sheds_partials(self) -> bool:
        return self.level >= PARTIALS_FROM

    def sheds(self, stage: StageName) -> bool:
        return stage in STAGES_FROM and self.level >= STAGES_FROM[stage]
