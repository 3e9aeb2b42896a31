"""The Ollama engine, and a server for it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import pytest

from ipc.audio_handle import Audio, AudioHandle
from ipc.errors import EngineUnavailable
from ipc.messages import CorrectionResult, CorrectionWork
from ipc.settings import AsrSettings, CorrectionSettings, LlmSettings, StageSettings
from stages.correction.ollama import OllamaCorrection
from tests.ollama_server import OllamaServer

KANA = "きょうはきかいがくしゅうについてはなします"
KANJI = "今日は機械学習について話します。"
SHORT_S = 1.0


def no_audio(handle: AudioHandle) -> Audio:
    return np.zeros(0, np.float32)


def settings(url: str, **llm: float) -> StageSettings:
    return StageSettings(
        asr=AsrSettings(language="en"),
        correction=CorrectionSettings(segments_per_request=2, context_lines=2),
        llm=LlmSettings(host=url, **llm),  # type: ignore[arg-type]
    )


@contextmanager
def loaded(server: OllamaServer, **llm: float) -> Iterator[OllamaCorrection]:
    """An engine before its warm-up."""
    engine = OllamaCorrection("correction", settings(server.url, **llm))
    try:
        engine.load()
        yield engine
    finally:
        engine.close()


@contextmanager
def warm(server: OllamaServer, **llm: float) -> Iterator[OllamaCorrection]:
    """An engine at work; the requests of its warm-up are forgotten."""
    with loaded(server, **llm) as engine:
        engine.warm_up()
        server.requests.clear()
        yield engine


def events(logs: Sequence[Mapping[str, object]]) -> list[object]:
    return [entry["event"] for entry in logs]


def asked(server: OllamaServer, path: str) -> int:
    return sum(request.path == path for request in server.requests)


def correct(engine: OllamaCorrection, *texts: str, language: str = "en") -> CorrectionResult:
    return engine.process(CorrectionWork(texts, language), no_audio)


def unavailable(step: Callable[[], None]) -> str:
    with pytest.raises(EngineUnavailable) as raised:
        step()
    assert "\n" not in str(raised.value)
    return str(raised.value)
