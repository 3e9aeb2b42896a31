"""One stage process kept running: start → HELLO → INIT → READY, and again after every death.

    STARTING ──READY──▶ READY ──death──▶ BACKOFF ──▶ STARTING …
        └──────────death──────────────────▶ (FAILED instead of BACKOFF once it died too often; tried slowly)

Runs on the event loop's thread; what comes from other threads is handed over before it gets here. An incarnation has
an epoch number and sockets and keys of its own; whatever arrives from an old one is ignored.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from enum import StrEnum

import msgspec
import structlog

from ipc import channels
from ipc.channels import Boot, KeyPair
from ipc.messages import (
    Cancel,
    Done,
    DumpStacks,
    Failed,
    FromStage,
    Heartbeat,
    Hello,
    Incoming,
    Init,
    Job,
    Loading,
    Ready,
    StageName,
    Started,
    Stop,
    Unusable,
)
from ipc.settings import StageSettings
from wernicke_daemon import process_tree
from wernicke_daemon.child import Child
from wernicke_daemon.links import Links
from wernicke_daemon.liveness import Limits, Liveness
from wernicke_daemon.restart_policy import RestartPolicy
from wernicke_daemon.stage_port import StageListener

_log = structlog.get_logger()


class State(StrEnum):
    STARTING = "starting"
    READY = "ready"
    BACKOFF = "backoff"
    FAILED = "failed"
    STOPPED = "stopped"


class StageSetup(msgspec.Struct, frozen=True):
    """What every incarnation of every stage is started with. arena: geometry for ArenaReader."""

    arena: str
    settings: StageSettings
    limits: Limits
    heartbeat_s: float


class SupervisedStage:
    """A StagePort. `unusable`: why no engine could be started, from the last start that failed so."""

    def __init__(
        self,
        stage: StageName,
        setup: StageSetup,
        links: Links,
        policy: RestartPolicy,
        listener: StageListener,
        on_line: Callable[[StageName, bytes], None],
    ) -> None:
        self.stage = stage
        self.state = State.STARTING
        self.epoch = 0
        self.ready: Ready | None = None
        self.unusable: str | None = None
        self.doing = "starting"
        self.rss_mb = 0.0
        self.decided = asyncio.Event()
        self._setup = setup
        self._links = links
        self._policy = policy
        self._listener = listener
        self._on_line = on_line
        self._loop = asyncio.get_running_loop()
        self._keys = KeyPair(b"", b"")
        self._child: Child | None = None
        self._liveness: Liveness | None = None
        self._restart: asyncio.TimerHandle | None = None
        self._gone = asyncio.Event()
        self._audio_s: dict[int, float] = {}

    # --- what the dispatcher uses ---

    def send(self, job: Job, audio_s: float) -> None:
        self._audio_s[job.job_id] = audio_s
        self._links.send_work(self._link, job)

    def cancel(self, job_id: int) -> None:
        self._links.send_order(self._link, Cancel(job_id))

    # --- life cycle ---

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def restarts(self) -> int:
        return max(0, self.epoch - 1)

    @property
    def failed(self) -> bool:
        """Down, and died too often to be expected back soon."""
        return self.state is not State.READY and self._policy.failed

    @property
    def _link(self) -> tuple[str, int]:
        return self.stage, self.epoch

    def start(self) -> None:
        """A new incarnation. The old one is reaped by now."""
        self.epoch += 1
        self.state = State.STARTING
        self.doing = "starting"
        self._audio_s.clear()
        self._keys = channels.new_keys()
        self._liveness = Liveness(self._setup.limits, time.monotonic())
        boot = msgspec.msgpack.encode(self._boot())
        epoch = self.epoch
        self._child = Child.start(
            ["-m", "stages.runner", self.stage],
            boot,
            on_exit=lambda code: self._hand_over(self._exited, epoch, code),
            on_line=lambda line: self._on_line(self.stage, line),
        )

    def _boot(self) -> Boot:
        at = self._links.open(self._link, self._keys)
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
        )

    def _hand_over(self, handler: Callable[[int, int], None], epoch: int, code: int) -> None:
        """Called on the child's waiter thread. At exit the loop may be gone first; then nobody needs to know."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(handler, epoch, code)

    def _exited(self, epoch: int, code: int) -> None:
        if epoch != self.epoch:
            return
        self._links.close(self._link, self._keys)
        if self._child is not None and self._child.dropped_lines:
            _log.warning("stage_lines_dropped", stage=self.stage, epoch=epoch, lines=self._child.dropped_lines)
        self._child = None
        self._liveness = None
        if self.state is State.STOPPED:
            self._gone.set()
            return
        self._died(code)

    def _died(self, code: int) -> None:
        delay = self._policy.died(time.monotonic())
        self.state = State.FAILED if self._policy.failed else State.BACKOFF
        self.doing = self.unusable or f"its process ended with {code}; starts again in {delay:.1f} s"
        _log.warning("stage_died", stage=self.stage, epoch=self.epoch, exit_code=code, restart_in_s=round(delay, 2))
        if self.state is State.FAILED and not self.decided.is_set():
            self.unusable = f"The {self.stage} stage can't be started ({self.doing}); the log says why."
            self.decided.set()
        self._restart = self._loop.call_later(delay, self.start)
        self._listener.stage_down(self.stage, self.state is State.FAILED)

    def check(self, now: float) -> None:
        """Replace a process that gives no sign of life any more: its stacks into the log, then the end of it."""
        reason = self._liveness.verdict(now) if self._liveness else None
        if reason is None or self._child is None:
            return
        _log.error("stage_hung", stage=self.stage, epoch=self.epoch, reason=reason)
        self._liveness = None
        self._links.send_order(self._link, DumpStacks())
        self._loop.call_later(0.5, self._child.kill)

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()

    async def stop(self, patience_s: float) -> None:
        """End it for good: asked to first, killed after `patience_s` seconds."""
        self.state = State.STOPPED
        if self._restart is not None:
            self._restart.cancel()
        if self._child is None:
            return
        self._links.send_order(self._link, Stop())
        try:
            await asyncio.wait_for(self._gone.wait(), patience_s)
        except TimeoutError:
            _log.warning("stage_killed_at_stop", stage=self.stage, epoch=self.epoch)
            self._child.kill()
            await self._gone.wait()

    # --- what the process says ---

    def received(self, epoch: int, message: Incoming | FromStage) -> None:
        if epoch != self.epoch or self._liveness is None:
            return
        now = time.monotonic()
        match message:
            case Hello():
                self._liveness.hello(now)
                self._links.send_order(self._link, Init(self._setup.arena, self._setup.settings))
            case Loading(doing):
                self.doing = doing
            case Heartbeat(rss_mb=rss_mb):
                self._liveness.heartbeat(now)
                self.rss_mb = rss_mb
            case Ready():
                self._is_ready(message, now)
            case Unusable(reason):
                self._is_unusable(reason)
            case Started(job_id):
                self._liveness.job_started(job_id, self._audio_s.get(job_id, 0.0), now)
                self._listener.job_started(self.stage, job_id)
            case Done(job_id) | Failed(job_id):
                self._answered(job_id, message)

    def _answered(self, job_id: int, message: Done | Failed) -> None:
        if self._liveness is not None:
            self._liveness.job_finished(job_id)
        self._audio_s.pop(job_id, None)
        self._listener.job_answered(self.stage, message)

    def _is_ready(self, ready: Ready, now: float) -> None:
        if self._liveness is not None:
            self._liveness.ready(now)
        self._policy.ready(now)
        self.ready = ready
        self.unusable = None
        self.doing = "ready"
        if self.state is State.STOPPED:
            return
        self.state = State.READY
        _log.info(
            "stage_ready",
            stage=self.stage,
            epoch=self.epoch,
            pid=self.pid,
            engine=ready.engine,
            model=ready.model,
            why=ready.why,
            load_ms=round(ready.load_ms),
        )
        self.decided.set()
        self._listener.stage_up(self.stage, ready.engine)

    def _is_unusable(self, reason: str) -> None:
        _log.error("stage_unusable", stage=self.stage, epoch=self.epoch, reason=reason)
        self.unusable = reason
        self.decided.set()
        self.kill()
