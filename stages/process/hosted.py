"""A stage in a process that is not the daemon's child, such as an actor of a Ray cluster: the same steps as there
(`worker.py`), called from outside.

Whoever has the process calls `enter`, and then, in a thread each: `reports`, again and again;
`load`, `do` for one job after another, and `close`; `cancel` at any time. What goes in and comes out are messages of
`ipc.messages` as bytes, and the samples of a job beside it.
"""

import queue
import tempfile
from collections import deque
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
import psutil

from ipc import clock, codec
from ipc.audio_handle import Audio, AudioHandle
from ipc.errors import StaleHandle
from ipc.messages import AsrWork, DiarizationWork, FromStage, GpuMemory, Heartbeat, Init, Job, StageName
from stages import offline
from stages.engine import Engine
from stages.process import logs, scratch
from stages.process.control import MOST_CANCELLED
from stages.process.worker import Worker, stacks_after, start_engine
from stages.testing.faults import Faults

AT_ONCE = 1000
"""Reports of one call. Ray remembers something of each for as long as the call goes on."""

SCRATCH = "wernicke-scratch"
"""Folder for what libraries write by themselves, below the machine's own for temporary files."""


class Hosted:
    """One incarnation of a replica. Not for ingest, a job of which has audio of many sessions."""

    def __init__(self, stage: StageName, replica: int, epoch: int, heartbeat_s: float) -> None:
        """heartbeat_s: between two of them."""
        self._stage: StageName = stage
        self._replica = replica
        self._epoch = epoch
        self._reporting = _Reporting(heartbeat_s)
        self._told = self._reporting.told()
        self._carried = _Carried(self._reporting)
        self._engine: Engine | None = None  # None until it is loaded, and where none can be
        self._worker: Worker | None = None  # the same

    def __repr__(self) -> str:
        """What Ray puts before each line that this process prints."""
        return f"{self._stage}.{self._replica}.{self._epoch}"

    def enter(self) -> str:
        """The process is this stage's from now on, and for good. The version of this package there."""
        offline.confine()
        logs.configure(self._stage, self._replica, self._epoch)
        return version("wernicke-daemon")

    def reports(self) -> Iterator[bytes]:
        """FromStage messages as they come, a heartbeat where none does: so many, then it is to be called again."""
        for _ in range(AT_ONCE):
            yield next(self._told)

    def load(self, init: bytes, limit_s: float) -> None:
        """init: an Init, whose arena counts for nothing. limit_s: after which stacks are written. What comes of it is
        among the reports."""
        settings = msgspec.msgpack.decode(init, type=Init).settings
        if settings.scratch:
            scratch.use(Path(tempfile.gettempdir()) / SCRATCH)
        faults = Faults(self._stage, self._epoch, settings.faults.get(self._stage, ()))
        with stacks_after(limit_s):
            self._engine = start_engine(self._stage, Init("", settings), self._reporting, faults)
        if self._engine is not None:
            self._worker = Worker(
                self._stage,
                self._replica,
                self._engine,
                self._carried,
                self._reporting,
                faults,
                settings.release_after_utterance,
            )

    def do(self, job: bytes, audio: Audio | None) -> bytes:
        """A Job → Done or Failed. audio: its samples, float32 [n], None where it has none. Raises what says that this
        process can't use its GPU any more."""
        assert self._worker is not None
        wanted = codec.decode_job(job)
        self._carried.carry(_handle(wanted), audio)
        answer = codec.encode(self._worker.do(wanted))
        self._worker.rest()
        return answer

    def cancel(self, job_id: int) -> None:
        self._reporting.cancelled.append(job_id)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()


class _Reporting:
    """A worker's Reports, for `told`."""

    def __init__(self, heartbeat_s: float) -> None:
        self.gpu: GpuMemory | None = None
        self.parts = 0  # of jobs done so far
        self.cancelled: deque[int] = deque(maxlen=MOST_CANCELLED)  # ids of jobs that nobody needs any more
        self._heartbeat_s = heartbeat_s
        self._waiting: queue.SimpleQueue[FromStage] = queue.SimpleQueue()  # said, and not told
        self._process = psutil.Process()  # to see its memory

    def report(self, message: FromStage) -> None:
        self._waiting.put(message)

    def was_cancelled(self, job_id: int) -> bool:
        return job_id in self.cancelled

    def told(self) -> Iterator[bytes]:
        beat_at = clock.monotonic()
        while True:
            try:
                yield codec.encode(self._waiting.get(timeout=max(0.0, beat_at - clock.monotonic())))
            except queue.Empty:
                beat_at = clock.monotonic() + self._heartbeat_s
                yield codec.encode(Heartbeat(self._process.memory_info().rss / 1e6, self.gpu, self.parts))


class _Carried:
    """A worker's Source: the samples that came with the job under way."""

    def __init__(self, reporting: _Reporting) -> None:
        self._reporting = reporting  # where progress is counted
        self._handle: AudioHandle | None = None
        self._audio: Audio | None = None

    def carry(self, handle: AudioHandle | None, audio: Audio | None) -> None:
        self._handle, self._audio = handle, audio

    def read(self, handle: AudioHandle) -> Audio:
        """A copy, as the engine may change its samples and others have the same ones."""
        if self._audio is None or handle != self._handle:
            raise StaleHandle("the audio did not come with the job")
        return np.array(self._audio)

    def mark(self, stage: StageName, replica: int, job_id: int) -> None:
        """Whoever sent the job knows."""

    def progressed(self, stage: StageName, replica: int) -> None:
        self._reporting.parts += 1


def _handle(job: Job) -> AudioHandle | None:
    return job.work.audio if isinstance(job.work, AsrWork | DiarizationWork) else None
