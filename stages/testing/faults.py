"""What goes wrong in a stage on purpose: the same thing at the same job every time, for tests of what comes after.

The faults themselves are described in `ipc.settings.Fault`; nothing here is reachable from config.toml.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable

from ipc.audio_handle import AudioHandle
from ipc.errors import EngineUnavailable
from ipc.messages import (
    AsrResult,
    AsrWork,
    CorrectionResult,
    CorrectionWork,
    DiarizationResult,
    DiarizationWork,
    IngestResult,
    IngestWork,
    Job,
    Result,
    StageName,
    Work,
)
from ipc.settings import Fault, FaultKind
from ipc.win32 import INFINITE

CRASHED = 3
"""Exit status of a crash on Windows, where no signal can kill; the C runtime's abort() ends with it too."""

LONG_S = 3600
"""Waits are repeated, so that a signal does not end one that is for ever."""


class Faults:
    """The faults of one incarnation: those that are not over by its epoch (see `Fault.times`)."""

    def __init__(self, stage: StageName, epoch: int, faults: tuple[Fault, ...]) -> None:
        self._stage = stage
        self._faults = [fault for fault in faults if fault.times == 0 or epoch <= fault.times]

    def at_load(self) -> None:
        """Called before an engine is loaded. Raises EngineUnavailable; may not return at all."""
        kinds = {fault.kind for fault in self._faults}
        if "crash_load" in kinds:
            _crash()
        for fault in self._faults:
            if fault.kind == "turn_load":
                _turn(fault.seconds)
        if "fail_load" in kinds:
            raise EngineUnavailable(f"{self._stage} fails to load on purpose; take `fail_load` out of its faults")

    def strike(self, job: Job) -> None:
        """Called when the job has been said to have started. Raises RuntimeError; may not return at all."""
        for fault in self._faults:
            if fault.kind in _STRIKES and _is_meant(fault, job):
                _STRIKES[fault.kind](fault)

    def spoil(self, job: Job, result: Result) -> Result:
        """The engine's result, or a wrong one in its place."""
        wrong = any(fault.kind == "wrong" and _is_meant(fault, job) for fault in self._faults)
        return _wrong(result) if wrong else result


def _is_meant(fault: Fault, job: Job) -> bool:
    if not fault.jobs and not fault.starts:
        return True
    return job.job_id in fault.jobs or any(audio.start in fault.starts for audio in _audio(job.work))


def _audio(work: Work) -> tuple[AudioHandle, ...]:
    match work:
        case AsrWork(audio=audio) | DiarizationWork(audio=audio):
            return (audio,)
        case IngestWork(tasks):
            return tuple(task.audio for task in tasks)
        case CorrectionWork():
            return ()


def _wrong(result: Result) -> Result:
    """An answer to another stage's question, or to one question too few."""
    match result:
        case AsrResult():
            return DiarizationResult((), (), 1.0)
        case DiarizationResult():
            return CorrectionResult(())
        case CorrectionResult(texts):
            return CorrectionResult(texts[1:])
        case IngestResult(outcomes):
            return IngestResult(outcomes[1:])


def _crash() -> None:
    """Ends the process as a crash in native code does: at once, without a word."""
    if sys.platform == "win32":
        os._exit(CRASHED)
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def _hang() -> None:
    """As C code does that is stuck without the GIL: other threads run on."""
    while True:
        time.sleep(LONG_S)


def _hang_with_gil() -> None:
    """As C code does that is stuck with the GIL: no thread runs Python any more. A PyDLL does not release it."""
    if sys.platform == "win32":
        ctypes.PyDLL("kernel32").Sleep(INFINITE)
    else:
        program = ctypes.PyDLL(None)
        while True:
            program.sleep(LONG_S)


def _turn(seconds: float) -> None:
    """Uses so much CPU, however long it takes to get it."""
    until = time.process_time() + (seconds or float("inf"))
    while time.process_time() < until:
        pass


def _raise(message: str) -> None:
    raise RuntimeError(message)


_STRIKES: dict[FaultKind, Callable[[Fault], None]] = {
    "crash": lambda fault: _crash(),
    "hang": lambda fault: _hang(),
    "hang_gil": lambda fault: _hang_with_gil(),
    "slow": lambda fault: time.sleep(fault.seconds),
    "turn": lambda fault: _turn(fault.seconds),
    "out_of_memory": lambda fault: _raise("CUDA out of memory"),
    "raise": lambda fault: _raise("raised on purpose"),
}
