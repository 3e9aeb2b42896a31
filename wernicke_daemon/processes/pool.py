"""All replicas of a stage, as the one port that others see. They live and die each by itself."""

import asyncio
from collections.abc import Sequence

import structlog

from ipc.errors import WernickeError
from ipc.messages import Job, StageName
from wernicke_daemon.dispatch.stage_port import StageStatus
from wernicke_daemon.processes.supervised_stage import SupervisedStage

_log = structlog.get_logger()


class StartFailed(WernickeError):
    """A stage can't be started; the message names the ways out."""

    code = "START_FAILED"


class Pool:
    """A StagePort."""

    def __init__(self, stage: StageName, replicas: Sequence[SupervisedStage]) -> None:
        """replicas: by number, at least one."""
        self.stage: StageName = stage
        self.replicas = replicas

    # --- the StagePort ---

    def send(self, job: Job, replica: int) -> None:
        self.replicas[replica].send(job)

    def cancel(self, job_id: int, replica: int) -> None:
        self.replicas[replica].cancel(job_id)

    def status(self) -> StageStatus:
        return StageStatus.of([replica.status() for replica in self.replicas])

    # --- life cycle ---

    async def started(self) -> None:
        """After each was started: wait until each is ready or has died once, and then until one of them is ready, or
        the daemon is to start without. Raises StartFailed if none has a usable engine."""
        await asyncio.gather(*(replica.settled.wait() for replica in self.replicas))
        waits = [asyncio.create_task(replica.decided.wait()) for replica in self.replicas]
        try:
            while not self._has_started and not all(wait.done() for wait in waits):
                await asyncio.wait([wait for wait in waits if not wait.done()], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self._tell_of_the_others()

    @property
    def _has_started(self) -> bool:
        return any(replica.decided.is_set() and replica.unusable is None for replica in self.replicas)

    def _tell_of_the_others(self) -> None:
        """Raises StartFailed."""
        unusable = {replica.replica: why for replica in self.replicas if (why := replica.unusable) is not None}
        if not self._has_started:
            raise StartFailed("; ".join(dict.fromkeys(unusable.values())))
        for number, why in unusable.items():
            _log.error("started_without", stage=self.stage, replica=number, reason=why)

    def choose_again(self, why: str) -> None:
        """Those that found nothing to do their work with; what others chose stands."""
        for replica in self.replicas:
            if replica.status().engine in (None, "none"):
                replica.choose_again(why)

    async def unload(self) -> None:
        await asyncio.gather(*(replica.unload() for replica in self.replicas))

    async def load(self, one_by_one: bool) -> None:
        for replica in self.replicas:
            replica.load()
            if one_by_one:
                await replica.settled.wait()
