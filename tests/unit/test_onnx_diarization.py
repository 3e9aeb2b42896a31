"""The diarization without PyTorch on synthetic voices and real meetings, and the engine that does nothing."""

import json
from collections.abc import Iterator
from itertools import combinations, groupby
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest

from ipc.audio_handle import Audio, AudioHandle
from ipc.errors import JobCancelled
from ipc.messages import DiarizationResult, DiarizationWork, IngestWork
from ipc.settings import DiarizationSettings, StageSettings
from stages.diarization.none import NoDiarization
from stages.diarization.onnx import OnnxDiarization
from stages.diarization.pieces import MAX_PIECE_S, SNAP_S

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


def loaded(settings: StageSettings | None = None) -> OnnxDiarization:
    engine = OnnxDiarization("diarization", settings or StageSettings())
    engine.load()
    engine.warm_up()
    return engine


@pytest.fixture(scope="module")
def engine() -> Iterator[OnnxDiarization]:
    made = loaded()
    yield made
    made.close()


def embeddings(result: DiarizationResult) -> list[tuple[float, ...]]:
    return [piece.embedding for piece in result.pieces if piece.embedding]


def speakers(result: DiarizationResult) -> list[int]:
    """Of the turns."""
    return [result.pieces[turn.piece].speaker for turn in result.turns]


def pause(seconds: float = 0.5) -> Audio:
    return np.zeros(round(seconds * RATE), np.float32)


def assert_told_apart(engine: OnnxDiarization, spoken: list[Utterance]) -> None:
    """Each utterance is one speaker; what one voice says for a second or more is more alike than what two say."""
    results = [engine.diarize(utterance.audio) for utterance in spoken]
    assert all({piece.speaker for piece in result.pieces} == {0} for result in results)
    heard = [
        (utterance.speaker, piece.embedding)
        for utterance, result in zip(spoken, results, strict=True)
        for piece in result.pieces
        if piece.seconds > 1
    ]
    pairs = [(one == other, cosine(a, b)) for (one, a), (other, b) in combinations(heard, 2)]
    assert max(alike for same, alike in pairs if not same) < min(alike for same, alike in pairs if same)


def test_demo_voices_are_told_apart(engine: OnnxDiarization, demo: list[Utterance]) -> None:
    """A man and a woman."""
    assert_told_apart(engine, demo)


def test_two_male_voices_are_told_apart(engine: OnnxDiarization, males: list[Utterance]) -> None:
    """Two men of similar pitch."""
    assert_told_apart(engine, males)


@pytest.mark.parametrize("clip", ["demo", "males"])
def test_change_of_speaker_is_found(engine: OnnxDiarization, clip: str, request: pytest.FixtureRequest) -> None:
    """Two voices one after the other in one utterance are two speakers who part in the pause between them."""
    first, second = request.getfixturevalue(clip)[:2]
    result = engine.diarize(np.concatenate([first.audio, pause(), second.audio]))
    border = len(first.audio) / RATE
    assert {turn.end <= border + 0.1 for turn in result.turns if result.pieces[turn.piece].speaker == 0} == {True}
    assert {turn.start >= border - 0.1 for turn in result.turns if result.pieces[turn.piece].speaker == 1} == {True}
    assert set(speakers(result)) == {0, 1}


def cosine(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))


def test_returning_speaker_is_the_same(engine: OnnxDiarization, males: list[Utterance]) -> None:
    """Who speaks again after another has the same number as before."""
    result = engine.diarize(np.concatenate([part.audio for part in males]))
    assert [number for number, _ in groupby(speakers(result))] == [0, 1, 0, 1]


def test_embedding_survives_room_and_level(engine: OnnxDiarization, demo: list[Utterance]) -> None:
    """Half the level, room noise at 30 dB below the speech and a duller microphone leave the voice itself."""
    clean = demo[1].audio
    noise = np.random.default_rng(0).standard_normal(len(clean)) * np.std(clean) * 10 ** (-30 / 20)
    dull = 0.5 * (clean + 0.3 * np.append(clean[:1], clean[:-1])) + noise
    before, after = engine.diarize(clean), engine.diarize(dull.astype(np.float32))
    assert cosine(embeddings(before)[0], embeddings(after)[0]) >= before.same_voice


def test_long_speech_is_cut(engine: OnnxDiarization, demo: list[Utterance]) -> None:
    """No piece is longer than MAX_PIECE_S, but for what its cuts were moved by."""
    long = np.concatenate([part.audio[: 4 * RATE] for part in demo[::2]])
    pieces = engine.diarize(long).pieces
    assert len(pieces) > 1 and all(piece.end - piece.start <= MAX_PIECE_S + 2 * SNAP_S for piece in pieces)
    assert all(0 < piece.seconds <= piece.end - piece.start + 0.02 for piece in pieces)


def test_turns_are_ordered_and_inside(engine: OnnxDiarization, demo: list[Utterance]) -> None:
    """Turns follow each other without overlap, within the audio."""
    audio = np.concatenate([part.audio for part in demo])[: 30 * RATE]
    turns = engine.diarize(audio).turns
    edges = [0.0, *(edge for turn in turns for edge in (turn.start, turn.end)), len(audio) / RATE]
    assert edges == sorted(edges)
    assert all(turn.end > turn.start for turn in turns)


@pytest.mark.parametrize("seconds", [0.0, 0.01, 5.0])
def test_silence_and_noise_have_no_turns(engine: OnnxDiarization, seconds: float) -> None:
    """Nothing, digital silence and a quiet room are nobody."""
    noise = np.random.default_rng(0).standard_normal(round(seconds * RATE)).astype(np.float32) * 1e-3
    for audio in (noise, np.zeros_like(noise)):
        result = engine.diarize(audio)
        assert (result.turns, result.pieces) == ((), ())


def test_too_little_speech_has_no_embedding(engine: OnnxDiarization, demo: list[Utterance]) -> None:
    """A third of a second is a turn of somebody, but not enough to say of whom."""
    begin = round(0.4 * RATE)
    result = engine.diarize(np.concatenate([pause(), demo[1].audio[begin : begin + RATE // 3], pause()]))
    assert [turn.piece for turn in result.turns] == [0]
    assert result.pieces[0].embedding == ()


def test_result_does_not_depend_on_earlier_jobs(engine: OnnxDiarization, males: list[Utterance]) -> None:
    """A used engine and a fresh one answer alike, to the last bit."""
    engine.diarize(males[0].audio)
    assert engine.diarize(males[1].audio) == loaded().diarize(males[1].audio)


def test_speakers_are_limited(males: list[Utterance]) -> None:
    """max_speakers bounds the voices of one utterance."""
    settings = StageSettings(diarization=DiarizationSettings(max_speakers=1))
    result = loaded(settings).diarize(np.concatenate([part.audio for part in males]))
    assert set(speakers(result)) == {0}


def test_job_is_read_through_its_handle(engine: OnnxDiarization, demo: list[Utterance]) -> None:
    """process() diarizes what the handle names; other work is refused."""
    handle = AudioHandle(arena="a", slot=0, generation=1, start=0, count=len(demo[0].audio))
    result = engine.process(DiarizationWork(audio=handle), {handle: demo[0].audio}.__getitem__)
    assert result == engine.diarize(demo[0].audio) and result.model == engine.model
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


def test_progress_is_told_and_a_job_can_be_left_off(engine: OnnxDiarization, demo: list[Utterance]) -> None:
    """After each batch of windows; a job that nobody wants ends there."""
    audio = np.concatenate([part.audio for part in demo])[: 20 * RATE]
    steps: list[None] = []
    engine.tell_progress(lambda: steps.append(None))
    engine.diarize(audio)
    assert 4 <= len(steps) <= 20
    engine.stop_when(lambda: len(steps) > 100)
    steps.extend([None] * 101)
    with pytest.raises(JobCancelled):
        engine.diarize(audio)
    engine.tell_progress(lambda: None)
    engine.stop_when(lambda: False)


@pytest.mark.speech
@pytest.mark.skipif(not MEETING.is_dir(), reason="the recorded meetings in ../shared/audio are not there")
def test_real_meetings_are_bounded(engine: OnnxDiarization) -> None:
    """Real, noisy, overlapping speech gives ordered turns and finite embeddings, whatever it makes of the voices."""
    for path in sorted(MEETING.glob("*.wav")):
        result = engine.diarize(read(path)[: 30 * RATE])
        assert result.turns
        assert [turn.start for turn in result.turns] == sorted(turn.start for turn in result.turns)
        assert all(np.isfinite(embedding).all() for embedding in embeddings(result))
