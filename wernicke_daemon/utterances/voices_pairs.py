"""From how alike on two stretches of speech are one voice: what a session's own pairs tell of that. Pure.

Within an utterance something is known without any threshold: what is said in one go, first half and second, is one
voice; two local speakers are two. How alike these are depends on the model, the room and the people; so a threshold
that was fitted elsewhere, or to another model, does not make one voice of everybody here.

Pieces of one local speaker are not taken for one voice here: of two people who speak by turns engines make one now and
then (in the room of docs/quality.md every fourth such pair was of two).
"""

from collections.abc import Sequence
from itertools import combinations
from statistics import median

import msgspec
import numpy as np
from numpy.typing import NDArray

from ipc.messages import Piece
from wernicke_daemon.utterances.voices_clustering import Likeness
from wernicke_daemon.utterances.voices_rows import certainty

ENOUGH = 5
"""Pairs of a kind that count as much as what was fitted elsewhere: the standard error of their median is 0.56 of their
spread (1.25 / sqrt(5), for a normal distribution)."""
FRACTION = 4
"""Of how much less alike two people are than one: that part is borne within one, see `likeness`."""
REMEMBERED = 300
"""Pairs of each kind, the latest: a room or a microphone may change."""
MOST_OF_ONE = 30
"""Pairs of each kind that one utterance may bring, so that one long one does not decide alone."""
LEAST_S = 1.0
"""Seconds of clean speech of both: embeddings of less scatter more than those that clusters are made of."""


Vectors = NDArray[np.float32]


class Pairs(msgspec.Struct, frozen=True):
    """Of pairs, how alike they are without the scatter of little speech (`voices_rows`); the latest last."""

    same: tuple[float, ...] = ()  # halves of a piece
    different: tuple[float, ...] = ()  # told apart by the engine within an utterance
    nearest: tuple[float, ...] = ()  # a piece, and what it is most like of earlier utterances


def heard(before: Pairs, pieces: Sequence[Piece], vectors: Vectors, earlier: Vectors) -> Pairs:
    """With the pairs of one utterance more. vectors: [n, d], of the pieces, as `voices_rows` has them. earlier: [m, d],
    of what was said before."""
    same = [piece.halves / certainty(piece.seconds / 2) for piece in pieces if piece.halves is not None]
    long = [at for at, piece in enumerate(pieces) if piece.seconds >= LEAST_S]
    alike = vectors @ vectors.T
    different = [
        float(alike[one, other]) for one, other in combinations(long, 2) if pieces[one].speaker != pieces[other].speaker
    ]
    nearest = (vectors[long] @ earlier.T).max(axis=1).tolist() if len(earlier) else []
    return Pairs(_latest(before.same, same), _latest(before.different, different), _latest(before.nearest, nearest))


def _latest(before: tuple[float, ...], new: list[float]) -> tuple[float, ...]:
    """Of many new ones some from all over."""
    few = new[:: -(-len(new) // MOST_OF_ONE) or 1]
    return (*before, *(round(each, 4) for each in few))[-REMEMBERED:]


def likeness(pairs: Pairs, fitted: float) -> Likeness:
    """What to expect of one voice. fitted: the engine's own threshold, which counts as much as ENOUGH pairs.

    How much less alike two people are than one differs from pair to pair of people: the most alike two of a handful
    are about half as far apart as two usually are. So half of that half is borne within a voice, for what a voice
    changes in a recording. Where only pairs of one voice are known, the most that is borne is twice their spread, and
    what changes from one turn to the next, which halves lack: by how much less alike a piece usually is to the nearest
    of earlier utterances. (Most of what is said has its like somewhere before.)"""
    same, different = _spread(pairs.same), _spread(pairs.different)
    expected = (1 + fitted) / 2
    difference = FRACTION * (expected - fitted)
    if same is not None:
        expected = _believed(same[0], len(pairs.same), expected)
    if same is not None and different is not None:
        few = min(len(pairs.same), len(pairs.different))
        difference = _believed(max(0.0, same[0] - different[0]), few, difference)
    elif same is not None:
        turns = max(0.0, same[0] - median(pairs.nearest)) if pairs.nearest else 0.0
        difference = min(difference, _believed(FRACTION * (2 * same[1] + turns), len(pairs.same), difference))
    return Likeness(expected, difference / FRACTION)


def _believed(measured: float, pairs: int, prior: float) -> float:
    return (pairs * measured + ENOUGH * prior) / (pairs + ENOUGH)


def _spread(cosines: tuple[float, ...]) -> tuple[float, float] | None:
    """Median, and what of a normal distribution is the standard deviation; None of none."""
    if not cosines:
        return None
    middle = median(cosines)
    return middle, 1.4826 * median(abs(each - middle) for each in cosines)
