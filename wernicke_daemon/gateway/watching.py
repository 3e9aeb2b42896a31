"""`/watch`: somebody who sees all sessions. First what there is of each, then what is new as it comes."""

import asyncio
import contextlib

import msgspec
import structlog
from websockets.exceptions import ConnectionClosed

from wernicke_daemon.gateway.transport import ClientSocket
from wernicke_daemon.sessions.registry import SessionRegistry
from wernicke_daemon.status import Status
from wernicke_daemon.wire import protocol

_log = structlog.get_logger()

MOST_UNSENT = 4000
"""Messages kept for one that does not read; then it is cut off, and sees all there is when it comes back."""

SEND_TIMEOUT_S = 20.0


class Watcher:
    """One connection."""

    def __init__(self, socket: ClientSocket, sessions: SessionRegistry, status: Status) -> None:
        self._socket = socket
        self._sessions = sessions
        self._status = status
        self._unsent: asyncio.Queue[str] = asyncio.Queue(MOST_UNSENT)

    async def run(self) -> None:
        """Until it hangs up, or does not read."""
        self._sessions.watchers.add(self._send)
        writing = asyncio.create_task(self._write())
        try:
            async for _ in self._socket:  # nothing that it says is of interest
                pass
        except ConnectionClosed:
            pass
        finally:
            self._sessions.watchers.remove(self._send)
            writing.cancel()

    def _send(self, text: str) -> None:
        try:
            self._unsent.put_nowait(text)
        except asyncio.QueueFull:
            self._cut()

    def _cut(self) -> None:
        _log.info("client_does_not_read")
        self._sessions.watchers.remove(self._send)
        self._socket.transport.abort()

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._show_all()
            while True:
                await self._out(await self._unsent.get())

    async def _show_all(self) -> None:
        """What comes meanwhile stands in the queue, and is known by its revision where it is in here, too."""
        shown = []
        for session in self._sessions.watched():
            shown.append(session.id)
            await self._out(protocol.encode(session.shown()))
        for each in self._status.lacking():
            await self._out(protocol.encode(protocol.Watched(None, msgspec.Raw(protocol.encode(each).encode()))))
        await self._out(protocol.encode(protocol.Watching(shown)))

    async def _out(self, text: str) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._socket.send(text)
        except TimeoutError:
            self._cut()
