"""What the recogniser's speed allows before an utterance has ended. Pure.

The silence that ends an utterance leaves `window_s` after the pause at which early work begins: what is done by then
makes the final no later.
"""

from typing import Literal

from wernicke_daemon.dispatch.speed import Speed

NEXT_PHRASE_S = 2.0
"""Seconds of audio by which the next phrase is taken to be longer."""

KEEPS_UP = 0.8
"""Of its own length, what the recognition of a phrase may take: more phrases of that kind would pile up."""

LIVE_LENGTHS_S = (10.0, 7.0, 5.0, 3.5, 2.5, 1.5)
"""Seconds of audio that a live pass may hold. More takes too long on any machine, less tells nothing."""


class Pace:
    def __init__(self, final: Literal["auto", "whole", "phrases"], window_s: float) -> None:
        self._final = final
        self._window_s = window_s
        self.forget()

    def forget(self) -> None:
        """Another process recognises from now on, maybe with another engine."""
        self._whole = Speed()  # of firm and early jobs
        self._live = Speed()

    def took(self, live: bool, audio_s: float, work_s: float) -> None:
        (self._live if live else self._whole).took(audio_s, work_s)

    def keeps(self, audio_s: float) -> bool:
        """Whether so much audio is recognised once for good, rather than again with the phrase that follows it."""
        if self._final != "auto":
            return self._final == "phrases"
        if not self._whole.known:
            return False
        too_long_again = self._whole.seconds(audio_s + NEXT_PHRASE_S) > self._window_s
        return too_long_again and self._whole.seconds(audio_s) <= KEEPS_UP * audio_s

    def in_time(self, audio_s: float) -> bool:
        """Whether to begin with so much audio at a pause. A phrase that is kept is never done for nothing; work on the
        whole, if speech goes on, would hold up what comes next where it takes longer than the window. The first time is
        tried."""
        return not self._whole.known or self.keeps(audio_s) or self._whole.seconds(audio_s) <= self._window_s

    @property
    def live_s(self) -> float:
        """How many seconds of audio a live pass may hold; 0 where the recogniser is too slow for any. One that began
        just before the pause is over in time for early work."""
        if not (self._live.known or self._whole.known):
            return LIVE_LENGTHS_S[0]
        return next((audio_s for audio_s in LIVE_LENGTHS_S if self._live_takes(audio_s) <= self._window_s), 0.0)

    def _live_takes(self, audio_s: float) -> float:
        """Seconds. Firm work takes longer than live work, so where that is fast the recogniser is, whatever held up the
        last live pass."""
        return min(speed.seconds(audio_s) for speed in (self._live, self._whole) if speed.known)
