"""A line that is cut in the middle of a WebSocket frame, on the way in or on the way out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

HEAD_END = b"\r\n\r\n"
"""Of a request, and of what answers it."""


@dataclass(frozen=True)
class Cut:
    """After so many bytes of the client's frames, or of a body; or in the middle of the first frame to it that holds
    `inside`."""

    after: int | None = None
    inside: bytes | None = None


@contextlib.asynccontextmanager
async def cut_proxy(port: int, cut: Cut) -> AsyncIterator[int]:
    """A port from which one connection leads to that port of the daemon, until it is cut: each side has got half a
    frame then, and the end of the line."""

    async def relay(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        daemon, to_daemon = await asyncio.open_connection("127.0.0.1", port)
        ways = [
            asyncio.create_task(_way_in(client, to_daemon, cut)),
            asyncio.create_task(_way_out(daemon, to_client, cut)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for target in (to_daemon, to_client):
            target.close()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _way_in(source: asyncio.StreamReader, target: asyncio.StreamWriter, cut: Cut) -> None:
    target.write(await source.readuntil(HEAD_END))
    left = cut.after
    while data := await source.read(1000 if left is None else min(1000, left)):
        target.write(data)
        await target.drain()
        if left is not None:
            left -= len(data)


async def _way_out(source: asyncio.StreamReader, target: asyncio.StreamWriter, cut: Cut) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError):
        target.write(await source.readuntil(HEAD_END))
        while frame := await _frame(source):
            cut_here = cut.inside is not None and cut.inside in frame
            target.write(frame[: len(frame) // 2] if cut_here else frame)
            await target.drain()
            if cut_here:
                return


async def _frame(source: asyncio.StreamReader) -> bytes:
    """As a server sends it, without a mask."""
    head = await source.readexactly(2)
    more = await source.readexactly({126: 2, 127: 8}.get(head[1], 0))
    return head + more + await source.readexactly(int.from_bytes(more) if more else head[1])
