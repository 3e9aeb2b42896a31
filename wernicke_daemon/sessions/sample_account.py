"""What became of a session's samples: each was in an utterance, or was lost, or was silence. Pure."""

from ipc.audio_handle import SAMPLE_RATE


class SampleAccount:
    """utterances, lost: 16 kHz samples so far, each counted once; utterances may overlap where one was cut for its
    length."""

    def __init__(self, first: int) -> None:
        """first: number of the session's first sample."""
        self.utterances = 0
        self.lost = 0
        self._first = first
        self._reached = first

    def utterance(self, start: int, end: int) -> None:
        self.utterances += self._new(start, end)

    def gap(self, start: int, end: int) -> None:
        self.lost += self._new(start, end)

    def _new(self, start: int, end: int) -> int:
        new = max(0, end - max(start, self._reached))
        self._reached = max(self._reached, end)
        return new

    def seconds(self, end: int) -> dict[str, float]:
        """end: number after that of the last sample; all before it have been examined. The last three sum up to the
        first."""
        received = end - self._first
        parts = {
            "received_s": received,
            "utterances_s": self.utterances,
            "silence_s": received - self.utterances - self.lost,
            "lost_s": self.lost,
        }
        return {name: round(samples / SAMPLE_RATE, 3) for name, samples in parts.items()}
