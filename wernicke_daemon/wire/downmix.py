"""Several channels → one: their mean, or where that would cancel what was said, one of them. Pure.

A cable with one side inverted sends the same speech twice with opposite signs, and the mean of that is nothing. So the
mean is taken only as long as it loses no more than LARGEST_LOSS against the loudest channel.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

LARGEST_LOSS = 10 ** (6.5 / 10)
"""Ratio of powers. The mean of two channels of which one is silent loses 6.02 dB and cancels nothing, as in an
interview with a microphone for each: there the mean is right, as it has both voices."""

REGAINED = 10 ** (3 / 10)
"""Ratio of powers from which down the mean is taken again: what it loses of two channels with nothing in common."""

BLOCK_S = 0.01
"""Seconds between decisions, and seconds that the change from one choice to the next takes."""

MEMORY_S = 3.0
"""Time constant of the mean power that decides: speech outweighs the pause after it, and what is much louder than all
before it decides at once."""

LOUD = 1 / 100
"""A block within 20 dB of that mean power is no pause."""


class Downmix:
    """Of one stream. The same samples give the same result however they are split over calls."""

    def __init__(self, channels: int, sample_rate: int) -> None:
        """sample_rate: Hz."""
        self._choice = Choice(channels)
        self._before = self._choice.now  # what was chosen for the block before
        self._block = round(sample_rate * BLOCK_S)  # frames
        self._filled = 0  # frames that are here of the block that is not complete
        self._sums = np.zeros((2, channels + 1))  # over these: of each candidate, and of its squares

    @property
    def powers(self) -> tuple[float, ...]:
        """Mean square of each channel over the last MEMORY_S that were loud, and behind them that of their mean."""
        return tuple(self._choice.powers)

    def mix(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """frames: shape [n, channels], finite, of any scale. Returns shape [n] in the same scale, owned by the caller.

        What a block shows is acted on from the next block on, so that nothing is delayed.
        """
        candidates = _candidates(frames)
        mono: NDArray[np.float32] = candidates[-1].copy()
        if len(candidates) > 2 and len(mono):
            edges = self._edges(len(mono))
            powers = iter(self._powers(candidates, edges))
            for start, end in pairwise(edges):
                self._put(mono[start:end], candidates[:, start:end])
                if self._filled == self._block:
                    self._next_block(next(powers))
        return mono

    def _edges(self, count: int) -> list[int]:
        """Where the blocks begin and end in the next `count` frames."""
        return [0, *range(self._block - self._filled, count, self._block), count]

    def _powers(self, candidates: NDArray[np.float32], edges: list[int]) -> list[list[float]]:
        """Of each block that is complete now, of each candidate: mean square about the mean, so that an offset (direct
        current, as bad microphones have it) is not taken for sound."""
        values = candidates.astype(np.float64)
        sums = np.stack([np.add.reduceat(x, edges[:-1], axis=1) for x in (values, values * values)])
        sums[:, :, 0] += self._sums
        complete = (self._filled + edges[-1]) // self._block
        self._sums = sums[:, :, complete] if complete < sums.shape[2] else np.zeros_like(self._sums)
        means = sums[:, :, :complete] / self._block
        powers: list[list[float]] = np.maximum(means[1] - means[0] ** 2, 0).T.tolist()
        return powers

    def _put(self, mono: NDArray[np.float32], candidates: NDArray[np.float32]) -> None:
        """mono: the mean, of a block or part of one; becomes what was chosen."""
        now, at = self._choice.now, self._filled
        self._filled += len(mono)
        if now != self._before:
            share = np.arange(at + 1, self._filled + 1, dtype=np.float32) / np.float32(self._block)
            mono[:] = (1 - share) * candidates[self._before] + share * candidates[now]
        elif now != len(candidates) - 1:
            mono[:] = candidates[now]

    def _next_block(self, powers: list[float]) -> None:
        self._filled = 0
        self._before = self._choice.now
        self._choice.heard(powers)


class Choice:
    """now: index of what is to be taken, of the channels and, behind them, their mean. powers: of each of these."""

    def __init__(self, channels: int) -> None:
        self.now = self._mean = channels
        self.powers = [0.0] * (channels + 1)  # of each candidate, over MEMORY_S
        self._forgets = 1 - math.exp(-BLOCK_S / MEMORY_S)  # share of them that each block replaces

    def heard(self, powers: Sequence[float]) -> None:
        """powers: of each candidate in one block."""
        self.powers = [old + self._forgets * (new - old) for old, new in zip(self.powers, powers, strict=True)]
        loudest = _loudest(self.powers[: self._mean])
        if self.powers[loudest] < REGAINED * self.powers[self._mean]:
            self.now = self._mean
        elif self.powers[loudest] > LARGEST_LOSS * self.powers[self.now]:
            self.now = loudest
        elif self.now != self._mean:
            self._follow(powers, LOUD * self.powers[loudest])

    def _follow(self, powers: Sequence[float], least: float) -> None:
        """Another channel has the speech now: its first word can't wait until the mean power says so."""
        loudest = _loudest(powers[: self._mean])
        if powers[loudest] > max(least, LARGEST_LOSS * powers[self.now]):
            self.now = loudest


def _loudest(powers: Sequence[float]) -> int:
    return max(range(len(powers)), key=powers.__getitem__)


def _candidates(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """The channels, and behind them their mean: shape [channels + 1, n]. The mean is summed channel by channel, as
    numpy's reductions over a short axis are ten times slower."""
    channels = frames.shape[1]
    candidates = np.empty((channels + 1, len(frames)), np.float32)
    candidates[:channels] = frames.T
    mean = candidates[channels]
    mean[:] = candidates[0]
    for channel in range(1, channels):
        mean += candidates[channel]
    mean /= np.float32(channels)
    return candidates
