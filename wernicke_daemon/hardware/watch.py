"""What the graphics card and the Ollama server say of themselves, asked every few seconds; whether one has come up.

They are asked here and not when a page is requested: a driver or server that hangs must not hang the daemon.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

import structlog

from ipc import clock, gpu
from ipc.messages import GpuMemory
from ipc.settings import LlmSettings
from wernicke_daemon.models import ollama_placement
from wernicke_daemon.models.ollama_placement import Placement
from wernicke_daemon.observability.pages import CardFigures, GpuFigures

CARD_EVERY_S = 5.0
OLLAMA_EVERY_S = 30.0
"""Less often: it writes a line into its own log each time."""
TRY_AGAIN_S = 600.0
"""After a server that has the model could not be used: each try costs a process, and perhaps the load of a model."""

_log = structlog.get_logger()


class HardwareWatch:
    """What was seen last."""

    def __init__(self) -> None:
        # Of `gpu.cards`.
        self.cards: list[dict[str, Any]] = []
        # What is wrong with the language model's place in memory, in sentences, and that place.
        self.problems: list[str] = []
        self._placement: Placement | None = None

    @property
    def card(self) -> dict[str, Any] | None:
        """The first; None without one."""
        return self.cards[0] if self.cards else None

    async def look_at_cards(self) -> None:
        self.cards = await asyncio.to_thread(gpu.cards)

    async def watch(
        self,
        llm: LlmSettings,
        in_use: Callable[[], bool],
        come: Callable[[], None] | None,
        rests: Callable[[], bool] = lambda: False,
    ) -> None:
        """For ever: the card, and the Ollama server of `llm` while it is in use. come: called where a server with the
        model comes up after the start; None where nobody would use it. rests: the model is not meant to be in memory
        at present."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.watch_card())
            if come is not None:
                await self.await_ollama(llm, in_use, come)
            if in_use():
                await self.watch_ollama(llm, rests)

    async def watch_card(self) -> None:
        """For ever, or not at all without one."""
        if self.card is not None:
            await _again_and_again(self.look_at_cards, CARD_EVERY_S)

    async def watch_ollama(self, llm: LlmSettings, rests: Callable[[], bool] = lambda: False) -> None:
        """For ever. llm: the server that is in use. rests: as of `watch`."""
        await _again_and_again(partial(self._look_at_ollama, llm, rests), OLLAMA_EVERY_S)

    async def await_ollama(self, llm: LlmSettings, used: Callable[[], bool], come: Callable[[], None]) -> None:
        """Until it is used. come: called where a server with the model has come up, and rarely again if that was to
        no avail."""
        told = -math.inf
        while not used():
            await asyncio.sleep(OLLAMA_EVERY_S)
            if clock.monotonic() - told >= TRY_AGAIN_S and await ollama_placement.has(llm.host, llm.model):
                told = clock.monotonic()
                _log.info("llm_found", host=llm.host, model=llm.model)
                come()

    async def _look_at_ollama(self, llm: LlmSettings, rests: Callable[[], bool]) -> None:
        if rests():
            self._placement, self.problems = None, []
            return
        self._placement = await ollama_placement.placement(llm.host, llm.model)
        problems = ollama_placement.problems(self._placement, llm.num_ctx, has_card=self.card is not None)
        for problem in problems:
            if problem not in self.problems:
                _log.warning("llm_placement", problem=problem)
        self.problems = problems

    def stats(self, held: Iterable[GpuMemory]) -> GpuFigures | None:
        """`gpu_stats` of /stats; None without a card. held: by each stage.

        What PyTorch holds is of all of them together; CTranslate2 and Ollama are not PyTorch.
        """
        if self.card is None:
            return None
        memories = list(held)
        return GpuFigures(
            **self.card,
            allocated_mib=sum(memory.allocated for memory in memories),
            reserved_mib=sum(memory.reserved for memory in memories),
            ollama_mib=self._placement.vram_mib if self._placement else None,
            more_cards=[CardFigures(**card) for card in self.cards[1:]],
        )


async def _again_and_again(look: Callable[[], Awaitable[None]], every_s: float) -> None:
    while True:
        await look()
        await asyncio.sleep(every_s)
