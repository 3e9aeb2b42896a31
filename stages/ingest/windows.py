"""Windows of several streams, one below the other, so that one call serves them all."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ipc.audio_handle import VAD_WINDOW, Audio


class Windows(NamedTuple):
    """rows: each window with what lay before it, float32 [windows, context + VAD_WINDOW], an incomplete one padded with
    zeros. sizes: samples of each that are there, float32 [windows]. counts: windows of each stream. contexts: the last
    samples of each stream, which go before its next window."""

    rows: Audio
    sizes: NDArray[np.float32]
    counts: list[int]
    contexts: list[bytes]


def windows_of(streams: Sequence[Audio], contexts: Sequence[bytes]) -> Windows:
    """streams: the next samples of each, shape [n], n > 0. contexts: float32 samples before them, as many of each."""
    context = len(contexts[0]) // 4
    counts = [-(-len(samples) // VAD_WINDOW) for samples in streams]
    line = np.zeros(sum(counts) * VAD_WINDOW + context * len(counts), np.float32)
    starts, after, at = list[int](), list[bytes](), 0
    for samples, before, count in zip(streams, contexts, counts, strict=True):
        end = at + context + len(samples)
        line[at : at + context] = np.frombuffer(before, np.float32)
        line[at + context : end] = samples
        after.append(line[end - context : end].tobytes())
        starts += range(at, at + count * VAD_WINDOW, VAD_WINDOW)
        at += context + count * VAD_WINDOW
    rows = sliding_window_view(line, context + VAD_WINDOW)[starts]
    return Windows(rows, _sizes(streams, counts), counts, after)


def _sizes(streams: Sequence[Audio], counts: list[int]) -> NDArray[np.float32]:
    sizes = np.full(sum(counts), VAD_WINDOW, np.float32)
    last = np.cumsum(counts) - 1
    sizes[last] = [len(samples) - (count - 1) * VAD_WINDOW for samples, count in zip(streams, counts, strict=True)]
    return sizes
