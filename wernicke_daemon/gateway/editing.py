"""Changes of what is kept: who a voice is, said by a session's client or over `/edit`, and deletion. What is in memory
and what is in the store change alike.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from pathlib import Path

import structlog
from websockets.exceptions import ConnectionClosed

from ipc.errors import WernickeError
from wernicke_daemon.gateway.transport import ClientSocket
from wernicke_daemon.records import stored_sessions, stored_speakers, transcript_file
from wernicke_daemon.records.transcript_file import NoTranscript
from wernicke_daemon.sessions.registry import SessionRegistry
from wernicke_daemon.utterances import titles
from wernicke_daemon.utterances.voices import Voices
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
                await self.call(session_id, speaker, name)
            case protocol.Delete(session_id):
                if self._sessions.is_on(session_id):
                    raise StillOn("That session is not over yet; it can be deleted once it has all its results")
                async with self._one_by_one:
                    await self._change(stored_sessions.delete, session_id)
                self._sessions.forget(session_id)  # only now: pages must not be told what is not so
                _log.info("session_deleted", session=session_id)

    async def call(self, session_id: str, speaker: str, name: str) -> None:
        """Somebody says who a voice is, in all sessions that go on one for another. speaker: as results have it. Raises
        NoTranscript and BadName."""
        async with self._one_by_one:
            if (session := self._sessions.known(session_id)) is None:
                stored = await asyncio.to_thread(_found, self._transcripts, session_id)
            else:
                ids = {session_id, session.continues or session_id}
                stored = await asyncio.to_thread(_stored, self._transcripts, ids)
            voices = self._sessions.voices({session_id, *stored})
            if voices is None:
                await self._change(stored_speakers.rename, [*stored], speaker, titles.checked(name))
            else:
                await self._call(voices, stored, speaker, name)

    async def _call(self, voices: Voices, stored: Collection[str], speaker: str, name: str) -> None:
        """First in the store: where that fails nothing is changed. stored: sessions that the store has."""
        replacing = voices.replacing(speaker, name)
        whole = self._sessions.whole(voices)
        if replacing and (parts := [part for part in stored if part not in whole]):
            await self._change(stored_speakers.rename_where_heard, parts, *replacing)
        self._sessions.call(voices, speaker, name)

    async def _change(self, change: Callable[..., object], *arguments: object) -> None:
        await asyncio.to_thread(change, self._transcripts, *arguments)


def _found(transcripts: Path, session_id: str) -> set[str]:
    """The sessions that go on one for another with this one. Raises NoTranscript where there is none."""
    with transcript_file.reading(transcripts) as database:
        return {part for part, _ in transcript_file.meeting(database, transcript_file.find(database, session_id))}


def _stored(transcripts: Path, ids: Collection[str]) -> set[str]:
    """The same of sessions in memory, which can be named where the store has nothing of them, or can't be read, too."""
    with contextlib.suppress(NoTranscript), transcript_file.reading(transcripts) as database:
        return {part for each in ids for part, _ in transcript_file.meeting(database, each)}
    return set()
