"""What faster-whisper found becomes segments whose words join to their text, in order, within the audio."""

from collections.abc import Sequence
from dataclasses import dataclass

from stages.asr.whisper_words import FoundWord, to_segments


@dataclass
class Heard:
    """A word as faster-whisper gives it."""

    start: float
    end: float
    word: str
    probability: float = 0.5


@dataclass
class Line:
    """A segment as faster-whisper gives it."""

    start: float
    end: float
    text: str
    words: Sequence[FoundWord] | None
    avg_logprob: float = -0.4
    no_speech_prob: float = 0.1


def test_half_characters_are_one_with_the_next_word() -> None:
    """No word holds a replacement character; the text decides what is written, the words when."""
    words = [Heard(0, 0.2, "�", 0.9), Heard(0.2, 0.4, "�", 0.3), Heard(0.4, 0.6, "日は"), Heard(0.6, 1, "�")]
    (segment,) = to_segments([Line(0, 1, "今日は�", words)], 2.0)
    assert (segment.text, segment.log_prob, segment.no_speech) == ("今日は", -0.4, 0.1)
    assert [(w.start, w.end, w.text, w.score) for w in segment.words] == [(0, 1, "今日は", 0.3)]


def test_text_without_its_word_goes_to_the_last_one() -> None:
    """Words joined are the text, also where the model timed fewer pieces than it wrote."""
    (segment,) = to_segments([Line(0, 1, " I see.", [Heard(0, 0.5, " I"), Heard(0.5, 1, " see")])], 2.0)
    assert [word.text for word in segment.words] == ["I", " see."]


def test_times_are_clamped_and_made_to_follow_each_other() -> None:
    """Neither past the audio's end nor before what came before, within and across segments."""
    first = Line(0, 3, "ab", [Heard(-0.1, 1.0, "a"), Heard(0.9, 1.5, "b")])
    second = Line(1.2, 9, "c", [Heard(1.2, 9, "c")])
    segments = list(to_segments([first, second], 2.0))
    assert [(w.start, w.end) for s in segments for w in s.words] == [(0, 1.0), (1.0, 1.5), (1.5, 2.0)]
    assert [(s.start, s.end) for s in segments] == [(0, 1.5), (1.5, 2.0)]


def test_segments_without_words_keep_their_own_times() -> None:
    """A model that times no words gives segments all the same; empty ones are dropped."""
    lines = [Line(0, 1, " one", None), Line(1, 1.5, "  ", None), Line(1.5, 1.6, "�", []), Line(1.5, 9, "two", [])]
    segments = list(to_segments(lines, 2.0))
    assert [(s.start, s.end, s.text, s.words) for s in segments] == [(0, 1, "one", ()), (1.5, 2.0, "two", ())]
