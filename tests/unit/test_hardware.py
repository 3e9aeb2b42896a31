"""What is known of the card and of Ollama while the daemon runs."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from ipc import gpu
from ipc.messages import GpuMemory
from ipc.settings import LlmSettings
from tests.ollama_server import MODEL, OllamaServer
from tests.waiting import eventually
from wernicke_daemon.hardware import watch
from wernicke_daemon.hardware.watch import HardwareWatch
from wernicke_daemon.models import ollama_placement
from wernicke_daemon.observability.pages import CardFigures, GpuFigures

CARD = {"name": "a card", "driver": "1", "total_mib": 24_576, "free_mib": 9_000, "utilisation_percent": 5}


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the driver says; may be changed."""
    found = dict(CARD)
    monkeypatch.setattr(gpu, "cards", lambda: [dict(found)] if found else [])
    monkeypatch.setattr(watch, "CARD_EVERY_S", 0.01)
    monkeypatch.setattr(watch, "OLLAMA_EVERY_S", 0.01)
    return found


async def test_the_card_is_looked_at_again_and_again(card: dict[str, Any]) -> None:
    """What is shown is what it said last, with what the stages hold."""
    watch = HardwareWatch()
    await watch.look_at_cards()
    task = asyncio.create_task(watch.watch_card())
    card["free_mib"] = 8_000
    await eventually(lambda: watch.card is not None and watch.card["free_mib"] == 8_000)
    task.cancel()
    watch.cards.append({**CARD, "name": "another"})
    held = [GpuMemory(100, 200, process=900), GpuMemory(10, 20)]
    another = CardFigures(**{**CARD, "name": "another"})
    assert watch.stats(held) == GpuFigures(
        **card, allocated_mib=110, reserved_mib=220, ollama_mib=None, more_cards=[another]
    )


async def test_without_a_card_there_is_nothing_to_watch(card: dict[str, Any]) -> None:
    """No figures, and no task that goes on for nothing."""
    card.clear()
    watch = HardwareWatch()
    await watch.look_at_cards()
    async with asyncio.timeout(30):
        await watch.watch_card()
    assert watch.stats([]) is None


async def test_a_language_model_that_is_partly_on_the_cpu_is_a_problem(card: dict[str, Any]) -> None:
    """Said in the log once, in /health for as long as it is so; its share of the card is shown."""
    watch = HardwareWatch()
    await watch.look_at_cards()
    with OllamaServer() as server, capture_logs() as logs:
        llm = replace(LlmSettings(), host=server.url, model=MODEL)
        server.loaded[MODEL] = llm.num_ctx
        server.vram_share = 0.5
        task = asyncio.create_task(watch.watch_ollama(llm))
        (problem,) = await eventually(lambda: watch.problems)
        stats = watch.stats([])
        server.vram_share = 1.0
        await eventually(lambda: not watch.problems)
        task.cancel()
    assert "on the graphics card" in problem
    assert stats is not None and stats.ollama_mib
    assert [line["problem"] for line in logs if line["event"] == "llm_placement"] == [problem]


async def test_a_server_that_comes_up_is_tried_at_once_and_in_vain_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked for every half minute. One that has the model and can't be used costs a process each time."""
    now, every_s = 0.0, 30.0
    tried: list[float] = []

    def used() -> bool:
        nonlocal now
        now += every_s
        return now > 2000.0

    async def has(host: str, model: str) -> bool:
        return now >= 300.0

    monkeypatch.setattr(watch, "OLLAMA_EVERY_S", 0.0)
    monkeypatch.setattr(watch, "clock", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(ollama_placement, "has", has)
    await HardwareWatch().await_ollama(LlmSettings(), used, lambda: tried.append(now))
    assert tried == [300.0, 300.0 + watch.TRY_AGAIN_S, 300.0 + 2 * watch.TRY_AGAIN_S]
