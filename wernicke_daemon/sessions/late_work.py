"""Does what was given up while the recogniser was down, once it is back: from the journal's audio into the store.

One utterance after another, in its exact range and under its number, beside what is said now. A session may be over by
then, or be one that a killed daemon left. What is not done when the daemon stops stays in the journal for the next
start.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from ipc.arena import Arena, RingWriter
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.journal_files import Leftover
from wernicke_daemon.sessions.clock import SYSTEM_CLOCK, Clock
from wernicke_daemon.sessions.recorder import Postponed, Recorder
from wernicke_daemon.sessions.speculation import Workbench
from wernicke_daemon.utterances import results
from wernicke_daemon.utterances.context import Context
from wernicke_daemon.utterances.pieces import Piece
from wernicke_daemon.utterances.utterance import Utterance
from wernicke_daemon.utterances.voices import Voices
from wernicke_daemon.wire.audio import Audio

LOOK_EVERY_S = 1.0

_log = structlog.get_logger()


@dataclass
class _Owner:
    """Waits for one utterance."""

    done: asyncio.Event = field(default_factory=asyncio.Event)

    def heard(self, piece: Piece) -> None:
        """There are no live passes over it."""

    def recognised(self, utterance: Utterance, shed: bool) -> None:
        """Nobody is shown it."""

    def improved(self, utterance: Utterance, shed: bool) -> None:
        """Nobody is shown it."""

    def audio_released(self, utterance: Utterance) -> None:
        """Its ring is given back with the rest."""

    def settled(self, utterance: Utterance) -> None:
        self.done.set()


class LateWork:
    """Utterances that were given up while the recogniser was down, done when it is back."""

    def __init__(
        self,
        arena: Arena,
        bench: Workbench,
        recognises: Callable[[], bool],
        journal: Journal,
        recorder: Recorder,
        language: str,
        voices: Callable[[Leftover], Voices],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._arena = arena  # where each gets a ring for its audio
        self._bench = bench  # who does the work
        self._recognises = recognises  # whether there is a recogniser at work
        self._journal = journal  # where their audio is
        self._recorder = recorder  # has what is postponed, and gets the results
        self._language = language  # of sessions whose own the disk has lost
        self._voices = voices  # of a session that a killed daemon left
        self._clock = clock  # monotonic and wall time

    # --- recovery's LateUtterances ---

    def take(self, leftover: Leftover) -> None:
        meta = leftover.meta
        context = Context(meta.remembered, meta.next_sequence, 0, self._voices(leftover))
        language = meta.language or self._language
        for late in leftover.late:
            self._recorder.later(Postponed(leftover.session_id, late, language, meta.glossary, meta.words, context))

    async def finished(self, session_id: str) -> bool:
        while self._recorder.waits_for_recogniser(session_id):
            self._recorder.one_done.clear()
            await self._recorder.one_done.wait()
        return not self._recorder.is_left(session_id)

    # --- the work ---

    async def run(self) -> None:
        """For ever. To be cancelled before sessions are drained."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            waiting = self._recorder.postponed
            while waiting and self._recognises() and await self._try(waiting):
                pass

    async def _try(self, waiting: deque[Postponed]) -> bool:
        """Whether to go on at once. One that can't be read, or goes wrong, stays in the journal for the next start."""
        postponed = waiting[0]
        try:
            utterance = await self._done(postponed)
        except Exception:
            _log.exception("late_failed", session=postponed.session_id, sequence=postponed.late.sequence)
            waiting.popleft()
            self._recorder.left(postponed)
            return True
        if utterance is None or utterance.given_up:
            return False  # no ring is free, or the recogniser is down again
        waiting.popleft()
        names = postponed.context.names(utterance)
        message = results.outcome(utterance, names, postponed.words, self._clock.monotonic())
        self._recorder.late_outcome(postponed, utterance, message)
        return True

    async def _done(self, postponed: Postponed) -> Utterance | None:
        """The utterance once it is settled; None without a free ring. Raises OSError where its audio can't be read."""
        boundary = postponed.late.boundary
        audio = await asyncio.to_thread(self._journal.read, postponed.session_id, boundary.start, boundary.end)
        ring = self._arena.acquire()
        if ring is None:
            return None
        try:
            return await self._settled(postponed, ring, audio)
        finally:
            self._arena.release(ring)

    async def _settled(self, postponed: Postponed, ring: RingWriter, audio: Audio) -> Utterance:
        ring.begin_at(postponed.late.boundary.start)
        ring.append(audio)
        utterance, owner = self._utterance(postponed, ring), _Owner()
        self._bench.submit(utterance, owner)
        try:
            await owner.done.wait()
        finally:
            self._bench.withdraw(utterance)
        return utterance

    def _utterance(self, postponed: Postponed, ring: RingWriter) -> Utterance:
        late = postponed.late
        return Utterance(
            session=postponed.session_id,
            sequence=late.sequence,
            buffer_id=late.buffer_id,
            audio=ring.handle(late.boundary.start, late.boundary.end),
            boundary=late.boundary,
            language=postponed.language,
            glossary=postponed.glossary,
            triggered=self._clock.monotonic(),
            wall_start=late.wall_start,
            began=self._clock.monotonic(),
        )
