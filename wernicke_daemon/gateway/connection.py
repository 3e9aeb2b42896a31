"""One WebSocket: what its client sends goes to its session, what the session has for it goes out.

Three tasks: the reader (whoever calls `run`), one writer (nothing else sends), and a watch for signs of life. The
library's keepalive is off: while reading pauses because the ring is full, pongs are not read either, and it would take
a healthy client for dead.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable

import structlog
from websockets.exceptions import ConnectionClosed

from ipc.errors import WernickeError
from wernicke_daemon.gateway.transport import ClientSocket
from wernicke_daemon.sessions.session import HISTORY, Options, Session
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.protocol import Flush, Keepalive, ServerMessage, Start, Stop

_log = structlog.get_logger()

MOST_WAITING = 2 * HISTORY
"""Messages kept for a client that does not read; then it is cut off and its results are kept elsewhere."""

SEND_TIMEOUT_S = 20.0
PING_EVERY_S = 20.0
CLOSE_TIMEOUT_S = 5.0


class Connection:
    """options: turns a start message into a session's options. greet: tells the client of its session. resumed: the
    session is one that it came back to."""

    def __init__(
        self,
        socket: ClientSocket,
        options: Callable[[Start], Options],
        greet: Callable[[], None],
        timeout_s: float,
        resumed: bool,
    ) -> None:
        self._socket = socket
        self._options = options
        self._greet = greet
        self._timeout_s = timeout_s
        self._resumed = resumed
        self._waiting: asyncio.Queue[ServerMessage] = asyncio.Queue(MOST_WAITING)
        self._quiet_s = 0.0
        self._gone = False
        self._receiving = False
        self._closing = False
        self._close_code = protocol.CLOSE_NORMAL
        self._evicted = False
        self._reader: asyncio.Task[None] | None = None

    def send(self, message: ServerMessage) -> None:
        """Queue it. A client that does not read is cut off; results are in the session's history and the store."""
        if self._gone:
            return
        try:
            self._waiting.put_nowait(message)
        except asyncio.QueueFull:
            _log.info("client_does_not_read")
            self._give_up()

    @property
    def socket(self) -> ClientSocket:
        return self._socket

    async def run(self, session: Session) -> bool:
        """Until the client has left, was evicted, or has been told that its session is over.

        `session.ended` tells which: it is None where the session waits for its client to come back. Returns whether the
        client has answered the close, and so had all that was sent before.
        """
        writer = asyncio.create_task(self._write())
        watch = asyncio.create_task(self._watch(session))
        self._reader = asyncio.create_task(self._read(session))
        await asyncio.wait([self._reader])
        watch.cancel()
        passing_over = asyncio.create_task(self._pass_over())
        self._report_failure(self._reader)
        if self._closing and not self._evicted and session.ended is None:
            await session.end_utterance("stop")
        if not self._evicted and session.ended is not None and not self._gone:
            await self._send_rest(session)
        writer.cancel()
        await self._close()
        passing_over.cancel()
        return self._socket.protocol.close_rcvd is not None and not (self._gone or self._evicted)

    def shut_down(self) -> None:
        """The daemon stops: read nothing more, send what is still to come, close with 1001."""
        self._close_code = protocol.CLOSE_GOING_AWAY
        self._stop_reading()

    def evict(self) -> None:
        """Another connection has taken the session over: read nothing more, send nothing more."""
        self._evicted = True
        self._stop_reading()

    def _stop_reading(self) -> None:
        self._closing = True
        if self._receiving and self._reader is not None:
            self._reader.cancel()

    def _report_failure(self, reader: asyncio.Task[None]) -> None:
        """An exception nobody expected: to the log with an id, and the id to the client."""
        if reader.cancelled() or (error := reader.exception()) is None:
            return
        error_id = secrets.token_hex(4)
        _log.error("connection_failed", error_id=error_id, exc_info=error)
        text = f"Something went wrong in the daemon; its log says what, under {error_id}. Connect again to go on."
        self.send(protocol.error("INTERNAL_ERROR", text, details={"id": error_id}))
        self._close_code = protocol.CLOSE_INTERNAL
        self._closing = True

    # --- in ---

    async def _read(self, session: Session) -> None:
        """The client is gone when this ends, unless it said stop, or this side closes."""
        try:
            self._receiving = True
            if self._resumed:
                await session.go_on()
            while session.ended is None and not self._closing:
                self._receiving = True
                frame = await self._socket.recv()
                self._receiving = False
                self._quiet_s = 0.0
                await self._take(frame, session)
                await asyncio.sleep(0)  # thousands of tiny frames may be here already: the others get their turn
        except ConnectionClosed:
            self._gone = True

    async def _take(self, frame: str | bytes, session: Session) -> None:
        try:
            if isinstance(frame, str):
                await self._obey(frame, session)
            else:
                await session.feed(frame)
        except WernickeError as error:
            self.send(protocol.error(error.code, protocol.sentence(str(error))))

    async def _obey(self, text: str, session: Session) -> None:
        match protocol.parse(text):
            case Start() as start:
                session.configure(self._options(start))
                self._greet()
            case Flush():
                await session.end_utterance("flush")
            case Stop():
                await session.end_utterance("stop")
            case Keepalive():
                pass

    async def _pass_over(self) -> None:
        """What a client goes on to send is not taken, but read: behind it are its pings and its answer to the close."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._socket.recv()

    # --- out ---

    async def _write(self) -> None:
        while True:
            message = await self._waiting.get()
            try:
                await asyncio.wait_for(self._socket.send(protocol.encode(message)), SEND_TIMEOUT_S)
            except ConnectionClosed:
                self._give_up()
            except TimeoutError:
                _log.info("client_does_not_read")
                self._give_up()
            finally:
                self._waiting.task_done()

    def _give_up(self) -> None:
        self._gone = True
        self._socket.transport.abort()
        while not self._waiting.empty():
            self._waiting.get_nowait()
            self._waiting.task_done()

    async def _send_rest(self, session: Session) -> None:
        """Everything that is still to come, and whether it was everything."""
        await session.done.wait()
        if session.abandoned and not self._closing:
            self._close_code = protocol.CLOSE_INTERNAL
        elif session.ended == "stop" and not self._closing:
            self.send(protocol.SessionEnded(session.id))
        await self._waiting.join()

    async def _close(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._socket.close(self._close_code), CLOSE_TIMEOUT_S)

    # --- signs of life ---

    async def _watch(self, session: Session) -> None:
        """Pings; closes after `timeout_s` without audio, message or pong. Counted in pings, not by a clock: the client
        could not be heard while the machine slept."""
        every_s = min(PING_EVERY_S, self._timeout_s / 4)
        with contextlib.suppress(ConnectionClosed):
            while self._quiet_s <= self._timeout_s:
                pong = asyncio.ensure_future(await self._socket.ping())
                pong.add_done_callback(self._ponged)
                await asyncio.sleep(every_s)
                self._quiet_s = 0.0 if session.paused else self._quiet_s + every_s
            text = f"Nothing was heard from the client for {self._timeout_s:.0f} s; connect again to go on."
            self.send(protocol.error("IDLE_TIMEOUT", text))
            await self._waiting.join()
            await self._socket.close(protocol.CLOSE_NORMAL)

    def _ponged(self, pong: asyncio.Future[float]) -> None:
        if not pong.cancelled() and pong.exception() is None:
            self._quiet_s = 0.0
