"""All sessions of the daemon, with and without a client: made, waited for, ended, drained.

A session outlives its connection. Where its client knows how to come back, it waits `resume_window_s` for it; then its
audio ends, its last results go into the store, and its place is free. One that the client itself has ended keeps its
results as long, without a place, unless the client is known to have them. A client that comes later gets a new session,
which goes on with the voices of the old one.
"""

import asyncio
import hmac
import secrets
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import structlog
from msgspec.structs import replace

from ipc.arena import Arena
from wernicke_daemon.config import glossary
from wernicke_daemon.config.schema import Config
from wernicke_daemon.records.earlier import EarlierSession, resume_key
from wernicke_daemon.records.journal_files import Leftover
from wernicke_daemon.sessions.ingest_tick import IngestTick
from wernicke_daemon.sessions.options import Options, StartingPoint
from wernicke_daemon.sessions.recorder import Recorder
from wernicke_daemon.sessions.session import Session
from wernicke_daemon.sessions.speculation import Workbench
from wernicke_daemon.sessions.watching import Watchers
from wernicke_daemon.utterances.voices import NOTHING, Known, Voices
from wernicke_daemon.wire.fairness import oldest_of_busiest_address
from wernicke_daemon.wire.protocol import Degraded, Restored, SessionDeleted

_log = structlog.get_logger()


class Drained(NamedTuple):
    """sessions: that were open at a stop. unfinished: those whose results did not all come in time."""

    sessions: int
    unfinished: int


NONE_OPEN = Drained(0, 0)


class _Window(NamedTuple):
    """In which a session waits for its client."""

    end: asyncio.TimerHandle
    address: str


class SessionRegistry:
    """Iterates over those that are not over yet."""

    def __init__(
        self,
        config: Config,
        arena: Arena,
        ingest: IngestTick,
        bench: Workbench,
        recorder: Recorder,
    ) -> None:
        self._config = config  # how many places there are, and how long a client is waited for
        self._arena = arena  # where each session gets its ring
        self._ingest = ingest  # has the audio of each examined
        self._bench = bench  # who works on their utterances
        self._recorder = recorder  # the Records of each
        self._sessions: dict[str, Session] = {}  # that are not over, by id
        self._windows: dict[str, _Window] = {}  # of those that wait for their client, the longest-waiting first
        self._over: dict[str, Session] = {}  # that are over, and whose client may come back for results; oldest first
        self._voices: WeakValueDictionary[str, Voices] = WeakValueDictionary()  # by session that uses or had them
        self.watchers = Watchers()  # who sees all of them
        self._recent: dict[str, Session] = {}  # that are over and had results, for watchers; oldest first
        self._draining = False  # the daemon stops: no session waits for its client any more
        self._tasks: set[asyncio.Task[None]] = set()  # kept from being collected while they run
        self._freed = asyncio.Event()  # a place has become free
        self._all_over = asyncio.Event()  # no session is left

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def broadcast(self, event: str, message: Degraded | Restored) -> None:
        """To every client that asked for `event`, and to whoever watches."""
        for session in self:
            session.tell(event, message)
        self.watchers.tell(None, message)

    def new(self, options: Options, peer: str, earlier: EarlierSession | None = None) -> Session | None:
        """For a client. None if all rings are taken; also ends the longest-waiting detached session of the busiest
        address. earlier: what it goes on for."""
        terms = glossary.together(options.glossary, self._config.known_terms.terms)
        session = self._make(secrets.token_hex(8), replace(options, glossary=terms), None, earlier)
        if session is not None:
            self._recorder.began(session, peer)
        else:
            self._make_room()
        return session

    def _make_room(self) -> None:
        addresses = {waiting: window.address for waiting, window in self._windows.items()}
        ended = oldest_of_busiest_address(addresses, 0)
        if ended is not None:
            self._windows[ended].end.cancel()
            self._run(self._give_up(self._sessions[ended]))

    @asynccontextmanager
    async def take_up(self, leftover: Leftover) -> AsyncIterator[Session]:
        """A session that a killed daemon left; waits for a place."""
        meta = leftover.meta
        options = Options.from_journal(meta, Options(self._config.audio.format, self._config.asr.language))
        start = StartingPoint(leftover.start, meta.next_sequence, leftover.wall_start, meta.remembered)
        voices = self.voices_left(leftover)
        while (session := self._make(leftover.session_id, options, start, voices=voices)) is None:
            self._freed.clear()
            await self._freed.wait()
        self._recorder.taken_up(session, meta.wall_start or leftover.wall_start)
        try:
            yield session
        finally:
            session.abandon()

    def _make(
        self,
        session_id: str,
        options: Options,
        start: StartingPoint | None,
        earlier: EarlierSession | None = None,
        voices: Voices | None = None,
    ) -> Session | None:
        ring = self._arena.acquire()
        if ring is None:
            return None
        voices = voices or self._voices_of(session_id, NOTHING, earlier)
        lines = self._config.correction.context_lines
        session = Session(
            session_id,
            ring,
            options,
            lines,
            self._bench,
            self._recorder,
            start,
            min_silence_s=self._config.vad.min_silence_s,
            hurry=self._ingest.hurry,
            voices=voices,
            known=self._recorder.known,
            continues=earlier.id if earlier else None,
            revise_s=self._config.diarization.revise_s,
            watchers=self.watchers,
        )
        self._sessions[session.id] = session
        self._recent.pop(session.id, None)
        self.watchers.say(session.shown())
        self._ingest.add(session)
        self._run(self._outlive(session))
        return session

    def _voices_of(self, session_id: str, known: Known, earlier: EarlierSession | None) -> Voices:
        """Shared by sessions that go on one for another: results of the old one may be under way still, or be about to
        be recovered, and a voice that is first heard in one of them must not get the name of another's."""
        before = earlier.id if earlier else session_id
        voices = self._voices.get(before) or Voices(earlier.heard if earlier else known)
        self._voices[before] = self._voices[session_id] = voices
        return voices

    def voices_left(self, leftover: Leftover) -> Voices:
        """Of a session that a killed daemon left. Somebody may have named them in the store since."""
        heard, stored = leftover.meta.remembered.heard, self._recorder.earlier(leftover.session_id)
        given = heard.given | (stored.heard.given if stored else {})
        return self._voices_of(leftover.session_id, replace(heard, given=given), None)

    def earlier(self, session_id: str | None, resume_token: str | None) -> EarlierSession | None:
        """The session that a new one of this client goes on for: it can't be taken up again."""
        found = self._recorder.earlier(session_id) if session_id and resume_token else None
        if found is None or found.resume_key is None:
            return None
        return found if hmac.compare_digest(found.resume_key, resume_key(resume_token or "")) else None

    def find(self, session_id: str | None, resume_token: str | None) -> Session | None:
        """The session that this client may take up again, if only for its last results."""
        session = self._sessions.get(session_id or "") or self._over.get(session_id or "")
        presented = (resume_token or "").encode("utf-8", "surrogatepass")
        if session is None or not hmac.compare_digest(session.resume_token.encode(), presented):
            return None
        return None if session.life.ended_by == "disconnect" else session

    def came_back(self, session: Session) -> None:
        """It has its client again, or needs none any more."""
        if (window := self._windows.pop(session.id, None)) is not None:
            window.end.cancel()

    async def client_left(self, session: Session, address: str) -> None:
        """Its client, at that address, is gone. Where nothing was received there is nothing to come back for, and the
        place is needed."""
        waits = session.may_be_resumed and session.received().bytes_received > 0 and not self._draining
        window_s = self._config.runtime.resume_window_s if waits else 0.0
        if window_s == 0.0:
            await session.end_utterance("disconnect")
            return
        self._recorder.waits(session, window_s)
        self._wait_for(session, address)

    def _wait_for(self, session: Session, address: str) -> None:
        window_s = self._config.runtime.resume_window_s
        end = asyncio.get_running_loop().call_later(window_s, lambda: self._run(self._give_up(session)))
        self._windows[session.id] = _Window(end, address)

    def slept(self, asleep_s: float) -> None:
        """No client could come back for longer than a moment: each that is waited for has the whole window again, as
        its own line may take a while, too. asleep_s: of that time, when the machine was asleep."""
        for session_id, window in list(self._windows.items()):
            window.end.cancel()
            self._wait_for(self._sessions[session_id], window.address)
        for session in self:
            session.slept(asleep_s)

    async def _give_up(self, session: Session) -> None:
        self._windows.pop(session.id, None)
        if session.ended is None and not session.attached:
            await session.end_utterance("disconnect")

    # --- for those who watch all of them ---

    def watched(self) -> list[Session]:
        """Those that are on, and the latest that are over."""
        return [*self._recent.values(), *self._sessions.values()]

    def known(self, session_id: str) -> Session | None:
        """One of `watched`, or whose client may come back for results."""
        return self._sessions.get(session_id) or self._recent.get(session_id) or self._over.get(session_id)

    def _with(self, voices: Voices) -> list[Session]:
        """Those in memory that have these."""
        sessions = {**self._over, **self._recent, **self._sessions}
        return [session for session in sessions.values() if session.context.voices is voices]

    def voices(self, parts: Iterable[str]) -> Voices | None:
        """That sessions which go on one for another share; None where nothing in memory has them. parts: their ids."""
        return next((voices for part in parts if (voices := self._voices.get(part)) is not None), None)

    def whole(self, voices: Voices) -> set[str]:
        """Ids of the sessions with these voices that have all their results in memory."""
        return {session.id for session in self._with(voices) if session.whole}

    def call(self, voices: Voices, speaker: str, name: str) -> None:
        """Somebody says who a voice is: in all sessions that have it, of earlier results, too. Raises BadName."""
        before = voices.titles.named
        voices.call(speaker, name)
        for session in self._with(voices):
            session.renamed(before)

    def is_on(self, session_id: str) -> bool:
        """More may come of it."""
        return session_id in self._sessions or self._recorder.is_unfinished(session_id)

    def forget(self, session_id: str) -> None:
        """One that is over is deleted: nobody is shown it any more, or can come back to it."""
        self._over.pop(session_id, None)
        self._recent.pop(session_id, None)
        self.watchers.say(SessionDeleted(session_id))  # they may have it longer than it is kept here

    def _keep_for_watchers(self, session: Session) -> None:
        session.over()
        if session.figures().results:
            self._recent[session.id] = session
        if len(self._recent) > self._config.max_connections:
            self._recent.pop(next(iter(self._recent)))

    def delivered(self, session: Session) -> None:
        """Its client has all that the session, which is over, had for it: nothing need be kept."""
        self._over.pop(session.id, None)

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _outlive(self, session: Session) -> None:
        """It waits for the end from the beginning, and so runs before whoever tells the client of it."""
        await session.done.wait()
        self._ingest.remove(session)
        del self._sessions[session.id]
        self.came_back(session)
        self._keep_results(session)
        self._keep_for_watchers(session)
        self._arena.release(session.ring)
        self._recorder.over(session)
        self._freed.set()
        if not self._sessions:
            self._all_over.set()

    def _keep_results(self, session: Session) -> None:
        """For a client whose line broke after its `stop`, until it is `delivered`. Results take memory, so those of few
        sessions are kept at a time."""
        if session.ended != "stop" or not session.may_be_resumed:
            return
        self._over[session.id] = session
        if len(self._over) > self._config.max_connections:
            self._over.pop(next(iter(self._over)))
        window_s = self._config.runtime.resume_window_s
        asyncio.get_running_loop().call_later(window_s, self._over.pop, session.id, None)

    async def drain(self, timeout_s: float) -> Drained:
        """End those that wait for their client; return when all are over, or `timeout_s` is."""
        self._draining = True
        for session in self:
            if not session.attached:
                self._run(self._give_up(session))
        unfinished = [asyncio.create_task(session.done.wait()) for session in self]
        late: set[asyncio.Task[Any]] = set()
        if unfinished:
            _, late = await asyncio.wait(unfinished, timeout=timeout_s)
            log = _log.error if late else _log.info
            log("drained", sessions=len(unfinished), unfinished=len(late))
        for session in self:
            session.abandon()
        while self._sessions:
            self._all_over.clear()
            await self._all_over.wait()
        return Drained(len(unfinished), len(late))
