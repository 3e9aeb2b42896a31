"""Session-wide names for local speakers: matching, founding, drift."""

import math

import pytest

from wernicke_daemon.utterances.voices import MEMORY_S, MIN_NEW_VOICE_S, Vector, Voices

SAME = 0.7
ANNA: Vector = (1.0, 0.0, 0.0)
BERND: Vector = (0.0, 1.0, 0.0)
CLARA: Vector = (0.0, 0.0, 1.0)


def at(degrees: float) -> Vector:
    """A voice that is turned so far from Anna towards Bernd."""
    return (math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), 0.0)


def say(voices: Voices, *embeddings: Vector, seconds: float = 5.0) -> list[str | None]:
    return voices.assign(embeddings, (seconds,) * len(embeddings), SAME)


def test_names_follow_first_appearance() -> None:
    """Voices are numbered in the order in which they are first heard, and keep their numbers."""
    voices = Voices()
    assert say(voices, BERND) == ["Speaker_00"]
    assert say(voices, ANNA, BERND) == ["Speaker_01", "Speaker_00"]
    assert say(voices, CLARA, ANNA) == ["Speaker_02", "Speaker_01"]


def test_length_of_an_embedding_means_nothing() -> None:
    """Only the direction counts: an embedding of any scale matches and weighs the same."""
    voices = Voices()
    say(voices, ANNA)
    assert say(voices, (1000.0, 0.0, 0.0)) == ["Speaker_00"]
    assert say(voices, (1e-9, 0.0, 0.0)) == ["Speaker_00"]


def test_threshold_separates() -> None:
    """A similarity of exactly same_voice is the same voice; just under it is another."""
    voices = Voices()
    say(voices, ANNA)
    above, below = (0.7, math.sqrt(1 - 0.49), 0.0), (0.69, 0.0, math.sqrt(1 - 0.69**2))
    assert voices.assign((above,), (0.0,), 0.7 - 1e-12) == ["Speaker_00"]
    assert voices.assign((below,), (5.0,), 0.7) == ["Speaker_01"]


@pytest.mark.parametrize("unusable", [(), (0.0, 0.0, 0.0), (math.nan, 1.0, 0.0), (math.inf, 0.0, 0.0)])
def test_unusable_embedding_has_no_name(unusable: Vector) -> None:
    """Empty, zero and non-finite embeddings match nothing, found nothing and leave known voices alone."""
    voices = Voices()
    assert say(voices, unusable, ANNA) == [None, "Speaker_00"]
    assert say(voices, unusable) == [None]
    assert say(voices, BERND, ANNA) == ["Speaker_01", "Speaker_00"]


def test_two_speakers_of_one_utterance_differ() -> None:
    """The better match gets the known name even where it comes second; the other is a new voice."""
    voices = Voices()
    say(voices, ANNA)
    assert say(voices, at(30), at(5)) == ["Speaker_01", "Speaker_00"]


def test_short_unknown_voice_has_no_name() -> None:
    """Too little speech founds no voice, but is recognised as a known one."""
    voices = Voices()
    assert say(voices, ANNA, seconds=MIN_NEW_VOICE_S - 0.01) == [None]
    assert say(voices, BERND, seconds=MIN_NEW_VOICE_S) == ["Speaker_00"]
    assert say(voices, BERND, ANNA, seconds=0.5) == ["Speaker_00", None]


def test_odd_utterance_hardly_moves_a_voice() -> None:
    """After much speech one odd short utterance leaves the centroid where it was."""
    voices = Voices()
    say(voices, ANNA, seconds=100.0)
    assert say(voices, at(40), seconds=2.0) == ["Speaker_00"]
    assert say(voices, at(-44)) == ["Speaker_00"]


def test_voice_is_followed_through_slow_change() -> None:
    """A voice that changes slowly, far beyond the threshold, keeps its name even after hours of speech."""
    voices = Voices()
    say(voices, ANNA, seconds=100 * MEMORY_S)
    names = {say(voices, at(degrees), seconds=10.0)[0] for degrees in range(0, 180, 1)}
    assert names == {"Speaker_00"}
    assert say(voices, ANNA) == ["Speaker_01"]


def test_embeddings_of_another_engine_found_new_voices() -> None:
    """Vectors of another length are never compared with what is known."""
    voices = Voices()
    say(voices, ANNA)
    assert say(voices, (1.0, 0.0)) == ["Speaker_01"]


def test_embeddings_and_durations_must_match() -> None:
    """A caller's mistake is told at once."""
    with pytest.raises(ValueError):
        Voices().assign((ANNA, BERND), (1.0,), SAME)
