"""Faults on purpose: what strikes, at which job, in which incarnation."""

import subprocess
import sys
import time

import pytest

from ipc.audio_handle import AudioHandle
from ipc.errors import EngineUnavailable
from ipc.messages import (
    AsrResult,
    AsrWork,
    CorrectionResult,
    CorrectionWork,
    DiarizationResult,
    DiarizationWork,
    IngestOutcome,
    IngestResult,
    IngestTask,
    IngestWork,
    Job,
    Result,
    Work,
)
from ipc.settings import Fault
from stages.testing.faults import Faults
from wernicke_daemon.dispatch.answer_check import fits

KILLED = 3 if sys.platform == "win32" else -9

IN_A_PROCESS = """
import faulthandler, sys, threading, time
from ipc.messages import CorrectionWork, Job
from ipc.settings import Fault
from stages.testing.faults import Faults

def run_on():
    time.sleep(0.5)
    print("another thread ran", flush=True)

threading.Thread(target=run_on, daemon=True).start()
faulthandler.dump_traceback_later(2, exit=True)
faults = Faults("correction", 1, (Fault(sys.argv[1]),))
faults.at_load()
faults.strike(Job(1, CorrectionWork((), "en"), 1.0))
print("it goes on")
"""


def audio(start: int) -> AudioHandle:
    return AudioHandle("a", 0, 1, start, 16_000)


def asr_job(job_id: int = 1, start: int = 0) -> Job:
    return Job(job_id, AsrWork(audio(start), "en"), 1.0)


def ingest_job(*starts: int) -> Job:
    return Job(1, IngestWork(tuple(IngestTask(str(start), audio(start), b"", None, 0.0) for start in starts)), 1.0)


def strikes(fault: Fault, job: Job, epoch: int = 1) -> bool:
    try:
        Faults("asr", epoch, (fault,)).strike(job)
    except RuntimeError:
        return True
    return False


@pytest.mark.parametrize(
    ("fault", "job", "struck"),
    [
        (Fault("raise"), asr_job(), True),
        (Fault("raise", jobs=(7,)), asr_job(job_id=7), True),
        (Fault("raise", jobs=(7,)), asr_job(job_id=8), False),
        (Fault("raise", starts=(512,)), asr_job(start=512), True),
        (Fault("raise", starts=(512,)), asr_job(start=513), False),
        (Fault("raise", starts=(512,)), Job(1, DiarizationWork(audio(512)), 1.0), True),
        (Fault("raise", starts=(512,)), ingest_job(0, 512), True),
        (Fault("raise", starts=(0,)), Job(1, CorrectionWork(("a",), "en"), 1.0), False),
        (Fault("raise", jobs=(7,), starts=(512,)), asr_job(start=512), True),
    ],
)
def test_a_fault_strikes_the_jobs_it_names(fault: Fault, job: Job, struck: bool) -> None:
    """By id, by where audio begins, or every job where nothing is named."""
    assert strikes(fault, job) is struck


def test_a_fault_is_over_after_so_many_incarnations() -> None:
    """times counts epochs from 1; 0 is for ever."""
    assert [strikes(Fault("raise", times=2), asr_job(), epoch) for epoch in (1, 2, 3)] == [True, True, False]
    assert strikes(Fault("raise"), asr_job(), epoch=1000)


def test_out_of_memory_looks_like_cuda() -> None:
    """The words that CTranslate2 and torch have for it."""
    with pytest.raises(RuntimeError, match="CUDA out of memory"):
        Faults("asr", 1, (Fault("out_of_memory"),)).strike(asr_job())


def test_slow_takes_its_seconds_and_goes_on() -> None:
    """A slow job is done all the same."""
    began = time.monotonic()
    Faults("asr", 1, (Fault("slow", seconds=0.05),)).strike(asr_job())
    assert time.monotonic() - began >= 0.05


def test_a_load_that_fails_says_so_and_strikes_no_job() -> None:
    """fail_load is the engine's own word; jobs of a stage that loaded are left alone."""
    with pytest.raises(EngineUnavailable, match="on purpose"):
        Faults("asr", 1, (Fault("fail_load"),)).at_load()
    assert not strikes(Fault("fail_load"), asr_job())
    assert not strikes(Fault("crash_load"), asr_job())


def test_a_fault_of_jobs_leaves_loading_alone() -> None:
    """A stage whose jobs crash starts like any other."""
    Faults("asr", 1, (Fault("crash"), Fault("raise"))).at_load()


ANSWERS: tuple[tuple[Work, Result], ...] = (
    (AsrWork(audio(0), "en"), AsrResult("en", 1.0, (), "none")),
    (DiarizationWork(audio(0)), DiarizationResult((), (), 1.0)),
    (CorrectionWork(("a", "b"), "en"), CorrectionResult((None, None))),
    (
        IngestWork((IngestTask("s", audio(0), b"", None, 0.0),)),
        IngestResult((IngestOutcome("s", 16_000, 16_000, b"", (), speaking=False),)),
    ),
)


@pytest.mark.parametrize(("work", "result"), ANSWERS, ids=lambda value: type(value).__name__)
def test_a_wrong_answer_is_none_to_its_job(work: Work, result: Result) -> None:
    """Of another type or of one too few; without the fault the engine's own."""
    job = Job(7, work, 1.0)
    assert not fits(work, Faults("asr", 1, (Fault("wrong", jobs=(7,)),)).spoil(job, result))
    assert Faults("asr", 1, (Fault("wrong", jobs=(8,)),)).spoil(job, result) is result


def in_a_process(kind: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", IN_A_PROCESS, kind]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("kind", ["crash", "crash_load"])
def test_a_crash_ends_the_process_without_a_word(kind: str) -> None:
    """As a signal does."""
    done = in_a_process(kind)
    assert (done.returncode, done.stdout, done.stderr) == (KILLED, "", "")


def test_a_hang_without_the_gil_lets_other_threads_run() -> None:
    """The main thread never comes back; the others do not notice."""
    done = in_a_process("hang")
    assert done.stdout.strip() == "another thread ran"
    assert "_hang" in done.stderr


def test_a_hang_with_the_gil_stops_every_thread() -> None:
    """Nothing in Python runs any more; the stacks still tell where."""
    done = in_a_process("hang_gil")
    assert done.stdout == ""
    assert "_hang_with_gil" in done.stderr
