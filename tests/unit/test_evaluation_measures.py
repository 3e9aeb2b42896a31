"""What a recording amounts to."""

from typing import Any

import pytest

from wernicke_daemon.evaluation import measures
from wernicke_daemon.evaluation.measures import Counts, Heard, count, figures, heard_speech
from wernicke_daemon.evaluation.reference import Reference, Stretch, Turn

TURNS = (
    Turn("佐藤", "始めます。", 1.0, 3.0),
    Turn("高橋", "はい、どうぞ。", 4.0, 6.0),
    Turn("佐藤", "以上です。", 8.0, 9.5),
)
SPEECH = tuple(Stretch(start, end, str(turn.speaker)) for turn in TURNS for start, end in turn.speech)
REFERENCE = Reference(TURNS, SPEECH)


def segment(start: float, end: float, speaker: str | None, text: str, original: str | None = None) -> dict[str, Any]:
    word = {"start": start, "end": end, "word": text, "speaker": speaker}
    return {"start": start, "end": end, "speaker": speaker, "text": text, "original_text": original, "words": [word]}


def final(start: float, end: float, *segments: dict[str, Any]) -> dict[str, Any]:
    return {"timestamp_range": {"start": start, "end": end}, "segments": [*segments], "latency_ms": 250.0}


FINALS = [
    final(0.5, 6.5, segment(0.5, 2.5, "S0", "始めます。", "初めます。"), segment(3.6, 5.4, "S1", "はい、どうも。")),
    final(7.5, 10.0, segment(0.5, 2.1, "S1", "以上です。")),
    final(20.0, 21.0, segment(0.2, 0.8, "S0", "ご視聴")),
]
HEARD = Heard(FINALS, [7.5, 11.5, 22.0], audio_s=30.0, refused=3)


def test_a_recording_of_which_all_is_known() -> None:
    """One character wrong and three invented of fourteen; the correction mended one; one turn under the wrong label."""
    found = figures(count(REFERENCE, HEARD, "character"))
    assert (found["cer"], found["wer"]) == (pytest.approx(4 / 13, abs=1e-4), None)
    assert found["correction"] == {
        "accepted": 1,
        "refused": 3,
        "cer_before": pytest.approx(5 / 13, abs=1e-4),
        "cer_after": found["cer"],
    }
    assert found["speakers_right"] == pytest.approx(9 / 13, abs=1e-4)
    assert found["label_flips"] == 1
    assert found["invented_chars"] == 3
    assert found["quiet_s"] == 30.0 - (6.5 - 0.5) - (10.0 - 7.5)
    assert found["latency"]["speech_end_to_final_s"]["median"] == pytest.approx((1.5 + 2.0) / 2)
    assert found["word_times"]["first_word_s"]["median"] == pytest.approx(0.0)
    assert found["word_times"]["last_word_s"]["median"] == pytest.approx(0.0, abs=0.11)


def test_speakers_at_first_and_at_the_end() -> None:
    """Those that were named anew since count as they are known by now."""
    named = [FINALS[0], final(7.5, 10.0, segment(0.5, 2.1, "S0", "以上です。"))]
    found = figures(count(REFERENCE, Heard(named, [], 30.0, at_first=FINALS[:2]), "character"))
    assert (found["speakers_right"], found["label_flips"]) == (1.0, 0)
    assert found["speakers_right_at_first"] == pytest.approx(9 / 13, abs=1e-4)


def test_what_a_reference_does_not_say_is_not_measured() -> None:
    """Text alone: no speakers, no times, no quiet."""
    found = figures(count(Reference((Turn(None, "始めます、はいどうぞ以上です"),), None), HEARD, "character"))
    assert found["cer"] is not None
    for name in ("speakers_right", "label_flips", "invented_chars", "invented_chars_per_minute", "der"):
        assert found[name] is None
    assert found["word_times"] == {"first_word_s": None, "last_word_s": None}


def test_nobody_speaks() -> None:
    """Every character is invented, and there is no error rate to have."""
    found = figures(count(Reference((), ()), HEARD, "character"))
    assert (found["cer"], found["invented_chars"], found["invented_chars_per_minute"]) == (None, 16, 32.0)


def test_words_near_speech_are_not_invented() -> None:
    """Half a second; times of words are another question."""
    near = [final(0.0, 2.0, segment(0.2, 0.6, "S0", "始めます"))]
    assert count(REFERENCE, Heard(near, [], 30.0), "character").invented == 0


def test_counts_of_recordings_add_up() -> None:
    """Rates of all are of all their characters."""
    total, one = Counts(), count(REFERENCE, HEARD, "character")
    for _ in range(2):
        total.add(one)
    assert figures(total)["cer"] == figures(one)["cer"] and total.chars == 2 * one.chars
    assert len(total.delay_s) == 4 and total.audio_s == 60.0


def test_words_of_languages_that_have_them() -> None:
    """Word errors beside those of characters."""
    reference = Reference((Turn("A", "let us begin"),), None)
    heard = Heard([final(0, 2, segment(0, 2, "S0", "Let us begun."))], [], 2.0)
    found = figures(count(reference, heard, "word"))
    assert (found["wer"], found["cer"]) == (pytest.approx(1 / 3, abs=1e-4), 0.1)


def test_who_speaks_by_the_words() -> None:
    """One label's words with short pauses are one stretch; another voice, or half a second, ends it."""
    words = [(0.0, 0.4, "S0"), (0.6, 1.0, "S0"), (1.1, 1.4, "S1"), (1.5, 1.9, "S0"), (2.5, 2.8, "S0"), (2.9, 3.0, None)]
    finals = [final(10.0, 13.0, *(segment(a, b, who, "x") for a, b, who in words))]
    found = [(round(one.start, 3), round(one.end, 3), one.speaker) for one in heard_speech(finals)]
    assert found == [(10.0, 11.0, "S0"), (11.1, 11.4, "S1"), (11.5, 11.9, "S0"), (12.5, 12.8, "S0")]


def test_without_word_times_a_segment_is_one() -> None:
    """Its own times hold."""
    bare = segment(0.0, 1.0, "S0", "はい") | {"words": []}
    [word] = measures.words_of([final(5.0, 7.0, bare)])
    assert word == (5.0, 6.0, "S0", "はい")
