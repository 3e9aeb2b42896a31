"""All that the front knows of a stage: jobs go in, events come out, and it says how it is.

Behind a port is a process on this machine (`processes/`). A stage that runs elsewhere, or in several processes, can
stand there as well: what is said of it is said of the stage, not of a process.
"""

from enum import StrEnum
from typing import Protocol

import msgspec

from ipc.messages import Done, Failed, GpuMemory, Job, StageName

OPTIONAL: tuple[StageName, ...] = ("diarization", "correction")
"""Without one of these there are results all the same."""

REQUIRED: tuple[StageName, ...] = ("ingest", "asr")
"""Without one of these nothing that is said is recognised."""


class State(StrEnum):
    """Of a stage. `docs/protocol.md` names the values: they are shown on /health."""

    STARTING = "starting"
    """Its engine is being loaded."""
    READY = "ready"
    """It takes jobs."""
    BACKOFF = "backoff"
    """It died and waits for its next start."""
    FAILED = "failed"
    """It died too often; starts go on, but rarely."""
    UNLOADED = "unloaded"
    """Its processes were ended, as there was no client; the next one has it started again."""
    STOPPED = "stopped"
    """The daemon ends it, for good."""


class StageStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of a stage. What is of several processes is summed up."""

    state: State  # whether it takes jobs, and if not, why
    failed: bool  # down, and died too often to be expected back soon, also while a rare start is under way
    doing: str  # what it does, in words
    engine: str | None  # that runs, or ran last; None before the first was ready
    model: str | None  # its model, as results name it
    why: str | None  # how it came to be chosen
    load_ms: float | None  # milliseconds that loading took
    pid: int | None  # of the process that works (the first of several); None where there is none on this machine
    spare_pid: int | None  # of a loaded process that takes over when that one dies; None where there is none
    epoch: int  # number of the process that works, from 1 with spares; 0 while there is none
    deaths: int  # how many of its processes ended, those replaced on purpose included
    why_down: str | None  # of the last of them; None before the first
    rss_mb: float  # megabytes of memory
    gpu: GpuMemory | None  # graphics memory, spares included; None where it uses none

    @property
    def gpu_mib(self) -> int | None:
        """What the driver counts for its processes, or where it does not say (Windows), what PyTorch has reserved."""
        if self.gpu is None:
            return None
        return self.gpu.process if self.gpu.process is not None else self.gpu.reserved

    @property
    def ready(self) -> bool:
        return self.state is State.READY


class StagePort(Protocol):
    """Where jobs go in, between `stage_up` and `stage_down` only, and where the stage says how it is, at any time."""

    def send(self, job: Job) -> None: ...

    def cancel(self, job_id: int) -> None:
        """The job need not be started any more, or gone on with; it is answered all the same."""

    def status(self) -> StageStatus: ...


class StageListener(Protocol):
    """What comes out, on the event loop's thread, in the order in which it happened.

    now: seconds of the front's monotonic clock."""

    def stage_up(self, stage: StageName, engine: str, live: bool, now: float) -> None:
        """A fresh process is ready with that engine, which takes live jobs or not; it knows of no job. Without a
        `stage_down` before it where it took over at once from one that is gone."""

    def stage_down(self, stage: StageName, failed: bool, now: float) -> None:
        """The process is gone and its jobs with it. failed: it is not expected back soon."""

    def stage_loading(self, stage: StageName, now: float) -> None:
        """After `stage_down` or `stage_unloaded`: a fresh process loads its engine. Either of the two above
        comes next."""

    def stage_unloaded(self, stage: StageName, now: float) -> None:
        """Its process is ended on purpose, as nobody needs it; `stage_loading` comes next."""

    def stage_slow(self, stage: StageName, slow: bool) -> None:
        """It takes jobs, and gets less of the CPU than it could use, or does so no more."""

    def job_started(self, stage: StageName, job_id: int) -> None: ...

    def job_answered(self, stage: StageName, answer: Done | Failed, now: float) -> None: ...
