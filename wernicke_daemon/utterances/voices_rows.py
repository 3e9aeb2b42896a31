"""What is kept of the speech of a session's voices: one row for each stretch, few rows for much of it. Pure.

A row is a mean of vectors, weighted by seconds of clean speech, so that two rows of one voice can be made one without
changing what clusters are like on average (`voices_clustering`). So ten hours take no more than ten minutes.

Vectors are not of length 1: the embedding of little speech is the voice and much scatter, so that two of one voice are
less alike the shorter they are, and one threshold would not fit all. Each is scaled so that the product of any two is
how alike endless stretches of the same voices would be (correction for attenuation; Spearman, "The proof and
measurement of association between two things", 1904).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from wernicke_daemon.utterances.voiceprints import Heard
from wernicke_daemon.utterances.voices_clustering import NEVER, Mask, Matrix

MOST = 100
"""Rows: some minutes of lively talk one by one; clustering them takes about 3 ms."""

SCATTER_S = 0.25
"""Seconds of speech in whose embedding voice and scatter are equal parts: with this, pairs of GE2E embeddings of one
voice, and those of two, are equally alike on average from half a second to six (docs/quality.md)."""

NOBODY = -1
"""The voice of a row whose cluster is too little to be one."""

Seconds = NDArray[np.float32]
Numbers = NDArray[np.intp]
Vector = NDArray[np.float32]


def certainty(seconds: float) -> float:
    """Share of the voice in an embedding of so much speech: what is left of how alike two such of one voice are."""
    return seconds / (seconds + SCATTER_S)


def corrected(embedding: Sequence[float], seconds: float) -> Vector | None:
    """The vector of a stretch with so much clean speech; None where the embedding means nothing (empty, not finite, all
    zero)."""
    length = math.hypot(*embedding)
    if not (0 < length < math.inf and seconds > 0):
        return None
    return np.array(embedding, np.float32) / np.float32(math.sqrt(certainty(seconds)) * length)


class SavedRow(msgspec.Struct, frozen=True):
    """voice: its number, NOBODY for none. squares: see `Rows`. mean: float16. apart: numbers of earlier rows that are
    another voice."""

    voice: int
    seconds: float
    squares: float
    mean: bytes
    apart: tuple[int, ...] = ()


@dataclass
class Rows:
    """Row i of each array is one stretch of speech, or several of one voice, oldest first."""

    means: Matrix  # [n, d]
    seconds: Seconds  # [n], of clean speech
    squares: Seconds  # [n], sum of the squared seconds of what was made one
    alike: Matrix  # [n, n], products of the means
    apart: Mask  # [n, n], symmetric: not one voice, as they were told apart within an utterance
    voices: Numbers  # [n], numbers of voices, NOBODY for none
    ids: list[int]  # [n], by which a row is found again
    next_id: int = 0
    moved: dict[int, int | None] = field(default_factory=dict)  # now part of others, or dropped; by id

    @classmethod
    def none(cls, dimensions: int, next_id: int = 0) -> "Rows":
        column, square = np.zeros(0, np.float32), np.zeros((0, 0), np.float32)
        means = np.zeros((0, dimensions), np.float32)
        return cls(means, column, column, square, square.astype(bool), column.astype(np.intp), [], next_id)

    @classmethod
    def loaded(cls, saved: Sequence[SavedRow]) -> "Rows":
        """Rows of one length, as `saved` gave them."""
        size = len(saved)
        if not saved:
            return cls.none(0)
        means = np.array([np.frombuffer(row.mean, np.float16) for row in saved], np.float32)
        apart = np.zeros((size, size), bool)
        for at, row in enumerate(saved):
            apart[at, list(row.apart)] = apart[list(row.apart), at] = True
        seconds = np.array([row.seconds for row in saved], np.float32)
        voices = np.array([row.voice for row in saved], np.intp)
        squares = np.array([row.squares for row in saved], np.float32)
        return cls(means, seconds, squares, means @ means.T, apart, voices, list(range(size)), size)

    def saved(self) -> tuple[SavedRow, ...]:
        return tuple(
            SavedRow(
                int(self.voices[at]),
                round(float(self.seconds[at]), 2),
                round(float(self.squares[at]), 2),
                self.means[at].astype(np.float16).tobytes(),
                tuple(np.flatnonzero(self.apart[at, :at]).tolist()),
            )
            for at in range(len(self.ids))
        )

    def copy(self) -> "Rows":
        """For another course of things; rows that are gone are not known to it."""
        means, seconds, squares = self.means.copy(), self.seconds.copy(), self.squares.copy()
        alike, apart, voices = self.alike.copy(), self.apart.copy(), self.voices.copy()
        return Rows(means, seconds, squares, alike, apart, voices, [*self.ids], self.next_id)

    def heard(self, own: Mask) -> Heard:
        """What some of them sound like together. own: [n], which ones; one at least."""
        seconds = self.seconds[own]
        return Heard(np.average(self.means[own], axis=0, weights=seconds).astype(np.float32), float(seconds.sum()))

    # --- what becomes of them ---

    def add(self, means: Matrix, seconds: Seconds, apart: Mask) -> list[int]:
        """Stretches of one utterance, and which of them are told apart: [k, d], [k], [k, k]. Their ids."""
        old, new = len(self.ids), len(means)
        self.means = np.concatenate([self.means, means])
        self.seconds = np.concatenate([self.seconds, seconds])
        self.squares = np.concatenate([self.squares, seconds * seconds])
        self.voices = np.concatenate([self.voices, np.full(new, NOBODY, np.intp)])
        self.apart = np.pad(self.apart, (0, new))
        self.apart[old:, old:] = apart
        self.alike = np.pad(self.alike, (0, new))
        self.alike[old:] = means @ self.means.T
        self.alike[:, old:] = self.alike[old:].T
        ids = list(range(self.next_id, self.next_id + new))
        self.ids += ids
        self.next_id += new
        return ids

    def bound(self, most: int = MOST) -> None:
        """No more rows than that: the most alike ones of one voice become one. Where each is another voice, or nobody
        knows whose, the one with the least speech goes."""
        while len(self.ids) > most:
            one_voice = (self.voices[:, None] == self.voices) & (self.voices != NOBODY)
            alike = np.where(one_voice & ~self.apart, self.alike, NEVER)
            alike[np.tril_indices(len(alike))] = NEVER
            first, second = divmod(int(alike.argmax()), len(alike))
            if alike[first, second] == NEVER:
                self._drop(int(self.seconds.argmin()))
            else:
                self._merge(first, second)

    def _merge(self, first: int, second: int) -> None:
        together = self.seconds[first] + self.seconds[second]
        share = self.seconds[first] / together
        self.means[first] = share * self.means[first] + (1 - share) * self.means[second]
        self.alike[first] = share * self.alike[first] + (1 - share) * self.alike[second]
        self.alike[:, first] = self.alike[first]
        self.alike[first, first] = self.means[first] @ self.means[first]
        self.seconds[first] = together
        self.squares[first] += self.squares[second]
        self.apart[first] |= self.apart[second]
        self.apart[:, first] = self.apart[first]
        self._remove(second, self.ids[first])

    def _drop(self, at: int) -> None:
        self._remove(at, None)

    def _remove(self, at: int, into: int | None) -> None:
        self.moved[self.ids.pop(at)] = into
        kept = np.arange(len(self.seconds)) != at
        self.means, self.seconds, self.squares = self.means[kept], self.seconds[kept], self.squares[kept]
        self.voices = self.voices[kept]
        self.alike, self.apart = self.alike[np.ix_(kept, kept)], self.apart[np.ix_(kept, kept)]

    def pairs(self) -> Matrix:
        """[n, n]: sums of how alike the pieces of each two rows are, weighted by their seconds; none with itself."""
        sums: Matrix = np.outer(self.seconds, self.seconds) * self.alike
        np.fill_diagonal(sums, np.diag(sums) - self.squares - SCATTER_S * self.seconds)
        return sums

    def lookup(self) -> Callable[[int | None], int]:
        """What tells, as long as nothing changes, the voice of the row with an id; NOBODY of one that is gone."""
        by_id = dict(zip(self.ids, self.voices.tolist(), strict=True))

        def voice_of(row: int | None) -> int:
            while row in self.moved:
                row = self.moved[row]
            return NOBODY if row is None else by_id.get(row, NOBODY)

        return voice_of
