"""`/v1/listen`: a stream of a Deepgram client."""

import hashlib
from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.websockets import WebSocket

from ipc.errors import WernickeError
from wernicke_daemon.web import access, refusals, relay
from wernicke_daemon.web.deepgram import commands, keys
from wernicke_daemon.web.deepgram.options import Asked, asked
from wernicke_daemon.web.deepgram.results import Translation, error
from wernicke_daemon.web.relay import Heard, Message
from wernicke_daemon.wire.protocol import utc_text

router = APIRouter()
"""WebSockets say by themselves whom they let in."""


@router.websocket(refusals.DEEPGRAM)
async def listen(socket: WebSocket) -> None:
    key, subprotocol = keys.offered(socket.headers)
    if not access.knows(key, socket.app.state.setup):
        await relay.refuse(socket, 401, "This daemon does not know the key; use a token of its security.clients.")
        return
    try:
        wanted = asked(socket.query_params.multi_items())
        async with relay.session(socket.app.state.front, wanted.start) as (line, hello):
            await socket.accept(subprotocol, headers=[(b"dg-request-id", hello["session_id"].encode())])
            await relay.Stream(socket, line, Deepgram(wanted, hello)).run()
    except relay.NotTaken as refused:
        await relay.refuse(socket, refused.status, str(refused))
    except WernickeError as wrong:
        await relay.refuse(socket, 400, str(wrong))


class Deepgram(relay.Dialect):
    """Of one stream."""

    def __init__(self, wanted: Asked, hello: Message) -> None:
        self._audio = wanted.audio
        self._id: str = hello["session_id"]
        self._translation = Translation(wanted, hello)
        self._created = utc_text(datetime.now(UTC).timestamp())
        self._sha256 = hashlib.sha256()
        self._bytes = 0  # of audio

    def heard(self, frame: str | bytes) -> Heard:
        if isinstance(frame, str):
            command = commands.ours(frame)
            return Heard([command]) if command else Heard(to_client=[commands.refusal(frame, self._id)])
        self._sha256.update(frame)
        self._bytes += len(frame)
        return Heard([frame or relay.STOP])  # an empty frame was CloseStream once

    def told(self, message: Message) -> list[Message]:
        return self._translation.take(message)

    def ended(self) -> list[Message]:
        metadata = {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self._id,
            "sha256": self._sha256.hexdigest(),
            "created": self._created,
            "duration": round(self._bytes / self._audio.bytes_per_second, 3),
            "channels": self._audio.channels,
        }
        return [metadata]

    def broken_off(self) -> Message:
        return error("INTERNAL_ERROR", relay.BROKEN_OFF)
