"""Audio and video files, decoded to PCM in chunks, and sent in real time where they replace a microphone."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ipc.errors import WernickeError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.container import InputContainer

Chunk = NDArray[np.float32]
"""Interleaved samples, shape [frames, channels], nominally in [-1, 1]."""

_LAYOUTS = {1: "mono", 2: "stereo"}


class MediaError(WernickeError):
    """Audio can't be read; the message names the file or device."""

    code = "INPUT_UNREADABLE"


def duration(path: Path) -> float | None:
    """Seconds of audio by the file's own account, None where it gives none. Raises MediaError."""
    with _opened(path) as container:
        stream = container.streams.audio[0]
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        return container.duration / 1_000_000 if container.duration is not None else None


def decode(path: Path, sample_rate: int, channels: int, chunk_s: float = 0.1) -> Iterator[Chunk]:
    """The first audio stream at sample_rate Hz with 1 or 2 channels, in chunks of chunk_s seconds (the last shorter).

    Raises MediaError, also in the middle of a damaged file.
    """
    from av import AudioResampler

    resampler = AudioResampler("flt", _LAYOUTS[channels], sample_rate, round(sample_rate * chunk_s))
    with _opened(path) as container:
        for frame in container.decode(container.streams.audio[0]):
            yield from _samples(resampler.resample(frame), channels)
        yield from _samples(resampler.resample(None), channels)


def _samples(frames: "list[AudioFrame]", channels: int) -> Iterator[Chunk]:
    for frame in frames:
        yield np.asarray(frame.to_ndarray(), dtype=np.float32).reshape(-1, channels)


@contextmanager
def _opened(path: Path) -> "Iterator[InputContainer]":
    import av

    try:
        with av.open(str(path.absolute())) as container:  # FFmpeg takes "2026-01-01T10:30.wav" for an address
            if not container.streams.audio:
                raise MediaError(f"{path} holds no audio.")
            yield container
    # ValueError: a stream that changes its format midway.
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(f"{path} can't be read: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


async def stream(chunks: Iterable[Chunk], sample_rate: int, *, realtime: bool) -> AsyncIterator[bytes]:
    """Chunks as f32le bytes; in real time each when a microphone would have it complete, without drift."""
    begin = time.monotonic()
    frames = 0
    for chunk in chunks:
        frames += len(chunk)
        due = begin + frames / sample_rate if realtime else 0.0
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        yield chunk.astype("<f4", copy=False).tobytes()
