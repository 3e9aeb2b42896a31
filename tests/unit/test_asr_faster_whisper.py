"""The Whisper engine through its real loading and decoding path, on a tiny model that says a known text."""

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ipc.audio_handle import AudioHandle
from ipc.errors import EngineFailed, EngineUnavailable
from ipc.messages import AsrResult, AsrWork, DiarizationWork
from ipc.settings import AsrSettings, StageSettings
from stages.asr import faster_whisper
from stages.asr.faster_whisper import FasterWhisper, FoundWord, choose_compute_type, to_segments
from stages.stage import Audio
from tests.tiny_whisper import SECONDS_PER_PIECE, TEXT, build_tiny_whisper, pieces

RATE = 16_000
SPEECH_S = len(pieces(TEXT)) * SECONDS_PER_PIECE


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


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_whisper(tmp_path_factory.mktemp("whisper") / "tiny-ja")


@pytest.fixture(scope="module")
def engine(model: Path) -> FasterWhisper:
    return loaded(model)


@pytest.fixture
def damaged(model: Path, tmp_path: Path) -> Path:
    """A copy of the model to break."""
    return Path(shutil.copytree(model, tmp_path / "model"))


@pytest.fixture
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine to which no model was ever downloaded."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))


def engine_of(model: Path | str, language: str = "ja", compute_type: str = "float32") -> FasterWhisper:
    asr = AsrSettings(model=str(model), language=language, device="cpu", compute_type=compute_type)
    return FasterWhisper("asr", StageSettings(asr=asr))


def loaded(model: Path, language: str = "ja", compute_type: str = "float32") -> FasterWhisper:
    engine = engine_of(model, language, compute_type)
    engine.load()
    engine.warm_up()
    return engine


def noise(seconds: float) -> Audio:
    return np.random.default_rng(0).standard_normal(int(seconds * RATE)).astype(np.float32) * np.float32(0.01)


def recognised(
    engine: FasterWhisper, seconds: float, language: str = "ja", glossary: tuple[str, ...] = ()
) -> AsrResult:
    audio = noise(seconds)
    work = AsrWork(AudioHandle("arena", 0, 1, 0, len(audio)), language, glossary)
    return engine.process(work, lambda handle: audio)


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
    """`auto` asks the model, and the result says how sure it is."""
    result = recognised(engine, 2.0, language="auto")
    assert result.language == "ja"
    assert result.language_probability > 0.9


def test_no_audio_gives_no_segments(engine: FasterWhisper) -> None:
    """An empty utterance is no error."""
    assert recognised(engine, 0.0).segments == ()


def test_the_glossary_reaches_the_model(engine: FasterWhisper, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its terms go to the model as hot words, and the text still comes back; no terms, no hot words."""
    given: list[object] = []
    transcribe = engine._whisper.transcribe

    def listening(audio: Audio, **options: object) -> object:
        given.append(options["hotwords"])
        return transcribe(audio, **options)

    monkeypatch.setattr(engine._whisper, "transcribe", listening)
    assert recognised(engine, 6.0, glossary=("機械学習", "wernicke")).segments[0].text == TEXT
    recognised(engine, 1.0)
    assert given == ["機械学習 wernicke", None]


def test_an_english_text_keeps_its_blanks(tmp_path: Path) -> None:
    """Words bring the blank before them, so that joined they are the text; the text itself begins without one."""
    engine = loaded(build_tiny_whisper(tmp_path / "tiny.en", " we begin today.", multilingual=False), "en")
    (segment,) = recognised(engine, 12.0, language="en").segments
    assert segment.text == "we begin today."
    assert [word.text for word in segment.words] == ["we", " begin", " today."]


def test_an_english_model_refuses_japanese(tmp_path: Path) -> None:
    """By config.toml the start stops, by a client its job fails; the model never writes English for Japanese."""
    model = build_tiny_whisper(tmp_path / "tiny.en", " hello", multilingual=False)
    with pytest.raises(EngineUnavailable, match=r"tiny\.en does not know the language 'ja'.*asr\.model"):
        engine_of(model, "ja").load()
    with pytest.raises(EngineFailed, match="'ja'"):
        recognised(loaded(model, "auto"), 1.0, language="ja")


def test_other_work_is_refused(engine: FasterWhisper) -> None:
    """A job of another stage is a mistake that shows."""
    with pytest.raises(TypeError, match="DiarizationWork"):
        engine.process(DiarizationWork(AudioHandle("arena", 0, 1, 0, 0)), lambda handle: noise(0.0))


def test_the_model_is_shown_by_its_last_name() -> None:
    """`models_used` gets no path and no owner."""
    assert engine_of("Systran/faster-whisper-large-v3").model == "faster-whisper-large-v3"
    assert engine_of("large-v3").model == "large-v3"


# --- what keeps it from starting ---------------------------------------------------------------------


@pytest.mark.usefixtures("empty_hub")
@pytest.mark.parametrize(
    ("model", "repository"),
    [
        ("large-v3", "Systran/faster-whisper-large-v3"),
        ("turbo", "mobiuslabsgmbh/faster-whisper-large-v3-turbo"),
        ("someone/some-model", "someone/some-model"),
    ],
)
def test_a_model_that_is_not_here_is_not_downloaded(model: str, repository: str) -> None:
    """The sentence says how to get it, and the ways to do without."""
    with pytest.raises(EngineUnavailable, match=rf"`hf download {repository}`.*asr\.model.*--profile embedded"):
        engine_of(model).load()


@pytest.mark.parametrize("model", ["large-v33", "/no/such/directory/of/models"])
def test_a_name_that_no_model_can_have(model: str) -> None:
    """A mistyped size or path is called that, and the sizes are listed."""
    with pytest.raises(EngineUnavailable, match=rf"{model}.*no directory.*large-v3.*asr\.model"):
        engine_of(model).load()


@pytest.mark.parametrize("name", ["model.bin", "config.json", "vocabulary.json", "tokenizer.json"])
def test_a_missing_file_is_named(damaged: Path, name: str) -> None:
    """A directory that lacks a file is refused by that file's name."""
    (damaged / name).unlink()
    with pytest.raises(EngineUnavailable, match=rf"lacks {name}:"):
        engine_of(damaged).load()


def test_an_older_models_vocabulary_is_a_text_file(damaged: Path) -> None:
    """vocabulary.txt serves as well as vocabulary.json."""
    (damaged / "vocabulary.json").rename(damaged / "vocabulary.txt")
    assert faster_whisper.model_directory(str(damaged)) == damaged


def test_without_the_preprocessors_file_a_model_of_128_bands_is_refused(tmp_path: Path) -> None:
    """Where preprocessor_config.json is missing the bands would be wrong, and the text garbage."""
    model = build_tiny_whisper(tmp_path / "model", mels=128)
    loaded(model)
    (model / "preprocessor_config.json").unlink()
    with pytest.raises(EngineUnavailable, match=r"preprocessor_config\.json.*128"):
        engine_of(model).load()


@pytest.mark.parametrize("name", ["model.bin", "tokenizer.json"])
def test_a_corrupt_file_is_a_sentence(damaged: Path, name: str) -> None:
    """What the libraries say of a broken file becomes one line with the ways out."""
    (damaged / name).write_bytes((damaged / name).read_bytes()[:1000])
    with pytest.raises(EngineUnavailable, match=r"can't be loaded.*download it again.*--profile embedded") as error:
        engine_of(damaged).load()
    assert "\n" not in str(error.value)


def test_a_device_that_is_not_there(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`cuda` without a card stops the start; `auto` would have gone on without."""
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 0)
    asr = AsrSettings(model=str(model), device="cuda")
    with pytest.raises(EngineUnavailable, match=r"no CUDA device.*asr\.device = \"auto\""):
        FasterWhisper("asr", StageSettings(asr=asr)).load()


def test_a_failed_warm_up_is_a_sentence(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries that are missed only at the first computation are named with the way out."""
    engine = loaded(model)
    reason = "Library libcublas.so.12 is not found or cannot be loaded"

    def transcribe(*_: object, **__: object) -> None:
        raise RuntimeError(reason)

    monkeypatch.setattr(engine._whisper, "transcribe", transcribe)
    with pytest.raises(EngineUnavailable, match=rf"{reason}.*nvidia-cublas-cu12.*asr\.device = \"cpu\""):
        engine.warm_up()


# --- pure parts --------------------------------------------------------------------------------------


def test_compute_type_steps_down_to_what_the_device_has() -> None:
    """The wanted type if it is supported, else the next in order; a type that is not in the order is left alone."""
    assert choose_compute_type("float16", {"float16", "int8"}) == "float16"
    assert choose_compute_type("float16", {"int8_float16", "int8", "float32"}) == "int8_float16"
    assert choose_compute_type("float16", {"int8", "float32", "int8_float32"}) == "int8"
    assert choose_compute_type("int8", {"float32", "float16"}) == "float32"
    assert choose_compute_type("auto", {"float32"}) == "auto"
    assert choose_compute_type("bfloat16", {"float32"}) == "bfloat16"


def test_the_default_compute_type_runs_on_a_processor(model: Path) -> None:
    """float16, as shipped, becomes what a CPU can do, and the text is the same."""
    assert recognised(loaded(model, compute_type="float16"), 6.0).segments[0].text == TEXT


def test_half_characters_are_one_with_the_next_word() -> None:
    """No word holds a replacement character; the text decides what is written, the words when."""
    words = [Heard(0, 0.2, "�", 0.9), Heard(0.2, 0.4, "�", 0.3), Heard(0.4, 0.6, "日は"), Heard(0.6, 1, "�")]
    (segment,) = to_segments([Line(0, 1, "今日は�", words)], 2.0)
    assert segment.text == "今日は"
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


def test_cublas_is_made_findable_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's DLLs are put where both ways of searching look."""
    library = tmp_path / "nvidia" / "cublas" / "bin"
    library.mkdir(parents=True)
    added: list[str] = []
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("os.add_dll_directory", added.append, raising=False)
    monkeypatch.setenv("PATH", "before")
    faster_whisper.make_cublas_findable()
    assert added == [str(library)]
    assert os.environ["PATH"].startswith(str(library))


def test_without_the_package_nothing_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without nvidia-cublas-cu12 may have cuBLAS by other means."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("stages.asr.faster_whisper.find_spec", lambda name: None)
    monkeypatch.setattr("os.add_dll_directory", None, raising=False)
    faster_whisper.make_cublas_findable()
