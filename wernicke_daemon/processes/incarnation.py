"""One process of a stage, from its start to its end: its signs of life, and what it said of itself."""

import structlog
from msgspec.structs import replace

from ipc.messages import FromStage, GpuMemory, Heartbeat, Hello, Init, Job, Loading, Ready, Stop, ToStage, Unusable
from wernicke_daemon.processes.liveness import Liveness
from wernicke_daemon.processes.peer import Events, Identity, Peers
from wernicke_daemon.processes.stage_setup import StageSetup

_log = structlog.get_logger()


SLOW_START_S = 10.0
"""From when on a process that has not said hello is told to be slow. A quick one takes a second."""


def _slow_start(seconds: float) -> str:
    """In steps: it is told anew whenever it changes."""
    told_s = seconds - seconds % SLOW_START_S
    return f"still starting, {told_s:.0f} s; the machine is busy, or a virus scanner reads its files"


class Incarnation:
    """Started by making one."""

    def __init__(self, who: Identity, setup: StageSetup, peers: Peers, events: Events, now: float) -> None:
        """events: of its process. now: seconds of the monotonic clock that all times here are of. Raises
        NotLaunched."""
        self.who = who
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
        self._peer = peers.start(who, setup, events)  # the process itself

    @property
    def epoch(self) -> int:
        return self.who.epoch

    @property
    def pid(self) -> int | None:
        """None where it runs elsewhere."""
        return self._peer.pid

    def send_work(self, job: Job, now: float) -> None:
        self.liveness.job_sent(job.job_id, now, self.cpu_s())
        self._peer.send_work(job)

    def send_order(self, order: ToStage) -> None:
        self._peer.send_order(order)

    def ask_to_stop(self) -> None:
        self.send_order(Stop())

    def replace(self, why: str) -> None:
        """It takes no more jobs and waits for its end; another takes its place."""
        self.why_ended = why
        self.replaced = True
        self.ask_to_stop()

    def cpu_s(self) -> float | None:
        return self._peer.cpu_s()

    def hangs(self, now: float, progress: int, cpu_s: float | None) -> str | None:
        """Why it must be replaced, or None. progress: parts of jobs that it has done. cpu_s: that it has used."""
        if self._starting_since is not None and now - self._starting_since >= SLOW_START_S:
            self.doing = _slow_start(now - self._starting_since)
        self.liveness.progress(progress, now, cpu_s)
        return self.liveness.verdict(now, cpu_s)

    def kill(self, now: float) -> None:
        self.liveness.kill(now)
        self._peer.kill()

    def log_ready(self, spare: bool) -> None:
        """spare: it waits to take another's place."""
        assert self.ready is not None
        _log.info(
            "stage_ready",
            **self.who._asdict(),
            pid=self.pid,
            spare=spare,
            engine=self.ready.engine,
            model=self.ready.model,
            why=self.ready.why,
            load_ms=round(self.ready.load_ms),
        )

    def close(self) -> None:
        """After its end: no message of it will be heard any more."""
        self._peer.close()

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
