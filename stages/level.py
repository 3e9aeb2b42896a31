"""Speech that is quiet but there is brought up before it is examined and recognised. Pure.

A microphone may be 60 dB too low. Silero no longer hears speech whose loudest windows are below -63 dBFS (measured on a
Japanese meeting), and Whisper cuts the logarithm of its spectrum off at a fixed level. The loudest part of speech says
by how much it is too low: there is a gain only where that is below TARGET_DB, and none for sound that stays near the
quietest of the last while, as noise does.
"""

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ipc.audio_handle import SAMPLE_RATE, VAD_WINDOW, Audio

TARGET_DB = -30.0
"""dBFS (RMS of a window) that the loudest part of speech is brought up to: the lower end of what is usual. Where it is
there, nothing changes."""

MOST_DB = 60.0
"""The largest gain."""

CONTRAST_DB = 10.0
"""What is less than that above the quietest of the last while is noise: steady noise varies by 1 to 5 dB, and speech
that can be understood is at least so much louder than the noise around it."""

SILENCE_DB = -120.0
"""Stands for anything quieter: far below the noise of any microphone."""

_WINDOW_S = VAD_WINDOW / SAMPLE_RATE
_STEP_DB = 3.0
"""By which one window takes the loudest and the quietest along: a click of two windows hardly counts, a syllable does.
"""

_LOUDEST_FALLS_DB = 0.5 * _WINDOW_S
_QUIETEST_RISES_DB = 1.0 * _WINDOW_S
"""In a window. In the pauses of a conversation they hardly move; half a minute after a speaker has left, they do."""

_LOUD_SHARE, _QUIET_SHARE = 95, 5
"""Percentiles of an utterance's windows: its loudest part without single clicks, and the noise under it."""


class Level(msgspec.Struct, frozen=True, array_like=True):
    """Of one stream, in dBFS: the loudest and the quietest of the last while."""

    loudest: float
    quietest: float


class Heard(NamedTuple):
    """Of windows, in dB, shape [windows] each. db: RMS re full scale. gain: what each is to be brought up by. contrast:
    how far each is above the quietest of the last while."""

    db: NDArray[np.float64]
    gain: NDArray[np.float64]
    contrast: NDArray[np.float64]


def follow(levels: Sequence[Level | None], db: NDArray[np.float64], counts: Sequence[int]) -> tuple[Heard, list[Level]]:
    """The next windows of several streams, and the level of each after them. levels: before them, None before the
    first. db: of the windows, those of each stream one after another, `counts` (one at least) by stream. The same
    however a stream is split over calls. A window's gain depends on those before it, and on itself if it is louder."""
    windows = iter(db.tolist())
    ends, along = [], []
    for level, count in zip(levels, counts, strict=True):
        for window in islice(windows, count):
            level = _after(level, window)
            along.append(level)
        ends.append(along[-1])
    loudest = np.maximum([level.loudest for level in along], db)
    quietest = np.array([level.quietest for level in along])
    return Heard(db, _gain(loudest, quietest), db - quietest), ends


def brought_up(samples: Audio) -> Audio:
    """An utterance (shape [n]) for recognition: the same samples, or all of them with one gain."""
    if not len(samples):
        return samples
    quiet, loud = np.percentile(windows_db(samples), (_QUIET_SHARE, _LOUD_SHARE))
    gain = _gain(loud, quiet)
    return samples * factor(gain) if gain else samples


def factor(gain: NDArray[np.float64]) -> NDArray[np.float32]:
    """dB → what samples are multiplied by."""
    return np.power(10.0, gain / 20).astype(np.float32)


def windows_db(samples: Audio) -> NDArray[np.float64]:
    """RMS re full scale of each VAD_WINDOW in dB, SILENCE_DB at least; of an incomplete last one, of what is there."""
    count = -(-len(samples) // VAD_WINDOW)
    windows = np.zeros((count, VAD_WINDOW), np.float32)
    windows.reshape(-1)[: len(samples)] = samples
    sizes = np.full(count, VAD_WINDOW, np.float32)
    sizes[-1] -= count * VAD_WINDOW - len(samples)
    return rms_db(windows, sizes)


def rms_db(windows: Audio, sizes: NDArray[np.float32]) -> NDArray[np.float64]:
    """RMS re full scale in dB, SILENCE_DB at least. windows: float32 [windows, VAD_WINDOW], zero beyond the `sizes`
    samples that each has."""
    squares = np.einsum("ij,ij->i", windows, windows) / sizes
    db: NDArray[np.float64] = 10 * np.log10(np.maximum(squares.astype(np.float64), 10 ** (SILENCE_DB / 10)))
    return db


def _after(level: Level | None, db: float) -> Level:
    if level is None:
        return Level(db, db)
    loudest = max(level.loudest - _LOUDEST_FALLS_DB, min(db, level.loudest + _STEP_DB))
    quietest = min(level.quietest + _QUIETEST_RISES_DB, max(db, level.quietest - _STEP_DB))
    return Level(loudest, quietest)


def _gain(loudest: NDArray[np.float64], quietest: NDArray[np.float64]) -> NDArray[np.float64]:
    needed = np.clip(TARGET_DB - loudest, 0.0, MOST_DB)
    return np.where(loudest - quietest >= CONTRAST_DB, needed, 0.0)
