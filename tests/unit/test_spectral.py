"""The embedded diarization engine on synthetic voices, and the engine that does nothing."""

import json
import shutil
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
import soxr

from ipc.audio_handle import Audio, AudioHandle
from ipc.messages import DiarizationResult, DiarizationWork, IngestWork
from ipc.settings import DiarizationSettings, StageSettings
from stages.diarization.none import NoDiarization
from stages.diarization.spectral import SAME_VOICE, Spectral
from wernicke_daemon.utterances.voices import Voices

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "wernicke_daemon" / "demo"
DATA = ROOT / "tests" / "data"
MEETING = ROOT.parent / "shared" / "audio"
RATE = 16_000


class Utterance(NamedTuple):
    """audio: 16 kHz mono. speaker: name of the voice."""

    audio: Audio
    speaker: str


def read(path: Path) -> Audio:
    with av.open(str(path)) as file:
        samples = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)[0]
    scale = 32768 if samples.dtype == np.int16 else 1
    return np.asarray(samples / scale, dtype=np.float32)


def utterances(clip: Path, reference: Path, roll_s: float = 0.2) -> list[Utterance]:
    """The clip cut by its reference, with a little room around each utterance as ingest leaves it."""
    audio, turns = read(clip), json.loads(reference.read_text(encoding="utf-8"))["turns"]
    return [
        Utterance(audio[int((t["start"] - roll_s) * RATE) : int((t["end"] + roll_s) * RATE)], t["speaker"])
        for t in turns
    ]


@pytest.fixture(scope="module")
def demo() -> list[Utterance]:
    return utterances(DEMO / "clip.flac", DEMO / "reference.json")


@pytest.fixture(scope="module")
def males() -> list[Utterance]:
    return utterances(DATA / "two_male_voices.flac", DATA / "two_male_voices.json")


def loaded(settings: StageSettings | None = None) -> Spectral:
    engine = Spectral("diarization", settings or StageSettings())
    engine.load()
    engine.warm_up()
    return engine


@pytest.fixture(scope="module")
def engine() -> Iterator[Spectral]:
    spectral = loaded()
    yield spectral
    spectral.close()


def session_names(engine: Spectral, spoken: list[Utterance]) -> list[list[str | None]]:
    """What one session calls the speakers of each utterance."""
    voices = Voices()
    results = [engine.diarize(utterance.audio) for utterance in spoken]
    heard = [voices.hear(r.pieces, r.same_voice) for r in results]
    return [voices.names(rows) for rows in heard]


def embeddings(result: DiarizationResult) -> list[tuple[float, ...]]:
    return [piece.embedding for piece in result.pieces]


def pause(seconds: float = 0.5) -> Audio:
    return np.zeros(round(seconds * RATE), np.float32)


def assert_consistent(names: list[list[str | None]], spoken: list[Utterance]) -> None:
    """One voice per utterance, and a one-to-one relation between names and true voices."""
    assert all(len(found) == 1 for found in names)
    pairs = {(found[0], utterance.speaker) for found, utterance in zip(names, spoken, strict=True)}
    assert None not in {name for name, _ in pairs}
    assert len(pairs) == len({utterance.speaker for utterance in spoken}) == len({name for name, _ in pairs})


def test_demo_voices_keep_their_names(engine: Spectral, demo: list[Utterance]) -> None:
    """Each utterance of the demo is one voice, and the session has exactly the clip's two."""
    assert_consistent(session_names(engine, demo), demo)


def test_two_male_voices_are_told_apart(engine: Spectral, males: list[Utterance]) -> None:
    """Two men of similar pitch are two voices through the session."""
    assert_consistent(session_names(engine, males), males)


@pytest.mark.parametrize("clip", ["demo", "males"])
def test_change_of_speaker_is_found(engine: Spectral, clip: str, request: pytest.FixtureRequest) -> None:
    """Two voices one after the other in one utterance give two turns that part in the pause between them."""
    first, second = request.getfixturevalue(clip)[:2]
    result = engine.diarize(np.concatenate([first.audio, pause(), second.audio]))
    assert [turn.piece for turn in result.turns] == [0, 1]
    border = len(first.audio) / RATE
    assert result.turns[0].end <= border <= result.turns[1].start
    assert cosine(*embeddings(result)) < SAME_VOICE


def cosine(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))


def test_returning_speaker_is_the_same(engine: Spectral, males: list[Utterance]) -> None:
    """Who speaks again after another has the same number as before."""
    result = engine.diarize(np.concatenate([part.audio for part in males]))
    assert [turn.piece for turn in result.turns] == [0, 1, 0, 1]
    assert len(result.pieces) == 2


def test_embedding_survives_room_and_level(engine: Spectral, demo: list[Utterance]) -> None:
    """Half the level, room noise at 30 dB below the speech and a duller microphone leave the voice itself."""
    clean = demo[1].audio
    noise = np.random.default_rng(0).standard_normal(len(clean)) * np.std(clean) * 10 ** (-30 / 20)
    dull = 0.5 * (clean + 0.3 * np.append(clean[:1], clean[:-1])) + noise
    (before,), (after,) = embeddings(engine.diarize(clean)), embeddings(engine.diarize(dull.astype(np.float32)))
    assert cosine(before, after) >= SAME_VOICE


def test_turns_are_ordered_and_inside(engine: Spectral, demo: list[Utterance]) -> None:
    """Turns follow each other without overlap, within the audio."""
    audio = np.concatenate([part.audio for part in demo])[: 30 * RATE]
    turns = engine.diarize(audio).turns
    edges = [0.0, *(edge for turn in turns for edge in (turn.start, turn.end)), len(audio) / RATE]
    assert edges == sorted(edges)
    assert all(turn.end > turn.start for turn in turns)


@pytest.mark.parametrize("seconds", [0.0, 0.01, 5.0])
def test_silence_and_noise_have_no_turns(engine: Spectral, seconds: float) -> None:
    """Nothing, digital silence and a quiet room are nobody."""
    noise = np.random.default_rng(0).standard_normal(round(seconds * RATE)).astype(np.float32) * 1e-3
    for audio in (noise, np.zeros_like(noise)):
        assert engine.diarize(audio) == DiarizationResult(turns=(), pieces=(), same_voice=SAME_VOICE)


def test_too_little_speech_has_no_embedding(engine: Spectral, demo: list[Utterance]) -> None:
    """A third of a second is a turn of somebody, but not enough to say of whom."""
    begin = round(0.4 * RATE)
    result = engine.diarize(np.concatenate([pause(), demo[1].audio[begin : begin + RATE // 3], pause()]))
    assert [turn.piece for turn in result.turns] == [0]
    assert embeddings(result) == [()]


def test_result_does_not_depend_on_earlier_jobs(engine: Spectral, males: list[Utterance]) -> None:
    """A used engine and a fresh one answer alike, to the last bit."""
    engine.diarize(males[0].audio)
    assert engine.diarize(males[1].audio) == loaded().diarize(males[1].audio)


def test_speakers_are_limited(males: list[Utterance]) -> None:
    """max_speakers bounds the voices of one utterance."""
    settings = StageSettings(diarization=DiarizationSettings(max_speakers=1))
    result = loaded(settings).diarize(np.concatenate([part.audio for part in males]))
    assert len(result.pieces) == 1


def test_job_is_read_through_its_handle(engine: Spectral, demo: list[Utterance]) -> None:
    """process() diarizes what the handle names; other work is refused."""
    handle = AudioHandle(arena="a", slot=0, generation=1, start=0, count=len(demo[0].audio))
    result = engine.process(DiarizationWork(audio=handle), {handle: demo[0].audio}.__getitem__)
    assert result == engine.diarize(demo[0].audio)
    with pytest.raises(TypeError):
        engine.process(IngestWork(tasks=()), {handle: demo[0].audio}.__getitem__)


def test_no_diarization_finds_nobody() -> None:
    """`none` returns no turns and does not read the audio."""
    engine = NoDiarization("diarization", StageSettings())
    engine.load()
    engine.warm_up()
    handle = AudioHandle(arena="a", slot=0, generation=1, start=0, count=RATE)
    nothing: dict[AudioHandle, Audio] = {}
    result = engine.process(DiarizationWork(audio=handle), nothing.__getitem__)
    engine.close()
    assert (result.turns, result.pieces) == ((), ())


TEXTS = (
    "please tell me what you think about the plan before we go on",
    "the meeting room on the second floor is free after lunch today",
    "nobody has asked for the old version since the beginning of the year",
)


def spoken(voice: str, text: str, folder: Path) -> Utterance:
    path = folder / "speech.wav"
    subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True)
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
        return Utterance(soxr.resample(samples, file.getframerate(), RATE), voice)


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite, which makes this test's speech, is not installed")
def test_all_flite_voices_keep_their_names(engine: Spectral, tmp_path: Path) -> None:
    """Four voices, three of them men, saying new sentences are four names."""
    said = [spoken(voice, text, tmp_path) for text in TEXTS for voice in ("slt", "rms", "awb", "kal")]
    assert_consistent(session_names(engine, said), said)


@pytest.mark.speech
@pytest.mark.skipif(not MEETING.is_dir(), reason="the recorded meetings in ../shared/audio are not there")
def test_real_meetings_are_bounded(engine: Spectral) -> None:
    """Real, noisy, overlapping speech gives ordered turns and finite embeddings, whatever it makes of the voices."""
    for path in sorted(MEETING.glob("*.wav")):
        result = engine.diarize(read(path))
        assert result.turns
        assert [turn.start for turn in result.turns] == sorted(turn.start for turn in result.turns)
        assert all(np.isfinite(embedding).all() for embedding in embeddings(result))
