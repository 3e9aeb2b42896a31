"""Reference client of the wire protocol: audio in, messages out. Knows nothing of files, microphones or terminals.

A line that breaks is taken up again with nothing lost: see `Client`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from ipc import clock
from ipc.audio_handle import SAMPLE_RATE
from wernicke_daemon.client.connecting import DEFAULT_URL, ClientError, Exit, open_connection, query
from wernicke_daemon.client.resuming import LostLine, Numbering, Outgoing
from wernicke_daemon.wire.audio import AudioFormat
from wernicke_daemon.wire.protocol import CLOSE_GOING_AWAY, CLOSE_INTERNAL, CLOSE_TRY_AGAIN

MONO_16K = AudioFormat(SAMPLE_RATE, channels=1, encoding="f32le")
"""What the daemon works on: the least to send, and nothing is converted."""

ParsedMessage = dict[str, Any]
"""A message of the server as parsed from JSON. Loosely typed: a client reads newer servers too."""

PATIENCE_S = 60.0
"""Seconds for which a line that broke is tried again."""

_GOODBYE_S = 1.0
_STOP = '{"type":"stop"}'
_PASSING = frozenset({None, CLOSE_GOING_AWAY, CLOSE_INTERNAL, 1012, 1014})
"""Closes after which a client may connect again; None is a line that broke. The last two (restart, bad gateway) are
those of proxies (https://www.iana.org/assignments/websocket/websocket.xhtml)."""


class Client:
    """One session with a server, used as `async with Client(…) as client`, with somebody who iterates over it.

    url: ws:// or wss:// address of the endpoint. token: sent as a bearer token. language: ISO 639-1 code, "auto",
    or None for the server's own. events: what is wanted besides finals and errors. cafile: the one certificate that a
    wss:// server is trusted by, None for what this machine trusts. Entering raises ClientError or TlsError.

    Where the line breaks, the client comes back to its session: it tries for `patience_s`, which may be changed at any
    time, and sends again what the server has not received. Where the server has given the session up, another one
    begins there that goes on with its voices. Sequences and times of results are as if there were one session only.
    quiet_s: with unacknowledged audio, a line on which so long nothing came counts as broken; None where the server may
    be busy for as long as it likes. told: is given sentences about the line.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        token: str | None = None,
        language: str | None = None,
        audio: AudioFormat = MONO_16K,
        events: Iterable[str] = (),
        cafile: Path | None = None,
        patience_s: float = PATIENCE_S,
        quiet_s: float | None = None,
        told: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.audio = audio  # what is sent
        self.patience_s = patience_s  # seconds that it tries to come back, see above
        self._url = url  # ws:// or wss:// address
        self._token = token  # sent as a bearer token
        self._cafile = cafile  # the one certificate that is trusted; None for what this machine trusts
        self._quiet_s = quiet_s  # see above
        self._told = told  # see above
        self._options = query(audio, language, dict.fromkeys(("session", "ack", *events)))  # of the address
        self._socket: ClientConnection  # of the present connection, from `__aenter__` on
        self._sending: asyncio.Task[None]  # what passes on `_outgoing`
        self._hello: ParsedMessage | None = None  # of the present session; None where the server said none
        self._outgoing = Outgoing(audio.frame_bytes)  # audio that the server is not known to have
        self._numbering = Numbering()  # one numbering and one clock over all sessions
        self._line = LostLine()  # when to try again
        self._may_send = asyncio.Event()  # the line is there, and it is known where the audio goes on
        self._news = asyncio.Event()  # there may be something to send
        self._progress = asyncio.Event()  # something was sent or acknowledged, or nothing more will be
        self._invited = False  # the server said that it closes for want of life, and to connect again
        self._over = False  # everything came
        self._failure: ClientError | None = None  # why nothing more will come
        # What a close with 1013 means, unless the server says it better.
        self._refusal = "The server can take no more sessions now; try again later."

    async def __aenter__(self) -> Self:
        self._socket = await self._connect()
        self._may_send.set()
        self._sending = asyncio.create_task(self._send_all())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sending.cancel()
        if self._hello is not None and not self._over:  # nobody will come back: the server need not wait
            with contextlib.suppress(ConnectionClosed, TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await self._socket.send(_STOP)
        await self._socket.close()

    # --- out ---

    async def send(self, audio: bytes) -> None:
        """Send PCM of any length; waits while the server takes no more, or the line is broken. Raises ClientError if
        the session is over."""
        await self._send(audio)

    async def flush(self) -> None:
        """End the open utterance now."""
        await self._send('{"type":"flush"}')

    async def stop(self) -> None:
        """End the session: the remaining results come, then the iteration over messages ends."""
        await self._send(_STOP)

    async def _send(self, data: bytes | str) -> None:
        self._outgoing.add(data)
        self._news.set()
        while self._failure is None and self._outgoing.must_wait:
            self._progress.clear()
            await self._progress.wait()
        if self._failure is not None:
            raise self._failure

    async def _send_all(self) -> None:
        while True:
            await self._may_send.wait()
            if (item := self._outgoing.next()) is None:
                self._news.clear()
                await self._news.wait()
                continue
            await self._try_to_send(item)
            if self._hello is None and self._outgoing.is_full:
                self._outgoing.forget_sent()
            self._progress.set()

    async def _try_to_send(self, item: bytes | str) -> None:
        socket = self._socket
        try:
            await socket.send(item)
        except ConnectionClosed as closed:
            if not self._comes_back(closed):
                self._failure = self._early(closed)
            elif socket is self._socket:
                self._may_send.clear()

    # --- in ---

    async def __aiter__(self) -> AsyncIterator[ParsedMessage]:
        """The server's messages until it has sent everything after `stop()`. Raises ClientError if it ends sooner."""
        while True:
            try:
                message = _parse(await self._receive())
            except ConnectionClosed as closed:
                await self._come_back(closed)
                continue
            if message.get("code") == "SERVER_OVERLOADED":
                self._refusal = str(message.get("message") or self._refusal)
                continue  # the close that follows raises it
            yield self._taken(message)
            if self._over:
                return

    async def _receive(self) -> str | bytes:
        try:
            async with asyncio.timeout(self._quiet_s if self._outgoing.unacknowledged else None):
                return await self._socket.recv()
        except TimeoutError:
            self._socket.transport.abort()
            return await self._socket.recv()  # raises ConnectionClosed

    def _taken(self, message: ParsedMessage) -> ParsedMessage:
        match message.get("type"):
            case "connection_established":
                message = self._greeted(message)
            case "audio_received":
                self._received(message["bytes_received"])
            case "session_ended":
                self._over = True
        self._invited = message.get("code") == "IDLE_TIMEOUT"
        return self._numbering.take(message)

    def _greeted(self, hello: ParsedMessage) -> ParsedMessage:
        before, self._hello = self._hello, hello
        if before is None or hello.get("resumed"):
            return hello
        self._numbering.begin_anew(self._outgoing.begin_anew() / self.audio.bytes_per_second)
        self._is_back()
        return hello | {"gave_up": before["session_id"]}

    def _received(self, count: int) -> None:
        if self._line.lost:
            self._outgoing.go_on(count)
            self._is_back()
        else:
            self._outgoing.acknowledge(count)
        self._progress.set()

    # --- the line ---

    async def _connect(self) -> ClientConnection:
        hello = self._hello
        resume = {} if hello is None else {name: str(hello[name]) for name in ("session_id", "resume_token")}
        if resume:
            resume["session"] = resume.pop("session_id")
            resume["last_sequence"] = str(self._numbering.last_sequence)
        return await open_connection(self._url, self._options | resume, self._token, self._cafile)

    def _is_back(self) -> None:
        self._line.is_back()
        self._told("The line to the server is back; what was kept is sent now.")
        self._may_send.set()

    def _comes_back(self, closed: ConnectionClosed) -> bool:
        """Whether there is a session to come back to, and the server minds not."""
        code = closed.rcvd.code if closed.rcvd else None
        waits_for_place = self._line.lost and code == CLOSE_TRY_AGAIN
        return self._hello is not None and (code in _PASSING or self._invited or waits_for_place)

    async def _come_back(self, closed: ConnectionClosed) -> None:
        """Another connection, once there is one. Raises ClientError."""
        if not self._comes_back(closed):
            self._fail(self._early(closed), closed)
        self._may_send.clear()
        if not self._line.lost:
            self._told("The line to the server is broken; audio is kept, and it is tried again.")
        self._line.breaks(clock.monotonic())
        while (delay := self._line.delay(clock.monotonic(), self.patience_s)) is not None:
            await asyncio.sleep(delay)
            try:
                self._socket = await self._connect()
                return
            except ClientError as error:
                if error.exit_code is not Exit.UNREACHABLE:
                    self._fail(error, closed)
        self._fail(self._early(closed), closed)

    def _fail(self, error: ClientError, closed: ConnectionClosed) -> NoReturn:
        self._failure = error
        self._progress.set()
        raise error from closed

    def _early(self, closed: ConnectionClosed) -> ClientError:
        code = closed.rcvd.code if closed.rcvd else None
        if code == CLOSE_TRY_AGAIN:
            return ClientError(self._refusal, Exit.REFUSED)
        if code is None:
            said = "The connection to the server was lost"
        else:
            reason = f", {closed.rcvd.reason}" if closed.rcvd and closed.rcvd.reason else ""
            said = f"The server closed the connection early (code {code}{reason})"
        return ClientError(f"{said}; results may be missing, see the server's log.", Exit.LOST)


async def exchange(client: Client, audio: AsyncIterable[bytes], receive: Callable[[ParsedMessage], None]) -> None:
    """Send all audio and `stop`, handing over each message as it comes; returns when the last result is in.

    Raises ClientError, and what `audio` raised once the results of the audio before that are in.
    """
    sender = asyncio.create_task(_feed(client, audio))
    try:
        async for message in client:
            receive(message)
    finally:
        sender.cancel()
        [outcome] = await asyncio.gather(sender, return_exceptions=True)
    # A ClientError of the sender comes from the same close as the one that the receiver has raised already.
    if isinstance(outcome, Exception) and not isinstance(outcome, ClientError):
        raise outcome


async def _feed(client: Client, audio: AsyncIterable[bytes]) -> None:
    try:
        async for chunk in audio:
            await client.send(chunk)
    except Exception:
        await client.stop()
        raise
    await client.stop()


def problem(message: ParsedMessage) -> str | None:
    """A sentence where a message says that something will not come back as text, else None."""
    match message.get("type"):
        case "error":
            return str(message.get("message") or message.get("code"))
        case "connection_established" if (session := message.get("gave_up")) is not None:
            return (
                f"The server had given up session {session}, and goes on in a new one. What it made of the last words "
                f"before the line broke may be missing here; `wernicke export {session}` on its machine has it."
            )
        case "gap":
            times = f"{message.get('from')} s to {message.get('to')} s"
            return f"No text for the audio from {times} ({message.get('reason')})."
    return None


def _parse(data: str | bytes) -> ParsedMessage:
    try:
        return msgspec.json.decode(data, type=ParsedMessage)
    except ValueError as error:  # bytes that are no text are no DecodeError
        sentence = "The server sent something that is not the Wernicke protocol; check host, port and path."
        raise ClientError(sentence, Exit.UNREACHABLE) from error
