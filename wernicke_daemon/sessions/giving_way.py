"""Whether a session in the background waits, so that what is said in others comes first. Pure.

It gives way as long as somebody speaks in another, up to MOST_HELD_S, and has one utterance at a time recognised, so
that little is in the way of who begins to speak; meanwhile the one before is corrected.
"""

from wernicke_daemon.sessions.leases import Leases

MOST_HELD_S = 30.0
"""For which it gives way where somebody always speaks; then one utterance of it is begun, which may hold up one of
theirs for as long as its own work takes."""


class GivingWay:
    def __init__(self) -> None:
        self._since: float | None = None  # monotonic seconds; None while nobody speaks, and once an utterance is begun

    def waits(self, leases: Leases, others_speak: bool, now: float) -> bool:
        """leases: of the session. others_speak: somebody does in a session that is not in the background. now:
        monotonic, seconds."""
        return leases.audio_is_read or len(leases) > 1 or self._is_held(others_speak, now)

    def _is_held(self, others_speak: bool, now: float) -> bool:
        if not others_speak:
            self._since = None
            return False
        self._since = now if self._since is None else self._since
        return now - self._since < MOST_HELD_S

    def begun(self) -> None:
        """An utterance of it, so that it may be held as long again."""
        self._since = None
