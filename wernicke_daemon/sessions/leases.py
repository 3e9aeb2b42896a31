"""Which samples of a session are still needed, and by whom. Pure.

- Ingest needs all from `retain_from` on: an utterance, open or to come, may begin there.
- The stages need an utterance's audio until the last of them has read it: its *lease*. The ring keeps that.
- The journal keeps an utterance's audio until its result is kept: until then it is *not final*.
"""


class Leases:
    """Of utterances, by sequence. retain_from: first sample that ingest needs."""

    def __init__(self, first_sample: int) -> None:
        self.retain_from = first_sample
        self._leased: dict[int, int] = {}
        self._not_final: dict[int, int] = {}

    def __len__(self) -> int:
        """Utterances that are not final."""
        return len(self._not_final)

    @property
    def audio_is_read(self) -> bool:
        """Some utterance is not recognised or not diarized yet."""
        return bool(self._leased)

    def begin(self, sequence: int, start: int) -> None:
        """An utterance whose first sample is `start` is under way."""
        self._leased[sequence] = self._not_final[sequence] = start

    def release_audio(self, sequence: int) -> None:
        """No stage reads its audio any more."""
        del self._leased[sequence]

    def release_result(self, sequence: int) -> None:
        """Its result is kept: it is final."""
        del self._not_final[sequence]

    def ring_floor(self) -> int:
        """First sample that the ring must keep."""
        return min(self.retain_from, *self._leased.values()) if self._leased else self.retain_from

    def final_before(self) -> int:
        """First sample that the journal must keep: all before it is final."""
        return min(self.retain_from, *self._not_final.values()) if self._not_final else self.retain_from

    def first_not_final(self, next_sequence: int) -> int:
        """Sequence of the first utterance that is not final. next_sequence: where all are, of the next one to come."""
        return min(self._not_final, default=next_sequence)
