"""What trained models make of speech and of noise: no change may make it worse unnoticed.

Floors are what was measured (docs/quality.md) with some room for what differs between machines: CTranslate2 computes
int8 differently by CPU, and where decoding samples, texts differ from run to run.
"""

from pathlib import Path
from statistics import median

import av
import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from ipc import event_loop
from ipc.audio_handle import SAMPLE_RATE
from wernicke_daemon.config.schema import Config
from wernicke_daemon.demo import JAPANESE_CLIP, JAPANESE_REFERENCE
from wernicke_daemon.evaluation.measures import Counts, Heard, count
from wernicke_daemon.evaluation.reference import read
from wernicke_daemon.evaluation.running import played
from wernicke_daemon.hardware.profiles import applied
from wernicke_daemon.models import presence

pytestmark = [pytest.mark.trained, pytest.mark.timeout(800)]

KIT = Path(__file__).parents[3] / "shared" / "truth" / "data"
"""A longer meeting, and five minutes of noise, where they are."""
needs_kit = pytest.mark.skipif(not KIT.is_dir(), reason="../shared/truth is not here")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """That of a machine without a graphics card where nothing but the extra `base` was installed."""
    config = applied(Config(), "cpu")
    config = replace(
        config,
        correction=replace(config.correction, engine="none"),
        runtime=replace(config.runtime, data_dir=str(tmp_path_factory.mktemp("data"))),
    )
    config = presence.with_stand_in(config)
    presence.put_together(config)
    return config


@pytest.fixture(scope="module")
def as_files(config: Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Heard]:
    """By name. Through one daemon, so that its models are loaded once."""
    folder = tmp_path_factory.mktemp("files")
    recordings = {"talk": JAPANESE_CLIP, "noise": folder / "noise.wav"}
    write(recordings["noise"], np.concatenate(noises()))
    if KIT.is_dir():
        recordings |= {"meeting": KIT / "ja_clean.16k.flac", "long noise": KIT / "noise.16k.flac"}
    found = event_loop.run(played(config, list(recordings.values()), folder))
    return dict(zip(recordings, found, strict=True))


def measured(heard: Heard, reference: Path) -> Counts:
    return count(read([reference]), heard, "character")


def texts(heard: Heard) -> list[str]:
    return [final["text"] for final in heard.finals]


def test_the_conversation_of_the_demo(as_files: dict[str, Heard]) -> None:
    """Two voices, within utterances too."""
    assert_well_heard(measured(as_files["talk"], JAPANESE_REFERENCE))


def test_that_conversation_as_it_is_said(config: Config, tmp_path: Path) -> None:
    """With live passes, and work at each pause."""
    [found] = event_loop.run(played(config, [JAPANESE_CLIP], tmp_path, realtime=True))
    assert_well_heard(measured(found, JAPANESE_REFERENCE))


def assert_well_heard(found: Counts) -> None:
    assert found.char_errors / found.chars <= 0.09
    assert found.speaker_right / found.compared >= 0.95
    assert (found.flips, found.invented) == (0, 0)


def test_noise_is_not_speech(as_files: dict[str, Heard]) -> None:
    """Of seven kinds: not one character."""
    assert texts(as_files["noise"]) == []


@needs_kit
def test_a_meeting_of_four(as_files: dict[str, Heard]) -> None:
    """Backchannels, overlaps, numbers and names, six and a half minutes; nothing is heard where nobody speaks."""
    found = measured(as_files["meeting"], KIT / "ja.json")
    assert found.char_errors / found.chars <= 0.16
    assert found.speaker_right / found.compared >= 0.96
    assert found.invented == 0
    assert median(map(abs, found.first_word_s)) <= 0.06 and median(map(abs, found.last_word_s)) <= 0.08


@needs_kit
def test_five_minutes_of_noise(as_files: dict[str, Heard]) -> None:
    """Twelve kinds: not one character."""
    assert texts(as_files["long noise"]) == []


# --- sounds ----------------------------------------------------------------------------------------

SECONDS = 12.0

Sound = NDArray[np.float32]


def noises() -> list[Sound]:
    """Steady noise, a fan, mains hum, keys, breath, a melody, silence: SECONDS of each, the same every time."""
    rng = np.random.default_rng(17)
    n = round(SECONDS * SAMPLE_RATE)
    t = np.arange(n) / SAMPLE_RATE
    white = rng.standard_normal(n)
    fan = np.cumsum(white)
    keys = white * (rng.random(n) < 5 / SAMPLE_RATE).astype(float)
    click = np.exp(-np.arange(SAMPLE_RATE // 50) / 40) * rng.standard_normal(SAMPLE_RATE // 50)
    breath = white * np.maximum(0, np.sin(2 * np.pi * 0.4 * t)) ** 4
    melody = np.sin(2 * np.pi * 220 * 2 ** (np.floor(t * 2) % 7 / 6) * t) * np.exp(-2 * (t * 2 % 1))
    hum = sum(np.sin(2 * np.pi * 50 * k * t) / k for k in (1, 2, 3, 5))
    return [
        scaled(white, 0.02),
        scaled(fan - np.linspace(fan[0], fan[-1], n), 0.1),
        scaled(np.asarray(hum), 0.05),
        scaled(np.convolve(keys, click, "same"), 0.3),
        scaled(breath, 0.05),
        scaled(melody, 0.2),
        np.zeros(n, np.float32),
    ]


def scaled(sound: NDArray[np.float64], peak: float) -> Sound:
    return (sound / np.abs(sound).max() * peak).astype(np.float32)


def write(path: Path, samples: Sound) -> None:
    frame = av.AudioFrame.from_ndarray(np.rint(samples * 32767).astype(np.int16)[None], format="s16", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    with av.open(str(path), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono")
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
