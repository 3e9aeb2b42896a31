"""Ends the processes of a replica that nobody needs, for good or for now."""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from ipc.messages import StageName
from wernicke_daemon.processes.incarnation import Incarnation

_log = structlog.get_logger()

STOP_PATIENCE_S = 1.0
"""For an idle process to end when it is asked to, and for a busy one that is killed at once to be gone: the system
takes its memory back first, on the graphics card too."""

KILL_S = 0.5
"""For what is killed after that to be gone."""


class Ending:
    """Of one replica."""

    def __init__(self, stage: StageName, replica: int, processes: Callable[[], list[Incarnation]]) -> None:
        """processes: those that are left."""
        self._names = {"stage": stage, "replica": replica}  # in the log
        self._processes = processes
        self._none_left = asyncio.Event()

    async def end(self) -> None:
        """An idle process is asked to end, and killed after STOP_PATIENCE_S; one that loads or is at a job, which
        nobody waits for any more, is killed at once. Takes at most KILL_S longer."""
        self._none_left.clear()
        for incarnation in self._processes():
            incarnation.ask_to_stop()
        self._kill([process for process in self._processes() if not process.liveness.idle])
        self.note()
        if not await self._gone(STOP_PATIENCE_S):
            self._kill(self._processes())
            if not await self._gone(KILL_S):  # one that is stuck in a driver; the daemon goes on or ends without it
                _log.error("stage_not_reaped", **self._names, pid=self._processes()[0].pid)

    def note(self) -> None:
        """A process may be gone."""
        if not self._processes():
            self._none_left.set()

    def _kill(self, incarnations: list[Incarnation]) -> None:
        for incarnation in incarnations:
            _log.warning("stage_killed_at_stop", **self._names)
            incarnation.kill(asyncio.get_running_loop().time())

    async def _gone(self, within_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._none_left.wait()
        return self._none_left.is_set()
