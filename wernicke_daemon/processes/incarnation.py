"""One process of a stage, from its start to its end: its sockets, keys, signs of life, and what it said of itself."""

import os
from collections.abc import Callable, Sequence
from functools import reduce

import msgspec
import structlog
from msgspec.structs import replace

from ipc import channels
from ipc.channels import Boot
from ipc.messages import (
    FromStage,
    GpuMemory,
    Heartbeat,
    Hello,
    Init,
    Job,
    Loading,
    Message,
    Ready,
    StageName,
    Stop,
    Unusable,
)
from ipc.settings import StageSettings
from wernicke_daemon.processes import process_tree, threads
from wernicke_daemon.processes.child import Child
from wernicke_daemon.processes.links import Links
from wernicke_daemon.processes.liveness import Limits, Liveness

_log = structlog.get_logger()


class StageSetup(msgspec.Struct, frozen=True):
    """What every incarnation of every stage is started with. arena: geometry for ArenaReader. why: its engine was
    chosen, where that was by an earlier incarnation."""

    arena: str
    settings: StageSettings
    limits: Limits
    heartbeat_s: float
    why: str | None = None

    def pinned(self, stage: StageName, before: Ready | None) -> "StageSetup":
        """For a restart: the engine that `auto` chose once, or a moment's trouble would mean a worse one for good."""
        if before is None or stage == "ingest" or stage in self.settings.sleep_ms:
            return self
        return replace(self, settings=_pinned(self.settings, stage, before.engine), why=before.why)


def _pinned(settings: StageSettings, stage: StageName, engine: str) -> StageSettings:
    match stage:
        case "asr":
            return replace(settings, asr=replace(settings.asr, engine=engine))
        case "diarization":
            return replace(settings, diarization=replace(settings.diarization, engine=engine))
        case "correction":
            return replace(settings, correction=replace(settings.correction, engine=engine))
    return settings


SLOW_START_S = 10.0
"""From when on a process that has not said hello is told to be slow. A quick one takes a second."""


def _slow_start(seconds: float) -> str:
    """In steps: it is told anew whenever it changes."""
    told_s = seconds - seconds % SLOW_START_S
    return f"still starting, {told_s:.0f} s; the machine is busy, or a virus scanner reads its files"


class Incarnation:
    """Started by making one."""

    def __init__(
        self,
        stage: StageName,
        epoch: int,
        setup: StageSetup,
        links: Links,
        on_exit: Callable[[int], None],
        on_line: Callable[[bytes], None],
        now: float,
    ) -> None:
        """epoch: its number. on_exit, on_line: as of Child.start, on its threads. now: seconds of the monotonic clock
        that all times here are of. Raises OSError and ZMQError."""
        self.stage: StageName = stage  # whose process it is
        self.epoch = epoch  # its number
        # What it said of its engine; None while it is loading.
        self.ready: Ready | None = None
        # What keeps it from going on: what it said itself, or why its end was asked for.
        self.why_ended: str | None = None
        # Its end was asked for, and is no sign that the next one will die too.
        self.replaced = False
        # What it does, in words.
        self.doing = "starting"
        # Since when it starts; None once it has said hello.
        self._starting_since: float | None = now
        # Its memory, as its last heartbeat had it: megabytes, and what it holds on the graphics card.
        self.rss_mb = 0.0
        self.gpu: GpuMemory | None = None
        # Whether it is alive, judged from what it says and when.
        self.liveness = Liveness(setup.limits, now)
        self._setup = setup  # what every process is told, and its limits
        # Its sockets, and the key pair that they let in.
        self._links = links
        self._keys = channels.new_keys()  # of this process alone
        boot = msgspec.msgpack.encode(self._boot())
        variables = threads.variables(threads.shares(setup.settings, threads.cores())[stage])
        self._child = Child.start(["-m", "stages.process.runner", stage], boot, on_exit, on_line, variables)

    @property
    def pid(self) -> int:
        return self._child.pid

    def _boot(self) -> Boot:
        at = self._links.open((self.stage, self.epoch), self._keys)
        return Boot(
            stage=self.stage,
            epoch=self.epoch,
            parent_pid=os.getpid(),
            parent_fd=process_tree.parent_pipe(),
            work=at.work,
            results=at.results,
            orders=at.orders,
            reports=at.reports,
            server_key=self._links.server_key,
            keys=self._keys,
            heartbeat_s=self._setup.heartbeat_s,
            load_limit_s=self._setup.limits.load_s,
        )

    def send_work(self, job: Job, now: float) -> None:
        self.liveness.job_sent(job.job_id, now, self.cpu_s())
        self._links.send_work((self.stage, self.epoch), job)

    def send_order(self, message: Message) -> None:
        self._links.send_order((self.stage, self.epoch), message)

    def ask_to_stop(self) -> None:
        self.send_order(Stop())

    def replace(self, why: str) -> None:
        """It takes no more jobs and waits for its end; another takes its place."""
        self.why_ended = why
        self.replaced = True
        self.ask_to_stop()

    def cpu_s(self) -> float | None:
        return self._child.cpu_s()

    def hangs(self, now: float, progress: int, cpu_s: float | None) -> str | None:
        """Why it must be replaced, or None. progress: parts of jobs that it has done. cpu_s: that it has used."""
        if self._starting_since is not None and now - self._starting_since >= SLOW_START_S:
            self.doing = _slow_start(now - self._starting_since)
        self.liveness.progress(progress, now, cpu_s)
        return self.liveness.verdict(now, cpu_s)

    def kill(self, now: float) -> None:
        self.liveness.kill(now)
        self._child.kill()

    def log_ready(self, spare: bool) -> None:
        """spare: it waits to take another's place."""
        assert self.ready is not None
        _log.info(
            "stage_ready",
            stage=self.stage,
            epoch=self.epoch,
            pid=self.pid,
            spare=spare,
            engine=self.ready.engine,
            model=self.ready.model,
            why=self.ready.why,
            load_ms=round(self.ready.load_ms),
        )

    def close(self) -> None:
        """After its end: no message of it will be heard any more."""
        self._links.close((self.stage, self.epoch))
        if self._child.dropped_lines:
            _log.warning("stage_lines_dropped", stage=self.stage, epoch=self.epoch, lines=self._child.dropped_lines)

    def heard(self, message: FromStage, now: float) -> None:
        """Something that it says of itself."""
        match message:
            case Hello():
                self.liveness.hello(now, self.cpu_s())
                self._starting_since = None
                self.send_order(Init(self._setup.arena, self._setup.settings))
            case Loading(doing):
                self.doing = doing
            case Heartbeat(rss_mb, gpu):
                self.liveness.heartbeat(now, self.cpu_s())
                self.rss_mb = rss_mb
                self.gpu = gpu
            case Ready():
                self.liveness.ready(now, self.cpu_s())
                self.ready = replace(message, why=self._setup.why or message.why)
                self.gpu = message.gpu
                self.doing = "ready"
            case Unusable(reason):
                self.why_ended = reason
                self.doing = reason


def gpu_held(processes: Sequence[Incarnation]) -> GpuMemory | None:
    """Graphics memory of all of them, None where they use none."""
    held = [process.gpu for process in processes if process.gpu is not None]
    return reduce(GpuMemory.together, held) if held else None
