"""Audio that was lost, as few gaps: those that follow on one another are told as one. Pure; times are passed in."""

from ipc.audio_handle import SAMPLE_RATE
from wernicke_daemon.wire.protocol import Gap

GAP_EVERY_S = 5.0
"""At least so long between two gaps that are told, unless something follows that has to come after the second."""


class UntoldGap:
    """Samples that were lost and of which the client has not been told."""

    def __init__(self) -> None:
        self._range: tuple[int, int] | None = None
        self._told_at = 0.0

    def extend(self, start: int, end: int) -> None:
        """Samples [start, end) are lost, too; nothing that is not lost lies between them and those before."""
        self._range = (self._range[0] if self._range else start, end)

    def take(self, now: float) -> Gap | None:
        """All that is untold, None for nothing. It counts as told. now: seconds, monotonic."""
        if self._range is None:
            return None
        start, end = self._range
        self._range, self._told_at = None, now
        return Gap(start / SAMPLE_RATE, end / SAMPLE_RATE, "INTERNAL_ERROR")

    def take_due(self, now: float) -> Gap | None:
        """The same, once the last one was told long enough ago."""
        return self.take(now) if now - self._told_at >= GAP_EVERY_S else None
