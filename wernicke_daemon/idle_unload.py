"""Models leave the memory while there is no client (`runtime.idle_unload_s`), and come back for the next one.

`Idle` says when; `IdleUnload` does it. The process that finds where utterances begin and end stays: it is small.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from ipc import clock
from ipc.messages import StageName

LOOK_EVERY_S = 1.0

LARGEST_FIRST: tuple[StageName, ...] = ("correction", "asr", "diarization")
"""The stages that have models; in this order on a graphics card, as at the daemon's start."""

_log = structlog.get_logger()


class Idle:
    """For how long nobody has needed the models. Pure; times are seconds, monotonic."""

    def __init__(self, after_s: float, now: float) -> None:
        """after_s: for how long they are kept without being needed."""
        self._after_s = after_s
        self._needed = now

    def keeps(self, needed: bool, now: float) -> bool:
        """Whether they are to be in memory. needed: they are, at present."""
        if needed:
            self._needed = now
        return now - self._needed < self._after_s


class Stages(Protocol):
    """The supervisor, as far as it is told of this."""

    async def unload(self, names: Sequence[StageName]) -> None: ...

    async def load(self, names: Sequence[StageName], one_by_one: bool) -> None: ...


class IdleUnload:
    """Made once the models are loaded."""

    def __init__(
        self,
        after_s: float,
        stages: Stages,
        needed: Callable[[], bool],
        on_unloaded: Callable[[], Awaitable[None]],
        on_load: Callable[[Sequence[StageName]], None],
        has_card: Callable[[], bool],
    ) -> None:
        """needed: somebody is connected, or work is under way. on_unloaded: awaited once the processes are gone.
        on_load: told which stages are loaded again, before they are. has_card: models share a graphics card."""
        self._stages = stages
        self._needed = needed
        self._on_unloaded = on_unloaded
        self._on_load = on_load
        self._has_card = has_card
        self._idle = Idle(after_s, clock.monotonic())
        self._in_memory = True  # or on their way there
        self._due = False  # to be loaded as soon as the processes before are gone
        self._called = asyncio.Event()  # a client has come

    def need(self) -> None:
        """A client comes: the models are loaded, if they are not."""
        self._idle.keeps(True, clock.monotonic())
        if not self._in_memory:
            self._in_memory = self._due = True
            self._on_load(LARGEST_FIRST)
            self._called.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self._look()
            except Exception:  # whatever it is: without this loop nothing is loaded any more
                _log.exception("idle_unload_failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._called.wait()
            self._called.clear()

    async def _look(self) -> None:
        if self._needed():
            self.need()
        if self._due:
            self._due = False
            await self._stages.load(LARGEST_FIRST, self._has_card())
        elif self._in_memory and not self._idle.keeps(False, clock.monotonic()):
            self._in_memory = False
            await self._stages.unload(LARGEST_FIRST)
            await self._on_unloaded()
            _log.info("unloaded", stages=LARGEST_FIRST)
