"""What speaker encoders hear."""

from typing import Any

import numpy as np
import pytest

from stages.diarization.speaker_encoder import Ge2e, WeSpeaker, mel_filters, mel_powers

RATE = 16_000


class Summing:
    """In place of a model: gives the mean over the frames of each window, and keeps what it was given."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run(self, batch: Any) -> Any:
        self.shapes.append(batch.shape)
        return batch.mean(axis=1)


def tone(hz: float, seconds: float = 1.0) -> Any:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def test_mel_powers_are_those_of_librosa() -> None:
    """`librosa.feature.melspectrogram(y, sr=16000, n_fft=400, hop_length=160, n_mels=40)`, version 0.11."""
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    found = mel_powers(noise)
    assert found.shape == (101, 40)
    assert found[50, [0, 10, 39]] == pytest.approx([3.88978, 2.05122, 4.30298], rel=1e-4)
    assert found[0, 20] == pytest.approx(0.293077, rel=1e-4)


def test_filters_have_equal_areas() -> None:
    """1 over Hz; the narrow ones as far as bins of 40 Hz can show it."""
    areas = mel_filters(40).sum(axis=1) * 40
    assert areas.shape == (40,) and areas[20:] == pytest.approx(1, abs=0.05)


def test_quiet_speech_is_raised() -> None:
    """To -30 dBFS, and loud speech stays as it is."""
    encoder = Ge2e(Summing())  # type: ignore[arg-type]
    np.testing.assert_allclose(
        encoder.features(tone(440) * 1e-3), encoder.features(tone(440) * 1e-4), rtol=1e-3, atol=1e-9
    )
    assert encoder.features(tone(440)).sum() > 100 * encoder.features(tone(440) * 1e-3).sum()


@pytest.mark.parametrize(("frames", "windows"), [(1, 1), (160, 1), (197, 1), (200, 2), (237, 2), (314, 3), (600, 7)])
def test_windows_of_ge2e_hold_speech_alone(frames: int, windows: int) -> None:
    """1.6 s about each 0.77 s, from the first frame to the last."""
    model = Summing()
    vector = Ge2e(model).embedding(np.ones((frames, 40), np.float32))  # type: ignore[arg-type]
    assert model.shapes == [(windows, 160, 40)]
    assert np.linalg.norm(vector) == pytest.approx(1.0)


def test_wespeaker_hears_log_energies_without_their_mean() -> None:
    """98 frames of 25 ms in a second; a gain changes nothing."""
    model = Summing()
    encoder = WeSpeaker(model)  # type: ignore[arg-type]
    rising = tone(440) * np.linspace(0.1, 1, RATE, dtype=np.float32)
    features = encoder.features(rising)
    assert features.shape == (98, 80)
    np.testing.assert_allclose(encoder.features(rising * 0.5), features + 2 * np.log(0.5), atol=1e-2)
    encoder.embedding(features)
    assert model.shapes == [(1, 98, 80)]


def test_windows_of_features() -> None:
    """Of the chosen frames alone, as many as fit."""
    model = Summing()
    heard = Ge2e(model).hear(tone(300, 3.0))  # type: ignore[arg-type]
    vectors = heard.windows(np.arange(50, 250), 120, 30)
    assert vectors.shape == (3, 40) and model.shapes == [(3, 120, 40)]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
