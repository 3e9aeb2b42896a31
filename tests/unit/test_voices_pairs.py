"""How alike one voice is to itself, as a session's own pairs tell."""

import numpy as np
import pytest

from ipc.messages import Piece
from wernicke_daemon.utterances.voices_pairs import LEAST_S, MOST_OF_ONE, REMEMBERED, Pairs, heard, likeness
from wernicke_daemon.utterances.voices_rows import SCATTER_S

NOTHING = np.zeros((0, 2), np.float32)


def piece(speaker: int, seconds: float = 3.0, halves: float | None = None) -> Piece:
    return Piece(0.0, seconds, speaker, seconds, (1.0,), halves)


def limit(pairs: Pairs, fitted: float) -> float:
    """How alike two clusters of one voice are at least, that are to themselves as is expected."""
    expected = likeness(pairs, fitted)
    return expected.same - expected.tolerance


@pytest.mark.parametrize("fitted", [0.3, 0.5, 0.76])
def test_without_pairs_the_engines_own_threshold_counts(fitted: float) -> None:
    assert limit(Pairs(), fitted) == pytest.approx(fitted)


@pytest.mark.parametrize("fitted", [0.2, 0.5, 0.95])
def test_a_threshold_of_another_model_is_put_right(fitted: float) -> None:
    """Everybody is alike to 0.6 here, and to themselves to 0.9: it comes to lie between, a quarter of the way down."""
    pairs = Pairs((0.88, 0.9, 0.92) * 40, (0.55, 0.6, 0.65) * 40)
    assert limit(pairs, fitted) == pytest.approx(0.825, abs=0.04)


def test_pairs_of_one_voice_alone_keep_others_out() -> None:
    """Where nobody was told apart yet, what a voice is like to itself bounds what may be one."""
    assert limit(Pairs((0.88, 0.9, 0.92) * 40), 0.2) > 0.75


def test_what_changes_from_turn_to_turn_is_borne() -> None:
    """Halves do not know of it. Never more than the engine's own threshold bears."""
    halves = (0.98, 0.99, 1.0) * 40
    assert limit(Pairs(halves), 0.85) > 0.94
    assert limit(Pairs(halves, nearest=(0.95,) * 40), 0.85) < 0.93
    own = likeness(Pairs(), 0.85).tolerance
    assert likeness(Pairs(halves, nearest=(0.5,) * 40), 0.85).tolerance == pytest.approx(own)


def test_the_nearest_is_of_earlier_utterances() -> None:
    """Of each piece that is long enough."""
    rows = np.array([[1.0, 0.0], [0.6, 0.8], [1.0, 0.0]], np.float32)
    earlier = np.array([[0.8, 0.6], [0.0, 1.0]], np.float32)
    pairs = heard(Pairs(), [piece(0), piece(0), piece(0, LEAST_S - 0.1)], rows, earlier)
    assert pairs.nearest == (0.8, 0.96)


def test_few_odd_pairs_move_little() -> None:
    """Two that were taken for one by the engine, and one for two."""
    good = Pairs((0.88, 0.9, 0.92) * 20, (0.55, 0.6, 0.65) * 20)
    odd = Pairs((*good.same, *(0.55,) * 6), (*good.different, *(0.95,) * 6))
    assert limit(odd, 0.7) == pytest.approx(limit(good, 0.7), abs=0.02)


def test_pairs_of_an_utterance() -> None:
    """Halves of one stretch are one voice, local speakers are two; not of pieces that are too short. Two pieces of one
    local speaker are neither: engines take two people for one now and then."""
    rows = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.8, 0.6]], np.float32)
    pairs = heard(Pairs(), [piece(0, halves=0.8), piece(0), piece(1), piece(1, LEAST_S - 0.1)], rows, NOTHING)
    assert pairs == Pairs((round(0.8 * (1.5 + SCATTER_S) / 1.5, 4),), (0.0, 0.8))


def test_pairs_are_bounded() -> None:
    """One utterance can not outvote the others, and old ones are forgotten."""
    pairs = Pairs()
    for _ in range(40):
        before = len(pairs.same)
        pairs = heard(pairs, [piece(0, halves=0.9)] * 40, np.ones((40, 1), np.float32), NOTHING[:, :1])
        assert len(pairs.same) <= before + MOST_OF_ONE
    assert len(pairs.same) == REMEMBERED
