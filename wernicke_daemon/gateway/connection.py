"""One WebSocket: what its client sends goes to its session, what the session has for it goes out.

Four tasks: one that reads the socket into the inbox, a reader that takes it from there, a writer (nothing else sends),
and a watch for signs of life. The library's keepalive is off: while the inbox is full, pongs are not read either, and
it would take a healthy client for dead.
"""

import asyncio
import contextlib
import enum
import secrets
from collections.abc import Awaitable, Callable

import structlog
from websockets.exceptions import ConnectionClosed

from ipc.errors import WernickeError
from wernicke_daemon.gateway.inbox import Allowance, Inbox
from wernicke_daemon.gateway.transport import ClientSocket
from wernicke_daemon.sessions.history import HISTORY
from wernicke_daemon.sessions.options import Options
from wernicke_daemon.sessions.session import Session
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.protocol import Flush, Keepalive, Name, ServerMessage, Start, Stop

_log = structlog.get_logger()

MOST_UNSENT = 2 * HISTORY
"""Messages kept for a client that does not read; then it is cut off and its results are kept elsewhere."""

SEND_TIMEOUT_S = 20.0
PING_EVERY_S = 20.0
CLOSE_TIMEOUT_S = 5.0


class State(enum.IntEnum):
    """Where a connection stands. It goes to and fro between the first two, and else only on, from any to any later."""

    RECEIVING = enum.auto()
    """The reader waits for the client's next frame. It may be cancelled."""

    TAKING = enum.auto()
    """A frame is being taken, or reading has not begun. The reader is not cancelled: part of a frame would be lost."""

    SHUTTING_DOWN = enum.auto()
    """The daemon stops. Nothing more is read; the session ends, what is still to come is sent, close code 1001."""

    FAILED = enum.auto()
    """There was an exception nobody expected, or the session was abandoned. As SHUTTING_DOWN, but close code 1011."""

    GONE = enum.auto()
    """The client has hung up or does not read. What it sent before is still taken; nothing more is sent."""

    EVICTED = enum.auto()
    """Another connection has taken the session over. Nothing more is read or sent, close code 1000."""

    def then(self, state: "State") -> "State":
        """The state after something that leads to `state`, unless it is past that."""
        return state if state > self or self is State.TAKING else self


READING = frozenset({State.RECEIVING, State.TAKING, State.GONE})
"""While the client's frames are taken."""

_CLOSE_CODES = {State.SHUTTING_DOWN: protocol.CLOSE_GOING_AWAY, State.FAILED: protocol.CLOSE_INTERNAL}


class Connection:
    """One client's WebSocket, for as long as it has a session."""

    def __init__(
        self,
        socket: ClientSocket,
        allowance: Allowance,
        options: Callable[[Start], Options],
        greet: Callable[[], None],
        call: Callable[[str, str, str], Awaitable[None]],
        timeout_s: float,
        resumed: bool,
    ) -> None:
        self._socket = socket  # the library's end of it
        self._allowance = allowance  # memory for what is read ahead
        self._options = options  # turns a start message into the session's options; raises WernickeError
        self._greet = greet  # tells the client of its session, once its options may ask for that
        self._call = call  # says who a voice is: session, speaker, name; raises WernickeError
        self._timeout_s = timeout_s  # without a sign of life, after which the connection is closed
        self._resumed = resumed  # the session is one that the client came back to
        self._state = State.TAKING  # how far it is from taking audio to being gone
        self._unsent: asyncio.Queue[ServerMessage] = asyncio.Queue(MOST_UNSENT)  # what the writer has to send
        self._quiet_s = 0.0  # since the last sign of life, as far as it was watched
        self._reader: asyncio.Task[None] | None = None  # from `run` on
        self._inbox: Inbox  # from `run` on

    @property
    def socket(self) -> ClientSocket:
        return self._socket

    def send(self, message: ServerMessage) -> None:
        """Queue it. A client that does not read is cut off; results are in the session's history and the store."""
        if self._state >= State.GONE:
            return
        try:
            self._unsent.put_nowait(message)
        except asyncio.QueueFull:
            _log.info("client_does_not_read")
            self._give_up()

    async def run(self, session: Session) -> bool:
        """Until the client has left, was evicted, or has been told that its session is over.

        `session.ended` tells which: it is None where the session waits for its client to come back. Returns whether the
        client has answered the close, and so had all that was sent before.
        """
        self._inbox = Inbox(self._socket.recv, self._allowance, lambda: session.paused, self._heard)
        receiver = asyncio.create_task(self._inbox.run())
        writer = asyncio.create_task(self._write())
        watch = asyncio.create_task(self._watch())
        self._reader = asyncio.create_task(self._read(session))
        await asyncio.wait([self._reader])
        watch.cancel()
        self._inbox.drop()
        self._report_failure(self._reader)
        await self._finish(session)
        writer.cancel()
        await self._close()
        receiver.cancel()
        return self._socket.protocol.close_rcvd is not None and self._state < State.GONE

    def shut_down(self) -> None:
        """The daemon stops."""
        self._stop_reading(State.SHUTTING_DOWN)

    def evict(self) -> None:
        """Another connection has taken the session over."""
        self._stop_reading(State.EVICTED)

    def _stop_reading(self, state: State) -> None:
        if self._state is State.RECEIVING and self._reader is not None:
            self._reader.cancel()
        self._become(state)

    def _become(self, state: State) -> None:
        self._state = self._state.then(state)

    def _report_failure(self, reader: asyncio.Task[None]) -> None:
        """An exception nobody expected: to the log with an id, and the id to the client."""
        if reader.cancelled() or (error := reader.exception()) is None:
            return
        error_id = secrets.token_hex(4)
        _log.error("connection_failed", error_id=error_id, exc_info=error)
        text = f"Something went wrong in the daemon; its log says what, under {error_id}. Connect again to go on."
        self.send(protocol.error("INTERNAL_ERROR", text, details={"id": error_id}))
        self._become(State.FAILED)

    async def _finish(self, session: Session) -> None:
        """Nothing more is read: end the session where this side stops, and send what is still to come of one that has
        ended."""
        if self._state in (State.SHUTTING_DOWN, State.FAILED) and session.ended is None:
            await session.end_utterance("stop")
        if self._state < State.GONE and session.ended is not None:
            await self._send_rest(session)

    # --- in ---

    async def _read(self, session: Session) -> None:
        """Until the session has ended, the client is gone, or this side reads nothing more."""
        try:
            if self._resumed:
                self._become(State.RECEIVING)
                await session.go_on()
            while session.ended is None and (frame := await self._receive()) is not None:
                await self._take(frame, session)
                await asyncio.sleep(0)  # thousands of tiny frames may be here already: the others get their turn
        except ConnectionClosed:
            self._become(State.GONE)

    async def _receive(self) -> str | bytes | None:
        """The next frame; None if nothing more is to be read."""
        if self._state not in READING:
            return None
        self._become(State.RECEIVING)
        frame = await self._inbox.take()
        self._become(State.TAKING)
        return frame if self._state in READING else None

    async def _take(self, frame: str | bytes, session: Session) -> None:
        try:
            if isinstance(frame, str):
                await self._take_message(frame, session)
            else:
                await session.feed(frame)
        except WernickeError as error:
            self.send(protocol.error(error.code, protocol.sentence(str(error))))

    async def _take_message(self, text: str, session: Session) -> None:
        match protocol.parse(text):
            case Start() as start:
                session.configure(self._options(start))
                self._greet()
            case Flush():
                await session.end_utterance("flush")
            case Stop():
                await session.end_utterance("stop")
            case Name(speaker, name):
                await self._call(session.id, speaker, name)
            case Keepalive():
                pass

    # --- out ---

    async def _write(self) -> None:
        while True:
            message = await self._unsent.get()
            try:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await self._socket.send(protocol.encode(message))
            except ConnectionClosed:
                self._give_up()
            except TimeoutError:
                _log.info("client_does_not_read")
                self._give_up()
            finally:
                self._unsent.task_done()

    def _give_up(self) -> None:
        self._become(State.GONE)
        self._socket.transport.abort()
        while not self._unsent.empty():
            self._unsent.get_nowait()
            self._unsent.task_done()

    async def _send_rest(self, session: Session) -> None:
        """Everything that is still to come, and that it was everything where the client had asked for the end."""
        await session.done.wait()
        if self._state < State.SHUTTING_DOWN:
            if session.abandoned:
                self._become(State.FAILED)
            elif session.ended == "stop":
                self.send(protocol.SessionEnded(session.id))
        await self._unsent.join()

    async def _close(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._socket.close(_CLOSE_CODES.get(self._state, protocol.CLOSE_NORMAL))

    # --- signs of life ---

    async def _watch(self) -> None:
        """Pings; closes after `timeout_s` without audio, message or pong. Counted in pings, not by a clock: the client
        could not be heard while the machine slept."""
        every_s = min(PING_EVERY_S, self._timeout_s / 4)
        with contextlib.suppress(ConnectionClosed):
            while self._quiet_s <= self._timeout_s:
                pong = asyncio.ensure_future(await self._socket.ping())
                pong.add_done_callback(self._ponged)
                await asyncio.sleep(every_s)
                self._quiet_s = self._quiet_s + every_s if self._inbox.reading else 0.0
            text = f"Nothing was heard from the client for {self._timeout_s:.0f} s; connect again to go on."
            self.send(protocol.error("IDLE_TIMEOUT", text))
            await self._unsent.join()
            await self._socket.close(protocol.CLOSE_NORMAL)

    def _ponged(self, pong: asyncio.Future[float]) -> None:
        if not pong.cancelled() and pong.exception() is None:
            self._heard()

    def _heard(self) -> None:
        self._quiet_s = 0.0
