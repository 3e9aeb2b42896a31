"""Speech that is quiet but there is brought up, and noise is not."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ipc.arena import Arena, ArenaReader
from ipc.audio_handle import SAMPLE_RATE, VAD_WINDOW, Audio
from ipc.messages import StageName
from stages import level
from stages.ingest.vad import EnergyVad, SileroVad, Vad
from stages.level import TARGET_DB, Heard, Level, brought_up, windows_db
from stages.process.worker import reader_for
from tests.detecting import probabilities
from wernicke_daemon.formats import audio_files

CLIP = Path(__file__).parents[2] / "wernicke_daemon" / "demo" / "clip.flac"


@pytest.fixture(scope="module")
def speech() -> Audio:
    """The demo clip: its loudest part at -16 dBFS, the noise between at -70."""
    return audio_files.samples(CLIP, SAMPLE_RATE)


@pytest.fixture(scope="module", params=["silero", "energy"])
def detector(request: pytest.FixtureRequest) -> Vad:
    vad: Vad = SileroVad(-85.0) if request.param == "silero" else EnergyVad(-60.0)
    vad.load()
    return vad


def quieter(samples: Audio, db: float, bits: int = 0) -> Audio:
    """bits: of the integers that it is sent as; 0 for floats."""
    scaled = samples * np.float32(10 ** (db / 20))
    return (np.round(scaled * 2 ** (bits - 1)) / 2 ** (bits - 1)).astype(np.float32) if bits else scaled


def noise(seconds: float, db: float, seed: int = 0) -> Audio:
    count = round(seconds * SAMPLE_RATE)
    return np.random.default_rng(seed).normal(0, 10 ** (db / 20), count).astype(np.float32)


def follow(before: Level | None, samples: Audio) -> tuple[Heard, Level]:
    """The next samples of one stream."""
    db = windows_db(samples)
    heard, (after,) = level.follow([before], db, [len(db)])
    return heard, after


def found(detector: Vad, samples: Audio) -> NDArray[np.bool_]:
    return np.array(probabilities(detector, samples, b"")[0]) >= 0.5


@pytest.mark.parametrize("db", [0, -40, -60])
@pytest.mark.parametrize(("bits", "missed"), [(0, 0.05), (16, 0.1)])
def test_quiet_speech_is_found_as_at_its_usual_level(
    detector: Vad, speech: Audio, db: float, bits: int, missed: float
) -> None:
    """Also where 16 bits have but 40 steps left for it, at -60 dB: all but a few windows, and hardly any others."""
    usual, quiet = found(detector, speech), found(detector, quieter(speech, db, bits))
    assert np.count_nonzero(usual & ~quiet) <= missed * np.count_nonzero(usual)
    assert np.count_nonzero(quiet & ~usual) <= 0.03 * np.count_nonzero(usual)


@pytest.mark.parametrize("db", [0, -10])
def test_at_usual_levels_nothing_changes(
    detector: Vad, speech: Audio, db: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first word on: the same probabilities to the last bit as without any gain."""
    spoken = quieter(speech, db)[2 * SAMPLE_RATE :]
    heard, _ = probabilities(detector, spoken, b"")
    monkeypatch.setattr(level, "MOST_DB", 0.0)
    assert heard == probabilities(detector, spoken, b"")[0]


@pytest.mark.parametrize("db", [-30, -50, -70, -90, -110])
def test_steady_noise_is_not_brought_up(detector: Vad, db: float) -> None:
    """Of any level: no gain, nor speech where there was none."""
    heard, _ = follow(None, noise(30.0, db))
    assert not heard.gain.any()
    assert found(detector, noise(30.0, db)).all() == (isinstance(detector, EnergyVad) and db >= -60)


def test_noise_is_not_brought_up_beside_quiet_speech(speech: Audio) -> None:
    """To the level detector the pauses of a quiet speaker are pauses, though noise with that gain is over its gate."""
    quiet = quieter(speech, -50) + noise(len(speech) / SAMPLE_RATE, -86)
    assert follow(None, quiet)[0].gain[-1] - 86 > -60
    assert 0.3 < found(EnergyVad(-60.0), quiet).mean() < 0.7


def test_a_click_does_not_make_it_deaf(speech: Audio) -> None:
    """A bang of two windows at full scale takes no more than 6 dB of the gain that speech at -60 dB needs."""
    quiet = quieter(speech, -60)
    before, state = follow(None, quiet)
    bang = noise(2 * VAD_WINDOW / SAMPLE_RATE, -10)
    at, state = follow(state, bang)
    after, _ = follow(state, quiet[:VAD_WINDOW])
    assert not at.gain.any()
    assert after.gain[0] > before.gain[-1] - 6.1


def test_after_a_speaker_who_is_near_one_far_away_is_heard() -> None:
    """Half a minute after the one has left: the loudest of the last while falls."""
    _, near = follow(None, np.concatenate([noise(1.0, -80), noise(5.0, -25)]))
    _, left = follow(near, noise(60.0, -80))
    assert near is not None and left is not None
    assert near.loudest == pytest.approx(-25, abs=1)
    assert left.loudest < -50


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 200), max_size=6), st.integers(-80, 0))
def test_any_split_between_windows_gives_the_same(cuts: list[int], db: int) -> None:
    """So that a job done again after a stage died, in other parts, gives the same."""
    loudness = np.random.default_rng(1).uniform(-60, 0, 200).repeat(VAD_WINDOW)
    samples = (noise(200 * VAD_WINDOW / SAMPLE_RATE, db) * 10 ** (loudness / 20)).astype(np.float32)
    whole, end = follow(None, samples)
    state: Level | None = None
    gains = []
    for a, b in itertools.pairwise(sorted({0, *cuts, 200})):
        heard, state = follow(state, samples[a * VAD_WINDOW : b * VAD_WINDOW])
        gains.append(heard.gain)
    np.testing.assert_array_equal(np.concatenate(gains), whole.gain)
    assert state == end


def test_a_quiet_stream_is_examined_the_same_in_parts(detector: Vad, speech: Audio) -> None:
    """What is remembered of the level travels in the detector's memory."""
    quiet = quieter(speech[: 600 * VAD_WINDOW], -60)
    whole, parts, memory = found(detector, quiet), list[float](), b""
    for start in range(0, len(quiet), 7 * VAD_WINDOW):
        some, memory = probabilities(detector, quiet[start : start + 7 * VAD_WINDOW], memory)
        parts += some
    np.testing.assert_array_equal(np.array(parts) >= 0.5, whole)


@pytest.mark.parametrize("db", [-40, -60, -90])
def test_an_utterance_is_brought_up_for_recognition(speech: Audio, db: float) -> None:
    """As a whole, by 60 dB at most: its loudest part is then at the target, or below it by what is missing."""
    utterance = speech[2 * SAMPLE_RATE : 12 * SAMPLE_RATE]
    quiet = quieter(utterance, db)
    raised = brought_up(quiet)
    loudest = float(np.percentile(windows_db(raised), 95))
    assert loudest == pytest.approx(min(TARGET_DB, float(np.percentile(windows_db(quiet), 95)) + 60), abs=0.1)
    np.testing.assert_allclose(raised / np.float32(raised[1000] / quiet[1000]), quiet, rtol=1e-4, atol=1e-9)


def test_what_needs_no_gain_is_the_same_array(speech: Audio) -> None:
    """Usual speech, steady noise, and nothing."""
    for samples in (speech, noise(5.0, -70), np.zeros(8000, np.float32), np.zeros(0, np.float32)):
        assert brought_up(samples) is samples


@pytest.mark.parametrize(("stage", "raised"), [("ingest", False), ("asr", True), ("diarization", True)])
def test_recognition_and_diarization_get_the_same_audio(speech: Audio, stage: StageName, raised: bool) -> None:
    """What is in shared memory stays as it was sent; the stages that understand it read it brought up."""
    quiet = quieter(speech[2 * SAMPLE_RATE : 6 * SAMPLE_RATE], -60)
    arena = Arena(1, 5 * SAMPLE_RATE)
    ring, reader = arena.acquire(), ArenaReader(arena.geometry)
    assert ring is not None
    ring.append(quiet)
    read = reader_for(stage, reader)(ring.handle(0, len(quiet)))
    np.testing.assert_array_equal(read, brought_up(quiet) if raised else quiet)
    del read
    reader.close()
    arena.close()
