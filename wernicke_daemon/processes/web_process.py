"""The web process kept running: started with what it is to know, started again when it dies, ended with the daemon.

It has nothing that would be lost: clients' audio and results do not pass through it, but for browsers that bring sound
over it, and those resume as over any line that breaks. So it is not asked to end; it is killed.
"""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from ipc import clock
from wernicke_daemon.processes import exit_codes
from wernicke_daemon.processes.child import Child
from wernicke_daemon.processes.restart_policy import RestartPolicy

_log = structlog.get_logger()

MODULE = "wernicke_daemon.web"

GONE_S = 2.0
"""For a killed process to be gone at a stop."""


class WebProcess:
    """Made and used on the event loop's (main) thread."""

    def __init__(self, record: bytes, policy: RestartPolicy, on_line: Callable[[bytes], None]) -> None:
        """record: the boot record of each process. on_line: told, on threads of the child, what it prints."""
        self._record = record
        self._policy = policy  # when it is started again
        self._on_line = on_line
        self._loop = asyncio.get_running_loop()
        self._child: Child | None = None  # the one that runs; None while there is none
        self._again: asyncio.TimerHandle | None = None  # the start that is waited for
        self._stopped = False

    @property
    def pid(self) -> int | None:
        """None while there is none."""
        return None if self._child is None else self._child.pid

    def start(self) -> None:
        """Also again, after a death. A process that can't be started counts as one that died."""
        self._again = None
        try:
            self._child = Child.start(["-m", MODULE], self._record, self._exited, self._on_line)
        except OSError as error:
            self._died(str(error))
            return
        self._policy.ready(clock.monotonic())

    async def stop(self) -> None:
        self._stopped = True
        if self._again is not None:
            self._again.cancel()
        if self._child is not None:
            self._child.kill()
            await asyncio.to_thread(self._child.wait, GONE_S)

    def _exited(self, code: int) -> None:
        """On a thread of the child."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the daemon has ended
            self._loop.call_soon_threadsafe(self._died, exit_codes.told(code))

    def _died(self, why: str) -> None:
        self._child = None
        if self._stopped:
            return
        delay_s = self._policy.died(clock.monotonic())
        _log.warning("web_died", reason=why, again_in_s=round(delay_s, 1))
        self._again = self._loop.call_later(delay_s, self.start)
