"""Windows of audio for a segmentation model, and what its classes mean."""

import numpy as np
import pytest

from stages.diarization.segmentation import Frames, cut, from_powerset


@pytest.mark.parametrize(("samples", "count"), [(0, 1), (1, 1), (50, 1), (51, 2), (60, 2), (61, 3), (100, 6)])
def test_windows_cover_all_of_the_audio(samples: int, count: int) -> None:
    """As few as do; the last is filled up with silence."""
    audio = np.arange(1, samples + 1, dtype=np.float32)
    windows = cut(audio, length=50, step=10)
    assert windows.shape == (count, 50)
    for number, window in enumerate(windows):
        expected = audio[number * 10 : number * 10 + 50]
        np.testing.assert_array_equal(window, np.pad(expected, (0, 50 - len(expected))))


def test_the_classes_of_a_powerset_are_sets_of_speakers() -> None:
    """Nobody, 1, 2, 3, 1 and 2, 1 and 3, 2 and 3: by the largest score, however small."""
    scores = -10.0 + np.eye(7, dtype=np.float32)
    expected = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]]
    np.testing.assert_array_equal(from_powerset(scores, speakers=3, together=2), expected)
    np.testing.assert_array_equal(from_powerset(scores[None], speakers=3, together=2), [expected])


def test_seconds_of_frames() -> None:
    """A frame begins where the one before it ends."""
    assert Frames(step=0.5, first=0.25).second(3) == 1.75
