"""The line that all open pages share."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.waiting import eventually
from wernicke_daemon.web.live import hub
from wernicke_daemon.web.live.hub import Hub

pytestmark = pytest.mark.asyncio


class Front:
    """Says something odd at first."""

    def __init__(self) -> None:
        self.lines = [['{"type": "session_changed"}'], ['{"type": "watching", "sessions": []}']]

    async def page(self, path: str) -> dict[str, Any]:
        return {"error": "odd"}

    @contextlib.asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator[AsyncIterator[str]]:
        yield self._said(self.lines.pop(0))

    async def _said(self, messages: list[str]) -> AsyncIterator[str]:
        for message in messages:
            yield message
        await asyncio.Event().wait()


class Page:
    def __init__(self) -> None:
        self.told: list[str] = []

    async def send_text(self, text: str) -> None:
        self.told.append(json.loads(text)["type"])

    async def receive_text(self) -> str:
        await asyncio.Event().wait()
        return ""


async def test_open_pages_go_on_whatever_the_front_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are told that it is away, and all there is as soon as that can be understood."""
    monkeypatch.setattr(hub, "AGAIN_S", 0.0)
    front: Any = Front()
    page: Any = Page()
    shared = Hub(front)
    viewing = asyncio.create_task(shared.view(page))
    await eventually(lambda: "snapshot" in page.told)
    assert page.told.index("front") < page.told.index("snapshot") and "status" in page.told
    viewing.cancel()
    await asyncio.wait([viewing])
    await shared.stop()
