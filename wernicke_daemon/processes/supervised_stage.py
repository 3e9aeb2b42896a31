"""One replica of a stage kept running: a process that works, started again after every death; perhaps a spare.

    STARTING ──READY──▶ READY ──death──▶ BACKOFF ──▶ STARTING …
        └──────────death──────────────────▶ (FAILED instead of BACKOFF once it died too often; tried slowly)

With a spare that is ready, it stays READY through a death. UNLOADED is entered and left on request alone. Runs on
the event loop's thread; what comes from other threads is handed over before it gets here. An incarnation has an epoch
number, sockets and keys of its own; whatever arrives from an old one is ignored.
"""

import asyncio
import contextlib
import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from ipc.errors import OutOfGpuMemory
from ipc.messages import (
    Cancel,
    Done,
    Failed,
    FromStage,
    GpuMemory,
    Hello,
    Incoming,
    Job,
    Ready,
    StageName,
    Started,
    Unusable,
)
from wernicke_daemon.dispatch.stage_port import REQUIRED, ReplicaStatus, StageListener, State
from wernicke_daemon.processes.ending import Ending
from wernicke_daemon.processes.exit_codes import ended
from wernicke_daemon.processes.incarnation import Incarnation
from wernicke_daemon.processes.launcher import Launcher
from wernicke_daemon.processes.liveness import Overtime
from wernicke_daemon.processes.peer import NotLaunched
from wernicke_daemon.processes.place import Place
from wernicke_daemon.processes.restart_policy import RestartPolicy
from wernicke_daemon.processes.slowness import Slowness

_log = structlog.get_logger()

OUT_OF_USE = (State.UNLOADED, State.STOPPED)
"""No process is started in these."""

SLOW = "slow: it gets less of the CPU than it could use, as the machine is busy"

UNLOADED = "unloaded, as there was no client; loaded again for the next one"

KILLED = -9
"""Stands for the exit code of a process that was killed and does not end."""


class SupervisedStage:
    """Whoever starts it waits for `decided`; `unusable` then says why it can't be used."""

    def __init__(
        self,
        stage: StageName,
        replica: int,
        place: Place,
        policy: RestartPolicy,
        listener: StageListener,
        on_line: Callable[[StageName, int, bytes], None],
        standby: bool = False,
    ) -> None:
        """replica: its number within the stage, from 0. listener: told what the dispatcher has to know. on_line: called
        with stage, replica and each line that a process prints, on a thread of its own. standby: keep a spare."""
        self.stage: StageName = stage  # whose replica it is
        self.replica = replica  # its number within the stage
        self._names = {"stage": stage, "replica": replica}  # in the log
        self._place = place  # where it runs
        self._listener = listener  # told what the dispatcher has to know
        self._standby = standby  # whether a spare is kept
        self._loop = asyncio.get_running_loop()  # what comes from other threads is handed over to it
        # Starts processes.
        self._launcher = Launcher(
            stage,
            replica,
            place.setup,
            place.peers,
            on_exit=partial(self._on_thread, self._exited),
            on_message=partial(self._on_thread, self.received),
            on_line=partial(on_line, stage, replica),
        )

        # When the next process is started after a death. A spare that can't run is no fault of the process that works.
        self._policy = policy
        self._spare_policy = copy.deepcopy(policy)

        self._state = State.STARTING  # as drawn above
        # The process that jobs are sent to, also while it is still loading; None from its end to the next start.
        self._working: Incarnation | None = None
        # A second process, loading or loaded, that takes over when the first ends.
        self._spare: Incarnation | None = None
        # The next start, where one is planned.
        self._restart: asyncio.TimerHandle | None = None
        # Whether it gets less CPU than it could use, and what was told of that.
        self._slowness = Slowness()
        self._slow = False  # as it was told
        # Why `auto` is to choose an engine anew; None again once the process that did has taken over.
        self._choosing: str | None = None

        # What the process that works said of its engine, or the last one that was ready. Restarts load that again.
        self._ready: Ready | None = None
        # How many processes have ended, and why the last of them did.
        self._deaths = 0
        self._why_down: str | None = None

        # Set once the first start has come to an end: an engine is ready, or none can be used, or the stage is optional
        # and died too often, so that the daemon starts without it.
        self.decided = asyncio.Event()
        # Why the first start found no engine; None while it is not decided, where the daemon can start, and once it is
        # ready.
        self.unusable: str | None = None
        # Set once its first process has connected, and so imported most of what it needs, or is none (any more).
        self.connected = asyncio.Event()
        # Set once what was loaded last is ready, or is not to be waited for: it died, or is ended again.
        self.settled = asyncio.Event()
        self._ending = Ending(stage, replica, self._processes)  # ends its processes on request

    # --- what a pool asks of its replicas ---

    def send(self, job: Job) -> None:
        if self._working is not None:
            self._working.send_work(job, self._loop.time())

    def cancel(self, job_id: int) -> None:
        if self._working is not None:
            self._working.send_order(Cancel(job_id))

    def status(self) -> ReplicaStatus:
        working, ready = self._working, self._ready
        return ReplicaStatus(
            state=self._state,
            failed=self._state is not State.READY and self._policy.failed,
            doing=self._doing,
            engine=ready.engine if ready else None,
            model=ready.model if ready else None,
            why=ready.why if ready else None,
            load_ms=ready.load_ms if ready else None,
            pid=working.pid if working else None,
            spare_pid=self._spare.pid if self._spare else None,
            epoch=working.epoch if working else 0,
            deaths=self._deaths,
            why_down=self._why_down,
            rss_mb=working.rss_mb if working else 0.0,
            gpu=GpuMemory.of_all(process.gpu for process in self._processes()),
            device=self._place.setup.device,
            node=ready.node if ready else "",
        )

    @property
    def _doing(self) -> str:
        if self._state is State.UNLOADED:
            return UNLOADED
        if self._working is None:
            return self._why_down or "starting"
        return SLOW if self._slow else self._working.doing

    # --- life cycle ---

    def start(self) -> None:
        """A process that is to work. None other is left by now."""
        if self._state in OUT_OF_USE or self._working is not None:
            return
        self._state = State.STARTING
        self._working = self._launch(self.start, self._policy)
        if self._working is None:
            self._is_down()
        else:
            self._listener.replica_loading(self.stage, self.replica, self._loop.time())

    def choose_again(self, why: str) -> None:
        """Have `auto` choose anew, in a process that takes over once it is loaded; what works goes on until then."""
        if self._choosing is not None:
            return
        self._choosing = why
        if self._state is State.UNLOADED:
            return  # the next load chooses
        if self._spare is None:
            self._start_spare()
        else:
            self._spare.replace(why)

    def _start_spare(self) -> None:
        if self._spare is None and self._state not in OUT_OF_USE:
            self._spare = self._launch(self._start_spare, self._spare_policy)

    def _launch(self, again: Callable[[], None], policy: RestartPolicy) -> Incarnation | None:
        """None where the machine has no room for another process: `again` is called later, as `policy` has it."""
        try:
            return self._launcher.launch(self._ready if self._choosing is None else None, self._loop.time())
        except NotLaunched as error:
            self._why_down = f"its process could not be started ({error})"
            _log.error("stage_not_started", **self._names, epoch=self._launcher.epoch, reason=str(error))
            self.connected.set()
            self._after(policy.died(self._loop.time()), again)
            return None

    def _on_thread(self, told: Callable[[int, Any], None], epoch: int, what: Any) -> None:
        """Called on any thread. At exit the loop may be gone first; then nobody needs to know."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(told, epoch, what)

    def _exited(self, epoch: int, how: int | str) -> None:
        incarnation = self._by_epoch(epoch)
        if incarnation is None:
            return
        incarnation.close()
        self.connected.set()
        if incarnation is self._spare:
            self._spare = None
        else:
            self._working = None
            self._count_last_job()
        if self._state in OUT_OF_USE:
            self._ending.note()
        elif self._working is None:
            self._died(incarnation, how)
        else:
            self._spare_died(incarnation, how)

    def _count_last_job(self) -> None:
        """That it began may not have been heard: what a dying process says last is often lost."""
        job_id = self._place.job_at_death()
        if job_id is not None:
            self._listener.job_started(self.stage, self.replica, job_id)

    def _processes(self) -> list[Incarnation]:
        return [process for process in (self._working, self._spare) if process is not None]

    def _by_epoch(self, epoch: int) -> Incarnation | None:
        return next((process for process in self._processes() if process.epoch == epoch), None)

    def _died(self, incarnation: Incarnation, how: int | str) -> None:
        delay_s = self._note_death(incarnation, how, self._policy)
        if self._spare is not None and self._spare.ready is not None:
            self._promote(delay_s)
        else:
            self._is_down()
            self._after(delay_s, self._start_or_wait)

    def _is_down(self) -> None:
        self._state = State.FAILED if self._policy.failed else State.BACKOFF
        self._give_up_first_start()
        self.settled.set()
        self._listener.replica_down(self.stage, self.replica, self._state is State.FAILED, self._loop.time())

    def _after(self, delay_s: float, start: Callable[[], None]) -> None:
        """Instead of any start that was planned before: two would be two processes that work."""
        if self._restart is not None:
            self._restart.cancel()
        self._restart = self._loop.call_later(delay_s, start)

    def _note_death(self, incarnation: Incarnation, how: int | str, policy: RestartPolicy) -> float:
        """Seconds until the next start."""
        self._deaths += 1
        if incarnation.replaced:
            self._why_down = incarnation.why_ended
            _log.info("stage_replaced", **incarnation.who._asdict(), reason=self._why_down)
            return 0.0
        delay_s = policy.died(self._loop.time())
        self._why_down = incarnation.why_ended or f"its process {ended(how)}; started again in {delay_s:.1f} s"
        _log.warning("stage_died", **incarnation.who._asdict(), exit_code=how, restart_in_s=round(delay_s, 2))
        return delay_s

    def _promote(self, delay_s: float) -> None:
        """The spare works from now on, and another is started in `delay_s` seconds."""
        self._working, self._spare = self._spare, None
        self._is_ready(delay_s)

    def _start_or_wait(self) -> None:
        """A spare that is still loading will be ready before a process that is only started now."""
        if self._spare is None:
            self.start()
        else:
            self._state = State.STARTING
            self._working, self._spare = self._spare, None
            if self._working.ready is not None:
                self._is_ready()
            else:
                self._listener.replica_loading(self.stage, self.replica, self._loop.time())

    def _spare_died(self, incarnation: Incarnation, how: int | str) -> None:
        self._after(self._note_death(incarnation, how, self._spare_policy), self._start_spare)

    def _give_up_first_start(self) -> None:
        """Without an optional stage that keeps crashing the daemon starts all the same; slow tries go on."""
        if self._state is State.FAILED and not self.decided.is_set():
            if self.stage in REQUIRED:
                self.unusable = f"The {self.stage} stage can't be started ({self._doing}); the log says why."
            self.decided.set()

    def check(self, now: float, machine_busy: bool = False) -> None:
        """Replace processes that give no sign of life any more (their stacks are in the log already), and tell where
        one is slow. machine_busy: whether all CPUs are."""
        for incarnation in self._processes():
            cpu_s = incarnation.cpu_s()
            if (reason := incarnation.hangs(now, self._place.progress(), cpu_s)) is not None:
                self._end(incarnation, reason, now)
            elif incarnation is self._working:
                self._tell_overtime(self._slowness.look(now, incarnation.liveness, cpu_s, machine_busy))
        self._tell_slow(self._state is State.READY and self._slowness.slow)

    def _tell_overtime(self, overtime: Overtime | None) -> None:
        if overtime is not None:
            waited_s, cpu_s = round(overtime.waited_s, 1), round(overtime.cpu_s, 1)
            _log.warning("stage_slow", **self._names, doing=overtime.doing, waited_s=waited_s, cpu_s=cpu_s)

    def _tell_slow(self, slow: bool) -> None:
        if slow != self._slow:
            self._slow = slow
            self._listener.replica_slow(self.stage, self.replica, slow)

    def _end(self, incarnation: Incarnation, reason: str, now: float) -> None:
        if incarnation.liveness.killed:  # stuck in a driver: it is left behind, or nothing would ever take its place
            _log.error("stage_not_reaped", **self._names, pid=incarnation.pid)
            incarnation.why_ended = "its process could not be killed"
            self._exited(incarnation.epoch, KILLED)
        else:
            _log.error("stage_hung", **incarnation.who._asdict(), reason=reason)
            incarnation.why_ended = incarnation.why_ended or f"its process {reason}"
            incarnation.kill(now)

    async def unload(self) -> None:
        """End its processes until `load`: nobody needs them. That is no death."""
        self._leave(State.UNLOADED)
        self._listener.replica_unloaded(self.stage, self.replica, self._loop.time())
        await self._ending.end()

    def load(self) -> None:
        """What `unload` has ended is started again, with the engine that was in use."""
        if self._state is not State.UNLOADED:
            return
        self._state = State.STARTING
        self.settled.clear()
        self.start()  # or, where a process was left that can't be killed, once that is given up

    async def stop(self) -> None:
        """End it for good; takes as long as `Ending.end`."""
        self._leave(State.STOPPED)
        await self._ending.end()

    def _leave(self, state: State) -> None:
        self._state = state
        self.settled.set()
        if self._restart is not None:
            self._restart.cancel()

    def pardon(self, seconds: float) -> None:
        """This process slept for so long, not the stage."""
        for incarnation in self._processes():
            incarnation.liveness.pardon(seconds)

    # --- what the processes say ---

    def received(self, epoch: int, message: Incoming | FromStage) -> None:
        incarnation = self._by_epoch(epoch)
        if incarnation is None:
            return
        now = self._loop.time()
        match message:
            case Started(job_id, limit_s):
                incarnation.liveness.job_started(job_id, limit_s, now, incarnation.cpu_s())
                self._listener.job_started(self.stage, self.replica, job_id)
            case Done(job_id) | Failed(job_id):
                incarnation.liveness.job_finished(job_id, now, incarnation.cpu_s())
                if isinstance(message, Failed) and message.code == OutOfGpuMemory.code:
                    incarnation.replace(message.reason)
                self._listener.job_answered(self.stage, self.replica, message, now)
            case _:
                incarnation.heard(message, now)
                self._heard_of_engine(incarnation, message, now)

    def _heard_of_engine(self, incarnation: Incarnation, message: FromStage, now: float) -> None:
        match message:
            case Hello():
                self.connected.set()
            case Ready():
                incarnation.log_ready(spare=incarnation is self._spare)
                if incarnation is self._spare:
                    self._spare_is_ready(incarnation, now)
                elif self._state is State.STARTING:
                    self._is_ready()
            case Unusable(reason):
                _log.error("stage_unusable", **incarnation.who._asdict(), reason=reason)
                if not self.decided.is_set():
                    self.unusable = reason
                    self.decided.set()
                incarnation.kill(now)

    def _spare_is_ready(self, spare: Incarnation, now: float) -> None:
        """It takes over at once from one that is gone, or from one that is to be replaced by another choice."""
        self._spare_policy.ready(now)
        if self._state is State.BACKOFF:
            self._after(0.0, self._start_or_wait)
        elif self._choosing is not None and self._working is not None and not spare.replaced:
            self._working.replace(self._choosing)

    def _is_ready(self, spare_in_s: float = 0.0) -> None:
        assert self._working is not None and self._working.ready is not None
        self._policy.ready(self._loop.time())
        self._ready = self._working.ready
        self._state = State.READY
        self._choosing = self.unusable = None
        self.decided.set()
        self.settled.set()
        self._listener.replica_up(self.stage, self.replica, self._ready.engine, self._ready.live, self._loop.time())
        if self._standby:
            self._after(spare_in_s, self._start_spare)
