"""The line that all open pages share: what they are told where the front does not answer at a moment, or at all."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.waiting import eventually
from wernicke_daemon.web.front import FrontAway
from wernicke_daemon.web.live import hub

ALL_THERE_IS = ['{"type": "watching"}']
ODD = ['{"type": "session_changed"}']


class Front:
    """Does what it is told to, then hangs. health: of each answer its status, "" where it has none,
    None where there is no answer. lines: of each
    its messages, after which it breaks; None where there is no line."""

    def __init__(self, health: list[str | None], lines: list[list[str] | None]) -> None:
        self.health, self.lines = health, lines

    async def page(self, path: str) -> dict[str, Any]:
        status = await self._next(self.health)
        if status is None:
            raise FrontAway
        return {"status": status} if status else {"error": "odd"}

    @asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator[AsyncIterator[str]]:
        messages = await self._next(self.lines)
        if messages is None:
            raise OSError
        yield self._each(messages)

    async def _next(self, script: list[Any]) -> Any:
        return script.pop(0) if script else await asyncio.Event().wait()

    async def _each(self, messages: list[str]) -> AsyncIterator[str]:
        for message in messages:
            yield message


class Page:
    """An open one. told: what it was sent."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    async def send_text(self, text: str) -> None:
        self.told.append(json.loads(text))

    async def receive_text(self) -> None:
        await asyncio.Event().wait()


@asynccontextmanager
async def viewed(front: Any, page: Any) -> AsyncIterator[None]:
    pages = hub.Hub(front)
    viewing = asyncio.create_task(pages.view(page))
    try:
        yield
    finally:
        viewing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await viewing
        await pages.stop()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "STATUS_EVERY_S", 0)
    monkeypatch.setattr(hub, "AGAIN_S", 0)


async def test_one_answer_that_is_missing_is_no_news() -> None:
    front, page = Front(["ok", None, "unloaded", "", "ok", None, ""], []), Page()
    async with viewed(front, page):
        await eventually(lambda: page.told and page.told[-1]["status"] == "away")
    assert [message["status"] for message in page.told] == ["ok", "unloaded", "ok", "away"]


async def test_a_line_that_comes_back_at_once_is_no_news() -> None:
    """Whatever comes over it, it is taken up again."""
    front, page = Front([], [ALL_THERE_IS, ALL_THERE_IS, None, ODD, ALL_THERE_IS]), Page()
    async with viewed(front, page):
        await eventually(lambda: len(page.told) == 5)
    assert [message["type"] for message in page.told] == ["snapshot", "snapshot", "front", "front", "snapshot"]
