"""Energy and Silero detectors: what a window is, and that a stream may be split anywhere between windows."""

import subprocess
import sys
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest
from scipy.io import wavfile

from ipc.audio_handle import SAMPLE_RATE, VAD_WINDOW, Audio
from ipc.errors import EngineUnavailable
from stages.ingest import vad
from stages.ingest.vad import SETTLING, EnergyVad, SileroMemory, SileroVad, Vad

ROOT = Path(__file__).parents[2]
CLIP = ROOT / "wernicke_daemon" / "demo" / "clip.flac"
MEETINGS = ROOT.parent / "shared" / "audio"


def read_clip() -> Audio:
    """The demo clip at 16 kHz mono, float32."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    with av.open(str(CLIP)) as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


def tone(count: int, db: float) -> Audio:
    """A signal whose every sample is at `db` dBFS."""
    return np.full(count, 10 ** (db / 20), np.float32)


def noise(count: int, seed: int = 0) -> Audio:
    return np.random.default_rng(seed).normal(0, 0.1, count).astype(np.float32)


def remembered(memory: bytes) -> SileroMemory:
    return msgspec.msgpack.decode(memory, type=SileroMemory)


def in_parts(detector: Vad, samples: Audio, windows: list[int]) -> list[float]:
    """The whole stream through calls of so many windows each, over and over."""
    found, memory, start, turn = list[float](), b"", 0, 0
    while start < len(samples):
        end = start + windows[turn % len(windows)] * VAD_WINDOW
        part, memory = detector.probabilities(samples[start:end], memory)
        found, start, turn = found + part, end, turn + 1
    return found


@pytest.fixture(scope="module")
def silero() -> SileroVad:
    detector = SileroVad(-85.0)
    detector.load()
    return detector


def test_energy_is_speech_from_the_gate_on() -> None:
    """Windows at -84 dBFS are speech, at -86 dBFS and at zero they are not."""
    samples = np.concatenate([tone(VAD_WINDOW, -84), tone(VAD_WINDOW, -86), np.zeros(VAD_WINDOW, np.float32)])
    assert EnergyVad(-85.0).probabilities(samples, b"")[0] == [1.0, 0.0, 0.0]


def test_an_incomplete_window_is_judged_by_its_own_samples() -> None:
    """Ten samples over the gate are over it, whatever is missing of their window."""
    samples = np.concatenate([np.zeros(VAD_WINDOW, np.float32), tone(10, -84)])
    assert EnergyVad(-85.0).probabilities(samples, b"")[0] == [0.0, 1.0]


def test_silero_gives_the_same_in_parts_as_whole(silero: SileroVad) -> None:
    """State carried in bytes: no split of a stream changes a probability, silence in it or not."""
    quiet = np.zeros((SETTLING + 20) * VAD_WINDOW, np.float32)
    samples = np.concatenate([noise(50 * VAD_WINDOW), quiet, noise(50 * VAD_WINDOW, 1), quiet[: 7 * VAD_WINDOW]])
    whole = in_parts(silero, samples, [1000])
    for windows in ([1], [2, 5, 1], [64], [49, 3]):
        np.testing.assert_allclose(in_parts(silero, samples, windows), whole, atol=1e-6)


def test_silero_takes_an_incomplete_window_padded_with_zeros(silero: SileroVad) -> None:
    """The verdict on 100 samples is that on the same samples and zeros; the context goes on with what was there."""
    samples = noise(VAD_WINDOW + 100)
    padded = np.concatenate([samples, np.zeros(VAD_WINDOW - 100, np.float32)])
    found, memory = silero.probabilities(samples, b"")
    assert found == silero.probabilities(padded, b"")[0]
    assert remembered(memory).context == samples[-vad.CONTEXT :].tobytes()


def test_context_reaches_over_short_pieces(silero: SileroVad) -> None:
    """A piece shorter than the context leaves part of the one before in it."""
    samples = noise(VAD_WINDOW + 10)
    _, memory = silero.probabilities(samples[:VAD_WINDOW], b"")
    _, memory = silero.probabilities(samples[VAD_WINDOW:], memory)
    assert remembered(memory).context == samples[-vad.CONTEXT :].tobytes()


def test_windows_under_the_gate_are_never_speech(silero: SileroVad) -> None:
    """The gate decides first: probability 0 exactly."""
    found, _ = silero.probabilities(tone(20 * VAD_WINDOW, -86), b"")
    assert found == [0.0] * 20


def test_the_network_rests_in_long_silence(silero: SileroVad, monkeypatch: pytest.MonkeyPatch) -> None:
    """After SETTLING windows under the gate the network is not run until one passes it again."""
    _, memory = silero.probabilities(np.zeros(SETTLING * VAD_WINDOW, np.float32), b"")
    with monkeypatch.context() as patch:
        patch.setattr(silero, "_session", None)
        found, resting = silero.probabilities(np.zeros(500 * VAD_WINDOW, np.float32), memory)
    assert found == [0.0] * 500
    assert remembered(resting).h == remembered(memory).h
    after, _ = silero.probabilities(noise(VAD_WINDOW), resting)
    assert after == silero.probabilities(noise(VAD_WINDOW), memory)[0]


def test_memory_is_small(silero: SileroVad) -> None:
    """What travels with every job of a session stays near 1.3 KB."""
    _, memory = silero.probabilities(noise(5 * VAD_WINDOW), b"")
    assert len(memory) < 1400


def test_silero_loads_without_faster_whisper_itself() -> None:
    """The ingest stage pays for onnxruntime alone: only the file is taken from faster-whisper."""
    code = (
        "import sys; from stages.ingest.vad import SileroVad; detector = SileroVad(-85.0);"
        "assert 'onnxruntime' not in sys.modules; detector.load(); assert 'faster_whisper' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_missing_file_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without faster-whisper the way out is named."""
    monkeypatch.setattr(vad, "find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable, match=r'faster-whisper.*engine = "energy"'):
        SileroVad(-85.0).load()


def test_an_onnxruntime_that_fails_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A model file that can't be loaded stops the start with a sentence, not a traceback."""
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    monkeypatch.setattr(vad, "_silero_file", lambda: broken)
    with pytest.raises(EngineUnavailable, match="onnxruntime, which fails here"):
        SileroVad(-85.0).load()


@pytest.mark.skipif(not CLIP.exists(), reason="the demo clip has not been made (see tools/)")
def test_silero_hears_the_demo_clip_the_same_in_parts(silero: SileroVad) -> None:
    """Real speech: probabilities of single windows equal those of the whole clip, and speech is found in it."""
    samples = read_clip()
    whole = in_parts(silero, samples, [100_000])
    assert sum(probability > 0.5 for probability in whole) > len(whole) // 4
    np.testing.assert_allclose(in_parts(silero, samples, [1, 3]), whole, atol=1e-6)


@pytest.mark.speech
def test_silero_hears_meetings_the_same_in_parts(silero: SileroVad) -> None:
    """Recorded meetings: the same in parts as whole."""
    if not MEETINGS.exists():
        pytest.skip("the recorded meeting excerpts are not at ../shared/audio")
    samples = wavfile.read(MEETINGS / "trn03.wav")[1].astype(np.float32)
    whole = in_parts(silero, samples, [100_000])
    assert max(whole) > 0.9
    np.testing.assert_allclose(in_parts(silero, samples, [2, 1, 31]), whole, atol=1e-6)
