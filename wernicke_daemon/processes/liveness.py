"""Is a stage alive? Pure: heartbeats and events go in with their times, a verdict comes out.

A heartbeat alone proves nothing (its thread stops while C code holds the GIL, and goes on while C code is stuck
without it), so every phase has a limit of its own: connecting, loading, each job by its length of audio, beginning it.
Heartbeats are only asked of a stage that is idle: recognition may hold the GIL for as long as its job may take.

All limits are on the work clock: a process that gets no CPU, or makes progress, has more time, up to MOST_TIMES.
"""

import msgspec

from wernicke_daemon.processes.work_clock import WorkClock


class Limits(msgspec.Struct, frozen=True):
    """Seconds: to connect, to load, between heartbeats of an idle stage (and for it to begin a job)."""

    hello_s: float
    load_s: float
    silence_s: float


STACKS_S = 1.0
"""A stage writes its stacks at its limit, by itself; its end comes that much later."""

MOST_TIMES = 10.0
"""A limit by the wall clock, whatever a process does: one that gets less than a tenth of a CPU is of no use to anybody,
and one that reports progress for ever turns."""

REAP_S = 10.0
"""For a killed process to be gone. The system takes its memory back first, on the graphics card too."""


class _Wait:
    """For something that has a limit. doing: what the process is at. failed: what is said of it if it takes longer."""

    def __init__(self, limit_s: float, doing: str, failed: str, now: float, cpu_s: float | None) -> None:
        self.limit_s = limit_s
        self.doing = doing
        self.failed = failed
        self.clock = WorkClock(now, cpu_s)
        self._cpu_at_first = cpu_s

    def is_over(self, now: float, cpu_s: float | None) -> bool:
        return self.clock.read(now, cpu_s) > self.limit_s or now - self.clock.began > MOST_TIMES * self.limit_s

    def overtime(self, now: float, cpu_s: float | None) -> "Overtime | None":
        """What is to be told of it once it takes longer than its limit by the wall clock."""
        waited = now - self.clock.began
        if waited <= self.limit_s or cpu_s is None or self._cpu_at_first is None:
            return None
        return Overtime(self.doing, waited, cpu_s - self._cpu_at_first)


class Overtime(msgspec.Struct, frozen=True):
    """A process over its limit that is let go on. waited_s, cpu_s: since it began what it is doing: by the wall clock,
    and in CPU."""

    doing: str
    waited_s: float
    cpu_s: float


class Liveness:
    """One incarnation, from its start. Times: seconds of one monotonic clock of the front. cpu_s: CPU seconds of the
    process by then, None where they can't be had."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits  # how long each phase may take
        # What it is at (connecting, loading, a job); None while it is idle.
        self._phase: _Wait | None = _Wait(limits.hello_s, "starting", "did not say hello", now, 0.0)
        # For its next heartbeat or answer; None before it is ready. When that began.
        self._silence: WorkClock | None = None
        # The job that it said it had started and has not answered.
        self._job: int | None = None
        # Jobs that it was sent and has not answered, and the wait for it to begin the next of them.
        self._unanswered: set[int] = set()
        self._free = WorkClock(now, 0.0)
        # When it was killed.
        self._killed: float | None = None
        # Jobs whose end was heard before their start, oldest first.
        self._finished_early: list[int] = []
        # How far it has come with its job, as it last said.
        self._progress = 0

    def hello(self, now: float, cpu_s: float | None = None) -> None:
        limit_s = self._limits.load_s + STACKS_S
        self._phase = _Wait(limit_s, "loading", "did not finish loading", now, cpu_s)

    def heartbeat(self, now: float, cpu_s: float | None = None) -> None:
        if self._silence is not None:
            self._silence = WorkClock(now, cpu_s)

    def ready(self, now: float, cpu_s: float | None = None) -> None:
        """From here on heartbeats are missed; before, an import may hold the GIL for long."""
        self._silence = WorkClock(now, cpu_s)
        self._phase = None

    def job_sent(self, job_id: int, now: float, cpu_s: float | None = None) -> None:
        if not self._unanswered:
            self._free = WorkClock(now, cpu_s)
        self._unanswered.add(job_id)

    def job_started(self, job_id: int, limit_s: float, now: float, cpu_s: float | None = None) -> None:
        """Starts and ends come each in order, but on sockets of their own: a short job's end may overtake its start."""
        if job_id in self._finished_early:
            del self._finished_early[: self._finished_early.index(job_id) + 1]
            return
        self._finished_early.clear()
        self._job = job_id
        failed = f"worked on job {job_id} for more than {limit_s:.0f} s"
        self._phase = _Wait(limit_s + STACKS_S, f"at job {job_id}", failed, now, cpu_s)

    def job_finished(self, job_id: int, now: float, cpu_s: float | None = None) -> None:
        self._silence, self._free = WorkClock(now, cpu_s), WorkClock(now, cpu_s)
        self._unanswered.discard(job_id)
        if job_id == self._job:
            self._job = None
            self._phase = None
        else:
            self._finished_early.append(job_id)

    def progress(self, count: int, now: float, cpu_s: float | None = None) -> None:
        """How many parts of its jobs it has done so far: each gives the job its limit anew."""
        if count != self._progress and self._job is not None and self._phase is not None:
            self._phase.clock.restart(now, cpu_s)
        self._progress = count

    def kill(self, now: float) -> None:
        """From here on only its end counts."""
        if self._killed is None:
            self._killed = now

    @property
    def killed(self) -> bool:
        return self._killed is not None

    @property
    def idle(self) -> bool:
        """READY, and at no job that it said it had started: it hears an order."""
        return self._phase is None

    @property
    def at_job(self) -> bool:
        return self._job is not None

    def pardon(self, seconds: float) -> None:
        """So long nobody here could hear anything: the machine slept, or this process was held up."""
        phase = self._phase.clock if self._phase is not None else None
        for clock in (phase, self._silence, self._free):
            if clock is not None:
                clock.pardon(seconds)
        if self._killed is not None:
            self._killed += seconds

    def verdict(self, now: float, cpu_s: float | None = None) -> str | None:
        """Why the process must be replaced, or None."""
        if self._killed is not None:
            return "did not end when it was killed" if now - self._killed > REAP_S else None
        if self._phase is not None:
            return self._phase.failed if self._phase.is_over(now, cpu_s) else None
        if self._silence is None:
            return None
        if self._silence.read(now, cpu_s) > self._limits.silence_s:
            return f"sent no heartbeat for {now - self._silence.began:.1f} s"
        if self._unanswered and self._free.read(now, cpu_s) > self._limits.silence_s:
            return f"did not begin a job for {now - self._free.began:.1f} s"
        return None

    def overtime(self, now: float, cpu_s: float | None) -> Overtime | None:
        """What it is at, if that takes longer than its limit by the wall clock and is waited for all the same."""
        return None if self._phase is None or self.killed else self._phase.overtime(now, cpu_s)
