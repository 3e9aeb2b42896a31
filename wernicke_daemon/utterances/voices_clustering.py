"""Which stretches of speech are one voice: agglomerative clustering of all of a session's. Pure.

Two clusters are one voice where their pieces are about as alike to the other's as to each other, on average, weighted
by seconds of clean speech: voices differ in how alike they sound to themselves, and a noisy room makes all of them less
so. (That is half the squared distance of their mean vectors, less what is due to the scatter of few pieces.) What must
not be one voice (two people in one utterance) never is.

Averages over pairs do not change where pieces are merged into one row beforehand.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Column = NDArray[np.float32]
Labels = NDArray[np.intp]
Mask = NDArray[np.bool_]

NEVER = np.float32(-np.inf)

PRIOR = 3.0
"""Weight of what is expected of any voice, in pairs of one second each: little against two sentences of this one."""

SCATTERED_S = 1.5
"""Seconds of one piece that is by `tolerance` less alike to its own voice in one of twenty cases, for its scatter; of
half of it by twice as much (docs/quality.md)."""


@dataclass(frozen=True)
class Count:
    """How many voices there are: at least, at most."""

    least: int = 1
    most: int | None = None  # None for any number

    def wants_more(self, clusters: int) -> bool:
        """Whether so many are too few to be joined further, however alike they are."""
        return clusters <= self.least

    def wants_fewer(self, clusters: int) -> bool:
        """Whether so many are joined further, however different they are."""
        return self.most is not None and clusters > self.most


@dataclass(frozen=True)
class Likeness:
    """same: cosine that two pieces of one voice have on average. tolerance: how much less it may be between two
    clusters of one voice than within them."""

    same: float
    tolerance: float

    @property
    def doubtful(self) -> float:
        """From which little speech, whose embedding is scattered, is more likely of one voice than of another."""
        return self.same - 2 * self.tolerance


def clustered(pairs: Matrix, seconds: Column, squares: Column, apart: Mask, likeness: Likeness, count: Count) -> Labels:
    """[n]: the cluster of each row, numbered in order of first appearance.

    A row is a piece, or several; a pair of pieces weighs the product of their seconds. pairs: [n, n], sums of how
    alike the pieces of each two rows are, none with itself. seconds: [n]. squares: [n], sums of the squared seconds of
    the pieces. apart: [n, n], symmetric: what is not one voice, whatever it sounds like. With
    `apart` there may be more clusters than `count` wants.
    """
    found = _Clusters(pairs, seconds, squares, apart, likeness)
    while found.number > 1 and not count.wants_more(found.number):
        first, second = found.most_alike()
        far = found.margin[first, second] < -likeness.tolerance
        if found.margin[first, second] == NEVER or (far and not count.wants_fewer(found.number)):
            break
        found.join(first, second)
    for label in np.argsort(found.seconds).tolist():
        if not count.wants_more(found.number):
            found.join_if_little(label)
    return in_order_of_appearance(found.labels)


class _Clusters:
    """Row i of each array is the cluster whose first row that was; those that are part of another count no more.
    margin: [n, n], how much more alike two are than the pieces of each among each other."""

    def __init__(self, pairs: Matrix, seconds: Column, squares: Column, apart: Mask, likeness: Likeness) -> None:
        self.number = len(pairs)
        self.labels: Labels = np.arange(self.number)
        self.seconds, self._squares = seconds.copy(), squares.copy()
        self._pairs = pairs.astype(np.float32)
        self._likeness = likeness
        self._own = self._among(slice(None), np.diag(pairs))
        self.margin = np.where(apart, NEVER, pairs / np.outer(seconds, seconds) - (self._own[:, None] + self._own) / 2)
        np.fill_diagonal(self.margin, NEVER)

    def most_alike(self) -> tuple[int, int]:
        first, second = divmod(int(self.margin.argmax()), len(self.margin))
        return first, second

    def join(self, first: int, second: int) -> None:
        """Put the second into the first."""
        self.number -= 1
        self.labels[self.labels == second] = first
        self._pairs[first] += self._pairs[second]
        self._pairs[:, first] += self._pairs[:, second]
        for column in (self.seconds, self._squares):
            column[first] += column[second]
        self._own[first] = self._among(first, self._pairs[first, first])
        never = (self.margin[first] == NEVER) | (self.margin[second] == NEVER)
        alike = self._pairs[first] / (self.seconds[first] * self.seconds)
        row = np.where(never, NEVER, alike - (self._own[first] + self._own) / 2)
        self.margin[first], self.margin[:, first] = row, row
        self.margin[second], self.margin[:, second] = NEVER, NEVER

    def join_if_little(self, label: int) -> None:
        """Put a cluster into the one with more speech that it is most like, where the scatter of so little explains
        that it is not more so."""
        margin = np.where(self.seconds >= self.seconds[label], self.margin[label], NEVER)
        scattered = min(1.0, SCATTERED_S / math.sqrt(self._squares[label]))
        if margin.max() >= -self._likeness.tolerance * (1 + scattered):
            self.join(int(margin.argmax()), label)

    def _among(self, which: int | slice, pairs: Column) -> Column:
        """How alike the pieces of a cluster are among each other: with what is expected of any, as long as they are
        few."""
        others = np.maximum(self.seconds[which] ** 2 - self._squares[which], 0)  # without each piece with itself
        mean: Column = (pairs + PRIOR * self._likeness.same) / (others + PRIOR)
        return mean


def in_order_of_appearance(labels: Labels) -> Labels:
    """The same partition numbered 0, 1, … by first occurrence."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return first.argsort().argsort()[inverse]
