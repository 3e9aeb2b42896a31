"""One ingest job per tick carries the news of every session; its result is committed before the next is made."""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from ipc.messages import IngestOutcome, IngestResult, IngestTask, IngestWork
from wernicke_daemon.sessions.clock import SYSTEM_CLOCK, Clock
from wernicke_daemon.sessions.session import Session
from wernicke_daemon.wire import protocol

_log = structlog.get_logger()

FAILED = "This session can't be served any more; the daemon's log says why. Connect again to go on."


class IngestTick:
    """examine: gives a job to the ingest stage and calls back with its result, None where there is none to be had."""

    def __init__(
        self,
        examine: Callable[[IngestWork, Callable[[IngestResult | None], None]], None],
        tick_s: float,
        on_lag_ms: Callable[[float], None] = lambda lag_ms: None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """on_lag_ms: told of each look that found audio how long the audio that the look before just missed has waited
        until it was examined, milliseconds."""
        self._examine = examine  # gives a job to the ingest stage
        self._tick_s = tick_s  # from one look to the next
        self._on_lag_ms = on_lag_ms  # told how long audio waited
        self._clock = clock  # tells when it was looked
        self._looked = clock.monotonic()  # when it was last looked for audio
        self._sessions: dict[str, Session] = {}  # by id
        self._hurried = asyncio.Event()  # the next tick is not waited for

    def add(self, session: Session) -> None:
        self._sessions[session.id] = session

    def remove(self, session: Session) -> None:
        self._sessions.pop(session.id, None)

    def hurry(self) -> None:
        """What has come in decides something: it is examined now."""
        self._hurried.set()

    async def run(self) -> None:
        """Until cancelled. Nothing that goes wrong with one tick may end it: nobody would be heard any more."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._looked + self._tick_s - self._clock.monotonic()):
                    await self._hurried.wait()
            self._hurried.clear()
            try:
                await self._tick()
            except Exception:
                _log.exception("ingest_feed_failed")

    async def _tick(self) -> None:
        missed_since, now = self._looked, self._clock.monotonic()
        self._looked = now
        sessions = list(self._sessions.values())
        spoken = any(session.speaks for session in sessions if not session.options.background)
        news = (self._news_of(session, now, spoken) for session in sessions)
        tasks = tuple(task for task in news if task is not None)
        if tasks and not await self._examined(tasks) and len(tasks) > 1:
            for task in tasks:  # one session's audio may be at fault: the others need not suffer with it
                await self._examined((task,))
        if tasks:
            self._on_lag_ms((self._clock.monotonic() - missed_since) * 1000)

    def _news_of(self, session: Session, now: float, spoken: bool) -> IngestTask | None:
        try:
            return session.take_news(now, spoken)
        except Exception:
            self._give_up(session)
            return None

    def _give_up(self, session: Session) -> None:
        """One session that can't be served must not keep the others from it. Its audio stays in the journal."""
        _log.exception("session_failed", session=session.id)
        session.send(protocol.error("INTERNAL_ERROR", FAILED))
        session.abandon()

    async def _examined(self, tasks: tuple[IngestTask, ...]) -> bool:
        """Have the tasks examined and commit what was found. False if several could not be examined together."""
        answer: asyncio.Future[IngestResult | None] = asyncio.get_running_loop().create_future()
        self._examine(IngestWork(tasks), answer.set_result)
        result = await answer
        if result is None and len(tasks) > 1:
            return False
        outcomes = {outcome.session: outcome for outcome in result.outcomes} if result else {}
        for task in tasks:
            session = self._sessions.get(task.session)
            if session is not None:
                self._commit(session, task, outcomes.get(task.session))
        return True

    def _commit(self, session: Session, task: IngestTask, outcome: IngestOutcome | None) -> None:
        try:
            session.commit(task, outcome)
        except Exception:
            self._give_up(session)
