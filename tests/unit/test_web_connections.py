"""Connections of the web process: bounded from their first moment, and hung up on where nothing is asked for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from tests.waiting import WITHIN_S, eventually
from wernicke_daemon.web import connections
from wernicke_daemon.web.connections import OpenConnections, PromptHttp, PromptWebSocket, few
from wernicke_daemon.wire import listening

pytestmark = pytest.mark.asyncio

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connected(port: int) -> Line:
    return await asyncio.open_connection("127.0.0.1", port)


async def is_hung_up_on(line: Line) -> bool:
    """Waits until it is, or is told something."""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(WITHIN_S):
            return await line[0].read(1) == b""
    return True


async def test_one_connection_too_many_is_hung_up_on_however_silent_the_others_are() -> None:
    """And there is room again as soon as one of them has gone."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"+")
        await reader.read()
        writer.close()

    (listener,) = few(listening.listeners("127.0.0.1", 0), OpenConnections(2, 2))
    port = listener.getsockname()[1]
    lines: list[Line] = []
    async with await asyncio.start_server(greet, sock=listener):
        for _ in range(2):
            lines.append(await connected(port))
            assert not await is_hung_up_on(lines[-1])
        for _ in range(3):
            assert await is_hung_up_on(await connected(port))
        lines.pop()[1].close()

        async def has_room() -> bool:
            lines.append(await connected(port))
            return not await is_hung_up_on(lines[-1])

        await eventually(has_room)
        for _, writer in lines:
            writer.close()


async def test_of_strangers_the_oldest_goes_and_whoever_is_let_in_stays() -> None:
    """In TLS, in a request or after it: what was asked does not count."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"+")
        await reader.read()
        writer.close()

    bound = OpenConnections(9, 2)
    (listener,) = few(listening.listeners("127.0.0.1", 0), bound)
    port = listener.getsockname()[1]
    lines: list[Line] = []
    async with await asyncio.start_server(greet, sock=listener):
        for _ in range(2):
            lines.append(await connected(port))
            assert not await is_hung_up_on(lines[-1])
        bound.let_in(lines[0][1].get_extra_info("sockname"))
        for _ in range(3):
            lines.append(await connected(port))
            assert not await is_hung_up_on(lines[-1])
        for gone in lines[1:3]:
            assert await is_hung_up_on(gone)
        for stays in (lines[0], *lines[3:]):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await stays[0].read(1)
        for _, writer in lines:
            writer.close()


@contextlib.asynccontextmanager
async def served(app: Any, **settings: Any) -> AsyncIterator[int]:
    config = uvicorn.Config(app, http=PromptHttp, lifespan="off", log_config=None, **settings)
    config.load()
    (listener,) = few(listening.listeners("127.0.0.1", 0), OpenConnections(9, 9))
    state = uvicorn.server.ServerState()
    server = await asyncio.get_running_loop().create_server(lambda: PromptHttp(config, state, {}), sock=listener)
    async with server:
        yield listener.getsockname()[1]


async def test_who_asks_for_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the midst of a request; who has asked is answered, however long that takes."""
    monkeypatch.setattr(connections, "REQUEST_S", 0.5)
    answered = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answered.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    async with served(app) as port:
        asking = await connected(port)
        asking[1].write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        silent, slow = await connected(port), await connected(port)
        slow[1].write(b"GET / HTTP/1.1\r\nHost:")
        assert await is_hung_up_on(silent)
        assert await is_hung_up_on(slow)
        answered.set()
        assert (await asking[0].readuntil(b"0\r\n\r\n")).startswith(b"HTTP/1.1 200")
        asking[1].write(b"GET / HTTP/1.1\r\nHost:")
        assert await is_hung_up_on(asking)
        for _, writer in (asking, silent, slow):
            writer.close()


async def test_a_websocket_that_nobody_reads_is_gone_in_time() -> None:
    """Though there is more to be told than its line holds."""
    told, over = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        told.set()
        try:
            while True:
                await send({"type": "websocket.send", "bytes": bytes(1_000_000)})
        finally:
            over.set()

    async with served(app, ws=PromptWebSocket, ws_ping_interval=0.1, ws_ping_timeout=0.2) as port:
        reader, writer = await connected(port)
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(
            b"GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await told.wait()
        async with asyncio.timeout(WITHIN_S):
            await over.wait()
        writer.transport.abort()
