"""What happens when the language model (Ollama) is late several times in a row: it is left alone for a while. Pure.

Otherwise every result waits for `correction.deadline_s` for nothing. Times are seconds of the front's monotonic clock.
"""

TRIPS_AFTER = 3
PROBE_EVERY_S = 30.0


class Breaker:
    """Leaves the LLM alone after TRIPS_AFTER time-outs in a row, but for one try every PROBE_EVERY_S seconds."""

    def __init__(self) -> None:
        self._late_in_a_row = 0
        self._next_probe = 0.0

    def answered(self) -> None:
        """In time, with whatever."""
        self._late_in_a_row = 0

    def too_late(self, now: float) -> None:
        self._late_in_a_row += 1
        self._next_probe = now + PROBE_EVERY_S

    def lets_through(self, now: float) -> bool:
        """Whether to ask the LLM now. Where it is left alone otherwise, a True is the one try."""
        if self._late_in_a_row < TRIPS_AFTER:
            return True
        if now < self._next_probe:
            return False
        self._next_probe = now + PROBE_EVERY_S
        return True
