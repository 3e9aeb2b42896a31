"""All that the front knows of a stage: jobs go in, events come out, and it says how it is.

A stage is one or more *replicas* that do the same work, numbered from 0. Behind each is a process on this machine
(`processes/`). Replicas that run elsewhere can stand there as well.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from ipc.messages import Done, Failed, GpuMemory, Job, StageName

OPTIONAL: tuple[StageName, ...] = ("diarization", "correction")
"""Without one of these there are results all the same."""

REQUIRED: tuple[StageName, ...] = ("ingest", "asr")
"""Without one of these nothing that is said is recognised."""


class State(StrEnum):
    """Of a replica, and of a stage. `docs/protocol.md` names the values: they are shown on /health."""

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


BEST_FIRST = (State.READY, State.STARTING, State.UNLOADED, State.BACKOFF, State.FAILED, State.STOPPED)
"""A stage is in the state of the replica that comes first here (`standing.py` has the same order)."""


class ReplicaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of a replica."""

    state: State  # whether it takes jobs, and if not, why
    failed: bool  # down, and died too often to be expected back soon, also while a rare start is under way
    doing: str  # what it does, in words
    engine: str | None  # that runs, or ran last; None before the first was ready
    model: str | None  # its model, as results name it
    why: str | None  # how it came to be chosen
    load_ms: float | None  # milliseconds that loading took
    pid: int | None  # of the process that works; None where there is none on this machine
    spare_pid: int | None  # of a loaded process that takes over when that one dies; None where there is none
    epoch: int  # number of the process that works, from 1 with spares; 0 while there is none
    deaths: int  # how many of its processes ended, those replaced on purpose included
    why_down: str | None  # of the last of them; None before the first
    rss_mb: float  # megabytes of memory
    gpu: GpuMemory | None  # graphics memory, spares included; None where it uses none
    device: str = ""  # where its models are to run, as config.toml has it; "" where that is not its own to say
    node: str = ""  # the machine that it runs on; "" for this one

    @property
    def gpu_mib(self) -> int | None:
        """What the driver counts for its processes, or where it does not say (Windows), what PyTorch has reserved."""
        if self.gpu is None:
            return None
        return self.gpu.process if self.gpu.process is not None else self.gpu.reserved

    @property
    def ready(self) -> bool:
        return self.state is State.READY


class StageStatus(ReplicaStatus, frozen=True, kw_only=True):
    """One moment of a stage: what is of several replicas is summed up; what only one can say, the first that is in the
    best state does."""

    replicas: tuple[ReplicaStatus, ...]  # by number

    @classmethod
    def of(cls, replicas: Sequence[ReplicaStatus]) -> "StageStatus":
        """replicas: all of them, at least one."""
        best = min(replicas, key=lambda replica: BEST_FIRST.index(replica.state))
        spokesman = msgspec.structs.asdict(best)
        spokesman |= {
            "failed": all(replica.failed for replica in replicas),
            "deaths": sum(replica.deaths for replica in replicas),
            "why_down": best.why_down or next((replica.why_down for replica in replicas if replica.why_down), None),
            "rss_mb": sum(replica.rss_mb for replica in replicas),
            "gpu": GpuMemory.of_all(replica.gpu for replica in replicas),
        }
        return cls(**spokesman, replicas=tuple(replicas))


class StagePort(Protocol):
    """Where jobs go in, each to a replica between its `replica_up` and `replica_down` only, and where the stage says
    how it is, at any time."""

    def send(self, job: Job, replica: int) -> None: ...

    def cancel(self, job_id: int, replica: int) -> None:
        """The job that this replica has need not be started any more, or gone on with; it is answered all the same."""

    def status(self) -> StageStatus: ...


class StageListener(Protocol):
    """What comes out, on the event loop's thread, of each replica in the order in which it happened.

    replica: its number. now: seconds of the front's monotonic clock."""

    def replica_up(self, stage: StageName, replica: int, engine: str, live: bool, now: float) -> None:
        """A fresh process is ready with that engine, which takes live jobs or not; it knows of no job. Without a
        `replica_down` before it where it took over at once from one that is gone."""

    def replica_down(self, stage: StageName, replica: int, failed: bool, now: float) -> None:
        """The process is gone and its jobs with it. failed: it is not expected back soon."""

    def replica_loading(self, stage: StageName, replica: int, now: float) -> None:
        """At first, or after `replica_down` or `replica_unloaded`: a fresh process loads its engine. Either of the two
        above comes next."""

    def replica_unloaded(self, stage: StageName, replica: int, now: float) -> None:
        """Its process is ended on purpose, as nobody needs it; `replica_loading` comes next."""

    def replica_slow(self, stage: StageName, replica: int, slow: bool) -> None:
        """It takes jobs, and gets less of the CPU than it could use, or does so no more."""

    def job_started(self, stage: StageName, replica: int, job_id: int) -> None: ...

    def job_answered(self, stage: StageName, replica: int, answer: Done | Failed, now: float) -> None: ...
