"""`/edit`: one change of what is kept, and the answer. Of a session that goes on it is the session that changes; of one
that is over, what is in the store."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog
from websockets.exceptions import ConnectionClosed

from ipc.errors import WernickeError
from wernicke_daemon.gateway.transport import ClientSocket
from wernicke_daemon.records import stored_sessions, stored_speakers, transcript_file
from wernicke_daemon.sessions.registry import SessionRegistry
from wernicke_daemon.utterances import titles
from wernicke_daemon.wire import protocol

_log = structlog.get_logger()

WITHIN_S = 10.0
"""For the message to come."""


class StillOn(WernickeError):
    """The session is not over, or audio of it waits for its results: they would bring it back."""

    code = "INVALID_MESSAGE"


class Editor:
    """For all connections."""

    def __init__(self, sessions: SessionRegistry, transcripts: Path) -> None:
        self._sessions = sessions
        self._transcripts = transcripts  # the file
        self._one_by_one = asyncio.Lock()  # changes of it

    async def serve(self, socket: ClientSocket) -> None:
        """One message in, one out."""
        try:
            async with asyncio.timeout(WITHIN_S):
                frame = await socket.recv()
            await socket.send(protocol.encode(await self._answer(frame)))
            await socket.close(protocol.CLOSE_NORMAL)
        except (TimeoutError, ConnectionClosed):
            return

    async def _answer(self, frame: str | bytes) -> protocol.ServerMessage:
        try:
            await self._do(protocol.parse_edit(frame))
        except WernickeError as error:
            return protocol.error(error.code, protocol.sentence(str(error)))
        return protocol.Done()

    async def _do(self, edit: protocol.Edit) -> None:
        """Raises WernickeError."""
        match edit:
            case protocol.Rename(session_id, speaker, name):
                if (session := self._sessions.known(session_id)) is not None:
                    session.call(speaker, name)
                else:
                    await self._in_store(_rename, session_id, speaker, titles.checked(name))
            case protocol.Delete(session_id):
                if self._sessions.is_on(session_id):
                    raise StillOn("That session is not over yet; it can be deleted once it has all its results")
                self._sessions.forget(session_id)
                await self._in_store(_delete, session_id)
                _log.info("session_deleted", session=session_id)

    async def _in_store(self, change: Callable[..., object], *arguments: str) -> None:
        async with self._one_by_one:
            await asyncio.to_thread(change, self._transcripts, *arguments)


def _rename(transcripts: Path, session_id: str, speaker: str, name: str) -> None:
    """In all sessions that go on one for another. Raises NoTranscript."""
    with transcript_file.reading(transcripts) as database:
        parts = [part for part, _ in transcript_file.meeting(database, transcript_file.find(database, session_id))]
    stored_speakers.rename(transcripts, parts, speaker, name)


def _delete(transcripts: Path, session_id: str) -> None:
    """Raises NoTranscript."""
    stored_sessions.delete(transcripts, session_id)
