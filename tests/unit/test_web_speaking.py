"""A page's microphone, passed on to a front that hangs up."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.datastructures import QueryParams
from websockets.exceptions import ConnectionClosedError

from wernicke_daemon.web.live.speaking import speak
from wernicke_daemon.wire.protocol import CLOSE_POLICY

pytestmark = pytest.mark.asyncio


class BrokenLine:
    """To a front that has hung up: it takes nothing more, and what it said last is still to be read."""

    close_code = CLOSE_POLICY

    async def send(self, data: str | bytes) -> None:
        raise ConnectionClosedError(None, None)

    async def __aiter__(self) -> AsyncIterator[str]:
        for text in ("result", "why"):
            for _ in range(9):
                await asyncio.sleep(0)  # the page's audio is passed on meanwhile
            yield text


class Page:
    """Speaks until it is hung up on."""

    def __init__(self) -> None:
        self.told: list[str | int] = []

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"type": "websocket.receive", "bytes": b"\0\0"}

    async def send_text(self, text: str) -> None:
        self.told.append(text)

    async def close(self, code: int) -> None:
        self.told.append(code)


class Front:
    @contextlib.asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator[BrokenLine]:
        yield BrokenLine()


async def test_a_page_is_told_all_that_the_front_said_and_why_it_hung_up() -> None:
    """However much it still sends."""
    page: Any = Page()
    front: Any = Front()
    await speak(page, front, QueryParams(""))
    assert page.told == ["result", "why", CLOSE_POLICY]
