"""Is a stage alive? Pure: heartbeats and events go in with their times, a verdict comes out.

A heartbeat alone proves nothing (its thread stops while C code holds the GIL, and goes on while C code is stuck
without it), so every phase has a limit of its own: connecting, loading, each job by its length of audio, beginning it.
Heartbeats are only asked of a stage that is idle: recognition may hold the GIL for as long as its job may take.
"""

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Seconds: to connect, to load, between heartbeats of an idle stage (and for it to begin a job)."""

    hello_s: float
    load_s: float
    silence_s: float


STACKS_S = 1.0
"""A stage writes its stacks at its limit, by itself; its end comes that much later."""

REAP_S = 10.0
"""For a killed process to be gone. The system takes its memory back first, on the graphics card too."""


class Liveness:
    """One incarnation, from its start. Times: seconds of one monotonic clock of the front."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        # When what it is at (connecting, loading, a job) has to be over, None while it is idle; and what is said of it
        # if it is not over by then.
        self._deadline: float | None = now + limits.hello_s
        self._phase = "did not say hello"
        # Its last heartbeat or answer; None before it is ready.
        self._heard: float | None = None
        # The job that it said it had started and has not answered.
        self._job: int | None = None
        # Jobs that it was sent and has not answered, and since when it could have begun the next of them.
        self._unanswered: set[int] = set()
        self._free_since = now
        # When it was killed.
        self._killed: float | None = None
        # Jobs whose end was heard before their start, oldest first.
        self._finished_early: list[int] = []

    def hello(self, now: float) -> None:
        self._deadline = now + self._limits.load_s + STACKS_S
        self._phase = "did not finish loading"

    def heartbeat(self, now: float) -> None:
        if self._heard is not None:
            self._heard = now

    def ready(self, now: float) -> None:
        """From here on heartbeats are missed; before, an import may hold the GIL for long."""
        self._heard = now
        self._deadline = None

    def job_sent(self, job_id: int, now: float) -> None:
        if not self._unanswered:
            self._free_since = now
        self._unanswered.add(job_id)

    def job_started(self, job_id: int, limit_s: float, now: float) -> None:
        """Starts and ends come each in order, but on sockets of their own: a short job's end may overtake its start."""
        if job_id in self._finished_early:
            del self._finished_early[: self._finished_early.index(job_id) + 1]
            return
        self._finished_early.clear()
        self._job = job_id
        self._deadline = now + limit_s + STACKS_S
        self._phase = f"worked on job {job_id} for more than {limit_s:.0f} s"

    def job_finished(self, job_id: int, now: float) -> None:
        self._heard = self._free_since = now
        self._unanswered.discard(job_id)
        if job_id == self._job:
            self._job = None
            self._deadline = None
        else:
            self._finished_early.append(job_id)

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
        return self._deadline is None

    def pardon(self, seconds: float) -> None:
        """So long nobody here could hear anything: the machine slept, or this process was held up."""
        if self._deadline is not None:
            self._deadline += seconds
        if self._heard is not None:
            self._heard += seconds
        if self._killed is not None:
            self._killed += seconds
        self._free_since += seconds

    def verdict(self, now: float) -> str | None:
        """Why the process must be replaced, or None."""
        if self._killed is not None:
            return "did not end when it was killed" if now - self._killed > REAP_S else None
        if self._deadline is not None and now > self._deadline:
            return self._phase
        if self._job is not None or self._heard is None:
            return None
        if now - self._heard > self._limits.silence_s:
            return f"sent no heartbeat for {now - self._heard:.1f} s"
        if self._unanswered and now - self._free_since > self._limits.silence_s:
            return f"did not begin a job for {now - self._free_since:.1f} s"
        return None
