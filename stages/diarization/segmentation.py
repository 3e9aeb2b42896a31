"""What a segmentation model says of its windows: who speaks in each frame. Pure.

Such a model is given some seconds of audio and tells up to three speakers apart in it, in no particular order: the
first speaker of one window need not be the first of the next.
"""

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ipc.audio_handle import Audio

Activity = NDArray[np.floating[Any]]
"""[windows, frames, speakers] or [frames, speakers], from 0 to 1."""

ACTIVE = 0.5
"""Activity from which somebody speaks: the threshold of pyannote's pipelines with models of several labels."""


class Frames(NamedTuple):
    """step: seconds from one frame to the next. first: second of the window at which its first frame begins."""

    step: float
    first: float

    def second(self, edge: int) -> float:
        """At which the frame of that number begins, and the one before it ends."""
        return self.first + edge * self.step


def cut(audio: Audio, length: int, step: int) -> Audio:
    """[windows, length]: the audio in windows, one each `step` samples; the last is filled up with silence."""
    count = 1 + max(0, -(-(len(audio) - length) // step))
    padded = np.zeros((count - 1) * step + length, np.float32)
    padded[: len(audio)] = audio
    return np.lib.stride_tricks.sliding_window_view(padded, length)[::step]


def from_powerset(scores: Activity, speakers: int, together: int) -> Activity:
    """[…, speakers], 0 or 1: who speaks by the likeliest class of each frame.

    scores: […, classes], of any scale: nobody, each speaker alone, each pair, … up to `together` of them, in that order
    (Plaquet and Bredin, Interspeech 2023).
    """
    classes = [who for count in range(together + 1) for who in combinations(range(speakers), count)]
    table = np.zeros((len(classes), speakers), np.float32)
    for row, who in enumerate(classes):
        table[row, list(who)] = 1
    found: Activity = table[scores.argmax(axis=-1)]
    return found
