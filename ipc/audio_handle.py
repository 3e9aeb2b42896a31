"""What is passed between processes in place of audio: where in shared memory the samples lie."""

import msgspec
import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Hz of all audio inside the daemon (mono float32): what Whisper, Silero and pyannote take."""

VAD_WINDOW = 512
"""Samples that voice activity detection looks at together (32 ms): the window that Silero takes at 16 kHz."""

Audio = NDArray[np.float32]
"""Samples of 16 kHz mono audio, shape [n], nominally in [-1, 1]."""


class AudioHandle(msgspec.Struct, frozen=True):
    """A range of 16 kHz mono float32 samples in one ring of the arena.

    arena: name of the shared-memory segment. slot: index of the ring in it.
    generation: which connection the slot belonged to when the handle was made.
    start: number of the first sample, counted from the connection's first. count: number of samples.
    """

    arena: str
    slot: int
    generation: int
    start: int
    count: int

    @property
    def end(self) -> int:
        return self.start + self.count

    @property
    def seconds(self) -> float:
        return self.count / SAMPLE_RATE
