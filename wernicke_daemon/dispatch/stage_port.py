"""How the dispatcher reaches a stage: a job in, events out. Locally a process behind sockets stands behind it."""

from typing import Protocol

from ipc.messages import Done, Failed, Job, StageName


class StagePort(Protocol):
    """Where jobs go in. Between `stage_up` and `stage_down` only."""

    def send(self, job: Job) -> None: ...

    def cancel(self, job_id: int) -> None:
        """The job need not be started any more, or gone on with; it is answered all the same."""


class StageListener(Protocol):
    """What comes out, on the event loop's thread, in the order in which it happened. now: seconds of the front's monotonic
    clock."""

    def stage_up(self, stage: StageName, engine: str, live: bool, now: float) -> None:
        """A fresh process is ready with that engine, which takes live jobs or not; it knows of no job. Without a `stage_down` before it where it took
        over at once from one that is gone."""

    def stage_down(self, stage: StageName, failed: bool, now: float) -> None:
        """The process is gone and its jobs with it. failed: it is not expected back soon."""

    def job_started(self, stage: StageName, job_id: int) -> None: ...

    def job_answered(self, stage: StageName, answer: Done | Failed, now: float) -> None: ...
