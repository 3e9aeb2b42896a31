"""The Whisper engine through its real loading and decoding path, on a tiny model that says a known text."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from ipc.audio_handle import Audio, AudioHandle
from ipc.errors import EngineFailed, EngineUnavailable
from ipc.messages import AsrResult, AsrWork, DiarizationWork
from stages.asr.faster_whisper import FasterWhisper
from stages.asr.whisper_prompt import PROMPT_TOKENS
from stages.engine import GpuEngine
from tests.tiny_whisper import SECONDS_PER_PIECE, TEXT, build_tiny_whisper, pieces, whisper_engine

RATE = 16_000
SPEECH_S = len(pieces(TEXT)) * SECONDS_PER_PIECE


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_whisper(tmp_path_factory.mktemp("whisper") / "tiny-ja")


@pytest.fixture(scope="module")
def engine(model: Path) -> FasterWhisper:
    return loaded(model)


def loaded(model: Path, language: str = "ja", **settings: Any) -> FasterWhisper:
    engine = whisper_engine(model, language, **settings)
    engine.load()
    engine.warm_up()
    return engine


def noise(seconds: float) -> Audio:
    return np.random.default_rng(0).standard_normal(int(seconds * RATE)).astype(np.float32) * np.float32(0.01)


def job(seconds: float, language: str = "ja", glossary: tuple[str, ...] = (), context: str = "") -> AsrWork:
    return AsrWork(AudioHandle("arena", 0, 1, 0, int(seconds * RATE)), language, glossary, context)


def read(handle: AudioHandle) -> Audio:
    return noise(handle.count / RATE)


def recognised(engine: FasterWhisper, seconds: float, language: str = "ja") -> AsrResult:
    return engine.process(job(seconds, language), read)


def heard_by(
    whisper: object, method: str, monkeypatch: pytest.MonkeyPatch, note: Callable[[Any], object]
) -> list[object]:
    """Notes of what a method of the real model returns, which goes on to work as it did."""
    notes: list[object] = []
    real = getattr(whisper, method)

    def listening(*values: object, **options: object) -> object:
        result = real(*values, **options)
        notes.append(note(result))
        return result

    monkeypatch.setattr(whisper, method, listening)
    return notes


def test_the_models_text_comes_back_with_its_words_and_their_times(engine: FasterWhisper) -> None:
    """Text, words and word times of a 12 s utterance are those that the model was built to give."""
    result = recognised(engine, 12.0)
    (segment,) = result.segments
    assert (segment.text, result.language, result.alignment) == (TEXT, "ja", "whisper")
    assert "".join(word.text for word in segment.words) == TEXT
    assert all("\N{REPLACEMENT CHARACTER}" not in word.text for word in segment.words)
    assert (segment.start, segment.end) == pytest.approx((0.0, SPEECH_S))
    assert segment.words[-1].start == pytest.approx(SPEECH_S - SECONDS_PER_PIECE)
    assert all(0.9 < word.score <= 1 for word in segment.words)


@pytest.mark.parametrize("seconds", [0.5, 3.0, 30.0])
def test_times_lie_in_order_within_the_audio(engine: FasterWhisper, seconds: float) -> None:
    """However short the audio is for the text, no time lies past its end or before the one before; all are floats."""
    for segment in recognised(engine, seconds).segments:
        times = [time for word in segment.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert 0 <= segment.start == times[0] <= times[-1] == segment.end <= seconds
        assert {type(number) for word in segment.words for number in (word.start, word.end, word.score)} == {float}


def test_the_language_is_detected_where_it_is_not_given(engine: FasterWhisper) -> None:
    """`auto` asks the model, and the result says how sure it is; of a language that is given, it is sure."""
    result = recognised(engine, 2.0, language="auto")
    assert result.language == "ja"
    assert result.language_probability > 0.9
    assert recognised(engine, 2.0, language="ja").language_probability == 1


def test_the_language_is_one_of_those_allowed_and_a_short_word_does_not_change_it(model: Path) -> None:
    """What was spoken before comes with the job; a live text is in that language too."""
    engine = loaded(model, "auto", languages=("en", "ko"))
    assert recognised(engine, 4.0, language="auto").language in ("en", "ko")
    for spoken, kind in (("en", "live"), ("ko", "firm")):
        assert engine.process(replace(job(1.0, "auto"), spoken=spoken, kind=kind), read).language == spoken
    assert recognised(engine, 1.0, language="ja").language == "ja"
    with pytest.raises(EngineUnavailable, match=r"'xx' of asr\.languages"):
        loaded(model, "auto", languages=("ja", "xx"))


@pytest.mark.parametrize("language", ["ja", "auto"])
def test_no_audio_gives_no_segments(engine: FasterWhisper, language: str) -> None:
    """An empty utterance is no error."""
    assert recognised(engine, 0.0, language).segments == ()


def test_an_english_text_keeps_its_blanks(tmp_path: Path) -> None:
    """Words bring the blank before them, so that joined they are the text; the text itself begins without one."""
    engine = loaded(build_tiny_whisper(tmp_path / "tiny.en", " we begin today.", multilingual=False), "en")
    (segment,) = recognised(engine, 12.0, language="en").segments
    assert segment.text == "we begin today."
    assert [word.text for word in segment.words] == ["we", " begin", " today."]


def test_a_language_that_the_model_does_not_know_fails_the_job(engine: FasterWhisper, tmp_path: Path) -> None:
    """The model never writes English for Japanese, and an unknown code is called that."""
    english = build_tiny_whisper(tmp_path / "tiny.en", " hello", multilingual=False)
    with pytest.raises(EngineFailed, match="'ja'"):
        recognised(loaded(english, "auto"), 1.0, language="ja")
    with pytest.raises(EngineFailed, match="'xx'"):
        recognised(engine, 1.0, language="xx")


def test_other_work_is_refused(engine: FasterWhisper) -> None:
    """A job of another stage is a mistake that shows."""
    with pytest.raises(TypeError, match="DiarizationWork"):
        engine.process(DiarizationWork(AudioHandle("arena", 0, 1, 0, 0)), read)


def test_the_model_is_shown_by_its_last_name() -> None:
    """`models_used` gets no path and no owner."""
    assert whisper_engine("Systran/faster-whisper-large-v3").model == "faster-whisper-large-v3"
    assert whisper_engine("large-v3").model == "large-v3"


# --- what the model is told --------------------------------------------------------------------------


def test_the_glossary_and_the_text_before_reach_the_model(
    engine: FasterWhisper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Terms, then what was said before, stand before the utterance, whose text still comes; without, nothing does."""
    prompts = heard_by(engine._whisper, "get_prompt", monkeypatch, engine._whisper.hf_tokenizer.decode)
    result = engine.process(job(6.0, glossary=("機械学習", "wernicke"), context="おはよう"), read)
    assert result.segments[0].text == TEXT
    engine.process(job(6.0), read)
    assert prompts == [" 機械学習 wernicke おはよう", ""]


def test_a_full_glossary_with_much_text_before_leaves_room_for_the_utterance(
    engine: FasterWhisper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that a client and a configuration may ask for together is cut to the half that is there for it."""
    lengths = heard_by(engine._whisper, "get_prompt", monkeypatch, len)
    result = engine.process(job(6.0, glossary=("term" * 25,) * 200, context="言" * 200), read)
    assert result.segments[0].text == TEXT
    around = len(["<|startofprev|>", "<|startoftranscript|>", "<|ja|>", "<|transcribe|>"])
    assert lengths == [PROMPT_TOKENS + around]


# --- how it decodes ----------------------------------------------------------------------------------


def test_decoding_is_as_configured(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting reaches the decoder, and the text so far never conditions what comes."""
    engine = loaded(
        model,
        beam_size=3,
        temperatures=(0.0, 0.3),
        no_speech_threshold=0.5,
        log_prob_threshold=-0.8,
        compression_ratio_threshold=2.0,
    )
    (used,) = options_of(engine, monkeypatch, lambda: recognised(engine, 2.0))
    assert (used.beam_size, used.best_of, tuple(used.temperatures)) == (3, 5, (0.0, 0.3))
    assert (used.no_speech_threshold, used.log_prob_threshold, used.compression_ratio_threshold) == (0.5, -0.8, 2.0)
    assert used.condition_on_previous_text is False


def options_of(engine: FasterWhisper, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> list[Any]:
    """What faster-whisper says it decoded with."""
    notes = heard_by(engine._whisper, "transcribe", monkeypatch, lambda result: result[1].transcription_options)
    act()
    return notes


def test_a_live_text_is_looked_for_once_and_not_timed(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beam 1, the first temperature, no words; the text is that of a firm job here."""
    engine = loaded(model)
    results: list[AsrResult] = []
    live = replace(job(6.0), kind="live")
    (used,) = options_of(engine, monkeypatch, lambda: results.append(engine.process(live, read)))
    assert (used.beam_size, tuple(used.temperatures), used.word_timestamps) == (1, (0.0,), False)
    ((segment,), alignment) = results[0].segments, results[0].alignment
    assert (segment.text, segment.words, alignment) == (TEXT, (), "none")


def test_an_early_job_is_done_as_a_firm_one(engine: FasterWhisper) -> None:
    assert engine.process(replace(job(6.0), kind="early"), read) == engine.process(job(6.0), read)


def test_a_doubtful_text_where_nothing_may_be_said_is_left_out(model: Path) -> None:
    """By thresholds that doubt every text and take everything for silence, there is no text."""
    assert recognised(loaded(model, log_prob_threshold=0.0, no_speech_threshold=0.0), 6.0).segments == ()
    assert recognised(loaded(model, log_prob_threshold=0.0, no_speech_threshold=1.0), 6.0).segments


def test_a_job_out_of_memory_is_done_with_half_the_width(
    engine: FasterWhisper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That job alone: the next has its whole width again. Its text is the same here."""
    texts: list[str] = []

    def act() -> None:
        for process in (engine.process_smaller, engine.process):
            texts.append(process(job(6.0), read).segments[0].text)

    used = options_of(engine, monkeypatch, act)
    assert [(options.beam_size, options.best_of) for options in used] == [(2, 2), (5, 5)]
    assert texts == [TEXT, TEXT]


def test_the_narrowest_beam_stays_one(model: Path) -> None:
    """Greedy decoding can't be halved."""
    assert loaded(model, beam_size=1).process_smaller(job(6.0), read).segments[0].text == TEXT


def test_on_a_processor_it_holds_no_gpu_memory(engine: FasterWhisper) -> None:
    """It is a GPU engine all the same, and giving back nothing is no error."""
    assert isinstance(engine, GpuEngine)
    assert engine.gpu_memory() is None
    engine.release()
    assert recognised(engine, 6.0).segments[0].text == TEXT


def test_the_default_compute_type_runs_on_a_processor(model: Path) -> None:
    """float16, as shipped, becomes what a CPU can do, and the text is the same."""
    assert recognised(loaded(model, compute_type="float16"), 6.0).segments[0].text == TEXT
