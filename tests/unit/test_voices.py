"""The voices of a session: clusters that are made again with each utterance, under names that stay."""

import math

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from ipc.messages import Piece
from wernicke_daemon.utterances.voices import LEAST_S, NEW_VOICE_S, Known, Voices
from wernicke_daemon.utterances.voices_clustering import Count
from wernicke_daemon.utterances.voices_rows import MOST

Vector = tuple[float, ...]

SAME = 0.7
ANNA: Vector = (1.0, 0.0, 0.0)
BERND: Vector = (0.0, 1.0, 0.0)
CLARA: Vector = (0.0, 0.0, 1.0)


def at(degrees: float) -> Vector:
    """A voice that is turned so far from Anna towards Bernd."""
    return (math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), 0.0)


def pieces(*embeddings: Vector, seconds: float = 5.0, speakers: tuple[int, ...] | None = None) -> list[Piece]:
    """One after another; of as many local speakers where nothing else is said."""
    own = speakers or tuple(range(len(embeddings)))
    return [Piece(float(i), i + 1.0, own[i], seconds, embedding) for i, embedding in enumerate(embeddings)]


def hear(voices: Voices, *embeddings: Vector, seconds: float = 5.0) -> list[int | None]:
    return voices.hear(pieces(*embeddings, seconds=seconds), SAME)


def say(voices: Voices, *embeddings: Vector, seconds: float = 5.0) -> list[str | None]:
    return voices.names(hear(voices, *embeddings, seconds=seconds))


def test_names_follow_first_appearance() -> None:
    """Voices are numbered in the order in which they are first heard, and keep their numbers."""
    voices = Voices()
    assert say(voices, BERND) == ["Speaker_00"]
    assert say(voices, ANNA, BERND) == ["Speaker_01", "Speaker_00"]
    assert say(voices, CLARA, ANNA) == ["Speaker_02", "Speaker_01"]


def test_loudness_of_an_embedding_does_not_matter() -> None:
    """Only the direction of a vector tells the voice."""
    voices = Voices()
    say(voices, ANNA)
    assert say(voices, (1000.0, 0.0, 0.0)) == ["Speaker_00"]
    assert say(voices, (1e-9, 0.0, 0.0)) == ["Speaker_00"]


def test_threshold() -> None:
    """Of much speech a similarity of just over same_voice is the same voice; just under it is another."""
    voices = Voices()
    say(voices, ANNA, seconds=60.0)
    above, below = at(math.degrees(math.acos(0.71))), at(-math.degrees(math.acos(0.69)))
    other = voices.copy()
    assert say(voices, above, seconds=60.0) == ["Speaker_00"]
    assert say(other, below, seconds=60.0) == ["Speaker_01"]


def test_little_speech_is_scattered() -> None:
    """What is another voice where there is much of it is none where there is little: it goes with the nearest, once
    and again, as one voice's little speech has something in common, too."""
    voices = Voices()
    say(voices, ANNA, CLARA, seconds=20.0)
    assert [say(voices, at(50), seconds=1.0) for _ in range(3)] == [["Speaker_00"]] * 3
    assert say(voices, at(50), seconds=20.0) == ["Speaker_02"]


@pytest.mark.parametrize("unusable", [(), (0.0, 0.0, 0.0), (math.nan, 1.0, 0.0), (math.inf, 0.0, 0.0)])
def test_unusable_embeddings_have_no_name(unusable: Vector) -> None:
    """Empty, zero and non-finite embeddings match nothing, found nothing and leave known voices alone."""
    voices = Voices()
    assert say(voices, unusable, ANNA) == [None, "Speaker_00"]
    assert say(voices, unusable) == [None]
    assert say(voices, BERND, ANNA) == ["Speaker_01", "Speaker_00"]


def test_two_of_one_utterance_are_two() -> None:
    """However alike they are, and also where both are most like one that is known."""
    voices = Voices()
    say(voices, ANNA)
    assert say(voices, at(30), at(5)) == ["Speaker_01", "Speaker_00"]


def test_what_was_told_apart_stays_so() -> None:
    """One who is between both is one of them; the two are not made one by that."""
    voices = Voices()
    first = hear(voices, ANNA, at(30))
    hear(voices, at(15))
    assert len(set(voices.names(first))) == 2


def test_pieces_of_one_speaker_may_be_two_voices() -> None:
    """The engine took them for one; they do not sound so."""
    voices = Voices()
    rows = voices.hear(pieces(ANNA, BERND, ANNA, speakers=(0, 0, 0)), SAME)
    assert voices.names(rows) == ["Speaker_00", "Speaker_01", "Speaker_00"]


def test_too_little_speech_founds_no_voice() -> None:
    """A word says too little of a new voice; several words of one are enough, and the first gets its name then."""
    voices = Voices()
    first = hear(voices, ANNA, seconds=NEW_VOICE_S - 0.1)
    assert voices.names(first) == [None]
    assert say(voices, ANNA, seconds=NEW_VOICE_S - 0.1) == ["Speaker_00"]
    assert voices.names(first) == ["Speaker_00"]


def test_a_breath_moves_nothing() -> None:
    """It goes with the voice that it is most like, or with its own speaker's nearest stretch, and leaves no trace."""
    voices = Voices()
    say(voices, ANNA, BERND)
    before = voices.known()
    assert say(voices, at(44), seconds=LEAST_S - 0.01) == ["Speaker_00"]
    assert voices.known() is before
    breath = [Piece(0.0, 0.3, 0, 0.3), Piece(0.3, 5.0, 0, 4.7, BERND)]
    assert voices.names(voices.hear(breath, SAME)) == ["Speaker_01", "Speaker_01"]


def test_the_nearest_voice_of_a_breath_is_none_of_its_utterance() -> None:
    """The engine told it apart from that. And none at all where it is most likely of somebody unknown."""
    voices = Voices()
    say(voices, ANNA, at(60))
    spoken = [Piece(0.0, 5.0, 0, 5.0, ANNA), Piece(5.0, 5.4, 1, 0.4, at(20)), Piece(5.4, 5.8, 2, 0.4, at(50))]
    assert voices.names(voices.hear(spoken, SAME)) == ["Speaker_00", "Speaker_01", None]
    assert say(voices, CLARA, seconds=0.4) == [None]


def test_later_speech_tells_who_spoke_before() -> None:
    """What is between two voices goes with the wrong one, until more of both is known."""
    voices = Voices()
    say(voices, at(0))
    unsure = hear(voices, at(40))
    assert voices.names(unsure) == ["Speaker_00"]
    for _ in range(3):
        hear(voices, at(70))
    assert voices.names(unsure) == ["Speaker_01"]


def test_a_name_that_lost_its_voice_is_not_given_again() -> None:
    """Two turn out to be one: the name of the one with more speech stays, and the next new voice is a third."""
    voices = Voices()
    first, second = hear(voices, at(0), seconds=20.0), hear(voices, at(54), seconds=4.0)
    assert voices.names([*first, *second]) == ["Speaker_00", "Speaker_01"]
    hear(voices, at(30), seconds=20.0)
    assert voices.names([*first, *second]) == ["Speaker_00", "Speaker_00"]
    assert say(voices, CLARA) == ["Speaker_02"]


def test_no_more_voices_than_the_client_named() -> None:
    """However different they are."""
    voices = Voices(count=Count(1, 2))
    rows = [*hear(voices, ANNA), *hear(voices, BERND), *hear(voices, CLARA)]
    assert len(set(voices.names(rows))) == 2


def test_as_many_voices_as_the_client_named() -> None:
    """At the end, or once each can have spoken; not before, or the first to speak would be made two."""
    voices = Voices(count=Count(2, 2))
    rows = [*hear(voices, at(0)), *hear(voices, at(30))]
    assert len(set(voices.names(rows))) == 1
    late = voices.copy()
    late.settle()
    assert len(set(late.names(rows))) == 2
    rows += voices.hear(pieces(*[at(36)] * 24, speakers=(0,) * 24), SAME)[:1]
    assert voices.names(rows) == ["Speaker_00", "Speaker_01", "Speaker_01"]


def test_embeddings_of_another_engine_found_new_voices() -> None:
    """They say nothing of those known: of another length, or by another model. No name is taken from anybody."""
    voices = Voices()
    rows = hear(voices, ANNA)
    assert say(voices, (1.0, 0.0)) == ["Speaker_01"]
    assert voices.names(voices.hear(pieces((1.0, 0.0)), SAME, "another")) == ["Speaker_02"]
    assert voices.names(rows) == [None]


def test_what_is_known_is_all_that_is_needed() -> None:
    """Over JSON, as it is in the journal: names go on, and what was told apart stays so."""
    voices = Voices()
    for _ in range(30):
        hear(voices, at(0), at(30))
    saved = msgspec.json.decode(msgspec.json.encode(voices.known()), type=Known)
    again = Voices(saved)
    assert again.known() == voices.known()
    for one in (voices, again):
        assert say(one, at(30), at(0)) == ["Speaker_01", "Speaker_00"]
        assert say(one, CLARA) == ["Speaker_02"]


@pytest.mark.parametrize(("common", "scatter"), [(2.5, 0.1), (0.0, 0.14)], ids=["all alike", "nobody like themselves"])
@pytest.mark.parametrize("fitted", [0.5, 0.9])
def test_a_model_of_which_nothing_is_known(common: float, scatter: float, fitted: float) -> None:
    """Whose people are alike to 0.85, or one voice to itself only to 0.6: the session's own pairs tell from some
    utterances on, whatever threshold was thought right. Everybody is one voice, and no two are, though nobody told the
    first two apart from the others."""
    rng, voices = np.random.default_rng(0), Voices()

    def sounds(person: int) -> NDArray[np.float64]:
        found = common * np.eye(33)[32] + np.eye(33)[person] + rng.normal(0, scatter, 33)
        return np.asarray(found / np.linalg.norm(found))

    told: list[tuple[int, int | None]] = []
    for people in [(0, 1), (2, 3)] * 20:
        heard = [(sounds(person), sounds(person)) for person in people]
        spoken = [
            Piece(5.0 * at, 5.0 * at + 4.0, at, 4.0, tuple((a + b).tolist()), float(a @ b))
            for at, (a, b) in enumerate(heard)
        ]
        told += zip(people, voices.hear(spoken, fitted), strict=True)
    voices.settle()
    names = set(zip([person for person, _ in told], voices.names([row for _, row in told]), strict=True))
    assert len(names) == len({name for _, name in names}) == 4


@pytest.mark.parametrize("people", [1, 3])
def test_turns_that_differ_more_than_halves_are_one_voice(people: int) -> None:
    """One who speaks alone, and a few of whom no two are in one utterance: nobody is made several."""
    rng, voices = np.random.default_rng(0), Voices()
    told: list[tuple[int, int | None]] = []
    for turn in range(150):
        person = turn % people
        sound = np.eye(128)[person] + rng.normal(0, 0.028, 128)  # of one person to 0.91 in the mean
        sound /= np.linalg.norm(sound)
        piece = Piece(0.0, 4.0, 0, 4.0, tuple(sound.tolist()), 0.93 + 0.005 * rng.normal())
        told.append((person, voices.hear([piece], 0.85)[0]))
    voices.settle()
    names = set(zip([person for person, _ in told], voices.names([row for _, row in told]), strict=True))
    assert len(names) == people == len({name for _, name in names})


def test_ten_hours_are_no_more_than_ten_minutes() -> None:
    """Rows are bounded; everybody keeps their name, and what was heard long ago has it still."""
    voices, noise = Voices(), np.random.default_rng(0)
    first = hear(voices, ANNA, BERND, CLARA)
    for _ in range(MOST):
        heard = [tuple(np.array(voice) + noise.normal(0, 0.2, 3)) for voice in (ANNA, BERND, CLARA)]
        rows = hear(voices, *heard)
    assert len(voices.known().rows) == MOST
    assert voices.names(rows) == voices.names(first) == ["Speaker_00", "Speaker_01", "Speaker_02"]
