"""What a stage does when its graphics card has no memory left or is lost, and what is told of that memory."""

import gc
import weakref
from typing import Any

import pynvml
import pytest

from ipc import gpu
from ipc.arena import Arena, ArenaReader
from ipc.audio_handle import AudioHandle
from ipc.messages import AsrResult, AsrWork, Done, Failed, FromStage, GpuMemory, Job, Result, Work
from stages.engine import ReadAudio
from stages.process.worker import Worker
from stages.testing.faults import Faults

RESULT = AsrResult("en", 1.0, (), "none")
JOB = Job(1, AsrWork(AudioHandle("arena", 0, 1, 0, 0), "en"), limit_s=60.0)


class Tensor:
    """Something large that a failed attempt holds."""


class Engine:
    """error, smaller: what it raises for a whole and for half a batch; None where it gives a result."""

    name = model = "large"

    def __init__(self, error: str | None, smaller: str | None = None) -> None:
        self.calls: list[str] = []
        self._error = error
        self._smaller = smaller
        self._held: weakref.ref[Tensor] | None = None

    def load(self) -> None: ...
    def warm_up(self) -> None: ...
    def close(self) -> None: ...

    def process(self, work: Work, read_audio: ReadAudio) -> Result:
        self.calls.append("whole")
        tensor = Tensor()
        self._held = weakref.ref(tensor)
        if self._error is not None:
            raise RuntimeError(self._error)
        return RESULT

    def process_smaller(self, work: Work, read_audio: ReadAudio) -> Result:
        self.calls.append("half")
        if self._smaller is not None:
            raise RuntimeError(self._smaller)
        return RESULT

    def release(self) -> None:
        gc.collect()
        freed = self._held is not None and self._held() is None
        self.calls.append("released all" if freed else "released")

    def gpu_memory(self) -> GpuMemory | None:
        return GpuMemory(100, 200)


class Control:
    """The part of stages.process.control.Control that a worker uses."""

    gpu: GpuMemory | None = None

    def was_cancelled(self, job_id: int) -> bool:
        return False

    def report(self, message: FromStage) -> None: ...


def done_by(engine: Engine, release_after_job: bool = False) -> tuple[Done | Failed, Control]:
    control: Any = Control()
    arena = Arena(1, 16_000)
    reader = ArenaReader(arena.geometry)
    try:
        worker = Worker("asr", 0, engine, reader, control, Faults("asr", 1, ()), release_after_job)
        answer = worker.do(JOB)
        worker.rest()
        return answer, control
    finally:
        reader.close()
        arena.close()


OUT = "CUDA failed with error out of memory"


def test_a_job_is_tried_again_with_half_the_batch() -> None:
    """After everything that the first attempt held has been let go of and given back."""
    engine = Engine(OUT)
    answer, _ = done_by(engine)
    assert isinstance(answer, Done) and answer.result == RESULT
    assert engine.calls == ["whole", "released all", "half"]


def test_a_job_that_does_not_fit_in_halves_either_says_so() -> None:
    """Once; the front knows what to do about it."""
    engine = Engine(OUT, smaller=OUT)
    answer, _ = done_by(engine)
    assert isinstance(answer, Failed) and answer.code == "CUDA_OUT_OF_MEMORY"
    assert engine.calls == ["whole", "released all", "half"]


@pytest.mark.parametrize("smaller", [False, True])
def test_other_errors_are_not_taken_for_it(smaller: bool) -> None:
    """In the first attempt and in the second."""
    other = "bad weights"
    engine = Engine(OUT if smaller else other, smaller=other)
    answer, _ = done_by(engine)
    assert isinstance(answer, Failed) and answer.code == "INTERNAL_ERROR" and "bad weights" in answer.reason
    assert engine.calls == (["whole", "released all", "half"] if smaller else ["whole"])


@pytest.mark.parametrize("smaller", [False, True])
def test_a_process_that_has_lost_its_gpu_ends(smaller: bool) -> None:
    """After a reset of the driver every job would fail in it; the next process may have the card again."""
    lost = "CUDA failed with error unspecified launch failure"
    with pytest.raises(RuntimeError, match=lost):
        done_by(Engine(OUT if smaller else lost, smaller=lost))


@pytest.mark.parametrize("wanted", [False, True])
def test_memory_is_given_back_after_each_job_where_wanted(wanted: bool) -> None:
    """And what is held after it goes with the next heartbeat."""
    engine = Engine(None)
    _, control = done_by(engine, release_after_job=wanted)
    assert engine.calls == ["whole", *(["released all"] if wanted else [])]
    assert control.gpu == GpuMemory(100, 200)


def test_a_driver_that_does_not_say_how_busy_the_card_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The card is there all the same, with the memory that decides on its profile."""

    def not_supported(_: object) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    class Memory:
        total, free = 24 * 1024**3, 20 * 1024**3

    for name, answer in {
        "nvmlInit": None,
        "nvmlDeviceGetHandleByIndex": "card",
        "nvmlDeviceGetName": "a card",
        "nvmlSystemGetDriverVersion": "1",
        "nvmlDeviceGetMemoryInfo": Memory,
    }.items():
        monkeypatch.setattr(pynvml, name, lambda *_, answer=answer: answer)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUtilizationRates", not_supported)
    assert gpu.figures() == {
        "name": "a card",
        "driver": "1",
        "total_mib": 24_576,
        "free_mib": 20_480,
        "utilisation_percent": None,
    }


def test_a_card_that_does_not_answer_gives_its_number_to_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that the driver has lost: what is behind it would be taken for another."""
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 3)
    monkeypatch.setattr(gpu, "figures", lambda card: None if card == 1 else {"name": f"card {card}"})
    assert gpu.cards() == [{"name": "card 0"}]
