"""What a model writes because it was told of it: found, judged, and left out of every kind of job.

The texts and scores are those that a trained Whisper gave to short utterances (docs/performance.md).
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from ipc.audio_handle import AudioHandle
from ipc.messages import AsrResult, AsrWork, JobKind, Segment, Word
from stages.asr import echoes
from stages.asr.echoes import all_said, doubtful_echoes, sound_of
from tests.tiny_whisper import TEXT, build_tiny_whisper, whisper_engine

TERM = "ウェルニッケ"
GLOSSARY = (TERM, "Kubernetes", "高梨", "量子化")
BEFORE = "次は高梨さんからウェルニッケの量子化について説明があります。"
SAID = [("ウ", 0.01), ("ェ", 0.77), ("ル", 0.99), ("ニ", 0.69), ("ッ", 0.51), ("ケ", 0.08)]
NOT_SAID = [("ウ", 0.0025), ("ェ", 0.23), ("ル", 0.09), ("ニ", 0.003), ("ッ", 0.02), ("ケ", 0.004)]
AFTER_ITSELF = [("ウ", 0.09), ("ェ", 0.57), ("ル", 0.94), ("ニ", 0.8), ("ッ", 0.85), ("ケ", 0.9)]
"""A second time, which the first makes probable."""


def segment(*words: tuple[str, float]) -> tuple[Segment, ...]:
    text = "".join(word for word, _ in words)
    return (Segment(0.0, 1.0, text, tuple(Word(0.0, 1.0, word, score) for word, score in words)),)


def live(text: str) -> tuple[Segment, ...]:
    """As a live job gives it: without words."""
    return (Segment(0.0, 1.0, text, ()),) if text else ()


# --- whether to look once more -----------------------------------------------------------------------


def test_a_term_that_was_said_is_probable_without_the_prompt() -> None:
    assert doubtful_echoes(segment(*SAID, ("を", 0.96), ("使います", 0.98)), GLOSSARY, "") == []
    assert doubtful_echoes(segment(("高", 0.36), ("梨", 0.28), ("です", 0.9)), GLOSSARY, "") == []


@pytest.mark.parametrize(
    "words",
    [
        NOT_SAID,
        [("そう", 0.7), ("です", 0.96), *NOT_SAID],
        [*NOT_SAID, *AFTER_ITSELF],
        [*SAID, ("です", 0.9), *NOT_SAID],
        NOT_SAID[:5],
    ],
)
def test_one_that_was_not_is_doubtful(words: list[tuple[str, float]]) -> None:
    """In place of a word, after the end of speech, several times, as well as said, and broken off."""
    assert doubtful_echoes(segment(*words), GLOSSARY, "") == [TERM]


def test_without_scores_every_echo_is_doubtful() -> None:
    assert doubtful_echoes(live("高梨さんに聞きます"), GLOSSARY, "") == ["高梨"]


def test_a_term_is_known_in_any_width_and_case() -> None:
    assert doubtful_echoes(live("ＫＵＢＥＲＮＥＴＥＳ です"), GLOSSARY, "") == ["Kubernetes"]


def test_other_texts_are_not_looked_for_again() -> None:
    """Nor are those that share an ending with the text before."""
    assert doubtful_echoes(live("今日は雨です"), GLOSSARY, BEFORE) == []
    assert doubtful_echoes(live("工場の組み立てラインの機械について、佐藤さんから報告があります。"), (), BEFORE) == []
    assert doubtful_echoes((), GLOSSARY, BEFORE) == []


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("次はウェルニッケの量子化について説明があります。", "ウェルニッケの量子化について説明があります"),
        ("次は高梨 次は高梨 次は高梨", "次は高梨"),
        ("ウェルニッ", "ウェルニッ"),
    ],
)
def test_the_text_before_may_leak_as_well(text: str, run: str) -> None:
    assert run in doubtful_echoes(live(text), (), BEFORE)


# --- whether it was said -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "told", "untold"),
    [
        (TERM, "ウェルニッケを使います", "ベルニッケを使います"),
        (TERM, "ウェルニッケです", "うえるにっけです"),
        ("Kubernetes", "Kubernetesで動かします", "クバネティスで動かします"),
        ("Kubernetes", "Kubernetesの設定", "キューバネティースの設定"),
        ("高梨", "高梨さん", "Takanashi-san"),
        ("高梨", "高梨さん", "たかなしさん"),
        ("量子化", "量子化しました", "利用をしかしました"),
    ],
)
def test_said_is_what_sounds_so_without_the_prompt(term: str, told: str, untold: str) -> None:
    assert all_said([term], live(told), live(untold), sound_of("ja"))


@pytest.mark.parametrize(
    ("echo", "told", "untold"),
    [
        (TERM, TERM, "いや…"),
        (TERM, TERM, ""),
        (TERM, "そうですウェルニッケ", "そうです。"),
        (TERM, "ウェルニッケの話ですウェルニッケ", "ベルニッケの話です"),
        ("Kubernetes", "Kubernetes", "ありがとう"),
        ("高梨", "高梨です", "古代です"),
        ("ウェルニッケの量子化について説明があります", "次はウェルニッケの量子化について説明があります", "いや"),
    ],
)
def test_not_said_is_what_sounds_less_often(echo: str, told: str, untold: str) -> None:
    assert not all_said([echo], live(told), live(untold), sound_of("ja"))


@pytest.mark.parametrize(
    ("language", "term", "untold", "said"),
    [
        ("en", "Kubernetes", "we run it on cooper netties", True),
        ("en", "Kubernetes", "yes", False),
        ("en", "UI", "yes", False),
        ("ru", "Google", "мы ищем в гугл", True),
        ("zh", "北京", "我在北京", True),
        ("zh", "北京", "好的", False),
    ],
)
def test_other_languages_are_judged_by_letters_and_consonants(
    language: str, term: str, untold: str, said: bool
) -> None:
    assert all_said([term], live(term), live(untold), sound_of(language)) is said


# --- in the engine -----------------------------------------------------------------------------------


class Prompted:
    """One model that says the term where it is told anything, and another where it is not; both decode for real."""

    def __init__(self, told: Any, untold: Any) -> None:
        self._told = told
        self._untold = untold

    def __getattr__(self, name: str) -> Any:
        return getattr(self._untold, name)

    def transcribe(self, audio: Any, **options: Any) -> Any:
        prompted = options["hotwords"] or options["initial_prompt"]
        return (self._told if prompted else self._untold).transcribe(audio, **options)


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An engine with such a model."""
    directory = tmp_path_factory.mktemp("whisper")
    engines = [loaded(build_tiny_whisper(directory / name, text)) for name, text in (("a", TERM), ("b", TEXT))]
    told, untold = engines
    untold._whisper = Prompted(told._whisper, untold._whisper)
    return untold


def loaded(directory: Path) -> Any:
    engine = whisper_engine(directory)
    engine.load()
    return engine


def recognised(engine: Any, kind: JobKind = "firm", glossary: tuple[str, ...] = (), context: str = "") -> AsrResult:
    audio = np.random.default_rng(0).standard_normal(96_000).astype(np.float32) * np.float32(0.01)
    work = AsrWork(AudioHandle("arena", 0, 1, 0, len(audio)), "ja", glossary, context, kind)
    result: AsrResult = engine.process(work, lambda handle: audio)
    return result


@pytest.mark.parametrize("kind", ["live", "early", "firm"])
@pytest.mark.parametrize(("glossary", "context"), [((TERM,), ""), ((), f"それは{TERM}です。")])
def test_a_job_of_any_kind_has_the_text_without_the_echo(
    leaky: Any, kind: JobKind, glossary: tuple[str, ...], context: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log tells that, without a word of either. The tiny model is sure of all that it says, with or without."""
    monkeypatch.setattr(echoes, "PROBABLE", 1.1)
    with capture_logs() as lines:
        result = recognised(leaky, kind, glossary, context)
    assert [segment.text for segment in result.segments] == [TEXT]
    assert [line for line in lines if line["event"] == "prompt_left_out"] == [
        {"event": "prompt_left_out", "log_level": "info", "audio_s": 6.0, "echoes": 1}
    ]


def test_a_probable_echo_stays(leaky: Any) -> None:
    assert [segment.text for segment in recognised(leaky, glossary=(TERM,)).segments] == [TERM]


def test_an_echo_that_sounds_so_without_the_prompt_stays(leaky: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(echoes, "PROBABLE", 1.1)
    monkeypatch.setattr(leaky, "_whisper", leaky._whisper._told)
    assert [segment.text for segment in recognised(leaky, glossary=(TERM,)).segments] == [TERM]


class Silent:
    """Says nothing, as a model does whose text repeats the prompt without end."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def transcribe(self, audio: Any, **options: Any) -> Any:
        return (), self._model.transcribe(audio, **options)[1]


def test_where_the_prompt_leaves_nothing_it_is_left_out(leaky: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than a text."""
    monkeypatch.setattr(leaky._whisper, "_told", Silent(leaky._whisper._told))
    assert [segment.text for segment in recognised(leaky, glossary=(TERM,)).segments] == [TEXT]
