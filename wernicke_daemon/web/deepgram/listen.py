"""`/v1/listen`: a stream of a Deepgram client, passed on to a session of the front and back."""

import asyncio
import contextlib
import hashlib
import re
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from ipc.errors import WernickeError
from wernicke_daemon.web import access
from wernicke_daemon.web.deepgram import commands, keys
from wernicke_daemon.web.deepgram.options import Asked, asked
from wernicke_daemon.web.deepgram.results import Message, Translation, error
from wernicke_daemon.web.front import TIMEOUT_S, FrontSocket
from wernicke_daemon.wire.protocol import CLOSE_INTERNAL, CLOSE_NORMAL, utc_text

router = APIRouter()
"""WebSockets say by themselves whom they let in."""

SESSIONS = "/transcribe"

AWAY = "The daemon does not answer at the moment; try again in a few seconds."
BROKEN_OFF = "The daemon has ended this stream; what was said so far is kept."

STATUS = {"SERVER_OVERLOADED": 429, "UNAUTHORIZED": 401}
"""Of a refusal, by our code; any other is 400."""

ERR_CODES = {400: "Bad Request", 401: "INVALID_AUTH", 429: "TOO_MANY_REQUESTS", 503: "SERVICE_UNAVAILABLE"}


@router.websocket("/v1/listen")
async def listen(socket: WebSocket) -> None:
    key, subprotocol = keys.offered(socket.headers)
    if not access.knows(key, socket.app.state.setup):
        await _refuse(socket, 401, "This daemon does not know the key; use a token of its security.clients.")
        return
    try:
        wanted = asked(socket.query_params.multi_items())
    except WernickeError as wrong:
        await _refuse(socket, 400, str(wrong))
        return
    try:
        async with socket.app.state.front.socket(SESSIONS) as line:
            await _session(socket, line, wanted, subprotocol)
    except InvalidStatus as refused:
        await _refuse(socket, 503, f"The daemon let nobody in (HTTP {refused.response.status_code}).")
    except (OSError, TimeoutError, WebSocketException):
        await _refuse(socket, 503, AWAY)


async def _session(socket: WebSocket, line: FrontSocket, wanted: Asked, subprotocol: str | None) -> None:
    """line: just opened. The client is let in when the front has taken it. Raises what reading the line does, before
    that."""
    with contextlib.suppress(ConnectionClosed):  # it may have said already that it can't
        await line.send(msgspec.json.encode(wanted.start).decode())
    async with asyncio.timeout(TIMEOUT_S):
        hello = _parsed(await line.recv())
    if hello["type"] == "error":
        await _refuse(socket, STATUS.get(hello["code"], 400), hello["message"])
        return
    await socket.accept(subprotocol, headers=[(b"dg-request-id", hello["session_id"].encode())])
    await _Stream(socket, line, wanted, hello).run()


class _Stream:
    """From the acceptance of a client on."""

    def __init__(self, socket: WebSocket, line: FrontSocket, wanted: Asked, hello: Message) -> None:
        self._socket = socket
        self._line = line
        self._audio = wanted.audio
        self._id: str = hello["session_id"]
        self._translation = Translation(wanted, hello)
        self._created = utc_text(datetime.now(UTC).timestamp())
        self._sha256 = hashlib.sha256()
        self._bytes = 0  # of audio
        self._stopped = False  # nothing more is passed on

    async def run(self) -> None:
        up, down = asyncio.create_task(self._up()), asyncio.create_task(self._down())
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        for task in (up, down):
            task.cancel()
        outcomes = await asyncio.gather(up, down, return_exceptions=True)
        await self._pass_on(commands.STOP)  # nobody can come back for it
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _up(self) -> None:
        """Until the client is gone. What the front takes slowly is read slowly."""
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            while (message := await self._socket.receive())["type"] == "websocket.receive":
                await self._take(message)

    async def _take(self, message: Any) -> None:
        audio, text = message.get("bytes"), message.get("text")
        if audio:
            self._count(audio)
            await self._pass_on(audio)
        elif audio is not None:  # an empty frame was CloseStream once
            await self._pass_on(commands.STOP)
        elif (command := commands.ours(text)) is not None:
            await self._pass_on(command)
        else:
            await self._tell(commands.refusal(text, self._id))

    def _count(self, audio: bytes) -> None:
        if not self._stopped:
            self._sha256.update(audio)
            self._bytes += len(audio)

    async def _pass_on(self, data: str | bytes) -> None:
        if not self._stopped:
            self._stopped = data == commands.STOP
            with contextlib.suppress(ConnectionClosed):  # the client is told when all that came has been passed on
                await self._line.send(data)

    async def _down(self) -> None:
        """Until the session is over, or one side is gone."""
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            with contextlib.suppress(ConnectionClosed):
                async for frame in self._line:
                    message = _parsed(frame)
                    for told in self._translation.take(message):
                        await self._tell(told)
                    if message["type"] == "session_ended":
                        await self._tell(self._metadata())
                        await self._socket.close(CLOSE_NORMAL)
                        return
            await self._tell(error("INTERNAL_ERROR", BROKEN_OFF))
            await self._socket.close(CLOSE_INTERNAL, BROKEN_OFF)

    async def _tell(self, message: Message) -> None:
        await self._socket.send_text(msgspec.json.encode(message).decode())

    def _metadata(self) -> Message:
        return {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self._id,
            "sha256": self._sha256.hexdigest(),
            "created": self._created,
            "duration": round(self._bytes / self._audio.bytes_per_second, 3),
            "channels": self._audio.channels,
        }


def _parsed(frame: str | bytes) -> Message:
    return msgspec.json.decode(frame, type=Message)


async def _refuse(socket: WebSocket, status: int, sentence: str) -> None:
    """In place of the acceptance; the sentence in the header, too, as most clients show no body."""
    request_id = str(uuid.uuid4())
    body = {"err_code": ERR_CODES[status], "err_msg": sentence, "request_id": request_id}
    headers = {"dg-request-id": request_id, "dg-error": _in_header(sentence)}
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # it has hung up
        await socket.send_denial_response(JSONResponse(body, status, headers))


def _in_header(sentence: str) -> str:
    """It may quote what the client said, line ends included."""
    return re.sub(r"[^ -~]", "?", sentence)
