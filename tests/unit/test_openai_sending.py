"""How a file goes to the front: no faster than that takes it in."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from tests.waiting import eventually
from wernicke_daemon.web.openai import upload

pytestmark = pytest.mark.asyncio

FILE_BYTES = upload.AHEAD_BYTES + 10 * upload.CHUNK_BYTES


class SlowFront:
    """Acknowledges what it is told to. got: bytes of audio; said: its texts."""

    def __init__(self) -> None:
        self.got = 0
        self.said: list[Any] = []
        self.line: ServerConnection | None = None

    async def _take(self, line: ServerConnection) -> None:
        self.line = line
        async for frame in line:
            if isinstance(frame, bytes):
                self.got += len(frame)
            else:
                self.said.append(json.loads(frame))

    async def tell(self, **message: Any) -> None:
        assert self.line is not None
        await self.line.send(json.dumps(message))

    @contextlib.asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator[Any]:
        async with serve(self._take, "127.0.0.1", 0) as front:
            port = next(iter(front.sockets)).getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}", proxy=None) as line:
                yield line


async def test_what_the_front_has_not_taken_in_is_not_added_to(tmp_path: Path) -> None:
    """As long as a file has to wait, no more of it comes; then the rest does, and the end. Who waits for its results
    hears nothing of that."""
    (samples := tmp_path / "samples").write_bytes(bytes(FILE_BYTES))
    front = SlowFront()
    heard = upload.messages(front, samples, {"type": "start"})  # type: ignore[arg-type]
    first = asyncio.create_task(anext(heard))
    await eventually(lambda: front.got == upload.AHEAD_BYTES)
    await front.tell(type="audio_received", bytes_received=upload.CHUNK_BYTES, samples_received=1)
    await eventually(lambda: front.got == upload.AHEAD_BYTES + upload.CHUNK_BYTES)
    assert front.said == [{"type": "start"}]
    await front.tell(type="audio_received", bytes_received=front.got, samples_received=1)
    await eventually(lambda: front.said[1:] == [{"type": "stop"}])
    assert front.got == FILE_BYTES
    await front.tell(type="session_ended")
    assert (await first)["type"] == "session_ended"
    await heard.aclose()
