"""A stream of a program made for another service, passed on to a session of the front and back.

Here is what all such programs have in common; what is said on either side is translated by a `Dialect`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from wernicke_daemon.web import refusals
from wernicke_daemon.web.front import SESSIONS, TIMEOUT_S, Front, FrontSocket
from wernicke_daemon.wire.protocol import CLOSE_INTERNAL, CLOSE_NORMAL

Message = dict[str, Any]

STOP = '{"type":"stop"}'
FLUSH = '{"type":"flush"}'

LARGEST_FRAME = 1024 * 1024
"""Bytes of audio that are passed on at once: what the front takes whatever its audio.max_frame_mib is."""

AWAY = "The daemon does not answer at the moment; try again in a few seconds."
BROKEN_OFF = "The daemon has ended this stream; what was said so far is kept."

STATUS = {"SERVER_OVERLOADED": 429, "UNAUTHORIZED": 401}
"""Of a refusal, by our code; any other is 400."""


class NotTaken(Exception):
    """The front takes no session, or not this one. status: of HTTP. The text is a sentence for the client."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Heard(NamedTuple):
    """What comes of a client's frame."""

    to_front: Sequence[str | bytes] = ()
    to_client: Sequence[Message] = ()  # before that


class Dialect(Protocol):
    """Between one client's words and ours. Pure: frames and messages in, frames and messages out."""

    def begun(self) -> list[Message]:
        """What the client is told first."""
        return []

    def heard(self, frame: str | bytes) -> Heard:
        """Of the client. Not called again once STOP was passed on."""

    def told(self, message: Message) -> list[Message]:
        """Any message of the front, after the greeting; what the client is told of it."""

    def ended(self) -> list[Message]:
        """The client's last messages, of a session that is over."""

    def broken_off(self) -> Message:
        """The client's last message where the front has hung up before that."""


@contextlib.asynccontextmanager
async def session(front: Front, start: Message) -> AsyncIterator[tuple[FrontSocket, Message]]:
    """A session of the front that was asked for with `start`, and its greeting. Raises NotTaken."""
    try:
        line = await front.socket(SESSIONS)
    except InvalidStatus as refused:
        raise NotTaken(503, f"The daemon let nobody in (HTTP {refused.response.status_code}).") from None
    except (OSError, TimeoutError, WebSocketException):
        raise NotTaken(503, AWAY) from None
    async with line:
        yield line, await _greeting(line, start)


async def _greeting(line: FrontSocket, start: Message) -> Message:
    try:
        with contextlib.suppress(ConnectionClosed):  # it may have said already that it can't
            await line.send(in_json(start))
        async with asyncio.timeout(TIMEOUT_S):
            hello = _parsed(await line.recv())
    except (OSError, TimeoutError, WebSocketException):
        raise NotTaken(503, AWAY) from None
    if hello["type"] == "error":
        raise NotTaken(STATUS.get(hello["code"], 400), hello["message"])
    return hello


def recogniser(hello: Message) -> str:
    """Name of the engine that is at work. hello: the front's greeting."""
    return str(hello["engines"].get("asr", "")).partition(" ")[0]


async def refuse(client: WebSocket, status: int, sentence: str, param: str | None = None) -> None:
    """In place of its acceptance. param: the option that is wrong."""
    answer = refusals.answer(client.url.path, status, sentence, param)
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # it has hung up
        await client.send_denial_response(answer)


class Stream:
    """From the acceptance of a client on."""

    def __init__(self, client: WebSocket, line: FrontSocket, dialect: Dialect) -> None:
        self._client = client
        self._line = line
        self._dialect = dialect
        self._telling = asyncio.Lock()  # or what is told of one frame would stand within that of another
        self._stopped = False  # nothing more is passed on

    async def run(self) -> None:
        down, up = asyncio.create_task(self._down()), asyncio.create_task(self._up())  # that one tells first
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        for task in (up, down):
            task.cancel()
        outcomes = await asyncio.gather(up, down, return_exceptions=True)
        await self._pass_on(STOP)  # nobody can come back for it
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _up(self) -> None:
        """Until the client is gone. What the front takes slowly is read slowly."""
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            while (message := await self._client.receive())["type"] == "websocket.receive":
                if not self._stopped:
                    text = message.get("text")
                    await self._take(self._dialect.heard(message["bytes"] if text is None else text))

    async def _take(self, heard: Heard) -> None:
        if heard.to_client:
            async with self._telling:
                await self._tell(heard.to_client)
        for data in heard.to_front:
            await self._pass_on(data)

    async def _pass_on(self, data: str | bytes) -> None:
        if not self._stopped:
            self._stopped = data == STOP
            with contextlib.suppress(ConnectionClosed):  # the client is told when all that came has been passed on
                for piece in _pieces(data):
                    await self._line.send(piece)

    async def _down(self) -> None:
        """Until the session is over. A client that has gone meanwhile is told nothing more; what it had said is still
        passed on."""
        async with self._telling:
            await self._tell(self._dialect.begun())
        with contextlib.suppress(ConnectionClosed):
            async for frame in self._line:
                message = _parsed(frame)
                async with self._telling:
                    await self._tell(self._dialect.told(message))
                    if message["type"] == "session_ended":
                        await self._tell(self._dialect.ended())
                        await self._hang_up(CLOSE_NORMAL)
                        return
        async with self._telling:
            await self._tell([self._dialect.broken_off()])
            await self._hang_up(CLOSE_INTERNAL, BROKEN_OFF)

    async def _tell(self, messages: Sequence[Message]) -> None:
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            for message in messages:
                await self._client.send_text(in_json(message))

    async def _hang_up(self, code: int, why: str | None = None) -> None:
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await self._client.close(code, why)


def _pieces(data: str | bytes) -> Iterator[str | bytes]:
    """Of audio; a message is one."""
    if isinstance(data, str):
        return iter([data])
    return (data[at : at + LARGEST_FRAME] for at in range(0, len(data), LARGEST_FRAME))


def in_json(message: Message) -> str:
    return msgspec.json.encode(message).decode()


def _parsed(frame: str | bytes) -> Message:
    return msgspec.json.decode(frame, type=Message)
