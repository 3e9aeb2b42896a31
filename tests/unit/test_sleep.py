"""The engine that only takes time: which of its jobs are left off when they are cancelled."""

import time
from typing import Any

import pytest

from ipc.audio_handle import AudioHandle
from ipc.errors import JobCancelled
from ipc.messages import AsrResult, AsrWork, CorrectionResult, CorrectionWork
from ipc.settings import StageSettings
from stages.engine import StoppableEngine
from stages.testing.sleep import Sleep

LONG_MS = 3_600_000.0
SHORT_MS = 120.0
CORRECTION = CorrectionWork(("one", "two"), "en")
RECOGNITION = AsrWork(AudioHandle("arena", 0, 1, 0, 16_000), "en")


def no_audio(handle: AudioHandle) -> Any:
    return None


def test_a_cancelled_correction_ends_on_the_way() -> None:
    """As a request to Ollama does."""
    engine = Sleep("correction", StageSettings(sleep_ms={"correction": LONG_MS}))
    assert isinstance(engine, StoppableEngine)
    looks = iter([False, False, True])
    engine.stop_when(lambda: next(looks))
    with pytest.raises(JobCancelled):
        engine.process(CORRECTION, no_audio)


def test_a_wanted_correction_takes_its_time() -> None:
    """By a clock that on Windows goes on every 15.6 ms."""
    engine = Sleep("correction", StageSettings(sleep_ms={"correction": SHORT_MS}))
    engine.stop_when(lambda: False)
    began = time.monotonic()
    assert engine.process(CORRECTION, no_audio) == CorrectionResult((None, None))
    assert time.monotonic() - began >= SHORT_MS / 1000 - time.get_clock_info("monotonic").resolution


def test_recognition_is_not_left_off() -> None:
    """A sleep stands for one piece of work inside a model, which can't be interrupted."""
    engine = Sleep("asr", StageSettings(sleep_ms={"asr": 1.0}))
    engine.stop_when(lambda: True)
    assert isinstance(engine.process(RECOGNITION, no_audio), AsrResult)
