"""The PC does not go to sleep while clients are connected; its screen may."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog
import wakepy

CHECK_EVERY_S = 2.0

_log = structlog.get_logger()


class KeepAwake:
    """All calls to the system are made in one thread: on desktops they go over D-Bus, which may be slow."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "keep-awake")
        self._mode: wakepy.Mode | None = None

    async def run(self, clients: Callable[[], int]) -> None:
        """Until it is cancelled. clients: how many are connected now."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                if (clients() > 0) != (self._mode is not None):
                    await loop.run_in_executor(self._thread, self._switch)
                await asyncio.sleep(CHECK_EVERY_S)
        finally:
            self._thread.submit(self._let_go)
            self._thread.shutdown(wait=False)

    def _switch(self) -> None:
        if self._mode is not None:
            self._let_go()
            return
        self._mode = wakepy.keep.running(on_fail="pass")
        self._mode.__enter__()
        _log.info("keep_awake", on=True, works=self._mode.active, method=_name(self._mode))

    def _let_go(self) -> None:
        if self._mode is not None:
            self._mode.__exit__(None, None, None)
            self._mode = None
            _log.info("keep_awake", on=False, works=True, method=None)


def _name(mode: wakepy.Mode) -> str | None:
    """How the system was asked; None where it has no way that is known."""
    return mode.active_method.name if mode.active_method is not None else None
