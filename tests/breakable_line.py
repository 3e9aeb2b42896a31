"""A line to a daemon that breaks and is mended when a test says so."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class BreakableLine:
    """A port from which all connections lead to `target`, while the line is whole."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.connections = 0  # so far
        self._target = target
        self._whole = True
        self._open: set[asyncio.StreamWriter] = set()

    def lead_to(self, target: int) -> None:
        self._target = target

    def cut(self) -> None:
        """All connections end at once, without a word, and no new one comes to anything."""
        self._whole = False
        for writer in self._open:
            writer.transport.abort()

    def mend(self) -> None:
        self._whole = True

    async def relay(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if not self._whole:
            to_client.transport.abort()
            return
        self.connections += 1
        daemon, to_daemon = await asyncio.open_connection("127.0.0.1", self._target)
        self._open |= {to_client, to_daemon}
        await asyncio.gather(_pass_on(client, to_daemon), _pass_on(daemon, to_client))
        self._open -= {to_client, to_daemon}


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(4096):
            target.write(data)
            await target.drain()
    target.close()


@contextlib.asynccontextmanager
async def breakable_line(target: int) -> AsyncIterator[BreakableLine]:
    line = BreakableLine(target)
    server = await asyncio.start_server(line.relay, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        server.close()
        line.cut()
