"""Finishes what a killed daemon had received: its audio goes through the pipeline once more, its results to the store.

One session after another, while the daemon already serves. What is not finished when the daemon stops or dies stays in
the journal, less what `Journal.release` was told of, and is found at the next start.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from ipc.messages import Trigger
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.journal_files import FILE_SAMPLES, Leftover

_log = structlog.get_logger()


class RecoveredSession(Protocol):
    """A session without a client. done: all its results are in the store, unless it was `abandoned`."""

    done: asyncio.Event

    @property
    def abandoned(self) -> bool: ...

    async def feed_recovered(self, samples: NDArray[np.float32]) -> None:
        """samples: 16 kHz mono float32 [n]. Waits while the ring is full."""

    async def end_utterance(self, trigger: Trigger) -> None: ...


class LateUtterances(Protocol):
    """Those of a session that are to be done once the recogniser is back."""

    def take(self, leftover: Leftover) -> None:
        """Do what that daemon left undone."""

    async def finished(self, session_id: str) -> bool:
        """Waits until none is left of that session. False where some stay for the next start."""


OpenSession = Callable[[Leftover], AbstractAsyncContextManager[RecoveredSession]]
"""Gives a session with the leftover's id, options and numbering (samples from `start`, utterances from
`meta.next_sequence`); entering may wait for a free ring, leaving gives the ring back."""


async def finish_leftovers(
    journal: Journal,
    open_session: OpenSession,
    store_works: Callable[[], bool] = lambda: True,
    late: LateUtterances | None = None,
) -> None:
    """Every leftover, one after another. To be run as a task, and cancelled before sessions are closed. store_works:
    whether results that a session is done with are on disk; else their audio stays for the next start. late: does what
    that daemon had given up; without it that stays, too."""
    for leftover in journal.leftover():
        try:
            if late is not None:
                late.take(leftover)
            stored = await _finish(leftover, open_session)
            stored = stored and (not leftover.late if late is None else await late.finished(leftover.session_id))
        except Exception:  # whatever it is: it must not keep the other sessions from being finished
            _log.exception("recovery_failed", session=leftover.session_id)
            continue
        if stored and store_works():
            journal.end(leftover.session_id)
            seconds, missing_s = round(leftover.seconds, 2), round(leftover.missing_s, 2)
            _log.info("recovered", session=leftover.session_id, seconds=seconds, missing_s=missing_s)


async def _finish(leftover: Leftover, open_session: OpenSession) -> bool:
    """Whether all its results are in the store, but for late ones."""
    if not leftover.files:
        return True
    async with open_session(leftover) as session:
        await _feed(leftover, session)
        await session.end_utterance("disconnect")
        await session.done.wait()
        return not session.abandoned


async def _feed(leftover: Leftover, session: RecoveredSession) -> None:
    due = leftover.start
    pieces = leftover.pieces()
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        start, samples = piece
        if start != due:
            await _pass_hole(session, start - due)
        await session.feed_recovered(samples)
        due = start + len(samples)


async def _pass_hole(session: RecoveredSession, count: int) -> None:
    """The utterance ends at the hole, whatever follows; silence keeps the numbers of what does."""
    await session.end_utterance("flush")
    for at in range(0, count, FILE_SAMPLES):
        await session.feed_recovered(np.zeros(min(FILE_SAMPLES, count - at), np.float32))
