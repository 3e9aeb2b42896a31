"""Energy and Silero detectors: what a window is, and that a stream may be split anywhere between windows."""

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest
from scipy.io import wavfile

from ipc.audio_handle import SAMPLE_RATE, VAD_WINDOW, Audio
from ipc.errors import EngineUnavailable
from stages.ingest import silero as network
from stages.ingest.silero import CONTEXT
from stages.ingest.vad import SETTLING, EnergyVad, SileroMemory, SileroVad, Vad
from tests.detecting import probabilities

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
        part, memory = probabilities(detector, samples[start:end], memory)
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
    assert probabilities(EnergyVad(-85.0), samples, b"")[0] == [1.0, 0.0, 0.0]


def test_an_incomplete_window_is_judged_by_its_own_samples() -> None:
    """Ten samples over the gate are over it, whatever is missing of their window."""
    samples = np.concatenate([np.zeros(VAD_WINDOW, np.float32), tone(10, -84)])
    assert probabilities(EnergyVad(-85.0), samples, b"")[0] == [0.0, 1.0]


def test_silero_gives_the_same_in_parts_as_whole(silero: SileroVad) -> None:
    """State carried in bytes: no split of a stream changes a probability, silence in it or not."""
    quiet = np.zeros((SETTLING + 20) * VAD_WINDOW, np.float32)
    samples = np.concatenate([noise(50 * VAD_WINDOW), quiet, noise(50 * VAD_WINDOW, 1), quiet[: 7 * VAD_WINDOW]])
    whole = in_parts(silero, samples, [1000])
    for windows in ([1], [2, 5, 1], [64], [49, 3]):
        np.testing.assert_allclose(in_parts(silero, samples, windows), whole, atol=1e-6)


def several(detector: Vad, streams: list[Audio], windows: list[int]) -> list[list[float]]:
    """All streams side by side, the next of `windows` of each in a call; one that has ended is left out."""
    found, memories, start = [list[float]() for _ in streams], [b""] * len(streams), 0
    for count in itertools.cycle(windows):
        end = start + count * VAD_WINDOW
        going = [index for index, samples in enumerate(streams) if start < len(samples)]
        if not going:
            return found
        verdicts = detector.probabilities([(streams[index][start:end], memories[index]) for index in going])
        for index, (part, memories[index]) in zip(going, verdicts, strict=True):
            found[index] += part
        start = end


@pytest.mark.parametrize("changed", [True, False])
def test_streams_side_by_side_are_heard_as_each_alone(
    silero: SileroVad, changed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of different lengths, one with an incomplete last window, one quiet, one silent; with a network file that can't
    be changed, too."""
    if not changed:
        monkeypatch.setattr(silero._network, "_side_by_side", None)
    quiet = np.zeros((SETTLING + 20) * VAD_WINDOW, np.float32)
    streams = [noise(50 * VAD_WINDOW), noise(33 * VAD_WINDOW + 100, 1), quiet, noise(9 * VAD_WINDOW, 2) * 0.003]
    streams.append(np.concatenate([noise(7 * VAD_WINDOW, 3), quiet, noise(5 * VAD_WINDOW, 4)]))
    alone = [in_parts(silero, samples, [1000]) for samples in streams]
    for windows in ([1], [2, 5, 1], [200]):
        for found, expected in zip(several(silero, streams, windows), alone, strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-6)


def test_several_streams_are_one_call_of_the_network(silero: SileroVad, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is what makes a hundred of them cheap; a single one with many windows is one call, too."""
    network, calls = silero._network, []
    for name in ("_side_by_side", "_in_turn"):
        session = getattr(network, name)
        assert session is not None, "the file could not be changed"
        monkeypatch.setattr(network, name, Counting(session, calls))
    silero.probabilities([(noise(VAD_WINDOW, seed), b"") for seed in range(100)])
    silero.probabilities([(noise(80 * VAD_WINDOW), b"")])
    assert calls == [100, 80]


class Counting:
    """A session of onnxruntime, and the windows of each call of it."""

    def __init__(self, session: Any, calls: list[int]) -> None:
        self._session, self._calls = session, calls

    def run(self, names: None, given: dict[str, Audio]) -> Any:
        self._calls.append(len(given["input"]))
        return self._session.run(names, given)


@pytest.mark.parametrize("fault", ["another make", "other results"])
def test_a_network_that_can_not_be_changed_is_used_as_it_is(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams are examined one by one then."""
    if fault == "another make":
        monkeypatch.setattr(network, "_EDITS", ((b"what is not there", b""),))
    else:
        monkeypatch.setattr(network, "_EDITS", ((rb"(?<=\n\x04perm)@\x00@\x02@\x01", b"@\x02@\x01@\x00"),))
    detector = SileroVad(-85.0)
    detector.load()
    assert detector._network._side_by_side is None
    assert len(detector.probabilities([(noise(VAD_WINDOW), b"")] * 3)) == 3


def test_silero_takes_an_incomplete_window_padded_with_zeros(silero: SileroVad) -> None:
    """The verdict on 100 samples is that on the same samples and zeros; the context goes on with what was there."""
    samples = noise(VAD_WINDOW + 100)
    padded = np.concatenate([samples, np.zeros(VAD_WINDOW - 100, np.float32)])
    found, memory = probabilities(silero, samples, b"")
    assert found == probabilities(silero, padded, b"")[0]
    assert remembered(memory).context == samples[-CONTEXT:].tobytes()


def test_context_reaches_over_short_pieces(silero: SileroVad) -> None:
    """A piece shorter than the context leaves part of the one before in it."""
    samples = noise(VAD_WINDOW + 10)
    _, memory = probabilities(silero, samples[:VAD_WINDOW], b"")
    _, memory = probabilities(silero, samples[VAD_WINDOW:], memory)
    assert remembered(memory).context == samples[-CONTEXT:].tobytes()


def test_windows_under_the_gate_are_never_speech(silero: SileroVad) -> None:
    """The gate decides first: probability 0 exactly."""
    found, _ = probabilities(silero, tone(20 * VAD_WINDOW, -86), b"")
    assert found == [0.0] * 20


def test_the_network_rests_in_long_silence(silero: SileroVad, monkeypatch: pytest.MonkeyPatch) -> None:
    """After SETTLING windows under the gate the network is not run until one passes it again."""
    _, memory = probabilities(silero, np.zeros(SETTLING * VAD_WINDOW, np.float32), b"")
    with monkeypatch.context() as patch:
        patch.setattr(silero._network, "_in_turn", None)
        patch.setattr(silero._network, "_side_by_side", None)
        found, resting = probabilities(silero, np.zeros(500 * VAD_WINDOW, np.float32), memory)
    assert found == [0.0] * 500
    assert remembered(resting).h == remembered(memory).h
    after, _ = probabilities(silero, noise(VAD_WINDOW), resting)
    assert after == probabilities(silero, noise(VAD_WINDOW), memory)[0]


def test_memory_is_small(silero: SileroVad) -> None:
    """What travels with every job of a session stays near 1.3 KB."""
    _, memory = probabilities(silero, noise(5 * VAD_WINDOW), b"")
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
    monkeypatch.setattr(network, "find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable, match=r'faster-whisper.*engine = "energy"'):
        SileroVad(-85.0).load()


def test_an_onnxruntime_that_fails_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A model file that can't be loaded stops the start with a sentence, not a traceback."""
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    monkeypatch.setattr(network, "_file", lambda: broken)
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
