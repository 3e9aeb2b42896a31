"""A stage that somebody else's process runs: called as by an actor of a Ray cluster, with Ray left out."""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from ipc import codec
from ipc.audio_handle import Audio, AudioHandle
from ipc.errors import JobCancelled, StaleHandle
from ipc.messages import (
    AsrWork,
    CorrectionResult,
    CorrectionWork,
    DiarizationWork,
    Done,
    Failed,
    FromStage,
    Heartbeat,
    Init,
    Job,
    Loading,
    Ready,
    Started,
    Unusable,
)
from ipc.settings import AsrSettings, Fault, StageSettings
from stages.process.hosted import Hosted

HANDLE = AudioHandle("arena", 0, 1, 100, 4)
SAMPLES = np.arange(4, dtype=np.float32)


class Called:
    """A Hosted, its messages decoded."""

    def __init__(self, stage: Any, settings: StageSettings, heartbeat_s: float = 60.0) -> None:
        self.hosted = Hosted(stage, 0, 1, heartbeat_s)
        self.settings = settings
        self._reports = self.hosted.reports()

    def load(self) -> list[FromStage]:
        """Until it is ready, or can't be."""
        self.hosted.load(codec.encode(Init("", self.settings)), 60.0)
        said = []
        for report in self.reports():
            said.append(report)
            if isinstance(report, Ready | Unusable):
                return said
        raise AssertionError("it goes on for ever")

    def reports(self) -> Iterator[FromStage]:
        """Without heartbeats."""
        for report in self._reports:
            if not isinstance(message := codec.decode_from_stage(report), Heartbeat):
                yield message

    def do(self, job: Job, audio: Audio | None = None) -> Done | Failed:
        return codec.decode_incoming(self.hosted.do(codec.encode(job), audio))


@pytest.fixture
def recogniser() -> Called:
    called = Called("asr", StageSettings(sleep_ms={"asr": 0.0}))
    called.load()
    return called


def job(job_id: int = 7, handle: AudioHandle = HANDLE) -> Job:
    return Job(job_id, AsrWork(handle, "en"), limit_s=60.0)


def test_loading_is_reported_as_by_a_stage_process() -> None:
    loading, ready = Called("asr", StageSettings(sleep_ms={"asr": 0.0})).load()
    assert loading == Loading("loading sleep")
    assert isinstance(ready, Ready) and (ready.engine, ready.live) == ("sleep", True)


def test_an_engine_that_can_not_be_loaded_is_told() -> None:
    *_, last = Called("asr", StageSettings(asr=AsrSettings(engine="faster_whisper", model="/nowhere"))).load()
    assert isinstance(last, Unusable) and "/nowhere" in last.reason


def test_a_job_is_begun_and_answered(recogniser: Called) -> None:
    answer = recogniser.do(job(), SAMPLES)
    assert next(recogniser.reports()) == Started(7, 60.0)
    assert isinstance(answer, Done) and answer.job_id == 7
    assert answer.result.segments[0].text == "100-104"  # type: ignore[union-attr]


def test_only_the_audio_that_came_with_a_job_can_be_read(recogniser: Called) -> None:
    carried = recogniser.hosted._carried
    recogniser.do(job(), SAMPLES)
    with pytest.raises(StaleHandle):
        carried.read(msgspec.structs.replace(HANDLE, start=101))
    recogniser.do(Job(8, CorrectionWork(("text",), "en"), 60.0))
    with pytest.raises(StaleHandle):
        carried.read(HANDLE)


def test_what_an_engine_makes_of_its_samples_is_its_own(recogniser: Called) -> None:
    """Others have the same ones, in memory that can't be written."""
    shared = SAMPLES.copy()
    shared.flags.writeable = False
    recogniser.hosted._carried.carry(HANDLE, shared)
    recogniser.hosted._carried.read(HANDLE)[:] = 1.0
    assert np.array_equal(shared, SAMPLES)


def test_a_job_without_its_audio_fails_and_the_next_is_done(recogniser: Called) -> None:
    answer = recogniser.do(job(), None)
    assert isinstance(answer, Failed) and answer.code == StaleHandle.code
    assert isinstance(recogniser.do(job(8), SAMPLES), Done)


def test_a_cancelled_job_is_not_begun(recogniser: Called) -> None:
    recogniser.hosted.cancel(7)
    answer = recogniser.do(job(), SAMPLES)
    assert isinstance(answer, Failed) and answer.code == JobCancelled.code
    assert isinstance(recogniser.do(job(8), SAMPLES), Done)


def test_an_exception_is_an_answer() -> None:
    called = Called("asr", StageSettings(sleep_ms={"asr": 0.0}, faults={"asr": (Fault("raise", jobs=(7,)),)}))
    called.load()
    assert isinstance(called.do(job(), SAMPLES), Failed)
    assert isinstance(called.do(job(8), SAMPLES), Done)


def test_stages_without_audio() -> None:
    called = Called("correction", StageSettings(sleep_ms={"correction": 0.0}))
    called.load()
    answer = called.do(Job(1, CorrectionWork(("text",), "en"), 60.0))
    assert isinstance(answer, Done) and answer.result == CorrectionResult((None,))


def test_diarization_has_the_audio_too() -> None:
    called = Called("diarization", StageSettings(sleep_ms={"diarization": 0.0}))
    called.load()
    assert isinstance(called.do(Job(1, DiarizationWork(HANDLE), 60.0), SAMPLES), Done)


def test_heartbeats_say_how_far_its_jobs_are() -> None:
    """There is no shared memory in which that could stand."""
    called = Called("asr", StageSettings(sleep_ms={"asr": 0.0}), heartbeat_s=0.01)
    beats = called.hosted.reports()
    first = codec.decode_from_stage(next(beats))
    called.hosted._carried.progressed("asr", 0)
    then = codec.decode_from_stage(next(beats))
    assert isinstance(first, Heartbeat) and isinstance(then, Heartbeat)
    assert first.rss_mb > 0 and (first.parts, then.parts) == (0, 1)
