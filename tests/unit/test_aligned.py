"""Which times a recogniser's words have, where no alignment model is needed to see it."""

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import structlog
from msgspec.structs import replace

from ipc.audio_handle import Audio, AudioHandle
from ipc.errors import EngineUnavailable, JobCancelled
from ipc.messages import AsrResult, AsrWork, Segment, Word
from ipc.model_names import ALIGNMENT_MODELS
from ipc.settings import AlignmentSettings, AsrSettings, StageSettings
from stages.asr.aligned import Aligned, choose, with_times
from stages.asr.alignment import model_files
from stages.asr.alignment.whisperx import Alignment, WhisperxAligner
from stages.engine import Engine, LiveEngine, ReadAudio
from stages.process import engine_registry
from tests.tiny_whisper import build_tiny_whisper

TEXT = "きょうはきかいがくしゅうについてはなします"
WORK = AsrWork(AudioHandle("a", 0, 1, 0, 96_000), "ja")


def hear(handle: AudioHandle) -> Audio:
    return np.random.default_rng(0).standard_normal(handle.count).astype(np.float32) * np.float32(0.1)


@pytest.fixture(autouse=True)
def empty_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whatever models this machine has."""
    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    return cache


def fetched(cache: Path, model: str) -> Path:
    """A hub model's directory, as the hub's client lays it out."""
    repository = cache / f"models--{model.replace('/', '--')}"
    snapshot = repository / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abcd", encoding="utf-8")
    return snapshot


def configured(engine: str, language: str = "ja", model: str = "auto") -> StageSettings:
    alignment = {"engine": engine, "model": model}
    return StageSettings(asr=AsrSettings(language=language), alignment=AlignmentSettings(**alignment))  # type: ignore[arg-type]


@pytest.mark.parametrize(("engine", "why"), [("whisper", "as configured"), ("auto", "models pull")])
def test_whispers_own_pieces_are_joined_to_words(tmp_path: Path, engine: str, why: str) -> None:
    """Where no other model times them, Japanese words are words all the same, and a log line says why."""
    model = str(build_tiny_whisper(tmp_path / "tiny", TEXT))
    settings = StageSettings(
        asr=AsrSettings(engine="faster_whisper", model=model),
        alignment=AlignmentSettings(engine=engine),  # type: ignore[arg-type]
    )
    aligned = engine_registry.create("asr", "faster_whisper", settings)
    with structlog.testing.capture_logs() as lines:
        aligned.load()
    aligned.warm_up()
    result = aligned.process(WORK, hear)
    assert isinstance(result, AsrResult)
    [segment] = result.segments
    assert [word.text for word in segment.words] == [
        "きょう",
        "は",
        "きかい",
        "がくしゅう",
        "に",
        "ついて",
        "はなします。",
    ]
    assert (segment.words[0].start, segment.words[-1].end) == (segment.start, segment.end)
    assert (aligned.name, aligned.model, result.alignment, result.warnings) == ("faster_whisper", "tiny", "whisper", ())
    [line] = [line for line in lines if line["event"] == "alignment_chosen"]
    assert line["engine"] == "whisper" and why in line["why"]


@pytest.fixture
def aligned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aligned:
    """A real recogniser; of the aligner only that it would be asked."""
    settings = StageSettings(asr=AsrSettings(model=str(build_tiny_whisper(tmp_path / "tiny", TEXT)), language="ja"))
    aligner = WhisperxAligner(settings)
    monkeypatch.setattr("stages.asr.aligned.choose", lambda settings: (aligner, "for a test"))
    monkeypatch.setattr(aligner, "align", lambda segments, audio, language: Alignment("m", (NEW,) * len(segments)))
    engine = engine_registry.create("asr", "faster_whisper", settings)
    engine.load()
    assert isinstance(engine, Aligned)
    return engine


def test_a_live_text_is_not_aligned(aligned: Aligned) -> None:
    """Early and firm ones are."""
    live = aligned.process(replace(WORK, kind="live"), hear)
    assert [(segment.text, segment.words) for segment in live.segments] == [(TEXT, ())]
    assert live.alignment == "none"
    assert aligned.process(replace(WORK, kind="early"), hear).segments == (NEW,)
    assert aligned.process(WORK, hear).alignment == "m"


@pytest.mark.parametrize("asked", [0, 1])
def test_what_is_cancelled_meanwhile_is_not_aligned(aligned: Aligned, asked: int) -> None:
    """The recogniser asks before its attempt, and whether words are to be aligned is asked after it."""
    answers = [True] * (2 - asked) + [False] * asked
    aligned.stop_when(lambda: answers.pop())
    with pytest.raises(JobCancelled):
        aligned.process(WORK, hear)
    assert len(answers) == 1 - asked


def test_who_takes_live_jobs() -> None:
    """Every recogniser, behind an aligner too."""
    for settings in (configured("auto", "en"), configured("whisperx", "en")):
        for name in engine_registry.ENGINES["asr"]:
            engine = engine_registry.create("asr", name, settings)
            assert isinstance(engine, LiveEngine) and engine.live


def test_pocketsphinx_times_its_words_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """An aligner is looked for only where whisperx is asked for by name."""
    looked: list[str] = []
    monkeypatch.setattr(
        "stages.asr.aligned.choose", lambda settings: (looked.append(settings.alignment.engine), (None, ""))[1]
    )
    for engine in ("auto", "whisperx"):
        engine_registry.create("asr", "pocketsphinx", configured(engine, "en")).load()
    assert looked == ["whisperx"]


@pytest.mark.parametrize(
    ("settings", "way_out"),
    [
        (configured("whisperx"), "wernicke models pull"),
        (configured("whisperx", model="no/where/at all"), "wernicke models pull"),
        (configured("whisperx", "eo"), "put a wav2vec2 model for it in alignment.model"),
    ],
)
def test_what_is_asked_for_and_not_there(settings: StageSettings, way_out: str) -> None:
    """A model that was not fetched, that can't be, and a language without one stop the start with what to do."""
    with pytest.raises(EngineUnavailable, match=way_out):
        choose(settings)


@pytest.mark.parametrize("language", ["ja", "eo", "auto"])
def test_the_best_there_is_may_be_whispers_own(language: str) -> None:
    """No model for the language, or for none of them, is no failure where `alignment.engine` is "auto"."""
    aligner, why = choose(configured("auto", language))
    assert aligner is None and "model" in why


def test_a_model_is_found_where_the_hub_client_put_it(empty_hub_cache: Path, tmp_path: Path) -> None:
    """A directory is itself; a hub id is its newest snapshot, which makes a model known."""
    assert model_files.directory(str(tmp_path)) == tmp_path
    assert not model_files.any_known()
    snapshot = fetched(empty_hub_cache, ALIGNMENT_MODELS["ja"])
    assert model_files.directory(ALIGNMENT_MODELS["ja"]) == snapshot
    assert model_files.any_known()


def test_a_configured_model_is_for_the_configured_language() -> None:
    """Guests who speak another get the one known for theirs; with "auto", it is for all."""
    assert model_files.wanted(configured("auto", "ja", "own"), "ja") == "own"
    assert model_files.wanted(configured("auto", "ja", "own"), "en") == ALIGNMENT_MODELS["en"]
    assert model_files.wanted(configured("auto", "ja", "own"), "eo") is None
    assert model_files.wanted(configured("auto", "auto", "own"), "en") == "own"
    assert model_files.wanted(configured("auto", "auto"), "auto") is None


OLD = (Segment(0, 1, "あ", (Word(0, 1, "あ", 0.5),)), Segment(1, 2, "い", (Word(1, 2, "い", 0.5),)))
NEW = Segment(0.2, 0.8, "あ", (Word(0.2, 0.8, "あ", 0.9),))


def test_segments_that_could_not_be_aligned_keep_their_words() -> None:
    """One of two: the model is named, which timed the other, and a warning given. None: only the warning."""
    result = AsrResult("ja", 1.0, OLD, "whisper", ("OTHER",))
    assert with_times(result, Alignment("m", (NEW, NEW))) == AsrResult("ja", 1.0, (NEW, NEW), "m", ("OTHER",))
    warnings = ("OTHER", "ALIGNMENT_UNAVAILABLE")
    assert with_times(result, Alignment("m", (NEW, None))) == AsrResult("ja", 1.0, (NEW, OLD[1]), "m", warnings)
    assert with_times(result, Alignment("", (None, None))) == AsrResult("ja", 1.0, OLD, "whisper", warnings)


class Notary:
    """A recogniser: in the whole it hears 120, in a part of it 100."""

    name, model = "notary", "n"

    def load(self) -> None: ...

    def process(self, work: AsrWork, read_audio: ReadAudio) -> AsrResult:
        assert len(read_audio(work.audio)) == work.audio.count
        if work.audio.count < WORK.audio.count:
            return AsrResult("ja", 1.0, (Segment(0.0, 1.0, "百名", (Word(0.0, 1.0, "百名", 1.0),)),), "n")
        said = [Segment(n, n + 1.0, text, (Word(n, n + 1.0, text, 1.0),)) for n, text in enumerate(("定員は", "120名"))]
        return AsrResult("ja", 1.0, tuple(said), "n")


@pytest.mark.parametrize("wanted", [True, False])
def test_a_second_look_on_request(wanted: bool) -> None:
    """Its text is written as the first one is; live text is not looked at."""
    asr = AsrSettings(language="ja", second_look=wanted)
    engine = Aligned(cast(Engine, Notary()), StageSettings(asr=asr, alignment=AlignmentSettings(engine="whisper")))
    engine.load()
    result = engine.process(WORK, hear)
    assert [(doubt.text, doubt.other) for doubt in result.doubtful] == [("120名", "100名")] * wanted
    assert [segment.text for segment in result.segments] == ["定員は", "120名"]
    assert engine.process(replace(WORK, kind="live"), hear).doubtful == ()
