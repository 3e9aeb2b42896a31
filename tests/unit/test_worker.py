"""How a worker deals with a job that is cancelled."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ipc.arena import Arena, ArenaReader
from ipc.audio_handle import AudioHandle
from ipc.errors import JobCancelled
from ipc.messages import AsrResult, AsrWork, Cancel, Done, Failed, FromStage, Init, Job, Ready, StageName, Work
from ipc.settings import DiarizationSettings, StageSettings
from stages.engine import ReadAudio
from stages.process.control import Control
from stages.process.worker import Worker, start_engine
from stages.testing.faults import Faults

RESULT = AsrResult("en", 1.0, (), "none")


class InTwoParts:
    """between: called after the first part of a job, before it asks whether to go on."""

    name = model = "slow"

    def __init__(self) -> None:
        self.between: Callable[[], None] = lambda: None
        self.parts = 0
        self._unwanted: Callable[[], bool] = lambda: False

    def load(self) -> None: ...
    def warm_up(self) -> None: ...
    def close(self) -> None: ...

    def stop_when(self, unwanted: Callable[[], bool]) -> None:
        self._unwanted = unwanted

    def process(self, work: Work, read_audio: ReadAudio) -> AsrResult:
        self.parts += 1
        self.between()
        if self._unwanted():
            raise JobCancelled("no longer wanted")
        self.parts += 1
        return RESULT


@pytest.fixture
def engine() -> InTwoParts:
    return InTwoParts()


@pytest.fixture
def worker(engine: InTwoParts, control: Control) -> Iterator[Worker]:
    arena = Arena(1, 16_000)
    reader = ArenaReader(arena.geometry)
    yield Worker("asr", 0, engine, reader, control, Faults("asr", 1, ()), False)
    reader.close()
    arena.close()


def job(job_id: int) -> Job:
    return Job(job_id, AsrWork(AudioHandle("arena", 0, 1, 0, 0), "en"), limit_s=60.0)


def cancel(control: Any, job_id: int) -> None:
    control._obey(Cancel(job_id))


def test_a_job_cancelled_between_its_parts_is_not_gone_on_with(
    worker: Worker, engine: InTwoParts, control: Control
) -> None:
    """It is answered all the same, and the next one is done whole."""
    engine.between = lambda: cancel(control, 7)
    answer = worker.do(job(7))
    assert isinstance(answer, Failed) and (answer.job_id, answer.code) == (7, "CANCELLED")
    assert engine.parts == 1
    assert isinstance(worker.do(job(8)), Done)
    assert engine.parts == 3


def test_a_job_cancelled_before_its_start_is_not_begun(worker: Worker, engine: InTwoParts, control: Control) -> None:
    cancel(control, 7)
    answer = worker.do(job(7))
    assert isinstance(answer, Failed) and answer.code == "CANCELLED"
    assert engine.parts == 0


@pytest.mark.parametrize(("stage", "live"), [("asr", True), ("diarization", False)])
def test_ready_says_whether_live_jobs_are_taken(
    control: Control, monkeypatch: pytest.MonkeyPatch, stage: StageName, live: bool
) -> None:
    """By the engine that was chosen."""
    said: list[FromStage] = []
    monkeypatch.setattr(control, "report", said.append)
    settings = StageSettings(diarization=DiarizationSettings(engine="none"), sleep_ms={"asr": 0.0})
    assert start_engine(stage, Init("", settings), control, Faults(stage, 1, ())) is not None
    assert isinstance(said[-1], Ready) and said[-1].live is live


def test_another_jobs_cancel_stops_nothing(worker: Worker, engine: InTwoParts, control: Control) -> None:
    engine.between = lambda: cancel(control, 6)
    assert isinstance(worker.do(job(7)), Done)
