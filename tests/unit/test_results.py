"""What a client gets of a settled utterance."""

import msgspec
import pytest

from ipc.audio_handle import SAMPLE_RATE, AudioHandle
from ipc.messages import AsrResult, Boundary, CorrectionResult, DiarizationResult, Piece, Segment, Turn, Word
from wernicke_daemon.utterances import results
from wernicke_daemon.utterances.pieces import StageTiming
from wernicke_daemon.utterances.speaker_assignment import lines_by_speaker
from wernicke_daemon.utterances.utterance import Utterance
from wernicke_daemon.wire import protocol

HELLO = Segment(0.1, 1.0, "hello there", (Word(0.1, 0.5, "hello", 0.91234), Word(0.5, 1.0, " there", 0.8)))
BYE = Segment(1.5, 2.0, "bye", (Word(1.5, 2.0, "bye", 0.7),))
TURNS = (Turn(0.0, 1.2, 0), Turn(1.2, 2.2, 1))
PIECES = (Piece(0.0, 1.2, 0, 1.2, (1.0, 0.0)), Piece(1.2, 2.2, 1, 1.0, (0.0, 1.0)))


def utterance(*segments: Segment, language: str = "en") -> Utterance:
    """From 12.48 s to 15.08 s of its session, recognised but neither diarized nor corrected."""
    start, count = round(12.48 * SAMPLE_RATE), round(2.6 * SAMPLE_RATE)
    made = Utterance(
        session="s1",
        sequence=7,
        buffer_id="buff_7",
        audio=AudioHandle("arena", 0, 1, start, count),
        boundary=Boundary(start, start + count, "flush", 30_000, start + 30_000),
        language=language,
        glossary=(),
        triggered=100.0,
        wall_start=1_767_236_412.48,
    )
    made.asr = AsrResult(language, 0.99, segments, "whisper")
    made.lines = lines_by_speaker(made.asr, None, ())
    made.models = {"asr": "large-v3", "diarization": "another", "correction": "qwen"}
    made.timings = {"asr": StageTiming(5.0, 1100.0, 1), "correction": StageTiming(5.0, 300.0, 1)}
    return made


def diarized(made: Utterance) -> Utterance:
    made.diarization = DiarizationResult(TURNS, PIECES, 0.7, "spectral-1")
    assert made.asr is not None
    made.lines = lines_by_speaker(made.asr, made.diarization, (0, 1))
    return made


def corrected(made: Utterance, *texts: str | None) -> Utterance:
    made.correction = CorrectionResult(texts)
    return made


def test_every_field_of_a_final() -> None:
    """Place, time, trigger, work and models are those of the utterance."""
    final = results.final(corrected(diarized(utterance(HELLO, BYE)), "Hello there.", None), ["S0", "S1"], True, 100.036)
    assert (final.session_id, final.buffer_id, final.sequence) == ("s1", "buff_7", 7)
    assert final.timestamp_range == protocol.TimestampRange(12.48, 15.08)
    assert final.wall_start == "2026-01-01T03:00:12.480Z"
    assert (final.duration, final.processing_time, final.latency_ms) == (2.6, 1.4, 36)
    assert (final.trigger, final.language, final.warnings) == ("flush", "en", [])
    assert final.models_used == {
        "whisper": "large-v3",
        "alignment": "whisper",
        "diarization": "spectral-1",
        "llm": "qwen",
    }


def test_corrected_and_original_text() -> None:
    """A corrected segment shows both texts; one that the LLM left alone has no original."""
    final = results.final(corrected(utterance(HELLO, BYE), "Hello, there.", None), [], True, 100.0)
    first, second = final.segments
    assert (first.text, first.corrected, first.original_text) == ("Hello, there.", True, "hello there")
    assert (second.text, second.corrected, second.original_text) == ("bye", False, None)
    assert final.text == "Hello, there. bye"


def test_without_correction() -> None:
    """`corrected` and `original_text` are there all the same."""
    (segment,) = results.final(utterance(HELLO), [], True, 100.0).segments
    assert (segment.text, segment.corrected, segment.original_text) == ("hello there", False, None)


def test_speakers_are_named_by_the_session() -> None:
    """Pieces get the session's names, on segments and on words."""
    final = results.final(diarized(utterance(HELLO, BYE)), ["Speaker_03", "Speaker_00"], True, 100.0)
    assert [segment.speaker for segment in final.segments] == ["Speaker_03", "Speaker_00"]
    assert isinstance(final.segments[0].words, list)
    assert [word.speaker for word in final.segments[0].words] == ["Speaker_03", "Speaker_03"]


@pytest.mark.parametrize("names", [[None, "Speaker_00"], []])
def test_a_voice_without_a_name_is_null(names: list[str | None]) -> None:
    """Too little speech to say who it was, or no names at all."""
    final = results.final(diarized(utterance(HELLO)), names, True, 100.0)
    assert final.segments[0].speaker is None


def test_words_are_of_the_recognised_text() -> None:
    """Words are timed on what was recognised, without blanks around them, also where the text was corrected."""
    final = results.final(corrected(utterance(HELLO), "Hi!"), [], True, 100.0)
    assert final.segments[0].words == [
        protocol.WordOut(0.1, 0.5, "hello", 0.912, None),
        protocol.WordOut(0.5, 1.0, "there", 0.8, None),
    ]


def test_words_can_be_turned_off() -> None:
    """A client that wants no words gets no such field."""
    final = results.final(utterance(HELLO), [], False, 100.0)
    sent = msgspec.json.decode(protocol.encode(final))
    assert "words" not in sent["segments"][0]
    assert sent["segments"][0]["original_text"] is None


def test_revision_grows_with_each_stage() -> None:
    """One for recognition, one more for each stage that added something."""
    assert results.final(utterance(HELLO), [], True, 100.0).revision == 1
    assert results.final(diarized(utterance(HELLO)), [], True, 100.0).revision == 2
    assert results.final(corrected(diarized(utterance(HELLO)), None), [], True, 100.0).revision == 3


def test_models_of_stages_without_a_part_are_null() -> None:
    """Only what worked on this result is named."""
    used = results.models_used(utterance(HELLO))
    assert used == {"whisper": "large-v3", "alignment": "whisper", "diarization": None, "llm": None}


def test_a_stage_that_was_not_up_at_submission_has_no_known_model() -> None:
    """A stage that came up while the utterance was under way does not break its final."""
    made = corrected(utterance(HELLO), None)
    made.models = {"asr": "large-v3"}
    assert results.models_used(made)["llm"] is None


def test_warnings_are_passed_on() -> None:
    """What was degraded is said in the result."""
    made = utterance(HELLO)
    made.warn("LLM_TIMEOUT")
    made.warn("LLM_TIMEOUT")
    assert results.final(made, [], True, 100.0).warnings == ["LLM_TIMEOUT"]


def test_blanks_between_segments_follow_the_script() -> None:
    """English segments are joined with a blank, Japanese ones with nothing after punctuation, empty ones not at all."""
    assert results.joined(["one", "", "two"], "en") == "one two"
    assert results.joined(["今日は雨。", "", "明日は", "晴れ", "です"], "ja") == "今日は雨。明日は 晴れ です"


def test_a_new_line_where_the_speaker_changes() -> None:
    """As far as it is known who speaks; in a partial too, once it is."""
    made = diarized(utterance(HELLO, BYE, BYE))
    assert results.final(made, ["S0", "S1"], True, 100.0).text == "hello there\nbye bye"
    assert results.final(made, [], True, 100.0).text == "hello there bye bye"
    assert results.improved(made, ["S0", "S1"], True).text == "hello there\nbye bye"
    assert results.recognised(made, True).text == results.recognised_text(made) == "hello there bye bye"
    assert results.final(utterance(HELLO, BYE, language="ja"), [], True, 100.0).text == "hello there bye"


def test_the_recognised_text_as_a_partial() -> None:
    """It goes out unnamed and uncorrected, with the same place and buffer as the final to come."""
    made = utterance(HELLO, BYE)
    assert made.caption.recognised(results.recognised(made, True), "en")
    shown = made.caption.take(100.25)
    assert shown is not None
    partial = results.partial(made, shown, latency_s=0.25)
    final = results.final(made, [], True, 101.0)
    assert (partial.stage, partial.stable_chars, partial.latency_ms) == ("asr", len(partial.text), 250)
    assert (partial.revision, final.revision) == (1, 2)
    assert (partial.buffer_id, partial.sequence) == (final.buffer_id, final.sequence)
    assert partial.timestamp_range == final.timestamp_range
    assert partial.text == "hello there bye"
    assert [segment.speaker for segment in partial.segments] == [None, None]


def test_text_for_the_context_of_later_utterances() -> None:
    """What was recognised, or nothing where nothing was."""
    made = utterance(HELLO, BYE)
    assert results.recognised_text(made) == "hello there bye"
    made.asr = None
    assert results.recognised_text(made) == ""
