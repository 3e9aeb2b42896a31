"""Who comes in: the part of a connection before its session, and the kind of no that clients understand."""

import asyncio
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from ipc.errors import WernickeError
from wernicke_daemon.config.schema import SecuritySettings
from wernicke_daemon.gateway import access
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.protocol import Error, Start

RETRY_AFTER_S = 10.0

MOST_STRANGERS = 32
"""Connections that may wait at a time to bring their token in a first message."""

SMALL_FRAME = 64 * 1024
"""Bytes: room for a start message with its glossary. More is not taken from who is not let in yet."""


class Unauthorized(WernickeError):
    """A first message without a token that is known."""

    code = access.UNAUTHORIZED

    def __init__(self) -> None:
        super().__init__(access.REFUSALS[access.Verdict.REFUSED_TOKEN].message)


class Door:
    """check: raises WernickeError for a start message whose options can't be served. refused: is told of refusals."""

    def __init__(
        self, security: SecuritySettings, check: Callable[[Start], object], refused: Callable[[Error], None]
    ) -> None:
        self._security = security
        self._check = check
        self._refused = refused
        self._strangers = 0

    async def admit(self, socket: ServerConnection) -> Start | None:
        """What a first message said, where one was needed for its token; None where the client was turned away."""
        assert socket.request is not None
        query = dict(parse_qsl(urlsplit(socket.request.path).query))
        if access.request(self._security, socket.request.headers, query) is access.Verdict.ALLOWED:
            return Start()
        if self._strangers >= MOST_STRANGERS:
            await self.refuse(socket, "Too many connections wait to be let in")
            return None
        self._strangers += 1
        try:
            return await self._introduction(socket)
        finally:
            self._strangers -= 1

    async def _introduction(self, socket: ServerConnection) -> Start | None:
        try:
            return self._first(await asyncio.wait_for(socket.recv(), access.FIRST_MESSAGE_S))
        except (TimeoutError, ConnectionClosed):
            refusal: WernickeError = Unauthorized()
        except WernickeError as error:
            refusal = error
        await self._turn_away(socket, protocol.error(refusal.code, str(refusal)), protocol.CLOSE_POLICY)
        return None

    def _first(self, frame: str | bytes) -> Start:
        """A first message that brings a known token. Raises Unauthorized, and what its options may raise."""
        if access.first_message(self._security, frame) is not access.Verdict.ALLOWED:
            raise Unauthorized
        start = protocol.parse(frame if isinstance(frame, str) else "")
        assert isinstance(start, Start)  # access has seen its type
        self._check(start)
        return start

    async def refuse(self, socket: ServerConnection, why: str) -> None:
        """For what will pass: an HTTP refusal would keep today's clients from ever coming back."""
        text = f"{why}; try again in {RETRY_AFTER_S:.0f} s."
        message = protocol.error("SERVER_OVERLOADED", text, retry_after_s=RETRY_AFTER_S)
        await self._turn_away(socket, message, protocol.CLOSE_TRY_AGAIN)

    async def _turn_away(self, socket: ServerConnection, message: Error, code: int) -> None:
        self._refused(message)
        try:
            await socket.send(protocol.encode(message))
            await socket.close(code)
        except ConnectionClosed:
            return
