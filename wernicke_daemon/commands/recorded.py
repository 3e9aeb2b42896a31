"""What a microphone records: made 16 kHz mono, measured, and kept until somebody takes it. No device, no clock."""

import math
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ipc.audio_handle import SAMPLE_RATE
from wernicke_daemon.wire.downmix import Downmix

SILENCE_DB = -100.0
"""dBFS that stand for digital silence."""

FLOOR_DB = -60.0
"""dBFS at which a meter begins."""

METERS = 4
"""Channels that a meter line has room for."""


class Mono:
    """Interleaved float32 of a device → 16 kHz mono float32, both as bytes."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        """sample_rate: Hz, any."""
        import soxr

        self._channels = channels
        self._downmix = Downmix(channels, sample_rate)
        self._resampler = soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")

    def convert(self, data: bytes) -> tuple[bytes, list[float]]:
        """What `data` (whole frames) brings, and the peak of each channel in dBFS."""
        frames = np.nan_to_num(np.frombuffer(data, "<f4").reshape(-1, self._channels), posinf=0.0, neginf=0.0)
        return self._resampler.resample_chunk(self._downmix.mix(frames)).tobytes(), _peaks(frames)

    def drain(self) -> bytes:
        """The resampler's tail, at the end."""
        tail: bytes = self._resampler.resample_chunk(np.zeros(0, np.float32), last=True).tobytes()
        return tail


def _peaks(frames: NDArray[np.float32]) -> list[float]:
    if not len(frames):
        return [SILENCE_DB] * frames.shape[1]
    peaks: list[float] = np.abs(frames).max(axis=0).tolist()
    return [max(SILENCE_DB, 20 * math.log10(peak)) if peak > 0 else SILENCE_DB for peak in peaks]


class Backlog:
    """Audio that nobody took yet, at most `most` bytes: beyond that the oldest is lost. lost: bytes so far."""

    def __init__(self, most: int) -> None:
        self.lost = 0
        self._most = most
        self._chunks: deque[bytes] = deque()
        self._size = 0

    def put(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._size += len(chunk)
        while self._size > self._most:
            self.lost += len(self._take())

    def take(self) -> bytes | None:
        """The oldest; None where there is nothing."""
        return self._take() if self._chunks else None

    def _take(self) -> bytes:
        chunk = self._chunks.popleft()
        self._size -= len(chunk)
        return chunk


def meter(levels: Sequence[float], width: int = 20) -> str:
    """A line of bars. levels: peak of each channel, dBFS."""
    bars = [f"[{_bar(level, width)}]" for level in levels[:METERS]]
    loudest = max(levels)
    return f"level {' '.join(bars)} {f'{loudest:.0f} dB' if loudest > SILENCE_DB else 'no sound'}"


def _bar(level: float, width: int) -> str:
    full = round(width * min(1.0, max(0.0, 1 - level / FLOOR_DB)))
    return "#" * full + "-" * (width - full)
