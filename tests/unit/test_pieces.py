"""Pieces of one voice out of who speaks when. What an encoder would hear is made up: each voice is a direction."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ipc.messages import DiarizationResult
from stages.diarization.pieces import HEARD, Alike, Indices, changes, diarized
from stages.diarization.segmentation import Frames
from stages.diarization.speakers import Sound, speakers_of
from stages.diarization.stitching import Stitched

ALIKE = Alike(same_voice=0.8, changed=0.7)
FRAMES = Frames(step=0.01, first=0.0)


class Voices:
    """A `Heard`: true voices by frame of 10 ms, -1 for nobody, whose embedding is the mean of their directions."""

    alike = ALIKE
    probe = (100, 20)

    def __init__(self, spoken: list[int]) -> None:
        self.energy = (np.array(spoken) >= 0).astype(float)
        self._directions = np.eye(4)[np.array(spoken)]

    def embedding(self, frames: Indices) -> NDArray[np.float64]:
        mean: NDArray[np.float64] = self._directions[frames].mean(axis=0)
        return mean / float(np.linalg.norm(mean))

    def windows(self, frames: Indices, length: int, step: int) -> NDArray[np.float64]:
        starts = range(0, len(frames) - length + 1, step)
        return np.stack([self.embedding(frames[start : start + length]) for start in starts])


def found(spoken: list[int], tracks: list[int], overlap: slice = slice(0, 0), most: int = 8) -> DiarizationResult:
    """spoken: true voices. tracks: what segmentation heard, -1 for nobody; both by frame."""
    activity = np.array([[track == number for number in range(max(tracks) + 1)] for track in tracks], float)
    several = np.zeros(len(tracks))
    several[overlap] = 1
    heard = Stitched(activity, activity.max(axis=1, initial=0), several)
    return diarized(heard, FRAMES, Voices(spoken), len(tracks) / 100, most, "a model")


def spans(result: DiarizationResult) -> list[tuple[float, float, int]]:
    return [(round(p.start, 2), round(p.end, 2), p.speaker) for p in result.pieces]


def test_each_turn_is_a_piece() -> None:
    """Of two who speak by turns, the second after a pause; clean speech is all of it."""
    voices = [0] * 150 + [-1] * 20 + [1] * 130 + [0] * 200
    result = found(voices, voices)
    assert spans(result) == [(0.0, 1.5, 0), (1.7, 3.0, 1), (3.0, 5.0, 0)]
    assert [(turn.start, turn.end, turn.piece) for turn in result.turns] == [
        (piece.start, piece.end, number) for number, piece in enumerate(result.pieces)
    ]
    assert [piece.seconds for piece in result.pieces] == pytest.approx([1.5, 1.3, 2.0])
    assert result.same_voice == ALIKE.same_voice


def test_two_voices_that_segmentation_took_for_one_are_cut() -> None:
    """At the quietest place near the change; they stay one speaker, for the sound alone separates nobody."""
    result = found([0] * 290 + [-1] * 10 + [1] * 300, [0] * 600)
    (first, second) = result.pieces
    assert 2.9 <= first.end == second.start < 3.0
    assert np.dot(first.embedding, second.embedding) < 0.2
    assert (first.speaker, second.speaker) == (0, 0)


def test_tracks_that_sound_the_same_are_one_speaker() -> None:
    """Segmentation gives a voice that comes back later another number."""
    assert [piece.speaker for piece in found([0] * 400, [0] * 200 + [1] * 200).pieces] == [0, 0]


def test_long_speech_is_cut_in_equal_parts() -> None:
    """None is longer than 6 s."""
    result = found([0] * 1500, [0] * 1500)
    assert [round(piece.end - piece.start) for piece in result.pieces] == [5, 5, 5]


def test_speech_over_other_speech_is_not_listened_to() -> None:
    """It is in the turn, but not in what the voice sounds like."""
    (piece,) = found([0] * 100 + [1] * 100, [0] * 200, overlap=slice(100, 200)).pieces
    assert (piece.start, piece.end, piece.seconds) == (0.0, 2.0, 1.0)
    assert piece.embedding == (1.0, 0.0, 0.0, 0.0)


def test_little_speech_is_heard_several_times_over() -> None:
    """Up to what encoders are trained on; none of the silence around it."""
    asked: list[Indices] = []

    class Noted(Voices):
        def embedding(self, frames: Indices) -> NDArray[np.float64]:
            asked.append(frames)
            return super().embedding(frames)

    heard = Stitched(
        np.array([[0.0]] * 100 + [[1.0]] * 70 + [[0.0]] * 100),
        np.array([0.0] * 100 + [1.0] * 70 + [0.0] * 100),
        np.zeros(270),
    )
    (piece,) = diarized(heard, FRAMES, Noted([-1] * 100 + [0] * 70 + [-1] * 100), 2.7, 8, "a model").pieces
    assert [len(frames) for frames in asked] == [HEARD]
    assert set(asked[0].tolist()) == set(range(100, 170))
    assert (piece.seconds, piece.halves) == (0.7, None)


def test_halves_of_long_speech_are_compared() -> None:
    """Whatever segmentation made of it; and the whole sounds like both."""
    (alone,) = found([0] * 400, [0] * 400).pieces
    assert alone.halves == pytest.approx(1.0)
    (mixed,) = found([0] * 200 + [0, 1] * 100, [0] * 400).pieces
    assert mixed.halves is not None and mixed.halves < 0.8


def test_a_half_of_which_the_encoder_says_nothing_is_not_compared() -> None:
    """All zero means that it can't say, not that it is another voice."""

    class Deaf(Voices):
        def embedding(self, frames: Indices) -> NDArray[np.float64]:
            return super().embedding(frames) * float(frames[0] < 200)

    spoken = np.ones((400, 1))
    heard = Stitched(spoken, spoken[:, 0], np.zeros(400))
    (piece,) = diarized(heard, FRAMES, Deaf([0] * 400), 4.0, 8, "a model").pieces
    assert (piece.embedding, piece.halves) == ((1.0, 0.0, 0.0, 0.0), None)


def test_too_little_speech_sounds_like_nothing() -> None:
    """Less than a syllable is nobody's."""
    result = found([0] * 200 + [1] * 30 + [-1] * 100 + [1] * 10, [0] * 200 + [1] * 30 + [-1] * 100 + [1] * 10)
    assert [(bool(piece.embedding), piece.speaker) for piece in result.pieces] == [(True, 0), (False, 1)]


def test_short_pauses_are_part_of_a_piece() -> None:
    """0.4 s are, 0.6 s are not."""
    voices = [0] * 100 + [-1] * 40 + [0] * 100 + [-1] * 60 + [0] * 100
    assert spans(found(voices, voices)) == [(0.0, 2.4, 0), (3.0, 4.0, 0)]


def test_speakers_are_limited() -> None:
    """Those most alike become one."""
    voices = [0] * 200 + [1] * 200
    assert {piece.speaker for piece in found(voices, voices, most=1).pieces} == {0}


def test_no_speech_no_pieces() -> None:
    """And no turns."""
    result = found([-1] * 50, [-1] * 50)
    assert (result.turns, result.pieces) == ((), ())


def test_changes_of_voice() -> None:
    """Three voices one after the other; none where it is one voice."""
    voices = Voices([0] * 300 + [1] * 300 + [2] * 300)
    probes = voices.windows(np.arange(900), *Voices.probe)
    assert changes(probes, *Voices.probe, 0.7) == [300, 600]
    assert changes(Voices([0] * 900).windows(np.arange(900), *Voices.probe), *Voices.probe, 0.7) == []


def test_a_short_sound_needs_to_be_less_alike_to_be_another_speaker() -> None:
    """Embeddings of little speech are scattered."""
    one, other = (1.0, 0.0), (0.65, 0.76)
    assert speakers_of([Sound(0, 3.0, one), Sound(1, 2.0, other)], 0.7, 8) == [0, 1]
    assert speakers_of([Sound(0, 3.0, one), Sound(1, 0.5, other)], 0.7, 8) == [0, 0]
