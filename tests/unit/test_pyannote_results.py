"""What is made of pyannote's answers, and what is said where pyannote is not installed."""

import sys

import numpy as np
import pytest

from ipc.errors import EngineUnavailable
from ipc.messages import DiarizationResult, Piece, Turn
from ipc.settings import StageSettings
from stages.diarization.pyannote import Pyannote
from stages.diarization.pyannote_results import Embeddings, FoundTurn, to_result

A, B = "SPEAKER_00", "SPEAKER_01"
TWO = np.array([[3.0, 4.0], [0.0, -2.0]])


def result(
    found: list[FoundTurn], labels: tuple[str, ...] = (A, B), embeddings: Embeddings = TWO, duration_s: float = 10.0
) -> DiarizationResult:
    return to_result(found, labels, embeddings, duration_s, same_voice=0.5)


def embeddings(found: DiarizationResult) -> tuple[tuple[float, ...], ...]:
    return tuple(piece.embedding for piece in found.pieces)


def test_one_piece_is_all_that_a_speaker_says() -> None:
    """From the first to the last turn, with the seconds of its own."""
    found = result([FoundTurn(0.5, 1.0, A), FoundTurn(1.0, 2.0, B), FoundTurn(2.0, 4.0, A)])
    assert [(piece.start, piece.end, piece.seconds) for piece in found.pieces] == [(0.5, 4.0, 2.5), (1.0, 2.0, 1.0)]


def test_speakers_are_numbered_in_order_of_appearance() -> None:
    """Whatever pyannote calls them; each keeps its own embedding, and who has no turn comes last."""
    found = result([FoundTurn(0.0, 1.0, B), FoundTurn(1.5, 2.0, A)])
    pieces = (Piece(0.0, 1.0, 0, 1.0, (0.0, -2.0)), Piece(1.5, 2.0, 1, 0.5, (3.0, 4.0)))
    assert found == DiarizationResult((Turn(0.0, 1.0, 0), Turn(1.5, 2.0, 1)), pieces, 0.5)
    assert embeddings(result([FoundTurn(0.0, 1.0, B)])) == ((0.0, -2.0), (3.0, 4.0))


@pytest.mark.parametrize("row", [[np.nan, np.nan], [np.nan, 1.0], [np.inf, 1.0], [0.0, 0.0], [1e-9, 0.0]])
def test_an_embedding_that_says_nothing_is_empty(row: list[float]) -> None:
    """NaN in any place, infinity, and (almost) no length; the other voice keeps its own."""
    assert embeddings(result([], embeddings=np.array([row, [0.0, 1.0]]))) == ((), (0.0, 1.0))


def test_no_speech_is_an_empty_result() -> None:
    """pyannote says it with an array of no rows."""
    assert result([], labels=(), embeddings=np.zeros((0, 256))) == DiarizationResult((), (), 0.5)


def test_a_speaker_without_a_row_has_an_empty_embedding() -> None:
    """Every turn's speaker is one of the voices."""
    found = result([FoundTurn(0.0, 1.0, "SPEAKER_07"), FoundTurn(1.0, 2.0, B)], (A, B), TWO[:1])
    assert found.turns == (Turn(0.0, 1.0, 0), Turn(1.0, 2.0, 1))
    assert embeddings(found) == ((), (), (3.0, 4.0))


def test_turns_lie_within_the_audio() -> None:
    """pyannote pads the last window, and frames have a width."""
    found = result([FoundTurn(-0.1, 1.0, A), FoundTurn(1.5, 2.3, B), FoundTurn(2.4, 2.6, A)], duration_s=2.0)
    assert found.turns == (Turn(0.0, 1.0, 0), Turn(1.5, 2.0, 1))


def test_turns_do_not_overlap() -> None:
    """A turn begins where the one before has ended, and goes if nothing is left of it."""
    found = result([FoundTurn(0.0, 3.0, A), FoundTurn(1.0, 2.0, B), FoundTurn(2.5, 4.0, B)])
    assert found.turns == (Turn(0.0, 3.0, 0), Turn(3.0, 4.0, 1))


def test_an_embedding_travels_as_plain_floats() -> None:
    """numpy's own numbers can't be put into a message."""
    (row,) = embeddings(result([], labels=(A,), embeddings=np.ones((1, 3), np.float32)))
    assert row == (1.0, 1.0, 1.0) and all(type(value) is float for value in row)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence with what to install."""
    monkeypatch.setitem(sys.modules, "pyannote.audio", None)
    with pytest.raises(EngineUnavailable, match=r"auto .*gpu"):
        Pyannote("diarization", StageSettings()).load()


def test_the_model_is_named_before_it_is_loaded() -> None:
    """By the last part of its id."""
    assert Pyannote("diarization", StageSettings()).model == "speaker-diarization-community-1"
