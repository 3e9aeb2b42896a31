"""whisperx with a wav2vec2 model that hears tones: words with known times, and what can be wrong with them."""

import logging
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nltk
import numpy as np
import pytest
import structlog
import torch
from whisperx.alignment import get_trellis

from ipc.audio_handle import Audio, AudioHandle
from ipc.errors import EngineUnavailable
from ipc.messages import AsrResult, AsrWork, Segment, Word
from ipc.model_names import ALIGNMENT_MODELS
from ipc.settings import AlignmentSettings, AsrSettings, StageSettings
from stages.asr.aligned import align, choose
from stages.asr.alignment.whisperx import WhisperxAligner
from stages.engine import GpuEngine
from stages.process import engine_registry
from tests.models.tiny_wav2vec2 import build_tiny_wav2vec2, speech
from tests.tiny_whisper import TEXT, build_tiny_whisper

pytestmark = pytest.mark.models

JAPANESE = sorted(set("今日は機械学習について話します" + TEXT))
LATIN = [chr(code) for code in range(ord("a"), ord("z") + 1)]
SLOT = 0.2
"""Seconds in which one character is said."""
LEAD = 0.4
"""Seconds of silence before and after."""
FRAME = 0.021
"""Seconds: the model's resolution, and a rounding."""


@pytest.fixture(scope="module")
def japanese(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return build_tiny_wav2vec2(tmp_path_factory.mktemp("models") / "tiny-ja", JAPANESE)


@pytest.fixture(scope="module")
def latin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_wav2vec2(tmp_path_factory.mktemp("models") / "tiny-latin", LATIN)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever is tested: nobody looks up a name or connects, and NLTK finds no tables on this machine."""
    attempts: list[Any] = []

    def refuse(*arguments: Any, **_: Any) -> None:
        attempts.append(arguments)
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(nltk.data, "path", [])
    yield
    assert attempts == []


def configured(model: Path | str, language: str = "ja", engine: str = "whisperx") -> StageSettings:
    alignment = {"engine": engine, "model": str(model)}
    return StageSettings(asr=AsrSettings(language=language), alignment=AlignmentSettings(**alignment))  # type: ignore[arg-type]


def ready(model: Path | str, language: str = "ja") -> WhisperxAligner:
    aligner = WhisperxAligner(configured(model, language))
    aligner.load()
    aligner.warm_up()
    return aligner


def said(text: str, characters: list[str] = JAPANESE, sounds: str = "") -> tuple[Segment, Audio]:
    """The text's tones in silence, or other `sounds`, and a segment that reaches from end to end of it."""
    silence = np.zeros(round(LEAD * 16_000), np.float32)
    audio = np.concatenate([silence, speech(sounds or text, characters, SLOT), silence])
    return Segment(0.0, len(audio) / 16_000, text, (Word(0.0, 1.0, text, 0.5),)), audio


def moment(index: int) -> Any:
    """When the character with this index in the text begins."""
    return pytest.approx(LEAD + index * SLOT, abs=FRAME)


def test_japanese_words_have_the_times_at_which_they_were_said(japanese: Path) -> None:
    """To a frame, though the segment says nothing of them; punctuation takes no time."""
    segment, audio = said("今日は機械学習について話します。")
    alignment = ready(japanese).align([segment], audio, "ja")
    [found] = alignment.segments
    assert alignment.model == "tiny-ja" and found is not None
    starts = [(word.text, word.start) for word in found.words]
    assert starts == [
        ("今日", moment(0)),
        ("は", moment(2)),
        ("機械", moment(3)),
        ("学習", moment(5)),
        ("に", moment(7)),
        ("ついて", moment(8)),
        ("話します。", moment(11)),
    ]
    assert found.words[0].end == moment(2) and found.words[-1].end <= LEAD + 16 * SLOT
    assert (found.text, found.start, found.end) == (segment.text, found.words[0].start, found.words[-1].end)
    assert all(0.9 < word.score <= 1 for word in found.words)


def test_from_whisper_to_words_with_times(japanese: Path, tmp_path: Path) -> None:
    """Through the registry: what Whisper says is timed by the tones; audio is read from memory once."""
    model = str(build_tiny_whisper(tmp_path / "tiny", TEXT))
    settings = StageSettings(
        asr=AsrSettings(model=model, punctuation=False),
        alignment=AlignmentSettings(engine="whisperx", model=str(japanese)),
    )
    engine = engine_registry.create("asr", "faster_whisper", settings)
    engine.load()
    engine.warm_up()
    _, audio = said(TEXT)
    reads: list[AudioHandle] = []

    def read(handle: AudioHandle) -> Audio:
        reads.append(handle)
        return audio

    work = AsrWork(AudioHandle("a", 0, 1, 0, len(audio)), "ja")
    result = engine.process(work, read)
    assert isinstance(result, AsrResult) and isinstance(engine, GpuEngine)
    assert (result.alignment, result.warnings, engine.name, engine.model) == ("tiny-ja", (), "faster_whisper", "tiny")
    [segment] = result.segments
    assert [(word.text, word.start) for word in segment.words] == [
        ("きょう", moment(0)),
        ("は", moment(3)),
        ("きかい", moment(4)),
        ("がくしゅう", moment(7)),
        ("に", moment(12)),
        ("ついて", moment(13)),
        ("はなします", moment(16)),
    ]
    assert len(reads) == 1
    assert engine.process_smaller(work, read) == result
    engine.release()
    assert engine.gpu_memory() is None
    engine.close()


def test_a_full_stop_does_not_split_a_segment(latin: Path) -> None:
    """Nor do blanks get lost: the words joined are the text."""
    segment, audio = said("one two. three four. five", LATIN)
    [found] = ready(latin, "en").align([segment], audio, "en").segments
    assert found is not None
    assert [word.text for word in found.words] == ["one", " two.", " three", " four.", " five"]
    assert [word.start for word in found.words] == [
        moment(segment.text.index(word.text.strip())) for word in found.words
    ]


def test_a_full_stop_in_japanese(japanese: Path) -> None:
    """ASCII stops with a blank after them, as Whisper writes at times."""
    segment, audio = said("今日は. 話します.")
    [found] = ready(japanese).align([segment], audio, "ja").segments
    assert found is not None
    assert [word.text for word in found.words] == ["今日", "は.", " 話します."]
    assert [word.start for word in found.words] == [moment(0), moment(2), moment(5)]


def test_characters_that_the_model_does_not_know(japanese: Path) -> None:
    """Digits and Latin letters are taken for the sounds that are there."""
    segment, audio = said("今日は2024年AIについて話します", sounds="今日はしましましましについて話します")
    [found] = ready(japanese).align([segment], audio, "ja").segments
    assert found is not None and "".join(word.text for word in found.words) == segment.text
    assert [(word.text, word.start) for word in found.words] == [
        ("今日", moment(0)),
        ("は", moment(2)),
        ("2024", moment(3)),
        ("年", moment(7)),
        ("AI", moment(8)),
        ("に", moment(10)),
        ("ついて", moment(11)),
        ("話します", moment(14)),
    ]


def test_segments_around_the_end_of_the_audio(japanese: Path) -> None:
    """One that reaches beyond it is aligned in what there is; one that begins beyond it can't be."""
    segment, audio = said("話します")
    beyond = Segment(-1.0, segment.end + 5, segment.text, segment.words)
    after = Segment(segment.end + 1, segment.end + 2, segment.text, segment.words)
    found, nothing = ready(japanese).align([beyond, after], audio, "ja").segments
    assert found is not None and found.start == moment(0) and found.end <= segment.end
    assert nothing is None


@pytest.mark.parametrize("text", ["", " ", "。", "話" * 200], ids=["empty", "blank", "unspoken", "too_long"])
def test_text_that_can_not_be_aligned_is_no_words_of_ours(
    japanese: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """whisperx says so by giving no words; it says what was said as well, and that reaches no log."""
    _, audio = said("話します")
    aligner = ready(japanese)
    written: list[logging.LogRecord] = []
    monkeypatch.setattr(logging.Handler, "handle", lambda _, record: written.append(record))
    with structlog.testing.capture_logs() as lines:
        assert aligner.align([Segment(0.0, 1.0, text, ())], audio, "ja").segments == (None,)
    assert [(line["event"], line["language"]) for line in lines] == [("alignment_failed", "ja")]
    assert written == [] and "話" not in str(lines)


def test_one_bad_segment_spoils_no_other(japanese: Path) -> None:
    """Each is aligned by itself."""
    segment, audio = said("話します")
    bad = Segment(0.0, 0.01, "今日" * 100, ())
    first, second, third = ready(japanese).align([segment, bad, segment], audio, "ja").segments
    assert first == third and first is not None and second is None


def test_other_languages_are_loaded_when_they_are_spoken(
    japanese: Path, latin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two models are kept; a third takes the place of the one that was not used for longest."""
    german = build_tiny_wav2vec2(tmp_path / "tiny-de", LATIN)
    for language, model in (("ja", japanese), ("en", latin), ("de", german)):
        monkeypatch.setitem(ALIGNMENT_MODELS, language, str(model))
    aligner = ready("auto")
    segment, audio = said("hello", LATIN)
    with structlog.testing.capture_logs() as lines:
        found = [aligner.align([segment], audio, language) for language in ("en", "ja", "en", "de", "en", "ja", "en")]
    assert [alignment.model for alignment in found] == [
        f"tiny-{name}" for name in ("latin", "ja", "latin", "de", "latin", "ja", "latin")
    ]
    loaded = [Path(line["model"]).name for line in lines if line["event"] == "alignment_model_loaded"]
    assert loaded == ["tiny-latin", "tiny-de", "tiny-ja"]


def test_a_language_without_a_model_is_not_aligned(japanese: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one for which no model is known, nor one whose model was not fetched."""
    monkeypatch.setitem(ALIGNMENT_MODELS, "en", "somebody/never-fetched")
    aligner = ready(japanese)
    segment, audio = said("話します")
    with structlog.testing.capture_logs() as lines:
        assert aligner.align([segment], audio, "eo") == ("", (None,))
        assert aligner.align([segment, segment], audio, "en") == ("", (None, None))
    assert ["'eo'" in lines[0]["reason"], "never-fetched" in lines[1]["reason"]] == [True, True]


def test_any_language_needs_no_model_at_start(latin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the language is detected, models are loaded as it is."""
    monkeypatch.setitem(ALIGNMENT_MODELS, "en", str(latin))
    segment, audio = said("hello", LATIN)
    assert ready("auto", "auto").align([segment], audio, "en").model == "tiny-latin"


def test_a_model_from_the_hub_cache(japanese: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named by its hub id, and shown without its owner."""
    repository = tmp_path / "models--somebody--tiny"
    shutil.copytree(japanese, repository / "snapshots" / "0123abcd")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abcd", encoding="utf-8")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    segment, audio = said("話します")
    alignment = ready("somebody/tiny").align([segment], audio, "ja")
    assert alignment.model == "tiny" and None not in alignment.segments


@pytest.mark.parametrize("broken", ["model.safetensors", "config.json", "vocab.json", "preprocessor_config.json"])
@pytest.mark.parametrize("how", ["cut", "gone"])
def test_a_corrupt_model_stops_the_start(
    japanese: Path, tmp_path: Path, broken: str, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """With what to do; where alignment is "auto", Whisper's own times are taken, for that reason."""
    directory = shutil.copytree(japanese, tmp_path / "broken")
    if how == "cut":
        (directory / broken).write_bytes((directory / broken).read_bytes()[:100])
    else:
        (directory / broken).unlink()
    with pytest.raises(EngineUnavailable, match="wernicke models pull"):
        choose(configured(directory))
    assert "huggingface.co" not in capfd.readouterr().out
    aligner, why = choose(configured(directory, engine="auto"))
    assert aligner is None and "wernicke models pull" in why


def test_a_model_that_hears_only_nonsense_is_refused(japanese: Path, tmp_path: Path) -> None:
    """Numbers that are none show when it is warmed up."""
    from safetensors.torch import load_file, save_file

    directory = shutil.copytree(japanese, tmp_path / "nan")
    weights = load_file(directory / "model.safetensors")
    save_file({name: weight * float("nan") for name, weight in weights.items()}, directory / "model.safetensors")
    with pytest.raises(EngineUnavailable, match="does not run here"):
        choose(configured(directory))


def test_the_best_there_is(japanese: Path) -> None:
    """A model that is here is used without being asked for."""
    aligner, why = choose(configured(japanese, engine="auto"))
    assert (aligner is not None, why) == (True, "the best there is")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(japanese: Path) -> None:
    """Is asked for by name, and refused by name of the setting."""
    settings = StageSettings(alignment=AlignmentSettings(engine="whisperx", model=str(japanese), device="cuda"))
    with pytest.raises(EngineUnavailable, match=r"alignment\.device"):
        choose(settings)


def test_an_exception_is_a_failure_of_alignment_only(japanese: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it says that GPU memory did not suffice: that is for the stage to deal with."""
    aligner = ready(japanese)
    segment, audio = said("話します")
    errors: list[Exception] = [KeyError("話"), torch.OutOfMemoryError("CUDA out of memory.")]
    monkeypatch.setattr("whisperx.alignment.get_trellis", lambda *_: (_ for _ in ()).throw(errors.pop(0)))
    with structlog.testing.capture_logs() as lines:
        assert aligner.align([segment], audio, "ja").segments == (None,)
    assert [line["reason"] for line in lines] == ["KeyError"]
    with pytest.raises(torch.OutOfMemoryError):
        aligner.align([segment], audio, "ja")


@pytest.mark.parametrize("times", [1, 2])
def test_a_text_is_not_given_up_for_lack_of_memory_to_align_it(
    japanese: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """It is aligned in a second attempt, or keeps the recogniser's own times; either way it is recognised once."""
    aligner = ready(japanese)
    segment, audio = said("話します")
    lacks = [torch.OutOfMemoryError("CUDA out of memory.")] * times

    def lacking(*arguments: Any) -> Any:
        if lacks:
            raise lacks.pop()
        return get_trellis(*arguments)

    monkeypatch.setattr("whisperx.alignment.get_trellis", lacking)
    recognised = AsrResult("ja", 1.0, (segment,), "whisper")
    with structlog.testing.capture_logs() as lines:
        found = align(aligner, recognised, audio)
    assert (found.segments[0] is None) is (times == 2)
    assert [line["reason"] for line in lines] == ["GPU memory did not suffice"] * times
