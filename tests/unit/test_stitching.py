"""Speakers of windows become speakers of an utterance. Frames and activities are made up."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stages.diarization.stitching import stitched

LENGTH, STEP = 10, 2


def windows_of(truth: NDArray[np.float64], orders: list[list[int]]) -> tuple[NDArray[np.float64], list[int]]:
    """Windows over the true activity [frames, 3], the speakers of each in the given order; and where they start."""
    starts = [STEP * number for number in range(len(orders))]
    return np.stack([truth[s : s + LENGTH][:, order] for s, order in zip(starts, orders, strict=True)]), starts


def activity(*spoken: tuple[int, int, int], frames: int = 20) -> NDArray[np.float64]:
    """spoken: (speaker, first frame, frame after the last)."""
    truth = np.zeros((frames, 3))
    for speaker, start, end in spoken:
        truth[start:end, speaker] = 1
    return truth


def active(tracks: NDArray[np.float64]) -> set[tuple[bool, ...]]:
    """The patterns of those who speak at all."""
    return {tuple((row > 0.5).tolist()) for row in tracks.T if row.max() > 0.5}


@given(st.lists(st.permutations([0, 1, 2]), min_size=6, max_size=6))
def test_the_order_within_windows_does_not_matter(orders: list[list[int]]) -> None:
    """Two who speak by turns, and at the same time for a while."""
    truth = activity((0, 0, 6), (1, 5, 12), (0, 12, 20))
    found = stitched(*windows_of(truth, orders))
    assert active(found.tracks) == active(truth)
    np.testing.assert_allclose(found.speech, truth.max(axis=1))
    np.testing.assert_allclose(found.overlap, np.sort(truth, axis=1)[:, -2])


def test_one_window_that_is_wrong_leads_no_other_astray() -> None:
    """It takes the second speaker for the first; the windows around it know better."""
    truth = activity((0, 0, 8), (1, 8, 20))
    windows, starts = windows_of(truth, [[0, 1, 2]] * 6)
    windows[2, :, 0] = windows[2].max(axis=1)
    windows[2, :, 1] = 0
    found = stitched(windows, starts)
    assert active(found.tracks) == active(truth)


def test_who_comes_back_after_a_window_is_somebody_else() -> None:
    """Nothing that windows share says who it is: that is for what the voice sounds like."""
    truth = activity((0, 0, 4), (0, 16, 20))
    assert stitched(*windows_of(truth, [[0, 1, 2]] * 6)).tracks.shape[1] == 2


def test_nobody_speaks() -> None:
    """No tracks, as many frames."""
    found = stitched(np.full((2, LENGTH, 3), 0.1), [0, STEP])
    assert found.tracks.shape == (LENGTH + STEP, 0)
    assert found.speech.max() < 0.5
