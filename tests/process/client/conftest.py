"""Fixtures that several files here share."""

import wave
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """2.5 s of a 440 Hz tone on the left of 44.1 kHz stereo."""
    path = tmp_path / "tone.wav"
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(44_100 * 5 // 2) / 44_100)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(44_100)
        out.writeframes((np.stack([tone, tone], axis=1) * 32767).astype("<i2").tobytes())
    return path
