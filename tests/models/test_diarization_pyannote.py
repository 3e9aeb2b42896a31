"""The pyannote engine with the real pyannote.audio: a trained segmentation model, and voices that are told apart."""

import json
import shutil
import subprocess
import sys
from itertools import groupby, pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import yaml
from huggingface_hub import constants

from ipc.audio_handle import Audio, AudioHandle
from ipc.errors import EngineUnavailable
from ipc.messages import DiarizationResult, DiarizationWork, IngestWork
from ipc.settings import DiarizationSettings, StageSettings
from stages.diarization.pyannote import Pyannote
from stages.engine import GpuEngine
from stages.gpu.errors import is_out_of_memory
from tests.models.tiny_pyannote import build_tiny_pyannote
from wernicke_daemon.dispatch.answer_check import fits
from wernicke_daemon.utterances.voices import Voices

pytestmark = pytest.mark.models

ROOT = Path(__file__).resolve().parents[2]
MALES = ROOT / "tests" / "data" / "two_male_voices.flac"
REFERENCE = json.loads(MALES.with_suffix(".json").read_text(encoding="utf-8"))["turns"]
MEETING = ROOT.parent / "shared" / "audio" / "dev00.wav"
RATE = 16_000
SAME_VOICE = 0.3
"""Of the tiny model, whose embeddings are standardised: those of two voices are below 0."""
WORK = DiarizationWork(AudioHandle("arena", 0, 0, 0, 0))


def read(path: Path) -> Audio:
    with av.open(str(path)) as file:
        samples = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)[0]
    scale = 32768 if samples.dtype == np.int16 else 1
    return np.asarray(samples / scale, dtype=np.float32)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def recording() -> Audio:
    return read(MALES)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, recording: Audio) -> Path:
    return build_tiny_pyannote(tmp_path_factory.mktemp("pyannote") / "community", recording)


@pytest.fixture(scope="module")
def engine(model: Path) -> Pyannote:
    return loaded(model)


def made(model: Path | str, **settings: object) -> Pyannote:
    return Pyannote(
        "diarization",
        StageSettings(diarization=DiarizationSettings(model=str(model), **{"same_voice": SAME_VOICE, **settings})),
    )


def loaded(model: Path | str, **settings: object) -> Pyannote:
    engine = made(model, **settings)
    engine.load()
    engine.warm_up()
    return engine


def diarized(engine: Pyannote, audio: Audio) -> DiarizationResult:
    result = engine.process(WORK, lambda handle: audio.copy())
    assert fits(WORK, result)
    return result


def embeddings(result: DiarizationResult) -> list[tuple[float, ...]]:
    return [piece.embedding for piece in result.pieces]


def refusal(engine: Pyannote) -> str:
    with pytest.raises(EngineUnavailable) as refused:
        engine.load()
    engine.close()
    assert "\n" not in str(refused.value)
    return str(refused.value)


# --- what is found -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["community-1", "3.1"])
def test_two_voices_are_found_where_they_speak(shape: str, tmp_path: Path, recording: Audio) -> None:
    """The four turns to a quarter of a second; both published shapes of a pipeline, whatever output theirs asks for."""
    engine = loaded(build_tiny_pyannote(tmp_path / "model", recording, shape))
    result = diarized(engine, recording)
    runs = [list(run) for _, run in groupby(result.turns, lambda turn: result.pieces[turn.piece].speaker)]
    assert [result.pieces[run[0].piece].speaker for run in runs] == [0, 1, 0, 1]
    for run, told in zip(runs, REFERENCE, strict=True):
        assert abs(run[0].start - told["start"]) < 0.25 and abs(run[-1].end - told["end"]) < 0.25
    assert {len(embedding) for embedding in embeddings(result)} == {80}
    assert engine.model == "model"


def test_voices_are_known_again_in_later_utterances(engine: Pyannote, recording: Audio) -> None:
    """One utterance a job: the embeddings alone say who it is, and belong to the speakers that they are given for."""
    voices, names = Voices(), []
    for told in REFERENCE:
        utterance = recording[int((told["start"] - 0.2) * RATE) : int((told["end"] + 0.2) * RATE)]
        result = diarized(engine, utterance)
        names += voices.names(voices.hear(result.pieces, same_voice=0.2))
    assert names == ["Speaker_00", "Speaker_01", "Speaker_00", "Speaker_01"]


def test_rows_belong_to_their_speakers(engine: Pyannote, recording: Audio) -> None:
    """The second voice alone is like the row of the speaker of the second turn."""
    both = diarized(engine, recording)
    alone = diarized(engine, recording[int(3.4 * RATE) : int(5.8 * RATE)])
    rows = np.array(embeddings(both)) / np.linalg.norm(embeddings(both), axis=1, keepdims=True)
    likeness = rows @ np.array(embeddings(alone)[0])
    assert both.pieces[int(likeness.argmax())].speaker == 1


@pytest.mark.speech
@pytest.mark.skipif(not MEETING.is_file(), reason="the recorded meetings in ../shared/audio are not there")
def test_turns_in_a_meeting_do_not_overlap(engine: Pyannote) -> None:
    """Real people who interrupt each other; all within the audio and in order."""
    audio = read(MEETING)[8 * RATE : 18 * RATE]
    turns = diarized(engine, audio).turns
    assert turns and all(0 <= turn.start < turn.end <= 10 for turn in turns)
    assert all(before.end <= after.start for before, after in pairwise(turns))


def test_speakers_are_limited(model: Path, recording: Audio) -> None:
    """Two voices are one where the settings say so."""
    pieces = diarized(loaded(model, max_speakers=1), recording).pieces
    assert {piece.speaker for piece in pieces} == {0}


def test_the_threshold_is_the_models_own_unless_set(engine: Pyannote, model: Path, recording: Audio) -> None:
    """That of its clustering, 0.8, as a cosine similarity."""
    assert diarized(loaded(model, same_voice=0.0), recording[: 3 * RATE]).same_voice == pytest.approx(0.68)
    assert diarized(engine, recording[: 3 * RATE]).same_voice == SAME_VOICE


# --- little or nothing to hear -----------------------------------------------------------------------


@pytest.mark.parametrize("samples", [0, 1, 10, 160, 1599, 8000])
def test_very_short_audio_is_no_error(samples: int, engine: Pyannote, recording: Audio) -> None:
    """From the middle of a word."""
    turns = diarized(engine, recording[RATE : RATE + samples]).turns
    assert all(0 <= turn.start < turn.end <= samples / RATE for turn in turns)


def test_silence_has_no_speakers(engine: Pyannote) -> None:
    """Nothing is found in it, and that is an answer."""
    result = diarized(engine, np.zeros(2 * RATE, np.float32))
    assert result.turns == () and result.pieces == ()


def test_too_little_speech_gives_a_speaker_without_embedding(engine: Pyannote, recording: Audio) -> None:
    """pyannote's row is NaN then."""
    result = diarized(engine, recording[RATE : RATE + 3200])
    assert result.turns and embeddings(result) == [()]


# --- jobs --------------------------------------------------------------------------------------------


def test_a_job_has_one_result(engine: Pyannote, model: Path, recording: Audio) -> None:
    """The same again after another job, and in a fresh engine."""
    audio = recording[: 6 * RATE]
    first = diarized(engine, audio)
    diarized(engine, recording[6 * RATE :])
    assert diarized(engine, audio) == first == diarized(loaded(model), audio)


def test_progress_is_told_of_each_batch(engine: Pyannote, recording: Audio) -> None:
    parts: list[None] = []
    engine.tell_progress(lambda: parts.append(None))
    diarized(engine, recording)
    engine.tell_progress(lambda: None)
    assert len(parts) > 2


def test_a_job_can_be_done_with_half_the_batch(model: Path, recording: Audio) -> None:
    """Later jobs have the whole batch again; the turns are those of any other batch."""
    engine = loaded(model, embedding_batch_size=5)
    batches = []

    def reading(handle: AudioHandle) -> Audio:
        batches.append((engine._pipeline.embedding_batch_size, engine._pipeline.segmentation_batch_size))
        return recording[: 6 * RATE]

    whole = engine.process(WORK, reading)
    smaller = engine.process_smaller(WORK, reading)
    engine.process(WORK, reading)
    assert batches == [(5, 5), (2, 2), (5, 5)]
    assert smaller.turns == whole.turns
    np.testing.assert_allclose(embeddings(smaller), embeddings(whole), atol=1e-3)


@pytest.mark.parametrize("part", ["_segmentation", "_embedding"])
def test_lack_of_gpu_memory_is_told_as_such(
    part: str, engine: Pyannote, recording: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it runs out, though pyannote makes another error of it in one place; the next job is done."""

    def full(*arguments: object, **options: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    inference = getattr(engine._pipeline, part)
    with monkeypatch.context() as patched, pytest.raises(Exception) as raised:
        patched.setattr(inference.model if part == "_segmentation" else inference.model_, "forward", full)
        diarized(engine, recording[: 3 * RATE])
    assert is_out_of_memory(raised.value)
    assert diarized(engine, recording[: 3 * RATE]).turns


def test_a_job_of_another_stage_is_refused(engine: Pyannote) -> None:
    """Loudly, for it would be a bug."""
    with pytest.raises(TypeError, match="IngestWork"):
        engine.process(IngestWork(()), lambda handle: np.zeros(0, np.float32))


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what holds without a GPU")
def test_on_the_cpu_no_gpu_memory_is_held(engine: Pyannote) -> None:
    """And none is given back."""
    assert isinstance(engine, GpuEngine)
    assert engine.gpu_memory() is None
    engine.release()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_turns_are_the_same(model: Path, recording: Audio) -> None:
    """Memory is reported, and goes down when it is released."""
    engine = loaded(model, device="cuda")
    result = diarized(engine, recording)
    before = engine.gpu_memory()
    engine.release()
    after = engine.gpu_memory()
    assert [turn.piece for turn in result.turns] == [0, 1, 0, 1]
    assert before is not None and after is not None and after.reserved < before.reserved


# --- where the model comes from ----------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache of this machine, with the model in it as "somebody/voices"; its snapshot is returned."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--somebody--voices"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123", encoding="utf-8")
    shutil.copytree(model, repository / "snapshots" / "0123")
    return repository / "snapshots" / "0123"


def test_a_model_of_the_hub_is_read_from_the_cache(hub: Path, recording: Audio) -> None:
    """By its id."""
    engine = loaded("somebody/voices")
    assert engine.model == "voices"
    assert diarized(engine, recording[: 3 * RATE]).turns


@pytest.mark.parametrize("name", ["somebody/else", "nothing"])
def test_a_model_that_is_not_on_this_machine(name: str, hub: Path) -> None:
    """The command that gets it is named, and what it needs."""
    said = refusal(made(name))
    assert name in said and "`wernicke models pull`" in said and "licence" in said and "HF_TOKEN" in said


def test_a_model_of_which_a_part_is_not_on_this_machine(hub: Path) -> None:
    """As after a download that was broken off."""
    shutil.rmtree(hub / "embedding")
    assert "`wernicke models pull`" in refusal(made("somebody/voices"))


def test_a_model_whose_config_names_no_plda(hub: Path) -> None:
    """As that of 3.1: pyannote 4 reads the PLDA of community-1 for it, which must be on this machine too."""
    config = yaml.safe_load((hub / "config.yaml").read_text(encoding="utf-8"))
    del config["pipeline"]["params"]["plda"]
    (hub / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    assert "`wernicke models pull`" in refusal(made("somebody/voices"))


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    """The setting is named."""
    assert "diarization.model" in refusal(made(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.yaml", None),
        ("config.yaml", b"pipeline: [\x00"),
        ("config.yaml", b"{}"),
        ("segmentation/pytorch_model.bin", b"not weights"),
        ("segmentation/pytorch_model.bin", b""),
        ("embedding/pytorch_model.bin", None),
        ("plda/plda.npz", b"PK\x03\x04"),
    ],
)
def test_a_damaged_model(file: str, content: bytes | None, tmp_path: Path, model: Path) -> None:
    """Missing, empty and spoilt files: the command that looks for them is named."""
    damaged = tmp_path / "damaged"
    shutil.copytree(model, damaged)
    (damaged / file).unlink()
    if content is not None:
        (damaged / file).write_bytes(content)
    assert "`wernicke models verify`" in refusal(made(damaged))


def test_a_pipeline_for_something_else(tmp_path: Path, model: Path) -> None:
    """Such as one that finds speech but no speakers, or one that sends audio to a server."""
    other = tmp_path / "other"
    shutil.copytree(model, other)
    config = {
        "pipeline": {
            "name": "pyannote.audio.pipelines.VoiceActivityDetection",
            "params": {"segmentation": "$model/segmentation"},
        }
    }
    (other / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    said = refusal(made(other))
    assert "VoiceActivityDetection" in said and "community-1" in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is missing without a GPU")
def test_a_gpu_that_is_not_there(model: Path) -> None:
    """Both ways out are named."""
    said = refusal(made(model, device="cuda"))
    assert "install the NVIDIA driver" in said and 'diarization.device = "cpu"' in said


# --- nothing leaves this machine ---------------------------------------------------------------------

WATCHED = """
import sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg"):
        print("SENT", event, arguments, flush=True)
        raise OSError("watched")

sys.addaudithook(watch)
import numpy as np
from ipc.audio_handle import AudioHandle
from ipc.messages import DiarizationWork
from ipc.settings import DiarizationSettings, StageSettings
from stages.diarization.pyannote import Pyannote

engine = Pyannote("diarization", StageSettings(diarization=DiarizationSettings(model=sys.argv[1], min_speakers=3)))
engine.load()
engine.warm_up()
work = DiarizationWork(AudioHandle("arena", 0, 0, 0, 0))
audio = np.load(sys.argv[2])
engine.process(work, lambda handle: audio)
engine.process(work, lambda handle: audio[16_000:19_200])
from pyannote.audio.telemetry import metrics
metrics.provider.force_flush()
print("DONE", flush=True)
"""


def test_nothing_is_sent_and_nothing_is_said(tmp_path: Path, model: Path, recording: Audio) -> None:
    """Loading, warming up and a job in a fresh process: pyannote's usage reports never ask for a connection (what it
    holds back is flushed), and the log is not filled with its remarks."""
    audio = tmp_path / "audio.npy"
    np.save(audio, recording[: 3 * RATE])
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(model), str(audio)], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.stdout == "DONE\n", done.stdout + done.stderr
    for remark in ("torchcodec", "empty slice", "invalid value", "degrees of freedom", "number of speakers"):
        assert remark not in done.stderr
