"""Nothing leaves the machine, and nothing is written outside of the data directory, with the heavy engines either."""

import wave
from pathlib import Path

import numpy as np
import pytest

from tests.models.test_whole_daemon import CHARACTERS, HEARD, UNUSED, two_voices
from tests.models.tiny_pyannote import build_tiny_pyannote
from tests.models.tiny_wav2vec2 import build_tiny_wav2vec2
from tests.quarantine import watched
from tests.tiny_whisper import build_tiny_whisper
from tests.whole_use import transcribe_with_all_models

pytestmark = pytest.mark.models


def test_nothing_leaves_with_all_models(tmp_path: Path) -> None:
    """faster-whisper, whisperx, pyannote, an Ollama server."""
    models, audio = tmp_path / "models", two_voices()
    build_tiny_whisper(models / "whisper", HEARD)
    build_tiny_wav2vec2(models / "wav2vec2", CHARACTERS, silent=len(UNUSED))
    build_tiny_pyannote(models / "pyannote", audio)
    with wave.open(str(models / "two.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((np.clip(audio, -1, 1) * 32_767).astype("<i2").tobytes())
    assert watched(tmp_path, transcribe_with_all_models) == ([], [])
