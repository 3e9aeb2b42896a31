"""Where words can't be, and where some are lacking, by where there is speech."""

import pytest

from ipc.messages import Segment, Word
from stages.asr.speech import Speech, inserted, within_speech, without_words


def said(*words: tuple[float, float, str]) -> Segment:
    return Segment(
        words[0][0], words[-1][1], "".join(text for *_, text in words), tuple(Word(*word, 1.0) for word in words)
    )


def times(segments: tuple[Segment, ...]) -> list[tuple[float, float]]:
    return [(word.start, word.end) for segment in segments for word in segment.words]


def stretches(speech: Speech, *segments: Segment, audio_s: float = 20.0) -> list[tuple[float, float, int]]:
    return [(one.start, one.end, one.after) for one in without_words(segments, speech, audio_s)]


@pytest.mark.parametrize(
    ("word", "placed"),
    [
        ((0.0, 0.8), (0.3, 0.8)),  # begins with the audio
        ((0.0, 0.2), (0.3, 0.3)),  # before the onset
        ((1.8, 3.1), (1.8, 2.0)),  # reaches into the pause
        ((1.9, 3.6), (3.0, 3.6)),  # begins in the span before its own
        ((2.2, 2.7), (2.2, 2.7)),  # in a pause: who knows
        ((3.9, 4.9), (3.9, 4.0)),  # goes on to the end of the audio
        ((4.2, 4.9), (4.0, 4.0)),  # after the last speech
        ((0.5, 0.9), (0.5, 0.9)),
    ],
)
def test_a_word_lies_in_the_speech_that_it_has_most_of(word: tuple[float, float], placed: tuple[float, float]) -> None:
    (segment,) = within_speech([said((*word, "はい"))], ((0.3, 2.0), (3.0, 4.0)))
    assert times((segment,)) == [placed] and (segment.start, segment.end) == placed


def test_where_speech_is_not_known_times_stay() -> None:
    segment = said((0.0, 0.5, "はい"))
    assert within_speech([segment], ()) == (segment,)


def test_a_segment_without_words_begins_and_ends_with_speech() -> None:
    """As of a live text."""
    (segment,) = within_speech([Segment(0.0, 5.0, "はい", ())], ((0.3, 2.0), (3.0, 4.0)))
    assert (segment.start, segment.end) == (0.3, 4.0)


def test_speech_without_words_is_noticed() -> None:
    """A span of its own from a short word on; beside words, from a second on; between two words as after the last."""
    words = said((0.3, 1.0, "一"), (1.0, 2.0, "二"))
    assert stretches(((0.3, 2.0), (2.5, 2.8)), words) == [(2.5, 2.8, 2)]
    assert stretches(((0.3, 2.0), (2.5, 2.6)), words) == []
    assert stretches(((0.3, 2.9),), words) == []
    assert stretches(((0.3, 3.1),), words) == [(2.0, 3.1, 2)]
    apart = said((0.3, 1.0, "一"), (4.0, 5.0, "二"))
    assert stretches(((0.3, 1.0), (1.5, 2.0), (2.4, 2.9), (4.0, 5.0)), apart) == [(1.5, 2.9, 1)]
    assert stretches(((0.3, 5.0),), apart) == [(1.0, 4.0, 1)]


def test_what_is_heard_again_has_audio_around_it_but_no_other_words() -> None:
    apart = said((0.3, 1.4, "一"), (3.0, 5.0, "二"))
    (found,) = without_words([apart], ((0.3, 1.4), (1.5, 2.0), (3.0, 5.0)), 5.3)
    assert (found.first, found.last) == (1.4, pytest.approx(2.3))
    (all_of_it,) = without_words([], ((0.3, 1.4),), 1.7)
    assert (all_of_it.first, all_of_it.last) == (0.0, pytest.approx(1.7))


def test_more_segments_go_between_words() -> None:
    """A segment that has words on both sides becomes two."""
    two = said((0.0, 1.0, "one"), (4.0, 5.0, " three"))
    last = said((6.0, 7.0, "four"))
    more = said((2.0, 3.0, "two"))
    texts = [[segment.text for segment in inserted([two, last], after, [more])] for after in range(4)]
    assert texts == [
        ["two", "one three", "four"],
        ["one", "two", "three", "four"],
        ["one three", "two", "four"],
        ["one three", "four", "two"],
    ]
    divided = inserted([two, last], 1, [more])
    assert times(divided) == [(0.0, 1.0), (2.0, 3.0), (4.0, 5.0), (6.0, 7.0)]
    assert [(segment.start, segment.end) for segment in divided] == times(divided)
    assert all(segment.text == "".join(word.text for word in segment.words) for segment in divided)
