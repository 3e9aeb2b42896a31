"""When models leave the memory and when they come back."""

import asyncio
from collections.abc import Sequence

import pytest

from ipc.messages import StageName
from wernicke_daemon import idle_unload
from wernicke_daemon.idle_unload import LARGEST_FIRST, Idle, IdleUnload

AFTER_S = 900.0


def test_models_stay_for_so_long_after_they_were_last_needed() -> None:
    """From the start, too; and each need begins the time anew."""
    idle = Idle(AFTER_S, now=100.0)
    assert idle.keeps(False, 100.0 + AFTER_S - 1)
    assert not idle.keeps(False, 100.0 + AFTER_S)
    assert idle.keeps(True, 5000.0)
    assert idle.keeps(False, 5000.0 + AFTER_S - 1)
    assert not idle.keeps(False, 5000.0 + AFTER_S)


class House:
    """Stages that note what is done with them. needed: as of IdleUnload. gate: what an unload waits for."""

    def __init__(self, after_s: float) -> None:
        self.done: list[str] = []
        self.needed = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.idle = IdleUnload(after_s, self, lambda: self.needed, self._unloaded, self._told, lambda: True)

    async def unload(self, names: Sequence[StageName]) -> None:
        assert tuple(names) == LARGEST_FIRST
        self.done.append("unload")
        await self.gate.wait()

    async def load(self, names: Sequence[StageName], one_by_one: bool) -> None:
        assert (tuple(names), one_by_one) == (LARGEST_FIRST, True)
        self.done.append("load")

    async def _unloaded(self) -> None:
        self.done.append("gone")

    def _told(self, names: Sequence[StageName]) -> None:
        self.done.append("told")

    async def until(self, *done: str) -> None:
        async with asyncio.timeout(10):
            while tuple(self.done) != done:
                await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle_unload, "LOOK_EVERY_S", 0.005)


async def test_a_client_has_them_loaded_again() -> None:
    """It is told before the load begins, and once."""
    house = House(after_s=0.05)
    running = asyncio.create_task(house.idle.run())
    await house.until("unload", "gone")
    house.needed = True
    house.idle.need()
    assert house.done[2:] == ["told"], "before anything else of the client is done"
    house.idle.need()
    await house.until("unload", "gone", "told", "load")
    house.needed = False
    await house.until("unload", "gone", "told", "load", "unload", "gone")
    running.cancel()


async def test_a_client_that_comes_while_they_are_unloaded() -> None:
    """The load waits for the processes before to be gone: there is memory for one of each."""
    house = House(after_s=0.05)
    house.gate.clear()
    running = asyncio.create_task(house.idle.run())
    await house.until("unload")
    house.needed = True
    house.idle.need()
    await asyncio.sleep(0.05)
    assert house.done == ["unload", "told"]
    house.gate.set()
    await house.until("unload", "told", "gone", "load")
    running.cancel()


async def test_work_without_a_client_has_them_loaded_too() -> None:
    """Late work that came up, say: nobody calls `need` for it."""
    house = House(after_s=0.05)
    running = asyncio.create_task(house.idle.run())
    await house.until("unload", "gone")
    house.needed = True
    await house.until("unload", "gone", "told", "load")
    running.cancel()


async def test_trouble_with_one_look_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(after_s=0.05)

    async def fails(names: Sequence[StageName]) -> None:
        monkeypatch.undo()
        raise OSError("for a test")

    monkeypatch.setattr(house, "unload", fails)
    running = asyncio.create_task(house.idle.run())
    house.needed = True
    await asyncio.sleep(0)
    house.needed = False
    async with asyncio.timeout(10):
        while house.idle._in_memory:
            await asyncio.sleep(0.001)
    house.idle.need()
    await house.until("told", "load")
    running.cancel()
