"""Is a stage alive? Pure: heartbeats and events go in with their times, a verdict comes out.

A heartbeat alone proves nothing (its thread stops while C code holds the GIL, and goes on while C code is stuck
without it), so every phase has a limit of its own: connecting, loading, and each job by its length of audio.
"""

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Seconds. job_s + job_per_audio_s × seconds of audio bounds one job."""

    hello_s: float
    load_s: float
    silence_s: float
    job_s: float
    job_per_audio_s: float


class Liveness:
    """One incarnation, from its start. Times: seconds of one monotonic clock of the front."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._deadline: float | None = now + limits.hello_s
        self._phase = "did not say hello"
        self._heard: float | None = None
        self._job: int | None = None
        self._finished_early: list[int] = []

    def hello(self, now: float) -> None:
        self._deadline = now + self._limits.load_s
        self._phase = "did not finish loading"

    def heartbeat(self, now: float) -> None:
        if self._heard is not None:
            self._heard = now

    def ready(self, now: float) -> None:
        """From here on heartbeats are missed; before, an import may hold the GIL for long."""
        self._heard = now
        self._deadline = None

    def job_started(self, job_id: int, audio_s: float, now: float) -> None:
        """Starts and ends come each in order, but on sockets of their own: a short job's end may overtake its start."""
        if job_id in self._finished_early:
            del self._finished_early[: self._finished_early.index(job_id) + 1]
            return
        self._finished_early.clear()
        limit = self._limits.job_s + self._limits.job_per_audio_s * audio_s
        self._job = job_id
        self._deadline = now + limit
        self._phase = f"worked on job {job_id} for more than {limit:.0f} s"

    def job_finished(self, job_id: int) -> None:
        if job_id == self._job:
            self._job = None
            self._deadline = None
        else:
            self._finished_early.append(job_id)

    def verdict(self, now: float) -> str | None:
        """Why the process must be replaced, or None."""
        if self._deadline is not None and now > self._deadline:
            return self._phase
        if self._heard is not None and now - self._heard > self._limits.silence_s:
            return f"sent no heartbeat for {now - self._heard:.1f} s"
        return None
