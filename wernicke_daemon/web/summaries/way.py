"""When a summary may be made: live speech goes first. Pure; times in seconds of one clock.

Ollama does one request after the other, and recognition shares the graphics card with it. So a summary begins once
nothing that was said waits for its results any more, and gives up its request as soon as something does.
"""

from collections.abc import Mapping
from typing import Any

QUIET_S = 5.0
"""Without work of anybody's speech, before a summary goes on: between two sentences of a talk it would hardly begin."""

LOOK_S = 0.25
"""Between two looks at that, while a request is under way: what is spoken may wait for it so long."""

STAGES = ("asr", "diarization", "correction")


def is_busy(health: Mapping[str, Any]) -> bool:
    """health: the front's page."""
    stages = health.get("stages", {})
    waiting = sum(stages[name]["queue"] for name in STAGES if name in stages)
    return bool(waiting) or health.get("behind_s", 0.0) > 0


class Quiet:
    """For how long nothing has been said."""

    def __init__(self) -> None:
        self._since: float | None = None  # None where the last look found work

    def look(self, busy: bool, now: float) -> bool:
        """Whether it has been long enough."""
        if busy:
            self._since = None
            return False
        self._since = now if self._since is None else self._since
        return now - self._since >= QUIET_S
