"""Who of a session is known from before."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wernicke_daemon.utterances.voiceprints import LEAST_S, MOST_S, Heard, Voiceprint, recognised
from wernicke_daemon.utterances.voices_clustering import Likeness

SAME = Likeness(same=0.8, tolerance=0.2)
"""The same voice from 0.6 on."""


def vector(angle: float) -> np.ndarray:
    """Of length 1, in degrees: two are alike by the cosine of their difference."""
    return np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))], np.float32)


def printed(name: str, angle: float, model: str = "ge2e") -> Voiceprint:
    return Voiceprint.of(name, model, vector(angle), 20.0)


def heard(angle: float, seconds: float = 10.0) -> Heard:
    return Heard(vector(angle), seconds)


KNOWN = [printed("田中", 0), printed("佐藤", 90)]


def test_who_sounds_alike_is_recognised() -> None:
    found = recognised({"Speaker_00": heard(85), "Speaker_01": heard(10)}, KNOWN, "ge2e", SAME)
    assert found == {"Speaker_00": "佐藤", "Speaker_01": "田中"}


def test_a_stranger_is_not() -> None:
    """53.1° is a cosine of 0.6."""
    assert recognised({"Speaker_00": heard(-54)}, KNOWN, "ge2e", SAME) == {}
    assert recognised({"Speaker_00": heard(-53)}, KNOWN, "ge2e", SAME) == {"Speaker_00": "田中"}


def test_who_is_nearly_as_like_another_is_not() -> None:
    """The next has to be less alike by half of what is borne within a voice."""
    assert recognised({"Speaker_00": heard(43)}, KNOWN, "ge2e", SAME) == {}
    assert recognised({"Speaker_00": heard(40)}, KNOWN, "ge2e", SAME) == {"Speaker_00": "田中"}


def test_that_holds_where_all_are_more_alike_than_1() -> None:
    """As one voice's pieces may be without the scatter of little speech."""
    louder = [person.heard(3 * vector(angle), 20.0) for person, angle in zip(KNOWN, (0, 90), strict=True)]
    expected = Likeness(same=1.5, tolerance=0.2)
    assert recognised({"Speaker_00": heard(43)}, louder, "ge2e", expected) == {}
    assert recognised({"Speaker_00": heard(40)}, louder, "ge2e", expected) == {"Speaker_00": "田中"}


def test_too_little_speech_is_nobody() -> None:
    assert recognised({"Speaker_00": heard(0, LEAST_S - 0.1)}, KNOWN, "ge2e", SAME) == {}


def test_a_print_of_another_model_is_never_compared() -> None:
    """Also one with as many values."""
    other = [printed("田中", 0, "wespeaker"), Voiceprint.of("佐藤", "ge2e", np.ones(3, np.float32), 20.0)]
    assert recognised({"Speaker_00": heard(0)}, other, "ge2e", SAME) == {}


def test_a_name_is_given_once() -> None:
    """To the voice that is most like it."""
    found = recognised({"Speaker_00": heard(10), "Speaker_01": heard(2)}, KNOWN, "ge2e", SAME)
    assert found == {"Speaker_01": "田中"}


def test_a_print_follows_its_voice() -> None:
    """By what was heard each time, and never so slowly that it stands still."""
    more = printed("田中", 0).heard(vector(90), 20.0)
    assert np.allclose(more.vector, (vector(0) + vector(90)) / 2) and more.seconds == 40.0
    assert Voiceprint.of("田中", "ge2e", vector(0), MOST_S).heard(vector(90), 60.0).seconds == MOST_S


@given(
    st.dictionaries(st.sampled_from([f"Speaker_0{at}" for at in range(5)]), st.floats(0, 360)),
    st.dictionaries(st.sampled_from(["A", "B", "C"]), st.floats(0, 360)),
    st.floats(0.1, 0.9),
)
def test_nobody_is_named_who_is_not_alike(voices: dict[str, float], known: dict[str, float], same: float) -> None:
    """Whoever is there: each name once, and only from the threshold on."""
    prints = [printed(name, angle) for name, angle in known.items()]
    expected = Likeness((1 + same) / 2, (1 - same) / 2)
    found = recognised({label: heard(angle) for label, angle in voices.items()}, prints, "ge2e", expected)
    assert len(set(found.values())) == len(found)
    for label, name in found.items():
        assert vector(voices[label]) @ vector(known[name]) >= same - 1e-6
