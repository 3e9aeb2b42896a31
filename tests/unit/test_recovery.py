"""Recovery on real journals, with sessions that only remember: nothing is deleted before its results are stored."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import structlog
from numpy.typing import NDArray

from ipc.messages import Trigger
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.journal_files import FILE_SAMPLES, Leftover, SessionMeta
from wernicke_daemon.records.recovery import finish_leftovers
from wernicke_daemon.utterances.context import Remembered

NOTHING = Remembered()
META = SessionMeta(language="en", next_sequence=3)
LENGTH = 2 * FILE_SAMPLES + 100


def ramp(start: int, end: int) -> NDArray[np.float32]:
    return np.arange(start, end, dtype=np.float32)


def crashed(directory: Path, *sessions: str) -> Journal:
    """The journal of the daemon that follows one which died with those sessions."""
    dead = Journal(directory, 100)
    for session in sessions:
        dead.begin(session, META)
        dead.append(session, 0, ramp(0, LENGTH))
        dead.release(session, 1000, 4, NOTHING)
    dead.close()
    return Journal(directory, 100)


def sessions_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.is_dir())


class Recorded:
    """A session that is fed. room: for how many pieces; full: one more came. fed: to its end.
    ended_after: how many pieces each of those ended. fails: what feeding raises."""

    def __init__(self, leftover: Leftover, fails: Exception | None = None) -> None:
        self.leftover = leftover
        self.done = asyncio.Event()
        self.abandoned = False
        self.ended: list[Trigger] = []
        self.ended_after: list[int] = []
        self.pieces: list[NDArray[np.float32]] = []
        self.closed = False
        self.room = asyncio.Semaphore(10)
        self.full = asyncio.Event()
        self.fed = asyncio.Event()
        self._fails = fails

    async def feed_recovered(self, samples: NDArray[np.float32]) -> None:
        if self._fails:
            raise self._fails
        if self.room.locked():
            self.full.set()
        await self.room.acquire()
        self.pieces.append(samples)

    async def end_utterance(self, trigger: Trigger) -> None:
        self.ended.append(trigger)
        self.ended_after.append(len(self.pieces))
        self.fed.set()


class House:
    """Opens sessions as they are asked for. opened: in that order."""

    def __init__(self, store_at_once: bool = True, **fails: Exception) -> None:
        self.opened: list[Recorded] = []
        self.news: asyncio.Queue[Recorded] = asyncio.Queue()
        self._store_at_once = store_at_once
        self._fails = fails

    @asynccontextmanager
    async def open(self, leftover: Leftover) -> AsyncIterator[Recorded]:
        session = Recorded(leftover, self._fails.get(leftover.session_id))
        if self._store_at_once:
            session.done.set()
        self.opened.append(session)
        self.news.put_nowait(session)
        try:
            yield session
        finally:
            session.closed = True


async def test_all_that_was_left_is_fed_and_ended(tmp_path: Path) -> None:
    """From the floor on, bit for bit, then the end of the audio; then the journal is empty."""
    journal = crashed(tmp_path, "s")
    house = House()
    with structlog.testing.capture_logs() as lines:
        await finish_leftovers(journal, house.open)
    journal.close()
    [session] = house.opened
    assert session.leftover.meta.next_sequence == 4
    np.testing.assert_array_equal(np.concatenate(session.pieces), ramp(1000, LENGTH))
    assert session.ended == ["disconnect"]
    assert session.closed
    assert sessions_in(tmp_path) == []
    seconds = round((LENGTH - 1000) / 16_000, 2)
    said = {"event": "recovered", "log_level": "info", "session": "s", "seconds": seconds, "missing_s": 0.0}
    assert lines == [said]


async def test_nothing_is_joined_across_a_hole(tmp_path: Path) -> None:
    """The utterance before it ends there; silence, in pieces, keeps what follows in its place."""
    journal = crashed(tmp_path, "s")
    journal.close()
    hole = 3 * FILE_SAMPLES - 70
    last = tmp_path / "s" / f"{2 * FILE_SAMPLES:015d}.f32"
    last.rename(last.with_stem(f"{2 * FILE_SAMPLES + hole:015d}"))
    journal = Journal(tmp_path, 100)
    house = House()
    with structlog.testing.capture_logs() as lines:
        await finish_leftovers(journal, house.open)
    journal.close()
    [session] = house.opened
    assert session.ended == ["flush", "disconnect"]
    before = sum(map(len, session.pieces[: session.ended_after[0]]))
    assert before == 2 * FILE_SAMPLES - 1000
    fed = np.concatenate(session.pieces)
    assert not fed[before : before + hole].any()
    np.testing.assert_array_equal(fed[before + hole :], ramp(2 * FILE_SAMPLES, LENGTH))
    assert max(map(len, session.pieces)) == FILE_SAMPLES
    assert [line["missing_s"] for line in lines] == [round(hole / 16_000, 2)]
    assert sessions_in(tmp_path) == []


async def test_nothing_is_deleted_before_it_is_stored(tmp_path: Path) -> None:
    """One session after another; a leftover stays until its session is done."""
    journal = crashed(tmp_path, "s", "t")
    house = House(store_at_once=False)
    recovery = asyncio.create_task(finish_leftovers(journal, house.open))
    first = await house.news.get()
    await first.fed.wait()
    journal.close()
    assert [session.leftover.session_id for session in house.opened] == ["s"]
    assert sessions_in(tmp_path) == ["s", "t"]
    first.done.set()
    second = await house.news.get()
    assert first.closed
    second.done.set()
    await recovery


@pytest.mark.parametrize("failure", [OSError("unreadable"), RuntimeError("a fault")])
async def test_one_that_fails_stays_and_the_others_go_on(tmp_path: Path, failure: Exception) -> None:
    """It is found again at the next start, and the log says why."""
    journal = crashed(tmp_path, "s", "t")
    house = House(s=failure)
    with structlog.testing.capture_logs() as lines:
        await finish_leftovers(journal, house.open)
    journal.close()
    assert [(line["event"], line["session"]) for line in lines] == [("recovery_failed", "s"), ("recovered", "t")]
    assert all(session.closed for session in house.opened)
    assert sessions_in(tmp_path) == ["s"]


async def test_a_recovery_that_is_stopped_goes_on_at_the_next_start(tmp_path: Path) -> None:
    """What has its result by then is not done again; the rest is."""
    journal = crashed(tmp_path, "s")
    house = House()
    recovery = asyncio.create_task(finish_leftovers(journal, house.open))
    session = await house.news.get()
    session.room = asyncio.Semaphore(1)
    await session.full.wait()
    journal.release("s", 5000, 6, NOTHING)
    recovery.cancel()
    with pytest.raises(asyncio.CancelledError):
        await recovery
    assert session.closed
    journal.close()
    journal = Journal(tmp_path, 100)
    house = House()
    await finish_leftovers(journal, house.open)
    journal.close()
    assert house.opened[0].leftover.meta.next_sequence == 6
    np.testing.assert_array_equal(np.concatenate(house.opened[0].pieces), ramp(5000, LENGTH))


async def test_an_abandoned_session_stays(tmp_path: Path) -> None:
    """A daemon that stops gives sessions up; that they are done then does not mean that they have results."""
    journal = crashed(tmp_path, "s")
    house = House(store_at_once=False)
    recovery = asyncio.create_task(finish_leftovers(journal, house.open))
    session = await house.news.get()
    session.abandoned = True
    session.done.set()
    await recovery
    journal.close()
    assert sessions_in(tmp_path) == ["s"]


async def test_the_daemon_serves_meanwhile(tmp_path: Path) -> None:
    """A session whose ring is full holds up the recovery and nothing else; new sessions are journalled."""
    journal = crashed(tmp_path, "s")
    house = House()
    recovery = asyncio.create_task(finish_leftovers(journal, house.open))
    session = await house.news.get()
    session.room = asyncio.Semaphore(0)
    await session.full.wait()
    journal.begin("new", META)
    journal.append("new", 0, ramp(0, 100))
    assert session.pieces == []
    for _ in range(3):
        session.room.release()
    await recovery
    journal.close()
    assert sessions_in(tmp_path) == ["new"]


async def test_without_leftovers_nothing_happens(tmp_path: Path) -> None:
    """An ordinary start opens no session."""
    journal = crashed(tmp_path)
    house = House()
    await finish_leftovers(journal, house.open)
    journal.close()
    assert house.opened == []
