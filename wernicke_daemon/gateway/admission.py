"""Who is let in: what happens on a connection before it has a session, and how it is refused in a way that clients
understand."""

import asyncio
from collections.abc import Callable

import msgspec
from websockets.exceptions import ConnectionClosed

from ipc.errors import WernickeError
from wernicke_daemon.config.schema import SecuritySettings
from wernicke_daemon.gateway import access
from wernicke_daemon.gateway.http_request import SessionRequest, options_from
from wernicke_daemon.gateway.transport import ClientSocket
from wernicke_daemon.sessions.options import Options
from wernicke_daemon.wire import protocol
from wernicke_daemon.wire.protocol import Error, Start

RETRY_AFTER_S = 10.0

MOST_WITHOUT_TOKEN = 32
"""Connections that may wait at a time to bring their token in a first message."""


class Unauthorized(WernickeError):
    """A first message without a token that is known."""

    code = access.UNAUTHORIZED

    def __init__(self) -> None:
        super().__init__(access.REFUSALS[access.Verdict.REFUSED_TOKEN].message)


class Admitted(msgspec.Struct, frozen=True):
    """options: for a new session. session, resume_token, last_sequence: of the one that the client comes back to."""

    options: Options
    session: str | None
    resume_token: str | None
    last_sequence: int


class Admission:
    """refused: is told of refusals."""

    def __init__(self, security: SecuritySettings, refused: Callable[[Error], None]) -> None:
        self._security = security
        self._refused = refused
        self._without_token = 0

    async def admit(self, socket: ClientSocket, asked: SessionRequest) -> Admitted | None:
        """What the client asks for, in its request and in the first message where that has to bring its token; None
        where it was refused."""
        if not asked.needs_token:
            return _admitted(asked, Start())
        if self._without_token >= MOST_WITHOUT_TOKEN:
            await self.refuse(socket, "Too many connections wait to be let in")
            return None
        self._without_token += 1
        try:
            return await self._by_first_message(socket, asked)
        finally:
            self._without_token -= 1

    async def _by_first_message(self, socket: ClientSocket, asked: SessionRequest) -> Admitted | None:
        try:
            async with asyncio.timeout(access.FIRST_MESSAGE_S):
                frame = await socket.recv()
            return _admitted(asked, self._start(frame))
        except (TimeoutError, ConnectionClosed):
            refusal: WernickeError = Unauthorized()
        except WernickeError as error:
            refusal = error
        await self._send_and_close(socket, protocol.error(refusal.code, str(refusal)), protocol.CLOSE_POLICY)
        return None

    def _start(self, frame: str | bytes) -> Start:
        """A first message that brings a known token. Raises Unauthorized or InvalidMessage."""
        if access.first_message(self._security, frame) is not access.Verdict.ALLOWED:
            raise Unauthorized
        start = protocol.parse(frame if isinstance(frame, str) else "")
        assert isinstance(start, Start)  # access has seen its type
        return start

    async def refuse(self, socket: ClientSocket, why: str) -> None:
        """For what will pass: an HTTP refusal would keep today's clients from ever coming back."""
        text = f"{why}; try again in {RETRY_AFTER_S:.0f} s."
        message = protocol.error("SERVER_OVERLOADED", text, retry_after_s=RETRY_AFTER_S)
        await self._send_and_close(socket, message, protocol.CLOSE_TRY_AGAIN)

    async def _send_and_close(self, socket: ClientSocket, message: Error, code: int) -> None:
        self._refused(message)
        socket.turn_away()
        try:
            await socket.send(protocol.encode(message))
            await socket.close(code)
        except ConnectionClosed:
            return


def _admitted(asked: SessionRequest, first: Start) -> Admitted:
    """first: the first message, with nothing said where none was needed. Raises InvalidAudio or InvalidMessage."""
    named = first if first.session is not None else asked.start
    options = options_from(first, asked.options)
    return Admitted(options, named.session, named.resume_token, named.last_sequence or 0)
