"""Speakers of single windows put together to speakers of the whole utterance, by what overlapping windows share. Pure.

Two windows that overlap have heard the same sound for some seconds; who speaks there in both at the same time is one
speaker. All pairs are looked at before any two are joined, the most alike first: a window that has mistaken two people
for one then can't lead the windows after it astray.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.diarization.segmentation import ACTIVE, Activity

ALIKE = 0.5
"""Share of their activity in the frames they have in common (Dice) from which two speakers of windows are joined."""

Floats = NDArray[np.float64]


class Stitched(NamedTuple):
    """Mean activities over the windows that heard the frame. tracks: [frames, speakers of the utterance]. speech:
    [frames], of whoever speaks most in it. overlap: [frames], of whoever speaks second."""

    tracks: Floats
    speech: Floats
    overlap: Floats


def stitched(windows: Activity, starts: Sequence[int]) -> Stitched:
    """windows: [windows, frames, speakers]. starts: of each window, in frames of the utterance, ascending."""
    count, length, _ = windows.shape
    nodes = [(w, s) for w in range(count) for s in np.flatnonzero(windows[w].max(axis=0) >= ACTIVE).tolist()]
    groups = joined(nodes, *agreement(windows, starts, nodes))
    total = starts[-1] + length
    tracks, heard, ranked = np.zeros((total, len(groups))), np.zeros(total), np.zeros((total, 2))
    for w, start in enumerate(starts):
        heard[start : start + length] += 1
        ranked[start : start + length] += two_most(windows[w])
    for track, group in enumerate(groups):
        for w, s in group:
            tracks[starts[w] : starts[w] + length, track] += windows[w, :, s]
    ranked /= np.maximum(heard, 1)[:, None]
    return Stitched(tracks / np.maximum(heard, 1)[:, None], ranked[:, 0], ranked[:, 1])


def two_most(window: Activity) -> Floats:
    """[frames, 2]: the largest activity of each frame and the one after it."""
    padded = np.zeros((len(window), max(2, window.shape[1])))
    padded[:, : window.shape[1]] = window
    return -np.sort(-padded, axis=1)[:, :2]


def agreement(windows: Activity, starts: Sequence[int], nodes: Sequence[tuple[int, int]]) -> tuple[Floats, Floats]:
    """Two matrices [nodes, nodes]: activity that two have in common in the frames that both windows heard, and all of
    theirs there. Zero for nodes of one window, and of windows that do not overlap."""
    length = windows.shape[1]
    shared, whole = np.zeros((len(nodes), len(nodes))), np.zeros((len(nodes), len(nodes)))
    for i, (w, s) in enumerate(nodes):
        for j in range(i + 1, len(nodes)):
            v, t = nodes[j]
            shift = starts[v] - starts[w]
            if 0 < shift < length:
                one, other = windows[w, shift:, s], windows[v, : length - shift, t]
                shared[i, j] = shared[j, i] = 2 * np.minimum(one, other).sum()
                whole[i, j] = whole[j, i] = one.sum() + other.sum()
    return shared, whole


def joined(nodes: Sequence[tuple[int, int]], shared: Floats, whole: Floats) -> list[list[tuple[int, int]]]:
    """Groups of nodes, never two of one window in one group."""
    groups = [[node] for node in nodes]
    apart = np.array([[w == v for v, _ in nodes] for w, _ in nodes], bool).reshape(len(nodes), len(nodes))
    shared, whole = shared.copy(), whole.copy()
    while len(groups) > 1:
        alike = np.where(apart, -1.0, shared / np.maximum(whole, 1.0))
        i, j = sorted(divmod(int(alike.argmax()), len(groups)))
        if alike[i, j] < ALIKE:
            break
        groups[i] += groups.pop(j)
        for matrix in (shared, whole):
            matrix[i] += matrix[j]
            matrix[:, i] += matrix[:, j]
        apart[i] |= apart[j]
        apart[:, i] |= apart[:, j]
        shared, whole, apart = (np.delete(np.delete(m, j, 0), j, 1) for m in (shared, whole, apart))
    return groups
