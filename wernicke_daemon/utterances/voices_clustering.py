"""Which stretches of speech are one voice: agglomerative clustering of all of a session's. Pure.

Two clusters are one voice where their pieces are about as alike to the other's as to each other, on average, weighted
by seconds of clean speech: voices differ in how alike they sound to themselves, and a noisy room makes all of them less
so. (That is half the squared distance of their mean vectors, less what is due to the scatter of few pieces.) What must
not be one voice (two people in one utterance) never is.

Averages over pairs do not change where pieces are merged into one row beforehand.
"""

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

    A row is a piece, or several; a pair of pieces weighs the product of their seconds. pairs: [n, n], sums of the
    cosines between the pieces of each two rows, each with itself included. seconds: [n]. squares: [n], sums of the
    squared seconds of the pieces. apart: [n, n], symmetric: what is not one voice, whatever it sounds like. With
    `apart` there may be more clusters than `count` wants.
    """
    size = len(pairs)
    labels = np.arange(size)
    pairs, seconds, squares = pairs.astype(np.float32), seconds.copy(), squares.copy()
    own = _own(np.diag(pairs), seconds, squares, likeness)
    margin = np.where(apart, NEVER, pairs / np.outer(seconds, seconds) - (own[:, None] + own) / 2)
    np.fill_diagonal(margin, NEVER)
    for clusters in range(size, 1, -1):
        first, second = divmod(int(margin.argmax()), size)
        most = margin[first, second]
        far = most < -likeness.tolerance
        if most == NEVER or count.wants_more(clusters) or (far and not count.wants_fewer(clusters)):
            break
        labels[labels == second] = first
        _join(first, second, pairs, seconds, squares)
        own[first] = _own(pairs[first, first], seconds[first], squares[first], likeness)
        never = (margin[first] == NEVER) | (margin[second] == NEVER)
        row = np.where(never, NEVER, pairs[first] / (seconds[first] * seconds) - (own[first] + own) / 2)
        margin[first], margin[:, first] = row, row
        margin[second], margin[:, second] = NEVER, NEVER
    return in_order_of_appearance(labels)


def _join(first: int, second: int, pairs: Matrix, seconds: Column, squares: Column) -> None:
    """Put the second cluster into the first, in place."""
    pairs[first] += pairs[second]
    pairs[:, first] += pairs[:, second]
    seconds[first] += seconds[second]
    squares[first] += squares[second]


def _own(pairs: Column, seconds: Column, squares: Column, likeness: Likeness) -> Column:
    """How alike the pieces of a cluster are among each other: with what is expected of any, as long as they are few."""
    others = np.maximum(seconds * seconds - squares, 0)  # without each piece with itself, whose cosine is 1
    mean: Column = (pairs - squares + PRIOR * likeness.same) / (others + PRIOR)
    return mean


def in_order_of_appearance(labels: Labels) -> Labels:
    """The same partition numbered 0, 1, … by first occurrence."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return first.argsort().argsort()[inverse]
